//! `hil.toml`: read, checked, and turned into values that need no further checking.
//!
//! Owns the file's grammar and every rule about it. Does not know the store, boards as hardware, or HTTP.
//! [`raw`] is what the file may say; [`validate`] turns that into the types here, or into a list of problems with
//! file and line.

mod board_type;
mod error;
mod limits;
mod objective;
mod raw;
mod selector;
mod validate;
mod window;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub use board_type::{BoardType, Core, Slot, Target, Unit};
pub use error::{ConfigError, Problem};
pub use limits::{Latency, Limit, Limits};
pub use objective::Objective;
pub use selector::Probe;
pub use window::{Window, WindowState, WindowText};

/// The file's name when none is given.
pub const DEFAULT_FILE: &str = "hil.toml";

/// A whole, checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it came from, absolute.
    pub path: PathBuf,
    pub daemon: Daemon,
    /// The rack, in the file's order. At least one.
    pub boards: Vec<Board>,
    /// The board types that the rack or a campaign names.
    pub board_types: Vec<BoardType>,
    pub campaigns: Vec<Campaign>,
}

/// Where the daemon keeps and serves things. Paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    pub listen: SocketAddr,
    pub database: PathBuf,
    /// Images by SHA-256, and virtual boards' flash contents.
    pub cache: PathBuf,
    pub log: PathBuf,
    /// Folder of runner ELF files, `BOARD-TYPE.elf` each.
    pub firmware: PathBuf,
}

/// One board of the rack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Board {
    pub name: String,
    /// Name of one of [`Config::board_types`].
    pub board_type: String,
    /// The chip's own number, when the file insists on one: another chip is refused.
    pub chip_id: Option<String>,
    pub link: Link,
}

/// How a board is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// The daemon starts an emulated board and asks it for its probe and port.
    Virtual,
    /// A debug probe and a serial port of this host.
    Wired { probe: Probe, serial: PathBuf },
}

/// A search, as asked for. Progress lives in the store.
#[derive(Debug, Clone)]
pub struct Campaign {
    pub name: String,
    /// The float network; absolute. The daemon never opens it, the agent does.
    pub model: PathBuf,
    /// The data set as the agent names it, with absolute paths.
    pub data: String,
    pub strategy: String,
    pub objective: Objective,
    pub seed: u64,
    /// Search episodes to measure; baselines do not count.
    pub budget: u32,
    pub board_types: Vec<String>,
    pub limits: Limits,
    /// When it may run; always, without one.
    pub window: Option<Window>,
    /// Discarded runs before the counted ones, and counted runs per measurement.
    pub warmup: u32,
    pub repeats: u32,
    /// `[campaign.NAME.agent]`: passed to the agent as it is.
    pub options: serde_json::Value,
}

impl Config {
    /// Reads and checks `path`.
    ///
    /// # Errors
    /// [`ConfigError::Read`] when the file cannot be read, [`ConfigError::Invalid`] with every problem found.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let read = |source| ConfigError::Read { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(read)?;
        let path = path.canonicalize().map_err(read)?;
        Self::parse(&text, &path)
    }

    /// Checks `text` as if it were the file at `path`; relative paths are relative to its folder.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with every problem found.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let raw: raw::File = toml::from_str(text).map_err(|e| ConfigError::syntax(path, text, &e))?;
        validate::file(raw, text, path)
    }

    /// The board type with this name.
    pub fn board_type(&self, name: &str) -> Option<&BoardType> {
        self.board_types.iter().find(|t| t.name == name)
    }

    /// The campaign with this name.
    pub fn campaign(&self, name: &str) -> Option<&Campaign> {
        self.campaigns.iter().find(|c| c.name == name)
    }
}

#[cfg(test)]
mod tests;
