//! The files to check, and which of their lines are test code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::is_under;
use crate::shell;

/// Every file that git tracks or would add.
pub struct Tree {
    /// Path and size in bytes of every file, text or not.
    pub sizes: Vec<(PathBuf, u64)>,
    /// The text files.
    pub sources: Vec<Source>,
}

/// A text file.
pub struct Source {
    /// Relative to the root.
    pub path: PathBuf,
    pub text: String,
    /// Whether the file is test code as a whole.
    pub is_test: bool,
}

impl Tree {
    /// Asks git for the files below `root`, and reads them.
    ///
    /// # Errors
    /// When git fails or a file cannot be read.
    pub fn load(root: &Path) -> Result<Self> {
        let mut git = shell::command("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let names = shell::stdout(git.current_dir(root))?;
        let mut tree = Self { sizes: Vec::new(), sources: Vec::new() };
        // A file removed but not yet committed is still in git's list.
        for path in names.split_terminator('\0').map(PathBuf::from).filter(|path| root.join(path).is_file()) {
            tree.add(root, path)?;
        }
        tree.mark_test_modules();
        Ok(tree)
    }

    fn add(&mut self, root: &Path, path: PathBuf) -> Result<()> {
        let bytes = fs::read(root.join(&path)).with_context(|| format!("cannot read {}", path.display()))?;
        self.sizes.push((path.clone(), bytes.len() as u64));
        if let Ok(text) = String::from_utf8(bytes) {
            self.sources.push(Source::new(path, text));
        }
        Ok(())
    }

    /// A file whose parent declares it as `#[cfg(test)] mod name;` is test code too.
    fn mark_test_modules(&mut self) {
        let modules: BTreeSet<PathBuf> = self.sources.iter().flat_map(Source::test_modules).collect();
        for source in &mut self.sources {
            source.is_test |= modules.contains(&source.path);
        }
    }
}

impl Source {
    pub fn new(path: PathBuf, text: String) -> Self {
        let is_test = ["tests", "benches", "fuzz"].iter().any(|folder| is_under(&path, folder));
        Self { path, text, is_test }
    }

    pub fn is_rust(&self) -> bool {
        self.path.extension().is_some_and(|extension| extension == "rs")
    }

    /// For each line, whether it is test code. An item under `#[cfg(test)]` ends where rustfmt puts its last line:
    /// at the first `}` as deep as the attribute, or at a `;` on the line after it.
    pub fn test_lines(&self) -> Vec<bool> {
        if self.is_test {
            return vec![true; self.text.lines().count()];
        }
        let mut until: Option<String> = None;
        let mark = |line: &str| {
            if let Some(end) = &until {
                if line == end || (line.starts_with(end.trim_end_matches('}')) && is_whole_item(line, end)) {
                    until = None;
                }
                return true;
            }
            if line.trim() == "#[cfg(test)]" {
                until = Some(line.replace("#[cfg(test)]", "}"));
            }
            until.is_some()
        };
        self.text.lines().map(mark).collect()
    }

    fn test_modules(&self) -> Vec<PathBuf> {
        let lines: Vec<&str> = self.text.lines().map(str::trim).collect();
        let declared = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]").filter_map(|pair| module(pair[1]));
        declared.flat_map(|name| self.module_files(name)).collect()
    }

    /// Where the file of a module declared here can be.
    fn module_files(&self, name: &str) -> [PathBuf; 2] {
        let stem = self.path.file_stem().unwrap_or_default();
        let parent = self.path.parent().unwrap_or(Path::new(""));
        let is_root = ["lib", "main", "mod"].iter().any(|root| stem == *root);
        let dir = if is_root { parent.to_owned() } else { parent.join(stem) };
        [dir.join(format!("{name}.rs")), dir.join(name).join("mod.rs")]
    }
}

/// `use x;` or `mod x;` right under the attribute: an item of one line, as deep as the attribute.
fn is_whole_item(line: &str, end: &str) -> bool {
    let depth = end.len() - 1;
    line.len() - line.trim_start().len() == depth && line.ends_with(';')
}

/// `name` out of `mod name;`.
fn module(line: &str) -> Option<&str> {
    line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source::new(path.into(), text.into())
    }

    #[test]
    fn test_code_begins_and_ends_where_its_module_does() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\nfn c() {}\n";
        let marks = source("src/lib.rs", text).test_lines();
        assert_eq!(marks, [false, true, true, true, true, true, false]);
    }

    #[test]
    fn an_item_of_one_line_ends_on_it() {
        let marks = source("src/lib.rs", "#[cfg(test)]\nmod tests;\nfn a() {}\n").test_lines();
        assert_eq!(marks, [true, true, false]);
    }

    #[test]
    fn an_indented_item_ends_at_its_own_depth() {
        let text = "impl A {\n    #[cfg(test)]\n    fn b() {\n        if x {\n        }\n    }\n    fn c() {}\n}\n";
        let marks = source("src/lib.rs", text).test_lines();
        assert_eq!(marks, [false, true, true, true, true, true, false, false]);
    }

    #[test]
    fn a_module_file_under_a_test_attribute_is_test_code() {
        let mut tree = Tree {
            sizes: Vec::new(),
            sources: vec![
                source("src/lib.rs", "#[cfg(test)]\nmod oracle;\nmod real;\n"),
                source("src/oracle.rs", ""),
                source("src/real.rs", "#[cfg(test)]\nmod cases;\n"),
                source("src/real/cases.rs", ""),
            ],
        };
        tree.mark_test_modules();
        let marks: Vec<bool> = tree.sources.iter().map(|source| source.is_test).collect();
        assert_eq!(marks, [false, true, false, true]);
    }

    #[test]
    fn integration_tests_are_test_code() {
        assert!(source("tests/tests/campaign.rs", "").is_test);
        assert!(!source("src/tests_of_strength.rs", "").is_test);
    }
}
