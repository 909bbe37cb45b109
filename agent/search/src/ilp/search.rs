//! Depth-first branch and bound with the relaxation's bound.

use super::bound::{Relaxation, around, reduced_costs};
use super::{Choice, Problem};

/// Partial selections looked at after which a problem is left to others: a fraction of a second.
const MAX_NODES: usize = 1_000_000;

/// More partial selections than this search is made for.
#[derive(Debug)]
pub struct Exhausted;

/// A choice that is still worth trying.
#[derive(Debug, Clone)]
struct Candidate<'a> {
    index: usize,
    choice: &'a Choice,
    reduced: f64,
}

/// A group with its candidates, cheapest reduced cost first.
#[derive(Debug)]
struct Level<'a> {
    group: usize,
    candidates: Vec<Candidate<'a>>,
}

/// A bound at other prices than the relaxation's.
struct Other {
    prices: Vec<f64>,
    offset: f64,
    /// Least reduced cost of all levels from each on.
    rest: Vec<f64>,
}

impl Other {
    fn new(problem: &Problem, levels: &[Level], prices: Vec<f64>) -> Self {
        let reduced = reduced_costs(problem, &prices);
        let least = |level: &Level| least(&reduced[level.group]);
        let mut rest = vec![0.0; levels.len() + 1];
        (0..levels.len()).rev().for_each(|at| rest[at] = rest[at + 1] + least(&levels[at]));
        let offset = prices.iter().zip(&problem.limits).map(|(price, limit)| price * limit).sum();
        Self { prices, offset, rest }
    }

    /// No selection costs less that begins with levels before `depth` of this cost and these uses.
    fn of(&self, cost: f64, uses: &[f64], depth: usize) -> f64 {
        let priced: f64 = self.prices.iter().zip(uses).map(|(price, used)| price * used).sum();
        cost + priced + self.rest[depth] - self.offset
    }
}

/// The state of the search.
struct Search<'a> {
    levels: Vec<Level<'a>>,
    /// Least reduced cost of all levels from this one on.
    reduced_rest: Vec<f64>,
    /// Least use of each resource by all levels from this one on.
    uses_rest: Vec<Vec<f64>>,
    ceilings: Vec<f64>,
    offset: f64,
    best_cost: f64,
    best: Option<Vec<usize>>,
    taken: Vec<usize>,
    nodes: usize,
    others: Vec<Other>,
}

/// The selection of least cost; `None` when none meets the limits.
///
/// # Errors
/// [`Exhausted`] when neither is proven after many partial selections.
pub fn branch_and_bound(problem: &Problem, relaxation: &Relaxation) -> Result<Option<Vec<usize>>, Exhausted> {
    let incumbent = relaxation.incumbent.clone();
    let best_cost = incumbent.as_ref().map_or(f64::INFINITY, |choices| problem.cost(choices));
    let levels = levels(problem, relaxation, best_cost);
    let resources = problem.limits.len();
    let mut search = Search {
        reduced_rest: suffix(&levels, |c| c.reduced),
        uses_rest: (0..resources).map(|r| suffix(&levels, |c| c.choice.uses[r])).collect(),
        ceilings: (0..resources).map(|r| problem.ceiling(r)).collect(),
        offset: relaxation.offset,
        taken: vec![0; levels.len()],
        others: around(&relaxation.prices).into_iter().map(|prices| Other::new(problem, &levels, prices)).collect(),
        levels,
        best_cost,
        best: incumbent,
        nodes: 0,
    };
    search.descend(0, 0.0, 0.0, &vec![0.0; resources])?;
    Ok(search.best)
}

/// Drops choices that cannot be in a better selection than the incumbent, and those that another choice of the group beats in
/// everything. Groups with most to lose by a wrong choice come first.
fn levels<'a>(problem: &'a Problem, relaxation: &Relaxation, best_cost: f64) -> Vec<Level<'a>> {
    let bound: f64 = relaxation.reduced.iter().map(|group| least(group)).sum::<f64>() - relaxation.offset;
    let level = |(group, choices): (usize, &'a Vec<Choice>)| {
        let reduced = &relaxation.reduced[group];
        let least = least(reduced);
        let open = |&index: &usize| bound + (reduced[index] - least) <= best_cost + tolerance(best_cost);
        let kept = (0..choices.len()).filter(open).filter(|&index| !dominated(choices, index));
        let mut candidates: Vec<Candidate> =
            kept.map(|index| Candidate { index, choice: &choices[index], reduced: reduced[index] }).collect();
        candidates.sort_by(|a, b| a.reduced.total_cmp(&b.reduced));
        Level { group, candidates }
    };
    let mut levels: Vec<Level> = problem.groups.iter().enumerate().map(level).collect();
    let spread = |level: &Level| {
        level.candidates.get(1).map_or(f64::INFINITY, |second| second.reduced - level.candidates[0].reduced)
    };
    levels.sort_by(|a, b| spread(b).total_cmp(&spread(a)));
    levels
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn dominated(choices: &[Choice], index: usize) -> bool {
    let this = &choices[index];
    choices.iter().enumerate().any(|(other, choice)| {
        let no_worse = choice.cost <= this.cost && choice.uses.iter().zip(&this.uses).all(|(a, b)| a <= b);
        no_worse && (choice != this || other < index)
    })
}

/// Sums of the levels' least values from each level to the last, and 0 after it.
fn suffix(levels: &[Level], value: impl Fn(&Candidate) -> f64) -> Vec<f64> {
    let mut sums = vec![0.0; levels.len() + 1];
    for (at, level) in levels.iter().enumerate().rev() {
        sums[at] = sums[at + 1] + level.candidates.iter().map(&value).fold(f64::INFINITY, f64::min);
    }
    sums
}

/// Differences below this are rounding.
fn tolerance(cost: f64) -> f64 {
    if cost.is_finite() { 1e-12 * cost.abs().max(1e-3) } else { 0.0 }
}

impl Search<'_> {
    fn descend(&mut self, depth: usize, cost: f64, reduced: f64, uses: &[f64]) -> Result<(), Exhausted> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Exhausted);
        }
        if depth == self.levels.len() {
            if cost < self.best_cost {
                let mut choices = vec![0; self.levels.len()];
                self.levels.iter().zip(&self.taken).for_each(|(level, &index)| choices[level.group] = index);
                (self.best_cost, self.best) = (cost, Some(choices));
            }
            return Ok(());
        }
        for at in 0..self.levels[depth].candidates.len() {
            let candidate = &self.levels[depth].candidates[at];
            let (index, cost) = (candidate.index, cost + candidate.choice.cost);
            let reduced = reduced + candidate.reduced;
            // Candidates are sorted: the next ones are no better.
            if reduced + self.reduced_rest[depth + 1] - self.offset >= self.best_cost - tolerance(self.best_cost) {
                break;
            }
            let uses: Vec<f64> = uses.iter().zip(&candidate.choice.uses).map(|(sum, more)| sum + more).collect();
            let fits = |r: usize| uses[r] + self.uses_rest[r][depth + 1] <= self.ceilings[r];
            let ceiling = self.best_cost - tolerance(self.best_cost);
            let promises = |other: &Other| other.of(cost, &uses, depth + 1) < ceiling;
            if (0..uses.len()).all(fits) && self.others.iter().all(promises) {
                self.taken[depth] = index;
                self.descend(depth + 1, cost, reduced, &uses)?;
            }
        }
        Ok(())
    }
}
