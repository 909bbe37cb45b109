//! Exact bit allocation as a multiple-choice knapsack: one choice per group, least total cost, several limits at once.
//!
//! This is HAWQ-V3's integer program (Yao et al. 2021, section 3.3). Solved by Lagrangian relaxation, which gives a lower
//! bound and fixes most groups, and depth-first branch and bound on what it leaves open; where that is too much, by labels as in [`path`]. The result
//! is proven optimal.
//! [`path`] solves it where neighbouring groups share a choice, [`network`] states it for a network, and
//! [`fastest`] asks it for the least ticks.

mod bound;
pub mod fastest;
pub mod network;
pub mod path;
mod search;

use bound::Relaxation;
use path::{Arc, PathProblem};
use search::Exhausted;

/// Slack that sums of rounded numbers may have, relative to the limit.
const ROUNDING: f64 = 1e-9;

/// One way to settle a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// What is minimised, such as a loss in accuracy.
    pub cost: f64,
    /// What it uses of each limited resource, in that resource's unit.
    pub uses: Vec<f64>,
}

/// Groups of choices and the limits on the sums of what they use.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Exactly one choice is taken from each.
    pub groups: Vec<Vec<Choice>>,
    /// Largest sum of each resource; the order is that of [`Choice::uses`].
    pub limits: Vec<f64>,
}

/// The best selection.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// Index of the choice taken from each group.
    pub choices: Vec<usize>,
    /// Sum of their costs.
    pub cost: f64,
}

/// Why there is no selection.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum IlpError {
    /// One resource is short by itself.
    #[error("limit {limit} on resource {resource} is below {minimum}, the least that any selection uses")]
    Infeasible {
        /// Its index.
        resource: usize,
        /// The least possible sum.
        minimum: f64,
        /// The limit.
        limit: f64,
    },
    /// Every limit can be met by itself, but no selection meets all.
    #[error("no selection meets all limits at once")]
    Conflict,
    /// More open selections than are worth going through.
    #[error("the problem has too many nearly equal selections to be solved exactly")]
    TooHard,
    /// Empty groups, ragged choices or numbers that are none.
    #[error("group {group}: {reason}")]
    Malformed {
        /// Its index.
        group: usize,
        /// What is wrong.
        reason: &'static str,
    },
}

impl Problem {
    /// The selection of least cost.
    ///
    /// # Errors
    /// [`IlpError`] when there is none or the problem is malformed.
    pub fn solve(&self) -> Result<Solution, IlpError> {
        self.check()?;
        self.check_each_limit()?;
        let relaxation = Relaxation::new(self);
        let choices = match search::branch_and_bound(self, &relaxation) {
            Ok(found) => found.ok_or(IlpError::Conflict)?,
            Err(Exhausted) => self.as_path().solve(&[])?.arcs,
        };
        let cost = self.cost(&choices);
        Ok(Solution { choices, cost })
    }

    /// The same as a path, whose solver drops what another selection dominates: better where many cost nearly the same.
    fn as_path(&self) -> PathProblem {
        let arc = |choice: &Choice| Arc { from: 0, to: 0, cost: choice.cost, uses: choice.uses.clone() };
        let stages = self.groups.iter().map(|group| group.iter().map(arc).collect()).collect();
        PathProblem { stages, limits: self.limits.clone() }
    }

    /// Sum of the costs of a selection.
    pub fn cost(&self, choices: &[usize]) -> f64 {
        self.groups.iter().zip(choices).map(|(group, &choice)| group[choice].cost).sum()
    }

    /// Whether a selection meets all limits.
    pub fn meets_limits(&self, choices: &[usize]) -> bool {
        (0..self.limits.len()).all(|resource| {
            let uses = self.groups.iter().zip(choices).map(|(group, &choice)| group[choice].uses[resource]);
            uses.sum::<f64>() <= self.ceiling(resource)
        })
    }

    /// The limit with room for rounding.
    fn ceiling(&self, resource: usize) -> f64 {
        let limit = self.limits[resource];
        limit + ROUNDING * limit.abs().max(1.0)
    }

    fn check(&self) -> Result<(), IlpError> {
        for (group, choices) in self.groups.iter().enumerate() {
            let malformed = |reason| Err(IlpError::Malformed { group, reason });
            if choices.is_empty() {
                return malformed("no choice");
            }
            if choices.iter().any(|choice| choice.uses.len() != self.limits.len()) {
                return malformed("a choice does not tell its use of every limited resource");
            }
            if choices.iter().any(|choice| !choice.cost.is_finite() || choice.uses.iter().any(|u| !u.is_finite())) {
                return malformed("a cost or use is not a finite number");
            }
        }
        Ok(())
    }

    fn check_each_limit(&self) -> Result<(), IlpError> {
        for (resource, &limit) in self.limits.iter().enumerate() {
            let least = |group: &Vec<Choice>| group.iter().map(|c| c.uses[resource]).fold(f64::INFINITY, f64::min);
            let minimum: f64 = self.groups.iter().map(least).sum();
            // Written so that a limit that is no number is refused as well.
            if !matches!(
                minimum.partial_cmp(&self.ceiling(resource)),
                Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal)
            ) {
                return Err(IlpError::Infeasible { resource, minimum, limit });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
