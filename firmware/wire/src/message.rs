//! What the two ends say to each other. The numbers of alternatives and the order of fields, at the end of this file,
//! are the format: append, and raise [`WIRE_VERSION`](crate::WIRE_VERSION) for anything else. `tests/golden.rs` holds the bytes.

use crate::codec::{Body, Value, alternatives, structure};
use crate::frame::Stuffer;
use crate::{BoardError, Text};

/// Model slots a board may offer.
pub const MAX_SLOTS: usize = 4;

/// What the host asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// Who are you? Answered by [`Response::Hello`].
    Hello,
    /// Are you there? Answered by [`Response::Pong`].
    Ping,
    /// Validate the image at `offset` bytes into slot `slot`; `len` bytes of the slot from there may be read.
    /// Answered by [`Response::Image`]. Forgets any earlier image, uploaded input and output.
    LoadImage { slot: u8, offset: u32, len: u32 },
    /// The packed input's bytes from `offset` on, at most [`MAX_CHUNK`](crate::MAX_CHUNK) of them, in order from 0.
    /// A chunk may be repeated. Answered by [`Response::InputAck`].
    SetInput { offset: u32, data: &'a [u8] },
    /// Run the loaded image. Answered by layer and repeat reports, then [`Response::Run`].
    Run(RunRequest),
    /// At most `len` bytes of the last run's packed output from `offset` on. Answered by [`Response::Output`].
    ReadOutput { offset: u32, len: u16 },
    /// Start over. Answered by [`Response::Resetting`], then by [`Response::Booted`] when the board is back.
    Reset,
}

/// How to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunRequest {
    /// Runs whose ticks are discarded: they fill caches and flash accelerators.
    pub warmup: u16,
    /// Timed runs, at least 1. Each is reported by its own [`RepeatReport`].
    pub repeats: u16,
    /// Where the input comes from.
    pub source: Source,
    /// Time each op, in one more run after the repeats, so that observing does not disturb their totals.
    pub want_layer_ticks: bool,
    /// Report the CRC-32 of each op's output, in that same run.
    pub want_layer_crcs: bool,
}

/// Where a run's input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Test vector with this index in the image; the output is compared with the expected one.
    Vector(u16),
    /// What [`Request::SetInput`] brought.
    Uploaded,
}

/// What the board answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response<'a> {
    Hello(HelloReply),
    Pong,
    Image(ImageInfo),
    /// The input is complete up to `received` of `needed` bytes: send from there.
    InputAck {
        received: u32,
        needed: u32,
    },
    Layer(LayerReport),
    Repeat(RepeatReport),
    Run(RunReport),
    /// Part of the last run's packed output, `total` bytes in all.
    Output {
        offset: u32,
        total: u32,
        data: &'a [u8],
    },
    Resetting,
    /// The board has just started; whatever it had loaded is gone. Comes without being asked.
    Booted,
    Error(BoardError),
}

/// Who the board is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HelloReply {
    pub wire_version: u8,
    /// The newest image format the runner reads.
    pub image_version: u16,
    /// The source revision the runner was built from.
    pub firmware_revision: Text<48>,
    /// The board type, as in the rack's configuration: `mps2-an386`.
    pub board_type: Text<24>,
    /// The chip's own unique number, in hexadecimal.
    pub chip_id: Text<32>,
    /// The core's clock in Hz.
    pub clock_hz: u32,
    /// What ticks count.
    pub timer_unit: TimerUnit,
    /// Bytes for tensors and scratch.
    pub arena_bytes: u32,
    /// Bytes of stack.
    pub stack_bytes: u32,
    /// Where images may be flashed, in slot order.
    pub slots: [Option<Slot>; MAX_SLOTS],
}

/// What a tick is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimerUnit {
    /// Clock cycles of the core, at [`HelloReply::clock_hz`].
    Cycles,
    /// Instructions executed by an emulator; says nothing about a real chip's time.
    Instructions,
}

/// A stretch of flash for one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Address of the first byte, as the debug probe sees it.
    pub base: u32,
    /// Bytes.
    pub len: u32,
}

/// The image the board has validated and will run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageInfo {
    /// CRC-32 of the image's header, which holds the body's CRC: equal for equal images.
    pub image_id: u32,
    pub n_ops: u16,
    pub n_vectors: u16,
    /// Planned arena in bytes.
    pub arena_needed: u32,
    pub total_len: u32,
    /// Bytes of the packed input and output.
    pub input_len: u32,
    pub output_len: u32,
}

/// One op of the observed run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerReport {
    /// The op's index in the image.
    pub index: u16,
    pub ticks: Option<u64>,
    /// CRC-32 (ISO-HDLC) of the op's packed output.
    pub crc: Option<u32>,
}

/// One timed run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepeatReport {
    /// 0 for the first after warm-up.
    pub repeat: u16,
    /// From the first op's start to the last op's end.
    pub ticks: u64,
}

/// The end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunReport {
    /// The image that ran, see [`ImageInfo::image_id`].
    pub image_id: u32,
    /// Repeats done, each with its own [`RepeatReport`].
    pub repeats: u16,
    /// Ops observed, each with its own [`LayerReport`]; 0 unless asked for.
    pub layers: u16,
    /// Bytes of stack the inference used at most, from a pattern painted before the first run.
    pub stack_high_water: u32,
    /// Bytes from the arena's start to the last byte written, from a pattern painted before the first run.
    pub arena_high_water: u32,
    /// CRC-32 (ISO-HDLC) of the packed output.
    pub output_crc: u32,
    pub verdict: Verdict,
}

/// Whether the output is the one the image expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every repeat gave the test vector's output, bit for bit.
    Identical,
    /// In repeat `repeat` the output first differs at this byte.
    Differs { repeat: u16, offset: u32 },
    /// The input was uploaded; nothing to compare with, but all repeats agreed.
    Unknown,
    /// The input was uploaded, and repeat `repeat` gave another output than the first.
    Unstable { repeat: u16 },
}

alternatives! { Request<'a>, 'a:
    0 Hello,
    1 Ping,
    2 LoadImage { slot, offset, len },
    3 SetInput { offset, data },
    4 Run(request),
    5 ReadOutput { offset, len },
    6 Reset,
}

structure!(RunRequest { warmup, repeats, source, want_layer_ticks, want_layer_crcs });

alternatives! { Source, 'a:
    0 Vector(index),
    1 Uploaded,
}

alternatives! { Response<'a>, 'a:
    0 Hello(reply),
    1 Pong,
    2 Image(info),
    3 InputAck { received, needed },
    4 Layer(report),
    5 Repeat(report),
    6 Run(report),
    7 Output { offset, total, data },
    8 Resetting,
    9 Booted,
    10 Error(error),
}

structure!(HelloReply {
    wire_version,
    image_version,
    firmware_revision,
    board_type,
    chip_id,
    clock_hz,
    timer_unit,
    arena_bytes,
    stack_bytes,
    slots,
});

alternatives! { TimerUnit, 'a:
    0 Cycles,
    1 Instructions,
}

structure!(Slot { base, len });

structure!(ImageInfo { image_id, n_ops, n_vectors, arena_needed, total_len, input_len, output_len });

structure!(LayerReport { index, ticks, crc });

structure!(RepeatReport { repeat, ticks });

structure!(RunReport { image_id, repeats, layers, stack_high_water, arena_high_water, output_crc, verdict });

alternatives! { Verdict, 'a:
    0 Identical,
    1 Differs { repeat, offset },
    2 Unknown,
    3 Unstable { repeat },
}
