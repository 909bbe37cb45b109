//! Boards.

use serde::{Deserialize, Serialize};

use super::Failure;

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
