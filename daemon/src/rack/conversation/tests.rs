//! The conversation against boards made of code: a healthy one, and ones that lie, die, forget or compute wrongly.

use std::collections::VecDeque;
use std::io;

use bitrack_wire::client::Patience;
use bitrack_wire::{
    BoardError, Decoder, FaultKind, ImageInfo, ImagePart, LayerReport, MAX_FRAME, RepeatReport, Request, Response,
    RunReport, Slot, Text, UNSOLICITED, WIRE_VERSION, encode,
};

use super::*;
use crate::config::Link;
use crate::rack::canary;
use crate::rack::fault::Blame;
use crate::types::FailureClass;

const COUNTS: Counts = Counts { warmup: 1, repeats: 3 };
const SILENCE: Duration = Duration::from_millis(200);

/// How a board differs from a healthy one.
#[derive(Clone, Copy, PartialEq)]
enum Ill {
    No,
    /// Its flash does not hold what was written.
    Corrupt,
    /// It holds another image, whole and valid.
    OtherImage,
    /// One bit of its output is wrong, and it says so.
    WrongBit,
    /// It claims success; the checksum of what it computed says otherwise.
    Liar,
    /// It dies while it runs.
    Dies,
    /// It says nothing any more once it runs.
    Mute,
    /// It starts anew while it runs.
    Resets,
    /// Its cable is pulled while it runs.
    Unplugged,
}

/// A board made of code, at the other end of a line made of memory.
struct FakeBoard {
    image: Vec<u8>,
    ill: Ill,
    decoder: Decoder,
    answers: VecDeque<u8>,
}

impl FakeBoard {
    fn new(ill: Ill) -> Self {
        Self { image: canary::image(), ill, decoder: Decoder::new(), answers: VecDeque::new() }
    }

    fn say(&mut self, seq: u16, response: &Response<'_>) {
        let mut buf = [0; MAX_FRAME];
        self.answers.extend(encode(response, seq, &mut buf).expect("it fits"));
    }

    fn answer(&mut self, seq: u16, request: &Request<'_>) {
        match request {
            Request::LoadImage { .. } if self.ill == Ill::Corrupt => {
                self.say(seq, &Response::Error(BoardError::BadCrc { part: ImagePart::Body, stored: 1, computed: 2 }));
            }
            Request::LoadImage { .. } => {
                let info = self.info();
                self.say(seq, &Response::Image(info));
            }
            Request::Run(_) if matches!(self.ill, Ill::Mute | Ill::Unplugged) => {}
            Request::Run(_) if self.ill == Ill::Resets => self.say(UNSOLICITED, &Response::Booted),
            Request::Run(_) if self.ill == Ill::Dies => {
                let fault = BoardError::Fault { kind: FaultKind::HardFault, pc: 0x1234, op: Some(0) };
                self.say(UNSOLICITED, &Response::Error(fault));
            }
            Request::Run(run) => self.run(seq, run),
            _ => self.say(seq, &Response::Error(BoardError::UnknownRequest)),
        }
    }

    fn info(&self) -> ImageInfo {
        let header = Image::parse(&self.image).expect("valid").header();
        ImageInfo {
            image_id: header.image_id() ^ u32::from(self.ill == Ill::OtherImage),
            n_ops: header.n_ops,
            n_vectors: header.n_vectors,
            arena_needed: header.arena_len,
            total_len: header.total_len,
            input_len: 64,
            output_len: 64,
        }
    }

    fn run(&mut self, seq: u16, run: &RunRequest) {
        let image = self.image.clone();
        let image = Image::parse(&image).expect("valid");
        let right = crc32(image.vector(0).expect("the canary has one").expected);
        let wrong = matches!(self.ill, Ill::WrongBit | Ill::Liar);
        let crc = if wrong { right ^ 1 } else { right };
        for repeat in 0..run.repeats {
            self.say(seq, &Response::Repeat(RepeatReport { repeat, ticks: 100 + u64::from(repeat) }));
        }
        let observed = run.want_layer_ticks || run.want_layer_crcs;
        if observed {
            let ticks = run.want_layer_ticks.then_some(90);
            self.say(seq, &Response::Layer(LayerReport { index: 0, ticks, crc: run.want_layer_crcs.then_some(crc) }));
        }
        let verdict = match self.ill {
            Ill::WrongBit => Verdict::Differs { repeat: 0, offset: 7 },
            _ => Verdict::Identical,
        };
        let report = RunReport {
            image_id: image.header().image_id(),
            repeats: run.repeats,
            layers: u16::from(observed),
            stack_high_water: 900,
            arena_high_water: 128,
            output_crc: crc,
            verdict,
        };
        self.say(seq, &Response::Run(report));
    }
}

impl io::Write for FakeBoard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for &byte in bytes {
            let mut decoder = std::mem::replace(&mut self.decoder, Decoder::new());
            if let Some(Ok(frame)) = decoder.feed(byte) {
                let request = frame.request().expect("the client's requests are whole");
                self.answer(frame.seq, &request);
            }
            self.decoder = decoder;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl io::Read for FakeBoard {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.answers.is_empty() {
            let gone = self.ill == Ill::Unplugged;
            return Err(if gone { io::ErrorKind::BrokenPipe.into() } else { io::ErrorKind::TimedOut.into() });
        }
        self.answers.read(buf)
    }
}

fn measure_on(ill: Ill) -> Result<Run, Fault> {
    let image = canary::image();
    let mut client = Client::new(FakeBoard::new(ill), Patience { reply: Duration::from_millis(200), attempts: 1 });
    measure(&mut client, &Image::parse(&image).expect("valid"), 0, COUNTS, SILENCE)
}

#[track_caller]
fn fault_of(ill: Ill) -> Fault {
    measure_on(ill).expect_err("a board that ill must not measure")
}

#[test]
fn a_healthy_board_measures() {
    let run = measure_on(Ill::No).expect("healthy");
    assert_eq!((run.repeats.as_slice(), run.output_crc), ([100, 101, 102].as_slice(), run.expected_crc));
    let layer = &run.layers[0];
    assert_eq!((layer.kind.as_str(), layer.weight_bits, layer.input_bits, layer.ticks), ("max_pool", None, 8, 90));
}

#[test]
fn one_wrong_bit_is_a_rejection_that_names_the_op() {
    let Fault::WrongOutput(wrong) = fault_of(Ill::WrongBit) else { panic!("not rejected") };
    assert_eq!((wrong.offset, wrong.op, wrong.found), (Some(7), Some(0), wrong.expected ^ 1));
}

#[test]
fn a_boards_word_is_not_believed_against_its_checksum() {
    assert!(matches!(fault_of(Ill::Liar), Fault::WrongOutput(_)));
}

#[test]
fn each_illness_has_its_blame() {
    let blames = [
        (Ill::Corrupt, Blame::Certain(FailureClass::Board)),
        (Ill::OtherImage, Blame::Certain(FailureClass::Board)),
        (Ill::Unplugged, Blame::Certain(FailureClass::Board)),
        (Ill::WrongBit, Blame::InDoubt),
        (Ill::Dies, Blame::InDoubt),
        (Ill::Mute, Blame::InDoubt),
        (Ill::Resets, Blame::InDoubt),
    ];
    for (ill, blame) in blames {
        let fault = fault_of(ill);
        assert_eq!(fault.blame(), blame, "{fault}");
    }
}

#[test]
fn a_death_keeps_its_place_as_evidence() {
    let evidence = fault_of(Ill::Dies).evidence().expect("evidence");
    assert_eq!((evidence["pc"].as_str(), evidence["op"].as_u64()), (Some("0x00001234"), Some(0)));
}

fn hello() -> HelloReply {
    let board_type = BoardType::builtin("mps2-an386").expect("built in");
    let slot = |i: usize| board_type.slots.get(i).map(|s| Slot { base: s.base, len: s.length });
    HelloReply {
        wire_version: WIRE_VERSION,
        image_version: 1,
        firmware_revision: "f1".into(),
        board_type: "mps2-an386".into(),
        chip_id: Text::hex(&[0xab, 0xcd]),
        clock_hz: board_type.clock_hz,
        timer_unit: TimerUnit::Instructions,
        arena_bytes: board_type.arena,
        stack_bytes: 16 << 10,
        slots: [slot(0), slot(1), None, None],
    }
}

fn identified(hello: &HelloReply, chip_id: Option<&str>) -> Result<Identity, Fault> {
    let board_type = BoardType::builtin("mps2-an386").expect("built in");
    let chip_id = chip_id.map(str::to_owned);
    let board = Board { name: "v1".into(), board_type: "mps2-an386".into(), chip_id, link: Link::Virtual };
    identify(hello, &board, &board_type)
}

#[test]
fn the_right_board_is_let_in() {
    assert_eq!(identified(&hello(), Some("abcd")).expect("right").firmware_revision, "f1");
    assert!(identified(&hello(), None).is_ok());
}

#[test]
fn another_board_is_refused_with_both_values() {
    let refused = |hello: HelloReply, chip: Option<&str>| identified(&hello, chip).expect_err("refused").to_string();
    let other = refused(HelloReply { board_type: "nucleo-l4r5zi".into(), ..hello() }, None);
    assert_eq!(other, "board type is nucleo-l4r5zi, but the configuration says mps2-an386");
    assert_eq!(refused(hello(), Some("ffff")), "chip id is abcd, but the configuration says ffff");
    assert!(refused(HelloReply { timer_unit: TimerUnit::Cycles, ..hello() }, None).starts_with("timer unit is cycles"));
    assert!(refused(HelloReply { clock_hz: 1, ..hello() }, None).contains("25000000"));
    assert!(refused(HelloReply { slots: [None; 4], ..hello() }, None).contains("0x80000+0x100000"));
    assert!(refused(HelloReply { arena_bytes: 5, ..hello() }, None).contains("at least 327680"));
    assert!(identified(&HelloReply { chip_id: "x".into(), ..hello() }, Some("abcd")).is_err_and(|f| f.is_permanent()));
}
