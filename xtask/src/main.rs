//! Everything a person or CI does to this repository beyond `cargo build`: install what is missing, build the
//! firmware, run every test, check the style.
//!
//! Owns the knowledge of *how this repository is built and checked*: packages, toolchains, caches, budgets.
//! Does not know what the programs do: it starts them as processes. Of our crates it links the three small ones
//! that tell which kernels an image needs, and nothing else, so that it compiles in seconds on a machine where nothing else builds yet.

mod bench;
mod demo;
mod elf;
mod firmware;
mod progress;
mod repo;
mod setup;
mod shell;
mod suite;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Set up, build, test and check Bitrack. Start with `cargo xtask test`.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// See the mission work without a board: install, build, train, search on two emulated boards, show what was found.
    Demo(demo::Options),
    /// Count the instructions of the MLPerf Tiny networks on an emulated board, layer by layer, and time a campaign.
    Bench(bench::Options),
    /// Install what is missing on this host; a second run finds everything there and costs under a second.
    Setup(setup::Options),
    /// Build the runner for the boards it supports into `target/firmware`, and hold it to its size budget.
    Firmware(firmware::Options),
    /// Install, build, check and test everything; ends in the test runner's summary.
    Test(suite::Options),
    /// Check the style that a machine can check.
    Tidy(tidy::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Demo(options) => demo::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Setup(options) => setup::run(&options),
        Task::Firmware(options) => firmware::run(&options),
        Task::Test(options) => suite::run(&options),
        Task::Tidy(options) => tidy::run(&options),
    };
    // Without the backtrace that RUST_BACKTRACE would add: these errors tell a person what to do next.
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
