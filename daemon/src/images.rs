//! The image cache: files named after the SHA-256 of their content.

use std::io;
use std::path::{Path, PathBuf};

use crate::rack::sha256;

/// A folder of images.
#[derive(Debug, Clone)]
pub struct Images {
    folder: PathBuf,
}

impl Images {
    /// The images below `cache`.
    pub fn new(cache: &Path) -> Self {
        Self { folder: cache.join("images") }
    }

    /// Writes an image, durably: when this returns, a power cut does not take it away. Replaces a damaged one. Blocks.
    ///
    /// # Errors
    /// The file system's; a full disk leaves no half image behind.
    pub fn put(&self, sha256: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(sha256);
        match std::fs::read(&path) {
            Ok(there) if there == bytes => return Ok(()),
            Ok(_) => tracing::warn!(path = %path.display(), "the image in the cache was damaged: replaced"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        std::fs::create_dir_all(&self.folder)?;
        let part = self.folder.join(format!("{sha256}.part"));
        let write = || {
            let mut file = std::fs::File::create(&part)?;
            io::Write::write_all(&mut file, bytes)?;
            file.sync_all()?;
            std::fs::rename(&part, &path)
        };
        // A leftover half would only waste room: it is overwritten by the next try.
        write().inspect_err(|_| drop(std::fs::remove_file(&part)))
    }

    /// Reads an image. Blocks.
    ///
    /// # Errors
    /// The file system's, and `InvalidData` when the file is not what its name says.
    pub fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let path = self.path(name);
        let bytes = std::fs::read(&path)?;
        if sha256(&bytes) == name {
            return Ok(bytes);
        }
        let message = format!("{} is damaged: its content is not what its name says", path.display());
        Err(io::Error::new(io::ErrorKind::InvalidData, message))
    }

    fn path(&self, sha256: &str) -> PathBuf {
        self.folder.join(format!("{sha256}.img"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_not_handed_out_and_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let images = Images::new(folder.path());
        let name = sha256(b"image");
        images.put(&name, b"image").expect("written");
        assert_eq!(images.read(&name).expect("read"), b"image");
        std::fs::write(images.path(&name), b"imagE").expect("damaged");
        assert_eq!(images.read(&name).expect_err("damaged").kind(), io::ErrorKind::InvalidData);
        images.put(&name, b"image").expect("written again");
        assert_eq!(images.read(&name).expect("mended"), b"image");
    }
}
