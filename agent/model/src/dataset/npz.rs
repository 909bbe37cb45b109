//! NumPy archives.

use std::fs::File;
use std::path::Path;

use ndarray::ArrayD;
use ndarray_npy::{NpzReader, ReadableElement};

use super::{Dataset, Samples, Split};
use crate::graph::Shape;

pub fn load(path: &Path, split: Split) -> Result<Dataset, String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    let mut npz = NpzReader::new(file).map_err(|e| e.to_string())?;
    check_names(&npz.names().map_err(|e| e.to_string())?)?;
    let (dims, samples) = read_samples(&mut npz)?;
    let labels = read_labels(&mut npz)?;
    let shape = match dims[..] {
        [_, h, w, c] => Shape::new(h, w, c),
        [_, h, w] => Shape::new(h, w, 1),
        [_, c] => Shape::new(1, 1, c),
        _ => return Err(format!("x has shape {dims:?}")),
    };
    if dims[0] != labels.len() {
        return Err(format!("x has {} samples, y has {} labels", dims[0], labels.len()));
    }
    Dataset::new(split, shape, samples, labels).map_err(|e| e.to_string())
}

fn check_names(names: &[String]) -> Result<(), String> {
    let missing = ["x", "y"].into_iter().find(|&needed| !names.iter().any(|name| name == needed));
    let complaint = |missing| {
        format!("it has no array `{missing}`: samples are `x`, labels are `y`; its arrays are `{}`", names.join("`, `"))
    };
    missing.map_or(Ok(()), |missing| Err(complaint(missing)))
}

fn read_samples(npz: &mut NpzReader<File>) -> Result<(Vec<usize>, Samples), String> {
    if let Ok((dims, values)) = read::<f32>(npz, "x") {
        return Ok((dims, Samples::F32(values)));
    }
    let (dims, bytes) = read::<u8>(npz, "x").map_err(|e| format!("x is neither float32 nor uint8: {e}"))?;
    Ok((dims, Samples::U8 { bytes, scale: 1.0 / 255.0 }))
}

fn read_labels(npz: &mut NpzReader<File>) -> Result<Vec<u16>, String> {
    let wide = read::<i64>(npz, "y")
        .or_else(|_| read::<i32>(npz, "y").map(|(d, y)| (d, y.into_iter().map(i64::from).collect())))
        .or_else(|_| read::<u8>(npz, "y").map(|(d, y)| (d, y.into_iter().map(i64::from).collect())));
    let (_, labels) = wide.map_err(|e| format!("y is not an array of integers: {e}"))?;
    let class = |(sample, y): (usize, i64)| {
        u16::try_from(y).map_err(|_| format!("sample {sample} has the label {y}, which is no class"))
    };
    labels.into_iter().enumerate().map(class).collect()
}

/// An array's dimensions and its values in row-major order.
fn read<T: ReadableElement + Clone>(npz: &mut NpzReader<File>, name: &str) -> Result<(Vec<usize>, Vec<T>), String> {
    let array: ArrayD<T> = npz.by_name(name).map_err(|e| e.to_string())?;
    let dims = array.shape().to_vec();
    Ok((dims, array.as_standard_layout().into_owned().into_raw_vec_and_offset().0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array4};
    use ndarray_npy::NpzWriter;

    fn refusal(samples: &str, count: usize) -> String {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut npz = NpzWriter::new(file.reopen().expect("opens"));
        npz.add_array(samples, &Array4::<f32>::zeros((count, 2, 2, 1))).expect("writes");
        npz.add_array("y", &Array1::<i64>::zeros(count)).expect("writes");
        npz.finish().expect("writes");
        load(file.path(), Split::Train).expect_err("is refused")
    }

    #[test]
    fn arrays_of_other_names_and_none_at_all_are_told() {
        let told = "it has no array `x`: samples are `x`, labels are `y`; its arrays are `images`, `y`";
        assert_eq!(refusal("images", 3), told);
        assert_eq!(refusal("x", 0), "samples: there are none");
    }
}
