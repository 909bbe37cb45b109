//! Campaigns, and candidates as people look at them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Failure, Measurement};

/// Where a campaign is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CampaignState {
    /// Wants to run, but its window is closed or its agent is between two starts.
    Waiting,
    Running,
    Stopped,
    Finished,
    Failed,
}

/// A search and how far it got.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Campaign {
    pub id: i64,
    pub name: String,
    pub state: CampaignState,
    pub reason: Option<String>,
    pub strategy: String,
    /// `reward` or `front`.
    pub objective: String,
    pub seed: u64,
    pub model: String,
    pub data: String,
    pub board_types: Vec<String>,
    pub unit: String,
    /// The campaign of `hil.toml` it was started from, where that is known.
    pub section: Option<String>,
    /// The campaign whose candidates it goes on from.
    pub origin: Option<String>,
    pub budget: u32,
    /// Search episodes with a measurement; baselines do not count.
    pub measured: u32,
    pub episodes: u32,
    pub infeasible: u32,
    pub failed: u32,
    pub reused: u32,
    pub limits: Option<Limits>,
    /// What its agent trains at present.
    pub training: Option<Training>,
    pub best: Option<Candidate>,
    /// How far its agent's predictions of ticks were off; `None` while nothing was predicted and measured.
    pub prediction_error: Option<PredictionError>,
    pub window: Option<String>,
    pub window_open: bool,
    pub window_changes_at: Option<String>,
    pub created_at: String,
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
    pub candidates_per_hour: Option<f64>,
}

/// How far an agent is with training a candidate that it has not proposed yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The index that its episode will have.
    pub episode: u32,
    #[serde(flatten)]
    pub progress: TrainingProgress,
}

/// What the agent says of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingProgress {
    #[serde(default)]
    pub label: Option<String>,
    /// Steps done, of so many; `None` when the training is limited by time.
    pub step: u32,
    #[serde(default)]
    pub steps: Option<u32>,
    /// What is done of it, 0 to 1.
    pub share: f64,
    pub loss: f64,
    /// Seconds to go at the pace so far.
    pub remaining_s: f64,
}

/// How far predicted ticks were from measured ones, over the candidates that were measured for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PredictionError {
    pub candidates: u32,
    /// Of the errors without their signs, as fractions of the measurement.
    pub median: f64,
    pub max: f64,
    /// Mean of the errors with their signs: above 0 when predictions are too high.
    pub bias: f64,
}

/// Resolved limits; `None` is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub flash_bytes: Option<u64>,
    pub ram_bytes: Option<u64>,
    pub latency_ticks: Option<u64>,
}

/// Where an episode is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EpisodeState {
    Proposed,
    Measuring,
    Measured,
    Done,
    Infeasible,
    Failed,
}

/// One episode as a row of a table or a point of a scatter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Candidate {
    pub id: i64,
    pub campaign: String,
    pub index: u32,
    pub label: Option<String>,
    pub strategy: String,
    pub state: EpisodeState,
    pub reason: Option<String>,
    pub accuracy: Option<f64>,
    pub ticks: Option<u64>,
    pub unit: Option<String>,
    pub latency_ms: Option<f64>,
    /// What the agent expected before the measurement, on the slowest of the board types.
    pub predicted_ticks: Option<u64>,
    /// The fraction by which that was above the measurement.
    pub prediction_error: Option<f64>,
    pub flash_bytes: u64,
    pub ram_bytes: u64,
    pub weight_bits_mean: Option<f64>,
    pub feasible: Option<bool>,
    pub reward: Option<f64>,
    pub image_sha256: Option<String>,
    pub board: Option<String>,
    pub reused: bool,
    pub created_at: String,
    pub finished_at: Option<String>,
}

/// Everything about one episode.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CandidateDetail {
    pub candidate: Candidate,
    pub layers: Vec<Layer>,
    pub steps: Vec<Step>,
    pub measurements: Vec<Measurement>,
    pub failures: Vec<Failure>,
    pub wall: Value,
}

/// A layer's bits and, once measured, its ticks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Layer {
    pub index: u32,
    #[serde(flatten)]
    pub bits: LayerBits,
    pub ticks: Option<u64>,
}

/// A policy's entry for one op of the image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerBits {
    pub name: String,
    pub kind: String,
    pub weight_bits: Option<u8>,
    pub input_bits: u8,
    pub output_bits: u8,
    #[serde(default)]
    pub macs: Option<u64>,
    /// Canonical text of what the op works on: equal texts at equal bits cost the same, by the same variant.
    #[serde(default)]
    pub geometry: Option<String>,
    /// The variant of its kernel that the image names; ops without weights have none.
    #[serde(default)]
    pub variant: Option<String>,
}

/// What ops of a geometry and these bits cost by a variant on a board type, over everything its present runner has measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerCost {
    pub board_type: String,
    pub geometry: String,
    pub variant: Option<String>,
    pub weight_bits: Option<u8>,
    pub input_bits: u8,
    pub output_bits: u8,
    /// Layers measured.
    pub samples: u64,
    /// Mean over them.
    pub ticks: f64,
    pub ticks_min: u64,
    pub ticks_max: u64,
}

/// What a campaign's layers of one geometry take at these bits by each variant of their kernel, where more than one was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VariantCosts {
    pub board_type: String,
    /// Names of the layers, in the image's order.
    pub layers: Vec<String>,
    pub geometry: String,
    pub weight_bits: Option<u8>,
    pub input_bits: u8,
    pub output_bits: u8,
    /// The fastest first.
    pub costs: Vec<VariantCost>,
    /// That of the campaign's latest candidate with one of these layers at these bits.
    pub latest: Option<String>,
}

/// What layers took by one variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VariantCost {
    pub variant: String,
    /// Layers measured.
    pub samples: u64,
    /// Mean over them.
    pub ticks: f64,
}

/// Bits of every op, in the image's order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    pub layers: Vec<LayerBits>,
}

/// One decision of a strategy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub tensor: String,
    pub state: Vec<f64>,
    #[serde(default)]
    pub raw_action: Option<f64>,
    #[serde(default)]
    pub bits_asked: Option<u8>,
    pub bits: u8,
    #[serde(default)]
    pub reward: Option<f64>,
}
