//! One episode from bits to a settled measurement; everything that may safely be done twice.

use super::AgentError;
use super::api::{AgentStart, Episode, EpisodeState, Policy, PolicyLayer, ProposalWall, Step};
use super::client::Client;
use super::options::Options;
use super::training::EpisodeRun;
use crate::candidate::{Accuracy, Builder, Candidate, CandidateError, OpBits, hex};
use crate::env::{Footprint, LatencyModel, Limits, Measured, Ran, Space};
use crate::qat::QatError;
use crate::strategy::{PROFILE, Proposal};
use bitrack_model::{Bits, QuantizedModel, Variant, Variants};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

/// A campaign with everything needed to run its episodes.
#[derive(Debug)]
pub struct Session {
    pub client: Client,
    pub start: AgentStart,
    pub options: Options,
    pub builder: Arc<Builder>,
    /// Whether candidates are judged on this host; a profile only wants their ticks.
    pub judged: bool,
    pub space: Space,
    /// The episodes that were there when this agent started.
    history: HashMap<u32, Episode>,
}

/// What is asked of one episode.
#[derive(Debug)]
pub struct Request<'a> {
    pub index: u32,
    pub label: Option<&'a str>,
    pub strategy: &'a str,
    pub bits: &'a [Bits],
    /// The strategy's decisions; a baseline has none.
    pub proposal: Option<&'a Proposal>,
    pub propose_ms: f64,
    /// Predicts what it will take; a baseline is not predicted.
    pub latency: Option<&'a LatencyModel>,
    /// The network that the strategy has trained for these bits, if it does.
    pub network: Option<QuantizedModel>,
}

impl Request<'_> {
    /// The variants that the strategy wants its layers computed by, if it cares.
    fn variants(&self) -> Option<&Variants> {
        self.proposal?.variants.as_ref()
    }
}

/// What there is of a candidate when it is proposed.
struct Made<'a> {
    footprint: Footprint,
    image_ms: f64,
    accuracy: Option<Accuracy>,
    ops: Vec<OpBits>,
    /// SHA-256 of the image that was put, or why there is none.
    image: Result<&'a str, String>,
}

/// How an episode ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Settled {
    /// With an accepted measurement.
    Measured(Measured),
    /// The candidate itself cannot run.
    Infeasible(String),
    /// Boards or rig failed; nothing was learned about the candidate.
    Failed(String),
}

impl Session {
    /// Joins a campaign's parts.
    pub fn new(client: Client, mut start: AgentStart, options: Options, builder: Builder) -> Self {
        let episodes = std::mem::take(&mut start.episodes);
        let history = episodes.into_iter().map(|episode| (episode.candidate.index, episode)).collect();
        let judged = start.strategy != PROFILE;
        Self { space: builder.space(), client, start, options, builder: Arc::new(builder), judged, history }
    }

    /// An episode that was there when this agent started.
    pub fn past(&self, index: u32) -> Option<&Episode> {
        self.history.get(&index)
    }

    /// The episodes that were there when this agent started, by index.
    pub fn history(&self) -> Vec<Episode> {
        let mut episodes: Vec<Episode> = self.history.values().cloned().collect();
        episodes.sort_by_key(|episode| episode.candidate.index);
        episodes
    }

    /// The bits of an episode in the database.
    ///
    /// # Errors
    /// [`AgentError::History`] when its steps are not this model's.
    pub fn bits_of(&self, episode: &Episode) -> Result<Vec<Bits>, AgentError> {
        let wrong = |reason| AgentError::History { index: episode.candidate.index, reason };
        let names = episode.steps.iter().map(|step| step.tensor.as_str());
        if !names.eq(self.space.slots().iter().map(|slot| slot.name.as_str())) {
            return Err(wrong("its tensors are not those of this model".into()));
        }
        episode.steps.iter().map(|step| Bits::try_from(step.bits)).collect::<Result<_, _>>().map_err(wrong)
    }

    /// Builds, judges, uploads and proposes a candidate and asks for its measurement; what history holds is not done
    /// again.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn submit(&self, request: &Request) -> Result<Episode, AgentError> {
        let key = client_key(request);
        if let Some(past) = self.past(request.index) {
            if past.client_key != key {
                tracing::warn!(
                    episode = request.index,
                    "the database holds another candidate here; going on with that one"
                );
            }
            return self.measured_at_last(past.clone());
        }
        match self.candidate(request) {
            Ok(candidate) => self.submit_made(request, &candidate),
            Err(AgentError::Candidate(CandidateError::FineTune(diverged @ QatError::Diverged { .. }))) => {
                self.propose_nothing(request, diverged.to_string())
            }
            Err(error) => Err(error),
        }
    }

    /// The same for a candidate that is made already.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn submit_made(&self, request: &Request, candidate: &Candidate) -> Result<Episode, AgentError> {
        let samples = self.options.validation_samples;
        let accuracy = self.judged.then(|| self.builder.validate(&candidate.image, samples)).transpose()?;
        let too_large = self.too_large(candidate);
        if too_large.is_none() {
            self.client.put_image(&candidate.sha256, &candidate.image)?;
        }
        let footprint = Footprint { flash_bytes: candidate.flash_bytes, ram_bytes: candidate.ram_bytes };
        let image = too_large.map_or(Ok(candidate.sha256.as_str()), Err);
        let ops = self.builder.ops(&self.space.policy(request.bits), Some(&candidate.image))?;
        let made = Made { footprint, image_ms: candidate.image_ms, accuracy, ops, image };
        self.measured_at_last(self.client.propose(&self.body(request, made))?)
    }

    /// A candidate that cannot be made is an episode too: nothing can be learned from what is not written down.
    fn propose_nothing(&self, request: &Request, reason: String) -> Result<Episode, AgentError> {
        tracing::warn!(episode = request.index, "{reason}");
        let footprint = self.footprint(request.bits);
        let ops = self.builder.ops(&self.space.policy(request.bits), None)?;
        let made = Made { footprint, image_ms: 0.0, accuracy: None, ops, image: Err(reason) };
        self.client.propose(&self.body(request, made))
    }

    /// The candidate of a request: with the weights that its strategy has trained, or fine-tuned if the campaign asks for it; the
    /// same image every time it is made from steps.
    fn candidate(&self, request: &Request) -> Result<Candidate, AgentError> {
        let policy = self.space.policy(request.bits);
        if let Some(network) = &request.network {
            return Ok(self.builder.trained(&policy, network)?);
        }
        if let Some(variants) = request.variants() {
            return Ok(self.builder.build_by(&policy, variants)?);
        }
        let Some(options) = &self.options.fine_tune else { return Ok(self.builder.build(&policy)?) };
        let begun = self.start.training.is_some_and(|training| training.episode == request.index);
        let every = self.options.training_checkpoint_every;
        let mut run = EpisodeRun::new(&self.client, request.index, request.label, every, begun);
        self.builder.fine_tune(&policy, options, &mut run)
    }

    /// The candidate of an episode, from the daemon's cache; `None` when it has no image, or that is gone.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn fetched(&self, episode: &Episode) -> Result<Option<Candidate>, AgentError> {
        let row = &episode.candidate;
        let Some(sha256) = row.image_sha256.clone() else { return Ok(None) };
        let image = match self.client.image(&sha256) {
            Ok(image) => image,
            Err(AgentError::Refused { status: 404 | 502, message, .. }) => {
                tracing::warn!(episode = row.index, "{message}");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let (flash_bytes, ram_bytes) = (row.flash_bytes, row.ram_bytes);
        Ok(Some(Candidate { image, sha256, flash_bytes, ram_bytes, image_ms: 0.0 }))
    }

    fn measured_at_last(&self, episode: Episode) -> Result<Episode, AgentError> {
        match episode.candidate.state {
            EpisodeState::Proposed => self.client.measure(episode.candidate.index),
            _ => Ok(episode),
        }
    }

    /// Why no board can hold the candidate, whatever the campaign's limits say.
    fn too_large(&self, candidate: &Candidate) -> Option<String> {
        let image = candidate.image.len() as u64;
        self.start.board_types.iter().find_map(|board| match () {
            () if image > board.slot_bytes => {
                Some(format!("the image has {image} bytes, a slot of {} holds {}", board.name, board.slot_bytes))
            }
            () if candidate.ram_bytes > board.arena_bytes => {
                let (ram, arena) = (candidate.ram_bytes, board.arena_bytes);
                Some(format!("needs {ram} bytes of RAM, {} has {arena}", board.name))
            }
            () => None,
        })
    }

    fn body(&self, request: &Request, made: Made) -> super::api::Proposal {
        let predicted_ticks = self.predicted(request, &made.ops);
        let layer = |op: OpBits| PolicyLayer {
            name: op.name,
            kind: op.kind.into(),
            weight_bits: op.weight_bits,
            input_bits: op.input_bits,
            output_bits: op.output_bits,
            macs: op.macs,
            geometry: Some(op.geometry),
            variant: op.variant.map(|variant| variant.name().into()),
        };
        let wall = ProposalWall {
            propose_ms: request.propose_ms,
            accuracy_ms: made.accuracy.map_or(0.0, |accuracy| accuracy.ms),
            image_ms: made.image_ms,
        };
        let (image, infeasible) =
            made.image.map_or_else(|reason| (None, Some(reason)), |sha| (Some(sha.to_owned()), None));
        super::api::Proposal {
            index: request.index,
            client_key: client_key(request),
            label: request.label.map(Into::into),
            strategy: request.strategy.into(),
            policy: Policy { layers: made.ops.into_iter().map(layer).collect() },
            steps: steps(&self.space, request),
            accuracy: made.accuracy.map(|accuracy| accuracy.top1),
            accuracy_split: made.accuracy.map(|_| "validation"),
            accuracy_samples: made.accuracy.map(|accuracy| accuracy.samples),
            flash_bytes: made.footprint.flash_bytes,
            ram_bytes: made.footprint.ram_bytes,
            predicted_ticks,
            image_sha256: image,
            infeasible,
            wall,
        }
    }

    /// What a candidate should take by the variants that its image names, where anything can be predicted.
    fn predicted(&self, request: &Request, ops: &[OpBits]) -> Option<u64> {
        let named = |op: &OpBits| op.weight_bits.map_or(Some(Variant::General), |_| op.variant);
        let variants = ops.iter().map(named).collect::<Option<Vec<Variant>>>().unwrap_or_default();
        let ran = Ran { bits: request.bits, variants: &variants };
        request.latency?.predict(&self.space, ran).map(|prediction| prediction.ticks.round() as u64)
    }

    /// Asks again for those of `indices` that boards or rig failed when an earlier agent asked: whoever resumes a campaign has
    /// mended them.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn retry_failed(&mut self, indices: std::ops::Range<u32>) -> Result<(), AgentError> {
        for index in indices {
            if let Some(past) = self.history.get_mut(&index).filter(|past| past.is_failed()) {
                tracing::info!(episode = index, "measuring it again: it failed by no fault of its own");
                *past = self.client.measure(index)?;
            }
        }
        Ok(())
    }

    /// Waits until an episode is settled, and asks for its measurement again if it got lost.
    ///
    /// # Errors
    /// See [`AgentError`]; [`AgentError::OtherRunner`] when what was waited for shows that no candidate can be measured.
    pub fn settle(&self, index: u32) -> Result<(Episode, Settled), AgentError> {
        let mut episode = match self.past(index) {
            Some(past) => past.clone(),
            None => self.client.wait(index)?,
        };
        let is_old = self.past(index).is_some_and(Episode::is_failed);
        loop {
            match self.settled(&episode) {
                Some(Settled::Failed(reason)) if !is_old && episode.ran_into_another_runner() => {
                    return Err(AgentError::OtherRunner { campaign: self.start.name.clone(), reason });
                }
                Some(settled) => return Ok((episode, settled)),
                None if episode.candidate.state == EpisodeState::Proposed => episode = self.client.measure(index)?,
                None => episode = self.client.wait(index)?,
            }
        }
    }

    fn settled(&self, episode: &Episode) -> Option<Settled> {
        let row = &episode.candidate;
        let failure = episode.failure.as_ref().map(|failure| failure.message.clone());
        let reason = || row.reason.clone().or(failure).unwrap_or_else(|| "no reason was given".into());
        let ticks = row.ticks.or_else(|| Some(episode.measurement.as_ref()?.ticks.as_ref()?.median));
        match row.state {
            EpisodeState::Proposed | EpisodeState::Measuring => None,
            EpisodeState::Measured | EpisodeState::Done => {
                Some(Settled::Measured(Measured { accuracy: self.exact(row.accuracy.unwrap_or(0.0)), ticks }))
            }
            EpisodeState::Infeasible => Some(Settled::Infeasible(reason())),
            EpisodeState::Failed => Some(Settled::Failed(reason())),
        }
    }

    /// An accuracy as the fraction of samples it was: JSON may have changed its last bit, and a resumed agent must learn
    /// from exactly the same numbers.
    pub fn exact(&self, accuracy: f64) -> f64 {
        let samples = self.options.validation_samples.min(self.builder.splits().validation.0.len()) as f64;
        (accuracy * samples).round() / samples
    }

    /// The limits a search projects onto. `eight_bits` is any candidate of this model: all have equal test vectors.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn search_limits(&self, limits: &Limits) -> Result<Limits, AgentError> {
        let bits = self.space.uniform(Bits::Two, Bits::Two);
        let candidate = self.builder.build(&self.space.policy(&bits))?;
        let vectors = candidate.image.len() as u64 - candidate.flash_bytes;
        Ok(super::limits::with_boards(limits, &self.start.board_types, vectors))
    }

    /// The footprint of bits, by arithmetic.
    pub fn footprint(&self, bits: &[Bits]) -> Footprint {
        use crate::env::Costs;
        self.builder.costs().footprint(bits)
    }
}

fn steps(space: &Space, request: &Request) -> Vec<Step> {
    let step = |(index, slot): (usize, &crate::env::Slot)| Step {
        tensor: slot.name.clone(),
        state: request.proposal.map_or_else(Vec::new, |p| p.states[index].iter().map(|&x| x.into()).collect()),
        raw_action: request.proposal.map(|p| p.actions[index]),
        bits_asked: request.proposal.map(|p| p.asked[index].get()),
        bits: request.bits[index].get(),
        reward: None,
    };
    space.slots().iter().enumerate().map(step).collect()
}

/// Equal for equal proposals, so that sending one twice is harmless.
fn client_key(request: &Request) -> String {
    let mut hash = Sha256::new();
    hash.update(request.index.to_le_bytes());
    hash.update(request.strategy);
    hash.update(request.bits.iter().map(|bits| bits.get()).collect::<Vec<u8>>());
    for action in request.proposal.iter().flat_map(|proposal| &proposal.actions) {
        hash.update(action.to_le_bytes());
    }
    for ((layer, _), variant) in request.variants().iter().flat_map(|variants| variants.all_told()) {
        hash.update((layer as u64).to_le_bytes());
        hash.update(variant.name());
    }
    hex(&hash.finalize()[..12])
}
