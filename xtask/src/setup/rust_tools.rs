//! What comes from the Rust side: the firmware's toolchain, rustfmt and clippy, the test runner.

use std::process::Command;

use anyhow::{Context, Result};

use super::packages;
use crate::firmware::toolchain::{self, DEBIAN_PACKAGES, TARGET, Toolchain};
use crate::progress::{Step, say};
use crate::shell;

/// A compiler for the boards: rustup's own target, or Debian's compiler where rustup's server is out of reach.
pub struct FirmwareToolchain;

impl Step for FirmwareToolchain {
    fn name(&self) -> String {
        "firmware toolchain".into()
    }

    fn is_done(&self) -> bool {
        toolchain::find().is_some()
    }

    fn doing(&self) -> String {
        format!("rustup target add {TARGET}")
    }

    fn work(&self) -> Result<()> {
        let answer = shell::quietly(&mut rustup(&["target", "add", TARGET]));
        if toolchain::find_rustup().is_some() {
            return Ok(());
        }
        say(&self.name(), &format!("rustup cannot; apt-get install {} ...", DEBIAN_PACKAGES.join(" ")));
        let refusal = answer.err().map_or("nothing".into(), |error| format!("{error:#}"));
        packages::install(DEBIAN_PACKAGES).with_context(|| format!("rustup said: {refusal}"))
    }

    fn by_hand(&self) -> String {
        format!(
            "rustup target add {TARGET}, or sudo apt-get install --no-install-recommends {}",
            DEBIAN_PACKAGES.join(" ")
        )
    }
}

/// rustfmt and clippy, which rustup's minimal profile lacks.
pub struct Components;

impl Step for Components {
    fn name(&self) -> String {
        "rustfmt and clippy".into()
    }

    fn is_done(&self) -> bool {
        ["fmt", "clippy"].iter().all(|tool| shell::succeeds(&mut shell::cargo([tool, "--version"])))
    }

    fn doing(&self) -> String {
        "rustup component add rustfmt clippy".into()
    }

    fn work(&self) -> Result<()> {
        shell::quietly(&mut rustup(&["component", "add", "rustfmt", "clippy"]))
    }

    fn by_hand(&self) -> String {
        "rustup component add rustfmt clippy".into()
    }
}

/// The test runner. Optional: `cargo test` runs the same tests, without time limits and groups.
pub struct Nextest;

impl Step for Nextest {
    fn name(&self) -> String {
        "cargo-nextest".into()
    }

    fn is_done(&self) -> bool {
        has_nextest()
    }

    fn doing(&self) -> String {
        "cargo install cargo-nextest, 3 to 10 minutes".into()
    }

    fn work(&self) -> Result<()> {
        // Unoptimised and without its self-updater it builds in a third of the time, and runs tests as fast.
        let lean = ["--debug", "--no-default-features", "--features", "default-no-update"];
        shell::quietly(shell::cargo(["install", "--locked", "cargo-nextest"]).args(lean))
    }

    fn by_hand(&self) -> String {
        "cargo install --locked cargo-nextest (until then `cargo test` runs the tests)".into()
    }

    fn is_required(&self) -> bool {
        false
    }
}

/// Whether `cargo nextest` is there.
pub fn has_nextest() -> bool {
    shell::succeeds(&mut shell::cargo(["nextest", "--version"]))
}

/// rustup, for the toolchain that runs us (`RUSTUP_TOOLCHAIN` is set for every child of cargo's proxy).
fn rustup(args: &[&str]) -> Command {
    debug_assert!(matches!(args[0], "target" | "component"));
    shell::command("rustup", args)
}

/// The toolchain to use once [`FirmwareToolchain`] is done.
///
/// # Errors
/// When neither route is there.
pub fn firmware_toolchain() -> Result<Toolchain> {
    toolchain::find().with_context(|| format!("no firmware toolchain. By hand: {}", FirmwareToolchain.by_hand()))
}
