//! Bakes two things in: the source revision, for every measurement says which tool took it, and the page, so that the
//! daemon is one file.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What of `dashboards/` a browser asks for.
const PAGE: [&str; 5] = ["html", "css", "js", "svg", "png"];

fn main() {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    std::fs::write(out.join("page.rs"), page(Path::new("../dashboards"))).expect("OUT_DIR is writable");
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

/// Rust for `[(path in the page, content)]`.
fn page(folder: &Path) -> String {
    let mut files = Vec::new();
    collect(folder, &mut files);
    files.sort();
    let mut code = String::from("[\n");
    for file in files {
        let name = file.strip_prefix(folder).expect("it was found there").display().to_string();
        let path = file.canonicalize().expect("it was found there");
        writeln!(code, "    ({name:?}, include_bytes!({:?})),", path.display().to_string())
            .expect("a string takes all");
    }
    code + "]\n"
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    println!("cargo:rerun-if-changed={}", folder.display());
    for entry in std::fs::read_dir(folder).expect("the page's folder is in the repository").flatten() {
        let path = entry.path();
        let wanted = path.extension().and_then(|e| e.to_str()).is_some_and(|e| PAGE.contains(&e));
        match path.is_dir() {
            true => collect(&path, files),
            false if wanted => files.push(path),
            false => {}
        }
    }
}
