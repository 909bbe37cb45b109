//! `cargo xtask test`: everything that needs testing, in one command that ends in the test runner's summary.

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::progress::{say, timed};
use crate::setup::rust_tools::has_nextest;
use crate::setup::{self, Purpose};
use crate::{bench, firmware, shell, tidy};

#[derive(Args)]
pub struct Options {
    /// How much to test.
    #[arg(value_enum, default_value = "all")]
    extent: Extent,
    /// Passed on to the test runner, for example a part of a test's name.
    #[arg(last = true)]
    runner: Vec<String>,
}

/// How much to test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Extent {
    /// Set-up, firmware, style, documentation's examples, and every test.
    All,
    /// The tests beside the code only: nothing installed, no boards, no style.
    Unit,
}

/// Tests to the extent asked for.
///
/// # Errors
/// When anything fails; the tests are run even where the style is at fault, so that one run shows all.
pub fn run(options: &Options) -> Result<()> {
    match options.extent {
        Extent::Unit => tests(&["--workspace", "--lib", "--bins"], &options.runner),
        Extent::All => everything(&options.runner),
    }
}

fn everything(runner: &[String]) -> Result<()> {
    setup::prepare(Purpose::Test)?;
    firmware::build_all()?;
    timed("tests", "building", build)?;
    let singles = firmware::single::hold_to_budgets();
    let speed = bench::kernels::hold_to_baseline();
    let tidiness = tidy::run(&tidy::Options::default());
    let examples = timed("examples in docs", "running", doc_tests);
    let runner_tests = tests(&["--manifest-path", "firmware/runner/Cargo.toml", "--lib"], &[]);
    let lacking = tests(&["--package", "bitrack-engine", "--no-default-features", "--test", "lacking"], &[]);
    let tests = tests(&["--workspace"], runner);
    report([
        ("runners for one network", singles),
        ("the kernels' speed", speed),
        ("tidy", tidiness),
        ("examples in docs", examples),
        ("the runner's tests", runner_tests),
        ("an engine without kernels", lacking),
        ("tests", tests),
    ])
}

/// Programs and tests in one go: the end-to-end tests start the programs, and one graph of features means that
/// nothing is compiled twice.
fn build() -> Result<()> {
    shell::run(&mut shell::cargo(["build", "--locked", "--workspace", "--bins", "--tests"]))
}

/// nextest does not run these. `bitrack-tests` has no examples, and the programs are no libraries.
fn doc_tests() -> Result<()> {
    shell::quietly(&mut shell::cargo(["test", "--quiet", "--locked", "--workspace", "--doc"]))
}

fn tests(what: &[&str], runner: &[String]) -> Result<()> {
    let mut cargo = if has_nextest() {
        shell::cargo(["nextest", "run", "--locked", "--no-fail-fast"])
    } else {
        say("tests", "cargo-nextest is missing: cargo test runs them, without time limits");
        shell::cargo(["test", "--locked", "--no-fail-fast"])
    };
    shell::run(cargo.args(what).args(runner))
}

/// Quiet when all is well, so that the test runner has the last word.
fn report<const N: usize>(results: [(&str, Result<()>); N]) -> Result<()> {
    let failed: Vec<String> =
        results.into_iter().filter_map(|(name, result)| Some(format!("{name}: {:#}", result.err()?))).collect();
    if !failed.is_empty() {
        bail!("{}", failed.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_is_reported() {
        report([("a", Ok(())), ("b", Ok(()))]).unwrap();
        let results = [("a", Ok(())), ("b", Err(anyhow::anyhow!("first"))), ("c", Err(anyhow::anyhow!("second")))];
        assert_eq!(report(results).unwrap_err().to_string(), "b: first\nc: second");
    }
}
