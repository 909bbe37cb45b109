//! `bitrack-search`: what proposes candidates and learns from their measurements.
//!
//! Owns the data splits, the training of the demonstration network, the fine-tuning of candidates ([`qat`]), the search
//! environment (states, the projection onto hard limits, the reward), the strategies behind one trait, and the agent process
//! that drives a campaign.
//!
//! Does **not** know boards, probes, serial ports or the database: it talks to the daemon's HTTP API only, and only
//! [`agent`] knows HTTP. It does not define arithmetic either: accuracy comes from `bitrack-model`, which runs the
//! same integer kernels as the boards.

pub mod agent;
pub mod candidate;
pub mod check;
pub mod data;
pub mod env;
pub mod ilp;
mod linear;
pub mod optimizer;
pub mod qat;
pub mod rules;
pub mod strategy;
pub mod torch;
pub mod train;
