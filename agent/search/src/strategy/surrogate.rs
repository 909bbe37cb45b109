//! A guess at rewards: a level, and what each tensor at each narrow width takes from it.

use crate::linear::Gaussian;
use bitrack_model::Bits;

/// How far a tensor's loss at a narrow width may be from 0, as a share of the spread of rewards.
const OWN_SHARE: f64 = 0.5;
/// How far a reward may be from a sum of losses, as a share of the spread; and more of how far it is from the best, because losses do
/// not add up where little is left to lose.
const NOISE: f64 = 0.15;
const NOISE_SHARE: f64 = 0.5;

/// Fitted to measured candidates.
#[derive(Debug)]
pub struct Surrogate(Vec<f64>);

impl Surrogate {
    /// Of a network with so many tensors, from bits and their rewards.
    pub fn new<'a>(slots: usize, seen: impl Iterator<Item = (&'a [Bits], f64)>) -> Self {
        let seen: Vec<(&[Bits], f64)> = seen.collect();
        let mut rewards: Vec<f64> = seen.iter().map(|(_, reward)| *reward).collect();
        rewards.sort_by(f64::total_cmp);
        let (Some(&best), Some(&median)) = (rewards.last(), rewards.get(rewards.len() / 2)) else {
            return Self(vec![0.0; 1 + 2 * slots]);
        };
        // The better half's: one disaster is no scale.
        let spread = (best - median).max(1e-3);
        let own = std::iter::repeat_n((0.0, OWN_SHARE * spread), 2 * slots);
        let mut coefficients = Gaussian::prior(&std::iter::once((best, spread)).chain(own).collect::<Vec<_>>());
        for (bits, reward) in seen {
            coefficients.observe(&features(bits), reward, NOISE * spread + NOISE_SHARE * (best - reward));
        }
        Self(coefficients.mean())
    }

    /// The reward that these bits may have.
    pub fn predict(&self, bits: &[Bits]) -> f64 {
        features(bits).iter().zip(&self.0).map(|(feature, coefficient)| feature * coefficient).sum()
    }
}

/// One for the level, and one for each tensor at 2 and at 4 bits.
fn features(bits: &[Bits]) -> Vec<f64> {
    let narrow =
        bits.iter().flat_map(|&width| [Bits::Two, Bits::Four].map(|narrow| f64::from(u8::from(width == narrow))));
    std::iter::once(1.0).chain(narrow).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn losses_that_add_up_are_found() {
        let reward = |bits: &[Bits]| -> f64 {
            bits.iter().enumerate().map(|(i, b)| -((2 - b.index()) as f64) * (i % 4) as f64).sum()
        };
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut draw = || (0..8).map(|_| Bits::ALL[rng.random_range(0..3)]).collect::<Vec<Bits>>();
        let seen: Vec<Vec<Bits>> = (0..60).map(|_| draw()).collect();
        let surrogate = Surrogate::new(8, seen.iter().map(|bits| (bits.as_slice(), reward(bits))));
        for _ in 0..50 {
            let (a, b) = (draw(), draw());
            if (reward(&a) - reward(&b)).abs() > 2.0 {
                assert_eq!(surrogate.predict(&a) > surrogate.predict(&b), reward(&a) > reward(&b), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn knowing_nothing_it_likes_all_alike() {
        let surrogate = Surrogate::new(4, std::iter::empty());
        assert_eq!(surrogate.predict(&[Bits::Two; 4]), surrogate.predict(&[Bits::Eight; 4]));
    }
}
