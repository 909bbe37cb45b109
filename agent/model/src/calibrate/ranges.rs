//! From a tensor's distribution to its scale and zero point.

use crate::bits::Bits;
use crate::quantized::TensorQuant;

/// Bins between a tensor's smallest and largest value: 16 per step of an 8-bit code.
const BINS: usize = 4096;
/// How many shares of the observed range the error search tries, per side.
const STEPS: usize = 48;

/// How the range that codes cover is chosen from what was observed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RangeMethod {
    /// Everything observed.
    MinMax,
    /// All but this share of the values on each side, `0.0001` for example.
    Percentile(f64),
    /// The range with the least mean squared quantization error.
    Mse,
}

/// Counts of a tensor's values. Exact zeros are not counted: zero has a code of its own at every scale.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    low: f32,
    high: f32,
    counts: Vec<u64>,
}

impl Histogram {
    pub(super) fn new((low, high): (f32, f32)) -> Self {
        Self { low, high, counts: vec![0; BINS] }
    }

    /// Smallest and largest value, with zero between or at them.
    pub fn bounds(&self) -> (f32, f32) {
        (self.low, self.high)
    }

    pub(super) fn add(&mut self, values: &[f32]) {
        let per_value = BINS as f32 / (self.high - self.low).max(f32::MIN_POSITIVE);
        for &value in values.iter().filter(|&&v| v != 0.0) {
            let bin = ((value - self.low) * per_value) as usize;
            self.counts[bin.min(BINS - 1)] += 1;
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a += b);
    }

    /// Scale and zero point at a width.
    pub fn quant(&self, bits: Bits, method: RangeMethod) -> TensorQuant {
        match method {
            RangeMethod::MinMax => covering(self.low, self.high, bits),
            RangeMethod::Percentile(share) => {
                let (low, high) = self.without_tails(share);
                covering(low, high, bits)
            }
            RangeMethod::Mse => self.least_error(bits),
        }
    }

    fn without_tails(&self, share: f64) -> (f32, f32) {
        let total: u64 = self.counts.iter().sum();
        let tail = (total as f64 * share) as u64;
        let cut = |counts: &mut dyn Iterator<Item = &u64>| {
            let mut seen = 0;
            counts
                .take_while(|&&n| {
                    seen += n;
                    seen <= tail
                })
                .count()
        };
        let below = cut(&mut self.counts.iter());
        let above = cut(&mut self.counts.iter().rev());
        let width = self.bin_width();
        (self.low + below as f32 * width, self.high - above as f32 * width)
    }

    /// Tries shares of the observed range on each side that has values, none of it included.
    fn least_error(&self, bits: Bits) -> TensorQuant {
        let filled: Vec<(f32, f64)> = self.filled_bins().collect();
        let shares = |bound: f32| if bound == 0.0 { 1 } else { STEPS + 1 };
        let share = |i: usize| 1.0 - i as f32 / STEPS as f32;
        let mut best = (f64::INFINITY, covering(self.low, self.high, bits));
        for i in 0..shares(self.low) {
            for j in 0..shares(self.high) {
                let quant = covering(self.low * share(i), self.high * share(j), bits);
                let error = squared_error(&filled, &quant, best.0);
                if error < best.0 {
                    best = (error, quant);
                }
            }
        }
        best.1
    }

    fn filled_bins(&self) -> impl Iterator<Item = (f32, f64)> + '_ {
        let width = self.bin_width();
        let bins = self.counts.iter().enumerate().filter(|&(_, &n)| n > 0);
        bins.map(move |(i, &n)| (self.low + (i as f32 + 0.5) * width, n as f64))
    }

    fn bin_width(&self) -> f32 {
        (self.high - self.low) / BINS as f32
    }
}

/// Sum over values of the squared difference to their code's real number; gives up beyond `limit`.
fn squared_error(bins: &[(f32, f64)], quant: &TensorQuant, limit: f64) -> f64 {
    let mut error = 0.0;
    for chunk in bins.chunks(256) {
        for &(value, count) in chunk {
            let difference = f64::from(quant.real(quant.code(value)) - value);
            error += count * difference * difference;
        }
        if error >= limit {
            return f64::INFINITY;
        }
    }
    error
}

/// The finest scale whose codes reach from `low` to `high` (`low <= 0 <= high`), zero being a code.
fn covering(low: f32, high: f32, bits: Bits) -> TensorQuant {
    let steps = f32::from(bits.max_code());
    // A side that has values needs a code at least.
    let (least, most) = (if low < 0.0 { 1.0 } else { 0.0 }, if high > 0.0 { steps - 1.0 } else { steps });
    let ideal = if high > low { -low * steps / (high - low) } else { 0.0 };
    let scale = |zero: f32| {
        let below = if zero > 0.0 { -low / zero } else { 0.0 };
        let above = if zero < steps { high / (steps - zero) } else { 0.0 };
        below.max(above)
    };
    let zeros = [ideal.floor(), ideal.ceil()].map(|zero| zero.clamp(least, most));
    let zero = if scale(zeros[0]) <= scale(zeros[1]) { zeros[0] } else { zeros[1] };
    let scale = if scale(zero) > f32::MIN_POSITIVE { scale(zero) } else { 1.0 };
    TensorQuant { bits, scale, zero: zero as u8 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn histogram(values: &[f32]) -> Histogram {
        let fold = |f: fn(f32, f32) -> f32| values.iter().copied().fold(0.0, f);
        let mut histogram = Histogram::new((fold(f32::min), fold(f32::max)));
        histogram.add(values);
        histogram
    }

    #[test]
    fn a_tensor_of_zeros_has_a_valid_scale() {
        for method in [RangeMethod::MinMax, RangeMethod::Percentile(0.01), RangeMethod::Mse] {
            let quant = histogram(&[0.0; 9]).quant(Bits::Four, method);
            assert_eq!((quant.scale, quant.zero), (1.0, 0), "{method:?}");
        }
    }

    #[test]
    fn outliers_are_cut_by_percentile_and_by_error_but_not_by_min_max() {
        let mut values: Vec<f32> = (0..10_000).map(|i| i as f32 / 10_000.0).collect();
        values.push(50.0);
        let scale = |method| histogram(&values).quant(Bits::Four, method).scale;
        assert!(scale(RangeMethod::MinMax) > 3.0);
        assert!(scale(RangeMethod::Percentile(0.001)) < 0.08);
        assert!(scale(RangeMethod::Mse) < scale(RangeMethod::MinMax));
    }

    proptest! {
        #[test]
        fn min_max_covers_everything_to_half_a_step(
            values in prop::collection::vec(-1e3f32..1e3, 1..50),
            width in 0usize..3,
        ) {
            let quant = histogram(&values).quant(Bits::ALL[width], RangeMethod::MinMax);
            prop_assert_eq!(quant.real(quant.zero), 0.0);
            for &v in &values {
                let error = (quant.real(quant.code(v)) - v).abs();
                prop_assert!(error <= 0.501 * quant.scale, "{} by {} at {:?}", v, error, quant);
            }
        }

        #[test]
        fn the_search_is_never_worse_than_min_max(values in prop::collection::vec(-5f32..20.0, 1..300), width in 0usize..3) {
            let histogram = histogram(&values);
            let bins: Vec<_> = histogram.filled_bins().collect();
            let error = |m| squared_error(&bins, &histogram.quant(Bits::ALL[width], m), f64::INFINITY);
            prop_assert!(error(RangeMethod::Mse) <= error(RangeMethod::MinMax));
        }
    }
}
