//! Rules over whole files: their size, their length, and what a crate must have.

use std::path::{Path, PathBuf};

use super::source::{Source, Tree};
use super::{Defect, is_under};

/// No sources are this big; test data of this size is made or fetched instead.
const MAX_BYTES: u64 = 1 << 20;

/// A Rust file of more lines has a wall missing.
const MAX_LINES: usize = 600;

/// From here on, look for the wall.
const MANY_LINES: usize = 400;

/// Lock files grow with the dependencies, and are not ours to cut.
const MAY_BE_BIG: &[&str] = &["Cargo.lock", "package-lock.json"];

/// The defects of all files as wholes.
pub fn check(tree: &Tree) -> Vec<Defect> {
    let mut defects: Vec<Defect> = tree.sizes.iter().filter_map(|(path, bytes)| too_big(path, *bytes)).collect();
    let sources = || tree.sources.iter();
    defects.extend(sources().filter_map(too_long));
    defects.extend(sources().filter_map(undocumented_root));
    defects.extend(sources().filter_map(without_lints));
    defects
}

/// Files to think about, no defects yet.
pub fn long_files(tree: &Tree) -> Vec<Defect> {
    tree.sources
        .iter()
        .filter_map(|source| over(source, MANY_LINES))
        .filter(|defect| defect.line <= MAX_LINES)
        .collect()
}

fn too_big(path: &Path, bytes: u64) -> Option<Defect> {
    let exempt = MAY_BE_BIG.iter().any(|name| path.ends_with(name));
    let message = format!("{bytes} bytes, over {MAX_BYTES}: make it or fetch it");
    (bytes > MAX_BYTES && !exempt).then(|| whole(path, "file-size", message))
}

fn too_long(source: &Source) -> Option<Defect> {
    over(source, MAX_LINES)
}

fn over(source: &Source, limit: usize) -> Option<Defect> {
    let lines = source.text.lines().count();
    let message = format!("{lines} lines, over {limit}: split it");
    (source.is_rust() && lines > limit).then(|| Defect { line: lines, ..whole(&source.path, "file-length", message) })
}

fn undocumented_root(source: &Source) -> Option<Defect> {
    let documented = source.text.lines().any(|line| line.starts_with("//!"));
    let message = "a crate begins by saying what it owns and what it does not know (`//!`)".into();
    (is_crate_root(source) && !documented).then(|| whole(&source.path, "crate-docs", message))
}

fn is_crate_root(source: &Source) -> bool {
    let name = source.path.file_name().unwrap_or_default();
    let in_src = source.path.parent().is_some_and(|parent| parent.ends_with("src"));
    let is_binary = source.is_rust() && source.path.parent().is_some_and(|parent| parent.ends_with("src/bin"));
    is_binary || (in_src && (name == "lib.rs" || name == "main.rs"))
}

/// The lints are written once, at the root; a crate that does not ask for them has none.
fn without_lints(source: &Source) -> Option<Defect> {
    let is_manifest = source.path.file_name().is_some_and(|name| name == "Cargo.toml");
    let is_package = is_manifest && source.text.lines().any(|line| line.trim() == "[package]");
    let has_lints = source.text.lines().any(|line| line.starts_with("[lints"));
    let message = "add `[lints]` with `workspace = true`".into();
    (is_package && !has_lints && !is_under(&source.path, "fuzz")).then(|| whole(&source.path, "lints", message))
}

fn whole(path: &Path, rule: &'static str, message: String) -> Defect {
    Defect { path: PathBuf::from(path), line: 0, rule, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let sizes = files.iter().map(|(path, text)| (PathBuf::from(path), text.len() as u64)).collect();
        let sources = files.iter().map(|(path, text)| Source::new(path.into(), text.to_string())).collect();
        Tree { sizes, sources }
    }

    fn rules(path: &str, text: &str) -> Vec<&'static str> {
        check(&tree(&[(path, text)])).iter().map(|defect| defect.rule).collect()
    }

    #[test]
    fn each_planted_file_is_caught() {
        assert_eq!(rules("data/model.txt", &"x".repeat((1 << 20) + 1)), ["file-size"]);
        assert_eq!(rules("src/a.rs", &"fn a() {}\n".repeat(601)), ["file-length"]);
        assert_eq!(rules("src/lib.rs", "pub mod a;\n"), ["crate-docs"]);
        assert_eq!(rules("a/src/bin/tool.rs", "fn main() {}\n"), ["crate-docs"]);
        assert_eq!(rules("a/Cargo.toml", "[package]\nname = \"a\"\n"), ["lints"]);
    }

    #[test]
    fn what_is_within_the_rules_passes() {
        assert!(rules("data/model.txt", &"x".repeat(1 << 20)).is_empty());
        assert!(rules("src/a.rs", &"fn a() {}\n".repeat(600)).is_empty());
        assert!(rules("src/lib.rs", "#![no_std]\n//! Owns A.\n").is_empty());
        assert!(rules("a/Cargo.toml", "[package]\n[lints]\nworkspace = true\n").is_empty());
        assert!(rules("Cargo.toml", "[workspace]\n").is_empty());
        assert!(rules("Cargo.lock", &"x".repeat(2 << 20)).is_empty());
    }

    #[test]
    fn a_long_file_is_a_warning_before_it_is_a_defect() {
        let warned = |lines: usize| long_files(&tree(&[("src/a.rs", &"\n".repeat(lines))])).len();
        assert_eq!([400, 401, 600, 601].map(warned), [0, 1, 1, 0]);
    }
}
