//! What the daemon says to the agent, the page and the command line, and what it is told: `docs/api.md` in Rust.
//!
//! The store fills these in, the API sends them, the command line reads them. Sizes are bytes, times RFC 3339 in UTC, a
//! tick is one of `unit`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All boards.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rack {
    pub tool_revision: String,
    pub started_at: String,
    pub boards: Vec<Board>,
}

/// One board, now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Board {
    pub name: String,
    pub board_type: String,
    pub r#virtual: bool,
    /// Selector of its probe and path of its port, once known.
    pub probe: Option<String>,
    pub serial: Option<String>,
    pub state: BoardState,
    /// When it entered this state.
    pub since: String,
    /// Who has leased it.
    pub holder: Option<String>,
    pub identity: Option<Identity>,
    pub measurements: u64,
    pub failures_in_a_row: u32,
    /// Erases of its most worn sector, and how many its chip is good for.
    pub erases_max: u32,
    pub endurance: u32,
    pub last_failure: Option<Failure>,
}

/// Where a board is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoardState {
    /// Nothing is known: the daemon has just started or the board was lost.
    Unknown,
    /// Being started, checked and given its runner.
    Cleaning,
    Ready,
    Flashing,
    Running,
    /// Waiting before it is cleaned again after a failure.
    Recovering,
    /// Failed too often, or is not the board it should be. Stays so until somebody recovers it.
    Quarantined,
}

/// How a board introduced itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub board_type: String,
    pub chip_id: String,
    pub firmware_revision: String,
    pub clock_hz: u32,
    pub unit: String,
    pub arena_bytes: u32,
}

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
    pub seed: u64,
    pub model: String,
    pub data: String,
    pub board_types: Vec<String>,
    pub unit: String,
    pub budget: u32,
    /// Search episodes with a measurement; baselines do not count.
    pub measured: u32,
    pub episodes: u32,
    pub infeasible: u32,
    pub failed: u32,
    pub reused: u32,
    pub limits: Option<Limits>,
    pub best: Option<Candidate>,
    pub window: Option<String>,
    pub window_open: bool,
    pub window_changes_at: Option<String>,
    pub created_at: String,
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
    pub candidates_per_hour: Option<f64>,
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

/// Counted runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticks {
    pub median: u64,
    pub min: u64,
    pub max: u64,
    /// In the order they ran.
    pub repeats: Vec<u64>,
}

impl Ticks {
    /// Median (the lower one of an even count), minimum and maximum of `repeats`; `None` without any.
    pub fn of(repeats: &[u64]) -> Option<Self> {
        let mut sorted = repeats.to_vec();
        sorted.sort_unstable();
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        Some(Self { median: sorted[(sorted.len() - 1) / 2], min, max, repeats: repeats.to_vec() })
    }
}

/// One attempt at measuring an image on a board.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measurement {
    pub id: i64,
    pub episode: Option<i64>,
    pub attempt: u32,
    pub at: String,
    pub board: String,
    pub board_type: String,
    pub image_sha256: String,
    pub accepted: bool,
    pub reused_from: Option<i64>,
    pub bit_exact: bool,
    pub ticks: Option<Ticks>,
    pub unit: String,
    pub clock_hz: u32,
    pub latency_ms: Option<f64>,
    pub arena_planned_bytes: u32,
    pub arena_high_water_bytes: Option<u32>,
    pub stack_high_water_bytes: Option<u32>,
    /// CRC-32 of the packed output, in hex: the board's and the host's.
    pub output_crc: Option<String>,
    pub expected_crc: Option<String>,
    pub firmware_revision: String,
    pub runner_sha256: String,
    pub chip_id: String,
    pub tool_revision: String,
    pub slot: u32,
    pub sectors_written: u32,
    pub bytes_written: u32,
    pub wall: MeasurementWall,
    pub layers: Vec<LayerTicks>,
}

/// Where a measurement's time went, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct MeasurementWall {
    pub queue_ms: f64,
    pub flash_ms: f64,
    pub load_ms: f64,
    pub run_ms: f64,
    pub store_ms: f64,
}

/// Ticks of one op of the image, with the widths it ran at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerTicks {
    pub index: u32,
    pub kind: String,
    pub weight_bits: Option<u8>,
    pub input_bits: u8,
    pub output_bits: u8,
    pub ticks: u64,
}

/// Whose fault a failure is. Only the candidate's reaches the agent as infeasible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    Candidate,
    Board,
    Rig,
}

/// Something that went wrong, kept with its evidence.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failure {
    pub id: i64,
    pub class: FailureClass,
    pub what: String,
    pub message: String,
    pub evidence: Option<Value>,
    pub board: Option<String>,
    pub at: String,
}

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
    pub seed: u64,
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
}

/// Measures an image that was put before.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasureRequest {
    pub image_sha256: String,
    #[serde(default)]
    pub board: Option<String>,
    #[serde(default)]
    pub board_type: Option<String>,
    #[serde(default)]
    pub warmup: Option<u32>,
    #[serde(default)]
    pub repeats: Option<u32>,
    /// Measure also what was measured before.
    #[serde(default)]
    pub fresh: bool,
}

/// Why a campaign ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinishRequest {
    pub reason: String,
}

/// The body of every answer that is not 2xx.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorBody {
    pub error: ErrorDetail,
}

/// What went wrong, for programs (`kind`) and for people.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorDetail {
    pub kind: String,
    pub message: String,
    pub help: Option<String>,
}

/// What changed, as server-sent events.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Event {
    Board(Box<Board>),
    Candidate(Box<Candidate>),
    Campaign(Box<Campaign>),
}

impl Event {
    /// The event's name in the stream.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Board(_) => "board",
            Self::Candidate(_) => "candidate",
            Self::Campaign(_) => "campaign",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_count_is_a_run_that_happened() {
        assert_eq!(Ticks::of(&[4, 1, 3, 2]).map(|t| (t.median, t.min, t.max)), Some((2, 1, 4)));
        assert_eq!(Ticks::of(&[]), None);
    }
}
