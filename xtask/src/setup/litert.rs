//! LiteRT's Python package in an environment of its own: the independent oracle for imported int8 networks.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::cache::{is_linked, link, lock};
use crate::progress::Step;
use crate::{repo, shell};

/// What the environment holds. Changing a version here makes every clone rebuild it.
const REQUIREMENTS: &[&str] = &["ai-edge-litert==2.3.0", "numpy"];

/// `.bitrack/venv` in the repository, a link into the cache.
pub struct Litert {
    venv: PathBuf,
    link: PathBuf,
}

impl Litert {
    /// # Errors
    /// When there is no place for the cache.
    pub fn new() -> Result<Self> {
        Ok(Self { venv: repo::cache()?.join("litert-venv"), link: repo::root().join(".bitrack/venv") })
    }

    fn is_complete(&self) -> bool {
        fs::read_to_string(self.venv.join(".complete")).is_ok_and(|stamp| stamp == REQUIREMENTS.join("\n"))
    }

    /// Built in place, since an environment holds its own path; the stamp written last makes it count.
    fn build(&self) -> Result<()> {
        let dir = self.venv.to_string_lossy().into_owned();
        shell::quietly(&mut shell::command("python3", ["-m", "venv", "--clear", &dir]))?;
        let python = self.venv.join("bin/python");
        shell::quietly(shell::command(python, ["-m", "pip", "install", "--quiet"]).args(REQUIREMENTS))?;
        fs::write(self.venv.join(".complete"), REQUIREMENTS.join("\n")).context("cannot write the stamp")
    }
}

impl Step for Litert {
    fn name(&self) -> String {
        "LiteRT oracle".into()
    }

    fn is_done(&self) -> bool {
        self.is_complete() && is_linked(&self.link, &self.venv)
    }

    fn doing(&self) -> String {
        format!("pip install {} into {}", REQUIREMENTS.join(" "), self.venv.display())
    }

    fn work(&self) -> Result<()> {
        let _lock = lock("litert-venv")?;
        if !self.is_complete() {
            self.build()?;
        }
        link(&self.link, &self.venv)
    }

    fn by_hand(&self) -> String {
        let venv = self.venv.display();
        format!("python3 -m venv {venv} && {venv}/bin/pip install {}", REQUIREMENTS.join(" "))
    }
}
