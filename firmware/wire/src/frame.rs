//! Bytes on the line and back: COBS, checksum, version, direction, sequence number.

use crate::codec::{Body, Value};
use crate::{MAX_FRAME, MAX_RAW, Request, Response, WIRE_VERSION};

/// Version, direction and sequence number.
pub(crate) const HEAD_LEN: usize = 4;
pub(crate) const CRC_LEN: usize = 4;

/// Who a frame is meant for. On the line, so that a port that echoes is not mistaken for a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    ToBoard,
    ToHost,
}

impl Direction {
    fn code(self) -> u8 {
        match self {
            Self::ToBoard => b'>',
            Self::ToHost => b'<',
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        [Self::ToBoard, Self::ToHost].into_iter().find(|d| d.code() == code)
    }
}

/// A message, and so a direction: [`Request`] goes to the board, [`Response`] to the host.
pub trait Message {
    /// The way this message goes.
    const DIRECTION: Direction;

    /// Appends the body.
    fn put(&self, to: &mut Stuffer<'_>);
}

impl Message for Request<'_> {
    const DIRECTION: Direction = Direction::ToBoard;

    fn put(&self, to: &mut Stuffer<'_>) {
        Value::put(self, to);
    }
}

impl Message for Response<'_> {
    const DIRECTION: Direction = Direction::ToHost;

    fn put(&self, to: &mut Stuffer<'_>) {
        Value::put(self, to);
    }
}

/// Why a message did not become a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The body is larger than [`MAX_BODY`](crate::MAX_BODY).
    #[error("message is too large for a frame")]
    TooLarge,
    /// The caller's buffer is smaller than the frame; [`MAX_FRAME`] always suffices.
    #[error("buffer is too small for the frame")]
    SmallBuffer,
}

/// Why bytes on the line are not a frame. The decoder has resynchronised: the next frame is not affected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// More bytes without a zero than any frame has.
    #[error("frame is too long")]
    TooLong,
    /// Not COBS, or shorter than a frame's head and checksum.
    #[error("frame is malformed")]
    Malformed,
    /// The checksum fails.
    #[error("frame checksum fails")]
    BadCrc,
    /// A whole frame of another protocol version.
    #[error("frame has wire version {found}, this side speaks {WIRE_VERSION}")]
    Version { found: u8 },
    /// The direction byte is neither.
    #[error("frame has no known direction")]
    BadDirection,
    /// The frame goes the other way: the line echoes.
    #[error("frame goes the other way: does the line echo?")]
    WrongWay,
    /// A whole frame of this version whose body is not a message this side knows.
    #[error("frame holds no known message")]
    UnknownMessage,
}

/// A whole, checked frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    pub direction: Direction,
    /// The request's number, which its answers repeat.
    pub seq: u16,
    body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The request in it: the board's side.
    ///
    /// # Errors
    /// [`FrameError::WrongWay`] and [`FrameError::UnknownMessage`].
    #[inline(never)]
    pub fn request(&self) -> Result<Request<'a>, FrameError> {
        self.message(Direction::ToBoard)
    }

    /// The response in it: the host's side.
    ///
    /// # Errors
    /// [`FrameError::WrongWay`] and [`FrameError::UnknownMessage`].
    pub fn response(&self) -> Result<Response<'a>, FrameError> {
        self.message(Direction::ToHost)
    }

    fn message<M: Value<'a>>(&self, way: Direction) -> Result<M, FrameError> {
        if self.direction != way {
            return Err(FrameError::WrongWay);
        }
        let mut body = Body(self.body);
        M::take(&mut body).filter(|_| body.0.is_empty()).ok_or(FrameError::UnknownMessage)
    }

    fn parse(raw: &'a [u8]) -> Result<Self, FrameError> {
        let (checked, crc) = raw.split_last_chunk::<CRC_LEN>().ok_or(FrameError::Malformed)?;
        let (head, body) = checked.split_first_chunk::<HEAD_LEN>().ok_or(FrameError::Malformed)?;
        if crc32(checked) != u32::from_le_bytes(*crc) {
            return Err(FrameError::BadCrc);
        }
        let [version, direction, seq_lo, seq_hi] = *head;
        if version != WIRE_VERSION {
            return Err(FrameError::Version { found: version });
        }
        let direction = Direction::from_code(direction).ok_or(FrameError::BadDirection)?;
        Ok(Self { direction, seq: u16::from_le_bytes([seq_lo, seq_hi]), body })
    }
}

/// Writes `message` as a frame into `buf` (at least [`MAX_FRAME`] bytes always suffice) and returns its bytes.
///
/// # Errors
/// The message is too large, or `buf` too small.
pub fn encode<'b, M: Message>(message: &M, seq: u16, buf: &'b mut [u8]) -> Result<&'b [u8], EncodeError> {
    let mut out = Stuffer::new(buf);
    let [seq_lo, seq_hi] = seq.to_le_bytes();
    [WIRE_VERSION, M::DIRECTION.code(), seq_lo, seq_hi].into_iter().for_each(|byte| out.byte(byte));
    message.put(&mut out);
    let checksum = !out.crc;
    checksum.to_le_bytes().into_iter().for_each(|byte| out.byte(byte));
    let Stuffer { buf, at, raw_len, .. } = out.end();
    match buf.get(..at) {
        _ if raw_len > MAX_RAW => Err(EncodeError::TooLarge),
        Some(frame) => Ok(frame),
        None => Err(EncodeError::SmallBuffer),
    }
}

/// Writes a frame as it goes on the line: COBS between two zeros. Goes on counting where the buffer ends.
pub struct Stuffer<'b> {
    buf: &'b mut [u8],
    /// Where the next byte goes.
    at: usize,
    /// Where the current block's code goes, which is the distance to the next zero.
    code_at: usize,
    /// Bytes so far, before stuffing.
    raw_len: usize,
    /// Over those bytes, before its last complement.
    crc: u32,
}

/// The code of a block that is full and not followed by a zero.
const FULL_BLOCK: usize = 0xFF;

impl<'b> Stuffer<'b> {
    fn new(buf: &'b mut [u8]) -> Self {
        let mut new = Self { buf, at: 0, code_at: 1, raw_len: 0, crc: !0 };
        new.place(0, 0);
        new.at = 2;
        new
    }

    /// Appends a byte.
    #[inline(never)]
    pub(crate) fn byte(&mut self, byte: u8) {
        self.raw_len += 1;
        self.crc = crc32_step(self.crc, byte);
        // Not when it filled up, lest a block be begun that nothing follows.
        if self.at - self.code_at == FULL_BLOCK {
            self.end_block();
        }
        if byte == 0 {
            self.end_block();
        } else {
            self.place(self.at, byte);
            self.at += 1;
        }
    }

    fn end(mut self) -> Self {
        self.end_block();
        self.place(self.code_at, 0);
        self
    }

    /// Writes the block's code and leaves room for the next one's.
    fn end_block(&mut self) {
        self.place(self.code_at, (self.at - self.code_at) as u8);
        self.code_at = self.at;
        self.at += 1;
    }

    fn place(&mut self, at: usize, byte: u8) {
        if let Some(place) = self.buf.get_mut(at) {
            *place = byte;
        }
    }
}

/// Finds frames in a stream of bytes that may hold anything else too.
pub struct Decoder {
    buf: [u8; MAX_FRAME],
    len: usize,
    /// Longer than any frame: skip to the next zero.
    overrun: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder between frames.
    pub const fn new() -> Self {
        Self { buf: [0; MAX_FRAME], len: 0, overrun: false }
    }

    /// Takes the next byte of the line. `Some` when it ended a frame, whole or damaged; after either the decoder
    /// stands at the start of the next frame.
    #[inline(never)]
    pub fn feed(&mut self, byte: u8) -> Option<Result<Frame<'_>, FrameError>> {
        if byte != 0 {
            self.keep(byte);
            return None;
        }
        let (len, overrun) = (self.len, self.overrun);
        self.reset();
        match (len, overrun) {
            (_, true) => Some(Err(FrameError::TooLong)),
            (0, false) => None,
            _ => self.buf.get_mut(..len).map(unstuff),
        }
    }

    /// Forgets a frame that has begun: after the line was closed and opened again.
    pub fn reset(&mut self) {
        self.len = 0;
        self.overrun = false;
    }

    fn keep(&mut self, byte: u8) {
        match self.buf.get_mut(self.len) {
            Some(place) => {
                *place = byte;
                self.len += 1;
            }
            None => self.overrun = true,
        }
    }
}

fn unstuff(stuffed: &mut [u8]) -> Result<Frame<'_>, FrameError> {
    let len = unstuff_in_place(stuffed).ok_or(FrameError::Malformed)?;
    Frame::parse(stuffed.get(..len).ok_or(FrameError::Malformed)?)
}

/// Takes COBS off bytes without zeros; returns how many are left, `None` if a block reaches beyond the end.
fn unstuff_in_place(bytes: &mut [u8]) -> Option<usize> {
    let (mut code, mut left, mut len) = (FULL_BLOCK, 0, 0);
    for at in 0..bytes.len() {
        let byte = *bytes.get(at)?;
        // Never ahead of what is read: a block's code takes a byte, and becomes one at most.
        let place = bytes.get_mut(len)?;
        if left > 0 {
            *place = byte;
            (len, left) = (len + 1, left - 1);
            continue;
        }
        // The zero of the block that has ended. The last block's is the frame's end.
        if code != FULL_BLOCK {
            *place = 0;
            len += 1;
        }
        code = byte.into();
        left = code - 1;
    }
    (left == 0).then_some(len)
}

/// CRC-32 (ISO-HDLC).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| crc32_step(crc, byte))
}

/// Bit by bit: a table would be a kilobyte of the board's flash, and a frame is short.
fn crc32_step(crc: u32, byte: u8) -> u32 {
    (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 })
}
