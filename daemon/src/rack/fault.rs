//! What can go wrong with a board, and whose fault it is.

use std::path::PathBuf;
use std::time::Duration;

use bitrack_image::ImageError;
use bitrack_wire::BoardError;
use bitrack_wire::client::ClientError;
use serde_json::{Value, json};

use crate::types::FailureClass;

/// Why something with a board did not work.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    // The candidate's.
    #[error("image is not valid: {0}")]
    BadImage(#[from] ImageError),
    #[error("image holds no test vector, so nothing could show that a board ran it right")]
    NoVector,
    #[error("image has {bytes} bytes, the largest slot {slot}")]
    TooBigForSlot { bytes: u32, slot: u32 },
    #[error("image needs an arena of {needed} bytes, the board has {have}")]
    TooBigForArena { needed: u32, have: u32 },

    // The board's.
    #[error("probe {probe}: {reason}")]
    Probe { probe: String, reason: String },
    #[error("serial port {}: {reason}", port.display())]
    Port { port: PathBuf, reason: String },
    #[error("flashing: {0}")]
    Flash(String),
    #[error("{what} is {found}, but the configuration says {expected}")]
    Identity { what: &'static str, found: String, expected: String },
    #[error("sector {address:#x} was erased {erases} times, its endurance is {endurance}: the board is worn out")]
    WornOut { address: u32, erases: u32, endurance: u32 },
    #[error("{what} did not end within {} s", after.as_secs_f64())]
    Stuck { what: &'static str, after: Duration },
    #[error("the board does not answer: {0}")]
    Silent(ClientError),
    #[error("flash holds another image than was written: {0}")]
    CorruptFlash(String),
    #[error("the emulated board: {0}")]
    Emulator(String),

    // In doubt: the candidate may have done it, or the board.
    #[error("the run failed: {0}")]
    Run(ClientError),
    #[error("{0}")]
    WrongOutput(Box<WrongOutput>),

    // The rig's.
    #[error("{0}")]
    Rig(String),
    /// Runner and image do not belong together: every candidate of the same agent would end like this one.
    #[error("{0}")]
    OtherRunner(BoardError),
    #[error("the rack is shutting down")]
    ShuttingDown,
}

/// A run that ended with another output than the host computed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("output differs from the host's ({}): CRC {found:08x}, expected {expected:08x}", self.place())]
pub struct WrongOutput {
    pub vector: u16,
    pub expected: u32,
    pub found: u32,
    /// First differing byte of the output, as far as the board noticed.
    pub offset: Option<u32>,
    /// The first op whose output differs.
    pub op: Option<u16>,
    /// Ticks of the run, kept as evidence.
    pub repeats: Vec<u64>,
}

impl WrongOutput {
    fn place(&self) -> String {
        let op = self.op.map_or(String::new(), |op| format!(", first in op {op}"));
        format!("test vector {}{op}", self.vector)
    }
}

/// A fault's cause, as far as it can be told from the fault alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    Certain(FailureClass),
    /// A canary on the same board decides between candidate and board.
    InDoubt,
}

impl Fault {
    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        use FailureClass as C;
        match self {
            Self::BadImage(_) | Self::NoVector | Self::TooBigForSlot { .. } | Self::TooBigForArena { .. } => {
                Blame::Certain(C::Candidate)
            }
            Self::Run(_) | Self::WrongOutput(_) => Blame::InDoubt,
            Self::Rig(_) | Self::OtherRunner(_) | Self::ShuttingDown => Blame::Certain(C::Rig),
            _ => Blame::Certain(C::Board),
        }
    }

    /// What was being done, in a word: the store's and the API's `what`.
    pub fn what(&self) -> &'static str {
        match self {
            Self::BadImage(_) | Self::NoVector => "image",
            Self::TooBigForSlot { .. } | Self::TooBigForArena { .. } => "size",
            Self::Probe { .. } => "probe",
            Self::Port { .. } => "serial",
            Self::Flash(_) | Self::CorruptFlash(_) => "flash",
            Self::Identity { .. } => "identity",
            Self::WornOut { .. } => "wear",
            Self::Stuck { .. } => "stuck",
            Self::Silent(_) => "handshake",
            Self::Emulator(_) => "emulator",
            Self::Run(_) => "run",
            Self::WrongOutput(_) => "verify",
            Self::OtherRunner(_) => "runner",
            Self::Rig(_) | Self::ShuttingDown => "rig",
        }
    }

    /// What a person would want to see, beyond the message.
    pub fn evidence(&self) -> Option<Value> {
        match self {
            Self::WrongOutput(w) => Some(json!({
                "vector": w.vector, "expected_crc": format!("{:08x}", w.expected), "output_crc": format!("{:08x}", w.found),
                "offset": w.offset, "op": w.op, "ticks": w.repeats,
            })),
            Self::Identity { found, expected, .. } => Some(json!({ "found": found, "expected": expected })),
            Self::Run(ClientError::Board(BoardError::Fault { kind, pc, op })) => {
                Some(json!({ "fault": kind.to_string(), "pc": format!("{pc:#010x}"), "op": op }))
            }
            _ => None,
        }
    }

    /// Whether trying the same board again is pointless until somebody looks at it.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Identity { .. } | Self::WornOut { .. })
    }
}

/// The board's refusal to load an image that the host found valid.
pub fn load_fault(error: ClientError) -> Fault {
    match error {
        ClientError::Board(e @ (BoardError::ForeignLayout { .. } | BoardError::UnknownImage { .. })) => {
            Fault::OtherRunner(e)
        }
        // A runner for another network: nothing is wrong with flash or candidate.
        ClientError::Board(e @ BoardError::BadOp { what, .. }) if what.is_left_out() => Fault::OtherRunner(e),
        ClientError::Board(BoardError::ArenaTooSmall { needed, have }) => Fault::TooBigForArena { needed, have },
        ClientError::Board(
            e @ (BoardError::BadMagic
            | BoardError::BadCrc { .. }
            | BoardError::Truncated { .. }
            | BoardError::BadHeader { .. }
            | BoardError::BadTensor { .. }
            | BoardError::BadOp { .. }
            | BoardError::Overlap { .. }),
        ) => Fault::CorruptFlash(e.to_string()),
        other => Fault::Silent(other),
    }
}

/// A run that did not end: the candidate may have killed the board, but a line that is gone is no candidate's doing.
pub fn run_fault(error: ClientError) -> Fault {
    match error {
        ClientError::Io { .. } | ClientError::Closed { .. } | ClientError::Echo => Fault::Silent(error),
        other => Fault::Run(other),
    }
}
