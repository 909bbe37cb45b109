//! What a campaign may set under `[campaign.NAME.agent]`.

use super::AgentError;
use super::api::AgentStart;
use crate::candidate::Preparation;
use crate::qat::{CHECKPOINT_EVERY, FineTune};
use crate::strategy::Settings;
use crate::strategy::one_shot::{ONE_SHOT, OneShotConfig};
use crate::strategy::profile::ProfileConfig;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The agent's options, validated.
#[derive(Debug, Clone)]
pub struct Options {
    /// Validation samples per candidate.
    pub validation_samples: usize,
    /// Candidates in flight at once; by default as many as there are boards.
    pub in_flight: Option<usize>,
    /// Episodes between two checkpoints.
    pub checkpoint_every: usize,
    /// How the model is prepared.
    pub preparation: Preparation,
    /// The strategies' hyper-parameters.
    pub settings: Settings,
    /// What makes the first proposals: a strategy, or the best candidates of an earlier campaign.
    pub warm_start: Option<String>,
    /// How many of them; by default half of the budget for a strategy.
    pub warm_proposals: Option<usize>,
    /// How every candidate is fine-tuned before it is judged and measured; not at all by default.
    pub fine_tune: Option<FineTune>,
    /// Steps of such a training between two checkpoints.
    pub training_checkpoint_every: usize,
    /// Training samples that the host judges sensitivities on.
    pub sensitivity_samples: usize,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Raw {
    validation_samples: usize,
    in_flight: Option<usize>,
    checkpoint_every: usize,
    preparation: Preparation,
    ddpg: Map<String, Value>,
    reinforce: Map<String, Value>,
    one_shot: Map<String, Value>,
    profile: ProfileConfig,
    warm_start: Option<String>,
    warm_proposals: Option<usize>,
    fine_tune: Option<FineTune>,
    training_checkpoint_every: usize,
    sensitivity_samples: usize,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            validation_samples: 1000,
            in_flight: None,
            checkpoint_every: 5,
            preparation: Preparation::default(),
            ddpg: Map::new(),
            reinforce: Map::new(),
            one_shot: Map::new(),
            profile: ProfileConfig::default(),
            warm_start: None,
            warm_proposals: None,
            fine_tune: None,
            training_checkpoint_every: CHECKPOINT_EVERY,
            sensitivity_samples: 256,
        }
    }
}

impl Options {
    /// The campaign's options; what is left out has a default, what is not known is refused.
    ///
    /// # Errors
    /// [`AgentError::Options`] names the key.
    pub fn of(start: &AgentStart) -> Result<Self, AgentError> {
        let wrong = |reason: String| AgentError::Options { campaign: start.name.clone(), reason };
        let given = match &start.options {
            Value::Null => Value::Object(Map::new()),
            other => other.clone(),
        };
        let raw: Raw = serde_json::from_value(given).map_err(|error| wrong(error.to_string()))?;
        let counts = [
            ("validation-samples", raw.validation_samples),
            ("sensitivity-samples", raw.sensitivity_samples),
            ("in-flight", raw.in_flight.unwrap_or(1)),
            ("checkpoint-every", raw.checkpoint_every),
            ("training-checkpoint-every", raw.training_checkpoint_every),
        ];
        if let Some((key, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(wrong(format!("{key} must be at least 1")));
        }
        let usual = Settings::for_budget(start.budget as usize);
        let settings = Settings {
            objective: start.objective,
            budget: start.budget as usize,
            ddpg: over(&usual.ddpg, raw.ddpg).map_err(|error| wrong(format!("ddpg: {error}")))?,
            reinforce: over(&usual.reinforce, raw.reinforce).map_err(|error| wrong(format!("reinforce: {error}")))?,
            one_shot: one_shot(raw.one_shot).map_err(|error| wrong(format!("one-shot: {error}")))?,
            profile: raw.profile,
        };
        if let Some(fine_tune) = &raw.fine_tune {
            fine_tune.check().map_err(|error| wrong(error.to_string()))?;
        }
        if let Some(reason) = against_own_weights(start, raw.fine_tune.is_some(), raw.warm_start.as_deref()) {
            return Err(wrong(reason.into()));
        }
        Ok(Self {
            settings,
            fine_tune: raw.fine_tune,
            training_checkpoint_every: raw.training_checkpoint_every,
            warm_start: raw.warm_start,
            warm_proposals: raw.warm_proposals,
            sensitivity_samples: raw.sensitivity_samples,
            validation_samples: raw.validation_samples,
            in_flight: raw.in_flight,
            checkpoint_every: raw.checkpoint_every,
            preparation: raw.preparation,
        })
    }
}

fn one_shot(given: Map<String, Value>) -> Result<OneShotConfig, String> {
    let config: OneShotConfig = serde_json::from_value(Value::Object(given)).map_err(|error| error.to_string())?;
    config.check()?;
    Ok(config)
}

/// What does not go together with candidates that share weights of their own.
fn against_own_weights(start: &AgentStart, fine_tunes: bool, warm_start: Option<&str>) -> Option<&'static str> {
    let is_one_shot = start.strategy == ONE_SHOT;
    match () {
        () if warm_start == Some(ONE_SHOT) => {
            Some("warm-start: `one-shot` has weights of its own; choose it as `strategy`")
        }
        () if is_one_shot && (warm_start.is_some() || start.origin.is_some()) => {
            Some("warm-start: `one-shot` learns from its own training only; leave it out, and name no earlier campaign")
        }
        () if is_one_shot && fine_tunes => Some(
            "fine-tune: `one-shot` measures its shared weights as they are; say how they are trained in `one-shot`",
        ),
        () => None,
    }
}

/// Given values over those that suit the budget.
fn over<T: Serialize + DeserializeOwned>(usual: &T, given: Map<String, Value>) -> Result<T, serde_json::Error> {
    let mut values = serde_json::to_value(usual)?;
    if let Value::Object(values) = &mut values {
        values.extend(given.into_iter().map(|(key, value)| (key.replace('-', "_"), value)));
    }
    serde_json::from_value(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::ddpg::DdpgConfig;
    use serde_json::json;

    fn options(options: Value) -> Result<Options, AgentError> {
        let start = json!({
            "id": 1, "name": "demo", "model": "m", "data": "d", "strategy": "ddpg", "seed": 1, "budget": 60,
            "limits_asked": {"flash": {"percent": 60.0}, "ram": null, "latency": null}, "limits": null,
            "board_types": [], "options": options, "episodes": [], "checkpoint": null
        });
        Options::of(&serde_json::from_value(start).expect("an answer of the API"))
    }

    #[test]
    fn everything_has_a_default() {
        let options = options(Value::Null).expect("valid");
        assert_eq!((options.validation_samples, options.in_flight), (1000, None));
        assert_eq!(options.settings.ddpg, DdpgConfig::for_budget(60));
    }

    #[test]
    fn given_values_win_and_the_rest_suits_the_budget() {
        let options = options(json!({"validation-samples": 7, "ddpg": {"warm-up": 3}})).expect("valid");
        assert_eq!(options.validation_samples, 7);
        assert_eq!(options.settings.ddpg, DdpgConfig { warm_up: 3, ..DdpgConfig::for_budget(60) });
    }

    #[test]
    fn unknown_keys_are_named() {
        let error = options(json!({"validation-sample": 7})).expect_err("unknown").to_string();
        assert!(error.starts_with("[campaign.demo.agent]: unknown field `validation-sample`"), "{error}");
        let error = options(json!({"in-flight": 0})).expect_err("none").to_string();
        assert_eq!(error, "[campaign.demo.agent]: in-flight must be at least 1");
        let error = options(json!({"one-shot": {"step": 7}})).expect_err("unknown").to_string();
        assert!(error.starts_with("[campaign.demo.agent]: one-shot: unknown field `step`"), "{error}");
        let error = options(json!({"one-shot": {"warm-up": 2}})).expect_err("not a share").to_string();
        assert!(error.contains("one-shot: warm-up is a share of the steps"), "{error}");
        let error = options(json!({"warm-start": "one-shot"})).expect_err("its own weights").to_string();
        assert!(error.contains("warm-start: `one-shot` has weights of its own"), "{error}");
        let error = options(json!({"ddpg": {"gamma": 1}})).expect_err("unknown").to_string();
        assert!(error.contains("unknown field `gamma`"), "{error}");
    }
}
