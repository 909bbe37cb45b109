//! Batch-norm folding.

use super::FloatWeights;

/// An inference-time batch norm: `y = gamma * (x - mean) / sqrt(var + eps) + beta`, per channel.
#[derive(Debug, Clone, Copy)]
pub struct BatchNorm<'a> {
    pub gamma: &'a [f32],
    pub beta: &'a [f32],
    pub mean: &'a [f32],
    pub var: &'a [f32],
    pub eps: f32,
}

impl FloatWeights {
    /// Folds a batch norm that follows the layer into its weights and bias (Jacob et al. 2018, equation 14):
    /// `w' = w * gamma / sqrt(var + eps)`, `b' = (b - mean) * gamma / sqrt(var + eps) + beta`.
    ///
    /// # Errors
    /// When a parameter's length is not the number of output channels.
    pub fn fold_batch_norm(&mut self, norm: &BatchNorm<'_>) -> Result<(), String> {
        let out = self.bias.len();
        if [norm.gamma, norm.beta, norm.mean, norm.var].iter().any(|p| p.len() != out) || out == 0 {
            return Err(format!("batch norm parameters must have {out} values each"));
        }
        let per_channel = self.values.len() / out;
        for (channel, row) in self.values.chunks_mut(per_channel).enumerate() {
            let factor = norm.gamma[channel] / (norm.var[channel] + norm.eps).sqrt();
            row.iter_mut().for_each(|w| *w *= factor);
            self.bias[channel] = (self.bias[channel] - norm.mean[channel]) * factor + norm.beta[channel];
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_equals_convolution_then_norm() {
        let mut folded = FloatWeights { values: vec![1.0, -2.0, 0.5, 4.0], bias: vec![0.25, -1.0] };
        let plain = folded.clone();
        let norm =
            BatchNorm { gamma: &[2.0, 0.5], beta: &[1.0, -3.0], mean: &[0.1, 0.7], var: &[4.0, 0.25], eps: 1e-3 };
        folded.fold_batch_norm(&norm).expect("lengths match");
        let x = [0.3, -0.9];
        for c in 0..2 {
            let dot = |w: &FloatWeights| w.values[2 * c] * x[0] + w.values[2 * c + 1] * x[1] + w.bias[c];
            let normed = norm.gamma[c] * (dot(&plain) - norm.mean[c]) / (norm.var[c] + norm.eps).sqrt() + norm.beta[c];
            assert!((dot(&folded) - normed).abs() < 1e-5);
        }
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let mut weights = FloatWeights { values: vec![1.0; 4], bias: vec![0.0; 2] };
        let norm = BatchNorm { gamma: &[1.0], beta: &[0.0], mean: &[0.0], var: &[1.0], eps: 0.0 };
        assert!(weights.fold_batch_norm(&norm).is_err());
    }
}
