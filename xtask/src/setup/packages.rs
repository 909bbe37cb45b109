//! Debian packages, asked for only when what they bring is missing.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::progress::Step;
use crate::shell;

/// The sign that a package's service is there, whoever installed it.
#[derive(Clone, Copy)]
pub enum Probe {
    /// A program on `PATH`.
    Program(&'static str),
    /// A file at a fixed place.
    File(&'static str),
    /// A module that `python3` imports.
    PythonModule(&'static str),
}

impl Probe {
    fn finds_it(self) -> bool {
        match self {
            Self::Program(name) => shell::which(name).is_some(),
            Self::File(path) => Path::new(path).exists(),
            Self::PythonModule(module) => {
                shell::succeeds(&mut shell::command("python3", ["-c", &format!("import {module}")]))
            }
        }
    }
}

/// A set of packages, installed in one transaction.
pub struct Packages {
    name: &'static str,
    wanted: Vec<(&'static str, Probe)>,
}

impl Packages {
    pub fn new(name: &'static str, wanted: Vec<(&'static str, Probe)>) -> Self {
        Self { name, wanted }
    }

    fn missing(&self) -> Vec<&'static str> {
        let absent = self.wanted.iter().filter(|(_, probe)| !probe.finds_it());
        absent.map(|(package, _)| *package).collect()
    }
}

impl Step for Packages {
    fn name(&self) -> String {
        self.name.into()
    }

    fn is_done(&self) -> bool {
        self.missing().is_empty()
    }

    fn doing(&self) -> String {
        format!("apt-get install {}", self.missing().join(" "))
    }

    fn work(&self) -> Result<()> {
        install(&self.missing())
    }

    fn by_hand(&self) -> String {
        format!("sudo apt-get update && sudo apt-get install --no-install-recommends {}", self.missing().join(" "))
    }
}

/// Installs packages with apt, the list of packages refreshed first.
///
/// # Errors
/// When this is no Debian, when we may not install, or when apt fails.
pub fn install(packages: &[&str]) -> Result<()> {
    if shell::which("apt-get").is_none() {
        bail!("no apt-get here: install what these Debian packages hold with this system's own tool");
    }
    if !is_root()? {
        bail!("installing packages needs root");
    }
    shell::quietly(&mut apt(&["update"]))?;
    let options = ["install", "--yes", "--no-install-recommends"];
    shell::quietly(apt(&options).args(packages))
}

fn apt(args: &[&str]) -> Command {
    let mut command = shell::command("apt-get", ["--quiet", "-o", "DPkg::Lock::Timeout=300"]);
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn is_root() -> Result<bool> {
    Ok(shell::stdout(&mut shell::command("id", ["-u"]))?.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_asked_for() {
        let wanted = vec![
            ("dash", Probe::Program("sh")),
            ("absent", Probe::Program("no-such-program")),
            ("base-files", Probe::File("/etc")),
            ("nowhere", Probe::File("/no/such/file")),
        ];
        let packages = Packages::new("test", wanted);
        assert_eq!(packages.missing(), ["absent", "nowhere"]);
        assert!(packages.by_hand().ends_with("absent nowhere"));
        assert!(!packages.is_done());
    }
}
