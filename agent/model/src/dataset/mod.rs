//! Labelled samples, and which split they are: nothing may search on the test set or calibrate on the validation set
//! by mistake.

mod idx;
mod npz;

use std::ops::Range;
use std::path::Path;

use crate::error::{Error, Result};
use crate::graph::Shape;

/// What samples may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// Training, fine-tuning and calibration.
    Train,
    /// The reward of a search.
    Validation,
    /// The final figure, once.
    Test,
}

impl Split {
    /// `train`, `validation` or `test`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// Values of all samples one after the other, each HWC.
#[derive(Debug, Clone, PartialEq)]
pub enum Samples {
    /// Real numbers as the network takes them.
    F32(Vec<f32>),
    /// Bytes; the real number is `scale * byte`.
    U8 { bytes: Vec<u8>, scale: f32 },
}

impl Samples {
    fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::U8 { bytes, .. } => bytes.len(),
        }
    }

    fn slice(&self, range: Range<usize>) -> Self {
        match self {
            Self::F32(values) => Self::F32(values[range].to_vec()),
            Self::U8 { bytes, scale } => Self::U8 { bytes: bytes[range].to_vec(), scale: *scale },
        }
    }
}

/// Samples of one shape with their classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    split: Split,
    shape: Shape,
    samples: Samples,
    labels: Vec<u16>,
}

impl Dataset {
    /// Joins samples and labels.
    ///
    /// # Errors
    /// [`Error::Samples`] when their numbers do not fit, when there is none, or when a value is not finite.
    pub fn new(split: Split, shape: Shape, samples: Samples, labels: Vec<u16>) -> Result<Self> {
        let expected = labels.len() * shape.elements();
        if labels.is_empty() {
            return Err(Error::Samples(String::from("there are none")));
        }
        if expected == 0 || samples.len() != expected {
            let (n, values) = (labels.len(), samples.len());
            return Err(Error::Samples(format!(
                "{n} labels of {shape} samples need {expected} values, there are {values}"
            )));
        }
        let hole = match &samples {
            Samples::F32(values) => values.iter().position(|value| !value.is_finite()),
            Samples::U8 { .. } => None,
        };
        match hole {
            None => Ok(Self { split, shape, samples, labels }),
            Some(at) => {
                let sample = at / shape.elements();
                Err(Error::Samples(format!("sample {sample} holds a value that is not finite")))
            }
        }
    }

    /// Reads an `.npz` file with `x` (float32 or uint8, `[n, h, w, c]`, `[n, h, w]` or `[n, c]`; uint8 means `x / 255`)
    /// and `y` (an integer class per sample).
    ///
    /// # Errors
    /// [`Error::Data`] names the file.
    pub fn npz(path: &Path, split: Split) -> Result<Self> {
        npz::load(path, split).map_err(|reason| Error::Data { path: path.to_owned(), reason })
    }

    /// Reads a pair of IDX files (MNIST's format), gzipped or not; a pixel means `byte / 255`, one channel.
    ///
    /// # Errors
    /// [`Error::Data`] names the file at fault.
    pub fn idx(images: &Path, labels: &Path, split: Split) -> Result<Self> {
        idx::load(images, labels, split)
    }

    /// Number of samples; never 0.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Never true: an empty data set cannot be made.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// What the samples may be used for.
    pub fn split(&self) -> Split {
        self.split
    }

    /// Shape of one sample.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Class of every sample.
    pub fn labels(&self) -> &[u16] {
        &self.labels
    }

    /// All values as stored.
    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// Tells data sets apart: another shape, value or label gives, but for chance, another number. Stays the same for good.
    pub fn id(&self) -> u64 {
        let Shape { h, w, c } = self.shape;
        let words = [h, w, c].map(|size| size as u64).into_iter();
        let labels = self.labels.iter().map(|&label| u64::from(label));
        match &self.samples {
            Samples::F32(values) => fnv1a(words.chain(values.iter().map(|value| value.to_bits().into())).chain(labels)),
            Samples::U8 { bytes, scale } => {
                let scale = std::iter::once(scale.to_bits().into());
                fnv1a(words.chain(scale).chain(bytes.iter().map(|&byte| byte.into())).chain(labels))
            }
        }
    }

    /// Writes the real values of sample `index` to `out`, which is made as long as a sample.
    ///
    /// # Panics
    /// When there is no such sample.
    pub fn read(&self, index: usize, out: &mut Vec<f32>) {
        let range = index * self.shape.elements()..(index + 1) * self.shape.elements();
        out.clear();
        match &self.samples {
            Samples::F32(values) => out.extend_from_slice(&values[range]),
            Samples::U8 { bytes, scale } => out.extend(bytes[range].iter().map(|&b| f32::from(b) * scale)),
        }
    }

    /// The samples of `range` as a data set of their own, for another use if `split` says so: how a validation set is
    /// cut off a training set.
    ///
    /// # Errors
    /// [`Error::Samples`] when the range is empty or reaches beyond the end, or when test samples would become
    /// anything else.
    pub fn part(&self, range: Range<usize>, split: Split) -> Result<Self> {
        if range.is_empty() || range.end > self.len() {
            return Err(Error::Samples(format!("there are {} samples, {range:?} is not a part of them", self.len())));
        }
        if self.split == Split::Test && split != Split::Test {
            return Err(Error::Samples(format!("test samples may not be used as {}", split.name())));
        }
        let n = self.shape.elements();
        let samples = self.samples.slice(range.start * n..range.end * n);
        Self::new(split, self.shape, samples, self.labels[range].to_vec())
    }

    /// The first `n` samples, or all if there are fewer.
    pub fn first(&self, n: usize) -> Self {
        let n = n.clamp(1, self.len());
        let samples = self.samples.slice(0..n * self.shape.elements());
        Self { split: self.split, shape: self.shape, samples, labels: self.labels[..n].to_vec() }
    }

    pub(crate) fn check_shape(&self, input: Shape) -> Result<()> {
        if self.shape == input {
            return Ok(());
        }
        Err(Error::Samples(format!("samples are {}, the model takes {input}", self.shape)))
    }
}

/// FNV-1a, over words instead of bytes: a cryptographic hash over 43 MB would cost seconds in a debug build.
fn fnv1a(words: impl Iterator<Item = u64>) -> u64 {
    words.fold(0xcbf2_9ce4_8422_2325, |hash, word| (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn four() -> Dataset {
        let samples = Samples::U8 { bytes: (0..8).collect(), scale: 0.5 };
        Dataset::new(Split::Test, Shape::new(1, 1, 2), samples, vec![0, 1, 2, 3]).expect("consistent")
    }

    #[test]
    fn samples_are_read_as_real_numbers() {
        let mut out = Vec::new();
        four().read(3, &mut out);
        assert_eq!(out, [3.0, 3.5]);
    }

    #[test]
    fn another_value_label_scale_or_shape_is_another_data_set() {
        let data = |bytes: &[u8], scale, shape, labels: &[u16]| {
            let samples = Samples::U8 { bytes: bytes.to_vec(), scale };
            Dataset::new(Split::Train, shape, samples, labels.to_vec()).expect("consistent").id()
        };
        let (wide, high) = (Shape::new(1, 2, 1), Shape::new(2, 1, 1));
        let ids = [
            data(&[1, 2, 3, 4], 1.0, wide, &[0, 1]),
            data(&[1, 2, 4, 3], 1.0, wide, &[0, 1]),
            data(&[1, 2, 3, 4], 0.5, wide, &[0, 1]),
            data(&[1, 2, 3, 4], 1.0, high, &[0, 1]),
            data(&[1, 2, 3, 4], 1.0, wide, &[1, 0]),
        ];
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[..at].contains(id), "{at}");
        }
        assert_eq!(ids[0], 0x08b0_c5ac_70bc_a1e0, "saved checkpoints hold it");
    }

    #[test]
    fn test_samples_stay_test_samples() {
        assert!(four().part(0..2, Split::Train).is_err());
        assert_eq!(four().part(1..3, Split::Test).expect("within").labels(), [1, 2]);
        assert!(four().part(2..5, Split::Test).is_err());
    }

    #[test]
    fn values_and_labels_must_agree() {
        let shape = Shape::new(1, 1, 2);
        assert!(Dataset::new(Split::Train, shape, Samples::F32(vec![0.0; 3]), vec![0, 1]).is_err());
        assert!(Dataset::new(Split::Train, shape, Samples::F32(vec![f32::NAN; 4]), vec![0, 1]).is_err());
        assert!(Dataset::new(Split::Train, shape, Samples::F32(vec![]), vec![]).is_err());
    }
}
