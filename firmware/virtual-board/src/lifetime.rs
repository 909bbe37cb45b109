//! How long the program runs: until a signal, the end of standard input or of its parent.

use std::io::{self, Read};
use std::os::fd::AsFd;

use anyhow::bail;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getppid};

/// Sent by the kernel when the parent's *thread* that started us ends, which need not be the end
/// of the parent.
const PARENT_SIGNAL: Signal = Signal::SIGUSR1;

/// Watches for the end.
pub(crate) struct Lifetime {
    signals: SignalFd,
    parent: Pid,
    watches_stdin: bool,
}

impl Lifetime {
    /// Starts watching; from here on signals no longer end the process by themselves.
    pub(crate) fn begin(watches_stdin: bool) -> anyhow::Result<Self> {
        let parent = getppid();
        let mut mask = SigSet::empty();
        mask.extend([Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, PARENT_SIGNAL]);
        mask.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&mask, flags)?;
        set_pdeathsig(PARENT_SIGNAL)?;
        // The parent may have ended before the signal was asked for.
        if getppid() != parent {
            bail!("the parent process has ended");
        }
        Ok(Self { signals, parent, watches_stdin })
    }

    /// Blocks until the end.
    pub(crate) fn wait_for_end(mut self) -> anyhow::Result<()> {
        loop {
            let stdin = io::stdin();
            let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            if self.watches_stdin {
                fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
            }
            poll(&mut fds, PollTimeout::NONE)?;
            let stdin_is_ready = fds.get(1).and_then(PollFd::any).unwrap_or(false);
            if self.is_told_to_end()? || (stdin_is_ready && is_at_end(&stdin)) {
                return Ok(());
            }
        }
    }

    fn is_told_to_end(&mut self) -> anyhow::Result<bool> {
        while let Some(signal) = self.signals.read_signal()? {
            let is_parents = signal.ssi_signo == PARENT_SIGNAL as u32;
            if !is_parents || getppid() != self.parent {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Reads and discards what there is on standard input.
fn is_at_end(stdin: &io::Stdin) -> bool {
    let mut scratch = [0; 256];
    matches!(stdin.lock().read(&mut scratch), Ok(0) | Err(_))
}
