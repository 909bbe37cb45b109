//! Searches side by side, at an equal number of measurements.

use serde::{Deserialize, Serialize};

use super::{CampaignState, Candidate};

/// Campaigns of one model under one set of limits, by strategy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Comparison {
    pub unit: String,
    /// In the order in which the campaigns were named.
    pub strategies: Vec<ComparedStrategy>,
    /// What makes the comparison less than fair, in words.
    pub notes: Vec<String>,
}

/// One strategy with one set of options, over its seeds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ComparedStrategy {
    /// The strategy, and those of its options in which the campaigns differ.
    pub name: String,
    pub campaigns: Vec<ComparedCampaign>,
    /// After 10, 25, 50 and 100 measurements, as far as they got.
    pub milestones: Vec<After>,
    /// After each measurement.
    pub curve: Vec<After>,
    /// The best of all its campaigns: feasible, highest reward, then fewest ticks.
    pub best: Option<Candidate>,
}

/// One seed of a strategy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ComparedCampaign {
    pub name: String,
    pub seed: u64,
    pub state: CampaignState,
    pub measured: u32,
    pub best_reward: Option<f64>,
    pub best_accuracy: Option<f64>,
}

/// The best feasible results so far, over the campaigns that got this far or have ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct After {
    pub measurements: u32,
    pub campaigns: u32,
    pub reward: Spread,
    pub accuracy: Spread,
}

/// Of several seeds; `None` stands for a seed that has found nothing feasible yet, and is worse than any number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    pub median: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
}
