//! Measurements, and what went wrong with them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    /// The kernel's variant that computed it, as far as an episode tells.
    pub variant: Option<String>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_count_is_a_run_that_happened() {
        assert_eq!(Ticks::of(&[4, 1, 3, 2]).map(|t| (t.median, t.min, t.max)), Some((2, 1, 4)));
        assert_eq!(Ticks::of(&[]), None);
    }
}
