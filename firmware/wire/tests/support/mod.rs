//! One of every message, and strategies for arbitrary ones.
#![allow(dead_code, reason = "each test file uses its part")]

use bitrack_wire::*;
use proptest::prelude::*;

pub fn hello_reply() -> HelloReply {
    HelloReply {
        wire_version: WIRE_VERSION,
        image_version: 1,
        firmware_revision: "0123456789ab-dirty".into(),
        board_type: "mps2-an386".into(),
        chip_id: Text::hex(&[0xde, 0xad, 0xbe, 0xef]),
        clock_hz: 25_000_000,
        timer_unit: TimerUnit::Instructions,
        arena_bytes: 320 << 10,
        stack_bytes: 16 << 10,
        slots: [Some(Slot { base: 0x8_0000, len: 1 << 20 }), Some(Slot { base: 0x20_0000, len: 1 << 20 }), None, None],
    }
}

pub fn image_info() -> ImageInfo {
    ImageInfo {
        image_id: 0x1234_5678,
        n_ops: 3,
        n_vectors: 2,
        arena_needed: 70_000,
        total_len: 123_456,
        input_len: 490,
        output_len: 12,
    }
}

pub fn run_request() -> RunRequest {
    RunRequest { warmup: 1, repeats: 3, source: Source::Vector(7), want_layer_ticks: true, want_layer_crcs: false }
}

pub fn run_report() -> RunReport {
    RunReport {
        image_id: 0x1234_5678,
        repeats: 3,
        layers: 3,
        stack_high_water: 900,
        arena_high_water: 65_000,
        output_crc: 0xcafe_babe,
        verdict: Verdict::Differs { repeat: 1, offset: 300 },
    }
}

/// Every request, every source.
pub fn requests() -> Vec<(&'static str, Request<'static>)> {
    vec![
        ("hello", Request::Hello),
        ("ping", Request::Ping),
        ("load_image", Request::LoadImage { slot: 1, offset: 65_536, len: 1 << 20 }),
        ("set_input", Request::SetInput { offset: 256, data: &[0, 1, 2, 0, 255] }),
        ("run_vector", Request::Run(run_request())),
        ("run_uploaded", Request::Run(RunRequest { source: Source::Uploaded, ..run_request() })),
        ("read_output", Request::ReadOutput { offset: 0, len: 256 }),
        ("reset", Request::Reset),
    ]
}

/// Every response, every verdict, every error.
pub fn responses() -> Vec<(&'static str, Response<'static>)> {
    let report = |verdict| Response::Run(RunReport { verdict, ..run_report() });
    let mut all = vec![
        ("hello", Response::Hello(hello_reply())),
        ("pong", Response::Pong),
        ("image", Response::Image(image_info())),
        ("input_ack", Response::InputAck { received: 256, needed: 490 }),
        ("layer", Response::Layer(LayerReport { index: 2, ticks: Some(1 << 40), crc: None })),
        ("layer_crc", Response::Layer(LayerReport { index: 2, ticks: None, crc: Some(0x0102_0304) })),
        ("repeat", Response::Repeat(RepeatReport { repeat: 1, ticks: 123_456_789 })),
        ("run_identical", report(Verdict::Identical)),
        ("run_differs", report(Verdict::Differs { repeat: 1, offset: 300 })),
        ("run_unknown", report(Verdict::Unknown)),
        ("run_unstable", report(Verdict::Unstable { repeat: 2 })),
        ("output", Response::Output { offset: 0, total: 12, data: &[9; 12] }),
        ("resetting", Response::Resetting),
        ("booted", Response::Booted),
    ];
    all.extend(errors().into_iter().map(|e| ("error", Response::Error(e))));
    all
}

pub fn errors() -> Vec<BoardError> {
    use BoardError::*;
    vec![
        UnsupportedVersion { board: 1, host: 2 },
        DamagedFrame,
        UnknownRequest,
        UnknownSlot { slot: 4, slots: 2 },
        OutsideSlot { offset: 5, len: 6, slot_len: 7 },
        BadMagic,
        UnsupportedImage { found: 9, known: 1 },
        Truncated { needed: 64, have: 3 },
        BadCrc { part: ImagePart::Body, stored: 1, computed: 2 },
        BadHeader { what: Reason::OpCount },
        BadTensor { index: 3, what: Reason::OutsideArena },
        BadOp { index: 4, what: Reason::ZeroStride },
        Overlap { first: 1, second: 2 },
        ArenaTooSmall { needed: 400_000, have: 327_680 },
        NoImage,
        UnknownVector { index: 3, count: 2 },
        NoRepeats,
        NoRoomForInput { needed: 330_000, have: 327_680 },
        InputOutOfOrder { offset: 512, len: 256, received: 256, needed: 490 },
        InputIncomplete { received: 256, needed: 490 },
        NoOutput,
        OutsideOutput { offset: 13, total: 12 },
        Fault { kind: FaultKind::HardFault, pc: 0x1234, op: Some(5) },
        Fault { kind: FaultKind::Panic, pc: 0, op: None },
        Fault { kind: FaultKind::StackOverflow, pc: 0x10, op: None },
        Fault { kind: FaultKind::Exception, pc: 0x10, op: None },
        ForeignLayout { found: 1, known: 2 },
        UnknownImage { found: 0x1122_3344, known: 0x5566_7788 },
    ]
}

/// Any request that fits a frame; `data` is what a [`Request::SetInput`] carries.
pub fn any_request(data: &'static [u8]) -> impl Strategy<Value = Request<'static>> {
    prop_oneof![
        (any::<u8>(), any::<u32>(), any::<u32>()).prop_map(|(slot, offset, len)| Request::LoadImage {
            slot,
            offset,
            len
        }),
        any::<u32>().prop_map(move |offset| Request::SetInput { offset, data }),
        (any::<u16>(), any::<u16>(), any::<u16>(), any::<bool>(), any::<bool>()).prop_map(
            |(warmup, repeats, v, t, c)| {
                Request::Run(RunRequest {
                    warmup,
                    repeats,
                    source: if v == 0 { Source::Uploaded } else { Source::Vector(v) },
                    want_layer_ticks: t,
                    want_layer_crcs: c,
                })
            }
        ),
        (any::<u32>(), any::<u16>()).prop_map(|(offset, len)| Request::ReadOutput { offset, len }),
        Just(Request::Hello),
    ]
}

/// The bytes of a frame.
pub fn frame_of<M: Message>(message: &M, seq: u16) -> Vec<u8> {
    let mut buf = [0; MAX_FRAME];
    encode(message, seq, &mut buf).expect("fits").to_vec()
}
