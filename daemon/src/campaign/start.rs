//! From a request to a campaign: what `hil.toml` says, what the request changes, and what must fit together.

use serde_json::Value;

use crate::config::{Config, Limit, Limits};
use crate::store::{CampaignSpec, Db, StoreError, StoredCampaign};
use crate::types::{self, StartRequest};

/// The campaign that a request asks for.
///
/// # Errors
/// [`StoreError::NotFound`] when `hil.toml` has no campaign `name`, [`StoreError::Invalid`] for what makes no sense.
pub fn spec(config: &Config, name: &str, request: StartRequest) -> Result<CampaignSpec, StoreError> {
    let known = || config.campaigns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
    let missing = || StoreError::NotFound(format!("campaign {name} in hil.toml (it has: {})", known()));
    let mut asked = config.campaign(name).ok_or_else(missing)?.clone();
    asked.budget = request.budget.unwrap_or(asked.budget);
    asked.seed = request.seed.unwrap_or(asked.seed);
    asked.strategy = request.strategy.unwrap_or(asked.strategy);
    asked.objective.check(&asked.strategy).map_err(StoreError::Invalid)?;
    if asked.budget == 0 {
        return Err(StoreError::Invalid("a budget of 0 measurements searches nothing".into()));
    }
    if request.unlimited {
        asked.limits = Limits::default();
    }
    match request.options {
        None => {}
        Some(changes @ Value::Object(_)) => merge(&mut asked.options, changes),
        Some(other) => return Err(StoreError::Invalid(format!("options are an object, not {other}"))),
    }
    let unit = config.board_type(&asked.board_types[0]).expect("the configuration was checked").unit;
    let name = request.r#as.unwrap_or_else(|| name.to_owned());
    if name.is_empty() || name.chars().all(|c| c.is_ascii_digit()) || name.contains('/') {
        return Err(StoreError::Invalid(format!("`{name}` is not a name for a campaign")));
    }
    Ok(CampaignSpec { name, asked, unit, origin: request.from })
}

/// Creates the campaign. One that goes on from another searches the same model, under the limits that were in force there.
///
/// # Errors
/// [`StoreError::Invalid`] when the origin searched another model, and what the store says.
pub fn create(db: &mut Db, mut spec: CampaignSpec) -> Result<i64, StoreError> {
    if let Some(origin) = &spec.origin {
        let id = db.campaign_id(origin)?;
        let origin = db.campaign(id)?;
        let model = spec.asked.model.display().to_string();
        if origin.model != model {
            let StoredCampaign { name, model: other, .. } = &origin;
            return Err(StoreError::Invalid(format!("campaign {name} searched {other}, {} is of {model}", spec.name)));
        }
        // Percentages would refer to a reference that is measured anew; what was feasible there shall be feasible here.
        spec.asked.limits = origin.limits.map_or(spec.asked.limits, absolute);
    }
    db.create_campaign(&spec)
}

fn absolute(limits: types::Limits) -> Limits {
    Limits {
        flash: limits.flash_bytes.map(Limit::Absolute),
        ram: limits.ram_bytes.map(Limit::Absolute),
        latency: limits.latency_ticks.map(Limit::Absolute),
    }
}

/// RFC 7396: tables are merged key by key, null removes a key, anything else replaces.
fn merge(into: &mut Value, changes: Value) {
    let Value::Object(changes) = changes else { return *into = changes };
    if !into.is_object() {
        *into = Value::Object(Default::default());
    }
    let Value::Object(known) = into else { return };
    for (key, change) in changes {
        match change {
            Value::Null => drop(known.remove(&key)),
            change => merge(known.entry(key).or_insert(Value::Null), change),
        }
    }
}

/// Starting what exists: fine while it runs, otherwise somebody has to decide.
///
/// # Errors
/// [`StoreError::Conflict`] with what to do instead.
pub fn already(campaign: StoredCampaign) -> Result<i64, StoreError> {
    let name = &campaign.name;
    match campaign.state.as_str() {
        "active" => Ok(campaign.id),
        "finished" => Err(StoreError::Conflict(format!(
            "campaign {name} is finished; start it again under another name: hil campaign start {name} --as NEW"
        ))),
        state => {
            Err(StoreError::Conflict(format!("campaign {name} is {state}; go on with: hil campaign resume {name}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn options_are_merged_table_by_table() {
        let mut options = json!({ "ddpg": { "warm-up": 5, "tau": 0.1 }, "in-flight": 2, "vectors": [1, 2] });
        merge(
            &mut options,
            json!({ "ddpg": { "warm-up": 3 }, "in-flight": null, "vectors": [3], "fine-tune": { "steps": 9 } }),
        );
        let expected = json!({ "ddpg": { "warm-up": 3, "tau": 0.1 }, "vectors": [3], "fine-tune": { "steps": 9 } });
        assert_eq!(options, expected);
    }
}
