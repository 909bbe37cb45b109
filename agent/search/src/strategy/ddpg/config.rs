//! HAQ's hyper-parameters.

use serde::{Deserialize, Serialize};

/// Episodes of HAQ's own searches; its schedules are stretched or compressed to other budgets.
const HAQ_EPISODES: usize = 600;
/// Random episodes at the start of HAQ's searches.
const HAQ_WARM_UP: usize = 20;

/// What a campaign may set under `agent.ddpg`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DdpgConfig {
    /// Episodes with random actions before the actor is asked.
    pub warm_up: usize,
    /// Standard deviation of the exploration noise right after the warm-up.
    pub sigma: f64,
    /// Factor on sigma per episode.
    pub sigma_decay: f64,
    /// Sigma never falls below this: a campaign is too short to repeat itself.
    pub sigma_floor: f64,
    /// Sigma after a warm start: about two tensors in twenty then get other bits than the actor means.
    pub warm_sigma: f64,
    /// Candidates that the actor imitates at a warm start.
    pub imitate: usize,
    /// Transitions per update.
    pub batch: usize,
    /// Updates per transition of a finished episode.
    pub updates_per_step: usize,
    /// The replay memory holds this many episodes.
    pub replay_per_slot: usize,
    /// Adam's step size for the actor.
    pub actor_rate: f64,
    /// Adam's step size for the critic.
    pub critic_rate: f64,
    /// Share of the new weights that the target networks take over per update.
    pub tau: f64,
    /// Discount per step.
    pub discount: f64,
}

impl Default for DdpgConfig {
    fn default() -> Self {
        Self {
            warm_up: HAQ_WARM_UP,
            sigma: 0.5,
            sigma_decay: 0.99,
            sigma_floor: 0.05,
            warm_sigma: 0.1,
            imitate: 1,
            batch: 64,
            updates_per_step: 1,
            replay_per_slot: 128,
            actor_rate: 1e-4,
            critic_rate: 1e-3,
            tau: 0.01,
            discount: 1.0,
        }
    }
}

impl DdpgConfig {
    /// HAQ's values for a search of 600 episodes. For a shorter one, at most a quarter is warm-up, sigma decays as far over
    /// the rest as HAQ's does over its, and each episode is learned from up to four times as often.
    pub fn for_budget(episodes: usize) -> Self {
        let haq = Self::default();
        let warm_up = HAQ_WARM_UP.min(episodes / 4);
        let rest = |episodes: usize, warm_up: usize| (episodes - warm_up).max(1) as f64;
        let stretch = rest(HAQ_EPISODES, HAQ_WARM_UP) / rest(episodes, warm_up);
        Self {
            warm_up,
            sigma_decay: haq.sigma_decay.powf(stretch),
            updates_per_step: (stretch.round() as usize).clamp(1, 4),
            ..haq
        }
    }

    /// Sigma of the noise `episodes` after the warm-up.
    pub fn sigma(&self, episodes: usize) -> f64 {
        (self.sigma * self.sigma_decay.powi(episodes as i32)).max(self.sigma_floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn haqs_own_budget_gives_haqs_own_values() {
        assert_eq!(DdpgConfig::for_budget(600), DdpgConfig::default());
    }

    #[test]
    fn a_short_search_ends_as_quiet_as_a_long_one() {
        let config = DdpgConfig { sigma_floor: 0.0, ..DdpgConfig::for_budget(60) };
        assert_eq!(config.warm_up, 15);
        let haq = DdpgConfig { sigma_floor: 0.0, ..DdpgConfig::default() };
        assert!((config.sigma(45) - haq.sigma(580)).abs() < 1e-6);
        assert!(DdpgConfig::for_budget(1).sigma(1).is_finite());
    }
}
