//! Strategies: what proposes candidates. All stand behind one trait and see the same environment.

mod blob;
pub mod ddpg;
mod random;
mod rule_based;
mod uniform;

pub use blob::{Blob, RngState};
pub use random::Random;
pub use rule_based::{RuleBased, rule_based_bits};
pub use uniform::Uniform;

use crate::env::{Environment, State, action_of_bits, bits_of_action};
use crate::rules::Infeasible;
use bitrack_model::Bits;
use ddpg::{Ddpg, DdpgConfig};

/// What can go wrong in a strategy.
#[derive(Debug, thiserror::Error)]
pub enum StrategyError {
    /// There is no strategy of that name.
    #[error("unknown strategy `{name}`: choose one of {}", NAMES.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// libtorch refused an operation.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// The limits rule out every choice.
    #[error("no choice of bits meets the limits: {0}")]
    Infeasible(#[from] Infeasible),
    /// A proposal does not cover the search space, or holds an action that is no number in [0, 1].
    #[error("strategy `{strategy}` proposed garbage: {reason}")]
    Garbage {
        /// The strategy.
        strategy: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A checkpoint that this strategy cannot continue from.
    #[error("the checkpoint cannot be used: {reason}")]
    Checkpoint {
        /// Why.
        reason: String,
    },
}

/// The strategies by name.
pub const NAMES: [&str; 4] = ["ddpg", "random", "uniform", "rule-based"];

/// One proposal, decision by decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// What the strategy saw at each decision.
    pub states: Vec<State>,
    /// Its raw actions, each in [0, 1].
    pub actions: Vec<f64>,
    /// The bits these actions stand for, before the projection.
    pub asked: Vec<Bits>,
}

impl Proposal {
    /// Walks through the slots; `act` is asked for an action in each state. Starts afresh each time.
    ///
    /// # Errors
    /// Whatever `act` returns.
    pub fn walk(
        env: &Environment,
        mut act: impl FnMut(&State) -> Result<f64, StrategyError>,
    ) -> Result<Self, StrategyError> {
        let mut proposal = Self { states: Vec::new(), actions: Vec::new(), asked: Vec::new() };
        for slot in 0..env.space.len() {
            let state = env.states.state(slot, proposal.asked.last().copied());
            let action = act(&state)?;
            proposal.asked.push(bits_of_action(action));
            proposal.actions.push(action);
            proposal.states.push(state);
        }
        Ok(proposal)
    }

    /// The proposal that stands for these bits.
    pub fn of_bits(env: &Environment, bits: Vec<Bits>) -> Self {
        let actions = bits.iter().copied().map(action_of_bits).collect();
        Self { states: env.states.episode(&bits), actions, asked: bits }
    }

    /// Refuses a proposal that does not cover the space or is no number.
    ///
    /// # Errors
    /// [`StrategyError::Garbage`].
    pub fn check(&self, strategy: &'static str, env: &Environment) -> Result<(), StrategyError> {
        let garbage = |reason: String| Err(StrategyError::Garbage { strategy, reason });
        let slots = env.space.len();
        if [self.states.len(), self.actions.len(), self.asked.len()].iter().any(|&len| len != slots) {
            return garbage(format!("{} actions for {slots} tensors", self.actions.len()));
        }
        match self.actions.iter().position(|action| !(0.0..=1.0).contains(action)) {
            Some(at) => garbage(format!("action {at} is {}", self.actions[at])),
            None => Ok(()),
        }
    }
}

/// What became of a proposal.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The proposal.
    pub proposal: Proposal,
    /// The bits that ran.
    pub bits: Vec<Bits>,
    /// Its reward; `None` when the measurement failed by the board's or the rig's fault and teaches nothing.
    pub reward: Option<f64>,
}

/// What proposes candidates and learns from what became of them. Deterministic: the same seed and the same outcomes
/// lead to the same proposals.
pub trait Strategy: Send {
    /// Its name in configuration and database.
    fn name(&self) -> &'static str;

    /// The next proposal, or `None` when there is nothing left to try.
    ///
    /// # Errors
    /// See [`StrategyError`].
    fn propose(&mut self, env: &Environment) -> Result<Option<Proposal>, StrategyError>;

    /// Learns from an outcome. Outcomes arrive in the order of the proposals.
    ///
    /// # Errors
    /// See [`StrategyError`].
    fn observe(&mut self, env: &Environment, outcome: &Outcome) -> Result<(), StrategyError>;

    /// Everything needed to continue exactly here.
    ///
    /// # Errors
    /// See [`StrategyError`].
    fn save(&self) -> Result<Blob, StrategyError>;

    /// Continues from what [`Strategy::save`] returned.
    ///
    /// # Errors
    /// [`StrategyError::Checkpoint`] when it comes from another strategy or network.
    fn load(&mut self, blob: &Blob) -> Result<(), StrategyError>;
}

/// A fresh strategy by name.
///
/// # Errors
/// [`StrategyError::Unknown`], or libtorch's own.
pub fn build(name: &str, seed: u64, ddpg: &DdpgConfig) -> Result<Box<dyn Strategy>, StrategyError> {
    Ok(match name {
        "ddpg" => Box::new(Ddpg::new(seed, ddpg.clone())?),
        "random" => Box::new(Random::new(seed)),
        "uniform" => Box::new(Uniform::default()),
        "rule-based" => Box::new(RuleBased::default()),
        _ => return Err(StrategyError::Unknown { name: name.into() }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::toy;

    #[test]
    fn every_name_builds_the_strategy_it_names() {
        for name in NAMES {
            let strategy = build(name, 1, &DdpgConfig::for_budget(60)).expect("known");
            assert_eq!(strategy.name(), name);
        }
        let error = build("best", 1, &DdpgConfig::for_budget(60)).err().expect("unknown").to_string();
        assert_eq!(error, "unknown strategy `best`: choose one of ddpg, random, uniform, rule-based");
    }

    #[test]
    fn every_strategy_proposes_the_whole_space() {
        let env = toy::environment(None, None);
        for name in NAMES {
            let mut strategy = build(name, 1, &DdpgConfig::for_budget(60)).expect("known");
            let proposal = strategy.propose(&env).expect("proposes").expect("at least one");
            proposal.check(strategy.name(), &env).expect("covers the space");
        }
    }

    #[test]
    fn garbage_is_refused() {
        let env = toy::environment(None, None);
        let good = Proposal::of_bits(&env, env.space.uniform(Bits::Two, Bits::Four));
        let mut short = good.clone();
        short.actions.pop();
        assert!(matches!(short.check("toy", &env), Err(StrategyError::Garbage { .. })));
        let mut nan = good;
        nan.actions[2] = f64::NAN;
        let error = nan.check("toy", &env).expect_err("NaN").to_string();
        assert_eq!(error, "strategy `toy` proposed garbage: action 2 is NaN");
    }
}
