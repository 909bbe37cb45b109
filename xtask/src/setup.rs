//! `cargo xtask setup`: brings a fresh Debian 12 host with rustup to the point where everything here builds and runs.
//!
//! A list of [`Step`]s for each purpose, in the order in which they depend on each other.

mod cache;
mod libtorch;
mod litert;
mod packages;
pub mod rust_tools;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::progress::{Step, perform};
use packages::{Packages, Probe};

/// What the host is to be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Purpose {
    /// Run `cargo xtask demo` and `cargo xtask bench`.
    Demo,
    /// Run `cargo xtask test`.
    Test,
    /// Build the firmware only.
    Firmware,
}

#[derive(Args)]
pub struct Options {
    /// What the host is to be able to do.
    #[arg(long = "for", value_enum, value_name = "PURPOSE", default_value = "test")]
    pub purpose: Purpose,
}

/// Performs every step of the purpose.
///
/// # Errors
/// The first required step that fails, with what to do by hand.
pub fn run(options: &Options) -> Result<()> {
    prepare(options.purpose)
}

/// As [`run`], for the other tasks.
///
/// # Errors
/// The first required step that fails, with what to do by hand.
pub fn prepare(purpose: Purpose) -> Result<()> {
    steps(purpose)?.iter().try_for_each(|step| perform(step.as_ref()))
}

fn steps(purpose: Purpose) -> Result<Vec<Box<dyn Step>>> {
    let mut steps: Vec<Box<dyn Step>> = Vec::new();
    if purpose != Purpose::Firmware {
        steps.push(Box::new(Packages::new("system packages", system_packages(purpose))));
    }
    steps.push(Box::new(rust_tools::FirmwareToolchain));
    if purpose != Purpose::Firmware {
        steps.push(Box::new(libtorch::Libtorch::new()?));
    }
    if purpose == Purpose::Test {
        steps.push(Box::new(rust_tools::Components));
        steps.push(Box::new(rust_tools::Nextest));
        steps.push(Box::new(litert::Litert::new()?));
    }
    Ok(steps)
}

/// Each package beside the sign that it, or a replacement for it, is there: a program of another origin is as good.
fn system_packages(purpose: Purpose) -> Vec<(&'static str, Probe)> {
    let mut packages = vec![
        ("g++", Probe::Program("c++")),
        ("pkg-config", Probe::Program("pkg-config")),
        ("unzip", Probe::Program("unzip")),
        ("python3-pip", Probe::PythonModule("pip")),
        ("qemu-system-arm", Probe::Program("qemu-system-arm")),
        ("dataset-fashion-mnist", Probe::File("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")),
    ];
    if purpose == Purpose::Test {
        packages.extend([
            ("git", Probe::Program("git")),
            ("python3-venv", Probe::PythonModule("ensurepip")),
            ("chromium", Probe::Program("chromium")),
            ("chromium-driver", Probe::Program("chromedriver")),
        ]);
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_come_before_what_needs_them() {
        for purpose in [Purpose::Demo, Purpose::Test] {
            let names: Vec<String> = steps(purpose).unwrap().iter().map(|step| step.name()).collect();
            assert_eq!(names[0], "system packages");
        }
    }

    #[test]
    fn the_firmware_alone_needs_no_libtorch() {
        let names: Vec<String> = steps(Purpose::Firmware).unwrap().iter().map(|step| step.name()).collect();
        assert_eq!(names, ["firmware toolchain"]);
    }
}
