//! `evolution`: NSGA-II (Deb et al. 2002), one child at a time, over accuracy, ticks, flash and RAM.
//!
//! Limits are constraints: what meets them beats what does not. Parents are drawn by tournaments on front and crowding, which
//! spreads the front; where a campaign is after the highest reward, half of them on reward instead. Nothing is proposed twice.
//!
//! After the highest reward, several children are drawn for each proposal, and the one that a linear model of all that was
//! measured likes best is taken: pre-selection by a surrogate, as in Lu et al. 2020 (NSGANetV2). In the last part of the budget, what
//! lies next to the best candidate takes the children's place.

use super::history::History;
use super::nearby::first_choices;
use super::surrogate::Surrogate;
use super::{Blob, Outcome, Proposal, RngState, Strategy, StrategyError};
use crate::env::{Environment, Objective};
use bitrack_model::Bits;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Candidates that survive.
const POPULATION: usize = 24;
/// Random candidates before the first child, besides the uniform ones and the rule's.
const RANDOM: usize = 7;
/// Children drawn before one that is known is proposed after all.
const MAX_ATTEMPTS: usize = 20;
/// Tensors that a child changes on average.
const MUTATIONS: f64 = 1.5;
/// New children of which the likeliest to be good is proposed.
const BROOD: usize = 8;
/// Share of the budget after which the neighbours of the best candidate take the children's place.
const LOCAL_FROM: f64 = 0.5;

/// A measured candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Individual {
    bits: Vec<Bits>,
    /// What is minimised, as the bits of f64 numbers: minus accuracy, ticks, flash, RAM.
    objectives: [u64; 4],
    /// By how much limits are exceeded, and the reward; as bits.
    excess: u64,
    reward: u64,
}

impl Individual {
    fn objectives(&self) -> [f64; 4] {
        self.objectives.map(f64::from_bits)
    }

    fn excess(&self) -> f64 {
        f64::from_bits(self.excess)
    }

    fn reward(&self) -> f64 {
        f64::from_bits(self.reward)
    }

    /// Constrained domination.
    fn dominates(&self, other: &Self) -> bool {
        if self.excess() != other.excess() {
            return self.excess() < other.excess();
        }
        let pairs = || self.objectives().into_iter().zip(other.objectives());
        pairs().all(|(a, b)| a <= b) && pairs().any(|(a, b)| a < b)
    }
}

/// The strategy.
#[derive(Debug)]
pub struct Evolution {
    objective: Objective,
    budget: usize,
    rng: ChaCha8Rng,
    /// What is proposed before the first child; known once there is an environment.
    first: Option<Vec<Vec<Bits>>>,
    proposed: usize,
    population: Vec<Individual>,
    history: History,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    rng: RngState,
    proposed: usize,
    population: Vec<Individual>,
    /// Checkpoints of earlier versions have none.
    #[serde(default)]
    history: History,
}

impl Evolution {
    /// Reproducible from its seed; `budget` candidates will be measured.
    pub fn new(seed: u64, objective: Objective, budget: usize) -> Self {
        Self {
            objective,
            budget,
            rng: ChaCha8Rng::seed_from_u64(seed),
            first: None,
            proposed: 0,
            population: Vec::new(),
            history: History::default(),
        }
    }

    /// What the limits leave of the obvious choices first, then random candidates, then children.
    fn next(&mut self, env: &Environment) -> Vec<Bits> {
        let first = self.first.get_or_insert_with(|| first_choices(env));
        let (count, choice) = (first.len(), first.get(self.proposed).cloned());
        self.proposed += 1;
        match choice {
            Some(bits) => bits,
            None if self.proposed <= count + RANDOM || self.population.len() < 2 => self.unknown(|this| {
                let bits: Vec<Bits> = (0..env.space.len()).map(|_| Bits::ALL[this.rng.random_range(0..3)]).collect();
                env.project(&bits)
            }),
            None if self.objective == Objective::Front => {
                let ranks = ranks(&self.population);
                self.unknown(|this| this.child(env, &ranks))
            }
            None => self.likeliest(env),
        }
    }

    /// What `draw` makes, again and again until it is new, if that can be had.
    fn unknown(&mut self, draw: impl Fn(&mut Self) -> Vec<Bits>) -> Vec<Bits> {
        let mut bits = draw(self);
        for _ in 0..MAX_ATTEMPTS {
            if !self.history.knows(&bits) {
                break;
            }
            bits = draw(self);
        }
        bits
    }

    /// The new child, or late in the search the new neighbour of the best, of the highest predicted reward.
    fn likeliest(&mut self, env: &Environment) -> Vec<Bits> {
        let ranks = ranks(&self.population);
        let mut brood = match self.history.spent(self.budget) >= LOCAL_FROM {
            true => self.history.beside_the_best(env),
            false => Vec::new(),
        };
        if brood.is_empty() {
            brood.extend((0..BROOD).map(|_| self.unknown(|this| this.child(env, &ranks))));
        }
        let surrogate = Surrogate::new(env.space.len(), self.history.rewards());
        let likes: Vec<f64> = brood.iter().map(|bits| surrogate.predict(bits)).collect();
        let best =
            (0..brood.len()).filter(|&i| !self.history.knows(&brood[i])).max_by(|&a, &b| likes[a].total_cmp(&likes[b]));
        brood.swap_remove(best.unwrap_or(0))
    }

    /// As it runs: what it changed is kept, and other tensors make room for it.
    fn child(&mut self, env: &Environment, ranks: &[(usize, f64)]) -> Vec<Bits> {
        let by_front = self.objective == Objective::Front || self.rng.random::<bool>();
        let (mother, father) = (self.parent(ranks, by_front), self.parent(ranks, by_front));
        let chance = MUTATIONS / self.population[mother].bits.len() as f64;
        let mut mutated = Vec::new();
        let gene = |slot: usize| {
            let parent = if self.rng.random::<bool>() { mother } else { father };
            let width = self.population[parent].bits[slot];
            match self.rng.random::<f64>() < chance {
                true => {
                    mutated.push(slot);
                    Bits::ALL[(width.index() + self.rng.random_range(1..3)) % 3]
                }
                false => width,
            }
        };
        let bits: Vec<Bits> = (0..self.population[mother].bits.len()).map(gene).collect();
        env.project_around(&bits, &mutated)
    }

    /// The better of two at random.
    fn parent(&mut self, ranks: &[(usize, f64)], by_front: bool) -> usize {
        let [a, b] = [0; 2].map(|_| self.rng.random_range(0..self.population.len()));
        let better = match by_front {
            true => precedes(ranks[a], ranks[b]),
            false => self.population[a].reward() >= self.population[b].reward(),
        };
        if better { a } else { b }
    }
}

/// Earlier front, then more room around it.
fn precedes(a: (usize, f64), b: (usize, f64)) -> bool {
    a.0 < b.0 || (a.0 == b.0 && a.1 >= b.1)
}

/// Front, counted from 0, and crowding distance of each.
fn ranks(population: &[Individual]) -> Vec<(usize, f64)> {
    let mut ranks = vec![(usize::MAX, 0.0); population.len()];
    let mut front = 0;
    while ranks.iter().any(|rank| rank.0 == usize::MAX) {
        let open: Vec<usize> = (0..population.len()).filter(|&i| ranks[i].0 == usize::MAX).collect();
        let beaten = |i: usize| open.iter().any(|&j| population[j].dominates(&population[i]));
        let best: Vec<usize> = open.iter().copied().filter(|&i| !beaten(i)).collect();
        for (&i, crowding) in best.iter().zip(crowding(population, &best)) {
            ranks[i] = (front, crowding);
        }
        front += 1;
    }
    ranks
}

/// Sum over the objectives of the distance between a member's neighbours; infinite at the ends.
fn crowding(population: &[Individual], front: &[usize]) -> Vec<f64> {
    let mut distances = vec![0.0; front.len()];
    for objective in 0..4 {
        let value = |at: usize| population[front[at]].objectives()[objective];
        let mut order: Vec<usize> = (0..front.len()).collect();
        order.sort_by(|&a, &b| value(a).total_cmp(&value(b)));
        let (Some(&first), Some(&last)) = (order.first(), order.last()) else { continue };
        let range = value(last) - value(first);
        (distances[first], distances[last]) = (f64::INFINITY, f64::INFINITY);
        for at in 1..order.len().saturating_sub(1) {
            distances[order[at]] += (value(order[at + 1]) - value(order[at - 1])) / range.max(1e-12);
        }
    }
    distances
}

impl Strategy for Evolution {
    fn name(&self) -> &'static str {
        "evolution"
    }

    fn propose(&mut self, env: &Environment) -> Result<Option<Proposal>, StrategyError> {
        let bits = self.next(env);
        self.history.proposed(&bits);
        Ok(Some(Proposal::of_bits(env, bits)))
    }

    fn observe(&mut self, env: &Environment, outcome: &Outcome) -> Result<(), StrategyError> {
        let (Some(reward), Some(measured)) = (outcome.reward, outcome.measured) else { return Ok(()) };
        if !self.history.rewarded(&outcome.bits, reward) {
            return Ok(());
        }
        let footprint = env.costs.footprint(&outcome.bits);
        let over = |used: f64, limit: Option<u64>| limit.map_or(0.0, |limit| (used / limit as f64 - 1.0).max(0.0));
        let ticks = measured.ticks.map_or(f64::MAX, |ticks| ticks as f64);
        let (flash, ram) = (footprint.flash_bytes as f64, footprint.ram_bytes as f64);
        let excess = over(ticks, env.limits.latency_ticks)
            + over(flash, env.limits.flash_bytes)
            + over(ram, env.limits.ram_bytes);
        self.population.push(Individual {
            bits: outcome.bits.clone(),
            objectives: [-measured.accuracy, ticks, flash, ram].map(f64::to_bits),
            excess: excess.to_bits(),
            reward: reward.to_bits(),
        });
        if self.population.len() > POPULATION {
            let ranks = ranks(&self.population);
            let best = (0..self.population.len())
                .filter(|_| self.objective == Objective::Reward)
                .max_by(|&a, &b| self.population[a].reward().total_cmp(&self.population[b].reward()));
            let others = (0..self.population.len()).filter(|&i| Some(i) != best);
            if let Some(worst) = others.reduce(|worst, i| if precedes(ranks[worst], ranks[i]) { i } else { worst }) {
                self.population.remove(worst);
            }
        }
        Ok(())
    }

    fn save(&self) -> Result<Blob, StrategyError> {
        let (population, history) = (self.population.clone(), self.history.clone());
        let header = Header { rng: RngState::of(&self.rng), proposed: self.proposed, population, history };
        Ok(Blob::new(self.name(), &header, &[]))
    }

    fn load(&mut self, blob: &Blob) -> Result<(), StrategyError> {
        let header: Header = blob.header(self.name())?;
        (self.rng, self.proposed) = (header.rng.rng(), header.proposed);
        (self.population, self.history) = (header.population, header.history);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{Measured, toy};

    fn individual(objectives: [f64; 4], excess: f64) -> Individual {
        Individual {
            bits: vec![],
            objectives: objectives.map(f64::to_bits),
            excess: excess.to_bits(),
            reward: 0f64.to_bits(),
        }
    }

    #[test]
    fn fronts_are_peeled_and_limits_come_first() {
        let population = [
            individual([-0.9, 10.0, 5.0, 5.0], 0.0),
            individual([-0.8, 5.0, 5.0, 5.0], 0.0),
            individual([-0.8, 10.0, 5.0, 5.0], 0.0),
            individual([-0.99, 1.0, 1.0, 1.0], 0.1),
        ];
        let fronts: Vec<usize> = ranks(&population).into_iter().map(|(front, _)| front).collect();
        assert_eq!(fronts, [0, 0, 1, 2]);
    }

    /// Distinct candidates on the front after so many proposals, over some seeds.
    fn found_on_front(objective: Objective) -> usize {
        let env = toy::environment(None, None);
        let of = |seed| {
            let mut strategy = Evolution::new(seed, objective, 120);
            let mut all: Vec<Individual> = Vec::new();
            for _ in 0..120 {
                let proposal = strategy.propose(&env).expect("proposes").expect("endless");
                let bits = env.project(&proposal.asked);
                let accuracy = (-env.judge.divergence(&bits).expect("judged") / 10.0).exp();
                let ticks =
                    1000 + bits.iter().enumerate().map(|(i, b)| (i as u64 % 3) * u64::from(b.get())).sum::<u64>();
                let measured = Measured { accuracy, ticks: Some(ticks) };
                let outcome = Outcome { proposal, bits, reward: Some(accuracy - 1.0), measured: Some(measured) };
                let mut alone = Evolution::new(0, objective, 120);
                alone.observe(&env, &outcome).expect("observed");
                if all.iter().all(|known| known.bits != outcome.bits) {
                    all.append(&mut alone.population);
                }
                strategy.observe(&env, &outcome).expect("observed");
            }
            ranks(&all).into_iter().filter(|rank| rank.0 == 0).count()
        };
        (1..=5).map(of).sum()
    }

    #[test]
    fn who_is_asked_for_the_front_finds_more_of_it() {
        let (front, reward) = (found_on_front(Objective::Front), found_on_front(Objective::Reward));
        assert!(front > reward, "{front} on the front, {reward} by the way");
    }

    #[test]
    fn the_ends_of_a_front_have_all_the_room() {
        let population = [0.0, 1.0, 4.0, 5.0].map(|x| individual([x, -x, 0.0, 0.0], 0.0));
        let room = crowding(&population, &[0, 1, 2, 3]);
        assert!(room[0].is_infinite() && room[3].is_infinite());
        assert!((room[1] - 1.6).abs() < 1e-9 && (room[2] - 1.6).abs() < 1e-9, "{room:?}");
    }
}
