//! Arguments that name a model, its data and a policy.

use anyhow::{Context, bail};
use bitrack_model::{Bits, Policy};
use bitrack_search::candidate::{Builder, Pick, Preparation, Source};
use bitrack_search::env::Space;
use std::path::PathBuf;

/// A model, its data and the bits of a candidate.
#[derive(Debug, clap::Args)]
pub struct CandidateArgs {
    /// The network: a .tflite file, or what `hil-agent train` wrote
    #[arg(long)]
    model: PathBuf,
    /// Data set: `fashion-mnist`, `npz:FILE`, `npz:TRAIN,TEST` or a folder
    #[arg(long)]
    data: String,
    /// Bits: `WEIGHTS/ACTIVATIONS` such as 4/8, or a JSON file `{"weights": [8, 4, ...], "activations": [8, ...]}`
    #[arg(long, value_name = "SPEC")]
    policy: String,
    /// Training samples that ranges are calibrated on
    #[arg(long, default_value_t = Preparation::default().calibration_samples)]
    calibration_samples: usize,
    /// Test vectors in the image
    #[arg(long, default_value_t = Preparation::default().vectors)]
    vectors: usize,
    /// Which variants of kernels compute it, where there are several; nothing was measured here
    #[arg(long, value_enum, default_value_t = Pick::Usual)]
    variants: Pick,
}

impl CandidateArgs {
    /// Loads everything.
    ///
    /// # Errors
    /// An unusable model, data set or policy.
    pub fn load(&self) -> anyhow::Result<(Builder, Policy)> {
        let preparation = Preparation {
            calibration_samples: self.calibration_samples,
            vectors: self.vectors,
            variants: self.variants,
            ..Preparation::default()
        };
        let builder = Source::load(&self.model, &self.data)?.prepare(&preparation)?;
        let policy = parse_policy(&self.policy, &builder.space())?;
        Ok((builder, policy))
    }
}

fn parse_policy(spec: &str, space: &Space) -> anyhow::Result<Policy> {
    if let Some((weights, activations)) = spec.split_once('/')
        && let (Some(weights), Some(activations)) = (width(weights), width(activations))
    {
        return Ok(Policy::uniform(space.graph(), weights, activations));
    }
    let text = std::fs::read(spec).with_context(|| {
        format!("policy `{spec}` is neither WEIGHTS/ACTIVATIONS with widths 2, 4 or 8 nor a readable file")
    })?;
    let policy: Policy = serde_json::from_slice(&text).with_context(|| format!("policy {spec}"))?;
    let (weights, activations) = space.slots().iter().partition::<Vec<_>, _>(|slot| slot.is_weights());
    if space.bits(&policy).is_none() {
        let found = (policy.weights.len(), policy.activations.len());
        bail!(
            "policy {spec} has {found:?} widths (weights, activations), the model needs {:?}",
            (weights.len(), activations.len())
        );
    }
    Ok(policy)
}

fn width(text: &str) -> Option<Bits> {
    Bits::try_from(text.parse::<u8>().ok()?).ok()
}
