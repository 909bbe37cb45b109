//! What an agent is told and says.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Candidate, Failure, Limits, Measurement, Policy, Step};

/// An episode as its agent sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Episode {
    pub candidate: Candidate,
    pub client_key: String,
    pub policy: Policy,
    pub steps: Vec<Step>,
    pub measurement: Option<Measurement>,
    pub failure: Option<Failure>,
}

/// A candidate to be measured, or recorded as not worth measuring.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    pub index: u32,
    pub client_key: String,
    #[serde(default)]
    pub label: Option<String>,
    pub strategy: String,
    pub policy: Policy,
    #[serde(default)]
    pub steps: Vec<Step>,
    #[serde(default)]
    pub accuracy: Option<f64>,
    #[serde(default)]
    pub accuracy_split: Option<String>,
    #[serde(default)]
    pub accuracy_samples: Option<u32>,
    pub flash_bytes: u64,
    pub ram_bytes: u64,
    /// What it should take, on the slowest of the campaign's board types.
    #[serde(default)]
    pub predicted_ticks: Option<u64>,
    #[serde(default)]
    pub image_sha256: Option<String>,
    #[serde(default)]
    pub infeasible: Option<String>,
    #[serde(default = "empty_object")]
    pub wall: Value,
}

fn empty_object() -> Value {
    Value::Object(Default::default())
}

/// What an episode was worth.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reward {
    pub reward: f64,
    #[serde(default)]
    pub step_rewards: Option<Vec<f64>>,
    #[serde(default = "empty_object")]
    pub wall: Value,
}

/// Everything an agent needs to begin or to go on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AgentStart {
    pub id: i64,
    pub name: String,
    pub model: String,
    pub data: String,
    pub strategy: String,
    /// `reward` or `front`.
    pub objective: String,
    pub seed: u64,
    /// Name of the campaign whose candidates it goes on from.
    pub origin: Option<String>,
    pub budget: u32,
    pub measured: u32,
    pub warmup: u32,
    pub repeats: u32,
    pub limits_asked: Value,
    pub limits: Option<Limits>,
    pub board_types: Vec<BoardTypeInfo>,
    pub options: Value,
    pub episodes: Vec<Episode>,
    pub next_index: u32,
    pub checkpoint: Option<CheckpointInfo>,
    /// A training that was cut short; its `episode` was not proposed yet.
    pub training: Option<CheckpointInfo>,
}

/// What an agent may know of a board type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardTypeInfo {
    pub name: String,
    pub unit: String,
    pub clock_hz: u32,
    pub slot_bytes: u32,
    pub arena_bytes: u32,
    /// Bytes erased together: sections aligned to it let candidates share sectors.
    pub sector_bytes: u32,
}

/// A saved checkpoint, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointInfo {
    pub bytes: u64,
    pub sha256: String,
    pub saved_at: String,
    pub episode: u32,
}

/// Starts a campaign of `hil.toml`, perhaps under another name.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartRequest {
    #[serde(default)]
    pub r#as: Option<String>,
    #[serde(default)]
    pub budget: Option<u32>,
    #[serde(default)]
    pub seed: Option<u64>,
    #[serde(default)]
    pub strategy: Option<String>,
    /// Name or id of a campaign whose candidates it goes on from.
    #[serde(default)]
    pub from: Option<String>,
    /// Merged over the agent's options in `hil.toml` (RFC 7396: tables key by key, null removes a key).
    #[serde(default)]
    pub options: Option<Value>,
    /// Without the limits of `hil.toml`.
    #[serde(default)]
    pub unlimited: bool,
}

/// Why a campaign ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinishRequest {
    pub reason: String,
}
