//! Golden results: files of published or recomputed cases that the solvers must reproduce exactly.

mod ilp;
mod reinforce;
mod rule_based;

pub use ilp::check_ilp;
pub use reinforce::check_reinforce;
pub use rule_based::check_rule_based;

use std::path::{Path, PathBuf};

/// The file of cases cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not of the expected form.
    #[error("{path} is not of the form that this check reads")]
    Form {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// It says what makes no sense.
    #[error("{path}: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What.
        reason: String,
    },
    /// A case refers to something the file does not define.
    #[error("{path}: case {case}: {reason}")]
    Case {
        /// The file.
        path: PathBuf,
        /// Index of the case.
        case: usize,
        /// What is missing.
        reason: String,
    },
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Cases that agree.
    pub passed: usize,
    /// One line per disagreement, each beginning with its case.
    pub mismatches: Vec<String>,
    /// Cases with at least one disagreement.
    pub failed: usize,
}

impl Tally {
    /// Counts one case and keeps what is wrong with it.
    fn add(&mut self, case: &str, wrong: Vec<String>) {
        match wrong.is_empty() {
            true => self.passed += 1,
            false => self.failed += 1,
        }
        self.mismatches.extend(wrong.into_iter().map(|line| format!("{case}: {line}")));
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, CheckError> {
    let bytes = std::fs::read(path).map_err(|source| CheckError::Read { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes).map_err(|source| CheckError::Form { path: path.to_owned(), source })
}

/// A line when `found` is not `expected`.
fn differs<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, found: &T) -> Option<String> {
    (expected != found).then(|| format!("{what} is {found:?}, expected {expected:?}"))
}
