//! Dynamic tree quantization: 256 values in [-1, 1], or in [0, 1], whose spacing shrinks with their size.

use serde::{Deserialize, Serialize};

/// Decades below 1 that are told apart.
const DECADES: u32 = 7;

/// 256 values, ascending; the last is 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Codebook(Vec<f32>);

impl Codebook {
    /// Values of both signs. The decade below 1 has 64 of each sign, the next 32, and so on down to one at 5.5e-7: the middles
    /// of equal parts of `[0.1, 1]`, times a power of ten. With 0 and 1 that makes 256 (arXiv 2110.02861, section 1.3).
    pub fn signed() -> Self {
        let magnitudes = magnitudes(1);
        let negative = magnitudes.iter().map(|value| -value);
        Self::sorted(negative.chain(magnitudes.iter().copied()))
    }

    /// The same without negative values, whose places go to twice as fine a division: for second moments.
    pub fn unsigned() -> Self {
        Self::sorted(magnitudes(2).into_iter())
    }

    fn sorted(values: impl Iterator<Item = f64>) -> Self {
        let mut all: Vec<f32> = values.chain([0.0, 1.0]).map(|value| value as f32).collect();
        all.sort_unstable_by(f32::total_cmp);
        Self(all)
    }

    /// The values.
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// The value that a code stands for.
    pub fn value(&self, code: u8) -> f32 {
        self.0[usize::from(code)]
    }

    /// The code of the nearest value; of two equally near ones, the lower.
    pub fn nearest(&self, value: f32) -> u8 {
        let above = self.0.partition_point(|&known| known < value).min(self.0.len() - 1);
        let below = above.saturating_sub(1);
        let is_below = value - self.0[below] <= self.0[above] - value;
        (if is_below { below } else { above }) as u8
    }

    /// Equally spaced values, for comparison.
    #[cfg(test)]
    pub fn linear(lowest: f32) -> Self {
        Self((0..256).map(|i| lowest + (1.0 - lowest) * i as f32 / 255.0).collect())
    }
}

/// In each decade from the lowest, twice as many as in the one before, beginning with `first`.
fn magnitudes(first: u32) -> Vec<f64> {
    let decade = |index: u32| {
        let count = first << index;
        let top = 10f64.powi(index as i32 + 1 - DECADES as i32);
        (0..count).map(move |i| top * (0.1 + 0.9 * (f64::from(i) + 0.5) / f64::from(count)))
    };
    (0..DECADES).flat_map(decade).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked out by hand from the definition.
    #[test]
    fn golden_values() {
        let near =
            |found: f32, expected: f64| assert!((f64::from(found) / expected - 1.0).abs() < 1e-6, "{found} {expected}");
        let signed = Codebook::signed();
        assert_eq!(signed.values().len(), 256);
        near(signed.value(0), -0.992_968_75);
        near(signed.value(1), -0.978_906_25);
        // 127 negative values, then 0, the smallest positive one, and the two of the decade above it.
        assert_eq!(signed.value(127), 0.0);
        near(signed.value(126), -5.5e-7);
        near(signed.value(128), 5.5e-7);
        near(signed.value(129), 3.25e-6);
        near(signed.value(130), 7.75e-6);
        // The lowest of the topmost decade.
        near(signed.value(191), 0.107_031_25);
        near(signed.value(254), 0.992_968_75);
        assert_eq!(signed.value(255), 1.0);

        let unsigned = Codebook::unsigned();
        assert_eq!((unsigned.values().len(), unsigned.value(0), unsigned.value(255)), (256, 0.0, 1.0));
        near(unsigned.value(1), 3.25e-7);
        near(unsigned.value(2), 7.75e-7);
        near(unsigned.value(254), 0.996_484_375);
    }

    #[test]
    fn values_ascend_and_are_their_own_nearest() {
        for book in [Codebook::signed(), Codebook::unsigned()] {
            assert!(book.values().windows(2).all(|pair| pair[0] < pair[1]));
            assert!((0..=255).all(|code| book.nearest(book.value(code)) == code));
        }
    }

    #[test]
    fn nearest_agrees_with_a_search_of_all() {
        let book = Codebook::signed();
        for i in -1000..=1000 {
            let value = i as f32 / 1000.0;
            let best = (0..=255).min_by(|&a, &b| {
                let distance = |code: u8| (f64::from(book.value(code)) - f64::from(value)).abs();
                distance(a).total_cmp(&distance(b))
            });
            let (found, best) = (book.nearest(value), best.expect("256 codes"));
            let distance = |code: u8| (book.value(code) - value).abs();
            assert_eq!(distance(found), distance(best), "{value}");
        }
    }
}
