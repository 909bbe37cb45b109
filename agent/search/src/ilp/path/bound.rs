//! What the rest of a path must cost and use at least.

use super::super::bound::around;
use super::{Arc, PathProblem};

/// Steps of the subgradient method.
const STEPS: usize = 400;
/// Steps without a better bound after which the step size is halved.
const STALL: usize = 8;
/// The bound that is best for whole paths, and some at prices around its own: a partial path that has used more or less of a resource than
/// its share so far is often bounded better by one of those.
#[derive(Debug)]
pub struct Bounds {
    best: Bound,
    around: Vec<Bound>,
}

impl Bounds {
    /// Bounds on the costs of a problem's paths.
    pub fn new(problem: &PathProblem) -> Self {
        let best = Bound::new(problem);
        let around = around(&best.prices).into_iter().map(|prices| Bound::at(problem, prices)).collect();
        Self { best, around }
    }

    /// No path within the limits costs less.
    pub fn lowest(&self) -> f64 {
        self.best.lowest()
    }

    /// Cost of the best path within the limits that was met on the way; infinite if there was none.
    pub fn upper(&self) -> f64 {
        self.best.upper
    }

    /// Whether a path may cost at most `ceiling` that begins with a partial one of these uses and cost and goes on from `state` before
    /// `stage`.
    pub fn allow(&self, ceiling: f64, uses: &[f64], cost: f64, stage: usize, state: usize) -> bool {
        let allows = |bound: &Bound| bound.of(uses, cost, stage, state) <= ceiling;
        allows(&self.best) && self.around.iter().all(allows)
    }
}

/// The Lagrangian relaxation at good prices: limits become prices per unit of each resource.
#[derive(Debug)]
struct Bound {
    prices: Vec<f64>,
    /// Least reduced cost from each state before each stage to the end.
    to_go: Vec<Vec<f64>>,
    /// Prices times limits.
    offset: f64,
    /// Cost of the best path within the limits that was met on the way; infinite if there was none.
    upper: f64,
}

/// The path that is cheapest at some prices: its cost without them, and how far it is above each limit.
struct Cheapest {
    cost: f64,
    excess: Vec<f64>,
}

impl Bound {
    /// Prices that make the bound (nearly) as high as it gets, by Polyak's subgradient steps towards the best path met so far.
    fn new(problem: &PathProblem) -> Self {
        let mut best = Self::at(problem, vec![0.0; problem.limits.len()]);
        let mut upper = f64::INFINITY;
        let (mut scale, mut stalled) = (1.0, 0);
        let (mut prices, mut lowest) = (best.prices.clone(), best.lowest());
        let mut cheapest = best.cheapest(problem);
        for _ in 0..STEPS {
            if problem.within(&cheapest.excess) {
                upper = upper.min(cheapest.cost);
            }
            let target = if upper.is_finite() { upper } else { lowest.abs() * 1.5 + 1.0 };
            let gap = scale * (target - lowest).max(1e-12);
            let Some(moved) = step(problem, &prices, &cheapest.excess, gap) else { break };
            let next = Self::at(problem, moved);
            (prices, lowest, cheapest) = (next.prices.clone(), next.lowest(), next.cheapest(problem));
            match lowest > best.lowest() {
                true => (best, stalled) = (next, 0),
                false => stalled += 1,
            }
            if stalled > STALL {
                (scale, stalled) = (scale / 2.0, 0);
                (prices, lowest, cheapest) = (best.prices.clone(), best.lowest(), best.cheapest(problem));
            }
        }
        Self { upper, ..best }
    }

    fn at(problem: &PathProblem, prices: Vec<f64>) -> Self {
        let reduced = |arc: &Arc| arc.cost + prices.iter().zip(&arc.uses).map(|(p, u)| p * u).sum::<f64>();
        let to_go = backward(problem, reduced);
        let offset = prices.iter().zip(&problem.limits).map(|(price, limit)| price * limit).sum();
        Self { prices, to_go, offset, upper: f64::INFINITY }
    }

    /// No path within the limits costs less.
    fn lowest(&self) -> f64 {
        self.to_go[0].first().map_or(f64::INFINITY, |least| least - self.offset)
    }

    /// No path within the limits costs less that begins with a partial one of these uses and cost and goes on from `state`
    /// before `stage`.
    fn of(&self, uses: &[f64], cost: f64, stage: usize, state: usize) -> f64 {
        let priced: f64 = self.prices.iter().zip(uses).map(|(price, used)| price * used).sum();
        cost + priced + self.to_go[stage][state] - self.offset
    }

    fn cheapest(&self, problem: &PathProblem) -> Cheapest {
        let mut excess: Vec<f64> = problem.limits.iter().map(|limit| -limit).collect();
        let (mut cost, mut state) = (0.0, 0);
        for (stage, arcs) in problem.stages.iter().enumerate() {
            let value = |arc: &Arc| {
                let priced: f64 = self.prices.iter().zip(&arc.uses).map(|(p, u)| p * u).sum();
                arc.cost + priced + self.to_go[stage + 1][arc.to]
            };
            let open = arcs.iter().filter(|arc| arc.from == state);
            let Some(arc) = open.min_by(|a, b| value(a).total_cmp(&value(b))) else { break };
            excess.iter_mut().zip(&arc.uses).for_each(|(sum, used)| *sum += used);
            (cost, state) = (cost + arc.cost, arc.to);
        }
        Cheapest { cost, excess }
    }
}

/// Raises the prices of what is overused, lowers the others; `None` when nothing would change. Resources differ in unit and
/// size: each is measured in its own limit.
fn step(problem: &PathProblem, prices: &[f64], excess: &[f64], gap: f64) -> Option<Vec<f64>> {
    let open = |(price, excess): (&f64, &f64)| if *price == 0.0 && *excess < 0.0 { 0.0 } else { *excess };
    let excess: Vec<f64> = prices.iter().zip(excess).map(open).collect();
    let scales: Vec<f64> = problem.limits.iter().map(|limit| limit.abs().max(1e-9)).collect();
    let norm: f64 = excess.iter().zip(&scales).map(|(e, s)| (e / s).powi(2)).sum();
    let moved = |((price, e), s): ((&f64, &f64), &f64)| (price + gap / norm * e / (s * s)).max(0.0);
    (norm > 0.0).then(|| prices.iter().zip(&excess).zip(&scales).map(moved).collect())
}

/// Per resource: the least that must be used from each state before each stage to the end.
pub fn least_uses(problem: &PathProblem) -> Vec<Vec<Vec<f64>>> {
    (0..problem.limits.len()).map(|resource| backward(problem, |arc| arc.uses[resource])).collect()
}

/// Least sum of `value` from each state before each stage, and after the last, to the end; infinite at dead ends.
fn backward(problem: &PathProblem, value: impl Fn(&Arc) -> f64) -> Vec<Vec<f64>> {
    let stages = problem.stages.len();
    let mut to_go: Vec<Vec<f64>> = (0..=stages).map(|before| vec![f64::INFINITY; problem.states(before)]).collect();
    to_go[stages].fill(0.0);
    for stage in (0..stages).rev() {
        let (before, after) = to_go.split_at_mut(stage + 1);
        for arc in &problem.stages[stage] {
            let least = &mut before[stage][arc.from];
            *least = least.min(value(arc) + after[0][arc.to]);
        }
    }
    to_go
}
