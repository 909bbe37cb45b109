//! How the demonstration network is trained, as one value that a cache can compare.

use super::network::CONVS;
use bitrack_model::Dataset;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Bumped when the training code changes in a way that changes its result.
const RECIPE_VERSION: u32 = 1;

/// Everything besides the data that decides what comes out of a training run.
#[derive(Debug, Clone, Serialize)]
pub struct Recipe {
    /// Seed of initial weights, shuffling and flips.
    pub seed: u64,
    /// Passes over the training split.
    pub epochs: usize,
    /// Images per step.
    pub batch: usize,
    /// Highest learning rate; it rises over the first tenth and falls to zero along a cosine.
    pub learning_rate: f64,
    /// Stochastic gradient descent's Nesterov momentum.
    pub momentum: f64,
    /// L2 penalty on all parameters.
    pub weight_decay: f64,
    /// Whether images are mirrored at random.
    pub flip: bool,
    /// Wall-clock limit. The schedule is compressed to meet it, so a run it cuts short is not repeatable to the bit.
    pub limit: Duration,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            seed: 1,
            epochs: 6,
            batch: 128,
            learning_rate: 0.2,
            momentum: 0.9,
            weight_decay: 5e-4,
            flip: true,
            limit: Duration::from_secs(285),
        }
    }
}

impl Recipe {
    /// Steps of all epochs over so many samples.
    pub fn steps(&self, samples: usize) -> usize {
        self.epochs * samples.div_ceil(self.batch)
    }

    /// Learning rate after the fraction `progress` of the run.
    pub fn learning_rate_at(&self, progress: f64) -> f64 {
        const WARM_UP: f64 = 0.1;
        let factor = match progress < WARM_UP {
            true => progress / WARM_UP,
            false => 0.5 * (1.0 + (std::f64::consts::PI * (progress - WARM_UP) / (1.0 - WARM_UP)).cos()),
        };
        self.learning_rate * factor.max(1e-4)
    }

    /// How far a run is that did the fraction `steps` of its steps in `elapsed`.
    ///
    /// A run on its way to finish in time is judged by its steps alone, so that it does not depend on the clock. Only a
    /// run that is behind after half the time is judged by the time, which compresses the rest of its schedule.
    pub fn progress(&self, steps: f64, elapsed: Duration) -> f64 {
        let spent = elapsed.as_secs_f64() / self.limit.as_secs_f64();
        if spent > 0.5 { steps.max(spent) } else { steps }
    }

    /// A hex digest of recipe, architecture and training data: equal digests mean that training again is pointless.
    pub fn digest(&self, train: &Dataset) -> String {
        let recipe = serde_json::to_string(self).expect("numbers and booleans always serialize");
        let mut hash = Sha256::new();
        hash.update(format!("{RECIPE_VERSION} {recipe} {CONVS:?} {:016x}", train.id()));
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitrack_model::graph::Shape;
    use bitrack_model::{Samples, Split};

    #[test]
    fn the_rate_rises_then_falls() {
        let recipe = Recipe::default();
        let rates: Vec<f64> = (0..=10).map(|i| recipe.learning_rate_at(f64::from(i) / 10.0)).collect();
        assert!(rates[0] < rates[1] && (rates[1] - recipe.learning_rate).abs() < 1e-12);
        assert!(rates[1..].windows(2).all(|pair| pair[0] > pair[1]));
    }

    #[test]
    fn the_clock_decides_only_for_a_run_that_is_late() {
        let recipe = Recipe { limit: Duration::from_secs(100), ..Recipe::default() };
        assert_eq!(recipe.progress(0.0, Duration::from_secs(40)), 0.0);
        assert_eq!(recipe.progress(0.7, Duration::from_secs(60)), 0.7);
        assert_eq!(recipe.progress(0.3, Duration::from_secs(60)), 0.6);
        assert!(recipe.progress(0.3, Duration::from_secs(100)) >= 1.0);
    }

    #[test]
    fn another_seed_or_sample_is_another_digest() {
        let samples =
            |x| Dataset::new(Split::Train, Shape::new(1, 1, 1), Samples::F32(vec![x]), vec![0]).expect("valid");
        let recipe = Recipe::default();
        let digest = recipe.digest(&samples(0.0));
        assert_eq!(digest, recipe.digest(&samples(0.0)));
        assert_ne!(digest, recipe.digest(&samples(1.0)));
        assert_ne!(digest, Recipe { seed: 2, ..recipe }.digest(&samples(0.0)));
    }
}
