//! The whole conversation on the host: the protocol's client, the session, and a board made of memory.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use bitrack_image::builder::{ImageSpec, OpSpec, VectorSpec};
use bitrack_image::{HEADER_LEN, Image, Op, OpKind, Tensor, crc32};
use bitrack_runner::board::{Board, Stack};
use bitrack_runner::session::{Next, Session};
use bitrack_wire::client::{Client, ClientError, Patience};
use bitrack_wire::*;
use proptest::prelude::*;

const SLOT_LEN: usize = 4096;
const ARENA_LEN: usize = 1024;
const PATIENCE: Patience = Patience { reply: Duration::from_millis(50), attempts: 2 };
const SOON: Duration = Duration::from_millis(200);

/// What the board has sent and nobody has read.
type Sent = Rc<RefCell<VecDeque<u8>>>;

struct MemoryBoard {
    slot: &'static [u8],
    sent: Sent,
    ticks: u64,
}

impl Board for MemoryBoard {
    const TYPE: &'static str = "memory";
    const TIMER_UNIT: TimerUnit = TimerUnit::Instructions;
    const SLOTS: [Option<Slot>; MAX_SLOTS] = [Some(Slot { base: 0x1000, len: SLOT_LEN as u32 }), None, None, None];

    fn clock_hz(&self) -> u32 {
        1_000_000
    }

    fn chip_id(&self) -> Text<32> {
        Text::hex(&[0xC0, 0xFF, 0xEE])
    }

    fn slot(&self, index: u8) -> Option<&'static [u8]> {
        (index == 0).then_some(self.slot)
    }

    fn restart_clock(&mut self) {
        self.ticks = 0;
    }

    fn ticks(&mut self) -> u64 {
        self.ticks += 10;
        self.ticks
    }

    fn read(&mut self) -> Option<u8> {
        None
    }

    fn write(&mut self, bytes: &[u8]) {
        self.sent.borrow_mut().extend(bytes);
    }
}

struct NoStack;

impl Stack for NoStack {
    fn bytes(&self) -> u32 {
        2048
    }

    fn paint(&mut self) {}

    fn high_water(&self) -> u32 {
        300
    }
}

/// The host's end of a line to a session.
struct Line {
    session: Session<MemoryBoard, NoStack>,
    decoder: Decoder,
    sent: Sent,
    restarts: u32,
}

impl Line {
    fn new(flash: &[u8]) -> Self {
        let sent = Sent::default();
        let mut slot = vec![0xFF; SLOT_LEN];
        slot[..flash.len()].copy_from_slice(flash);
        let board = MemoryBoard { slot: slot.leak(), sent: sent.clone(), ticks: 0 };
        let session = Session::new(board, NoStack, vec![0; ARENA_LEN].leak());
        Self { session, decoder: Decoder::new(), sent, restarts: 0 }
    }
}

impl Read for Line {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut sent = self.sent.borrow_mut();
        if sent.is_empty() { Err(ErrorKind::TimedOut.into()) } else { sent.read(buf) }
    }
}

impl Write for Line {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        for &byte in buf {
            if let Some(frame) = self.decoder.feed(byte)
                && self.session.answer(frame) == Next::Restart
            {
                self.restarts += 1;
            }
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn client(flash: &[u8]) -> Client<Line> {
    Client::new(Line::new(flash), PATIENCE)
}

/// A client that has loaded the image.
fn loaded(image: &[u8]) -> Client<Line> {
    let mut client = client(image);
    client.load_image(0, 0, SLOT_LEN as u32, SOON).expect("image loads");
    client
}

/// Input 20 x 20 x 1, a max pool of 2 x 2, a reshape to a vector of 100.
fn network(arena_len: u32) -> ImageSpec {
    let tensor = |h, w, c, arena_off| Tensor { h, w, c, bits: 8, zero: 0, scale: 1.0, arena_off };
    let pool = Op { k_h: 2, k_w: 2, stride_h: 2, stride_w: 2, params: [0, 1, 0, 0], ..Op::new(OpKind::MaxPool, 0, 1) };
    let reshape = Op::new(OpKind::Reshape, 1, 2);
    let spec = |op| OpSpec { op, weights: vec![], channels: vec![] };
    ImageSpec {
        tensors: vec![tensor(20, 20, 1, 0), tensor(10, 10, 1, 400), tensor(1, 1, 100, 0)],
        ops: vec![spec(pool), spec(reshape)],
        input: 0,
        output: 2,
        arena_len,
        model_id: 1,
        layout: 0,
        section_align_log2: 2,
        vectors: vec![vector(3), vector(5)],
    }
}

fn input(step: usize) -> Vec<u8> {
    (0..400).map(|i| (i * step) as u8).collect()
}

fn output(input: &[u8]) -> Vec<u8> {
    let at = |y: usize, x: usize| input[y * 20 + x];
    let pooled = |y, x| at(y, x).max(at(y + 1, x)).max(at(y, x + 1)).max(at(y + 1, x + 1));
    (0..100).map(|i| pooled(i / 10 * 2, i % 10 * 2)).collect()
}

fn vector(step: usize) -> VectorSpec {
    let expected = output(&input(step));
    let crc = crc32(&expected);
    VectorSpec { input: input(step), expected, op_crcs: vec![crc, crc] }
}

fn image() -> Vec<u8> {
    network(512).build().expect("image is consistent")
}

fn on_vector(index: u16) -> RunRequest {
    RunRequest { warmup: 2, repeats: 3, source: Source::Vector(index), want_layer_ticks: true, want_layer_crcs: true }
}

const ON_UPLOAD: RunRequest =
    RunRequest { warmup: 1, repeats: 2, source: Source::Uploaded, want_layer_ticks: false, want_layer_crcs: false };

fn refusal<T: std::fmt::Debug>(result: Result<T, ClientError>) -> BoardError {
    match result {
        Err(ClientError::Board(error)) => error,
        other => panic!("no refusal: {other:?}"),
    }
}

#[test]
fn hello_says_who_the_board_is() {
    let hello = client(&[]).hello(SOON).expect("board answers");
    assert_eq!((hello.board_type.as_str(), hello.chip_id.as_str()), ("memory", "c0ffee"));
    assert_eq!((hello.arena_bytes, hello.stack_bytes), (ARENA_LEN as u32, 2048));
    assert_eq!(hello.slots[0], Some(Slot { base: 0x1000, len: SLOT_LEN as u32 }));
    assert_eq!(hello.firmware_revision.as_str(), bitrack_runner::REVISION);
}

#[test]
fn a_test_vector_is_run_and_judged() {
    let image = image();
    let mut client = client(&image);
    let info = client.load_image(0, 0, SLOT_LEN as u32, SOON).expect("image loads");
    let header = Image::parse(&image).expect("image is right").header();
    assert_eq!((info.image_id, info.n_ops, info.n_vectors), (header.image_id(), 2, 2));
    assert_eq!((info.arena_needed, info.input_len, info.output_len), (512, 400, 100));

    let run = client.run(on_vector(1), SOON, |_, _| ()).expect("image runs");
    assert_eq!(run.report.verdict, Verdict::Identical);
    assert_eq!(run.report.image_id, header.image_id());
    // The clock is read after each of the two ops and once at the end, ten ticks each time.
    assert_eq!(run.repeats, [30, 30, 30]);
    let crc = Some(crc32(&vector(5).expected));
    let layer = |index| LayerReport { index, ticks: Some(10), crc };
    assert_eq!(run.layers, [layer(0), layer(1)]);
    assert_eq!(Some(run.report.output_crc), crc);
    assert_eq!(client.read_output().expect("has run"), vector(5).expected);
}

#[test]
fn high_water_marks_are_of_the_inference() {
    let mut client = loaded(&image());
    let report = client.run(on_vector(0), SOON, |_, _| ()).expect("image runs").report;
    // The pool's output ends at 500 of the 512 bytes planned.
    assert_eq!((report.arena_high_water, report.stack_high_water), (500, 300));
}

#[test]
fn one_wrong_byte_is_found_and_named() {
    let mut spec = network(512);
    spec.vectors[1].expected[77] ^= 1;
    let mut client = loaded(&spec.build().expect("the format does not know what is right"));
    let report = client.run(on_vector(1), SOON, |_, _| ()).expect("image runs").report;
    assert_eq!(report.verdict, Verdict::Differs { repeat: 0, offset: 77 });
}

#[test]
fn without_warm_up_the_first_repeat_is_the_first_run() {
    let mut client = loaded(&image());
    let request = RunRequest { warmup: 0, repeats: 1, want_layer_ticks: false, want_layer_crcs: false, ..on_vector(0) };
    let run = client.run(request, SOON, |_, _| ()).expect("image runs");
    assert_eq!((run.repeats.as_slice(), run.layers.len()), ([30].as_slice(), 0));
    assert_eq!(run.report.arena_high_water, 500);
}

#[test]
fn an_uploaded_input_is_run_as_often_as_asked() {
    let mut client = loaded(&image());
    client.upload_input(&input(7)).expect("input is taken");
    for _ in 0..2 {
        let run = client.run(ON_UPLOAD, SOON, |_, _| ()).expect("image runs");
        assert_eq!(run.report.verdict, Verdict::Unknown);
        assert_eq!(client.read_output().expect("has run"), output(&input(7)));
        // A test vector in between does not disturb it.
        client.run(on_vector(0), SOON, |_, _| ()).expect("image runs");
    }
}

#[test]
fn chunks_may_repeat_but_not_skip() {
    let mut line = Line::new(&image());
    let mut ask = |request: Request<'_>| {
        let mut buf = [0; MAX_FRAME];
        line.write_all(encode(&request, 1, &mut buf).expect("fits")).expect("memory takes all");
        let sent: Vec<u8> = line.sent.borrow_mut().drain(..).collect();
        let mut decoder = Decoder::new();
        sent.iter()
            .find_map(|&byte| decoder.feed(byte).map(|f| format!("{:?}", f.expect("whole").response().expect("known"))))
            .expect("an answer")
    };
    ask(Request::LoadImage { slot: 0, offset: 0, len: SLOT_LEN as u32 });
    let ack = |received| format!("{:?}", Response::InputAck { received, needed: 400 });
    assert_eq!(ask(Request::SetInput { offset: 0, data: &[1; 256] }), ack(256));
    assert_eq!(ask(Request::SetInput { offset: 0, data: &[2; 256] }), ack(256));
    let refused = |offset, len, received| {
        let error = BoardError::InputOutOfOrder { offset, len, received, needed: 400 };
        format!("{:?}", Response::Error(error))
    };
    assert_eq!(ask(Request::SetInput { offset: 257, data: &[3; 10] }), refused(257, 10, 256));
    assert_eq!(ask(Request::SetInput { offset: 256, data: &[3; 145] }), refused(256, 145, 256));
    assert_eq!(ask(Request::SetInput { offset: u32::MAX, data: &[3; 2] }), refused(u32::MAX, 2, 256));
    let incomplete = BoardError::InputIncomplete { received: 256, needed: 400 };
    assert_eq!(ask(Request::Run(ON_UPLOAD)), format!("{:?}", Response::Error(incomplete)));
    assert_eq!(ask(Request::SetInput { offset: 256, data: &[3; 144] }), ack(400));
}

#[test]
fn an_input_that_fits_nowhere_is_refused() {
    let mut client = loaded(&network(ARENA_LEN as u32).build().expect("image is consistent"));
    let needed = ARENA_LEN as u32 + 400;
    let refused = refusal(client.upload_input(&input(1)));
    assert_eq!(refused, BoardError::NoRoomForInput { needed, have: ARENA_LEN as u32 });
    client.run(on_vector(0), SOON, |_, _| ()).expect("test vectors need no room");
}

#[test]
fn requests_out_of_season_are_refused() {
    let mut client = client(&image());
    assert_eq!(refusal(client.run(on_vector(0), SOON, |_, _| ())), BoardError::NoImage);
    assert_eq!(refusal(client.upload_input(&[0])), BoardError::NoImage);
    assert_eq!(refusal(client.read_output()), BoardError::NoOutput);
    client.load_image(0, 0, SLOT_LEN as u32, SOON).expect("image loads");
    assert_eq!(refusal(client.read_output()), BoardError::NoOutput);
    let unknown = refusal(client.run(on_vector(2), SOON, |_, _| ()));
    assert_eq!(unknown, BoardError::UnknownVector { index: 2, count: 2 });
    let none = RunRequest { repeats: 0, ..on_vector(0) };
    assert_eq!(refusal(client.run(none, SOON, |_, _| ())), BoardError::NoRepeats);
}

#[test]
fn slots_have_bounds() {
    let mut client = client(&image());
    let mut load = |slot, offset, len| refusal(client.load_image(slot, offset, len, SOON));
    assert_eq!(load(1, 0, 64), BoardError::UnknownSlot { slot: 1, slots: 1 });
    let slot_len = SLOT_LEN as u32;
    for (offset, len) in [(0, slot_len + 1), (slot_len, 1), (u32::MAX, 2)] {
        assert_eq!(load(0, offset, len), BoardError::OutsideSlot { offset, len, slot_len });
    }
    assert_eq!(load(0, slot_len, 0), BoardError::Truncated { needed: HEADER_LEN as u32, have: 0 });
    assert_eq!(load(0, 2048, 1024), BoardError::BadMagic);
}

#[test]
fn a_bad_image_says_what_is_bad_and_is_not_run() {
    let mut image = image();
    image[HEADER_LEN + 3] ^= 1;
    let mut client = client(&image);
    let error = refusal(client.load_image(0, 0, SLOT_LEN as u32, SOON));
    assert!(matches!(error, BoardError::BadCrc { part, .. } if part == ImagePart::Body), "{error}");
    assert_eq!(refusal(client.run(on_vector(0), SOON, |_, _| ())), BoardError::NoImage);
    let big = network(ARENA_LEN as u32 + 4).build().expect("image is consistent");
    let error = refusal(self::client(&big).load_image(0, 0, SLOT_LEN as u32, SOON));
    assert_eq!(error, BoardError::ArenaTooSmall { needed: ARENA_LEN as u32 + 4, have: ARENA_LEN as u32 });
}

#[test]
fn a_failed_load_forgets_the_image_before() {
    let mut client = loaded(&image());
    refusal(client.load_image(0, 2048, 1024, SOON));
    assert_eq!(refusal(client.run(on_vector(0), SOON, |_, _| ())), BoardError::NoImage);
}

#[test]
fn a_restart_is_acknowledged_first() {
    let mut client = client(&[]);
    // The board of this test does not come back, but it was asked to.
    assert!(matches!(client.reset(PATIENCE.reply), Err(ClientError::Timeout { waiting_for: "restart", .. })));
    assert_eq!(client.into_port().restarts, 1);
}

/// What the session sends back on raw bytes.
fn answer_to(bytes: &[u8]) -> Vec<String> {
    let mut line = Line::new(&image());
    line.write_all(bytes).expect("memory takes all");
    let mut decoder = Decoder::new();
    let sent: Vec<u8> = line.sent.borrow_mut().drain(..).collect();
    sent.iter()
        .filter_map(|&byte| decoder.feed(byte).map(|f| format!("{:?}", f.expect("whole").response().expect("known"))))
        .collect()
}

#[test]
fn damage_is_answered_and_echoes_are_not() {
    let damaged = format!("{:?}", Response::Error(BoardError::DamagedFrame));
    assert_eq!(answer_to(b"noise\0"), [damaged]);
    let mut buf = [0; MAX_FRAME];
    let echo = encode(&Response::Pong, 1, &mut buf).expect("fits");
    assert_eq!(answer_to(echo), [""; 0]);
}

proptest! {
    #[test]
    fn no_bytes_bring_a_session_down(noise: Vec<u8>, offset: u32, len: u32, slot in 0..3u8, warmup in 0..3u16) {
        let mut line = Line::new(&image());
        line.write_all(&noise).expect("memory takes all");
        let run = RunRequest { warmup, repeats: 1, ..on_vector(slot.into()) };
        let requests = [
            Request::LoadImage { slot, offset: offset % 8192, len: len % 8192 },
            Request::SetInput { offset: offset % 600, data: &noise[..noise.len().min(MAX_CHUNK)] },
            Request::Run(run),
            Request::ReadOutput { offset: offset % 200, len: len as u16 },
            Request::Ping,
        ];
        for request in requests {
            let mut buf = [0; MAX_FRAME];
            line.write_all(encode(&request, 1, &mut buf).expect("fits")).expect("memory takes all");
        }
        let mut buf = [0; MAX_FRAME];
        let pong = encode(&Response::Pong, 1, &mut buf).expect("fits");
        let sent: Vec<u8> = line.sent.borrow().iter().copied().collect();
        prop_assert!(sent.ends_with(pong));
    }
}
