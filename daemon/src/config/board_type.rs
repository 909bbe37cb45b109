//! What a kind of board is: chip, clock, timer, flash slots, RAM.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::raw;

/// The profiles that come with the daemon, by name.
const BUILTIN: [(&str, &str); 4] = [
    ("mps2-an386", include_str!("../../board-types/mps2-an386.toml")),
    ("mps2-an500", include_str!("../../board-types/mps2-an500.toml")),
    ("nucleo-h743zi", include_str!("../../board-types/nucleo-h743zi.toml")),
    ("nucleo-l4r5zi", include_str!("../../board-types/nucleo-l4r5zi.toml")),
];

/// Enough for the largest networks, and for an emulated board on a busy host.
const RUN_TIMEOUT_S: u32 = 60;

/// What a board's timer counts. An emulator's instructions are exact and repeatable, and are not a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    Instructions,
    Cycles,
}

impl Unit {
    /// The word used in the database and the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Cycles => "cycles",
        }
    }

    /// The unit with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Instructions, Self::Cycles].into_iter().find(|u| u.name() == name)
    }

    /// `ticks` as milliseconds: only cycles of a known clock are a time.
    pub fn latency_ms(self, ticks: u64, clock_hz: u32) -> Option<f64> {
        (self == Self::Cycles && clock_hz > 0).then(|| ticks as f64 * 1e3 / f64::from(clock_hz))
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A Cortex-M core that a board type may require.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Core {
    CortexM3,
    CortexM4,
    CortexM7,
    CortexM33,
    CortexM55,
}

impl Core {
    const ALL: [(Self, &str, u32); 5] = [
        (Self::CortexM3, "cortex-m3", 0xC23),
        (Self::CortexM4, "cortex-m4", 0xC24),
        (Self::CortexM7, "cortex-m7", 0xC27),
        (Self::CortexM33, "cortex-m33", 0xD21),
        (Self::CortexM55, "cortex-m55", 0xD22),
    ];

    /// The part number in the core's CPUID register.
    pub fn part(self) -> u32 {
        self.entry().2
    }

    /// The core with this part number.
    pub fn of_part(part: u32) -> Option<Self> {
        Self::ALL.iter().find(|entry| entry.2 == part).map(|entry| entry.0)
    }

    fn from_name(name: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(|entry| entry.1).join(", ");
        let found = Self::ALL.iter().find(|entry| entry.1 == name).map(|entry| entry.0);
        found.ok_or_else(|| format!("`{name}` is not a core; known: {}", known()))
    }

    fn entry(self) -> (Self, &'static str, u32) {
        *Self::ALL.iter().find(|entry| entry.0 == self).expect("every core is listed")
    }
}

impl fmt::Display for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.entry().1)
    }
}

/// A region of flash that holds one candidate's image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Slot {
    /// Address of its first byte, and its bytes; both multiples of the sector.
    pub base: u32,
    pub length: u32,
}

/// Where probe-rs's description of the chip comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// probe-rs's own list.
    Builtin,
    /// The emulated board's, compiled in.
    Emulated,
    /// A YAML file.
    File(PathBuf),
}

/// A kind of board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardType {
    pub name: String,
    /// The chip's name for probe-rs.
    pub chip: String,
    /// The core it must have, checked before anything is written; `None` is not checked.
    pub core: Option<Core>,
    /// QEMU's machine, for board types that can be virtual.
    pub machine: Option<String>,
    pub target: Target,
    pub clock_hz: u32,
    /// What its runner's timer counts.
    pub unit: Unit,
    pub baud: u32,
    /// Bytes erased together.
    pub sector: u32,
    /// Erase cycles a sector is good for.
    pub endurance: u32,
    /// Bytes of RAM for a network's tensors.
    pub arena: u32,
    pub slots: Vec<Slot>,
    /// The runner's ELF when it is not `FIRMWARE/NAME.elf`.
    pub runner: Option<PathBuf>,
    /// Longest that one inference may say nothing before the board counts as silent.
    pub run_timeout: Duration,
}

impl BoardType {
    /// The names of the profiles that come with the daemon.
    pub fn builtin_names() -> Vec<&'static str> {
        BUILTIN.iter().map(|(name, _)| *name).collect()
    }

    /// A profile that comes with the daemon.
    pub fn builtin(name: &str) -> Option<Self> {
        Self::from_raw(name, raw::BoardType::default(), Path::new(".")).ok()
    }

    /// The smallest slot's bytes: what every image must fit.
    pub fn slot_bytes(&self) -> u32 {
        self.slots.iter().map(|s| s.length).min().unwrap_or(0)
    }

    /// `overrides` on top of the built-in profile of this name, if there is one. `base` is the folder of relative paths.
    pub(super) fn from_raw(name: &str, overrides: raw::BoardType, base: &Path) -> Result<Self, String> {
        let profile = builtin_raw(name);
        let is_builtin = profile.is_some();
        let raw = merge(overrides, profile.unwrap_or_default());
        let lacks = |key: &str| match is_builtin {
            true => format!("board type {name} lacks `{key}`"),
            false => {
                format!("board type {name} is not built in ({}) and lacks `{key}`", Self::builtin_names().join(", "))
            }
        };
        let unit = raw.unit.ok_or_else(|| lacks("unit"))?.into_inner();
        let unit =
            Unit::from_name(&unit).ok_or(format!("`{unit}` is not a unit; use \"cycles\" or \"instructions\""))?;
        let sector = raw.sector.ok_or_else(|| lacks("sector"))?.into_inner();
        let slots: Vec<_> = raw.slots.ok_or_else(|| lacks("slots"))?.into_iter().map(|s| s.into_inner()).collect();
        check_slots(&slots, sector)?;
        Ok(Self {
            name: name.to_owned(),
            chip: raw.chip.ok_or_else(|| lacks("chip"))?,
            core: raw.core.map(|name| Core::from_name(&name)).transpose()?,
            target: target(raw.target, raw.machine.is_some(), base),
            machine: raw.machine,
            clock_hz: raw.clock_hz.ok_or_else(|| lacks("clock-hz"))?,
            unit,
            baud: raw.baud.unwrap_or(115_200),
            sector,
            endurance: raw.endurance.ok_or_else(|| lacks("endurance"))?,
            arena: raw.arena.ok_or_else(|| lacks("arena"))?,
            slots: slots.iter().map(|s| Slot { base: s.base, length: s.length }).collect(),
            runner: raw.runner.map(|path| base.join(path)),
            run_timeout: Duration::from_secs(u64::from(raw.run_timeout_s.unwrap_or(RUN_TIMEOUT_S).max(1))),
        })
    }
}

fn target(file: Option<String>, emulated: bool, base: &Path) -> Target {
    match file {
        Some(path) => Target::File(base.join(path)),
        None if emulated => Target::Emulated,
        None => Target::Builtin,
    }
}

fn builtin_raw(name: &str) -> Option<raw::BoardType> {
    let (_, text) = BUILTIN.iter().find(|(n, _)| *n == name)?;
    Some(toml::from_str(text).expect("built-in board types are valid: a test reads them all"))
}

fn merge(over: raw::BoardType, under: raw::BoardType) -> raw::BoardType {
    raw::BoardType {
        chip: over.chip.or(under.chip),
        core: over.core.or(under.core),
        machine: over.machine.or(under.machine),
        target: over.target.or(under.target),
        clock_hz: over.clock_hz.or(under.clock_hz),
        unit: over.unit.or(under.unit),
        baud: over.baud.or(under.baud),
        sector: over.sector.or(under.sector),
        endurance: over.endurance.or(under.endurance),
        arena: over.arena.or(under.arena),
        slots: over.slots.or(under.slots),
        runner: over.runner.or(under.runner),
        run_timeout_s: over.run_timeout_s.or(under.run_timeout_s),
    }
}

fn check_slots(slots: &[raw::Slot], sector: u32) -> Result<(), String> {
    if slots.is_empty() || sector == 0 {
        return Err("a board type needs at least one slot and a sector size".into());
    }
    let mut sorted = slots.to_vec();
    sorted.sort_by_key(|s| s.base);
    if let Some(s) = sorted.iter().find(|s| s.length == 0 || s.base % sector != 0 || s.length % sector != 0) {
        return Err(format!(
            "slot {:#x}+{:#x} does not consist of whole sectors of {sector:#x} bytes",
            s.base, s.length
        ));
    }
    let overlap = sorted.windows(2).find(|w| u64::from(w[0].base) + u64::from(w[0].length) > u64::from(w[1].base));
    overlap.map_or(Ok(()), |w| Err(format!("slots {:#x} and {:#x} overlap", w[0].base, w[1].base)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_profile_is_whole() {
        for name in BoardType::builtin_names() {
            let profile = BoardType::from_raw(name, raw::BoardType::default(), Path::new("."));
            assert!(profile.is_ok(), "{profile:?}");
        }
    }

    #[test]
    fn only_cycles_are_a_time() {
        assert_eq!(Unit::Instructions.latency_ms(1000, 25_000_000), None);
        assert_eq!(Unit::Cycles.latency_ms(120_000, 120_000_000), Some(1.0));
    }
}
