//! Where the shared test data is.

use std::path::PathBuf;

/// A file of the shared test data, or `None` after saying so where a person sees it.
pub fn data(path: &str) -> Option<PathBuf> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(path);
    if file.exists() {
        return Some(file);
    }
    eprintln!("SKIPPED: {} is absent: put the test data next to the repository", file.display());
    None
}
