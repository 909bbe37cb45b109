//! The serial protocol between a runner and its host, both ends.
//!
//! Owns frames (COBS between zero bytes, CRC-32, a version), the messages in them, and, with the `std` feature,
//! the host's [`client`]. Does not know serial ports, images, tensors or what a tick means for anybody.
//!
//! # A frame on the line
//!
//! ```text
//! 00  COBS( version u8 | direction u8 | seq u16 LE | body | crc32 LE )  00
//! ```
//!
//! The zero in front ends whatever garbage came before, so that a frame survives it; empty frames between two
//! zeros mean nothing. The CRC (ISO-HDLC) covers everything before it. The first two bytes and the CRC keep their
//! place in every future version, so that both ends can say which versions met.
//!
//! # The conversation
//!
//! The host asks, the board answers with the request's sequence number; only [`Request::Run`] is answered by several
//! frames ([`Response::Layer`] and [`Response::Repeat`] while it goes on, [`Response::Run`] at the end). The host
//! sends nothing while an answer is due: that is the flow control, and it is why the board may receive by polling.
//! A board that starts, or dies, says so without being asked, with [`UNSOLICITED`] as its sequence number.
#![cfg_attr(not(any(test, feature = "std")), no_std)]

#[cfg(feature = "std")]
pub mod client;
mod codec;
mod error;
mod frame;
mod message;
mod text;

pub use bitrack_reason::Reason;
pub use error::{BoardError, FaultKind, ImagePart};
pub use frame::{Decoder, Direction, EncodeError, Frame, FrameError, Message, Stuffer, encode};
pub use message::{
    HelloReply, ImageInfo, LayerReport, MAX_SLOTS, RepeatReport, Request, Response, RunReport, RunRequest, Slot,
    Source, TimerUnit, Verdict,
};
pub use text::Text;

/// The protocol version this code speaks.
pub const WIRE_VERSION: u8 = 2;
/// Bytes of data in one [`Request::SetInput`] or [`Response::Output`] at most.
pub const MAX_CHUNK: usize = 256;
/// Bytes of a message's body at most.
pub const MAX_BODY: usize = 320;
/// Bytes of a frame before COBS: version, direction, sequence number, body, CRC.
pub const MAX_RAW: usize = frame::HEAD_LEN + MAX_BODY + frame::CRC_LEN;
/// Bytes of a frame on the line: COBS adds one per 254 and one, and a zero stands at each end.
pub const MAX_FRAME: usize = MAX_RAW + MAX_RAW / 254 + 1 + 2;
/// The sequence number of what a board says without being asked. Requests count from 1.
pub const UNSOLICITED: u16 = 0;
