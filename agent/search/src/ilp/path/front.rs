//! Dominance among partial paths: one that ends in the same state, costs no more and uses no more of anything makes another needless.

use super::{Label, Marks};
use std::collections::HashMap;

/// Drops labels that another one dominates.
pub fn undominated(mut labels: Vec<Label>) -> Vec<Label> {
    labels.sort_by(|a, b| a.state.cmp(&b.state).then(a.cost.total_cmp(&b.cost)));
    let keep: Vec<bool> = labels.chunk_by(|a, b| a.state == b.state).flat_map(in_one_state).collect();
    labels.into_iter().zip(keep).filter_map(|(label, keep)| keep.then_some(label)).collect()
}

/// Which labels of one state, cheapest first, no other dominates.
fn in_one_state(labels: &[Label]) -> Vec<bool> {
    let ranks = ranks(labels);
    let most = ranks.iter().copied().max().unwrap_or(1);
    let mut fronts: HashMap<Marks, Front> = HashMap::new();
    let undominated = |(label, rank): (&Label, usize)| {
        // The beginning of a forbidden path dominates those of the same one only: some continuations of it are forbidden.
        let [one, other] = label.marks;
        let freer = [[None, None], [one, None], [None, other], [one, other]];
        let reached = freer.iter().any(|marks| fronts.get(marks).is_some_and(|front| front.reaches(&label.uses, rank)));
        if !reached {
            fronts.entry(label.marks).or_insert_with(|| Front::new(most)).add(&label.uses, rank);
        }
        !reached
    };
    labels.iter().zip(ranks).map(undominated).collect()
}

/// Resources that a [`Node`] has a fast answer for.
const FEW: usize = 2;
/// Uses of more resources that a node lists, those of the cheapest labels: what others dominate is kept, which takes room and nothing else.
const MOST_LISTED: usize = 100;

/// Where each label stands by its use of the last resource, from 1; equal uses have equal ranks. Of few resources all have the same rank.
fn ranks(labels: &[Label]) -> Vec<usize> {
    let last = |index: usize| labels[index].uses.get(FEW..).and_then(<[f64]>::last).copied().unwrap_or(0.0);
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by(|&a, &b| last(a).total_cmp(&last(b)));
    let mut ranks = vec![1; labels.len()];
    for at in 1..order.len() {
        let same = last(order[at]) <= last(order[at - 1]);
        ranks[order[at]] = if same { ranks[order[at - 1]] } else { at + 1 };
    }
    ranks
}

/// The least uses among labels of one state that cost no more than what comes next: a Fenwick tree over the ranks of the last resource, whose
/// nodes hold the uses of the others. Of few resources a single node.
#[derive(Debug)]
struct Front {
    nodes: HashMap<usize, Node>,
    ranks: usize,
}

impl Front {
    fn new(ranks: usize) -> Self {
        Self { nodes: HashMap::new(), ranks }
    }

    /// Whether some label uses no more of anything.
    fn reaches(&self, uses: &[f64], rank: usize) -> bool {
        let others = others(uses);
        let mut below = std::iter::successors(Some(rank), |at| Some(at & (at - 1)).filter(|&at| at > 0));
        below.any(|at| self.nodes.get(&at).is_some_and(|node| node.reaches(others)))
    }

    /// Adds a label that nothing here reaches.
    fn add(&mut self, uses: &[f64], rank: usize) {
        let others = others(uses);
        let above = std::iter::successors(Some(rank), |at| Some(at + (at & at.wrapping_neg())));
        for at in above.take_while(|&at| at <= self.ranks) {
            let node = self.nodes.entry(at).or_default();
            if !node.reaches(others) {
                node.add(others);
            }
        }
    }
}

/// What nodes hold: the uses of all resources but the last, and of few all.
fn others(uses: &[f64]) -> &[f64] {
    &uses[..uses.len().min(FEW.max(uses.len().saturating_sub(1)))]
}

/// The least uses of some labels.
///
/// Of two resources, nearly every campaign's (flash, and the ticks of one board type), a staircase: the first ascending, the second descending, so
/// that one binary search answers.
#[derive(Debug, Default)]
struct Node {
    steps: Vec<(f64, f64)>,
    /// For any other number of resources.
    all: Vec<Vec<f64>>,
}

impl Node {
    fn reaches(&self, uses: &[f64]) -> bool {
        match *uses {
            [first, second] => {
                let at = self.steps.partition_point(|step| step.0 <= first);
                at.checked_sub(1).is_some_and(|below| self.steps[below].1 <= second)
            }
            _ => self.all.iter().any(|other| other.iter().zip(uses).all(|(a, b)| a <= b)),
        }
    }

    /// Adds what nothing here reaches.
    fn add(&mut self, uses: &[f64]) {
        match *uses {
            [first, second] => {
                let at = self.steps.partition_point(|step| step.0 < first);
                let covered = self.steps[at..].iter().take_while(|step| step.1 >= second).count();
                self.steps.splice(at..at + covered, [(first, second)]);
            }
            _ if self.all.len() < MOST_LISTED => self.all.push(uses.to_vec()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_what_a_list_of_all_says() {
        let mut state = 5u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f64::from((state >> 60) as u32)
        };
        for resources in 0..5 {
            let label = |_| (0..resources).map(|_| next()).collect();
            let mut labels: Vec<Label> = (0..400).map(label).map(|uses| Label { uses, ..Label::default() }).collect();
            labels.iter_mut().enumerate().for_each(|(index, label)| label.cost = index as f64);
            let (mut all, mut dropped) = (Vec::<Vec<f64>>::new(), 0);
            for (label, kept) in labels.iter().zip(in_one_state(&labels)) {
                let reached = all.iter().any(|other| other.iter().zip(&label.uses).all(|(a, b)| a <= b));
                let is_exact = resources <= FEW + 1;
                assert!(if is_exact { kept != reached } else { kept || reached }, "{label:?}");
                dropped += usize::from(!kept);
                all.push(label.uses.clone());
            }
            assert!(dropped > 200, "{resources} resources: {dropped}");
        }
    }
}
