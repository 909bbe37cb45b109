//! The thread between QEMU's UART socket and the pseudo terminal.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Order;
use super::pty::Pty;
use super::unread::{Reminder, has_unread};
use crate::mailbox::Receiver;

/// Room for bytes on their way to the host.
const TO_HOST_BYTES: usize = 64 << 10;
/// Room for bytes on their way to the guest.
const TO_GUEST_BYTES: usize = 4 << 10;
/// How often the terminal's exclusive mode is cleared.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// The bridge's state.
pub(super) struct Bridge {
    pty: Pty,
    /// `None` until QEMU has started and after it died.
    uart: Option<UnixStream>,
    orders: Receiver<Order>,
    to_host: VecDeque<u8>,
    to_guest: VecDeque<u8>,
    is_muted: bool,
    reminder: Reminder,
    nudge: Box<dyn Fn() + Send>,
}

/// What can be done without waiting.
struct Ready {
    pty: PollFlags,
    uart: PollFlags,
}

impl Bridge {
    pub(super) fn new(pty: Pty, orders: Receiver<Order>, nudge: Box<dyn Fn() + Send>) -> Self {
        Self {
            pty,
            uart: None,
            orders,
            to_host: VecDeque::new(),
            to_guest: VecDeque::new(),
            is_muted: false,
            reminder: Reminder::new(),
            nudge,
        }
    }

    /// Carries bytes until told to stop.
    pub(super) fn run(mut self) {
        loop {
            match self.wait() {
                Ok(ready) => self.carry(&ready),
                Err(nix::errno::Errno::EINTR) => {}
                Err(error) => {
                    tracing::error!("the serial port is given up: {error}");
                    return;
                }
            }
            if self.obey() {
                return;
            }
            self.remind();
            self.pty.allow_others();
        }
    }

    fn wait(&self) -> nix::Result<Ready> {
        let pty_interest = interest(self.to_guest.len() < TO_GUEST_BYTES, &self.to_host);
        let uart_interest = interest(self.to_host.len() < TO_HOST_BYTES, &self.to_guest);
        let mut fds = vec![
            PollFd::new(self.orders.fd(), PollFlags::POLLIN),
            PollFd::new(self.pty.master().as_fd(), pty_interest),
        ];
        // A socket that is only hung up would make poll return at once, for ever.
        let uart = self.uart.as_ref().filter(|_| !uart_interest.is_empty());
        fds.extend(uart.map(|uart| PollFd::new(uart.as_fd(), uart_interest)));
        poll(&mut fds, self.patience())?;
        let flags = |index: usize| fds.get(index).and_then(PollFd::revents).unwrap_or(PollFlags::empty());
        Ok(Ready { pty: flags(1), uart: flags(2) })
    }

    fn patience(&self) -> PollTimeout {
        let patience = self.reminder.due_in().unwrap_or(HOUSEKEEPING);
        // Rounded up, or the last fraction of a millisecond would be spent in a busy loop.
        PollTimeout::try_from(patience.as_millis() + 1).unwrap_or(PollTimeout::MAX)
    }

    fn remind(&mut self) {
        let is_unread = self.uart.as_ref().is_some_and(has_unread);
        if self.reminder.note(is_unread) {
            (self.nudge)();
        }
    }

    fn carry(&mut self, ready: &Ready) {
        if ready.uart.intersects(PollFlags::POLLIN | PollFlags::POLLHUP) {
            self.hear_guest();
        }
        if ready.pty.contains(PollFlags::POLLIN) {
            fill(&mut self.to_guest, TO_GUEST_BYTES, self.pty.master());
        }
        if ready.pty.contains(PollFlags::POLLOUT) {
            empty(&mut self.to_host, self.pty.master());
        }
        if let Some(uart) = self.uart.as_ref().filter(|_| ready.uart.contains(PollFlags::POLLOUT)) {
            empty(&mut self.to_guest, uart);
        }
    }

    fn hear_guest(&mut self) {
        let Some(uart) = &self.uart else { return };
        let before = self.to_host.len();
        let is_open = fill(&mut self.to_host, TO_HOST_BYTES, uart);
        if self.is_muted {
            self.to_host.truncate(before);
        }
        if !is_open {
            self.uart = None;
        }
    }

    /// Follows orders; true when told to stop.
    fn obey(&mut self) -> bool {
        let orders: Vec<Order> = self.orders.drain().collect();
        for order in orders {
            match order {
                Order::Attach(uart) => self.attach(uart),
                Order::Mute(muted, obeyed) => {
                    self.is_muted = muted;
                    // Whoever asked may be gone.
                    let _ = obeyed.send(());
                }
                Order::Inject(bytes) => self.to_host.extend(bytes),
                Order::Stop => return true,
            }
        }
        false
    }

    fn attach(&mut self, uart: UnixStream) {
        // What the last QEMU said before it died is still in its socket.
        if let Some(last) = self.uart.take() {
            while !self.is_muted && fill(&mut self.to_host, usize::MAX, &last) {}
        }
        // What the host said to it died with it.
        self.to_guest.clear();
        match uart.set_nonblocking(true) {
            Ok(()) => self.uart = Some(uart),
            Err(error) => tracing::error!("the UART stays silent: {error}"),
        }
    }
}

fn interest(has_room: bool, outgoing: &VecDeque<u8>) -> PollFlags {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::POLLIN, has_room);
    flags.set(PollFlags::POLLOUT, !outgoing.is_empty());
    flags
}

/// Reads once, as much as there is room for; false at the end of the stream.
fn fill(queue: &mut VecDeque<u8>, room: usize, mut source: impl Read) -> bool {
    let mut chunk = [0; 4096];
    let len = chunk.len().min(room.saturating_sub(queue.len()));
    match source.read(&mut chunk[..len]) {
        Ok(0) => len == 0,
        Ok(count) => {
            queue.extend(&chunk[..count]);
            true
        }
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

/// Writes once, as much as is taken. An error other than "not now" means that the other end is
/// gone, which reading tells as well.
fn empty(queue: &mut VecDeque<u8>, mut sink: impl Write) {
    if let Ok(count) = sink.write(queue.as_slices().0) {
        queue.drain(..count);
    }
}
