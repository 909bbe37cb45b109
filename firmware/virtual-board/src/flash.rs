//! What the flash holds: kept here because QEMU forgets when it dies, and in a file across runs.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::memory_map::{FLASH_BYTES, SECTOR_BYTES};

/// The value of an erased byte.
const ERASED: u8 = 0xFF;

/// Where a chip's factory would have put its unique number, and how long it is: the flash's last bytes.
const CHIP_ID_BYTES: usize = 16;

/// An always current copy of the flash.
pub(crate) struct Flash {
    content: Vec<u8>,
    file: Option<(PathBuf, File)>,
}

impl Flash {
    /// Blank flash, or the content of `path` when that exists. The file is locked: a flash chip
    /// sits on one board.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path else {
            return Ok(Self { content: vec![ERASED; FLASH_BYTES as usize], file: None });
        };
        let failed = |source| Error::FlashFile { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        file.try_lock().map_err(|error| failed(error.into()))?;
        let content = load(&mut file).map_err(failed)?;
        Ok(Self { content, file: Some((path.to_owned(), file)) })
    }

    /// Gives the chip its own number, unless its flash holds one from an earlier run.
    pub(crate) fn number_chip(&mut self) -> Result<(), Error> {
        let at = FLASH_BYTES as usize - CHIP_ID_BYTES;
        if self.content[at..].iter().any(|byte| *byte != ERASED) {
            return Ok(());
        }
        let number: Vec<u8> = (0..2u8).flat_map(|half| RandomState::new().hash_one(half).to_le_bytes()).collect();
        self.store(at as u32, &number)
    }

    /// Takes over bytes that have changed, in memory and in the file.
    pub(crate) fn store(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        let start = offset as usize;
        self.content[start..start + bytes.len()].copy_from_slice(bytes);
        let Some((path, file)) = &self.file else { return Ok(()) };
        file.write_all_at(bytes, u64::from(offset)).map_err(|source| Error::FlashFile { path: path.clone(), source })
    }

    /// The byte at `offset`.
    pub(crate) fn byte(&self, offset: u32) -> Option<u8> {
        self.content.get(offset as usize).copied()
    }

    /// Offset and content of each sector that is not blank.
    pub(crate) fn written_sectors(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let sectors = self.content.chunks(SECTOR_BYTES as usize);
        (0..)
            .step_by(SECTOR_BYTES as usize)
            .zip(sectors)
            .filter(|(_, sector)| sector.iter().any(|byte| *byte != ERASED))
    }
}

/// The content of the file; a new, empty file is made a blank flash.
fn load(file: &mut File) -> io::Result<Vec<u8>> {
    let mut content = Vec::with_capacity(FLASH_BYTES as usize);
    file.read_to_end(&mut content)?;
    match content.len() {
        0 => {
            content.resize(FLASH_BYTES as usize, ERASED);
            file.write_all_at(&content, 0)?;
        }
        len if len == FLASH_BYTES as usize => {}
        len => {
            let text = format!("it has {len} bytes, a flash has {FLASH_BYTES}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_survives_in_the_file_and_only_one_board_may_hold_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("flash.bin");
        let mut flash = Flash::open(Some(&path)).expect("a new flash");
        assert_eq!(flash.written_sectors().count(), 0);
        flash.store(SECTOR_BYTES + 1, &[1, 2]).expect("stored");
        assert!(Flash::open(Some(&path)).is_err(), "the file is in use");
        drop(flash);
        let again = Flash::open(Some(&path)).expect("the same flash");
        let sectors: Vec<_> = again.written_sectors().collect();
        assert_eq!(sectors.len(), 1);
        assert_eq!((sectors[0].0, &sectors[0].1[..4]), (SECTOR_BYTES, &[0xFF, 1, 2, 0xFF][..]));
    }

    #[test]
    fn each_chip_has_its_own_number_and_keeps_it() {
        let number = |flash: &Flash| flash.content[FLASH_BYTES as usize - CHIP_ID_BYTES..].to_vec();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("flash.bin");
        let mut flash = Flash::open(Some(&path)).expect("a new flash");
        flash.number_chip().expect("stored");
        let first = number(&flash);
        drop(flash);
        let mut again = Flash::open(Some(&path)).expect("the same flash");
        again.number_chip().expect("stored");
        assert_eq!(number(&again), first);
        let mut other = Flash::open(None).expect("another flash");
        other.number_chip().expect("stored");
        assert_ne!(number(&other), first);
    }

    #[test]
    fn file_of_another_size_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "precious").expect("written");
        let error = Flash::open(Some(&path)).err().expect("refused").to_string();
        assert!(error.contains("8 bytes"), "{error}");
        assert_eq!(std::fs::read(&path).expect("still there"), b"precious");
    }
}
