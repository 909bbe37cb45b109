//! Strategies side by side at an equal number of measurements: medians and ranges over seeds, as a table's figures and a chart.
//!
//! Owns the grouping of campaigns, the statistics and the drawing. Does not know SQL, HTTP or the command line.

mod chart;
mod svg;
mod text;

pub use chart::Chart;
pub use svg::svg;
pub use text::{Look, text};

use std::collections::BTreeSet;

use serde_json::Value;

use crate::store::{SearchPoint, SearchRun};
use crate::types::{After, CampaignState, ComparedCampaign, ComparedStrategy, Comparison, Spread};

/// Where a table looks.
pub const MILESTONES: [u32; 4] = [10, 25, 50, 100];

/// Why campaigns cannot stand side by side.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotComparable {
    #[error("there is nothing to compare")]
    Nothing,
    /// Rewards of different models, data or units have nothing to do with each other.
    #[error("campaigns {first} and {other} differ in {what}: {of_first} and {of_other}")]
    Differ { what: &'static str, first: String, of_first: String, other: String, of_other: String },
}

/// Groups campaigns by strategy, objective and options, so that what is left to differ is the seed.
///
/// # Errors
/// [`NotComparable`] when they searched different models, data or units.
pub fn compare(runs: &[SearchRun]) -> Result<Comparison, NotComparable> {
    let first = runs.first().ok_or(NotComparable::Nothing)?;
    runs.iter().try_for_each(|run| same_problem(first, run))?;
    let mut groups: Vec<Vec<&SearchRun>> = Vec::new();
    for run in runs {
        let same = |group: &&mut Vec<&SearchRun>| {
            let first = group[0];
            first.strategy == run.strategy && first.objective == run.objective && first.options == run.options
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    let strategies = groups.iter().map(|group| strategy(group, runs)).collect();
    Ok(Comparison { unit: first.unit.clone(), strategies, notes: notes(runs) })
}

fn same_problem(first: &SearchRun, run: &SearchRun) -> Result<(), NotComparable> {
    let parts = [
        ("model", &first.model, &run.model),
        ("data", &first.data, &run.data),
        ("what their boards count", &first.unit, &run.unit),
    ];
    match parts.into_iter().find(|(_, a, b)| a != b) {
        None => Ok(()),
        Some((what, of_first, of_other)) => Err(NotComparable::Differ {
            what,
            first: first.campaign.clone(),
            of_first: of_first.clone(),
            other: run.campaign.clone(),
            of_other: of_other.clone(),
        }),
    }
}

fn notes(runs: &[SearchRun]) -> Vec<String> {
    let first = &runs[0];
    let limits = runs.iter().filter(|run| run.limits != first.limits).map(|run| {
        let (a, b) = (&first.campaign, &run.campaign);
        format!("campaigns {a} and {b} have different limits: what is feasible in one may not be in the other")
    });
    let unfinished = runs.iter().filter(|run| run.state != "finished").map(|run| {
        format!("campaign {} is {}: it counts up to its {} measurements", run.campaign, run.state, run.measured.len())
    });
    limits.chain(unfinished).collect()
}

fn strategy(group: &[&SearchRun], all: &[SearchRun]) -> ComparedStrategy {
    let longest = group.iter().map(|run| run.measured.len() as u32).max().unwrap_or(0);
    let best = group.iter().filter_map(|run| run.best.as_ref()).min_by(|a, b| {
        let by = |x: Option<f64>| x.unwrap_or(f64::NEG_INFINITY);
        let better = by(b.reward).total_cmp(&by(a.reward)).then(by(b.accuracy).total_cmp(&by(a.accuracy)));
        better.then(a.ticks.cmp(&b.ticks))
    });
    ComparedStrategy {
        name: name(group[0], all),
        campaigns: group.iter().map(|run| campaign(run)).collect(),
        milestones: MILESTONES.into_iter().filter_map(|n| after(group, n)).collect(),
        curve: (1..=longest).filter_map(|n| after(group, n)).collect(),
        best: best.cloned(),
    }
}

fn campaign(run: &SearchRun) -> ComparedCampaign {
    let last = run.measured.last();
    ComparedCampaign {
        name: run.campaign.clone(),
        seed: run.seed,
        state: match run.state.as_str() {
            "active" => CampaignState::Running,
            "stopped" => CampaignState::Stopped,
            "finished" => CampaignState::Finished,
            _ => CampaignState::Failed,
        },
        measured: run.measured.len() as u32,
        best_reward: last.and_then(|point| point.best_reward),
        best_accuracy: last.and_then(|point| point.best_accuracy),
    }
}

/// The strategy, and the objective and options in which campaigns of this strategy differ.
fn name(run: &SearchRun, all: &[SearchRun]) -> String {
    let rivals: Vec<_> = all.iter().filter(|other| other.strategy == run.strategy).collect();
    let tables = rivals.iter().filter_map(|other| other.options.as_object());
    let keys: BTreeSet<&String> = tables.flat_map(|table| table.keys()).collect();
    let differs = |key: &&String| rivals.iter().any(|other| other.options.get(*key) != run.options.get(*key));
    let told = |key: &String| match run.options.get(key) {
        None => format!("no {key}"),
        Some(Value::String(text)) => format!("{key} {text}"),
        Some(other) => format!("{key} {other}"),
    };
    let objectives = rivals.iter().any(|other| other.objective != run.objective);
    let objective = objectives.then(|| format!("objective {}", run.objective));
    let told: Vec<String> = objective.into_iter().chain(keys.into_iter().filter(differs).map(told)).collect();
    if told.is_empty() { run.strategy.clone() } else { format!("{} ({})", run.strategy, told.join(", ")) }
}

/// A search that has ended stays at its best; one that goes on says nothing of measurements it has not made.
fn after(group: &[&SearchRun], measurements: u32) -> Option<After> {
    let at = |run: &&SearchRun| -> Option<SearchPoint> {
        let reached = run.measured.get(measurements as usize - 1);
        reached.or_else(|| run.measured.last().filter(|_| run.state == "finished")).copied()
    };
    let points: Vec<_> = group.iter().filter_map(at).collect();
    let anybody = group.iter().any(|run| !run.measured.is_empty()) && !points.is_empty();
    anybody.then(|| After {
        measurements,
        campaigns: points.len() as u32,
        reward: spread(points.iter().map(|point| point.best_reward).collect()),
        accuracy: spread(points.iter().map(|point| point.best_accuracy).collect()),
    })
}

fn spread(mut values: Vec<Option<f64>>) -> Spread {
    let number = |value: &Option<f64>| value.unwrap_or(f64::NEG_INFINITY);
    values.sort_by(|a, b| number(a).total_cmp(&number(b)));
    let (low, high) = (values.first().copied().flatten(), values.last().copied().flatten());
    let middle =
        (values.get((values.len() - 1) / 2).copied().flatten(), values.get(values.len() / 2).copied().flatten());
    let median = match middle {
        (Some(a), Some(b)) => Some(a + (b - a) / 2.0),
        _ => None,
    };
    Spread { median, low, high }
}

#[cfg(test)]
pub(crate) mod tests;
