//! The command line: arguments in, text out.

mod check;
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
      train the demonstration network (about three minutes; at once when it is there already)

Data are named `fashion-mnist` (Debian's package dataset-fashion-mnist), `npz:FILE`, `npz:TRAIN,TEST`, or a folder
with train.npz and eval.npz. RUST_LOG=debug says more.";

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Args),
    Train(train::Args),
}

impl Cli {
    /// Runs what was asked for.
    ///
    /// # Errors
    /// Whatever went wrong, with its context, for a person to read.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Check(args) => check::run(&args),
            Command::Train(args) => train::run(&args).map(|()| ExitCode::SUCCESS),
        }
    }
}

/// Logs to standard error, so that standard output holds results only.
pub fn start_log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
