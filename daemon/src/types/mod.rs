//! What the daemon says to the agent, the page and the command line, and what it is told: `docs/api.md` in Rust.
//!
//! The store fills these in, the API sends them, the command line reads them. Sizes are bytes, times RFC 3339 in UTC, a
//! tick is one of `unit`.

mod agent;
mod campaign;
mod comparison;
mod measurement;
mod rack;

pub use agent::*;
pub use campaign::*;
pub use comparison::*;
pub use measurement::*;
pub use rack::*;

use serde::{Deserialize, Serialize};

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
