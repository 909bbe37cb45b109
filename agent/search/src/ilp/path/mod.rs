//! The cheapest path through stages whose choices depend on each other, under limits on what a whole path uses.
//!
//! Neighbouring layers share a tensor, so that their choices of bits are not independent groups: a stage is a layer, a state
//! the bits of the tensors that wait for a later layer, an arc a layer's choice. What only concerns one layer, such as the
//! RAM in use while it runs, is decided when arcs are made; flash and time add up over a path.
//!
//! Solved by labels from stage to stage (Desrochers and Soumis 1988), pruned by what the rest must use at least, by dominance,
//! and by Lagrangian bounds. The first pass keeps only labels whose bound is close to the best possible; each pass that ends
//! without a path allows more, so that the first path found is proven cheapest.

mod bound;
mod front;

use super::{IlpError, ROUNDING};
use bound::Bounds;
use front::undominated;
use std::collections::HashMap;

/// Labels of one stage after which a problem is given up as too hard.
const MAX_LABELS: usize = 400_000;
/// How much more is allowed after a pass without a path. Work grows by more than that from pass to pass, and the last one decides.
const GROWTH: f64 = 1.5;

/// One choice in a stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Arc {
    /// State before it.
    pub from: usize,
    /// State after it.
    pub to: usize,
    /// What is minimised.
    pub cost: f64,
    /// What it uses of each limited resource.
    pub uses: Vec<f64>,
}

/// Stages of arcs. A path begins in state 0 and takes one arc of each stage; it may end in any state.
#[derive(Debug, Clone, PartialEq)]
pub struct PathProblem {
    /// The arcs of each stage.
    pub stages: Vec<Vec<Arc>>,
    /// Largest sum of each resource.
    pub limits: Vec<f64>,
}

/// The cheapest path.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// Index of the arc taken in each stage.
    pub arcs: Vec<usize>,
    /// Sum of their costs.
    pub cost: f64,
}

/// A partial path.
#[derive(Debug, Clone, Default)]
struct Label {
    state: usize,
    cost: f64,
    uses: Vec<f64>,
    /// Position in the stage before, and the arc taken from there.
    parent: usize,
    arc: usize,
    marks: Marks,
}

/// Where a partial path stands among the forbidden paths and among the forbidden classes, while it is the beginning of one.
type Marks = [Option<usize>; 2];

/// Sequences as a tree: node and element to the next node.
#[derive(Debug, Default)]
struct Tree {
    edges: HashMap<(usize, usize), usize>,
    nodes: usize,
}

impl Tree {
    fn add(&mut self, sequence: impl Iterator<Item = usize>) {
        let mut node = 0;
        for element in sequence {
            let next = *self.edges.entry((node, element)).or_insert(self.nodes + 1);
            self.nodes = self.nodes.max(next);
            node = next;
        }
    }

    fn follow(&self, node: Option<usize>, element: usize) -> Option<usize> {
        self.edges.get(&(node?, element)).copied()
    }
}

/// Paths that must not be taken: single ones, and all whose arcs are of the same classes as those of one.
#[derive(Debug, Default)]
pub struct Forbidden {
    paths: Tree,
    alike: Tree,
    /// The class of each arc of each stage.
    classes: Vec<Vec<usize>>,
}

impl Forbidden {
    /// Nothing yet; `classes` has a number for each arc of each stage.
    pub fn new(classes: Vec<Vec<usize>>) -> Self {
        Self { classes, ..Self::default() }
    }

    /// Forbids one path.
    pub fn path(&mut self, arcs: &[usize]) {
        self.paths.add(arcs.iter().copied());
    }

    /// Forbids a path and all that are of its classes from the first arc to the last.
    pub fn all_like(&mut self, arcs: &[usize]) {
        let Self { alike, classes, .. } = self;
        alike.add(arcs.iter().zip(classes).map(|(&arc, classes)| classes[arc]));
    }

    fn marks(&self, [path, alike]: Marks, stage: usize, arc: usize) -> Marks {
        let class = self.classes.get(stage).map(|classes| classes[arc]);
        [self.paths.follow(path, arc), class.and_then(|class| self.alike.follow(alike, class))]
    }
}

/// Finds one cheapest path after another, each dearer than the last or as dear, while ever more is forbidden.
#[derive(Debug)]
pub struct Solver<'a> {
    problem: &'a PathProblem,
    bounds: Bounds,
    least: Vec<Vec<Vec<f64>>>,
    /// How far above the bound paths are looked for; nothing that is not forbidden is below all that was looked for.
    allowance: f64,
    labels: usize,
}

impl Solver<'_> {
    /// The cheapest path that meets all limits and is not forbidden. What was forbidden at an earlier call must still be.
    ///
    /// # Errors
    /// [`IlpError`] when there is none, or the problem is too hard.
    pub fn next(&mut self, forbidden: &Forbidden) -> Result<Path, IlpError> {
        let dearest = self.problem.dearest();
        // The dearest path itself may be all that is left, and sums in another order differ in their last bits.
        let dearest = dearest + ROUNDING * dearest.abs().max(1.0);
        loop {
            let ceiling = self.bounds.lowest() + self.allowance;
            if let Some(path) = self.pass(forbidden, ceiling)? {
                return Ok(path);
            }
            if ceiling >= dearest {
                return Err(IlpError::Conflict);
            }
            self.allowance *= GROWTH;
        }
    }

    /// Partial paths looked at so far: the work done.
    pub fn labels(&self) -> usize {
        self.labels
    }

    /// One pass over the stages that keeps what may end at `ceiling` or below.
    fn pass(&mut self, forbidden: &Forbidden, ceiling: f64) -> Result<Option<Path>, IlpError> {
        let Self { problem, bounds, least, .. } = self;
        let mut uses = vec![0.0; problem.limits.len()];
        let start = Label { state: 0, cost: 0.0, uses: uses.clone(), parent: 0, arc: 0, marks: [Some(0); 2] };
        let mut kept = vec![vec![start]];
        for (stage, arcs) in problem.stages.iter().enumerate() {
            let mut labels = Vec::new();
            for (parent, label) in kept[stage].iter().enumerate() {
                for (index, arc) in arcs.iter().enumerate().filter(|(_, arc)| arc.from == label.state) {
                    let cost = label.cost + arc.cost;
                    uses.iter_mut().zip(label.uses.iter().zip(&arc.uses)).for_each(|(sum, (a, b))| *sum = a + b);
                    let to_go = |r: usize| least[r][stage + 1][arc.to];
                    let fits = (0..uses.len()).all(|r| uses[r] + to_go(r) <= problem.ceiling(r));
                    if fits && bounds.allow(ceiling, &uses, cost, stage + 1, arc.to) {
                        let marks = forbidden.marks(label.marks, stage, index);
                        labels.push(Label { state: arc.to, cost, uses: uses.clone(), parent, arc: index, marks });
                    }
                }
            }
            self.labels += labels.len();
            if labels.len() > MAX_LABELS {
                return Err(IlpError::TooHard);
            }
            kept.push(undominated(labels));
        }
        Ok(problem.best(&kept, ceiling))
    }
}

impl PathProblem {
    /// The cheapest path that meets all limits and is none of `excluded`.
    ///
    /// # Errors
    /// [`IlpError`] when there is none, or the problem is malformed or too hard.
    pub fn solve(&self, excluded: &[Vec<usize>]) -> Result<Path, IlpError> {
        let mut forbidden = Forbidden::default();
        excluded.iter().for_each(|path| forbidden.path(path));
        self.solver()?.next(&forbidden)
    }

    /// What finds one path after another.
    ///
    /// # Errors
    /// [`IlpError`] when the problem is malformed or a limit cannot be met.
    pub fn solver(&self) -> Result<Solver<'_>, IlpError> {
        self.check()?;
        let least = bound::least_uses(self);
        for (resource, &limit) in self.limits.iter().enumerate() {
            let minimum = least[resource][0].first().copied().unwrap_or(f64::INFINITY);
            if !minimum.is_finite() {
                return Err(IlpError::Conflict);
            }
            if minimum > self.ceiling(resource) {
                return Err(IlpError::Infeasible { resource, minimum, limit });
            }
        }
        let bounds = Bounds::new(self);
        if !bounds.lowest().is_finite() {
            return Err(IlpError::Conflict);
        }
        // Nearly always the optimum is within a small part of the gap to the best path known.
        let known = if bounds.upper().is_finite() { bounds.upper() } else { self.dearest() };
        let allowance = ((known - bounds.lowest()).abs() / 64.0).max(1e-9);
        Ok(Solver { problem: self, bounds, least, allowance, labels: 0 })
    }

    /// The cheapest complete label that is no excluded path.
    fn best(&self, kept: &[Vec<Label>], ceiling: f64) -> Option<Path> {
        let last = kept.last()?;
        let open = last.iter().filter(|label| label.marks == [None; 2] && label.cost <= ceiling);
        let mut label = open.min_by(|a, b| a.cost.total_cmp(&b.cost))?;
        let cost = label.cost;
        let mut arcs = Vec::new();
        for stage in kept.iter().rev().skip(1) {
            arcs.push(label.arc);
            label = &stage[label.parent];
        }
        arcs.reverse();
        Some(Path { arcs, cost })
    }

    /// No path costs more.
    fn dearest(&self) -> f64 {
        let dearest = |stage: &Vec<Arc>| stage.iter().map(|arc| arc.cost).fold(f64::NEG_INFINITY, f64::max);
        self.stages.iter().map(dearest).sum()
    }

    /// Whether a path that is this far above each limit is within all of them, but for rounding.
    fn within(&self, excess: &[f64]) -> bool {
        excess.iter().enumerate().all(|(r, &excess)| excess + self.limits[r] <= self.ceiling(r))
    }

    /// The limit with room for rounding.
    fn ceiling(&self, resource: usize) -> f64 {
        let limit = self.limits[resource];
        limit + ROUNDING * limit.abs().max(1.0)
    }

    /// States between stages; the first is where a path begins.
    fn states(&self, before: usize) -> usize {
        let from = self.stages.get(before).into_iter().flatten().map(|arc| arc.from + 1).max();
        let to = before.checked_sub(1).map(|stage| self.stages[stage].iter().map(|arc| arc.to + 1).max());
        from.max(to.flatten()).unwrap_or(0).max(1)
    }

    fn check(&self) -> Result<(), IlpError> {
        for (group, arcs) in self.stages.iter().enumerate() {
            let malformed = |reason| Err(IlpError::Malformed { group, reason });
            if arcs.is_empty() {
                return malformed("no choice");
            }
            if arcs.iter().any(|arc| arc.uses.len() != self.limits.len()) {
                return malformed("a choice does not tell its use of every limited resource");
            }
            if arcs.iter().any(|arc| !arc.cost.is_finite() || arc.uses.iter().any(|u| !u.is_finite())) {
                return malformed("a cost or use is not a finite number");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
