//! How `hil` ends: an exit code for scripts, a message and a way out for people.

/// Something failed.
pub const ERROR: u8 = 1;
/// The command line or `hil.toml` is wrong.
pub const USAGE: u8 = 2;
/// No daemon answers.
pub const NO_DAEMON: u8 = 3;
/// There is no such campaign, board, image or candidate.
pub const NOT_FOUND: u8 = 4;
/// The candidate cannot run, and that is its own fault.
pub const INFEASIBLE: u8 = 5;
/// A board or the rig failed.
pub const BOARD: u8 = 6;
/// Not legal just now: the campaign is finished, stopped, or exists.
pub const CONFLICT: u8 = 7;

/// For `--help`.
pub const HELP: &str = "\
Exit codes:
  0  done
  1  failed
  2  the command line or hil.toml is wrong
  3  no daemon answers
  4  not found: no such campaign, board, image or candidate
  5  infeasible: the candidate cannot run, and that is its own fault
  6  a board or the rig failed
  7  not possible just now: the campaign is finished, stopped, or exists

First steps:
  hil doctor                      what is missing on this host
  hil daemon                      own the rack and serve http://127.0.0.1:8420
  hil boards                      how the boards are
  hil campaign start demo         search; then `hil campaign watch demo`
  hil best demo                   what was found
  hil query 'SELECT * FROM best'  anything else: everything is in one SQLite file";

/// Why a command did not succeed.
#[derive(Debug)]
pub struct Failure {
    pub code: u8,
    pub message: String,
    /// A command or a deed that mends it.
    pub help: Option<String>,
}

impl Failure {
    /// A plain failure.
    pub fn error(message: impl Into<String>) -> Self {
        Self { code: ERROR, message: message.into(), help: None }
    }

    /// A wrong command line or configuration.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, message: message.into(), help: None }
    }

    /// Adds what to do.
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The exit code of an API error's kind.
    pub fn code_of(kind: &str) -> u8 {
        match kind {
            "invalid" => USAGE,
            "not_found" => NOT_FOUND,
            "infeasible" => INFEASIBLE,
            "board" | "rig" => BOARD,
            "conflict" => CONFLICT,
            _ => ERROR,
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::error(error.to_string())
    }
}
