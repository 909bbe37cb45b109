//! What can be chosen about a virtual board, and the fixed facts of the machines behind it.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// The emulated machine: a QEMU MPS2 board and the Cortex-M core on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Machine {
    /// `mps2-an386`: Cortex-M4F.
    #[default]
    Mps2An386,
    /// `mps2-an500`: Cortex-M7F.
    Mps2An500,
}

impl Machine {
    /// The name QEMU and the probe-rs target description know this machine by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mps2An386 => "mps2-an386",
            Self::Mps2An500 => "mps2-an500",
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Machine {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        [Self::Mps2An386, Self::Mps2An500]
            .into_iter()
            .find(|machine| machine.name() == name)
            .ok_or_else(|| format!("unknown machine {name:?}: use mps2-an386 or mps2-an500"))
    }
}

/// How to start a board. `Options::default()` is an M4 board with blank flash on any free port.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which machine to emulate.
    pub machine: Machine,
    /// Where the debug probe listens; port 0 takes any free one.
    pub probe_address: SocketAddr,
    /// A symbolic link to make to the serial port, removed when the board stops.
    pub serial_link: Option<PathBuf>,
    /// A file that holds the flash content across runs; made when absent. Without it a board
    /// starts blank.
    pub flash_file: Option<PathBuf>,
    /// The QEMU program; looked up on `PATH` when it is a bare name.
    pub qemu: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            machine: Machine::default(),
            probe_address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            serial_link: None,
            flash_file: None,
            qemu: PathBuf::from("qemu-system-arm"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_strangers_are_refused() {
        for machine in [Machine::Mps2An386, Machine::Mps2An500] {
            assert_eq!(machine.name().parse(), Ok(machine));
        }
        assert!("mps2-an385".parse::<Machine>().expect_err("a stranger").contains("mps2-an385"));
    }
}
