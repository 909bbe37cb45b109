//! The QEMU process: it dies with us, whatever becomes of us.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::fd::{AsFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid, getppid};

/// A child that is killed when this is dropped or when the thread that spawned it ends, for
/// whatever reason, SIGKILL of this process included.
pub(super) struct Process {
    child: Child,
}

impl Process {
    /// Runs `program` with the descriptors in `inherited` kept open in it.
    pub(super) fn spawn<S: AsRef<OsStr>>(program: &Path, arguments: &[S], inherited: &[RawFd]) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let parent = getpid();
        let inherited = inherited.to_vec();
        // SAFETY: between fork and exec the closure only makes system calls (prctl, getppid,
        // fcntl) and allocates nothing unless it fails.
        unsafe { command.pre_exec(move || prepare(parent, &inherited)) };
        let child = command.spawn()?;
        set_nonblocking(&child)?;
        Ok(Self { child })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn kill(&mut self) {
        // It fails only for a child that has been waited for, which is what is wanted.
        let _ = self.child.kill();
    }

    /// Kills the child and gives what it has written to its standard error.
    pub(super) fn last_words(&mut self) -> String {
        self.kill();
        let _ = self.child.wait();
        let mut words = Vec::new();
        if let Some(stderr) = &mut self.child.stderr {
            // It ends at the pipe's end, or early if someone else still holds the pipe.
            let _ = stderr.read_to_end(&mut words);
        }
        String::from_utf8_lossy(&words).trim().to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let _ = self.child.wait();
    }
}

/// Runs in the child before QEMU does.
fn prepare(parent: Pid, inherited: &[RawFd]) -> io::Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    // The parent may have died before the signal was asked for.
    if getppid() != parent {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    for fd in inherited {
        // SAFETY: the caller keeps these descriptors open until `spawn` returns.
        let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(*fd) };
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    Ok(())
}

fn set_nonblocking(child: &Child) -> io::Result<()> {
    let Some(stderr) = &child.stderr else { return Ok(()) };
    fcntl(stderr.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(())
}
