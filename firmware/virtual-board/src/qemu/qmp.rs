//! QEMU's machine protocol: one JSON object per line, events in between.

use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use serde_json::Value;

use super::QemuLost;
use super::channel::{Channel, unexpected};

/// The QMP conversation.
pub(super) struct Qmp {
    channel: Channel,
    /// The guest reset itself and nobody has asked yet.
    guest_reset: bool,
}

impl Qmp {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { channel: Channel::new(stream), guest_reset: false }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.channel.fd()
    }

    /// Waits for QEMU's greeting and leaves the negotiation.
    pub(super) fn greet(&mut self) -> Result<(), QemuLost> {
        let greeting = self.channel.expect_line()?;
        if !greeting.starts_with("{\"QMP\"") {
            return Err(unexpected(&greeting));
        }
        self.execute("qmp_capabilities")
    }

    /// Resets the machine and waits until it has happened.
    pub(super) fn system_reset(&mut self) -> Result<(), QemuLost> {
        self.channel.send(b"{\"execute\":\"system_reset\"}\n")?;
        let (mut answered, mut happened) = (false, false);
        while !(answered && happened) {
            let message = self.message()?;
            answered |= message.get("return").is_some();
            happened |= is_reset(&message, false);
        }
        Ok(())
    }

    /// Whether the guest has reset itself since the last call.
    pub(super) fn take_guest_reset(&mut self) -> Result<bool, QemuLost> {
        while let Some(line) = self.channel.line(Instant::now())? {
            self.parse(&line)?;
        }
        Ok(std::mem::take(&mut self.guest_reset))
    }

    fn execute(&mut self, command: &str) -> Result<(), QemuLost> {
        self.channel.send(format!("{{\"execute\":\"{command}\"}}\n").as_bytes())?;
        while self.message()?.get("return").is_none() {}
        Ok(())
    }

    fn message(&mut self) -> Result<Value, QemuLost> {
        let line = self.channel.expect_line()?;
        self.parse(&line)
    }

    fn parse(&mut self, line: &str) -> Result<Value, QemuLost> {
        let message: Value = serde_json::from_str(line).map_err(|_| unexpected(line))?;
        if message.get("error").is_some() {
            return Err(unexpected(line));
        }
        self.guest_reset |= is_reset(&message, true);
        Ok(message)
    }
}

/// Whether a message tells of a reset asked for by the guest, or by us.
fn is_reset(message: &Value, by_guest: bool) -> bool {
    message["event"] == "RESET" && message["data"]["guest"] == by_guest
}
