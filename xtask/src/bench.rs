//! `cargo xtask bench`: what networks and kernels cost on an emulated board.
//!
//! `bench kernels` is the kernels alone: no data, no network, seconds. Plain `bench` puts real networks through quantization,
//! lowering and the runner, and times a campaign.

mod anchors;
mod baseline;
pub mod kernels;
mod row;
mod search;
mod tables;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use crate::progress::timed;
use crate::setup::{self, Purpose};
use crate::{firmware, repo, shell};

#[derive(Args)]
pub struct Options {
    /// What to measure.
    #[arg(value_enum, default_value = "all")]
    what: What,
    /// Kernels: write a row per layer and one per network to this file. Search: a row per candidate.
    #[arg(long)]
    csv: Option<PathBuf>,
    /// Kernels: fail when a layer takes more instructions than in `firmware/kernels/bench/baseline.csv`.
    #[arg(long, conflicts_with = "bless")]
    check: bool,
    /// Kernels: make what is measured the baseline.
    #[arg(long)]
    bless: bool,
    /// Networks: which emulated core.
    #[arg(long, default_value = "cortex-m4", value_parser = ["cortex-m4", "cortex-m7"])]
    cpu: String,
}

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// The networks at 8/8 and 4/8, runner and image sizes, and the wall time of a campaign's candidates.
    All,
    /// Every layer of the networks at every combination of weight and activation bits, without images, on both cores.
    Kernels,
    /// How long exact bit allocation takes for 50 layers under several limits. Fails where it is a second or more.
    Ilp,
    /// Every strategy at 100 measurements with several seeds, on keyword spotting and the demo's network. Takes hours; goes on
    /// where it was interrupted.
    Search,
}

/// Prints the figures.
///
/// # Errors
/// When something does not build, an output is wrong, or with `--check` a layer became slower.
pub fn run(options: &Options) -> Result<()> {
    match options.what {
        What::All => networks(options),
        What::Ilp => ilp(),
        What::Search => search::run(options.csv.as_deref()),
        What::Kernels => kernels::run(&kernels::Options {
            csv: options.csv.clone(),
            check: options.check,
            bless: options.bless,
            estimate_cycles: true,
        }),
    }
}

fn networks(options: &Options) -> Result<()> {
    let for_kernels = options.csv.is_some() || options.check || options.bless;
    ensure!(!for_kernels, "--csv, --check and --bless are options of `cargo xtask bench kernels`");
    setup::prepare(Purpose::Demo)?;
    // The sizes that this prints are among the figures.
    firmware::build_all()?;
    timed("programs", "building with optimization", build)?;
    let arguments = ["--campaign", "--cpu", &options.cpu];
    shell::run(&mut shell::command(repo::root().join("target/release/bitrack-bench"), arguments))?;
    host()
}

/// The solver of `ilp` alone.
fn ilp() -> Result<()> {
    setup::prepare(Purpose::Demo)?;
    let example = ["build", "--release", "--locked", "--package", "bitrack-search", "--example", "solver_speed"];
    timed("programs", "building the solver's bench", || shell::run(&mut shell::cargo(example)))?;
    shell::run(&mut shell::command(
        repo::root().join("target/release/examples/solver_speed"),
        std::iter::empty::<&str>(),
    ))
}

/// The same kernels on this host, beside LiteRT.
fn host() -> Result<()> {
    let mut cargo =
        shell::cargo(["build", "--release", "--locked", "--package", "bitrack-model", "--example", "host_speed"]);
    timed("programs", "building the host's bench", || shell::run(&mut cargo))?;
    let data = repo::root().join("../shared/data");
    let python = repo::root().join(".bitrack/venv/bin/python");
    shell::run(&mut shell::command(repo::root().join("target/release/examples/host_speed"), [data, python]))
}

fn build() -> Result<()> {
    let packages = ["hil", "bitrack-search", "bitrack-virtual-board", "bitrack-tests"];
    let mut cargo = shell::cargo(["build", "--release", "--locked", "--bins"]);
    shell::run(packages.iter().fold(&mut cargo, |cargo, name| cargo.args(["--package", name])))
}
