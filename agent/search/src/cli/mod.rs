//! The command line: arguments in, text out.

mod check;
mod finetune;
mod image;
mod import;
mod run;
mod source;
mod train;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Proposes mixed-precision versions of a neural network and learns from how they measure on real boards.
#[derive(Debug, Parser)]
#[command(name = "hil-agent", version, about, long_about = None, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  hil-agent train --data fashion-mnist --out .bitrack/fashion.bitrack
      train the demonstration network (two to five minutes; at once when it is there already)
  hil-agent evaluate --model .bitrack/fashion.bitrack --data fashion-mnist --policy 4/8
      accuracy on this host with 4-bit weights and 8-bit activations
  hil-agent image --model ds_cnn.tflite --data kws --policy bits.json --out kws.img
      one candidate's flash image, for `hil measure`

Data are named `fashion-mnist` (Debian's package dataset-fashion-mnist), `npz:FILE`, `npz:TRAIN,TEST`, or a folder
with train.npz and eval.npz. RUST_LOG=debug says more.";

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Args),
    Evaluate(image::EvaluateArgs),
    Finetune(finetune::Args),
    Image(image::ImageArgs),
    Import(import::Args),
    Run(run::Args),
    Train(train::Args),
}

impl Cli {
    /// Runs what was asked for.
    ///
    /// # Errors
    /// Whatever went wrong, with its context, for a person to read.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Check(args) => return check::run(&args),
            Command::Run(args) => return run::run(&args),
            Command::Evaluate(args) => image::evaluate(&args)?,
            Command::Finetune(args) => finetune::run(&args)?,
            Command::Image(args) => image::image(&args)?,
            Command::Import(args) => import::run(&args)?,
            Command::Train(args) => train::run(&args)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Logs to standard error, so that standard output holds results only.
pub fn start_log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
