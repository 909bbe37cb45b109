//! Cutting a data set into training, validation and test samples.

use super::{DataError, classes};
use bitrack_model::{Dataset, Samples, Split};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// The split's shuffle never changes: a campaign resumed next year must see the same validation samples.
const SPLIT_SEED: u64 = 0x00b1_77ac;

/// Samples a network may be trained or calibrated on.
#[derive(Debug, Clone)]
pub struct Train(pub Dataset);

/// Samples a reward is computed on; never trained on, never reported as the result.
#[derive(Debug, Clone)]
pub struct Validation(pub Dataset);

/// Samples only the final figure is computed on.
#[derive(Debug, Clone)]
pub struct Test(pub Dataset);

/// One data set, cut for a search.
#[derive(Debug, Clone)]
pub struct Splits {
    /// For training and calibration.
    pub train: Train,
    /// For rewards.
    pub validation: Validation,
    /// For the final figure.
    pub test: Test,
}

impl Splits {
    /// Takes `validation` samples out of `rest` (each class in proportion) and leaves the others for training.
    ///
    /// # Errors
    /// [`DataError::ClassMissing`] when a class that occurs anywhere has no validation sample, and
    /// [`DataError::TooFew`] when a split would be empty.
    pub fn new(source_name: &str, rest: &Dataset, validation: usize, test: Dataset) -> Result<Self, DataError> {
        let (kept, taken) = stratify(rest.labels(), validation);
        let too_few = || DataError::TooFew { source_name: source_name.into(), samples: rest.len() };
        if kept.is_empty() || taken.is_empty() {
            return Err(too_few());
        }
        let validation = Validation(select(rest, &taken, Split::Validation)?);
        let present = validation.0.labels();
        match (0..classes(rest).max(classes(&test)))
            .find(|&class| !present.iter().any(|&label| usize::from(label) == class))
        {
            Some(class) => Err(DataError::ClassMissing { source_name: source_name.into(), class }),
            None => Ok(Self { train: Train(select(rest, &kept, Split::Train)?), validation, test: Test(test) }),
        }
    }

    /// Tells data apart: what another sample or label of any split changes.
    pub fn id(&self) -> u64 {
        let ids = [&self.train.0, &self.validation.0, &self.test.0].map(Dataset::id);
        ids.into_iter().fold(0, |all, id| all.rotate_left(21) ^ id)
    }
}

/// The samples at `indices`, in that order.
///
/// # Errors
/// [`bitrack_model::Error::Samples`] when `indices` is empty.
pub fn select(data: &Dataset, indices: &[usize], split: Split) -> Result<Dataset, DataError> {
    let size = data.shape().elements();
    let samples = match data.samples() {
        Samples::F32(values) => Samples::F32(gather(values, size, indices)),
        Samples::U8 { bytes, scale } => Samples::U8 { bytes: gather(bytes, size, indices), scale: *scale },
    };
    let labels = indices.iter().map(|&i| data.labels()[i]).collect();
    Ok(Dataset::new(split, data.shape(), samples, labels)?)
}

fn gather<T: Copy>(values: &[T], size: usize, indices: &[usize]) -> Vec<T> {
    indices.iter().flat_map(|&i| &values[i * size..(i + 1) * size]).copied().collect()
}

/// Divides `0..labels.len()` into (kept, taken), taking about `wanted` in proportion to each class, both shuffled.
///
/// Shuffling the taken ones makes any prefix of the validation split a fair sample of it.
pub fn stratify(labels: &[u16], wanted: usize) -> (Vec<usize>, Vec<usize>) {
    let mut rng = ChaCha8Rng::seed_from_u64(SPLIT_SEED);
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.shuffle(&mut rng);
    let mut quotas = quotas(labels, wanted);
    order.into_iter().partition(|&index| match &mut quotas[usize::from(labels[index])] {
        0 => true,
        quota => {
            *quota -= 1;
            false
        }
    })
}

/// How many samples of each class make up `wanted`, rounded half up.
fn quotas(labels: &[u16], wanted: usize) -> Vec<usize> {
    let mut counts = vec![0usize; labels.iter().max().map_or(0, |&label| usize::from(label) + 1)];
    for &label in labels {
        counts[usize::from(label)] += 1;
    }
    counts.iter().map(|count| (count * wanted + labels.len() / 2) / labels.len().max(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitrack_model::graph::Shape;
    use proptest::prelude::*;

    fn toy(split: Split, labels: Vec<u16>) -> Dataset {
        let values = (0..labels.len()).map(|i| i as f32).collect();
        Dataset::new(split, Shape::new(1, 1, 1), Samples::F32(values), labels).expect("valid")
    }

    #[test]
    fn a_class_without_validation_samples_is_named() {
        let error =
            Splits::new("toy", &toy(Split::Train, vec![0; 20]), 5, toy(Split::Test, vec![1])).expect_err("class 1");
        assert_eq!(
            error.to_string(),
            "toy: class 1 has no sample in the validation split; accuracy on it would be meaningless"
        );
    }

    #[test]
    fn too_few_samples_are_refused() {
        let error =
            Splits::new("toy", &toy(Split::Train, vec![0]), 0, toy(Split::Test, vec![0])).expect_err("one sample");
        assert!(matches!(error, DataError::TooFew { samples: 1, .. }));
    }

    #[test]
    fn samples_keep_their_labels_and_splits_their_names() {
        let labels: Vec<u16> = (0..50).map(|i| i % 5).collect();
        let splits =
            Splits::new("toy", &toy(Split::Train, labels.clone()), 10, toy(Split::Test, vec![4])).expect("valid");
        assert_eq!((splits.train.0.len(), splits.validation.0.len()), (40, 10));
        assert_eq!((splits.train.0.split(), splits.validation.0.split()), (Split::Train, Split::Validation));
        let mut value = Vec::new();
        for (i, &label) in splits.validation.0.labels().iter().enumerate() {
            splits.validation.0.read(i, &mut value);
            assert_eq!(labels[value[0] as usize], label);
        }
    }

    proptest! {
        #[test]
        fn no_sample_is_in_two_splits(labels in prop::collection::vec(0u16..4, 1..200), percent in 0usize..100) {
            let wanted = labels.len() * percent / 100;
            let (kept, taken) = stratify(&labels, wanted);
            let mut all: Vec<usize> = kept.iter().chain(&taken).copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
            // Rounding may add or drop half a sample per class.
            prop_assert!(taken.len().abs_diff(wanted) <= 2);
        }
    }
}
