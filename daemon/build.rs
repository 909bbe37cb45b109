//! Bakes the source revision in: every measurement says which tool took it.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=BITRACK_REVISION");
    println!("cargo:rerun-if-changed=../.git/HEAD");
    println!("cargo:rerun-if-changed=../.git/logs/HEAD");
    let revision = std::env::var("BITRACK_REVISION").ok().or_else(from_git).unwrap_or_else(|| "unknown".into());
    println!("cargo:rustc-env=HIL_REVISION={revision}");
}

/// The commit, marked when the daemon's own sources differ from it.
fn from_git() -> Option<String> {
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let dirty = git(&["status", "--porcelain", "--", "."]).is_some_and(|s| !s.is_empty());
    Some(if dirty { format!("{commit}-dirty") } else { commit })
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
