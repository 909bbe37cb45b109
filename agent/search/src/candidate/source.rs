//! Loading a model and its data, and preparing both.

use super::Builder;
use crate::data::{DataError, DataSpec, Splits, check_model};
use bitrack_model::graph::Graph;
use bitrack_model::{FloatModel, Imported, Quantizer, RangeMethod, Variant, Variants, equalize, import};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What can go wrong with a candidate or what it is made of.
#[derive(Debug, thiserror::Error)]
pub enum CandidateError {
    /// The model file.
    #[error("model {path}: {source}")]
    Model {
        /// The file.
        path: PathBuf,
        /// Why it cannot be used.
        source: bitrack_model::Error,
    },
    /// The model file, and the reason names it.
    #[error("model {0}")]
    ModelFile(bitrack_model::Error),
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Quantizing, lowering or evaluating.
    #[error(transparent)]
    Build(#[from] bitrack_model::Error),
    /// Fine-tuning.
    #[error(transparent)]
    FineTune(#[from] crate::qat::QatError),
    /// The search's arithmetic and the image disagree: a defect, and no search could be trusted.
    #[error("footprint (flash, RAM) was computed as {planned:?} but the image has {made:?}")]
    Footprint {
        /// By arithmetic.
        planned: (usize, usize),
        /// In the image.
        made: (usize, usize),
    },
}

/// How a model is prepared for quantization.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Preparation {
    /// Training samples that ranges are calibrated on.
    pub calibration_samples: usize,
    /// How ranges are chosen: `min-max`, `percentile` (all but 0.01 % on each side) or `mse`.
    pub calibration: Method,
    /// Whether the channels of each tensor are balanced first.
    pub equalize: bool,
    /// Test vectors in each image, each an input with its expected output, which boards are checked against.
    pub vectors: usize,
    /// Alignment of each layer's section in the image, as a power of two.
    pub section_align_log2: u8,
    /// By which variants of kernels images are computed, where there are several.
    pub variants: Pick,
}

/// What picks among the variants of a kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Pick {
    /// What was measured to be fastest, where all variants were; the usual one elsewhere
    #[default]
    Measured,
    /// The usual one: the fewest instructions
    Usual,
    /// What adds the least code to a runner for one network
    Small,
    /// `general` wherever there is a choice
    General,
    /// `rows` where there is that
    Rows,
}

impl Pick {
    /// The variants of a network's layers, as far as they follow from the network.
    pub fn variants(self, graph: &Graph) -> Variants {
        match self {
            Pick::Measured | Pick::Usual => Variants::default(),
            Pick::Small => Variants::small(graph),
            Pick::General => Variants::forced(graph, &[Variant::General]),
            Pick::Rows => Variants::forced(graph, &[Variant::Rows]),
        }
    }
}

/// How the range of a tensor's codes is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Everything observed.
    MinMax,
    /// Without the outermost 0.01 % on each side.
    Percentile,
    /// The least squared error.
    Mse,
}

impl Default for Preparation {
    fn default() -> Self {
        let calibration = Method::Mse;
        let variants = Pick::default();
        Self { calibration_samples: 512, calibration, equalize: true, vectors: 2, section_align_log2: 2, variants }
    }
}

/// A model and data that fit each other.
#[derive(Debug)]
pub struct Source {
    model: FloatModel,
    splits: Splits,
}

impl Source {
    /// Loads both and checks that they fit. An int8 TensorFlow Lite file is searched as the float network it stands for.
    ///
    /// # Errors
    /// An unusable file; data of another shape, or with labels the model does not have.
    pub fn load(model: &Path, data: &str) -> Result<Self, CandidateError> {
        use bitrack_model::Error;
        let wrong = |source| match source {
            Error::Io { .. } | Error::BadModelFile { .. } => CandidateError::ModelFile(source),
            source => CandidateError::Model { path: model.to_owned(), source },
        };
        let model = match import(model).map_err(wrong)? {
            Imported::Float(float) => float,
            Imported::Quantized(quantized) => quantized.dequantize().map_err(wrong)?,
        };
        let outputs = model.graph().shape(model.graph().output).elements();
        let splits = data.parse::<DataSpec>()?.load(Some(outputs))?;
        Self::new(model, splits)
    }

    /// Joins a model and data.
    ///
    /// # Errors
    /// Data of another shape, or with labels the model does not have.
    pub fn new(model: FloatModel, splits: Splits) -> Result<Self, CandidateError> {
        let graph = model.graph();
        let outputs = graph.shape(graph.output).elements();
        for data in [&splits.train.0, &splits.validation.0, &splits.test.0] {
            check_model(data, graph.shape(graph.input), outputs)?;
        }
        Ok(Self { model, splits })
    }

    /// Balances and calibrates on training samples.
    ///
    /// # Errors
    /// A network whose activations are not finite.
    pub fn prepare(self, preparation: &Preparation) -> Result<Builder, CandidateError> {
        let samples = self.splits.train.0.first(preparation.calibration_samples);
        let model_id = self.model.id();
        let model = if preparation.equalize { equalize(&self.model, &samples)? } else { self.model };
        let method = match preparation.calibration {
            Method::MinMax => RangeMethod::MinMax,
            Method::Percentile => RangeMethod::Percentile(1e-4),
            Method::Mse => RangeMethod::Mse,
        };
        let variants = preparation.variants.variants(model.graph());
        Ok(Builder {
            quantizer: Quantizer::new(model, &samples, method)?,
            model_id,
            splits: self.splits,
            vectors: preparation.vectors,
            section_align_log2: preparation.section_align_log2,
            variants,
        })
    }
}
