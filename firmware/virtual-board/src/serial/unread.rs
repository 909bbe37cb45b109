//! Getting QEMU to look at bytes that it has left unread.
//!
//! QEMU's CMSDK UART does not tell the main loop when the guest enables its receiver. Bytes that
//! came before then wait until something else wakes the main loop, which for a program that only
//! polls its UART is never. So as long as bytes are unread we ask for a wake-up, less and less
//! often: the guest may just be busy.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

const FIRST_DELAY: Duration = Duration::from_millis(1);
const LAST_DELAY: Duration = Duration::from_millis(64);

/// When to ask next.
pub(super) struct Reminder {
    next: Option<Instant>,
    delay: Duration,
}

impl Reminder {
    pub(super) fn new() -> Self {
        Self { next: None, delay: FIRST_DELAY }
    }

    /// Time until the next request; `None` when all has been read.
    pub(super) fn due_in(&self) -> Option<Duration> {
        self.next.map(|next| next.saturating_duration_since(Instant::now()))
    }

    /// Takes note of whether bytes are unread; true when it is time to ask.
    pub(super) fn note(&mut self, is_unread: bool) -> bool {
        let now = Instant::now();
        match self.next {
            _ if !is_unread => *self = Self::new(),
            None => self.next = Some(now + self.delay),
            Some(next) if next <= now => {
                self.delay = (self.delay * 2).min(LAST_DELAY);
                self.next = Some(now + self.delay);
                return true;
            }
            Some(_) => {}
        }
        false
    }
}

/// Whether the other end has not yet read all that was written to this one.
pub(super) fn has_unread(stream: &UnixStream) -> bool {
    let mut count: libc::c_int = 0;
    // SAFETY: the descriptor is open, and TIOCOUTQ (SIOCOUTQ for sockets) writes one int.
    let outcome = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
    outcome == 0 && count > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn unread_bytes_are_seen_until_they_are_read() {
        let (mut near, mut far) = UnixStream::pair().expect("sockets");
        assert!(!has_unread(&near));
        near.write_all(b"x").expect("written");
        assert!(has_unread(&near));
        far.read_exact(&mut [0]).expect("read");
        assert!(!has_unread(&near));
    }

    #[test]
    fn reminder_starts_afresh_when_all_is_read() {
        let mut reminder = Reminder::new();
        assert!(!reminder.note(true));
        assert!(reminder.due_in().is_some());
        while !reminder.note(true) {}
        assert!(reminder.delay > FIRST_DELAY);
        assert!(!reminder.note(false));
        assert_eq!(reminder.due_in(), None);
    }
}
