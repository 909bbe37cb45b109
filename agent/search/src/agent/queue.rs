//! Proposals that wait for their outcome, and how they survive a restart.

use super::AgentError;
use crate::env::{Environment, SavedCost, bits_of_action};
use crate::strategy::{Blob, Proposal, Strategy, StrategyError};
use bitrack_model::{Bits, Site, Variant, Variants};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// A proposal whose outcome the strategy has not seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    /// Its episode; `None` when the same bits were measured before and need no episode.
    pub index: Option<u32>,
    pub proposal: Proposal,
    /// The bits that run.
    pub bits: Vec<Bits>,
}

/// What a search is about: rewards of another network, or on other samples, cannot be compared with its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Subject {
    /// Hash of the float network.
    pub network: u64,
    /// Hash of all samples and labels.
    pub data: u64,
}

/// Where a search stands, apart from its strategy.
#[derive(Debug, Default)]
pub struct Progress {
    /// What is searched.
    pub subject: Subject,
    /// In the order of proposal, which is the order of observation.
    pub pending: VecDeque<Pending>,
    pub next_index: u32,
    /// Observed episodes with a measurement.
    pub measured: u32,
    /// Proposals in a row that were known.
    pub repeats: usize,
    /// Nothing more is proposed.
    pub exhausted: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    model: Vec<String>,
    /// Hash of the float network; checkpoints of the first release have none.
    #[serde(default)]
    network: Option<u64>,
    /// Hash of the samples; checkpoints of earlier releases have none.
    #[serde(default)]
    data: Option<u64>,
    next_index: u32,
    measured: u32,
    repeats: usize,
    exhausted: bool,
    pending: Vec<SavedPending>,
    /// What latency predictions are made from.
    latency: Vec<SavedCost>,
    /// By which variants images are computed, where those are not the usual ones; checkpoints of earlier releases know no others.
    #[serde(default)]
    variants: Vec<SavedVariant>,
    /// The strategy's own header.
    strategy: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedPending {
    index: Option<u32>,
    /// As bits of f64 numbers: JSON would round them.
    actions: Vec<u64>,
    bits: Vec<Bits>,
}

/// A layer, the bits of its weights, input and output, and the variant's name.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedVariant {
    layer: usize,
    bits: [Bits; 3],
    variant: String,
}

impl SavedVariant {
    fn new(((layer, bits), variant): (Site, Variant)) -> Self {
        Self { layer, bits, variant: variant.name().into() }
    }

    fn told(self) -> Result<(Site, Variant), StrategyError> {
        let unknown = || StrategyError::Checkpoint { reason: format!("it names a variant `{}`", self.variant) };
        Ok(((self.layer, self.bits), Variant::named(&self.variant).ok_or_else(unknown)?))
    }
}

/// What a campaign's first checkpoint calls itself, where searches have their strategy's name.
const BEGUN: &str = "begun";

/// The checkpoint of a campaign before anything else is done: it knows by which variants images are computed.
pub fn begun(variants: &Variants) -> Vec<u8> {
    Blob::new(BEGUN, &saved(variants), &[]).to_bytes()
}

/// What a checkpoint tells before it is known whose it is.
#[derive(Debug)]
pub struct Begun {
    /// By which variants images are computed.
    pub variants: Variants,
    /// Whether there is more in it: a search.
    pub searches: bool,
}

impl Begun {
    /// Reads any checkpoint.
    ///
    /// # Errors
    /// [`StrategyError::Checkpoint`] when it is damaged.
    pub fn of(bytes: &[u8]) -> Result<Self, AgentError> {
        let all = Blob::from_bytes(bytes)?;
        let searches = all.strategy != BEGUN;
        let saved = match searches {
            true => all.header::<Saved>(&all.strategy)?.variants,
            false => all.header(BEGUN)?,
        };
        let told: Result<_, StrategyError> = saved.into_iter().map(SavedVariant::told).collect();
        Ok(Self { variants: Variants::told(told?), searches })
    }
}

fn saved(variants: &Variants) -> Vec<SavedVariant> {
    variants.all_told().into_iter().map(SavedVariant::new).collect()
}

impl Progress {
    /// A search that has not begun; its first episode is `next_index`.
    pub fn new(subject: Subject, next_index: u32) -> Self {
        Self { subject, next_index, ..Self::default() }
    }

    /// Episodes among the pending.
    pub fn in_flight(&self) -> u32 {
        self.pending.iter().filter(|pending| pending.index.is_some()).count() as u32
    }

    /// Search and strategy in one checkpoint.
    ///
    /// # Errors
    /// See [`Strategy::save`].
    pub fn save(&self, env: &Environment, strategy: &dyn Strategy) -> Result<Vec<u8>, AgentError> {
        let blob = strategy.save()?;
        let pending = |p: &Pending| SavedPending {
            index: p.index,
            actions: p.proposal.actions.iter().map(|action| action.to_bits()).collect(),
            bits: p.bits.clone(),
        };
        let saved = Saved {
            model: tensors(env),
            network: Some(self.subject.network),
            data: Some(self.subject.data),
            next_index: self.next_index,
            measured: self.measured,
            repeats: self.repeats,
            exhausted: self.exhausted,
            pending: self.pending.iter().map(pending).collect(),
            latency: env.latency.save(),
            variants: saved(env.latency.variants()),
            strategy: blob.header,
        };
        let mut all = Blob::new(strategy.name(), &saved, &[]);
        all.floats = blob.floats;
        Ok(all.to_bytes())
    }

    /// Continues the search of `subject` from a checkpoint.
    ///
    /// # Errors
    /// [`StrategyError::Checkpoint`] when it is damaged, another strategy's, another model's or on other data.
    pub fn load(
        bytes: &[u8],
        subject: Subject,
        env: &mut Environment,
        strategy: &mut dyn Strategy,
    ) -> Result<Self, AgentError> {
        let all = Blob::from_bytes(bytes)?;
        let saved: Saved = all.header(strategy.name())?;
        let differs = |saved: Option<u64>, now: u64| saved.is_some_and(|saved| saved != now);
        let other = match &saved {
            saved if saved.model != tensors(env) => Some("another model: the tensors differ"),
            saved if differs(saved.network, subject.network) => Some("another model: the weights differ"),
            saved if differs(saved.data, subject.data) => Some("other data: samples or labels differ"),
            _ => None,
        };
        if let Some(other) = other {
            return Err(StrategyError::Checkpoint { reason: format!("it belongs to {other}") }.into());
        }
        strategy.load(&Blob { strategy: all.strategy, header: saved.strategy, floats: all.floats })?;
        env.latency.restore(saved.latency);
        let env = &*env;
        let pending = |p: SavedPending| Pending {
            index: p.index,
            proposal: proposal(env, p.actions.into_iter().map(f64::from_bits).collect()),
            bits: p.bits,
        };
        Ok(Self {
            subject,
            pending: saved.pending.into_iter().map(pending).collect(),
            next_index: saved.next_index,
            measured: saved.measured,
            repeats: saved.repeats,
            exhausted: saved.exhausted,
        })
    }
}

/// The proposal with these actions: states and bits follow from them.
pub fn proposal(env: &Environment, actions: Vec<f64>) -> Proposal {
    let asked: Vec<Bits> = actions.iter().map(|&action| bits_of_action(action)).collect();
    Proposal { states: env.states.episode(&asked), asked, actions, variants: None }
}

fn tensors(env: &Environment) -> Vec<String> {
    env.space.slots().iter().map(|slot| format!("{} {}", slot.name, slot.elements)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::toy;
    use crate::strategy::Random;

    const SUBJECT: Subject = Subject { network: 7, data: 8 };

    #[test]
    fn a_search_continues_with_the_same_pending_proposals() {
        let mut env = toy::environment(None, None);
        let mut strategy = Random::new(1);
        let mut progress = Progress::new(SUBJECT, 4);
        for index in [Some(4), None, Some(5)] {
            let proposal = strategy.propose(&env).expect("proposes").expect("endless");
            progress.pending.push_back(Pending { index, bits: env.project(&proposal.asked), proposal });
        }
        let bytes = progress.save(&env, &strategy).expect("saves");
        let mut other = Random::new(2);
        let restored = Progress::load(&bytes, SUBJECT, &mut env, &mut other).expect("loads");
        assert_eq!(restored.pending, progress.pending);
        assert_eq!(restored.in_flight(), 2);
        assert_eq!(other.propose(&env).expect("proposes"), strategy.propose(&env).expect("proposes"));
    }

    #[test]
    fn a_checkpoint_of_another_strategy_is_refused() {
        let mut env = toy::environment(None, None);
        let bytes = Progress::new(SUBJECT, 0).save(&env, &Random::new(1)).expect("saves");
        let error =
            Progress::load(&bytes, SUBJECT, &mut env, &mut crate::strategy::Uniform::default()).expect_err("another");
        assert_eq!(error.to_string(), "the checkpoint cannot be used: strategy `random` wrote it, this is `uniform`");
    }

    #[test]
    fn a_checkpoint_of_another_model_is_refused() {
        let env = toy::environment(None, None);
        let bytes = Progress::new(SUBJECT, 0).save(&env, &Random::new(1)).expect("saves");
        let mut graph = toy::graph();
        graph.layers[0].name = "stem".into();
        let mut env = toy::environment_of(&graph, None, None);
        let error = Progress::load(&bytes, SUBJECT, &mut env, &mut Random::new(1)).expect_err("another model");
        let expected = "the checkpoint cannot be used: it belongs to another model: the tensors differ";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_checkpoint_of_the_same_tensors_with_other_weights_or_data_is_refused() {
        let mut env = toy::environment(None, None);
        let bytes = Progress::new(SUBJECT, 0).save(&env, &Random::new(1)).expect("saves");
        let mut refused = |subject| {
            let error = Progress::load(&bytes, subject, &mut env, &mut Random::new(1)).expect_err("another subject");
            error.to_string()
        };
        assert_eq!(
            refused(Subject { network: 0, ..SUBJECT }),
            "the checkpoint cannot be used: it belongs to another model: the weights differ"
        );
        assert_eq!(
            refused(Subject { data: 0, ..SUBJECT }),
            "the checkpoint cannot be used: it belongs to other data: samples or labels differ"
        );
    }
}
