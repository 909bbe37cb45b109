//! QEMU's gdbstub: `$payload#checksum`, each packet acknowledged by `+`.
//!
//! Any byte sent while the core runs stops it, an acknowledgement too. So the acknowledgement of
//! a packet is sent with the next request, when there is one.

use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::channel::{ANSWER_TIMEOUT, Channel, timed_out, unexpected};
use super::{FloatRegister, QemuLost};

/// Registers in the order of the gdbstub's `g` packet: r0 to r12, SP, LR, PC, xPSR.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CoreRegisters(pub(crate) [u32; 17]);

impl CoreRegisters {
    /// Index of the stack pointer.
    pub(crate) const SP: usize = 13;
    /// Index of the link register.
    pub(crate) const LR: usize = 14;
    /// Index of the program counter.
    pub(crate) const PC: usize = 15;
    /// Index of the program status register.
    pub(crate) const XPSR: usize = 16;

    /// The program counter.
    pub(crate) fn pc(&self) -> u32 {
        self.0[Self::PC]
    }

    fn from_hex(digits: &str) -> Option<Self> {
        let mut registers = Self::default();
        for (index, value) in registers.0.iter_mut().enumerate() {
            let text = digits.get(index * 8..index * 8 + 8)?;
            *value = u32::from_str_radix(text, 16).ok()?.swap_bytes();
        }
        Some(registers)
    }

    fn to_hex(&self) -> String {
        self.0.iter().map(|value| format!("{:08x}", value.swap_bytes())).collect()
    }
}

/// The gdbstub conversation.
pub(super) struct Gdb {
    channel: Channel,
    /// A packet has come that is not acknowledged yet.
    owes_acknowledgement: bool,
}

impl Gdb {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { channel: Channel::new(stream), owes_acknowledgement: false }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.channel.fd()
    }

    /// Reads the target description, without which QEMU answers requests for single registers
    /// with nothing and orders `g` differently.
    pub(super) fn fetch_target_description(&mut self) -> Result<(), QemuLost> {
        self.ask("qXfer:features:read:target.xml:0,ffb").map(drop)
    }

    pub(super) fn resume(&mut self) -> Result<(), QemuLost> {
        self.send("c")
    }

    pub(super) fn step(&mut self, timeout: Duration) -> Result<bool, QemuLost> {
        self.send("s")?;
        self.wait_for_stop(timeout)
    }

    pub(super) fn wait_for_stop(&mut self, timeout: Duration) -> Result<bool, QemuLost> {
        match self.packet(Instant::now() + timeout)? {
            Some(stop) if stop.starts_with('T') || stop.starts_with('S') => Ok(true),
            Some(other) => Err(unexpected(&other)),
            None => Ok(false),
        }
    }

    pub(super) fn interrupt(&mut self) -> Result<(), QemuLost> {
        self.channel.send(&[3])?;
        if self.wait_for_stop(ANSWER_TIMEOUT)? { Ok(()) } else { Err(timed_out()) }
    }

    pub(super) fn registers(&mut self) -> Result<CoreRegisters, QemuLost> {
        let answer = self.ask("g")?;
        CoreRegisters::from_hex(&answer).ok_or_else(|| unexpected(&answer))
    }

    pub(super) fn set_registers(&mut self, registers: &CoreRegisters) -> Result<(), QemuLost> {
        self.command(&format!("G{}", registers.to_hex()))
    }

    pub(super) fn float_register(&mut self, register: FloatRegister) -> Result<u64, QemuLost> {
        let answer = self.ask(&format!("p{:x}", number(register)))?;
        let value = u64::from_str_radix(&answer, 16).map_err(|_| unexpected(&answer))?;
        Ok(match register {
            FloatRegister::Double(_) => value.swap_bytes(),
            FloatRegister::Status => u64::from((value as u32).swap_bytes()),
        })
    }

    pub(super) fn set_float_register(&mut self, register: FloatRegister, value: u64) -> Result<(), QemuLost> {
        let digits = match register {
            FloatRegister::Double(_) => format!("{:016x}", value.swap_bytes()),
            FloatRegister::Status => format!("{:08x}", (value as u32).swap_bytes()),
        };
        self.command(&format!("P{:x}={digits}", number(register)))
    }

    /// `kind` is Z to insert, z to remove.
    pub(super) fn breakpoint(&mut self, kind: char, address: u32) -> Result<(), QemuLost> {
        self.command(&format!("{kind}1,{address:x},2"))
    }

    fn command(&mut self, payload: &str) -> Result<(), QemuLost> {
        let answer = self.ask(payload)?;
        if answer == "OK" { Ok(()) } else { Err(unexpected(&answer)) }
    }

    fn ask(&mut self, payload: &str) -> Result<String, QemuLost> {
        self.send(payload)?;
        self.packet(Instant::now() + ANSWER_TIMEOUT)?.ok_or_else(timed_out)
    }

    fn send(&mut self, payload: &str) -> Result<(), QemuLost> {
        let checksum = payload.bytes().fold(0u8, u8::wrapping_add);
        let acknowledgement = if std::mem::take(&mut self.owes_acknowledgement) { "+" } else { "" };
        self.channel.send(format!("{acknowledgement}${payload}#{checksum:02x}").as_bytes())
    }

    /// Takes the payload of the next packet; `None` when none is complete by the deadline.
    fn packet(&mut self, deadline: Instant) -> Result<Option<String>, QemuLost> {
        loop {
            if let Some(end) = packet_end(self.channel.pending()) {
                let bytes = self.channel.take(end);
                self.owes_acknowledgement = true;
                return Ok(Some(payload(&bytes)));
            }
            if !self.channel.receive(deadline)? {
                return Ok(None);
            }
        }
    }
}

/// The gdbstub's number of a floating-point register: the target description puts them after the
/// core registers, with the status register last.
fn number(register: FloatRegister) -> u32 {
    match register {
        FloatRegister::Double(index) => 0x1A + u32::from(index),
        FloatRegister::Status => 0x2A,
    }
}

/// One past the last byte of the first complete packet.
fn packet_end(bytes: &[u8]) -> Option<usize> {
    let start = bytes.iter().position(|byte| *byte == b'$')?;
    let hash = start + bytes[start..].iter().position(|byte| *byte == b'#')?;
    (bytes.len() >= hash + 3).then_some(hash + 3)
}

/// What lies between `$` and `#`. The checksum is not looked at: a socket loses nothing.
fn payload(packet: &[u8]) -> String {
    let text = String::from_utf8_lossy(packet);
    let body = text.split_once('$').map_or("", |(_, body)| body);
    body.rsplit_once('#').map_or("", |(payload, _)| payload).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_found_between_acknowledgements() {
        let stream = b"++$T05thread:01;#07+$OK#9a";
        let end = packet_end(stream).expect("a complete packet");
        assert_eq!(payload(&stream[..end]), "T05thread:01;");
        assert_eq!(payload(&stream[end..]), "OK");
        assert_eq!(packet_end(b"+$OK#9"), None);
    }

    #[test]
    fn registers_are_little_endian_digits() {
        let mut registers = CoreRegisters::default();
        registers.0[CoreRegisters::PC] = 0x2000_0004;
        let digits = registers.to_hex();
        assert_eq!(&digits[120..128], "04000020");
        assert_eq!(CoreRegisters::from_hex(&digits), Some(registers));
        assert_eq!(CoreRegisters::from_hex("00"), None);
    }
}
