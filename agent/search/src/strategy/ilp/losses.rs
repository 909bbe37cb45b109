//! What each tensor's width costs in reward: a linear model that begins with sensitivities and ends with measurements.

use crate::env::{REWARD_PER_POINT, Sensitivity};
use crate::linear::Gaussian;
use bitrack_model::Bits;
use serde::{Deserialize, Serialize};

/// Reward lost per nat of divergence, and how far that may be off, before anything was measured.
const PER_NAT: (f64, f64) = (3.0, 3.0);
/// How far a tensor's own loss may be from what its divergence says, as a share of it, and at least.
const OWN_SHARE: f64 = 0.5;
const OWN_LEAST: f64 = 0.05;
/// How far a candidate's reward may be from a sum of losses: sampling noise, and more the worse the candidate, because losses do not
/// add up where little is left to lose.
const NOISE: f64 = 0.03;
const NOISE_SHARE: f64 = 0.5;

/// A measured candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    bits: Vec<Bits>,
    /// Its accuracy, as the bits of an f64.
    accuracy: u64,
}

impl Seen {
    /// Notes a measurement.
    pub fn new(bits: &[Bits], accuracy: f64) -> Self {
        Self { bits: bits.to_vec(), accuracy: accuracy.to_bits() }
    }

    /// Accuracy in units of reward.
    fn value(&self) -> f64 {
        100.0 * REWARD_PER_POINT * f64::from_bits(self.accuracy)
    }
}

/// Losses as far as they are known: a level, the reward per nat, and a correction per tensor and narrow width.
#[derive(Debug)]
pub struct Losses<'a> {
    sensitivity: &'a Sensitivity,
    coefficients: Gaussian,
}

impl<'a> Losses<'a> {
    /// Joins sensitivities and measurements.
    pub fn new(sensitivity: &'a Sensitivity, seen: &[Seen]) -> Self {
        let best = seen.iter().map(Seen::value).fold(f64::NEG_INFINITY, f64::max);
        let level = if best.is_finite() { best } else { 0.0 };
        let mut prior = vec![(level, 1.0), PER_NAT];
        for slot in 0..sensitivity.len() {
            for width in [Bits::Two, Bits::Four] {
                prior.push((0.0, OWN_SHARE * PER_NAT.0 * sensitivity.of(slot, width) + OWN_LEAST));
            }
        }
        let mut coefficients = Gaussian::prior(&prior);
        for candidate in seen {
            let deviation = NOISE + NOISE_SHARE * (best - candidate.value());
            coefficients.observe(&features(sensitivity, &candidate.bits), candidate.value(), deviation);
        }
        Self { sensitivity, coefficients }
    }

    /// The most likely loss of every tensor at 2, 4 and 8 bits.
    pub fn likely(&self) -> Vec<[f64; 3]> {
        self.table(&self.coefficients.mean())
    }

    /// Losses that are possible.
    pub fn sample(&self, normal: impl FnMut() -> f64) -> Vec<[f64; 3]> {
        self.table(&self.coefficients.sample(normal))
    }

    fn table(&self, coefficients: &[f64]) -> Vec<[f64; 3]> {
        // More divergence is never worth something, whatever a few noisy candidates say.
        let per_nat = coefficients[1].max(PER_NAT.0 / 10.0);
        let of = |slot: usize, width: Bits, own: f64| per_nat * self.sensitivity.of(slot, width) - own;
        let row = |slot: usize| {
            let own = |width: usize| coefficients[2 + 2 * slot + width];
            [of(slot, Bits::Two, own(0)), of(slot, Bits::Four, own(1)), 0.0]
        };
        (0..self.sensitivity.len()).map(row).collect()
    }
}

/// One for the level, minus the total divergence, and one for each narrow tensor.
fn features(sensitivity: &Sensitivity, bits: &[Bits]) -> Vec<f64> {
    let total: f64 = bits.iter().enumerate().map(|(slot, &width)| sensitivity.of(slot, width)).sum();
    let own = bits.iter().flat_map(|&width| [Bits::Two, Bits::Four].map(|narrow| f64::from(u8::from(width == narrow))));
    [1.0, -total].into_iter().chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn measurements_correct_a_wrong_sensitivity() {
        // The first tensor looks harmless and is not; the second the other way round.
        let sensitivity = Sensitivity::from_floats(&[0.02, 0.01, 0.0, 0.06, 0.03, 0.0, 0.02, 0.01, 0.0]);
        let truth = [[0.3, 0.15, 0.0], [0.02, 0.0, 0.0], [0.04, 0.02, 0.0]];
        let before = Losses::new(&sensitivity, &[]).likely();
        assert!(before[0][1] < before[1][1]);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let candidate = |_| {
            let bits: Vec<Bits> = (0..3).map(|_| Bits::ALL[rng.random_range(0..3)]).collect();
            let loss: f64 = bits.iter().zip(truth).map(|(width, row)| row[width.index()]).sum();
            Seen::new(&bits, 0.9 - loss / 10.0)
        };
        let seen: Vec<Seen> = (0..27).map(candidate).collect();
        let after = Losses::new(&sensitivity, &seen).likely();
        assert!(after[0][1] > after[1][1], "{after:?}");
    }
}
