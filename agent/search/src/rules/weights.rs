//! Cutting weights until the network fits the flash.

use super::Infeasible;
use bitrack_model::Bits;

/// A layer within this share of the largest one counts as equally large; the first of them is cut.
const SHARE_MARGIN: f64 = 0.05;

/// Bits of the weights of each layer such that `flash_bytes` of them is at most `flash`.
///
/// `counts` are the layers' weights. While the network is too large, the first layer whose share of all weight bytes is the
/// largest, or within five points of it, is halved.
///
/// # Errors
/// [`Infeasible::Flash`] when 2-bit weights are not enough.
pub fn cut_weights(counts: &[u64], flash: u64, flash_bytes: impl Fn(&[Bits]) -> u64) -> Result<Vec<Bits>, Infeasible> {
    let minimum = flash_bytes(&vec![Bits::Two; counts.len()]);
    if minimum > flash {
        return Err(Infeasible::Flash { minimum, limit: flash });
    }
    let mut bits = vec![Bits::Eight; counts.len()];
    while flash_bytes(&bits) > flash {
        let Some(layer) = largest(counts, &bits) else { break };
        bits[layer] = bits[layer].narrower().unwrap_or(Bits::Two);
    }
    Ok(bits)
}

fn largest(counts: &[u64], bits: &[Bits]) -> Option<usize> {
    let bytes: Vec<f64> = counts.iter().zip(bits).map(|(&n, b)| n as f64 * f64::from(b.get()) / 8.0).collect();
    let total: f64 = bytes.iter().sum();
    let candidates = || (0..bits.len()).filter(|&i| bits[i] != Bits::Two);
    let share = |i: usize| bytes[i] / total;
    let most = candidates().map(share).fold(0.0, f64::max);
    candidates().find(|&i| share(i) == most || share(i) > most - SHARE_MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(counts: &'static [u64]) -> impl Fn(&[Bits]) -> u64 {
        |bits| counts.iter().zip(bits).map(|(n, b)| n * u64::from(b.get()) / 8).sum()
    }

    #[test]
    fn the_largest_is_cut_first_and_ties_go_to_the_front() {
        const COUNTS: &[u64] = &[10, 96, 100];
        assert_eq!(cut_weights(COUNTS, 206, bytes(COUNTS)), Ok(vec![Bits::Eight; 3]));
        assert_eq!(cut_weights(COUNTS, 205, bytes(COUNTS)), Ok(vec![Bits::Eight, Bits::Four, Bits::Eight]));
        assert_eq!(cut_weights(COUNTS, 157, bytes(COUNTS)), Ok(vec![Bits::Eight, Bits::Four, Bits::Four]));
    }

    #[test]
    fn the_minimum_is_told() {
        const COUNTS: &[u64] = &[100, 100];
        assert_eq!(cut_weights(COUNTS, 49, bytes(COUNTS)), Err(Infeasible::Flash { minimum: 50, limit: 49 }));
    }
}
