//! The black-box policy gradient against published optima.

use super::ilp::{File, Groups};
use super::{CheckError, Tally, read_json};
use crate::ilp::Problem;
use crate::strategy::reinforce::{Categorical, ReinforceConfig};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::path::Path;

/// Evaluations per case and seed.
const EVALUATIONS: usize = 500;
/// Seeds per case.
const SEEDS: u64 = 5;
/// The best evaluated selection may cost this many times the optimum.
const FACTOR: f64 = 1.10;

/// Searches every case of `path` with five seeds: within 500 evaluations a selection must be found that costs at most 1.10 times
/// the optimum. As in a campaign, whatever is drawn is first narrowed to the limit, and the policy learns from what ran.
///
/// # Errors
/// A file that cannot be read or is of another form.
pub fn check_reinforce(path: &Path) -> Result<Tally, CheckError> {
    let file: File = read_json(path)?;
    let in_case = |case: usize| move |reason: String| CheckError::Case { path: path.to_owned(), case, reason };
    let groups = Groups::new(&file).map_err(|reason| CheckError::Content { path: path.to_owned(), reason })?;
    let mut tally = Tally::default();
    for (index, case) in file.cases.iter().enumerate() {
        let problem = groups.problem(&case.limit_on, case.limit).map_err(in_case(index))?;
        let optimum = problem.solve().map_err(|error| in_case(index)(error.to_string()))?.cost;
        for seed in 1..=SEEDS {
            let found = search(&problem, seed);
            let name = format!("{} <= {}, seed {seed}", case.limit_on, case.limit);
            let off = format!("found {found}, {:.3} times the optimum {optimum}", found / optimum);
            tally.add(&name, if found <= FACTOR * optimum { Vec::new() } else { vec![off] });
        }
    }
    Ok(tally)
}

/// Least cost among the selections evaluated.
fn search(problem: &Problem, seed: u64) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let choices = problem.groups.iter().map(Vec::len);
    let mut policy = Categorical::new(choices, ReinforceConfig::for_budget(EVALUATIONS));
    let mut best = f64::INFINITY;
    for _ in 0..EVALUATIONS {
        let selection = narrowed(problem, policy.sample(&mut rng));
        let cost = problem.cost(&selection);
        policy.learn(&selection, -cost);
        if problem.meets_limits(&selection) {
            best = best.min(cost);
        }
    }
    best
}

/// While the limit is exceeded, the group whose next choice saves most of the resource takes it; later groups win ties.
fn narrowed(problem: &Problem, mut selection: Vec<usize>) -> Vec<usize> {
    while !problem.meets_limits(&selection) {
        let uses = |group: usize, choice: usize| problem.groups[group][choice].uses[0];
        let saving = |group: usize| {
            let now = uses(group, selection[group]);
            let less = (0..problem.groups[group].len()).filter(|&choice| uses(group, choice) < now);
            let next = less.max_by(|&a, &b| uses(group, a).total_cmp(&uses(group, b)))?;
            Some((now - uses(group, next), group, next))
        };
        let Some((_, group, next)) = (0..selection.len()).filter_map(saving).max_by(|a, b| a.0.total_cmp(&b.0)) else {
            return selection;
        };
        selection[group] = next;
    }
    selection
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ilp::Choice;
    use rand::Rng;

    /// As many layers as ResNet18, sensitivities over several orders of magnitude, half of the range as the limit.
    #[test]
    fn a_network_like_table_is_solved_nearly_optimally_by_every_seed() {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let mut range = [0.0; 2];
        let groups = (0..18).map(|_| {
            let (size, loss): (f64, f64) = (rng.random_range(1.0..30.0), 10f64.powf(rng.random_range(-2.5..0.0)));
            range = [range[0] + size / 2.0, range[1] + size];
            vec![Choice { cost: loss, uses: vec![size / 2.0] }, Choice { cost: loss / 300.0, uses: vec![size] }]
        });
        let groups = groups.collect();
        let problem = Problem { groups, limits: vec![(range[0] + range[1]) / 2.0] };
        let optimum = problem.solve().expect("feasible").cost;
        for seed in 1..=SEEDS {
            let found = search(&problem, seed);
            assert!(found <= FACTOR * optimum, "seed {seed}: {found}, optimum {optimum}");
        }
    }
}
