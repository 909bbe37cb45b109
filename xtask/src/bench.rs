//! `cargo xtask bench`: builds the programs and the firmware, then has `bitrack-bench` print the figures.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::progress::timed;
use crate::setup::{self, Purpose};
use crate::{firmware, repo, shell};

/// The figures that a change of the kernels is held against.
const BASELINE: &str = "firmware/kernels/baseline.csv";

#[derive(Args)]
pub struct Options {
    /// What to measure.
    #[arg(value_enum, default_value = "all")]
    what: What,
    /// Write a row per layer and one per network to this file.
    #[arg(long)]
    csv: Option<PathBuf>,
    /// Fail when a layer takes more instructions than in `firmware/kernels/baseline.csv`.
    #[arg(long)]
    check: bool,
    /// Which emulated core.
    #[arg(long, default_value = "cortex-m4", value_parser = ["cortex-m4", "cortex-m7"])]
    cpu: String,
}

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// The networks at 8/8 and 4/8, runner and image sizes, and the wall time of a campaign's candidates.
    All,
    /// The networks at every combination of weight and activation bits.
    Kernels,
}

/// Prints the figures.
///
/// # Errors
/// When something does not build, an output is not the host's, or with `--check` a layer became slower.
pub fn run(options: &Options) -> Result<()> {
    setup::prepare(Purpose::Demo)?;
    // The sizes that this prints are among the figures.
    firmware::build_all()?;
    timed("programs", "building with optimization", build)?;
    let mut bench = shell::command(repo::root().join("target/release/bitrack-bench"), ["--cpu", &options.cpu]);
    bench.arg(if options.what == What::Kernels { "--all-bits" } else { "--campaign" });
    if let Some(file) = &options.csv {
        bench.arg("--csv").arg(std::path::absolute(file)?);
    }
    if options.check {
        bench.args(["--check", BASELINE]);
    }
    shell::run(&mut bench)
}

fn build() -> Result<()> {
    let packages = ["hil", "bitrack-search", "bitrack-virtual-board", "bitrack-tests"];
    let mut cargo = shell::cargo(["build", "--release", "--locked", "--bins"]);
    shell::run(packages.iter().fold(&mut cargo, |cargo, name| cargo.args(["--package", name])))
}
