//! `cargo xtask tidy`: the part of the house style that a machine can check, so that people need not.
//!
//! Three checks: our own rules over the text of every file that git tracks or would add, rustfmt, and clippy.

mod files;
mod lines;
mod source;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;

use crate::firmware::toolchain::{self, Toolchain};
use crate::progress::{say, timed};
use crate::{repo, shell};
use source::Tree;

#[derive(Args, Default)]
pub struct Options {
    /// Only the rules over the text, which take no compiler.
    #[arg(long)]
    text_only: bool,
}

/// A place that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    /// Relative to the repository's root.
    pub path: PathBuf,
    /// From 1; 0 for the file as a whole.
    pub line: usize,
    /// The rule's name, as an exemption gives it.
    pub rule: &'static str,
    /// What is wrong and what to do instead.
    pub message: String,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, rule, message } = self;
        write!(f, "{}:{line}: {rule}: {message}", path.display())
    }
}

type Check = fn() -> Result<()>;

/// Runs the checks, all of them even when an early one fails.
///
/// # Errors
/// When any rule is broken; the defects are printed before.
pub fn run(options: &Options) -> Result<()> {
    let mut checks: Vec<(&str, Check)> = vec![("text", text)];
    if !options.text_only {
        checks.extend([("rustfmt", format as Check), ("clippy", clippy), ("firmware clippy", firmware)]);
    }
    let failed: Vec<&str> =
        checks.into_iter().filter(|(name, check)| !passes(name, *check)).map(|(name, _)| name).collect();
    if !failed.is_empty() {
        bail!("untidy: {}", failed.join(", "));
    }
    Ok(())
}

fn passes(name: &str, check: Check) -> bool {
    let result = timed(&format!("tidy {name}"), "checking", check);
    if let Err(error) = &result {
        say(&format!("tidy {name}"), &format!("FAILED: {error:#}"));
    }
    result.is_ok()
}

fn text() -> Result<()> {
    let tree = Tree::load(repo::root())?;
    for warning in files::long_files(&tree) {
        eprintln!("warning: {warning}");
    }
    let defects = defects(&tree);
    for defect in &defects {
        eprintln!("{defect}");
    }
    if !defects.is_empty() {
        bail!("{} places break the rules", defects.len());
    }
    Ok(())
}

fn defects(tree: &Tree) -> Vec<Defect> {
    let mut defects = files::check(tree);
    defects.extend(tree.sources.iter().flat_map(lines::check));
    defects
}

fn format() -> Result<()> {
    shell::run(&mut shell::cargo(["fmt", "--all", "--check"]))?;
    shell::run(shell::cargo(["fmt", "--check"]).current_dir(runner()))
}

/// `unwrap` is left to the text rule, which knows tests' helper functions from production code.
fn clippy() -> Result<()> {
    let mut clippy = shell::cargo(["clippy", "--quiet", "--workspace", "--all-targets", "--locked", "--"]);
    shell::run(clippy.args(["-D", "warnings", "-A", "clippy::unwrap_used"]))
}

/// The runner for the virtual board; Debian's toolchain has no clippy of its own, so only rustup's is asked.
fn firmware() -> Result<()> {
    let Some(toolchain @ Toolchain::Rustup) = toolchain::find() else {
        say("tidy firmware clippy", "not run: it needs rustup's target");
        return Ok(());
    };
    let mut clippy = toolchain.cargo("clippy", &runner());
    clippy.args(["--quiet", "--release", "--locked", "--bin", "mps2-an386", "--features", "mps2-an386"]);
    shell::run(clippy.args(["--target-dir", "target", "--", "-D", "warnings"]))
}

fn runner() -> PathBuf {
    repo::root().join("firmware/runner")
}

/// Whether the path has a folder of that name.
fn is_under(path: &Path, folder: &str) -> bool {
    path.parent().is_some_and(|parent| parent.components().any(|part| part.as_os_str() == folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// The checker over a real repository with one defect of each kind planted.
    #[test]
    fn each_planted_defect_is_caught() {
        let dir = tempfile::tempdir().unwrap();
        let git = |args: &[&str]| shell::quietly(shell::command("git", args).current_dir(dir.path())).unwrap();
        git(&["init", "--quiet"]);
        fs::create_dir_all(dir.path().join("src")).unwrap();
        fs::write(dir.path().join("Cargo.toml"), "[package]\nname = \"p\"\n").unwrap();
        fs::write(dir.path().join("src/main.rs"), concat!("fn main() {\n    go().unwr", "ap();\n}\n")).unwrap();
        fs::write(dir.path().join("big.bin"), vec![0; 2 << 20]).unwrap();
        fs::write(dir.path().join("ignored.md"), concat!("TO", "DO")).unwrap();
        fs::write(dir.path().join(".gitignore"), "ignored.md\n").unwrap();
        git(&["add", "big.bin"]);
        let tree = Tree::load(dir.path()).unwrap();
        let mut rules: Vec<&str> = defects(&tree).iter().map(|defect| defect.rule).collect();
        rules.sort_unstable();
        assert_eq!(rules, ["crate-docs", "file-size", "lints", "unwrap"]);
    }
}
