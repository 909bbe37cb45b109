//! What is wrong with a configuration, where, and why.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}", render(path, problems))]
    Invalid { path: PathBuf, problems: Vec<Problem> },
}

/// One thing wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line of the offending value, from 1.
    pub line: usize,
    pub reason: String,
}

impl ConfigError {
    /// A file that is not TOML, or says something that no key of ours means.
    pub(super) fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let line = error.span().map_or(1, |span| line_of(text, span));
        let problem = Problem { line, reason: error.message().trim_end().to_owned() };
        Self::Invalid { path: path.to_owned(), problems: vec![problem] }
    }
}

/// The line a span begins on, from 1.
pub(super) fn line_of(text: &str, span: Range<usize>) -> usize {
    let start = span.start.min(text.len());
    text.as_bytes()[..start].iter().filter(|&&b| b == b'\n').count() + 1
}

fn render(path: &Path, problems: &[Problem]) -> String {
    let line = |p: &Problem| format!("{}:{}: {}", path.display(), p.line, p.reason);
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}
