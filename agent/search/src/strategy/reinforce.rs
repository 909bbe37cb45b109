//! `reinforce`: FLIQS's policy (Dotzel et al. 2023), black-box: one categorical distribution per tensor, policy gradient,
//! and a penalty on entropy that ramps up along a cosine, so that it explores first and settles in the end.
//!
//! Black-box, because only the policy is trained: every configuration is judged with the weights that quantization gives it.
//! Training policy and shared weights together is another strategy: [`super::one_shot`].
//!
//! Two things that the publication leaves open decide short searches. It begins with what the limits leave of the uniform choices and of the
//! rule's, so that the distributions learn from something better than chance first. And it proposes nothing twice: what is
//! drawn again is drawn anew, and in the last part of the budget the likeliest of what lies next to the best candidate is proposed.

use super::history::History;
use super::nearby::first_choices;
use super::{Blob, Outcome, Proposal, RngState, Strategy, StrategyError};
use crate::env::Environment;
use bitrack_model::Bits;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Evaluations for which [`ReinforceConfig::default`] was chosen.
const USUAL_EVALUATIONS: usize = 500;
/// Draws for a proposal that is new, before it is taken from around the best candidate.
const MAX_ATTEMPTS: usize = 20;
/// Share of the budget after which proposals come from around the best candidate.
const LOCAL_FROM: f64 = 0.65;
/// Advantages count up to this many standard deviations.
const MAX_ADVANTAGE: f64 = 3.0;

/// What a campaign may set under `agent.reinforce`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReinforceConfig {
    /// Step size of the policy's logits per standard deviation of reward.
    pub rate: f64,
    /// Weight of the entropy penalty at the end of the search; it is 0 at the beginning.
    pub entropy: f64,
    /// Share of the old value that the moving averages of reward and its variance keep per evaluation.
    pub decay: f64,
    /// Evaluations over which the entropy penalty ramps up.
    pub evaluations: usize,
}

impl Default for ReinforceConfig {
    fn default() -> Self {
        Self { rate: 0.05, entropy: 0.1, decay: 0.9, evaluations: USUAL_EVALUATIONS }
    }
}

impl ReinforceConfig {
    /// Faster steps for shorter searches.
    pub fn for_budget(evaluations: usize) -> Self {
        let usual = Self::default();
        let shorter = USUAL_EVALUATIONS as f64 / evaluations.max(1) as f64;
        Self { rate: usual.rate * shorter.powf(0.75).clamp(0.3, 4.0), evaluations: evaluations.max(1), ..usual }
    }
}

/// Independent categorical distributions, trained by REINFORCE (Williams 1992) against a moving average.
#[derive(Debug, Clone, PartialEq)]
pub struct Categorical {
    config: ReinforceConfig,
    /// Per decision: a logit per choice.
    logits: Vec<Vec<f64>>,
    /// Moving averages of reward and of its squared distance from it.
    average: Option<(f64, f64)>,
    observed: usize,
}

/// A policy's state; numbers as bits, which JSON would round.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedCategorical {
    logits: Vec<Vec<u64>>,
    average: Option<[u64; 2]>,
    observed: usize,
}

impl Categorical {
    /// Uniform distributions over `choices[i]` choices for decision `i`.
    pub fn new(choices: impl IntoIterator<Item = usize>, config: ReinforceConfig) -> Self {
        let logits = choices.into_iter().map(|n| vec![0.0; n]).collect();
        Self { config, logits, average: None, observed: 0 }
    }

    /// Draws one choice per decision.
    pub fn sample(&self, rng: &mut impl Rng) -> Vec<usize> {
        let draw = |logits: &Vec<f64>| {
            let mut left: f64 = rng.random();
            let below = |p: &f64| {
                left -= p;
                left < 0.0
            };
            softmax(logits).iter().position(below).unwrap_or(logits.len() - 1)
        };
        self.logits.iter().map(draw).collect()
    }

    /// Per decision the probability of each choice, none of them 0.
    pub fn probabilities(&self) -> Vec<Vec<f64>> {
        self.logits.iter().map(|logits| softmax(logits)).collect()
    }

    /// Mean entropy of a decision in nats.
    pub fn entropy(&self) -> f64 {
        self.probabilities().iter().map(|p| entropy(p)).sum::<f64>() / self.logits.len().max(1) as f64
    }

    /// Everything needed to continue exactly here, apart from the options.
    pub fn save(&self) -> SavedCategorical {
        let to_bits = |values: &Vec<f64>| values.iter().map(|value| value.to_bits()).collect();
        SavedCategorical {
            logits: self.logits.iter().map(to_bits).collect(),
            average: self.average.map(|(mean, variance)| [mean.to_bits(), variance.to_bits()]),
            observed: self.observed,
        }
    }

    /// The inverse of [`Categorical::save`].
    pub fn restore(saved: SavedCategorical, config: ReinforceConfig) -> Self {
        let from_bits = |values: Vec<u64>| values.into_iter().map(f64::from_bits).collect();
        Self {
            config,
            logits: saved.logits.into_iter().map(from_bits).collect(),
            average: saved.average.map(|[mean, variance]| (f64::from_bits(mean), f64::from_bits(variance))),
            observed: saved.observed,
        }
    }

    /// Makes choices likelier by how much better than usual they did.
    pub fn learn(&mut self, choices: &[usize], reward: f64) {
        let advantage = self.advantage(reward);
        let done = (self.observed as f64 / self.config.evaluations as f64).min(1.0);
        let penalty = self.config.entropy * 0.5 * (1.0 - (std::f64::consts::PI * done).cos());
        self.observed += 1;
        for (logits, &chosen) in self.logits.iter_mut().zip(choices) {
            let p = softmax(logits);
            let entropy = entropy(&p);
            for (choice, logit) in logits.iter_mut().enumerate() {
                let towards = f64::from(u8::from(choice == chosen)) - p[choice];
                // The gradient of minus the entropy.
                let sharper = p[choice] * (p[choice].ln() + entropy);
                *logit += self.config.rate * (advantage * towards + penalty * sharper);
            }
        }
    }

    fn advantage(&mut self, reward: f64) -> f64 {
        let Some((mean, variance)) = self.average else {
            self.average = Some((reward, 0.0));
            return 0.0;
        };
        let keep = self.config.decay;
        let off = reward - mean;
        let variance = keep * variance + (1.0 - keep) * off * off;
        self.average = Some((mean + (1.0 - keep) * off, variance));
        (off / variance.sqrt().max(1e-12)).clamp(-MAX_ADVANTAGE, MAX_ADVANTAGE)
    }
}

/// In nats.
fn entropy(p: &[f64]) -> f64 {
    p.iter().map(|p| -p * p.ln()).sum()
}

/// Probabilities, none of them 0.
fn softmax(logits: &[f64]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let raised: Vec<f64> = logits.iter().map(|logit| (logit - highest).exp().max(1e-9)).collect();
    let sum: f64 = raised.iter().sum();
    raised.into_iter().map(|value| value / sum).collect()
}

/// The strategy: the distributions over a network's tensors.
#[derive(Debug)]
pub struct Reinforce {
    rng: ChaCha8Rng,
    config: ReinforceConfig,
    budget: usize,
    /// Known once the number of tensors is.
    policy: Option<Categorical>,
    /// What is proposed before anything is drawn; known once there is an environment.
    first: Option<Vec<Vec<Bits>>>,
    proposals: usize,
    history: History,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    rng: RngState,
    policy: Option<SavedCategorical>,
    /// Checkpoints of earlier versions have neither.
    #[serde(default)]
    proposals: usize,
    #[serde(default)]
    history: History,
}

impl Reinforce {
    /// Reproducible from its seed; `budget` candidates will be measured.
    pub fn new(seed: u64, config: ReinforceConfig, budget: usize) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            config,
            budget,
            policy: None,
            first: None,
            proposals: 0,
            history: History::default(),
        }
    }

    fn policy(&mut self, env: &Environment) -> &mut Categorical {
        let config = &self.config;
        self.policy.get_or_insert_with(|| {
            Categorical::new(std::iter::repeat_n(Bits::ALL.len(), env.space.len()), config.clone())
        })
    }

    fn next(&mut self, env: &Environment) -> Vec<Bits> {
        let first = self.first.get_or_insert_with(|| first_choices(env));
        let choice = first.get(self.proposals).cloned();
        self.proposals += 1;
        if let Some(bits) = choice {
            return bits;
        }
        let policy = self.policy(env).clone();
        let is_late = self.history.spent(self.budget) >= LOCAL_FROM;
        let drawn = (0..if is_late { 0 } else { MAX_ATTEMPTS }).find_map(|_| {
            let bits: Vec<Bits> = policy.sample(&mut self.rng).into_iter().map(|choice| Bits::ALL[choice]).collect();
            let bits = env.project(&bits);
            (!self.history.knows(&bits)).then_some(bits)
        });
        drawn.or_else(|| self.beside_the_best(env, &policy)).unwrap_or_else(|| mode(env, &policy))
    }

    /// The likeliest new choice next to the best candidate.
    fn beside_the_best(&mut self, env: &Environment, policy: &Categorical) -> Option<Vec<Bits>> {
        let mode = mode(env, policy);
        if !self.history.knows(&mode) {
            return Some(mode);
        }
        let p = policy.probabilities();
        let likelihood = |bits: &[Bits]| bits.iter().zip(&p).map(|(bits, p)| p[bits.index()].ln()).sum::<f64>();
        let nearby = self.history.beside_the_best(env).into_iter();
        nearby.max_by(|a, b| likelihood(a).total_cmp(&likelihood(b)))
    }
}

/// The likeliest choice, within the limits.
fn mode(env: &Environment, policy: &Categorical) -> Vec<Bits> {
    let likeliest = |p: &Vec<f64>| (0..p.len()).max_by(|&a, &b| p[a].total_cmp(&p[b])).unwrap_or(0);
    env.project(&policy.probabilities().iter().map(|p| Bits::ALL[likeliest(p)]).collect::<Vec<_>>())
}

impl Strategy for Reinforce {
    fn name(&self) -> &'static str {
        "reinforce"
    }

    fn propose(&mut self, env: &Environment) -> Result<Option<Proposal>, StrategyError> {
        let bits = self.next(env);
        self.history.proposed(&bits);
        Ok(Some(Proposal::of_bits(env, bits)))
    }

    fn observe(&mut self, env: &Environment, outcome: &Outcome) -> Result<(), StrategyError> {
        let Some(reward) = outcome.reward else { return Ok(()) };
        let ran: Vec<usize> = outcome.bits.iter().map(|bits| bits.index()).collect();
        self.policy(env).learn(&ran, reward);
        self.history.rewarded(&outcome.bits, reward);
        Ok(())
    }

    fn save(&self) -> Result<Blob, StrategyError> {
        let policy = self.policy.as_ref().map(Categorical::save);
        let (rng, history) = (RngState::of(&self.rng), self.history.clone());
        Ok(Blob::new(self.name(), &Header { rng, policy, proposals: self.proposals, history }, &[]))
    }

    fn load(&mut self, blob: &Blob) -> Result<(), StrategyError> {
        let header: Header = blob.header(self.name())?;
        (self.rng, self.proposals, self.history) = (header.rng.rng(), header.proposals, header.history);
        self.policy = header.policy.map(|policy| Categorical::restore(policy, self.config.clone()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_better_choice_becomes_likelier_and_the_policy_settles() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut policy = Categorical::new([3, 3, 3, 3], ReinforceConfig::for_budget(300));
        for _ in 0..300 {
            let choices = policy.sample(&mut rng);
            let reward = choices.iter().enumerate().filter(|&(i, &choice)| choice == i % 3).count() as f64;
            policy.learn(&choices, reward);
        }
        for (i, logits) in policy.logits.iter().enumerate() {
            assert!(softmax(logits)[i % 3] > 0.9, "decision {i}: {:?}", softmax(logits));
        }
    }

    #[test]
    fn the_entropy_penalty_alone_sharpens() {
        let config = ReinforceConfig { entropy: 5.0, evaluations: 1, ..ReinforceConfig::default() };
        let mut policy = Categorical::new([3], config);
        policy.logits[0] = vec![0.1, 0.0, 0.0];
        (0..50).for_each(|_| policy.learn(&[0], 1.0));
        assert!(softmax(&policy.logits[0])[0] > 0.5, "{:?}", softmax(&policy.logits[0]));
    }
}
