//! Exploration noise: a normal distribution cut to [0, 1].

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Draws from the normal distribution of `mean` (in [0, 1]) and `sigma`, conditioned on [0, 1], by rejection.
///
/// At least 3 in 10 draws are accepted for sigma up to 1, so that this ends.
pub fn truncated_normal(mean: f64, sigma: f64, rng: &mut ChaCha8Rng) -> f64 {
    loop {
        let value = mean + sigma * standard_normal(rng);
        if (0.0..=1.0).contains(&value) {
            return value;
        }
    }
}

/// Box and Muller's transform; the second of its two numbers is not kept, so that the generator is all the state.
pub fn standard_normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius: f64 = 1.0 - rng.random::<f64>();
    let angle: f64 = rng.random::<f64>() * std::f64::consts::TAU;
    (-2.0 * radius.ln()).sqrt() * angle.cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn draws_stay_inside_and_gather_around_the_mean() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut spread = |mean, sigma| {
            let draws: Vec<f64> = (0..4000).map(|_| truncated_normal(mean, sigma, &mut rng)).collect();
            assert!(draws.iter().all(|value| (0.0..=1.0).contains(value)));
            let average = draws.iter().sum::<f64>() / draws.len() as f64;
            (average, draws.iter().map(|value| (value - average).powi(2)).sum::<f64>() / draws.len() as f64)
        };
        let (average, variance) = spread(0.5, 0.05);
        assert!((average - 0.5).abs() < 0.005 && (variance.sqrt() - 0.05).abs() < 0.005);
        // At the edge half of the bell remains: its mean lies sigma * sqrt(2 / pi) inside.
        let (average, _) = spread(0.0, 0.1);
        assert!((average - 0.0798).abs() < 0.005, "{average}");
    }
}
