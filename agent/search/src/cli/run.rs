//! `hil-agent run`.

use bitrack_search::agent::{Client, run as run_agent};
use std::process::ExitCode;

/// Says to the daemon that another start would end the same way.
const FINAL: u8 = 3;

/// Drive a campaign: propose candidates, have them measured, learn. The daemon starts this by itself.
///
/// The agent goes on wherever the campaign stands. Options of `[campaign.NAME.agent]` in hil.toml, with their defaults:
///
///   validation-samples = 1000      samples that each candidate's accuracy is judged on
///   in-flight = (boards)           candidates being measured at once
///   fine-tune = { steps = N | seconds = S, batch = 64, learning-rate = (0.002, with any 2-bit weights 0.001), distill = 0.7,
///            temperature = 2, shift = 2, moment-bits = 32, seed = 1, recipe = "lsq" | "two-stage" }   train every candidate so long; not at all by default
///   checkpoint-every = 5           episodes between two checkpoints
///   training-checkpoint-every = 100  steps of fine-tuning between two checkpoints: what an agent that is killed loses at most
///   preparation = { calibration-samples = 512, calibration = "mse", equalize = true, vectors = 2, section-align-log2 = 2,
///            variants = "measured" | "usual" | "small" | "rows" | "general" }   which variants of kernels compute candidates
///   warm-start = (none)            what makes the first proposals, from which the strategy then learns: a strategy, or an earlier
///                                  campaign of the same model, of which the best candidates are measured again
///   warm-proposals = (budget / 2)  how many; 5 from an earlier campaign
///   sensitivity-samples = 256      training samples on which `ilp` judges how sensitive each tensor is
///   profile = { variants = "all" | "picked" }   by which variants of kernels `profile` measures layers
///   ddpg = { warm-up, sigma, sigma-decay, sigma-floor, warm-sigma, imitate, batch, updates-per-step, replay-per-slot,
///            actor-rate, critic-rate, tau, discount }   HAQ's values, schedules adapted to the budget
///   reinforce = { rate, entropy, decay, evaluations }   adapted to the budget
///   one-shot = { steps = 400, warm-up = 0.25, samples = 2, rate = (adapted to the steps), entropy = 0.1, decay = 0.9, batch = 64,
///            learning-rate = 0.001, distill = 0.7, temperature = 2, shift = 2, moment-bits = 32 }   training of bits and weights together
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The daemon's address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8420")]
    daemon: String,
    /// The campaign's name or number
    #[arg(long)]
    campaign: String,
}

/// Runs to the campaign's end. What no other start can mend is told here, and by the exit code.
///
/// # Errors
/// Whatever else stops the campaign, for a person to read.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match run_agent(Client::new(&args.daemon, &args.campaign)) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if error.is_final() => {
            eprintln!("error: {error}");
            Ok(ExitCode::from(FINAL))
        }
        Err(error) => Err(error.into()),
    }
}
