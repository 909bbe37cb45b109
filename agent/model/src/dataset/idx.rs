//! IDX files, the format of MNIST and Fashion-MNIST: a magic number, big-endian dimensions, bytes.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::{Dataset, Samples, Split};
use crate::error::{Error, Result};
use crate::graph::Shape;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

pub fn load(images: &Path, labels: &Path, split: Split) -> Result<Dataset> {
    let bad = |path: &Path| {
        let path = path.to_owned();
        move |reason: String| Error::Data { path, reason }
    };
    let (dims, bytes) = read(images).and_then(parse::<3>).map_err(bad(images))?;
    let (count, classes) = read(labels).and_then(parse::<1>).map_err(bad(labels))?;
    if dims[0] != count[0] {
        return Err(bad(labels)(format!("{} labels for {} images", count[0], dims[0])));
    }
    let samples = Samples::U8 { bytes, scale: 1.0 / 255.0 };
    let labels = classes.into_iter().map(u16::from).collect();
    Dataset::new(split, Shape::new(dims[1], dims[2], 1), samples, labels).map_err(|e| bad(images)(e.to_string()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let open = || File::open(path).map_err(|e| e.to_string());
    let mut bytes = Vec::new();
    BufReader::new(open()?).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if !bytes.starts_with(&GZIP_MAGIC) {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked).map_err(|e| format!("gzip: {e}"))?;
    Ok(unpacked)
}

/// Dimensions and values of a file of `N`-dimensional bytes.
fn parse<const N: usize>(bytes: Vec<u8>) -> Result<([usize; N], Vec<u8>), String> {
    let header = 4 + 4 * N;
    if bytes.len() < header || bytes[..4] != [0, 0, 8, N as u8] {
        return Err(format!("not an IDX file of bytes with {N} dimensions"));
    }
    let dim = |i: usize| bytes[4 + 4 * i..8 + 4 * i].iter().fold(0usize, |d, &b| d << 8 | usize::from(b));
    let dims: [usize; N] = std::array::from_fn(dim);
    let expected = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    if expected != Some(bytes.len() - header) {
        return Err(format!("truncated: dimensions {dims:?}, {} bytes of values", bytes.len() - header));
    }
    Ok((dims, bytes[header..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dims: &[u32], values: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, dims.len() as u8];
        dims.iter().for_each(|d| bytes.extend(d.to_be_bytes()));
        bytes.extend_from_slice(values);
        bytes
    }

    #[test]
    fn plain_and_gzipped_files_read_alike() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let [images, labels] = ["images", "labels"].map(|n| dir.path().join(n));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, &file(&[2, 1, 3], &[0, 51, 255, 1, 2, 3])).expect("memory");
        std::fs::write(&images, gzip.finish().expect("memory")).expect("written");
        std::fs::write(&labels, file(&[2], &[7, 9])).expect("written");
        let data = Dataset::idx(&images, &labels, Split::Train).expect("valid");
        let mut first = Vec::new();
        data.read(0, &mut first);
        assert_eq!(
            (data.shape(), data.labels(), first),
            (Shape::new(1, 3, 1), &[7, 9][..], vec![0.0, 51.0 * (1.0 / 255.0), 1.0])
        );
    }

    #[test]
    fn damaged_files_are_refused() {
        assert!(parse::<3>(file(&[2, 1, 3], &[0; 5])).is_err());
        assert!(parse::<3>(file(&[6], &[0; 6])).is_err());
        assert!(parse::<3>(file(&[u32::MAX, u32::MAX, u32::MAX], &[])).is_err());
        assert!(parse::<1>(vec![0, 0, 8]).is_err());
    }
}
