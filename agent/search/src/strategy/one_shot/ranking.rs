//! Choices of a policy, likeliest first.

use std::collections::{BinaryHeap, HashSet};

/// Every combination of independent choices in falling order of probability; among equally likely ones in a fixed order.
///
/// Best first over ranks: a combination comes after all that differ from it by one likelier choice, so that it is enough to
/// look at the successors of what has come.
#[derive(Debug)]
pub struct Ranking {
    /// Per decision its choices, likeliest first, with what each costs in logarithms against the likeliest.
    choices: Vec<Vec<(usize, f64)>>,
    queue: BinaryHeap<Entry>,
    queued: HashSet<Vec<u8>>,
}

/// Per decision the rank of its choice.
#[derive(Debug, PartialEq)]
struct Entry {
    cost: f64,
    ranks: Vec<u8>,
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// The largest of a heap is the cheapest, then the one whose first decisions are likeliest.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.cost.total_cmp(&self.cost).then_with(|| other.ranks.cmp(&self.ranks))
    }
}

impl Ranking {
    /// Of decisions with these probabilities, none of them 0.
    pub fn new(probabilities: &[Vec<f64>]) -> Self {
        let sorted = |p: &Vec<f64>| {
            let mut choices: Vec<(usize, f64)> = p.iter().map(|p| -p.ln()).enumerate().collect();
            choices.sort_by(|a, b| a.1.total_cmp(&b.1));
            let least = choices.first().map_or(0.0, |&(_, cost)| cost);
            choices.into_iter().map(|(choice, cost)| (choice, cost - least)).collect()
        };
        let choices: Vec<Vec<(usize, f64)>> = probabilities.iter().map(sorted).collect();
        let first = Entry { cost: 0.0, ranks: vec![0; choices.len()] };
        Self { choices, queued: HashSet::from([first.ranks.clone()]), queue: BinaryHeap::from([first]) }
    }

    /// Summed anew each time, so that equal combinations have equal costs whichever way they were reached.
    fn cost(&self, ranks: &[u8]) -> f64 {
        self.choices.iter().zip(ranks).map(|(choices, &rank)| choices[usize::from(rank)].1).sum()
    }
}

impl Iterator for Ranking {
    type Item = Vec<usize>;

    fn next(&mut self) -> Option<Vec<usize>> {
        let Entry { ranks, .. } = self.queue.pop()?;
        for decision in 0..ranks.len() {
            if usize::from(ranks[decision]) + 1 < self.choices[decision].len() {
                let mut next = ranks.clone();
                next[decision] += 1;
                if self.queued.insert(next.clone()) {
                    self.queue.push(Entry { cost: self.cost(&next), ranks: next });
                }
            }
        }
        Some(self.choices.iter().zip(&ranks).map(|(choices, &rank)| choices[usize::from(rank)].0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_combinations_come_once_in_falling_order() {
        let p = [vec![0.2, 0.7, 0.1], vec![0.5, 0.2, 0.3], vec![0.34, 0.33, 0.33]];
        let all: Vec<Vec<usize>> = Ranking::new(&p).collect();
        assert_eq!(all[0], [1, 0, 0]);
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 27);
        let probability = |choice: &Vec<usize>| choice.iter().zip(&p).map(|(&c, p)| p[c]).product::<f64>();
        for pair in all.windows(2) {
            assert!(probability(&pair[0]) >= probability(&pair[1]) - 1e-12, "{pair:?}");
        }
    }
}
