//! Weights to integers, one output channel at a time.
//!
//! Minimises `(q*s - w)^T C (q*s - w)`, the expected squared change of the channel's output, over the scale `s` and
//! the codes `q`, by coordinate descent from plain rounding: one code at a time moves to its best value given the
//! others (Frantar et al. 2022 solve the same problem greedily, once through).

use crate::bits::Bits;
use crate::calibrate::Moments;
use crate::float::FloatWeights;

/// Shares of the largest weight that the scale search lets the largest code stand for. Narrow widths gain from clipping.
const CLIPS: [f64; 14] = [1.0, 0.94, 0.88, 0.82, 0.76, 0.7, 0.64, 0.58, 0.52, 0.46, 0.4, 0.34, 0.28, 0.22];
/// Candidates that survive plain rounding and are optimised.
const FINALISTS: usize = 3;
/// Passes over all codes; the descent stops earlier when nothing moves.
const SWEEPS: usize = 20;
/// Fits of the scale; the descent stops earlier when one does not help.
const FITS: usize = 20;
/// Weights behind one output up to which codes are optimised. A sweep costs their square for every output: beyond this,
/// minutes for a layer, while so many rounding errors average out by themselves.
const DESCENT_WEIGHTS: usize = 256;
/// Share of the mean variance added to every variance: inputs that calibration never saw move must still keep their weight.
const DAMPING: f64 = 0.01;

/// Codes and scales of a layer, in the order of its float weights.
#[derive(Debug, Clone)]
pub struct RoundedWeights {
    pub values: Vec<i8>,
    pub scales: Vec<f32>,
}

/// Rounds a layer's weights to `bits`.
pub fn round(weights: &FloatWeights, moments: &Moments, bits: Bits) -> RoundedWeights {
    let n = weights.values.len() / weights.bias.len();
    let mut rounded = RoundedWeights { values: Vec::with_capacity(weights.values.len()), scales: Vec::new() };
    for (channel, row) in weights.values.chunks_exact(n).enumerate() {
        let problem = Problem::new(row, moments.covariance(channel), bits);
        let solution = problem.solve();
        rounded.values.extend(solution.codes.iter().map(|&q| q as i8));
        rounded.scales.push(solution.scale as f32);
    }
    rounded
}

/// One output channel.
struct Problem<'a> {
    weights: &'a [f32],
    covariance: &'a [f64],
    damping: f64,
    low: f64,
    high: f64,
}

/// Codes, their scale, and the expected squared error.
#[derive(Debug, Clone)]
struct Solution {
    codes: Vec<f64>,
    scale: f64,
    error: f64,
}

impl<'a> Problem<'a> {
    fn new(weights: &'a [f32], covariance: &'a [f64], bits: Bits) -> Self {
        let n = weights.len();
        let trace: f64 = (0..n).map(|i| covariance[i * n + i]).sum();
        let (low, high) = bits.signed_range();
        let damping = (DAMPING * trace / n as f64).max(1e-12);
        Self { weights, covariance, damping, low: f64::from(low), high: f64::from(high) }
    }

    fn solve(&self) -> Solution {
        let full = self.full_scale();
        if full <= 0.0 {
            return Solution { codes: vec![0.0; self.weights.len()], scale: 1.0, error: 0.0 };
        }
        let mut candidates: Vec<Solution> = CLIPS.iter().map(|clip| self.plain(full * clip)).collect();
        candidates.sort_by(|a, b| a.error.total_cmp(&b.error));
        if self.weights.len() > DESCENT_WEIGHTS {
            return candidates.swap_remove(0);
        }
        candidates.truncate(FINALISTS);
        let descended = candidates.into_iter().map(|start| self.descend(start));
        descended.min_by(|a, b| a.error.total_cmp(&b.error)).expect("there are finalists")
    }

    /// The scale at which nothing is clipped on either side; 0 when all weights are.
    fn full_scale(&self) -> f64 {
        let largest = |sign: f64| self.weights.iter().map(|&w| f64::from(w) * sign).fold(0.0, f64::max);
        (largest(1.0) / self.high).max(largest(-1.0) / -self.low)
    }

    /// Plain rounding at a scale.
    fn plain(&self, scale: f64) -> Solution {
        let scale = f64::from(scale as f32);
        let codes: Vec<f64> = self.weights.iter().map(|&w| self.code(f64::from(w) / scale)).collect();
        let error = self.error(&codes, scale);
        Solution { codes, scale, error }
    }

    fn code(&self, value: f64) -> f64 {
        value.round().clamp(self.low, self.high)
    }

    /// `C e` for the error of these codes, damping included.
    fn gradient(&self, codes: &[f64], scale: f64) -> Vec<f64> {
        let errors: Vec<f64> = codes.iter().zip(self.weights).map(|(q, &w)| q * scale - f64::from(w)).collect();
        self.times(&errors)
    }

    fn times(&self, vector: &[f64]) -> Vec<f64> {
        let rows = self.covariance.chunks_exact(vector.len()).zip(vector);
        rows.map(|(row, &v)| row.iter().zip(vector).map(|(c, e)| c * e).sum::<f64>() + self.damping * v).collect()
    }

    fn error(&self, codes: &[f64], scale: f64) -> f64 {
        let gradient = self.gradient(codes, scale);
        codes.iter().zip(self.weights).zip(&gradient).map(|((q, &w), g)| (q * scale - f64::from(w)) * g).sum()
    }

    /// Moves codes until no single move helps, then fits the scale to them; repeated while that helps. From few samples the
    /// error comes as close to zero as rounding allows, or below: what is gained then is nothing.
    fn descend(&self, start: Solution) -> Solution {
        let mut best = start;
        for _ in 0..FITS {
            let codes = self.descend_codes(best.codes.clone(), best.scale);
            let scale = self.best_scale(&codes).unwrap_or(best.scale);
            let error = self.error(&codes, scale);
            if best.error - error <= 1e-6 * best.error.abs() {
                break;
            }
            best = Solution { codes, scale, error };
        }
        best
    }

    fn descend_codes(&self, mut codes: Vec<f64>, scale: f64) -> Vec<f64> {
        let n = codes.len();
        let mut gradient = self.gradient(&codes, scale);
        for _ in 0..SWEEPS {
            let mut moved = false;
            for i in 0..n {
                let curvature = self.covariance[i * n + i] + self.damping;
                let code = self.code(codes[i] - gradient[i] / (curvature * scale));
                let step = (code - codes[i]) * scale;
                if step == 0.0 {
                    continue;
                }
                codes[i] = code;
                moved = true;
                let column = &self.covariance[i * n..(i + 1) * n];
                gradient.iter_mut().zip(column).for_each(|(g, c)| *g += c * step);
                gradient[i] += self.damping * step;
            }
            if !moved {
                break;
            }
        }
        codes
    }

    /// `s = q^T C w / q^T C q`, where that is a positive number.
    fn best_scale(&self, codes: &[f64]) -> Option<f64> {
        let product = self.times(codes);
        let with_weights: f64 = product.iter().zip(self.weights).map(|(p, &w)| p * f64::from(w)).sum();
        let with_codes: f64 = product.iter().zip(codes).map(|(p, q)| p * q).sum();
        let scale = f64::from((with_weights / with_codes) as f32);
        (scale.is_finite() && scale > 0.0).then_some(scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `A^T A` of a random matrix: a covariance.
    fn covariance(n: usize, values: &[f64]) -> Vec<f64> {
        let row = |i: usize, k: usize| values[(i * 7 + k * 3) % values.len()];
        (0..n * n).map(|at| (0..n).map(|k| row(at / n, k) * row(at % n, k)).sum()).collect()
    }

    #[test]
    fn an_error_below_zero_ends_the_descent() {
        // Not quite a covariance, as sums of floats may be.
        let covariance = [1.0, 1.02, 1.02, 1.0];
        let problem = Problem { damping: 0.0, ..Problem::new(&[0.27, -0.46], &covariance, Bits::Two) };
        let solution = problem.solve();
        assert!(solution.error.is_finite() && solution.scale > 0.0);
    }

    proptest! {
        #[test]
        fn never_worse_than_plain_rounding(
            weights in prop::collection::vec(-2f32..2.0, 1..24),
            values in prop::collection::vec(-1f64..1.0, 5..60),
            width in 0usize..3,
        ) {
            let covariance = covariance(weights.len(), &values);
            let problem = Problem::new(&weights, &covariance, Bits::ALL[width]);
            let solution = problem.solve();
            let full = problem.full_scale();
            prop_assume!(full > 0.0);
            for clip in CLIPS {
                prop_assert!(solution.error <= problem.plain(full * clip).error, "clip {}", clip);
            }
            prop_assert!(solution.codes.iter().all(|&q| (problem.low..=problem.high).contains(&q) && q.fract() == 0.0));
            prop_assert!(solution.scale > 0.0);
        }
    }

    #[test]
    fn correlated_inputs_let_errors_cancel() {
        // Two inputs that always move together: only the sum of their weights matters, and 0.5 + 0.5 is representable.
        let problem = Problem { weights: &[0.5, 0.5], covariance: &[1.0; 4], damping: 1e-12, low: -2.0, high: 1.0 };
        let rounded = problem.descend_codes(vec![1.0, 1.0], 1.0);
        assert_eq!(rounded.iter().sum::<f64>(), 1.0);
    }

    #[test]
    fn a_channel_of_zeros_has_a_valid_scale() {
        let problem = Problem::new(&[0.0; 3], &[0.0; 9], Bits::Two);
        let solution = problem.solve();
        assert_eq!((solution.codes, solution.scale), (vec![0.0; 3], 1.0));
    }
}
