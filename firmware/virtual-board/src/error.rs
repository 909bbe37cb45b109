//! Why a board could not be started or commanded.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What can go wrong on the host's side. Trouble inside the emulated board is not an error here:
/// the probe's client sees it, as it would with a real board.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// QEMU could not be run at all: not installed, or not executable.
    #[error("cannot run QEMU as {path}: {source} (Debian package: qemu-system-arm)")]
    QemuSpawn {
        /// The program tried.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// QEMU ran but did not answer as expected, or died.
    #[error("QEMU failed while {doing}: {detail}")]
    Qemu {
        /// The step that failed.
        doing: &'static str,
        /// The reason, with QEMU's own last words where there are any.
        detail: String,
    },
    /// The probe's TCP port cannot be listened on.
    #[error("cannot listen on {address} for probe clients: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The pseudo terminal could not be made.
    #[error("cannot make the serial port: {0}")]
    Serial(io::Error),
    /// The link to the serial port could not be made.
    #[error("cannot link {path} to the serial port: {source}")]
    SerialLink {
        /// The link asked for.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The flash file cannot be read, written or has the wrong size.
    #[error("cannot keep the flash in {path}: {source}")]
    FlashFile {
        /// The file asked for.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The control socket could not be made.
    #[error("cannot listen for commands on {path}: {source}")]
    Control {
        /// The socket asked for.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A command was refused: the text says what about it is wrong.
    #[error("{0}")]
    Refused(String),
    /// The board has stopped.
    #[error("the virtual board has stopped")]
    Stopped,
}
