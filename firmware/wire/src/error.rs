//! What a board says when it cannot do what it was asked.

use crate::Reason;
use crate::codec::{Body, Value, alternatives};
use crate::frame::Stuffer;

/// Why a request failed on the board. Offsets and lengths are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BoardError {
    /// A frame arrived with another protocol version.
    #[error("the board speaks wire version {board}, the host {host}")]
    UnsupportedVersion { board: u8, host: u8 },
    /// A frame arrived damaged; which request it was is unknown. Ask again.
    #[error("the board received a damaged frame")]
    DamagedFrame,
    /// The frame was whole, but its body is no request this runner knows.
    #[error("the board does not know this request")]
    UnknownRequest,
    #[error("slot {slot} does not exist: the board has {slots}")]
    UnknownSlot { slot: u8, slots: u8 },
    #[error("{len} bytes at {offset} do not lie in a slot of {slot_len} bytes")]
    OutsideSlot { offset: u32, len: u32, slot_len: u32 },
    /// The first four bytes are not an image's.
    #[error("no image at this place: bad magic")]
    BadMagic,
    #[error("image format version {found} is not supported (the runner knows {known})")]
    UnsupportedImage { found: u16, known: u16 },
    #[error("image is truncated: {needed} bytes needed, {have} present")]
    Truncated { needed: u32, have: u32 },
    #[error("image checksum fails over the {part}: {stored:08x} stored, {computed:08x} computed")]
    BadCrc { part: ImagePart, stored: u32, computed: u32 },
    #[error("image header: {what}")]
    BadHeader { what: Reason },
    #[error("tensor {index}: {what}")]
    BadTensor { index: u16, what: Reason },
    #[error("op {index}: {what}")]
    BadOp { index: u16, what: Reason },
    #[error("tensors {first} and {second} are alive together and share arena bytes")]
    Overlap { first: u16, second: u16 },
    #[error("the image needs an arena of {needed} bytes, the board has {have}")]
    ArenaTooSmall { needed: u32, have: u32 },
    #[error("no image is loaded")]
    NoImage,
    #[error("test vector {index} does not exist: the image has {count}")]
    UnknownVector { index: u16, count: u16 },
    #[error("a run needs at least one repeat")]
    NoRepeats,
    /// An uploaded input is kept beside the image's arena, and there is no room for both.
    #[error("arena and uploaded input need {needed} bytes, the board has {have}")]
    NoRoomForInput { needed: u32, have: u32 },
    #[error("{len} input bytes at {offset}: the input has {needed} and is complete up to {received}")]
    InputOutOfOrder { offset: u32, len: u32, received: u32, needed: u32 },
    #[error("the input is incomplete: {received} of {needed} bytes")]
    InputIncomplete { received: u32, needed: u32 },
    #[error("no run has left an output")]
    NoOutput,
    #[error("output byte {offset} does not exist: the output has {total}")]
    OutsideOutput { offset: u32, total: u32 },
    /// The firmware died and restarts. `pc` is where; `op` is the op that was running.
    #[error("the firmware died of a {kind} at {pc:#010x}{}", op_suffix(*op))]
    Fault { kind: FaultKind, pc: u32, op: Option<u16> },
    /// The image's weights are packed for kernels of another revision than the runner's.
    #[error(
        "the image is packed for kernels of layout {found}, the runner has {known}: build host and runner from one revision"
    )]
    ForeignLayout { found: u16, known: u16 },
    /// The runner is built for certain images alone, and this is none of them.
    #[error(
        "the runner was built for another image ({known:08x}, this one is {found:08x}): build it for this one with \
         `cargo xtask firmware --for IMAGE`, or flash the runner for all"
    )]
    UnknownImage { found: u32, known: u32 },
}

/// What a checksum of an image is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImagePart {
    #[error("header")]
    Header,
    /// All that is behind the header.
    #[error("body")]
    Body,
}

/// How firmware dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    #[error("hard fault")]
    HardFault,
    #[error("panic")]
    Panic,
    #[error("stack overflow")]
    StackOverflow,
    #[error("unexpected exception")]
    Exception,
}

/// `" in op 3"`, or nothing.
fn op_suffix(op: Option<u16>) -> impl core::fmt::Display {
    struct Suffix(Option<u16>);
    impl core::fmt::Display for Suffix {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            self.0.map_or(Ok(()), |op| write!(f, " in op {op}"))
        }
    }
    Suffix(op)
}

// The format, see `message.rs`.

alternatives! { BoardError, 'a:
    0 UnsupportedVersion { board, host },
    1 DamagedFrame,
    2 UnknownRequest,
    3 UnknownSlot { slot, slots },
    4 OutsideSlot { offset, len, slot_len },
    5 BadMagic,
    6 UnsupportedImage { found, known },
    7 Truncated { needed, have },
    8 BadCrc { part, stored, computed },
    9 BadHeader { what },
    10 BadTensor { index, what },
    11 BadOp { index, what },
    12 Overlap { first, second },
    13 ArenaTooSmall { needed, have },
    14 NoImage,
    15 UnknownVector { index, count },
    16 NoRepeats,
    17 NoRoomForInput { needed, have },
    18 InputOutOfOrder { offset, len, received, needed },
    19 InputIncomplete { received, needed },
    20 NoOutput,
    21 OutsideOutput { offset, total },
    22 Fault { kind, pc, op },
    23 ForeignLayout { found, known },
    24 UnknownImage { found, known },
}

alternatives! { ImagePart, 'a:
    0 Header,
    1 Body,
}

alternatives! { FaultKind, 'a:
    0 HardFault,
    1 Panic,
    2 StackOverflow,
    3 Exception,
}
