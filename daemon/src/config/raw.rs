//! What `hil.toml` may say, before any of it is believed. Spans are kept so that a rule can name the line it broke at.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct File {
    #[serde(default)]
    pub daemon: Daemon,
    #[serde(default)]
    pub board: Vec<Spanned<Board>>,
    #[serde(default)]
    pub board_type: BTreeMap<Spanned<String>, BoardType>,
    #[serde(default)]
    pub campaign: BTreeMap<Spanned<String>, Campaign>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Daemon {
    pub listen: Option<Spanned<String>>,
    pub database: Option<String>,
    pub cache: Option<String>,
    pub log: Option<String>,
    pub firmware: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Board {
    pub name: Spanned<String>,
    #[serde(rename = "type")]
    pub board_type: Spanned<String>,
    pub probe: Option<Spanned<String>>,
    pub serial: Option<Spanned<String>>,
    pub chip_id: Option<String>,
    #[serde(default)]
    pub r#virtual: bool,
}

/// All optional: a table for a built-in type overrides only what it names.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BoardType {
    pub chip: Option<String>,
    pub core: Option<String>,
    pub machine: Option<String>,
    pub target: Option<String>,
    pub clock_hz: Option<u32>,
    pub unit: Option<Spanned<String>>,
    pub baud: Option<u32>,
    pub sector: Option<Spanned<u32>>,
    pub endurance: Option<u32>,
    pub arena: Option<u32>,
    pub slots: Option<Vec<Spanned<Slot>>>,
    pub runner: Option<String>,
    pub run_timeout_s: Option<u32>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    pub base: u32,
    pub length: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Campaign {
    pub model: String,
    pub data: String,
    pub strategy: Option<Spanned<String>>,
    pub objective: Option<Spanned<String>>,
    pub seed: Option<u64>,
    pub budget: Spanned<u32>,
    pub board_types: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    pub limits: Limits,
    pub window: Option<Spanned<String>>,
    pub days: Option<Spanned<String>>,
    pub time_zone: Option<Spanned<String>>,
    pub warmup: Option<u32>,
    pub repeats: Option<Spanned<u32>>,
    pub agent: Option<toml::Table>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub flash: Option<Spanned<String>>,
    pub ram: Option<Spanned<String>>,
    pub latency: Option<Spanned<String>>,
}
