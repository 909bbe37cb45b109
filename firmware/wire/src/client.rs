//! The host's end: asks, waits with a deadline, asks again where asking twice does no harm.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use crate::{
    BoardError, Decoder, EncodeError, FrameError, HelloReply, ImageInfo, LayerReport, MAX_CHUNK, MAX_FRAME, Request,
    Response, RunReport, RunRequest, UNSOLICITED, WIRE_VERSION, encode,
};

/// Why a conversation with a board failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("serial line fails while waiting for {waiting_for}")]
    Io {
        waiting_for: &'static str,
        #[source]
        source: io::Error,
    },
    /// The other end of the line is gone.
    #[error("serial line was closed while waiting for {waiting_for}")]
    Closed { waiting_for: &'static str },
    #[error("no {waiting_for} within {} ms", after.as_millis())]
    Timeout { waiting_for: &'static str, after: Duration },
    /// The board answered, and its answer is no.
    #[error(transparent)]
    Board(#[from] BoardError),
    /// The board started anew instead of answering.
    #[error("the board restarted while the host waited for {waiting_for}")]
    BoardReset { waiting_for: &'static str },
    #[error("the board speaks wire version {board}, the host {host}: flash the runner again")]
    WireVersion { board: u8, host: u8 },
    /// The host's own frames come back.
    #[error("the serial line echoes: no board is listening")]
    Echo,
    #[error("the board answered something else than {waiting_for}")]
    Unexpected { waiting_for: &'static str },
    /// A frame of a run's report was lost on the line.
    #[error("a {lost} was lost on the line: number {expected} expected, {found} came")]
    Lost { lost: &'static str, expected: u32, found: u32 },
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl ClientError {
    /// The request or its answer was lost or damaged on the line; the same request may succeed now.
    pub fn is_line_noise(&self) -> bool {
        matches!(self, Self::Timeout { .. } | Self::Board(BoardError::DamagedFrame))
    }
}

/// How long a line is read for it to become quiet.
const QUIET_WITHIN: Duration = Duration::from_secs(2);

/// How long to wait, and how often to ask.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For an answer that needs no computation.
    pub reply: Duration,
    /// Times a request is sent that does no harm when repeated, the first included; at least 1.
    pub attempts: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { reply: Duration::from_millis(500), attempts: 3 }
    }
}

/// What a run brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOutcome {
    /// One per op in order; empty unless asked for.
    pub layers: Vec<LayerReport>,
    /// Ticks of each repeat, in order.
    pub repeats: Vec<u64>,
    pub report: RunReport,
}

/// A conversation over `T`, whose reads must give up after a short while (`TimedOut` or `WouldBlock`): deadlines
/// are kept between reads. `serialport`'s do, with the timeout the port was opened with; 10 ms is a good one.
pub struct Client<T> {
    port: T,
    patience: Patience,
    seq: u16,
    decoder: Decoder,
    rx: [u8; 512],
    rx_at: usize,
    rx_len: usize,
    damaged_frames: u64,
}

impl<T: Read + Write> Client<T> {
    /// A client that has not spoken yet; begin with [`Client::hello`].
    pub fn new(port: T, patience: Patience) -> Self {
        // A random start, so that what a board still sends to a host that died is not taken for an answer.
        let seq = RandomState::new().hash_one(0u8) as u16;
        Self { port, patience, seq, decoder: Decoder::new(), rx: [0; 512], rx_at: 0, rx_len: 0, damaged_frames: 0 }
    }

    /// Asks who is there, again and again until `within` is over: a board may be starting or finishing a run.
    ///
    /// # Errors
    /// Nobody answers, or what answers is no board of this wire version.
    pub fn hello(&mut self, within: Duration) -> Result<HelloReply, ClientError> {
        let deadline = Instant::now() + within;
        loop {
            let error = match self.ask_once(&Request::Hello, "hello", self.patience.reply, |r| match r {
                Response::Hello(reply) => Some(reply),
                _ => None,
            }) {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let starting = error.is_line_noise() || matches!(error, ClientError::BoardReset { .. });
            match (starting, Instant::now() >= deadline) {
                (false, _) => return Err(error),
                (true, true) => return Err(ClientError::Timeout { waiting_for: "hello", after: within }),
                (true, false) => (),
            }
        }
    }

    /// Throws away what has come and was not read: a board that died again and again leaves many last words behind, and a
    /// fresh start should not be judged by them. Ends when the line is quiet, or after [`QUIET_WITHIN`] in any case.
    pub fn discard_input(&mut self) {
        (self.rx_at, self.rx_len, self.decoder) = (0, 0, Decoder::new());
        let deadline = Instant::now() + QUIET_WITHIN;
        // An error is an ended line or a quiet one; the next request tells which.
        while matches!(self.port.read(&mut self.rx), Ok(1..)) && Instant::now() < deadline {}
    }

    /// Asks whether the board listens.
    ///
    /// # Errors
    /// It does not.
    pub fn ping(&mut self) -> Result<(), ClientError> {
        self.ask(&Request::Ping, "pong", self.patience.reply, |r| matches!(r, Response::Pong).then_some(()))
    }

    /// Has the board validate the image in `slot`, at `offset` bytes from its start, `len` bytes at most.
    /// Checksums over a large image take their time: `within` is for this request alone.
    ///
    /// # Errors
    /// [`BoardError`] says what is wrong with the image.
    pub fn load_image(&mut self, slot: u8, offset: u32, len: u32, within: Duration) -> Result<ImageInfo, ClientError> {
        self.ask(&Request::LoadImage { slot, offset, len }, "image info", within, |r| match r {
            Response::Image(info) => Some(info),
            _ => None,
        })
    }

    /// Sends a packed input, each chunk acknowledged before the next.
    ///
    /// # Errors
    /// No image is loaded, or `input` is not what it takes.
    pub fn upload_input(&mut self, input: &[u8]) -> Result<(), ClientError> {
        for (i, data) in input.chunks(MAX_CHUNK).enumerate() {
            let offset = (i * MAX_CHUNK) as u32;
            self.ask(&Request::SetInput { offset, data }, "input acknowledgement", self.patience.reply, |r| match r {
                Response::InputAck { .. } => Some(()),
                _ => None,
            })?;
        }
        Ok(())
    }

    /// Runs the loaded image. `silence` is how long the board may say nothing: longer than one inference, and than
    /// the warm-up. Never asked twice: a repeated measurement is the caller's decision. `progress` sees each repeat.
    ///
    /// # Errors
    /// The board is silent, restarts, refuses, or a report is lost on the line.
    pub fn run(
        &mut self,
        request: RunRequest,
        silence: Duration,
        mut progress: impl FnMut(u16, u64),
    ) -> Result<RunOutcome, ClientError> {
        let seq = self.send(&Request::Run(request), "run report")?;
        let mut layers: Vec<LayerReport> = Vec::new();
        let mut repeats: Vec<u64> = Vec::new();
        loop {
            match self.receive(seq, "run report", silence, RunFrame::of)? {
                RunFrame::Repeat(index, ticks) => {
                    in_order("repeat report", repeats.len(), index)?;
                    repeats.push(ticks);
                    progress(index, ticks);
                }
                RunFrame::Layer(layer) => {
                    in_order("layer report", layers.len(), layer.index)?;
                    layers.push(layer);
                }
                RunFrame::End(report) => {
                    in_order("repeat report", repeats.len(), report.repeats)?;
                    in_order("layer report", layers.len(), report.layers)?;
                    return Ok(RunOutcome { layers, repeats, report });
                }
            }
        }
    }

    /// The last run's packed output.
    ///
    /// # Errors
    /// There is none.
    pub fn read_output(&mut self) -> Result<Vec<u8>, ClientError> {
        let mut output = Vec::new();
        loop {
            let offset = output.len() as u32;
            let request = Request::ReadOutput { offset, len: MAX_CHUNK as u16 };
            let total = self.ask(&request, "output", self.patience.reply, |r| match r {
                Response::Output { offset: at, total, data } if at == offset && !data.is_empty() => {
                    output.extend_from_slice(data);
                    Some(total)
                }
                _ => None,
            })?;
            if output.len() as u64 >= u64::from(total) {
                return Ok(output);
            }
        }
    }

    /// Restarts the board and waits until it is back.
    ///
    /// # Errors
    /// It is not back `within`.
    pub fn reset(&mut self, within: Duration) -> Result<(), ClientError> {
        match self
            .ask(&Request::Reset, "restart", self.patience.reply, |r| matches!(r, Response::Resetting).then_some(()))
        {
            // The acknowledgement was lost; the restart itself is what was asked for.
            Err(ClientError::BoardReset { .. }) => return Ok(()),
            other => other?,
        }
        // No answer is due any more, so the only frame that can end this wait is the unsolicited one.
        match self.receive(UNSOLICITED, "restart", within, |_| None::<()>) {
            Err(ClientError::BoardReset { .. }) => Ok(()),
            other => other,
        }
    }

    /// Damaged frames and garbage seen so far: a measure of the line's quality.
    pub fn damaged_frames(&self) -> u64 {
        self.damaged_frames
    }

    /// Gives the port back.
    pub fn into_port(self) -> T {
        self.port
    }

    /// Asks up to [`Patience::attempts`] times: for requests that do no harm when repeated.
    fn ask<R>(
        &mut self,
        request: &Request<'_>,
        waiting_for: &'static str,
        within: Duration,
        mut take: impl FnMut(Response<'_>) -> Option<R>,
    ) -> Result<R, ClientError> {
        let mut attempt = 1;
        loop {
            match self.ask_once(request, waiting_for, within, &mut take) {
                Err(error) if error.is_line_noise() && attempt < self.patience.attempts => attempt += 1,
                result => return result,
            }
        }
    }

    fn ask_once<R>(
        &mut self,
        request: &Request<'_>,
        waiting_for: &'static str,
        within: Duration,
        take: impl FnMut(Response<'_>) -> Option<R>,
    ) -> Result<R, ClientError> {
        let seq = self.send(request, waiting_for)?;
        self.receive(seq, waiting_for, within, take)
    }

    fn send(&mut self, request: &Request<'_>, waiting_for: &'static str) -> Result<u16, ClientError> {
        self.seq = if self.seq == u16::MAX { UNSOLICITED + 1 } else { self.seq + 1 };
        let mut buf = [0; MAX_FRAME];
        let frame = encode(request, self.seq, &mut buf)?;
        let io = |source| ClientError::Io { waiting_for, source };
        self.port.write_all(frame).map_err(io)?;
        self.port.flush().map_err(io)?;
        Ok(self.seq)
    }

    /// Waits for the next answer to request `seq`; answers to older requests are dropped.
    fn receive<R>(
        &mut self,
        seq: u16,
        waiting_for: &'static str,
        within: Duration,
        mut take: impl FnMut(Response<'_>) -> Option<R>,
    ) -> Result<R, ClientError> {
        let deadline = Instant::now() + within;
        loop {
            let Some(byte) = self.next_byte(waiting_for, deadline)? else {
                return Err(ClientError::Timeout { waiting_for, after: within });
            };
            let Some(frame) = self.decoder.feed(byte) else { continue };
            match frame.and_then(|f| Ok((f.seq, f.response()?))) {
                Ok((UNSOLICITED, Response::Booted)) => return Err(ClientError::BoardReset { waiting_for }),
                Ok((from, Response::Error(error))) if from == seq || from == UNSOLICITED => return Err(error.into()),
                Ok((from, response)) if from == seq => {
                    return take(response).ok_or(ClientError::Unexpected { waiting_for });
                }
                Ok(_) => (),
                Err(FrameError::Version { found: board }) => {
                    return Err(ClientError::WireVersion { board, host: WIRE_VERSION });
                }
                Err(FrameError::WrongWay) => return Err(ClientError::Echo),
                Err(_) => self.damaged_frames += 1,
            }
        }
    }

    /// The next byte of the line, `None` when the deadline has passed.
    fn next_byte(&mut self, waiting_for: &'static str, deadline: Instant) -> Result<Option<u8>, ClientError> {
        while self.rx_at == self.rx_len {
            // Before every read, so that a line that never falls silent cannot outlive the deadline.
            if Instant::now() >= deadline {
                return Ok(None);
            }
            match self.port.read(&mut self.rx) {
                Ok(0) => return Err(ClientError::Closed { waiting_for }),
                Ok(len) => (self.rx_at, self.rx_len) = (0, len),
                Err(e) if matches!(e.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(source) => return Err(ClientError::Io { waiting_for, source }),
            }
        }
        self.rx_at += 1;
        Ok(Some(self.rx[self.rx_at - 1]))
    }
}

/// The answers to [`Request::Run`].
enum RunFrame {
    Repeat(u16, u64),
    Layer(LayerReport),
    End(RunReport),
}

impl RunFrame {
    fn of(response: Response<'_>) -> Option<Self> {
        match response {
            Response::Repeat(r) => Some(Self::Repeat(r.repeat, r.ticks)),
            Response::Layer(layer) => Some(Self::Layer(layer)),
            Response::Run(report) => Some(Self::End(report)),
            _ => None,
        }
    }
}

fn in_order(lost: &'static str, expected: usize, found: u16) -> Result<(), ClientError> {
    let (expected, found) = (expected as u32, u32::from(found));
    if expected == found { Ok(()) } else { Err(ClientError::Lost { lost, expected, found }) }
}
