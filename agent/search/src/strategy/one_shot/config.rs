//! How policy and weights are trained together.

use super::super::reinforce::ReinforceConfig;
use crate::qat::{FineTune, Recipe};
use serde::{Deserialize, Serialize};

/// What a campaign may set under `agent.one-shot`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct OneShotConfig {
    /// Batches that the weights learn from, each at bits of its own.
    pub steps: usize,
    /// Share of the steps, at the beginning, in which bits are drawn evenly and the policy learns nothing.
    pub warm_up: f64,
    /// Choices of bits that are compared on validation samples after each step.
    pub samples: usize,
    /// Step size of the policy's logits; by default what suits so many comparisons.
    pub rate: Option<f64>,
    /// Weight of the entropy penalty at the end.
    pub entropy: f64,
    /// Share of the old value that the moving averages of the quality keep.
    pub decay: f64,
    /// Training samples per step.
    pub batch: usize,
    /// Highest rate of the weights; it falls to zero along a cosine. By default what two-bit weights bear, which are drawn as well.
    pub learning_rate: Option<f64>,
    /// Share of the loss that the float network teaches.
    pub distill: f64,
    /// Temperature of the teacher.
    pub temperature: f64,
    /// Rows that samples are moved by at random, at most.
    pub shift: usize,
    /// Bits of the optimizer's moments, 32 or 8.
    pub moment_bits: u8,
}

impl Default for OneShotConfig {
    fn default() -> Self {
        let (policy, weights) = (ReinforceConfig::default(), FineTune::default());
        Self {
            steps: 400,
            warm_up: 0.25,
            samples: 2,
            rate: None,
            entropy: policy.entropy,
            decay: policy.decay,
            batch: weights.batch,
            learning_rate: weights.learning_rate,
            distill: weights.distill,
            temperature: weights.temperature,
            shift: weights.shift,
            moment_bits: weights.moment_bits,
        }
    }
}

impl OneShotConfig {
    /// Refuses what cannot be meant.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn check(&self) -> Result<(), &'static str> {
        match () {
            () if self.steps == 0 => Err("steps must be at least 1"),
            () if !(0.0..1.0).contains(&self.warm_up) => Err("warm-up is a share of the steps, 0 to less than 1"),
            () if self.samples == 0 => Err("samples must be at least 1"),
            () if self.rate.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) => Err("rate must be positive"),
            () if !(self.entropy >= 0.0 && self.entropy.is_finite()) => Err("entropy must not be negative"),
            () if !(0.0..1.0).contains(&self.decay) => Err("decay is a share, 0 to less than 1"),
            () => self.weights(0).fault().map_or(Ok(()), Err),
        }
    }

    /// How the weights are trained.
    pub(super) fn weights(&self, seed: u64) -> FineTune {
        FineTune {
            steps: Some(self.steps),
            seconds: None,
            batch: self.batch,
            learning_rate: self.learning_rate,
            recipe: Recipe::Lsq,
            distill: self.distill,
            temperature: self.temperature,
            shift: self.shift,
            moment_bits: self.moment_bits,
            seed,
        }
    }

    /// How the policy is trained, over the comparisons that follow the warm-up.
    pub(super) fn policy(&self) -> ReinforceConfig {
        let usual = ReinforceConfig::for_budget((self.steps - self.warm_up_steps()) * self.samples);
        let rate = self.rate.unwrap_or(usual.rate);
        ReinforceConfig { rate, entropy: self.entropy, decay: self.decay, ..usual }
    }

    pub(super) fn warm_up_steps(&self) -> usize {
        (self.warm_up * self.steps as f64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused_by_name() {
        let checked = |json: &str| {
            let config: OneShotConfig = serde_json::from_str(json).expect("known keys");
            config.check()
        };
        assert_eq!(checked("{}"), Ok(()));
        assert_eq!(checked(r#"{"warm-up": 1}"#), Err("warm-up is a share of the steps, 0 to less than 1"));
        assert_eq!(checked(r#"{"samples": 0}"#), Err("samples must be at least 1"));
        assert_eq!(checked(r#"{"batch": 0}"#), Err("batch must be at least 1"));
        assert_eq!(checked(r#"{"moment-bits": 16}"#), Err("moment-bits must be 8 or 32"));
        let error = serde_json::from_str::<OneShotConfig>(r#"{"step": 3}"#).expect_err("unknown").to_string();
        assert!(error.contains("unknown field `step`"), "{error}");
    }
}
