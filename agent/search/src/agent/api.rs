//! What the daemon's API says and is told, as far as an agent needs it (`docs/api.md`).

use crate::env::{Limits, Objective};
use crate::qat::Told;
use bitrack_model::Variant;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything an agent begins with.
#[derive(Debug, Clone, Deserialize)]
pub struct AgentStart {
    pub name: String,
    pub model: String,
    pub data: String,
    pub strategy: String,
    pub seed: u64,
    #[serde(default)]
    pub objective: Objective,
    /// The campaign whose candidates this one goes on from.
    #[serde(default)]
    pub origin: Option<String>,
    pub budget: u32,
    pub limits_asked: LimitsAsked,
    pub limits: Option<Limits>,
    pub board_types: Vec<BoardType>,
    #[serde(default)]
    pub options: Value,
    pub episodes: Vec<Episode>,
    pub checkpoint: Option<Value>,
    /// A training that was cut short.
    #[serde(default)]
    pub training: Option<SavedTraining>,
}

/// Which candidate the daemon has a training checkpoint of.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct SavedTraining {
    pub episode: u32,
}

/// Limits as configured; each may be relative to 8 bits everywhere.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct LimitsAsked {
    pub flash: Option<LimitAsked>,
    pub ram: Option<LimitAsked>,
    pub latency: Option<LimitAsked>,
}

/// One limit: bytes, ticks, or percent.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitAsked {
    Bytes(u64),
    Ticks(u64),
    Percent(f64),
}

/// A kind of board the campaign is measured on.
#[derive(Debug, Clone, Deserialize)]
pub struct BoardType {
    pub name: String,
    /// What its ticks are: instructions or cycles.
    #[serde(default)]
    pub unit: String,
    pub slot_bytes: u64,
    pub arena_bytes: u64,
}

/// One episode, as far as the agent looks at it.
#[derive(Debug, Clone, Deserialize)]
pub struct Episode {
    pub candidate: CandidateRow,
    pub client_key: String,
    #[serde(default)]
    pub policy: Policy,
    #[serde(default)]
    pub steps: Vec<Step>,
    pub measurement: Option<Measurement>,
    pub failure: Option<Failure>,
}

impl Episode {
    /// Whether boards or rig failed it.
    pub fn is_failed(&self) -> bool {
        self.candidate.state == EpisodeState::Failed
    }

    /// By which variants its image computes the layers; those of layers without weights are the general one. Empty when not all were told,
    /// as in what earlier releases proposed.
    pub fn variants(&self) -> Vec<Variant> {
        let of = |layer: &PolicyLayer| match (layer.weight_bits, layer.variant.as_deref()) {
            (None, _) => Some(Variant::General),
            (Some(_), name) => name.and_then(Variant::named),
        };
        self.policy.layers.iter().map(of).collect::<Option<_>>().unwrap_or_default()
    }

    /// Whether its last failure was that the boards' runner is not for images like it.
    pub fn ran_into_another_runner(&self) -> bool {
        self.failure.as_ref().is_some_and(|failure| failure.what == "runner")
    }
}

/// The episode's row.
#[derive(Debug, Clone, Deserialize)]
pub struct CandidateRow {
    pub index: u32,
    pub label: Option<String>,
    pub state: EpisodeState,
    pub reason: Option<String>,
    pub accuracy: Option<f64>,
    pub ticks: Option<u64>,
    pub flash_bytes: u64,
    pub ram_bytes: u64,
    pub reward: Option<f64>,
    pub feasible: Option<bool>,
    #[serde(default)]
    pub image_sha256: Option<String>,
}

/// Where an episode stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EpisodeState {
    Proposed,
    Measuring,
    Measured,
    Done,
    Infeasible,
    Failed,
}

/// An accepted measurement.
#[derive(Debug, Clone, Deserialize)]
pub struct Measurement {
    pub ticks: Option<Ticks>,
    #[serde(default)]
    pub board_type: String,
    /// In the image's order.
    #[serde(default)]
    pub layers: Vec<LayerTicks>,
}

/// What one op took.
#[derive(Debug, Clone, Deserialize)]
pub struct LayerTicks {
    pub ticks: u64,
}

/// Counted runs.
#[derive(Debug, Clone, Deserialize)]
pub struct Ticks {
    pub median: u64,
}

/// Why an episode has no measurement.
#[derive(Debug, Clone, Deserialize)]
pub struct Failure {
    /// What was being done, in a word.
    #[serde(default)]
    pub what: String,
    pub message: String,
}

/// A candidate to be measured.
#[derive(Debug, Clone, Serialize)]
pub struct Proposal {
    pub index: u32,
    pub client_key: String,
    pub label: Option<String>,
    pub strategy: String,
    pub policy: Policy,
    pub steps: Vec<Step>,
    pub accuracy: Option<f64>,
    pub accuracy_split: Option<&'static str>,
    pub accuracy_samples: Option<usize>,
    pub flash_bytes: u64,
    pub ram_bytes: u64,
    /// What it should take, on the slowest of the campaign's board types.
    pub predicted_ticks: Option<u64>,
    pub image_sha256: Option<String>,
    pub infeasible: Option<String>,
    pub wall: ProposalWall,
}

/// Where the time before the measurement went, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct ProposalWall {
    pub propose_ms: f64,
    pub accuracy_ms: f64,
    pub image_ms: f64,
}

/// Bits of every op, in the image's order.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Policy {
    pub layers: Vec<PolicyLayer>,
}

/// Bits of one op, and how it is computed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicyLayer {
    pub name: String,
    pub kind: String,
    pub weight_bits: Option<u8>,
    pub input_bits: u8,
    pub output_bits: u8,
    pub macs: Option<u64>,
    pub geometry: Option<String>,
    /// The name of its kernel's variant, as the image has it.
    #[serde(default)]
    pub variant: Option<String>,
}

/// What ops of a geometry and these bits cost on a board type: `GET .../layer-costs`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct LayerCost {
    pub board_type: String,
    pub geometry: String,
    #[serde(default)]
    pub variant: Option<String>,
    pub weight_bits: Option<u8>,
    pub input_bits: u8,
    pub output_bits: u8,
    /// Layers measured.
    pub samples: u64,
    /// Mean over them.
    pub ticks: f64,
}

/// One decision.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    pub tensor: String,
    pub state: Vec<f64>,
    pub raw_action: Option<f64>,
    pub bits_asked: Option<u8>,
    pub bits: u8,
    pub reward: Option<f64>,
}

/// What an episode was worth.
#[derive(Debug, Clone, Serialize)]
pub struct Reward {
    pub reward: f64,
    pub step_rewards: Option<Vec<f64>>,
    pub wall: RewardWall,
}

/// Milliseconds spent learning.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct RewardWall {
    pub learn_ms: f64,
}

/// How far a candidate's training is.
#[derive(Debug, Clone, Serialize)]
pub struct Training<'a> {
    pub label: Option<&'a str>,
    pub step: usize,
    /// `None` when it is limited by time.
    pub steps: Option<usize>,
    /// 0 to 1.
    pub share: f64,
    pub loss: f64,
    pub remaining_s: f64,
}

impl<'a> Training<'a> {
    /// In the API's words.
    pub fn of(told: &Told, label: Option<&'a str>) -> Self {
        let Told { step, steps, share, loss, remaining_s } = *told;
        Self { label, step, steps, share, loss, remaining_s }
    }
}

/// The rack, as far as counting boards goes.
#[derive(Debug, Clone, Deserialize)]
pub struct Rack {
    pub boards: Vec<Board>,
}

/// One board.
#[derive(Debug, Clone, Deserialize)]
pub struct Board {
    pub board_type: String,
}

/// The body of every refusal.
#[derive(Debug, Clone, Deserialize)]
pub struct ErrorBody {
    pub error: ErrorDetail,
}

/// What and why.
#[derive(Debug, Clone, Deserialize)]
pub struct ErrorDetail {
    pub kind: String,
    pub message: String,
}
