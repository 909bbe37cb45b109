//! A pseudo terminal in raw mode.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::stat::Mode;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};

/// Both ends. The slave is held open so that the terminal outlives the programs that use it and
/// bytes can wait for the next one.
pub(super) struct Pty {
    master: File,
    slave: OwnedFd,
    path: PathBuf,
}

impl Pty {
    pub(super) fn open() -> io::Result<Self> {
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let path = PathBuf::from(ptsname_r(&master)?);
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let slave = open(&path, flags, Mode::empty())?;
        let mut settings = tcgetattr(&slave)?;
        cfmakeraw(&mut settings);
        tcsetattr(&slave, SetArg::TCSANOW, &settings)?;
        fcntl(master.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { master: File::from(OwnedFd::from(master)), slave, path })
    }

    /// The non-blocking end that plays the board.
    pub(super) fn master(&self) -> &File {
        &self.master
    }

    /// The device that programs open.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Clears the exclusive mode that a program may have set and, if it was killed, left behind:
    /// as long as the slave is held open here, nobody else could open it again.
    pub(super) fn allow_others(&self) {
        // SAFETY: TIOCNXCL takes no argument, and the descriptor is open.
        unsafe { libc::ioctl(self.slave.as_raw_fd(), libc::TIOCNXCL) };
    }
}
