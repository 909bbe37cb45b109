//! The Lagrangian relaxation: limits become prices.

use super::Problem;

/// Steps of the subgradient method. Its bound only needs to be good; the search makes the result exact.
const STEPS: usize = 400;
/// Steps without a better bound after which the step size is halved.
const STALL: usize = 15;

/// What the best prices are multiplied by, all at once and one by one, for bounds that are better where a part of a selection used more or less of
/// a resource than its share.
const AROUND: [f64; 4] = [0.6, 0.77, 1.3, 1.7];

/// The prices around `prices`, in which [`AROUND`] moves all at once or a single one.
pub fn around(prices: &[f64]) -> Vec<Vec<f64>> {
    let moved = |one: Option<usize>, factor: f64| {
        let moves = |resource: usize| one.is_none_or(|one| one == resource);
        let price = |(resource, price): (usize, &f64)| if moves(resource) { price * factor } else { *price };
        prices.iter().enumerate().map(price).collect()
    };
    let together = (!prices.is_empty()).then_some(None);
    let alone = (0..prices.len()).filter(|_| prices.len() > 1).map(Some);
    together.into_iter().chain(alone).flat_map(|one| AROUND.map(|factor| moved(one, factor))).collect()
}

/// Prices per unit of each resource, and what follows from them.
#[derive(Debug)]
pub struct Relaxation {
    /// Per unit of each resource.
    pub prices: Vec<f64>,
    /// `cost + prices * uses` of every choice.
    pub reduced: Vec<Vec<f64>>,
    /// `prices * limits`: subtracted from a sum of reduced costs it gives a lower bound on the cost.
    pub offset: f64,
    /// The best selection met on the way that meets all limits.
    pub incumbent: Option<Vec<usize>>,
}

impl Relaxation {
    /// Prices that make the lower bound (nearly) as high as it gets, by Polyak's subgradient steps.
    pub fn new(problem: &Problem) -> Self {
        let mut best = Trial::new(problem, vec![0.0; problem.limits.len()]);
        let mut incumbent: Option<Vec<usize>> = None;
        let mut trial = best.clone();
        let (mut scale, mut stalled) = (1.0, 0);
        for _ in 0..STEPS {
            improve(problem, &mut incumbent, &trial.choices);
            let upper = incumbent.as_ref().map_or_else(|| trial.bound.abs() + 1.0, |choices| problem.cost(choices));
            let Some(prices) = trial.step(problem, scale * (upper - trial.bound).max(1e-12)) else { break };
            trial = Trial::new(problem, prices);
            match trial.bound > best.bound {
                true => {
                    best = trial.clone();
                    stalled = 0;
                }
                false => stalled += 1,
            }
            if stalled > STALL {
                (scale, stalled) = (scale / 2.0, 0);
                trial = best.clone();
            }
        }
        improve(problem, &mut incumbent, &best.choices);
        let reduced = reduced_costs(problem, &best.prices);
        let offset = best.prices.iter().zip(&problem.limits).map(|(price, limit)| price * limit).sum();
        Self { prices: best.prices, reduced, offset, incumbent }
    }
}

/// One set of prices and the selection that is cheapest at them.
#[derive(Debug, Clone)]
struct Trial {
    prices: Vec<f64>,
    choices: Vec<usize>,
    bound: f64,
}

impl Trial {
    fn new(problem: &Problem, prices: Vec<f64>) -> Self {
        let reduced = reduced_costs(problem, &prices);
        let cheapest = |group: &Vec<f64>| (0..group.len()).min_by(|&a, &b| group[a].total_cmp(&group[b])).unwrap_or(0);
        let choices: Vec<usize> = reduced.iter().map(cheapest).collect();
        let total: f64 = reduced.iter().zip(&choices).map(|(group, &choice)| group[choice]).sum();
        let paid: f64 = prices.iter().zip(&problem.limits).map(|(price, limit)| price * limit).sum();
        Self { prices, choices, bound: total - paid }
    }

    /// Raises the prices of what is overused, lowers the others; `None` when nothing would change.
    fn step(&self, problem: &Problem, gap: f64) -> Option<Vec<f64>> {
        let excess: Vec<f64> = (0..problem.limits.len())
            .map(|resource| {
                let uses = problem.groups.iter().zip(&self.choices).map(|(group, &c)| group[c].uses[resource]);
                let excess = uses.sum::<f64>() - problem.limits[resource];
                if self.prices[resource] == 0.0 && excess < 0.0 { 0.0 } else { excess }
            })
            .collect();
        // Resources differ in unit and size: each is measured in its own limit.
        let scales: Vec<f64> = problem.limits.iter().map(|limit| limit.abs().max(1e-9)).collect();
        let norm: f64 = excess.iter().zip(&scales).map(|(e, s)| (e / s).powi(2)).sum();
        let moved = |((price, e), s): ((&f64, &f64), &f64)| (price + gap / norm * e / (s * s)).max(0.0);
        (norm > 0.0).then(|| self.prices.iter().zip(&excess).zip(&scales).map(moved).collect())
    }
}

/// `cost + prices * uses` of every choice.
pub fn reduced_costs(problem: &Problem, prices: &[f64]) -> Vec<Vec<f64>> {
    let reduced =
        |choice: &super::Choice| choice.cost + prices.iter().zip(&choice.uses).map(|(p, u)| p * u).sum::<f64>();
    problem.groups.iter().map(|group| group.iter().map(reduced).collect()).collect()
}

fn improve(problem: &Problem, incumbent: &mut Option<Vec<usize>>, choices: &[usize]) {
    let better = |old: &Vec<usize>| problem.cost(choices) < problem.cost(old);
    if problem.meets_limits(choices) && incumbent.as_ref().is_none_or(better) {
        *incumbent = Some(choices.to_vec());
    }
}
