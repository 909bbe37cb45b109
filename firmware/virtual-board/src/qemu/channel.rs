//! A socket to QEMU with a deadline on every answer.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::QemuLost;

/// A QEMU that takes longer than this for an answer is replaced. It answers within a millisecond
/// when the host is idle.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A stream socket and the bytes received but not yet taken.
pub(super) struct Channel {
    stream: UnixStream,
    received: Vec<u8>,
    taken: usize,
}

impl Channel {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream, received: Vec::new(), taken: 0 }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), QemuLost> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Bytes received and not yet taken.
    pub(super) fn pending(&self) -> &[u8] {
        &self.received[self.taken..]
    }

    /// Takes the first `count` pending bytes.
    pub(super) fn take(&mut self, count: usize) -> Vec<u8> {
        let bytes = self.pending()[..count].to_vec();
        self.taken += count;
        if self.taken == self.received.len() {
            self.received.clear();
            self.taken = 0;
        }
        bytes
    }

    /// Waits until more bytes have come; false when none have by the deadline.
    pub(super) fn receive(&mut self, deadline: Instant) -> Result<bool, QemuLost> {
        let timeout = deadline.saturating_duration_since(Instant::now());
        if !wait_readable(self.stream.as_fd(), timeout)? {
            return Ok(false);
        }
        let mut chunk = [0; 16 << 10];
        let count = self.stream.read(&mut chunk)?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        self.received.extend_from_slice(&chunk[..count]);
        Ok(true)
    }

    /// Takes one line, without its end; `None` when none is complete by the deadline.
    pub(super) fn line(&mut self, deadline: Instant) -> Result<Option<String>, QemuLost> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.pending()[searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.take(searched + end + 1);
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            searched = self.pending().len();
            if !self.receive(deadline)? {
                return Ok(None);
            }
        }
    }

    /// Takes one line that has to come.
    pub(super) fn expect_line(&mut self) -> Result<String, QemuLost> {
        self.line(Instant::now() + ANSWER_TIMEOUT)?.ok_or_else(timed_out)
    }
}

/// The answer did not come in time.
pub(super) fn timed_out() -> QemuLost {
    io::Error::from(io::ErrorKind::TimedOut).into()
}

/// The answer is not what the question asks for.
pub(super) fn unexpected(answer: &str) -> QemuLost {
    io::Error::new(io::ErrorKind::InvalidData, format!("unexpected answer {answer:?}")).into()
}

fn wait_readable(fd: BorrowedFd<'_>, timeout: Duration) -> io::Result<bool> {
    // Rounded up, so that a wait of less than a millisecond is not a busy loop.
    let milliseconds = timeout.as_micros().div_ceil(1000);
    let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
    loop {
        match poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], timeout) {
            Err(nix::errno::Errno::EINTR) => {}
            ready => return Ok(ready? > 0),
        }
    }
}
