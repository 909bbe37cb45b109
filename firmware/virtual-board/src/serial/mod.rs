//! The board's serial port: a pseudo terminal on the host, fed from QEMU's UART.
//!
//! No byte is lost in either direction: all buffers are bounded and a full one stops the reader
//! before it, back to the guest's UART or to the host's `write`. It does not matter whether a
//! program has the port open: what the board says waits.

mod bridge;
mod pty;
mod unread;

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use crate::error::Error;
use crate::mailbox::{self, Sender};
use bridge::Bridge;
use pty::Pty;

/// What the bridge can be told.
enum Order {
    /// The UART of a new QEMU.
    Attach(UnixStream),
    /// Discard what the guest says, or stop doing so; answered when it is so.
    Mute(bool, mpsc::Sender<()>),
    /// Bytes to say that the guest has not said.
    Inject(Vec<u8>),
    Stop,
}

/// The serial port; closed when dropped.
pub(crate) struct Serial {
    path: PathBuf,
    link: Option<PathBuf>,
    handle: SerialHandle,
    thread: Option<JoinHandle<()>>,
}

impl Serial {
    /// Makes a pseudo terminal and, if asked to, a symbolic link to it. `nudge` is called when
    /// QEMU's main loop has to be woken up, see [`unread`].
    pub(crate) fn open(link: Option<&Path>, nudge: impl Fn() + Send + 'static) -> Result<Self, Error> {
        let pty = Pty::open().map_err(Error::Serial)?;
        let path = pty.path().to_owned();
        let (sender, orders) = mailbox::mailbox().map_err(Error::Serial)?;
        let bridge = Bridge::new(pty, orders, Box::new(nudge));
        let thread = thread::Builder::new().name("serial".into()).spawn(move || bridge.run()).map_err(Error::Serial)?;
        let mut serial = Self { path, link: None, handle: SerialHandle(sender), thread: Some(thread) };
        if let Some(link) = link {
            make_link(&serial.path, link)?;
            serial.link = Some(link.to_owned());
        }
        Ok(serial)
    }

    /// The device to open.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What others may tell the port.
    pub(crate) fn handle(&self) -> SerialHandle {
        self.handle.clone()
    }
}

impl Drop for Serial {
    fn drop(&mut self) {
        self.handle.0.send(Order::Stop);
        if let Some(thread) = self.thread.take() {
            // A bridge that panicked has said so on standard error.
            let _ = thread.join();
        }
        let is_ours = |link: &PathBuf| std::fs::read_link(link).is_ok_and(|to| to == self.path);
        if let Some(link) = self.link.take().filter(is_ours) {
            // Someone may have removed it meanwhile.
            let _ = std::fs::remove_file(link);
        }
    }
}

/// A handle to tell the port something.
#[derive(Clone)]
pub(crate) struct SerialHandle(Sender<Order>);

impl SerialHandle {
    /// Connects the UART of a new QEMU, in place of the last one's.
    pub(crate) fn attach(&self, uart: UnixStream) {
        self.0.send(Order::Attach(uart));
    }

    /// Discards what the guest says, or stops doing so. Returns when it is so: whatever the guest says from then on is
    /// discarded, or heard.
    pub(crate) fn mute(&self, muted: bool) {
        let (obeyed, answer) = mpsc::channel();
        self.0.send(Order::Mute(muted, obeyed));
        // An error means that the bridge is gone, and with it whoever could hear.
        let _ = answer.recv();
    }

    /// Says `bytes` in the guest's place.
    pub(crate) fn inject(&self, bytes: Vec<u8>) {
        self.0.send(Order::Inject(bytes));
    }
}

/// Links `link` to `path`, in place of a stale link but not of anything else.
fn make_link(path: &Path, link: &Path) -> Result<(), Error> {
    let failed = |source| Error::SerialLink { path: link.to_owned(), source };
    if link.is_symlink() {
        std::fs::remove_file(link).map_err(failed)?;
    }
    std::os::unix::fs::symlink(path, link).map_err(failed)
}
