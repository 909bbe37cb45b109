//! How a user names a data set.

use super::split::{select, stratify};
use super::{DataError, Splits, check_labels};
use bitrack_model::{Dataset, Split};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where Debian's package `dataset-fashion-mnist` puts its files.
const FASHION_MNIST: &str = "/usr/share/datasets/fashion-mnist";
/// Validation samples taken from the 60,000 training images.
const FASHION_MNIST_VALIDATION: usize = 5_000;

/// A data set as named on the command line or in a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataSpec {
    /// IDX files `train-*` and `t10k-*` in a folder: 55,000 training, 5,000 validation, 10,000 test images.
    Idx {
        /// The folder.
        folder: PathBuf,
    },
    /// One archive: a fifth each for test and validation, the rest for training.
    Npz {
        /// The archive.
        file: PathBuf,
    },
    /// Two archives: a fifth of the first for validation, the second for the test.
    NpzPair {
        /// Training and validation samples.
        train: PathBuf,
        /// Test samples.
        test: PathBuf,
    },
}

impl FromStr for DataSpec {
    type Err = DataError;

    fn from_str(spec: &str) -> Result<Self, DataError> {
        if let Some(files) = spec.strip_prefix("npz:") {
            return Ok(match files.split_once(',') {
                Some((train, test)) => Self::NpzPair { train: train.into(), test: test.into() },
                None => Self::from_path(Path::new(files)).unwrap_or(Self::Npz { file: files.into() }),
            });
        }
        match spec.strip_prefix("fashion-mnist") {
            Some("") => Ok(Self::Idx { folder: FASHION_MNIST.into() }),
            Some(folder) if folder.starts_with(':') => Ok(Self::Idx { folder: folder[1..].into() }),
            _ => Self::from_path(Path::new(spec)).ok_or_else(|| DataError::Spec { spec: spec.into() }),
        }
    }
}

impl DataSpec {
    /// A bare path: an archive, a folder with `train.npz` and `eval.npz`, or a folder with IDX files.
    fn from_path(path: &Path) -> Option<Self> {
        if path.extension().is_some_and(|extension| extension == "npz") {
            return Some(Self::Npz { file: path.into() });
        }
        let (train, test) = (path.join("train.npz"), path.join("eval.npz"));
        if train.exists() && test.exists() {
            return Some(Self::NpzPair { train, test });
        }
        path.is_dir().then(|| Self::Idx { folder: path.into() })
    }

    /// Reads the files and cuts them into splits, for a model of so many `outputs` if there is one already: a label beyond them
    /// is named by its place in the file, before it is missed anywhere as a class.
    ///
    /// # Errors
    /// Whatever is wrong with a file, a value or a label.
    pub fn load(&self, outputs: Option<usize>) -> Result<Splits, DataError> {
        let checked = |data: Dataset| -> Result<Dataset, DataError> {
            outputs.map_or(Ok(()), |outputs| check_labels(&data, outputs))?;
            Ok(data)
        };
        let npz = |path: &Path, split| checked(Dataset::npz(path, split)?);
        match self {
            Self::Idx { folder } => {
                let train = checked(read_idx(folder, "train", Split::Train)?)?;
                let validation = FASHION_MNIST_VALIDATION.min(train.len() / 5);
                let test = checked(read_idx(folder, "t10k", Split::Test)?)?;
                Splits::new(&folder.display().to_string(), &train, validation, test)
            }
            Self::Npz { file } => cut_in_three(&file.display().to_string(), &npz(file, Split::Train)?),
            Self::NpzPair { train, test } => {
                let rest = npz(train, Split::Train)?;
                Splits::new(&train.display().to_string(), &rest, rest.len() / 5, npz(test, Split::Test)?)
            }
        }
    }
}

fn read_idx(folder: &Path, part: &str, split: Split) -> Result<Dataset, DataError> {
    let file = |name: String| {
        let packed = folder.join(format!("{name}.gz"));
        if packed.exists() { packed } else { folder.join(name) }
    };
    let images = file(format!("{part}-images-idx3-ubyte"));
    let labels = file(format!("{part}-labels-idx1-ubyte"));
    Ok(Dataset::idx(&images, &labels, split)?)
}

fn cut_in_three(source_name: &str, all: &Dataset) -> Result<Splits, DataError> {
    let (rest, test) = stratify(all.labels(), all.len() / 5);
    if rest.is_empty() || test.is_empty() {
        return Err(DataError::TooFew { source_name: source_name.into(), samples: all.len() });
    }
    let rest = select(all, &rest, Split::Train)?;
    Splits::new(source_name, &rest, all.len() / 5, select(all, &test, Split::Test)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitrack_model::Samples;
    use bitrack_model::graph::Shape;

    #[test]
    fn names_are_understood() {
        let parse = |spec: &str| spec.parse::<DataSpec>().expect("valid");
        assert_eq!(parse("fashion-mnist"), DataSpec::Idx { folder: FASHION_MNIST.into() });
        assert_eq!(parse("fashion-mnist:/data"), DataSpec::Idx { folder: "/data".into() });
        assert_eq!(parse("npz:a.npz"), DataSpec::Npz { file: "a.npz".into() });
        assert_eq!(parse("npz:a,b"), DataSpec::NpzPair { train: "a".into(), test: "b".into() });
        assert!(matches!("cifar".parse::<DataSpec>(), Err(DataError::Spec { .. })));
    }

    #[test]
    fn one_set_is_cut_in_three() {
        let labels = (0..50).map(|i| i % 2).collect();
        let all = Dataset::new(Split::Train, Shape::new(1, 1, 1), Samples::F32(vec![0.0; 50]), labels).expect("valid");
        let splits = cut_in_three("toy", &all).expect("enough");
        assert_eq!((splits.train.0.len(), splits.validation.0.len(), splits.test.0.len()), (30, 10, 10));
    }

    #[test]
    fn a_missing_file_is_named() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let error = DataSpec::Idx { folder: folder.path().into() }.load(None).expect_err("missing").to_string();
        assert!(error.contains("train-images-idx3-ubyte"), "{error}");
    }
}
