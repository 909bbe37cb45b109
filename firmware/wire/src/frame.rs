//! Bytes on the line and back: COBS, checksum, version, direction, sequence number.

use cobs::CobsEncoder;
use serde::{Deserialize, Serialize};

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
pub trait Message: Serialize {
    /// The way this message goes.
    const DIRECTION: Direction;
}

impl Message for Request<'_> {
    const DIRECTION: Direction = Direction::ToBoard;
}

impl Message for Response<'_> {
    const DIRECTION: Direction = Direction::ToHost;
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

    fn message<M: Deserialize<'a>>(&self, way: Direction) -> Result<M, FrameError> {
        if self.direction != way {
            return Err(FrameError::WrongWay);
        }
        match postcard::take_from_bytes(self.body) {
            Ok((message, [])) => Ok(message),
            _ => Err(FrameError::UnknownMessage),
        }
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
    let mut raw = [0u8; MAX_RAW];
    let (head, rest) = raw.split_at_mut(HEAD_LEN);
    let body_room = rest.len() - CRC_LEN;
    let body_len = postcard::to_slice(message, &mut rest[..body_room]).map_err(|_| EncodeError::TooLarge)?.len();
    let [seq_lo, seq_hi] = seq.to_le_bytes();
    head.copy_from_slice(&[WIRE_VERSION, M::DIRECTION.code(), seq_lo, seq_hi]);
    let (checked, tail) = raw.split_at_mut(HEAD_LEN + body_len);
    tail[..CRC_LEN].copy_from_slice(&crc32(checked).to_le_bytes());
    stuff(&raw[..HEAD_LEN + body_len + CRC_LEN], buf)
}

/// COBS between two zeros.
fn stuff<'b>(raw: &[u8], buf: &'b mut [u8]) -> Result<&'b [u8], EncodeError> {
    let small = EncodeError::SmallBuffer;
    let (first, inside) = buf.split_first_mut().ok_or(small)?;
    *first = 0;
    let mut encoder = CobsEncoder::new(inside);
    encoder.push(raw).map_err(|_| small)?;
    let len = 1 + encoder.finalize();
    *buf.get_mut(len).ok_or(small)? = 0;
    buf.get(..=len).ok_or(small)
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
            _ => Some(unstuff(&mut self.buf[..len])),
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
    let len = cobs::decode_in_place(stuffed).map_err(|_| FrameError::Malformed)?;
    Frame::parse(stuffed.get(..len).ok_or(FrameError::Malformed)?)
}

/// CRC-32 (ISO-HDLC), bit by bit: a table would be a kilobyte of the board's flash, and a frame is short.
fn crc32(bytes: &[u8]) -> u32 {
    let shift = |crc: u32, _| crc >> 1 ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), shift))
}
