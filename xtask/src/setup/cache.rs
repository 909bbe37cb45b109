//! The cache shared by clones: one builder at a time, and links from a clone into it.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::repo;

/// Keeps other builders of the same thing out until dropped; the kernel drops it when we die.
///
/// # Errors
/// When the cache cannot be written.
pub fn lock(name: &str) -> Result<File> {
    let cache = repo::cache()?;
    fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let path = cache.join(format!("{name}.lock"));
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

/// Whether `link` is a link to `target`.
pub fn is_linked(link: &Path, target: &Path) -> bool {
    fs::read_link(link).is_ok_and(|to| to == target)
}

/// Makes `link` a link to `target`, in place of an older link.
///
/// # Errors
/// When something else than a link is in the way: it may be somebody's work.
pub fn link(link: &Path, target: &Path) -> Result<()> {
    if is_linked(link, target) {
        return Ok(());
    }
    if let Some(parent) = link.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    }
    match fs::symlink_metadata(link) {
        Ok(meta) if meta.is_symlink() => fs::remove_file(link)?,
        Ok(_) => bail!("{} is in the way: move it away", link.display()),
        Err(_) => {}
    }
    symlink(target, link).with_context(|| format!("cannot link {} to {}", link.display(), target.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_made_replaced_and_recognised() {
        let dir = tempfile::tempdir().unwrap();
        let (at, old, new) = (dir.path().join("sub/link"), dir.path().join("old"), dir.path().join("new"));
        link(&at, &old).unwrap();
        assert!(is_linked(&at, &old) && !is_linked(&at, &new));
        link(&at, &new).unwrap();
        assert!(is_linked(&at, &new));
    }

    #[test]
    fn what_is_no_link_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("work");
        fs::write(&at, "precious").unwrap();
        assert!(link(&at, dir.path()).is_err());
        assert_eq!(fs::read_to_string(&at).unwrap(), "precious");
    }
}
