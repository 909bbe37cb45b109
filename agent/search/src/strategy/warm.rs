//! A warm start: one strategy proposes first, another learns from what became of it and then takes over.

use super::{Blob, Outcome, Proposal, Strategy, StrategyError};
use crate::env::{Environment, Measured};
use bitrack_model::Bits;
use serde::{Deserialize, Serialize};

/// A candidate whose measurement is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// Its bits.
    pub bits: Vec<Bits>,
    /// Its reward in this campaign.
    pub reward: f64,
    /// What was measured.
    pub measured: Measured,
}

impl Known {
    /// As the outcome of a proposal for exactly these bits.
    fn outcome(&self, env: &Environment) -> Outcome {
        Outcome {
            proposal: Proposal::of_bits(env, self.bits.clone()),
            bits: self.bits.clone(),
            reward: Some(self.reward),
            measured: Some(self.measured),
        }
    }
}

/// `learner` after `lead` proposals of `leader`. It has the learner's name.
pub struct Warm {
    leader: Box<dyn Strategy>,
    learner: Box<dyn Strategy>,
    lead: usize,
    proposed: usize,
    /// Outcomes of the leader's proposals; empty once the learner has them.
    lessons: Vec<Known>,
    taken_over: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    proposed: usize,
    taken_over: bool,
    lessons: Vec<Lesson>,
    leader: Part,
    learner: Part,
}

/// [`Known`] with numbers as bits.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lesson {
    bits: Vec<Bits>,
    reward: u64,
    accuracy: u64,
    ticks: Option<u64>,
}

/// One strategy's blob; its numbers are part of the whole.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    strategy: String,
    header: String,
    floats: usize,
}

impl Warm {
    /// Lets `leader` make the first `lead` proposals.
    pub fn new(leader: Box<dyn Strategy>, learner: Box<dyn Strategy>, lead: usize) -> Self {
        Self { leader, learner, lead, proposed: 0, lessons: Vec::new(), taken_over: false }
    }

    fn take_over(&mut self, env: &Environment) -> Result<(), StrategyError> {
        if !std::mem::replace(&mut self.taken_over, true) {
            let lessons: Vec<Outcome> = std::mem::take(&mut self.lessons).iter().map(|k| k.outcome(env)).collect();
            self.learner.learn_from(env, &lessons)?;
        }
        Ok(())
    }
}

impl Strategy for Warm {
    fn name(&self) -> &'static str {
        self.learner.name()
    }

    fn propose(&mut self, env: &Environment) -> Result<Option<Proposal>, StrategyError> {
        if self.proposed < self.lead {
            if let Some(proposal) = self.leader.propose(env)? {
                self.proposed += 1;
                return Ok(Some(proposal));
            }
            self.proposed = self.lead;
        }
        self.take_over(env)?;
        self.learner.propose(env)
    }

    fn remark(&self) -> Option<String> {
        self.leader.remark().or_else(|| self.learner.remark())
    }

    fn observe(&mut self, env: &Environment, outcome: &Outcome) -> Result<(), StrategyError> {
        if self.taken_over {
            return self.learner.observe(env, outcome);
        }
        if let (Some(reward), Some(measured)) = (outcome.reward, outcome.measured) {
            self.lessons.push(Known { bits: outcome.bits.clone(), reward, measured });
        }
        self.leader.observe(env, outcome)
    }

    fn save(&self) -> Result<Blob, StrategyError> {
        let (leader, learner) = (self.leader.save()?, self.learner.save()?);
        let part = |blob: &Blob| Part {
            strategy: blob.strategy.clone(),
            header: blob.header.clone(),
            floats: blob.floats.len(),
        };
        let lesson = |known: &Known| Lesson {
            bits: known.bits.clone(),
            reward: known.reward.to_bits(),
            accuracy: known.measured.accuracy.to_bits(),
            ticks: known.measured.ticks,
        };
        let header = Header {
            proposed: self.proposed,
            taken_over: self.taken_over,
            lessons: self.lessons.iter().map(lesson).collect(),
            leader: part(&leader),
            learner: part(&learner),
        };
        let mut blob = Blob::new(self.name(), &header, &[]);
        blob.floats = leader.floats.into_iter().chain(learner.floats).collect();
        Ok(blob)
    }

    fn load(&mut self, blob: &Blob) -> Result<(), StrategyError> {
        let header: Header = blob.header(self.name())?;
        let wrong = || StrategyError::Checkpoint { reason: "its parts are not as long as it says".into() };
        let (leader, learner) = blob.floats.split_at_checked(header.leader.floats).ok_or_else(wrong)?;
        let part =
            |part: Part, floats: &[u32]| Blob { strategy: part.strategy, header: part.header, floats: floats.to_vec() };
        self.leader.load(&part(header.leader, leader))?;
        self.learner.load(&part(header.learner, learner))?;
        let known = |lesson: Lesson| Known {
            bits: lesson.bits,
            reward: f64::from_bits(lesson.reward),
            measured: Measured { accuracy: f64::from_bits(lesson.accuracy), ticks: lesson.ticks },
        };
        self.lessons = header.lessons.into_iter().map(known).collect();
        (self.proposed, self.taken_over) = (header.proposed, header.taken_over);
        Ok(())
    }
}

/// Proposes given candidates, best first: an earlier campaign as a leader. What it is told to begin with is a lesson, too.
#[derive(Debug)]
pub struct Elite {
    known: Vec<Known>,
    next: usize,
}

impl Elite {
    /// Up to `count` of `known`, by reward.
    pub fn new(mut known: Vec<Known>, count: usize) -> Self {
        known.sort_by(|a, b| b.reward.total_cmp(&a.reward));
        known.truncate(count);
        Self { known, next: 0 }
    }
}

impl Strategy for Elite {
    fn name(&self) -> &'static str {
        "elite"
    }

    fn propose(&mut self, env: &Environment) -> Result<Option<Proposal>, StrategyError> {
        let next = self.known.get(self.next).map(|known| Proposal::of_bits(env, known.bits.clone()));
        self.next += 1;
        Ok(next)
    }

    fn observe(&mut self, _: &Environment, _: &Outcome) -> Result<(), StrategyError> {
        Ok(())
    }

    fn save(&self) -> Result<Blob, StrategyError> {
        Ok(Blob::new(self.name(), &self.next, &[]))
    }

    fn load(&mut self, blob: &Blob) -> Result<(), StrategyError> {
        self.next = blob.header(self.name())?;
        Ok(())
    }
}
