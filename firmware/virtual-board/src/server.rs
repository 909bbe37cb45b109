//! The board's one thread: probe clients, commands and QEMU's news, in one loop.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::command::Command;
use crate::error::Error;
use crate::flash::Flash;
use crate::mailbox::Receiver;
use crate::options::Options;
use crate::probe::{Framer, Probe};
use crate::serial::SerialHandle;
use crate::target::Target;

/// A client that does not take a reply for this long is cut off.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// What the thread can be told from outside, with where to answer.
pub(crate) enum Order {
    Obey(Command, mpsc::Sender<Result<(), Error>>),
    QemuPid(mpsc::Sender<Option<u32>>),
    /// Wake QEMU's main loop up.
    NudgeQemu,
    Stop,
}

/// A connected probe client and the probe's state for it.
struct Client {
    stream: TcpStream,
    framer: Framer,
    probe: Probe,
}

/// The thread's state.
pub(crate) struct Server {
    target: Target,
    serial: SerialHandle,
    listener: TcpListener,
    client: Option<Client>,
    inbox: Receiver<Order>,
}

/// Which descriptors have something to read.
struct Ready {
    order: bool,
    connection: bool,
    request: bool,
    target: bool,
}

impl Server {
    /// Powers the board up.
    pub(crate) fn start(
        options: Options,
        serial: SerialHandle,
        flash: Flash,
        listener: TcpListener,
        inbox: Receiver<Order>,
    ) -> Result<Self, Error> {
        let target = Target::power_up(options, serial.clone(), flash)?;
        Ok(Self { target, serial, listener, client: None, inbox })
    }

    /// Serves until told to stop.
    pub(crate) fn run(mut self) {
        loop {
            let ready = match self.wait() {
                Ok(ready) => ready,
                Err(nix::errno::Errno::EINTR) => continue,
                Err(error) => {
                    tracing::error!("the board stops: {error}");
                    return;
                }
            };
            if ready.target {
                self.target.service();
            }
            // Before new connections, so that a client that has just left makes room.
            if ready.request {
                self.serve();
            }
            if ready.connection {
                self.welcome();
            }
            if ready.order && self.obey() {
                return;
            }
        }
    }

    fn wait(&self) -> nix::Result<Ready> {
        let client = self.client.iter().map(|client| client.stream.as_fd());
        let fds: Vec<BorrowedFd<'_>> =
            [self.inbox.fd(), self.listener.as_fd()].into_iter().chain(client).chain(self.target.fds()).collect();
        let mut polled: Vec<PollFd<'_>> = fds.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        poll(&mut polled, PollTimeout::NONE)?;
        let is_ready = |fd: &PollFd<'_>| fd.any().unwrap_or(false);
        let (own, others) = polled.split_at(2 + usize::from(self.client.is_some()));
        Ok(Ready {
            order: is_ready(&own[0]),
            connection: is_ready(&own[1]),
            request: own.get(2).is_some_and(is_ready),
            target: others.iter().any(is_ready),
        })
    }

    /// Takes a connection. A probe has one user at a time: another one is turned away, which its
    /// program reports at once instead of waiting.
    fn welcome(&mut self) {
        let Ok((stream, _)) = self.listener.accept() else { return };
        if self.client.is_some() {
            tracing::warn!("a second probe client was turned away");
            return;
        }
        let prepared = stream.set_nodelay(true).and_then(|()| stream.set_write_timeout(Some(REPLY_TIMEOUT)));
        if prepared.is_ok() {
            self.client = Some(Client { stream, framer: Framer::default(), probe: Probe::default() });
        }
    }

    /// Answers what the client has sent. A client that is gone leaves the core as it is.
    fn serve(&mut self) {
        let Some(client) = &mut self.client else { return };
        match client.serve(&mut self.target) {
            Ok(true) => {}
            Ok(false) => self.client = None,
            Err(error) => {
                tracing::info!("the probe client is gone: {error}");
                self.client = None;
            }
        }
    }

    /// Follows orders; true when told to stop.
    fn obey(&mut self) -> bool {
        let orders: Vec<Order> = self.inbox.drain().collect();
        for order in orders {
            // Whoever asked may have given up waiting.
            let _ = match order {
                Order::Obey(command, reply) => reply.send(self.perform(command)).is_ok(),
                Order::QemuPid(reply) => reply.send(self.target.qemu_pid()).is_ok(),
                Order::NudgeQemu => {
                    self.target.nudge();
                    true
                }
                Order::Stop => return true,
            };
        }
        false
    }

    fn perform(&mut self, command: Command) -> Result<(), Error> {
        match command {
            Command::KillQemu => self.target.kill_qemu(),
            Command::DropProbe => self.client = None,
            Command::FlipFlash { offset, mask } => self.target.flip_flash(offset, mask)?,
            Command::MuteUart(muted) => self.serial.mute(muted),
            Command::Garbage(count) => self.serial.inject(garbage(count)),
            Command::HoldReset(held) => self.target.hold_in_reset(held),
            Command::Reset => self.target.reset(),
        }
        Ok(())
    }
}

impl Client {
    /// Answers what there is to read; false when the client has left.
    fn serve(&mut self, target: &mut Target) -> io::Result<bool> {
        let mut chunk = [0; 4096];
        let count = self.stream.read(&mut chunk)?;
        for byte in &chunk[..count] {
            if let Some(body) = self.framer.push(*byte) {
                let reply = self.probe.answer(&body, target);
                self.stream.write_all(reply.as_bytes())?;
            }
        }
        Ok(count > 0)
    }
}

/// Bytes that mean nothing: xorshift64, started from the clock.
fn garbage(count: usize) -> Vec<u8> {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut state = since_epoch.as_nanos() as u64 | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..count).map(|_| next()).collect()
}
