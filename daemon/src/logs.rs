//! Log files that do not grow without end.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Bytes after which a log makes room for the next one.
pub const LIMIT: u64 = 10 << 20;
/// Older ones that are kept: `hil.log.1` is the latest of them.
const KEPT: u32 = 4;

/// A log that is moved aside when it is full.
#[derive(Debug)]
pub struct Rotating {
    path: PathBuf,
    file: File,
    bytes: u64,
    limit: u64,
}

impl Rotating {
    /// Opens `path` to write at its end; its folder is made if need be. `limit` is in bytes.
    ///
    /// # Errors
    /// The file system's, with the path.
    pub fn open(path: &Path, limit: u64) -> io::Result<Self> {
        let file = open(path, limit)?;
        Ok(Self { bytes: file.metadata()?.len(), path: path.to_owned(), file, limit })
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file = open(&self.path, self.limit)?;
        self.bytes = self.file.metadata()?.len();
        Ok(())
    }
}

impl Write for Rotating {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A log that cannot be moved aside grows on: better too long than silent.
        if self.bytes >= self.limit && self.rotate().is_err() {
            self.bytes = 0;
        }
        let written = self.file.write(line)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Opens a log to write at its end, after moving aside one of `limit` bytes or more.
///
/// # Errors
/// The file system's, with the path.
pub fn open(path: &Path, limit: u64) -> io::Result<File> {
    let named = |e: io::Error| io::Error::new(e.kind(), format!("the log {}: {e}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(named)?;
    }
    if std::fs::metadata(path).is_ok_and(|log| log.len() >= limit) {
        move_aside(path).map_err(named)?;
    }
    File::options().create(true).append(true).open(path).map_err(named)
}

/// `log` becomes `log.1`, `log.1` becomes `log.2`, and the oldest goes.
fn move_aside(path: &Path) -> io::Result<()> {
    let older = |n: u32| PathBuf::from(format!("{}.{n}", path.display()));
    for n in (1..KEPT).rev().filter(|&n| older(n).exists()) {
        std::fs::rename(older(n), older(n + 1))?;
    }
    std::fs::rename(path, older(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logs(folder: &Path) -> Vec<(String, u64)> {
        let entries = std::fs::read_dir(folder).expect("a folder").flatten();
        let entry =
            |e: std::fs::DirEntry| (e.file_name().to_string_lossy().into_owned(), e.metadata().expect("there").len());
        let mut logs: Vec<_> = entries.map(entry).collect();
        logs.sort();
        logs
    }

    #[test]
    fn a_log_keeps_its_latest_lines_within_a_bound() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/hil.log");
        let mut log = Rotating::open(&path, 100).expect("opened");
        for n in 0..200 {
            writeln!(log, "line {n:04}").expect("written");
        }
        let found = logs(&folder.path().join("deep"));
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["hil.log", "hil.log.1", "hil.log.2", "hil.log.3", "hil.log.4"]);
        assert!(found.iter().all(|(_, bytes)| *bytes <= 110), "{found:?}");
        let read = |name: &str| std::fs::read_to_string(folder.path().join("deep").join(name)).expect("text");
        assert!(read("hil.log").ends_with("line 0199\n"));
        let whole = read("hil.log.1") + &read("hil.log");
        let lines: Vec<_> = whole.lines().collect();
        assert!(lines.windows(2).all(|w| w[0] < w[1]) && lines.len() >= 10, "nothing is lost in between: {whole}");
    }

    #[test]
    fn a_log_goes_on_after_a_restart_and_when_it_cannot_be_moved() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("hil.log");
        writeln!(Rotating::open(&path, 100).expect("opened"), "before").expect("written");
        let mut log = Rotating::open(&path, 10).expect("opened");
        std::fs::write(folder.path().join("hil.log.3"), "older").expect("written");
        std::fs::create_dir(folder.path().join("hil.log.4")).expect("in the way");
        writeln!(log, "after").expect("written");
        writeln!(log, "and on").expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("text"), "before\nafter\nand on\n");
    }
}
