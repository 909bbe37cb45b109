//! The agent process: drives one campaign through the daemon's API, from wherever it stands to its end.

mod api;
mod client;
mod episodes;
mod finalists;
mod latency;
mod limits;
mod options;
mod queue;
mod results;
mod run;
mod search;
mod training;
mod variants;

pub use client::Client;
pub use latency::TooSlow;
pub use run::run;

use crate::candidate::CandidateError;
use crate::env::InfeasibleLimits;
use crate::qat::QatError;
use crate::strategy::StrategyError;

/// What ends an agent before its campaign is done.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The daemon could not be reached for a while, or answered something that is no answer.
    #[error("no answer from the daemon to {request}: {reason}")]
    Daemon {
        /// Method and path.
        request: String,
        /// Why.
        reason: String,
    },
    /// The daemon refused a request.
    #[error("the daemon refuses {request}: {message} ({kind})")]
    Refused {
        /// Method and path.
        request: String,
        /// HTTP status.
        status: u16,
        /// The API's kind of error.
        kind: String,
        /// The daemon's reason.
        message: String,
    },
    /// The campaign's `agent` table.
    #[error("[campaign.{campaign}.agent]: {reason}")]
    Options {
        /// The campaign's name.
        campaign: String,
        /// What is wrong.
        reason: String,
    },
    /// Model, data, quantization or evaluation.
    #[error(transparent)]
    Candidate(#[from] CandidateError),
    /// Limits that nothing can meet.
    #[error(transparent)]
    Infeasible(#[from] InfeasibleLimits),
    /// A latency limit that nothing can meet, by prediction or measurement.
    #[error(transparent)]
    TooSlow(#[from] TooSlow),
    /// The strategy.
    #[error(transparent)]
    Strategy(#[from] StrategyError),
    /// A latency limit in percent of a network that could not be measured.
    #[error(
        "the latency limit is relative to 8 bits everywhere, but that could not be measured: {reason}; mend that and resume the campaign, \
         or give the limit in ticks"
    )]
    NoReference {
        /// Why it has no latency.
        reason: String,
    },
    /// The rack measures nothing any more.
    #[error("{count} episodes in a row failed on the boards or the rig, the last because: {reason}")]
    Rig {
        /// Failures in a row.
        count: usize,
        /// The last one's reason.
        reason: String,
    },
    /// No candidate of this agent can run on the boards' runner.
    #[error("nothing can be measured: {reason}; mend that, then: hil campaign resume {campaign}")]
    OtherRunner {
        /// The campaign's name.
        campaign: String,
        /// What the board said.
        reason: String,
    },
    /// Some finalists could not be measured, by no fault of their own.
    #[error(
        "{} of {all} finalists could not be measured by the boards' or the rig's fault ({}); mend that, and they are tried again: \
         hil campaign resume {campaign}", failed.len(), failed.join("; ")
    )]
    Unmeasured {
        /// The campaign's name.
        campaign: String,
        /// Which, and why.
        failed: Vec<String>,
        /// How many there are.
        all: usize,
    },
    /// History or checkpoint contradict the campaign.
    #[error("episode {index} of the database cannot be continued from: {reason}")]
    History {
        /// Its index.
        index: u32,
        /// Why.
        reason: String,
    },
}

impl From<QatError> for AgentError {
    fn from(error: QatError) -> Self {
        Self::Candidate(error.into())
    }
}

impl AgentError {
    /// Whether another start would end the same way: what is wrong is written down in the campaign, its files or its history. The
    /// daemon does not try again then.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Daemon { .. } | Self::Rig { .. } => false,
            Self::Refused { status, .. } => *status == 400,
            Self::Options { .. }
            | Self::Candidate(_)
            | Self::Infeasible(_)
            | Self::TooSlow(_)
            | Self::Strategy(_)
            | Self::NoReference { .. }
            | Self::OtherRunner { .. }
            | Self::Unmeasured { .. }
            | Self::History { .. } => true,
        }
    }
}
