//! QEMU's qtest protocol: memory accesses as lines of text, coherent with the running core.

use std::os::unix::net::UnixStream;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::QemuLost;
use super::channel::{Channel, unexpected};

/// Above this many bytes base64 is used, which QEMU decodes faster than digits.
const HEX_LIMIT_BYTES: usize = 16;

/// The qtest conversation.
pub(super) struct Qtest {
    channel: Channel,
}

impl Qtest {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { channel: Channel::new(stream) }
    }

    pub(super) fn read(&mut self, address: u32, len: usize) -> Result<Vec<u8>, QemuLost> {
        if len == 0 {
            return Ok(Vec::new());
        }
        let answer = self.ask(&format!("b64read {address:#x} {len:#x}\n"))?;
        let bytes = BASE64.decode(&answer).ok().filter(|bytes| bytes.len() == len);
        bytes.ok_or_else(|| unexpected(&answer))
    }

    pub(super) fn write(&mut self, address: u32, data: &[u8]) -> Result<(), QemuLost> {
        if data.is_empty() {
            return Ok(());
        }
        let len = data.len();
        let request = if len > HEX_LIMIT_BYTES {
            format!("b64write {address:#x} {len:#x} {}\n", BASE64.encode(data))
        } else {
            let digits: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("write {address:#x} {len:#x} 0x{digits}\n")
        };
        self.ask(&request).map(drop)
    }

    pub(super) fn fill(&mut self, address: u32, len: u32, byte: u8) -> Result<(), QemuLost> {
        self.ask(&format!("memset {address:#x} {len:#x} {byte:#x}\n")).map(drop)
    }

    pub(super) fn read_device(&mut self, address: u32, width: usize) -> Result<u32, QemuLost> {
        let answer = self.ask(&format!("read{} {address:#x}\n", suffix(width)))?;
        let digits = answer.trim_start_matches("0x");
        u64::from_str_radix(digits, 16).map(|value| value as u32).map_err(|_| unexpected(&answer))
    }

    pub(super) fn write_device(&mut self, address: u32, width: usize, value: u32) -> Result<(), QemuLost> {
        self.ask(&format!("write{} {address:#x} {value:#x}\n", suffix(width))).map(drop)
    }

    /// Sends a request and gives what follows `OK` in the answer.
    fn ask(&mut self, request: &str) -> Result<String, QemuLost> {
        self.channel.send(request.as_bytes())?;
        let answer = self.channel.expect_line()?;
        match answer.strip_prefix("OK") {
            Some(rest) => Ok(rest.trim_start().to_owned()),
            None => Err(unexpected(&answer)),
        }
    }
}

/// The letter of a device access's width in bytes.
fn suffix(width: usize) -> char {
    match width {
        1 => 'b',
        2 => 'w',
        _ => 'l',
    }
}
