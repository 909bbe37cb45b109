//! `hil-agent check`.

use bitrack_search::check;
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

/// Recompute golden results: print each mismatch, then `N passed, M failed`; exit with 1 on any mismatch.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Exact bit allocation (HAWQ-V3's integer program): the optimal bits of every case
    Ilp {
        /// A JSON file with `layers`, `tied` and `cases`
        file: PathBuf,
    },
    /// The policy gradient `reinforce`: at most 1.10 times the optimal cost after 500 evaluations, five seeds a case
    Reinforce {
        /// A JSON file as for `ilp`
        file: PathBuf,
    },
    /// Rule-based bit cutting (arXiv 1905.13082): bits, bytes and peak RAM of every case
    RuleBased {
        /// A JSON file with `nets` and `rule_based`
        file: PathBuf,
    },
}

/// Runs one check; a mismatch is a failure, but not an error: the counts are the last line in any case.
///
/// # Errors
/// An unusable file.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let tally = match &args.what {
        What::Ilp { file } => check::check_ilp(file)?,
        What::Reinforce { file } => check::check_reinforce(file)?,
        What::RuleBased { file } => check::check_rule_based(file)?,
    };
    for line in &tally.mismatches {
        println!("{line}");
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
