//! How a network is fine-tuned, as one value: given on the command line or as a campaign's `fine-tune` table.

use super::error::QatError;
use bitrack_model::Bits;
use serde::{Deserialize, Serialize};

/// In which order a network learns to live with what is rounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Recipe {
    /// Weights and activations at once, linear, with learned step sizes
    #[default]
    Lsq,
    /// First half: squashed weights, nothing else rounded; second half: everything, linear
    TwoStage,
}

/// Share of a two-stage run that its first stage takes.
pub const FIRST_STAGE: f64 = 0.5;

/// Everything besides network and samples that decides what comes out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct FineTune {
    /// In which order things are rounded.
    pub recipe: Recipe,
    /// Batches to learn from. The same number gives the same network, bit for bit.
    pub steps: Option<usize>,
    /// Instead of steps, how long to learn: what comes out then depends on the machine.
    pub seconds: Option<f64>,
    /// Samples per step.
    pub batch: usize,
    /// Highest rate; it falls to zero along a cosine. Relative: see [`super::Parameters`]. By default [`usual_rate`].
    pub learning_rate: Option<f64>,
    /// Share of the loss that the float network teaches, 0 to 1; the labels teach the rest.
    pub distill: f64,
    /// What logits are divided by before the student is held against its teacher.
    pub temperature: f64,
    /// Samples are moved up or down by at most so many rows at random (time steps of a spectrogram), their edge repeated.
    pub shift: usize,
    /// Bits of the optimizer's moments, 32 or 8 (block-wise).
    pub moment_bits: u8,
    /// Seed of the order of samples and of their shifts.
    pub seed: u64,
}

impl Default for FineTune {
    fn default() -> Self {
        Self {
            recipe: Recipe::default(),
            steps: None,
            seconds: None,
            batch: 64,
            learning_rate: None,
            distill: 0.7,
            temperature: 2.0,
            shift: 2,
            moment_bits: 32,
            seed: 1,
        }
    }
}

impl FineTune {
    /// Refuses what cannot be meant.
    ///
    /// # Errors
    /// [`QatError::Options`] names the key.
    pub fn check(&self) -> Result<(), QatError> {
        self.fault().map_or(Ok(()), |fault| Err(QatError::Options(fault.into())))
    }

    /// What cannot be meant, in words.
    pub fn fault(&self) -> Option<&'static str> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        match (self.steps, self.seconds) {
            (None, None) => return Some("give steps or seconds"),
            (Some(_), Some(_)) => return Some("give steps or seconds, not both"),
            (Some(0), None) => return Some("steps must be at least 1"),
            (Some(1), None) if self.recipe == Recipe::TwoStage => {
                return Some("steps must be at least 2 with recipe two-stage: one for each stage");
            }
            (None, Some(seconds)) if !positive(seconds) => return Some("seconds must be positive"),
            _ => {}
        }
        match () {
            () if self.batch == 0 => Some("batch must be at least 1"),
            () if !self.learning_rate.is_none_or(positive) => Some("learning-rate must be positive"),
            () if !(0.0..=1.0).contains(&self.distill) => Some("distill is a share, 0 to 1"),
            () if !positive(self.temperature) => Some("temperature must be positive"),
            () if !matches!(self.moment_bits, 8 | 32) => Some("moment-bits must be 8 or 32"),
            () => None,
        }
    }

    /// How far a run is, 0 to 1, after so many steps and seconds.
    pub fn progress(&self, steps: usize, seconds: f64) -> f64 {
        match (self.steps, self.seconds) {
            (Some(all), _) => steps as f64 / all as f64,
            (None, Some(all)) => seconds / all,
            (None, None) => 1.0,
        }
    }

    /// Learning rate at a share of the run, of a network whose narrowest weights have this width. Each stage has a cosine of its own.
    pub fn rate(&self, progress: f64, narrowest: Bits) -> f64 {
        let progress = match self.recipe {
            Recipe::Lsq => progress,
            Recipe::TwoStage if progress < FIRST_STAGE => progress / FIRST_STAGE,
            Recipe::TwoStage => (progress - FIRST_STAGE) / (1.0 - FIRST_STAGE),
        };
        let highest = self.learning_rate.unwrap_or(usual_rate(narrowest));
        highest * 0.5 * (1.0 + (std::f64::consts::PI * progress.clamp(0.0, 1.0)).cos())
    }
}

/// The highest rate that weights of this width bear. A step of two-bit weights is half of their range: they jump to and fro between codes at
/// a rate that wider ones learn well with (`docs/fine-tuning.md` has the measurements).
pub const fn usual_rate(narrowest: Bits) -> f64 {
    match narrowest {
        Bits::Two => 1e-3,
        Bits::Four | Bits::Eight => 2e-3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_or_seconds_and_no_nonsense() {
        let with = |json: &str| serde_json::from_str::<FineTune>(json).map_err(|e| e.to_string());
        let checked = |json: &str| with(json).and_then(|options| options.check().map_err(|e| e.to_string()));
        assert_eq!(checked(r#"{"steps": 10}"#), Ok(()));
        assert_eq!(checked(r#"{"seconds": 1.5, "moment-bits": 8}"#), Ok(()));
        assert_eq!(checked(r#"{"steps": 2, "recipe": "two-stage"}"#), Ok(()));
        assert!(checked(r#"{"steps": 1, "recipe": "two-stage"}"#).expect_err("a stage each").contains("at least 2"));
        let error = checked(r#"{"steps": 2, "recipe": "three-stage"}"#).expect_err("unknown");
        assert!(error.contains("unknown variant `three-stage`, expected `lsq` or `two-stage`"), "{error}");
        assert_eq!(checked("{}"), Err("fine-tune: give steps or seconds".into()));
        assert_eq!(checked(r#"{"steps": 1, "distill": 2}"#), Err("fine-tune: distill is a share, 0 to 1".into()));
        assert!(checked(r#"{"step": 1}"#).expect_err("unknown").contains("unknown field `step`"));
    }

    #[test]
    fn the_rate_falls_to_zero() {
        let options = FineTune { steps: Some(10), ..FineTune::default() };
        assert_eq!(options.rate(options.progress(0, 99.0), Bits::Eight), usual_rate(Bits::Eight));
        assert!(options.rate(options.progress(10, 0.0), Bits::Eight) < 1e-12);
        // Each of two stages begins at the top.
        let stages = FineTune { recipe: Recipe::TwoStage, ..options };
        assert_eq!(stages.rate(0.5, Bits::Eight), stages.rate(0.0, Bits::Eight));
        assert!(stages.rate(0.499, Bits::Eight) < 1e-6 && stages.rate(1.0, Bits::Eight) < 1e-12);
    }

    #[test]
    fn narrow_weights_learn_more_slowly_unless_told_otherwise() {
        let usual = FineTune::default();
        assert!(usual.rate(0.0, Bits::Two) < usual.rate(0.0, Bits::Four));
        let given = FineTune { learning_rate: Some(0.5), ..FineTune::default() };
        assert_eq!((given.rate(0.0, Bits::Two), given.rate(0.0, Bits::Eight)), (0.5, 0.5));
    }
}
