//! The command line: what people type. Talks to a running daemon over its API, reads the database for queries.

mod args;
mod boards;
mod campaign;
mod client;
mod compare;
mod doctor;
mod exit;
mod layers;
mod log;
mod measure;
mod query;
mod start;
mod table;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use crate::config::{Config, DEFAULT_FILE};
use args::{Cli, Command};
use client::Client;
use exit::Failure;

/// Parses the command line, does what it says, and turns the result into an exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version are printed to standard output and are no failure; a closed pipe is nobody's concern.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { exit::USAGE } else { 0 });
        }
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {}", failure.message);
            if let Some(help) = &failure.help {
                eprintln!("  try: {help}");
            }
            ExitCode::from(failure.code)
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    if let Command::Doctor = cli.command {
        return doctor::run(&cli.config_path());
    }
    let config = Config::load(&cli.config_path()).map_err(|e| Failure::usage(e.to_string()))?;
    let client = Client::new(cli.daemon.clone().unwrap_or_else(|| format!("http://{}", config.daemon.listen)));
    match cli.command {
        Command::Daemon => daemon(config),
        Command::Boards(args) => boards::run(&client, &args),
        Command::Measure(args) => measure::run(&client, &args),
        Command::Campaign(args) => campaign::run(&client, args),
        Command::Best(args) => campaign::best(&client, &args),
        Command::Compare(args) => compare::run(&config, &args),
        Command::Query(args) => query::run(&config, &args),
        Command::Doctor => Ok(()),
    }
}

impl Cli {
    fn config_path(&self) -> std::path::PathBuf {
        self.config.clone().unwrap_or_else(|| DEFAULT_FILE.into())
    }
}

fn daemon(config: Config) -> Result<(), Failure> {
    let _flush_at_the_end = log::begin(&config.daemon.log).map_err(Failure::from)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::from)?;
    let result = runtime.block_on(crate::daemon::run(config));
    // A thread stuck in a driver would keep a plain drop waiting for ever.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result.map_err(|e| Failure::error(format!("{e:#}")))
}
