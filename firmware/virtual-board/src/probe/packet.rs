//! Requests and replies of the Black Magic remote protocol, version 4, as probe-rs uses it.
//!
//! A request is `!`, two letters, fields in hexadecimal of fixed width, `#`. A reply is `&`, a
//! letter for the outcome, the payload, `#`. Plain numbers are big-endian text; register and
//! memory contents are the bytes in memory order.

use std::fmt;

/// The longest request body accepted; probe-rs sends at most 1,022 bytes.
const MAX_BODY_BYTES: usize = 4096;
/// The longest memory read answered; probe-rs asks for at most 504 bytes.
const MAX_READ_BYTES: usize = 4096;

/// A request that the probe understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Hello,
    Voltage,
    ProtocolVersion,
    Accelerators,
    ClockKhz,
    /// Settings of real probes that mean nothing here: clock frequency and output, target power,
    /// switching the wire to SWD.
    Ignored,
    ResetPin {
        asserted: bool,
    },
    /// Clock `count` bits out, least significant first.
    SwdOut {
        count: u8,
        bits: u64,
    },
    /// Clock `count` bits in.
    SwdIn {
        count: u8,
    },
    DpRead {
        address: u8,
    },
    DpWrite {
        address: u8,
        value: u32,
    },
    ApRead {
        port: u8,
        address: u8,
    },
    ApWrite {
        port: u8,
        address: u8,
        value: u32,
    },
    MemoryRead {
        address: u64,
        len: usize,
    },
    MemoryWrite {
        address: u64,
        data: Vec<u8>,
    },
}

/// A reply; `Display` gives the bytes to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// A number.
    Value(u64),
    /// A register's content.
    Word(u32),
    /// Memory content.
    Bytes(Vec<u8>),
    /// Words for a person.
    Text(&'static str),
    /// The bus did not answer: the protocol's error 3 with fault code 1 above it.
    Fault,
    /// The fields do not fit the request.
    Malformed,
    /// No such request here: JTAG, ADIv6, older versions.
    Unsupported,
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "&K{value:x}#"),
            Self::Word(value) => write!(f, "&K{:08x}#", value.swap_bytes()),
            Self::Bytes(bytes) => {
                f.write_str("&K")?;
                f.write_str(&to_hex(bytes))?;
                f.write_str("#")
            }
            Self::Text(text) => write!(f, "&K{text}#"),
            Self::Fault => f.write_str("&E103#"),
            Self::Malformed => f.write_str("&P0#"),
            Self::Unsupported => f.write_str("&N0#"),
        }
    }
}

/// Bytes as lower-case hexadecimal digits.
fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// Cuts a byte stream into request bodies. Bytes outside `!`..`#` are skipped, a second `!` starts
/// afresh, and a body that never ends is dropped, so that any garbage is got over.
#[derive(Default)]
pub(crate) struct Framer {
    body: Option<Vec<u8>>,
}

impl Framer {
    /// Takes one byte; gives the body that it completes.
    pub(crate) fn push(&mut self, byte: u8) -> Option<Vec<u8>> {
        match byte {
            b'!' => self.body = Some(Vec::with_capacity(64)),
            b'#' => return self.body.take(),
            _ => self.append(byte),
        }
        None
    }

    fn append(&mut self, byte: u8) {
        let Some(body) = &mut self.body else { return };
        body.push(byte);
        if body.len() > MAX_BODY_BYTES {
            self.body = None;
        }
    }
}

/// Parses a request body; the error is the reply that tells the client what is wrong.
pub(super) fn parse(body: &[u8]) -> Result<Request, Reply> {
    let mut fields = Fields(body);
    let name = fields.take(2).ok_or(Reply::Unsupported)?;
    match name {
        b"GA" => Ok(Request::Hello),
        b"GV" => Ok(Request::Voltage),
        b"HC" => Ok(Request::ProtocolVersion),
        b"HA" => Ok(Request::Accelerators),
        b"Gf" => Ok(Request::ClockKhz),
        b"GF" | b"GE" | b"GP" | b"SS" => Ok(Request::Ignored),
        // The index before an access port's number and the CSW before a memory access are
        // bookkeeping of the real probe's firmware.
        b"GZ" => fields.reset_pin(),
        b"So" => fields.swd_out(),
        b"Si" => fields.swd_in(),
        b"Ad" => fields.dp_read(),
        b"AR" => fields.raw_access(),
        b"Aa" => fields.ap_read(),
        b"AA" => fields.ap_write(),
        b"Am" => fields.memory_read(),
        b"AM" => fields.memory_write(),
        _ => Err(Reply::Unsupported),
    }
}

/// The fields still to be parsed. Each getter is `None` when the digits run out or are none.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    /// A number of exactly `digits` digits, at most 16.
    fn number(&mut self, digits: usize) -> Result<u64, Reply> {
        let text = self.take(digits).ok_or(Reply::Malformed)?;
        parse_hex(text)
    }

    fn byte(&mut self) -> Result<u8, Reply> {
        self.number(2).map(|value| value as u8)
    }

    /// A register address: four digits of which the low byte counts.
    fn register(&mut self) -> Result<u8, Reply> {
        self.number(4).map(|value| value as u8)
    }

    fn word(&mut self) -> Result<u32, Reply> {
        self.number(8).map(|value| value as u32)
    }

    fn finish(&self, request: Request) -> Result<Request, Reply> {
        if self.0.is_empty() { Ok(request) } else { Err(Reply::Malformed) }
    }

    fn reset_pin(&mut self) -> Result<Request, Reply> {
        let asserted = self.number(1)? != 0;
        self.finish(Request::ResetPin { asserted })
    }

    fn swd_out(&mut self) -> Result<Request, Reply> {
        let count = self.bit_count()?;
        let bits = parse_hex(self.0)?;
        Ok(Request::SwdOut { count, bits })
    }

    fn swd_in(&mut self) -> Result<Request, Reply> {
        let count = self.bit_count()?;
        self.finish(Request::SwdIn { count })
    }

    fn bit_count(&mut self) -> Result<u8, Reply> {
        let count = self.byte()?;
        if count <= 32 { Ok(count) } else { Err(Reply::Malformed) }
    }

    fn dp_read(&mut self) -> Result<Request, Reply> {
        self.take(4).ok_or(Reply::Malformed)?;
        let address = self.register()?;
        self.finish(Request::DpRead { address })
    }

    fn raw_access(&mut self) -> Result<Request, Reply> {
        self.take(2).ok_or(Reply::Malformed)?;
        let is_read = self.byte()? != 0;
        let (address, value) = (self.register()?, self.word()?);
        self.finish(if is_read { Request::DpRead { address } } else { Request::DpWrite { address, value } })
    }

    fn ap_read(&mut self) -> Result<Request, Reply> {
        self.take(2).ok_or(Reply::Malformed)?;
        let (port, address) = (self.byte()?, self.register()?);
        self.finish(Request::ApRead { port, address })
    }

    fn ap_write(&mut self) -> Result<Request, Reply> {
        self.take(2).ok_or(Reply::Malformed)?;
        let (port, address) = (self.byte()?, self.register()?);
        let value = self.word()?.swap_bytes();
        self.finish(Request::ApWrite { port, address, value })
    }

    fn memory_read(&mut self) -> Result<Request, Reply> {
        self.take(12).ok_or(Reply::Malformed)?;
        let (address, len) = (self.number(16)?, self.word()? as usize);
        if len > MAX_READ_BYTES {
            return Err(Reply::Malformed);
        }
        self.finish(Request::MemoryRead { address, len })
    }

    fn memory_write(&mut self) -> Result<Request, Reply> {
        self.take(14).ok_or(Reply::Malformed)?;
        let (address, len) = (self.number(16)?, self.word()? as usize);
        let data = from_hex(self.0).filter(|data| data.len() == len);
        let data = data.ok_or(Reply::Malformed)?;
        Ok(Request::MemoryWrite { address, data })
    }
}

/// One to sixteen digits as a number.
fn parse_hex(text: &[u8]) -> Result<u64, Reply> {
    if text.is_empty() || text.len() > 16 {
        return Err(Reply::Malformed);
    }
    text.iter().try_fold(0, |value, digit| Some(value << 4 | u64::from(nibble(*digit)?))).ok_or(Reply::Malformed)
}

/// Pairs of digits as bytes; `None` when one is missing or is not a digit.
fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let pairs = text.chunks(2);
    pairs.map(|pair| Some(nibble(pair[0])? << 4 | nibble(*pair.get(1)?)?)).collect()
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(stream: &[u8]) -> Vec<Vec<u8>> {
        let mut framer = Framer::default();
        stream.iter().filter_map(|byte| framer.push(*byte)).collect()
    }

    #[test]
    fn garbage_around_requests_is_skipped() {
        assert_eq!(frames(b"+#!GA# !GV#xx!A!HC#"), [&b"GA"[..], b"GV", b"HC"]);
    }

    #[test]
    fn endless_body_is_dropped_and_the_next_one_is_read() {
        let stream = [&b"!"[..], &[b'0'; 2 * MAX_BODY_BYTES], b"#!HA#"].concat();
        assert_eq!(frames(&stream), [b"HA"]);
    }

    #[test]
    fn wrong_fields_are_malformed_and_strangers_unsupported() {
        for body in ["So", "So08", "So21ff", "Si2", "Am00", "AR0000", "GZ", "GZ01", "AMzz"] {
            assert_eq!(parse(body.as_bytes()), Err(Reply::Malformed), "{body}");
        }
        for body in ["", "G", "JS", "A6a", "zz"] {
            assert_eq!(parse(body.as_bytes()), Err(Reply::Unsupported), "{body}");
        }
    }

    proptest! {
        #[test]
        fn memory_writes_round_trip(address: u64, data in prop::collection::vec(any::<u8>(), 0..468)) {
            let body = format!("AM0000e3000040{:02x}{address:016x}{:08x}{}", 2, data.len(), to_hex(&data));
            prop_assert_eq!(parse(body.as_bytes()), Ok(Request::MemoryWrite { address, data }));
        }

        #[test]
        fn any_stream_is_framed_and_parsed(stream in prop::collection::vec(any::<u8>(), 0..512)) {
            for body in frames(&stream) {
                let _ = parse(&body);
                prop_assert!(!body.contains(&b'!') && !body.contains(&b'#'));
            }
        }
    }
}
