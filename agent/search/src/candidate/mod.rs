//! From a policy to an image and its accuracy, with everything that is the same for all policies done once.

mod costs;
mod geometry;
mod judge;
mod shared;
mod source;

pub use costs::ModelCosts;
pub use geometry::geometry;
pub use judge::HostJudge;
pub use shared::HostTraining;
pub use source::{CandidateError, Pick, Preparation, Source};

use crate::data::{Splits, Test, Validation};
use crate::env::Space;
use crate::qat::{FineTune, Tuner, Watch};
use bitrack_model::{
    Bits, LowerOptions, Policy, QuantizedModel, Quantizer, Variant, Variants, evaluate, footprint, lower,
};
use sha2::{Digest, Sha256};
use std::time::Instant;

/// Makes candidates of one model.
#[derive(Debug)]
pub struct Builder {
    quantizer: Quantizer,
    model_id: u64,
    splits: Splits,
    vectors: usize,
    section_align_log2: u8,
    variants: Variants,
}

/// A candidate ready to be flashed.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The bytes to flash.
    pub image: Vec<u8>,
    /// Their SHA-256 in hex.
    pub sha256: String,
    /// Bytes that count against a flash limit: the image without its test vectors.
    pub flash_bytes: u64,
    /// Bytes that count against a RAM limit: the planned peak of the arena.
    pub ram_bytes: u64,
    /// Milliseconds it took to quantize, fine-tune and lower.
    pub image_ms: f64,
}

/// A share of samples found, and how long that took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Accuracy {
    /// Fraction of the samples classified correctly.
    pub top1: f64,
    /// Number of samples.
    pub samples: usize,
    /// Milliseconds.
    pub ms: f64,
}

/// One op of an image with its bits, as the daemon's API wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpBits {
    /// Name of the layer.
    pub name: String,
    /// Kind of operator.
    pub kind: &'static str,
    /// Bits of its weights, if it has any.
    pub weight_bits: Option<u8>,
    /// Bits of its first input.
    pub input_bits: u8,
    /// Bits of its output.
    pub output_bits: u8,
    /// Multiply-accumulates, if it has weights.
    pub macs: Option<u64>,
    /// What it works on: see [`geometry`].
    pub geometry: String,
    /// By which variant of its kernel the image computes it, if it has weights.
    pub variant: Option<Variant>,
}

impl Builder {
    /// The tensors whose bits may be chosen.
    pub fn space(&self) -> Space {
        Space::new(self.quantizer.model().graph())
    }

    /// Hash of the float network, topology and weights.
    pub fn network_id(&self) -> u64 {
        self.model_id
    }

    /// By which variants its images are computed.
    pub fn variants(&self) -> &Variants {
        &self.variants
    }

    /// Has images computed by other variants.
    pub fn set_variants(&mut self, variants: Variants) {
        self.variants = variants;
    }

    /// Flash and RAM of any choice, by arithmetic.
    pub fn costs(&self) -> ModelCosts {
        ModelCosts::new(self.space(), self.section_align_log2, self.variants.clone())
    }

    /// Quantizes and lowers.
    ///
    /// # Errors
    /// What `bitrack-model` refuses; [`CandidateError::Footprint`] when the arithmetic was wrong.
    pub fn build(&self, policy: &Policy) -> Result<Candidate, CandidateError> {
        self.build_by(policy, &self.variants)
    }

    /// The same by other variants than this builder's.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn build_by(&self, policy: &Policy, variants: &Variants) -> Result<Candidate, CandidateError> {
        let start = Instant::now();
        self.lower(policy, &self.quantizer.quantize(policy)?, variants, start)
    }

    /// Quantizes, fine-tunes on the training samples, and lowers. Goes on from the checkpoint that `watch` has.
    ///
    /// # Errors
    /// What [`Builder::build`], [`Tuner::run`] and `watch` say.
    pub fn fine_tune<W: Watch>(&self, policy: &Policy, options: &FineTune, watch: &mut W) -> Result<Candidate, W::Error>
    where
        W::Error: From<CandidateError>,
    {
        let start = Instant::now();
        let tuner = Tuner::new(&self.quantizer, policy, &self.splits.train.0, options)?;
        Ok(self.lower(policy, &tuner.run(watch)?, &self.variants, start)?)
    }

    /// Lowers a network that was trained at a policy's bits.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn trained(&self, policy: &Policy, model: &QuantizedModel) -> Result<Candidate, CandidateError> {
        self.lower(policy, model, &self.variants, Instant::now())
    }

    fn lower(
        &self,
        policy: &Policy,
        model: &QuantizedModel,
        variants: &Variants,
        start: Instant,
    ) -> Result<Candidate, CandidateError> {
        let vectors = (self.vectors > 0).then_some((&self.splits.validation.0, self.vectors));
        let section_align_log2 = self.section_align_log2;
        let options = LowerOptions { section_align_log2, model_id: self.model_id, variants: variants.clone(), vectors };
        let image = lower(model, &options)?;
        let planned = footprint(self.quantizer.model().graph(), policy, section_align_log2, variants)?;
        if (planned.flash, planned.ram) != (image.model_bytes, image.planned_peak) {
            let made = (image.model_bytes, image.planned_peak);
            return Err(CandidateError::Footprint { planned: (planned.flash, planned.ram), made });
        }
        Ok(Candidate {
            sha256: hex(&Sha256::digest(&image.bytes)),
            flash_bytes: image.model_bytes as u64,
            ram_bytes: image.planned_peak as u64,
            image: image.bytes,
            image_ms: start.elapsed().as_secs_f64() * 1e3,
        })
    }

    /// Accuracy of an image on the first `samples` validation samples, with the integer kernels, in parallel.
    ///
    /// # Errors
    /// An image that is not valid.
    pub fn validate(&self, image: &[u8], samples: usize) -> Result<Accuracy, CandidateError> {
        let Validation(data) = &self.splits.validation;
        accuracy(image, &data.first(samples))
    }

    /// Accuracy of an image on all test samples: for the final figure only.
    ///
    /// # Errors
    /// An image that is not valid.
    pub fn test(&self, image: &[u8]) -> Result<Accuracy, CandidateError> {
        let Test(data) = &self.splits.test;
        accuracy(image, data)
    }

    /// The splits in use.
    pub fn splits(&self) -> &Splits {
        &self.splits
    }

    /// Bits of every op of the image of a policy, in its order. Without the image, no variants are known: it names what really runs.
    ///
    /// # Errors
    /// A policy for another model, or an image that is none.
    pub fn ops(&self, policy: &Policy, image: Option<&[u8]>) -> Result<Vec<OpBits>, CandidateError> {
        let named = image.map(bitrack_model::variants).transpose()?.unwrap_or_default();
        let graph = self.quantizer.model().graph();
        let (tensors, weights) = (policy.tensor_bits(graph)?, policy.layer_bits(graph)?);
        let op = |(index, weights): (usize, Option<Bits>)| {
            let layer = &graph.layers[index];
            OpBits {
                name: layer.name.clone(),
                kind: layer.op.name(),
                weight_bits: weights.map(|bits| bits.get()),
                input_bits: tensors[layer.inputs[0].0].get(),
                output_bits: tensors[layer.output.0].get(),
                macs: weights.map(|_| graph.macs(layer) as u64),
                geometry: geometry(graph, layer, &tensors),
                variant: weights.and(named.get(index).copied()),
            }
        };
        Ok(weights.into_iter().enumerate().map(op).collect())
    }
}

fn accuracy(image: &[u8], data: &bitrack_model::Dataset) -> Result<Accuracy, CandidateError> {
    let start = Instant::now();
    let top1 = evaluate(image, data)?.top1;
    Ok(Accuracy { top1, samples: data.len(), ms: start.elapsed().as_secs_f64() * 1e3 })
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
