//! Least squares with a prior: the few lines of linear algebra that predictions need.

/// A normal distribution over coefficients, in the form that observations are easily added to.
#[derive(Debug, Clone)]
pub struct Gaussian {
    /// Inverse covariance, symmetric, row by row.
    precision: Vec<Vec<f64>>,
    /// Precision times mean.
    shift: Vec<f64>,
}

impl Gaussian {
    /// Independent coefficients, each with a mean and a standard deviation above 0.
    pub fn prior(coefficients: &[(f64, f64)]) -> Self {
        let n = coefficients.len();
        let mut precision = vec![vec![0.0; n]; n];
        let mut shift = vec![0.0; n];
        for (i, &(mean, deviation)) in coefficients.iter().enumerate() {
            precision[i][i] = 1.0 / (deviation * deviation);
            shift[i] = mean * precision[i][i];
        }
        Self { precision, shift }
    }

    /// Learns that `features * coefficients` was seen as `value`, give or take `deviation`.
    pub fn observe(&mut self, features: &[f64], value: f64, deviation: f64) {
        let weight = 1.0 / (deviation * deviation);
        for (i, &a) in features.iter().enumerate().filter(|&(_, &a)| a != 0.0) {
            self.shift[i] += weight * a * value;
            self.precision[i].iter_mut().zip(features).for_each(|(p, &b)| *p += weight * a * b);
        }
    }

    /// The most likely coefficients.
    pub fn mean(&self) -> Vec<f64> {
        let lower = cholesky(&self.precision);
        backward(&lower, &forward(&lower, &self.shift))
    }

    /// Coefficients drawn from the distribution; `normal` draws from the standard normal one.
    pub fn sample(&self, mut normal: impl FnMut() -> f64) -> Vec<f64> {
        let lower = cholesky(&self.precision);
        let mean = backward(&lower, &forward(&lower, &self.shift));
        let noise: Vec<f64> = mean.iter().map(|_| normal()).collect();
        backward(&lower, &noise).iter().zip(mean).map(|(noise, mean)| noise + mean).collect()
    }
}

/// The lower factor of a positive definite matrix. Precisions are: priors put something positive on every diagonal entry.
fn cholesky(matrix: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let n = matrix.len();
    let mut lower = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
            lower[i][j] = match i == j {
                // Rounding may push a pivot to zero when a coefficient is nearly known.
                true => (matrix[i][i] - dot).max(f64::MIN_POSITIVE.sqrt()).sqrt(),
                false => (matrix[i][j] - dot) / lower[j][j],
            };
        }
    }
    lower
}

fn forward(lower: &[Vec<f64>], right: &[f64]) -> Vec<f64> {
    let mut x = vec![0.0; right.len()];
    for i in 0..x.len() {
        let dot: f64 = (0..i).map(|k| lower[i][k] * x[k]).sum();
        x[i] = (right[i] - dot) / lower[i][i];
    }
    x
}

fn backward(lower: &[Vec<f64>], right: &[f64]) -> Vec<f64> {
    let n = right.len();
    let mut x = vec![0.0; n];
    for i in (0..n).rev() {
        let dot: f64 = (i + 1..n).map(|k| lower[k][i] * x[k]).sum();
        x[i] = (right[i] - dot) / lower[i][i];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enough_observations_override_the_prior() {
        let mut gaussian = Gaussian::prior(&[(0.0, 1.0), (5.0, 1.0)]);
        assert_eq!(gaussian.mean(), [0.0, 5.0]);
        for (x, y) in [(1.0, 2.0), (2.0, 1.0), (-1.0, 3.0)] {
            gaussian.observe(&[x, y], 3.0 * x - 2.0 * y, 1e-6);
        }
        let mean = gaussian.mean();
        assert!((mean[0] - 3.0).abs() < 1e-6 && (mean[1] + 2.0).abs() < 1e-6, "{mean:?}");
    }

    #[test]
    fn samples_spread_as_far_as_the_distribution() {
        let mut gaussian = Gaussian::prior(&[(1.0, 2.0), (0.0, 0.5)]);
        gaussian.observe(&[1.0, 0.0], 1.0, 2.0);
        // Two looks at the first coefficient with deviation 2 each leave 2 / sqrt(2).
        let one = gaussian.sample(|| 1.0);
        assert!((one[0] - 1.0 - 2.0f64.sqrt()).abs() < 1e-9 && (one[1] - 0.5).abs() < 1e-9, "{one:?}");
    }
}
