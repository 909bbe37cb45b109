//! What a search is after: the one number a strategy maximises, or the front.

/// What a campaign is after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// The candidate of the highest reward.
    #[default]
    Reward,
    /// The candidates that no other beats in accuracy, ticks, flash and RAM.
    Front,
}

/// Reward per percentage point of accuracy: HAQ's lambda.
pub const REWARD_PER_POINT: f64 = 0.1;
/// Subtracted from every candidate that is too slow, so that none of them beats a similar one that is not.
const TOO_SLOW: f64 = 1.0;
/// Subtracted per full multiple of the latency limit above it, so that less slow is better.
const PER_EXCESS: f64 = 10.0;

/// What was found out about one candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Fraction of the validation samples classified correctly; 0 when the board could not run the candidate.
    pub accuracy: f64,
    /// Median ticks of one inference, on the slowest of the campaign's board types; `None` when it did not run.
    pub ticks: Option<u64>,
}

/// The reward of a candidate:
///
/// ```text
/// 0.1 * 100 * (accuracy - reference)  -  [ticks > limit] * (1 + 10 * (ticks / limit - 1))
/// ```
///
/// `reference` is the validation accuracy of the same network with 8 bits everywhere, so that 0 means "as good as 8 bits"
/// and one percentage point is worth 0.1 (HAQ's lambda). Flash and RAM do not appear: the projection enforces them.
/// Everything in it is in the database: accuracy and ticks of the episode, accuracy of the episode labelled
/// `uniform 8/8`, and the campaign's limit.
pub fn reward(measured: Measured, reference: f64, limit_ticks: Option<u64>) -> f64 {
    let gain = REWARD_PER_POINT * 100.0 * (measured.accuracy - reference);
    match (measured.ticks, limit_ticks) {
        (Some(ticks), Some(limit)) if ticks > limit => {
            gain - TOO_SLOW - PER_EXCESS * (ticks as f64 / limit as f64 - 1.0)
        }
        _ => gain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accuracy: f64, ticks: u64) -> f64 {
        reward(Measured { accuracy, ticks: Some(ticks) }, 0.9, Some(1000))
    }

    #[test]
    fn a_point_of_accuracy_is_a_tenth() {
        assert!((of(0.91, 1000) - 0.1).abs() < 1e-12);
        assert!((of(0.9, 10)).abs() < 1e-12);
    }

    #[test]
    fn too_slow_is_punished_by_how_much() {
        assert!((of(0.9, 1100) + 2.0).abs() < 1e-12);
        assert!(of(0.9, 1200) < of(0.9, 1100) && of(0.9, 1100) < of(0.89, 1000));
    }
}
