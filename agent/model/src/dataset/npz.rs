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
