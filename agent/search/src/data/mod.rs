//! Data sets cut into the three splits of a search.
//!
//! Which split a number comes from is part of its type: a reward takes a [`Validation`], training takes a
//! [`Train`], and the final figure takes a [`Test`]. Mixing them up does not compile. Reading files is
//! `bitrack-model`'s work.

mod spec;
mod split;

pub use spec::DataSpec;
pub use split::{Splits, Test, Train, Validation};

use bitrack_model::Dataset;
use bitrack_model::graph::Shape;

/// What can be wrong with a data set.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file cannot be read, is damaged, or holds values that are no numbers.
    #[error(transparent)]
    Dataset(#[from] bitrack_model::Error),
    /// The validation split cannot judge a class it does not contain.
    #[error("{source_name}: class {class} has no sample in the validation split; accuracy on it would be meaningless")]
    ClassMissing {
        /// Where the data come from.
        source_name: String,
        /// The absent class.
        class: usize,
    },
    /// Too few samples to cut three splits from.
    #[error("{source_name}: {samples} samples are too few to cut into training, validation and test")]
    TooFew {
        /// Where the data come from.
        source_name: String,
        /// Number of samples.
        samples: usize,
    },
    /// The samples are not what the model takes.
    #[error("the model takes {model} (height x width x channels) but the data hold {data}")]
    Shape {
        /// What the model takes.
        model: Shape,
        /// What the data hold.
        data: Shape,
    },
    /// A label stands for no output of the model.
    #[error("sample {sample} of the {split} split has the label {label}, but the model's classes are 0 to {}", outputs.saturating_sub(1))]
    Label {
        /// Index of the first such sample.
        sample: usize,
        /// The split it is in.
        split: &'static str,
        /// Its label.
        label: u16,
        /// The model's outputs.
        outputs: usize,
    },
    /// The specification itself is not understood.
    #[error(
        "unknown data `{spec}`: expected `fashion-mnist`, `fashion-mnist:FOLDER`, `npz:FILE`, `npz:TRAIN,TEST`, or a folder with train.npz and eval.npz"
    )]
    Spec {
        /// What was asked for.
        spec: String,
    },
}

/// Classes that occur: one more than the highest label.
pub fn classes(data: &Dataset) -> usize {
    data.labels().iter().max().map_or(0, |&label| usize::from(label) + 1)
}

/// Refuses data that a model of this input shape and number of outputs cannot be judged on.
///
/// # Errors
/// [`DataError::Shape`] and [`DataError::Label`].
pub fn check_model(data: &Dataset, input: Shape, outputs: usize) -> Result<(), DataError> {
    if data.shape() != input {
        return Err(DataError::Shape { model: input, data: data.shape() });
    }
    check_labels(data, outputs)
}

/// Refuses labels that a model of so many outputs cannot give.
///
/// # Errors
/// [`DataError::Label`] names the first.
pub fn check_labels(data: &Dataset, outputs: usize) -> Result<(), DataError> {
    match data.labels().iter().position(|&label| usize::from(label) >= outputs) {
        Some(sample) => {
            Err(DataError::Label { sample, split: data.split().name(), label: data.labels()[sample], outputs })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitrack_model::{Samples, Split};

    fn toy(labels: Vec<u16>) -> Dataset {
        Dataset::new(Split::Validation, Shape::new(1, 1, 2), Samples::F32(vec![0.0; labels.len() * 2]), labels)
            .expect("valid")
    }

    #[test]
    fn a_model_of_another_shape_is_refused_with_both() {
        let error = check_model(&toy(vec![0]), Shape::new(2, 1, 1), 1).expect_err("shape").to_string();
        assert_eq!(error, "the model takes 2x1x1 (height x width x channels) but the data hold 1x1x2");
    }

    #[test]
    fn a_label_outside_the_models_classes_is_named() {
        let error = check_model(&toy(vec![0, 7]), Shape::new(1, 1, 2), 2).expect_err("label").to_string();
        assert_eq!(error, "sample 1 of the validation split has the label 7, but the model's classes are 0 to 1");
        assert!(check_model(&toy(vec![0, 1]), Shape::new(1, 1, 2), 2).is_ok());
    }
}
