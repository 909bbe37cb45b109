//! Strategies: what proposes candidates. All stand behind one trait and see the same environment.

mod blob;
pub mod ddpg;
mod evolution;
mod history;
mod ilp;
mod nearby;
pub mod one_shot;
pub mod profile;
mod random;
mod rehearsal;
pub mod reinforce;
mod rule_based;
mod surrogate;
mod uniform;
mod warm;

pub use blob::{Blob, RngState};
pub use evolution::Evolution;
pub use ilp::Ilp;
pub use profile::{PROFILE, Profile};
pub use random::Random;
pub use rehearsal::{Rehearsal, rehearse};
pub use rule_based::{RuleBased, rule_based_bits};
pub use uniform::Uniform;
pub use warm::{Elite, Known, Warm};

use crate::env::{Environment, JudgeError, Measured, Objective, State, TrainingError, action_of_bits, bits_of_action};
use crate::ilp::IlpError;
use crate::ilp::network::TooWide;
use crate::qat::Told;
use crate::rules::Infeasible;
use bitrack_model::{Bits, QuantizedModel, Variants};
use ddpg::{Ddpg, DdpgConfig};
use one_shot::{ONE_SHOT, OneShot, OneShotConfig};
use profile::ProfileConfig;
use reinforce::{Reinforce, ReinforceConfig};

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
    /// The host could not judge a candidate.
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// The host could not train shared weights.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// Exact bit allocation failed.
    #[error("bit allocation: {0}")]
    Ilp(#[from] IlpError),
    /// The network has too many parallel branches for exact bit allocation.
    #[error(transparent)]
    TooWide(#[from] TooWide),
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
pub const NAMES: [&str; 9] =
    ["ddpg", "ilp", "reinforce", ONE_SHOT, "evolution", "random", "uniform", "rule-based", PROFILE];

/// Known proposals in a row after which a strategy has nothing new to say.
pub const MAX_REPEATS: usize = 200;

/// What is set for strategies: the objective, and the hyper-parameters of those that have some.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// What is searched for; `evolution` alone can do both.
    pub objective: Objective,
    /// Candidates that will be measured: what is left of them decides when a search stops looking around.
    pub budget: usize,
    /// Of `ddpg`.
    pub ddpg: DdpgConfig,
    /// Of `reinforce`.
    pub reinforce: ReinforceConfig,
    /// Of `one-shot`.
    pub one_shot: OneShotConfig,
    /// Of `profile`.
    pub profile: ProfileConfig,
}

impl Settings {
    /// What suits a search of this many candidates.
    pub fn for_budget(candidates: usize) -> Self {
        Self {
            objective: Objective::Reward,
            budget: candidates,
            ddpg: DdpgConfig::for_budget(candidates),
            reinforce: ReinforceConfig::for_budget(candidates),
            one_shot: OneShotConfig::default(),
            profile: ProfileConfig::default(),
        }
    }
}

/// One proposal, decision by decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// What the strategy saw at each decision.
    pub states: Vec<State>,
    /// Its raw actions, each in [0, 1].
    pub actions: Vec<f64>,
    /// The bits these actions stand for, before the projection.
    pub asked: Vec<Bits>,
    /// By which variants of kernels its layers shall be computed; `None` leaves that to the campaign.
    pub variants: Option<Variants>,
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
        let mut proposal = Self { states: Vec::new(), actions: Vec::new(), asked: Vec::new(), variants: None };
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
        Self { states: env.states.episode(&bits), actions, asked: bits, variants: None }
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
    /// What was measured, if it was.
    pub measured: Option<Measured>,
}

/// What proposes candidates and learns from what became of them. Deterministic: the same seed and the same outcomes
/// lead to the same proposals.
pub trait Strategy: Send {
    /// Its name in configuration and database.
    fn name(&self) -> &'static str;

    /// Does a part of what must be trained before the next proposal, and says how far that is; `None` when nothing was left to do. A
    /// state worth a checkpoint lies between any two parts.
    ///
    /// # Errors
    /// See [`StrategyError`].
    fn prepare(&mut self, _: &Environment) -> Result<Option<Told>, StrategyError> {
        Ok(None)
    }

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

    /// Learns from what another strategy proposed, before its own first proposal.
    ///
    /// # Errors
    /// See [`StrategyError`].
    fn learn_from(&mut self, env: &Environment, outcomes: &[Outcome]) -> Result<(), StrategyError> {
        outcomes.iter().try_for_each(|outcome| self.observe(env, outcome))
    }

    /// Whether its candidates run with weights that it has trained: equal bits are another candidate then.
    fn has_own_weights(&self) -> bool {
        false
    }

    /// The network to be measured at these bits, if it has weights of its own; otherwise the quantizer makes it from the float network.
    ///
    /// # Errors
    /// See [`StrategyError`].
    fn network(&self, _: &[Bits]) -> Result<Option<QuantizedModel>, StrategyError> {
        Ok(None)
    }

    /// What people should know of its proposals beside what they are; told when the search ends.
    fn remark(&self) -> Option<String> {
        None
    }

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
pub fn build(name: &str, seed: u64, settings: &Settings) -> Result<Box<dyn Strategy>, StrategyError> {
    Ok(match name {
        "ddpg" => Box::new(Ddpg::new(seed, settings.ddpg.clone(), settings.budget)?),
        "evolution" => Box::new(Evolution::new(seed, settings.objective, settings.budget)),
        "ilp" => Box::new(Ilp::new(seed)),
        PROFILE => Box::new(Profile::new(settings.profile)),
        ONE_SHOT => Box::new(OneShot::new(seed, settings.one_shot.clone())),
        "reinforce" => Box::new(Reinforce::new(seed, settings.reinforce.clone(), settings.budget)),
        "random" => Box::new(Random::new(seed)),
        "uniform" => Box::new(Uniform::default()),
        "rule-based" => Box::new(RuleBased::default()),
        _ => return Err(StrategyError::Unknown { name: name.into() }),
    })
}

#[cfg(test)]
mod tests;
