//! The host's end against a board that is slow, deaf, noisy, restarting or rude.

mod support;

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use bitrack_wire::client::{Client, ClientError, Patience};
use bitrack_wire::*;
use support::{frame_of, hello_reply, image_info, run_report, run_request};

const PATIENCE: Patience = Patience { reply: Duration::from_millis(20), attempts: 3 };
const SOON: Duration = Duration::from_millis(200);

/// A line with a board behind it: `answer` is called for each request and gives the bytes that come back.
struct Line<F> {
    decoder: Decoder,
    back: VecDeque<u8>,
    answer: F,
}

impl<F: FnMut(u16, Request<'_>) -> Vec<u8>> Line<F> {
    fn new(answer: F) -> Self {
        Self { decoder: Decoder::new(), back: VecDeque::new(), answer }
    }
}

impl<F> Read for Line<F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.back.is_empty() {
            std::thread::yield_now();
            return Err(ErrorKind::TimedOut.into());
        }
        self.back.read(buf)
    }
}

impl<F: FnMut(u16, Request<'_>) -> Vec<u8>> Write for Line<F> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        for &byte in buf {
            if let Some(frame) = self.decoder.feed(byte) {
                let frame = frame.expect("the client sends whole frames");
                let request = frame.request().expect("the client sends requests");
                self.back.extend((self.answer)(frame.seq, request));
            }
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn client<F: FnMut(u16, Request<'_>) -> Vec<u8>>(answer: F) -> Client<Line<F>> {
    Client::new(Line::new(answer), PATIENCE)
}

fn damaged(mut frame: Vec<u8>) -> Vec<u8> {
    frame[5] ^= 0x40;
    frame
}

#[test]
fn hello_is_asked_until_the_board_is_up() {
    let mut asked = 0;
    let mut client = client(|seq, _| {
        asked += 1;
        match asked {
            1 => b"boot loader says: hi\r\n".to_vec(),
            2 => frame_of(&Response::Booted, UNSOLICITED),
            _ => frame_of(&Response::Hello(hello_reply()), seq),
        }
    });
    assert_eq!(client.hello(SOON).expect("board answers"), hello_reply());
    assert_eq!(client.damaged_frames(), 1);
}

#[test]
fn silence_ends_at_the_deadline() {
    let mut client = client(|_, _| Vec::new());
    assert!(matches!(client.hello(SOON), Err(ClientError::Timeout { waiting_for: "hello", .. })));
    assert!(matches!(client.ping(), Err(ClientError::Timeout { waiting_for: "pong", .. })));
}

/// Always has another byte.
struct Babbler;

impl Read for Babbler {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        buf.fill(0x55);
        Ok(buf.len())
    }
}

impl Write for Babbler {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn endless_garbage_ends_at_the_deadline_too() {
    let mut client = Client::new(Babbler, PATIENCE);
    assert!(matches!(client.ping(), Err(ClientError::Timeout { .. })));
}

#[test]
fn a_line_that_closes_is_no_timeout() {
    let mut client = Client::new(io::Cursor::new(Vec::new()), PATIENCE);
    assert!(matches!(client.ping(), Err(ClientError::Closed { waiting_for: "pong" })));
}

#[test]
fn an_echoing_line_is_named() {
    let mut client = client(|seq, request| frame_of(&request, seq));
    assert!(matches!(client.ping(), Err(ClientError::Echo)));
}

#[test]
fn a_damaged_answer_is_asked_for_again() {
    let mut asked = 0;
    let mut client = client(|seq, _| {
        asked += 1;
        let answer = frame_of(&Response::Image(image_info()), seq);
        if asked < 3 { damaged(answer) } else { answer }
    });
    assert_eq!(client.load_image(0, 0, 1000, PATIENCE.reply).expect("third answer is whole"), image_info());
    assert_eq!(client.damaged_frames(), 2);
}

#[test]
fn a_damaged_request_is_sent_again_at_once() {
    let mut asked = 0;
    let mut client = client(|seq, _| {
        asked += 1;
        let damaged = Response::Error(BoardError::DamagedFrame);
        if asked == 1 { frame_of(&damaged, UNSOLICITED) } else { frame_of(&Response::Pong, seq) }
    });
    client.ping().expect("second request is understood");
}

#[test]
fn late_answers_to_older_requests_are_dropped() {
    let mut client = client(|seq, _| {
        let old = Response::Error(BoardError::NoImage);
        [frame_of(&old, seq.wrapping_sub(1)), frame_of(&Response::Pong, seq)].concat()
    });
    client.ping().expect("the right answer counts");
}

#[test]
fn a_refusal_is_not_asked_again() {
    let mut asked = 0;
    let refusal = BoardError::ArenaTooSmall { needed: 10, have: 5 };
    let mut client = client(|seq, _| {
        asked += 1;
        frame_of(&Response::Error(refusal), seq)
    });
    let result = client.load_image(0, 0, 10, SOON);
    assert!(matches!(result, Err(ClientError::Board(e)) if e == refusal));
    drop(client);
    assert_eq!(asked, 1);
}

#[test]
fn an_input_is_uploaded_in_order_and_read_back() {
    let input: Vec<u8> = (0..1000u32).map(|i| i as u8).collect();
    let mut board = Vec::new();
    let mut client = client(|seq, request| match request {
        Request::SetInput { offset, data } => {
            assert_eq!(offset as usize, board.len());
            board.extend_from_slice(data);
            frame_of(&Response::InputAck { received: board.len() as u32, needed: 1000 }, seq)
        }
        Request::ReadOutput { offset, len } => {
            let data = &board[offset as usize..][..usize::from(len).min(board.len() - offset as usize)];
            frame_of(&Response::Output { offset, total: 1000, data }, seq)
        }
        _ => Vec::new(),
    });
    client.upload_input(&input).expect("board takes all");
    assert_eq!(client.read_output().expect("board gives all"), input);
}

/// The frames of a complete answer to a run with `repeats` repeats and two layers.
fn run_frames(seq: u16, repeats: u16) -> Vec<Vec<u8>> {
    let repeat = |repeat| Response::Repeat(RepeatReport { repeat, ticks: 100 + u64::from(repeat) });
    let layer = |index| Response::Layer(LayerReport { index, ticks: Some(50), crc: None });
    let end = Response::Run(RunReport { repeats, layers: 2, ..run_report() });
    let answers = (0..repeats).map(repeat).chain([layer(0), layer(1), end]);
    answers.map(|r| frame_of(&r, seq)).collect()
}

#[test]
fn a_run_brings_every_repeat_and_layer() {
    let mut seen = Vec::new();
    let mut client = client(|seq, _| run_frames(seq, 3).concat());
    let run = client.run(run_request(), SOON, |i, ticks| seen.push((i, ticks))).expect("run is whole");
    assert_eq!((run.repeats.as_slice(), run.layers.len()), ([100, 101, 102].as_slice(), 2));
    assert_eq!(seen, [(0, 100), (1, 101), (2, 102)]);
}

#[test]
fn a_report_lost_on_the_line_fails_the_run() {
    for lost in 0..5 {
        let mut client = client(|seq, _| {
            let mut frames = run_frames(seq, 3);
            frames[lost] = damaged(frames[lost].clone());
            frames.concat()
        });
        let result = client.run(run_request(), SOON, |_, _| ());
        assert!(matches!(result, Err(ClientError::Lost { .. })), "frame {lost} lost: {result:?}");
    }
}

#[test]
fn a_board_that_dies_in_a_run_is_heard() {
    let fault = BoardError::Fault { kind: FaultKind::HardFault, pc: 0x100, op: Some(1) };
    let mut died =
        client(|seq, _| [run_frames(seq, 3)[0].clone(), frame_of(&Response::Error(fault), UNSOLICITED)].concat());
    assert!(matches!(died.run(run_request(), SOON, |_, _| ()), Err(ClientError::Board(e)) if e == fault));
    let mut reset = client(|seq, _| [run_frames(seq, 3)[0].clone(), frame_of(&Response::Booted, UNSOLICITED)].concat());
    let result = reset.run(run_request(), SOON, |_, _| ());
    assert!(matches!(result, Err(ClientError::BoardReset { waiting_for: "run report" })));
}

#[test]
fn a_run_is_never_asked_twice() {
    let mut asked = 0;
    let mut client = client(|_, _| {
        asked += 1;
        Vec::new()
    });
    let result = client.run(run_request(), PATIENCE.reply, |_, _| ());
    assert!(matches!(result, Err(ClientError::Timeout { .. })));
    drop(client);
    assert_eq!(asked, 1);
}

#[test]
fn a_reset_waits_for_the_board_to_be_back() {
    let mut back =
        client(|seq, _| [frame_of(&Response::Resetting, seq), frame_of(&Response::Booted, UNSOLICITED)].concat());
    back.reset(SOON).expect("board is back");
    let mut gone = client(|seq, _| frame_of(&Response::Resetting, seq));
    assert!(matches!(gone.reset(PATIENCE.reply), Err(ClientError::Timeout { .. })));
}
