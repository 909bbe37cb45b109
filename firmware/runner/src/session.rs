//! One request, its answers.

use bitrack_engine::Engine;
use bitrack_image::VERSION;
use bitrack_wire::{
    BoardError, Decoder, Frame, FrameError, HelloReply, ImageInfo, MAX_CHUNK, MAX_FRAME, Request, Response, RunRequest,
    Source, Text, UNSOLICITED, WIRE_VERSION, encode,
};

use crate::REVISION;
use crate::board::{Board, Stack};
use crate::known;
use crate::measure::Measurement;

/// What is left to do after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Listen on.
    Listen,
    /// Restart the board: the host asked for it and has its acknowledgement.
    Restart,
}

/// The runner's state: what is loaded, and where it runs.
pub struct Session<B, S> {
    board: B,
    stack: S,
    arena: &'static mut [u8],
    loaded: Option<Loaded>,
}

struct Loaded {
    engine: Engine<'static>,
    image_id: u32,
    /// Bytes of an uploaded input received so far; it is kept at the arena's end.
    received: usize,
    has_output: bool,
}

impl Loaded {
    /// Where an uploaded input lies: at the arena's end, off the image's own part.
    fn staging(&self, arena_len: usize) -> Result<core::ops::Range<usize>, BoardError> {
        let input_len = self.engine.input_len();
        let needed = self.engine.image().header().arena_len as usize + input_len;
        match arena_len.checked_sub(needed) {
            Some(_) => Ok(arena_len - input_len..arena_len),
            None => Err(BoardError::NoRoomForInput { needed: needed as u32, have: arena_len as u32 }),
        }
    }

    fn take_input(&mut self, arena: &mut [u8], offset: u32, data: &[u8]) -> Result<(), BoardError> {
        let place = self.staging(arena.len())?;
        let (at, needed) = (offset as usize, place.len());
        let out_of_order = BoardError::InputOutOfOrder {
            offset,
            len: data.len() as u32,
            received: self.received as u32,
            needed: needed as u32,
        };
        // A repeated chunk is welcome, a gap is not.
        if at > self.received {
            return Err(out_of_order);
        }
        let end = at.checked_add(data.len()).filter(|&end| end <= needed).ok_or(out_of_order)?;
        let Some(target) = arena.get_mut(place).and_then(|place| place.get_mut(at..end)) else { bug() };
        target.iter_mut().zip(data).for_each(|(target, &byte)| *target = byte);
        self.received = end;
        Ok(())
    }
}

impl<B: Board, S: Stack> Session<B, S> {
    /// A runner with nothing loaded.
    pub fn new(board: B, stack: S, arena: &'static mut [u8]) -> Self {
        Self { board, stack, arena, loaded: None }
    }

    /// Announces itself, then serves the host until it asks for a restart.
    pub fn serve(&mut self) {
        // A variable: as a constant it would be as long as the longest response, in flash.
        let booted = Response::Booted;
        send(&mut self.board, UNSOLICITED, &booted);
        let mut decoder = Decoder::new();
        loop {
            let Some(byte) = self.board.read() else { continue };
            if let Some(frame) = decoder.feed(byte)
                && self.answer(frame) == Next::Restart
            {
                return;
            }
        }
    }

    /// Answers one frame.
    #[inline(never)]
    pub fn answer(&mut self, frame: Result<Frame<'_>, FrameError>) -> Next {
        let (seq, request) = match frame.map(|f| (f.seq, f.request())) {
            Ok((seq, Ok(request))) => (seq, request),
            Ok((seq, Err(error))) => return self.refuse(seq, error),
            Err(error) => return self.refuse(UNSOLICITED, error),
        };
        // Each sends its own response: no two of them are alike, and none is handed on.
        let done = match request {
            Request::Hello => self.reply(seq, Response::Hello(self.hello())),
            Request::Ping => self.reply(seq, Response::Pong),
            Request::LoadImage { slot, offset, len } => self.load(seq, slot, offset, len),
            Request::SetInput { offset, data } => self.set_input(seq, offset, data),
            Request::Run(request) => self.run(seq, request),
            Request::ReadOutput { offset, len } => self.read_output(seq, offset, len),
            Request::Reset => self.reply(seq, Response::Resetting),
        };
        if let Err(error) = done {
            send(&mut self.board, seq, &Response::Error(error));
        }
        if request == Request::Reset { Next::Restart } else { Next::Listen }
    }

    /// By value: as a constant to refer to, the shortest response would be as long as the longest, in flash.
    #[inline(always)]
    fn reply(&mut self, seq: u16, response: Response<'_>) -> Result<(), BoardError> {
        send(&mut self.board, seq, &response);
        Ok(())
    }

    fn refuse(&mut self, seq: u16, error: FrameError) -> Next {
        let error = match error {
            // Answering one's own echo would never end.
            FrameError::WrongWay => return Next::Listen,
            FrameError::Version { found } => BoardError::UnsupportedVersion { board: WIRE_VERSION, host: found },
            FrameError::UnknownMessage => BoardError::UnknownRequest,
            FrameError::TooLong | FrameError::Malformed | FrameError::BadCrc | FrameError::BadDirection => {
                BoardError::DamagedFrame
            }
        };
        send(&mut self.board, seq, &Response::Error(error));
        Next::Listen
    }

    fn hello(&self) -> HelloReply {
        HelloReply {
            wire_version: WIRE_VERSION,
            image_version: VERSION,
            firmware_revision: const { Text::new(REVISION) },
            board_type: const { Text::new(B::TYPE) },
            chip_id: self.board.chip_id(),
            clock_hz: self.board.clock_hz(),
            timer_unit: B::TIMER_UNIT,
            arena_bytes: self.arena.len() as u32,
            stack_bytes: self.stack.bytes(),
            slots: B::SLOTS,
        }
    }

    #[inline(never)]
    fn load(&mut self, seq: u16, slot: u8, offset: u32, len: u32) -> Result<(), BoardError> {
        self.loaded = None;
        let slots = B::SLOTS.iter().flatten().count() as u8;
        let bytes = self.board.slot(slot).ok_or(BoardError::UnknownSlot { slot, slots })?;
        let outside = BoardError::OutsideSlot { offset, len, slot_len: bytes.len() as u32 };
        let end = offset.checked_add(len).ok_or(outside)?;
        let bytes = bytes.get(offset as usize..end as usize).ok_or(outside)?;
        // By reference, here as below: what was returned is not moved once more.
        let loaded = known::load(bytes, self.arena.len());
        let engine = match &loaded {
            Ok(engine) => engine,
            Err(refusal) => return Err(refusal.0),
        };
        let header = engine.image().header();
        let image_id = engine.image().id();
        let info = ImageInfo {
            image_id,
            n_ops: header.n_ops,
            n_vectors: header.n_vectors,
            arena_needed: header.arena_len,
            total_len: header.total_len,
            input_len: engine.input_len() as u32,
            output_len: engine.output_len() as u32,
        };
        self.loaded = Some(Loaded { engine: *engine, image_id, received: 0, has_output: false });
        self.reply(seq, Response::Image(info))
    }

    fn set_input(&mut self, seq: u16, offset: u32, data: &[u8]) -> Result<(), BoardError> {
        let loaded = self.loaded.as_mut().ok_or(BoardError::NoImage)?;
        loaded.take_input(self.arena, offset, data)?;
        let needed = loaded.engine.input_len() as u32;
        let received = loaded.received as u32;
        self.reply(seq, Response::InputAck { received, needed })
    }

    #[inline(never)]
    fn run(&mut self, seq: u16, request: RunRequest) -> Result<(), BoardError> {
        let loaded = self.loaded.as_mut().ok_or(BoardError::NoImage)?;
        if request.repeats == 0 {
            return Err(BoardError::NoRepeats);
        }
        let (arena, input, expected) = match request.source {
            Source::Vector(index) => {
                let count = loaded.engine.image().header().n_vectors;
                let vector = loaded.engine.vector(index).ok_or(BoardError::UnknownVector { index, count })?;
                // An uploaded input survives: its place at the arena's end is left alone as long as it is there.
                let keep = if loaded.received > 0 { loaded.staging(self.arena.len())?.start } else { self.arena.len() };
                (self.arena.get_mut(..keep).unwrap_or_default(), vector.input, Some(vector.expected))
            }
            Source::Uploaded => {
                let place = loaded.staging(self.arena.len())?;
                let (received, needed) = (loaded.received as u32, place.len() as u32);
                if received != needed {
                    return Err(BoardError::InputIncomplete { received, needed });
                }
                let Some((arena, input)) = self.arena.split_at_mut_checked(place.start) else { bug() };
                (arena, &*input, None)
            }
        };
        loaded.has_output = true;
        let (board, stack, engine) = (&mut self.board, &mut self.stack, &loaded.engine);
        let image_id = loaded.image_id;
        Measurement { board, stack, engine, image_id, arena, input, expected, seq }.perform(request);
        Ok(())
    }

    fn read_output(&mut self, seq: u16, offset: u32, len: u16) -> Result<(), BoardError> {
        let loaded = self.loaded.as_ref().filter(|loaded| loaded.has_output).ok_or(BoardError::NoOutput)?;
        let output = self.arena.get(loaded.engine.output_range()).unwrap_or_default();
        let (total, limit) = (output.len() as u32, usize::from(len).min(MAX_CHUNK));
        match output.get(offset as usize..) {
            None | Some([]) => Err(BoardError::OutsideOutput { offset, total }),
            Some(rest) => {
                let data = rest.get(..limit).unwrap_or(rest);
                send(&mut self.board, seq, &Response::Output { offset, total, data });
                Ok(())
            }
        }
    }
}

/// Sends one message as a frame.
#[inline(never)]
pub fn send(board: &mut impl Board, seq: u16, message: &Response<'_>) {
    let mut buf = [0; MAX_FRAME];
    let Ok(frame) = encode(message, seq, &mut buf) else { bug() };
    board.write(frame);
}

/// Where the runner would go on if it were wrong about itself: an image that was loaded runs, every response fits a frame. A
/// fault, since a panic would have its place and its sentence in flash.
#[cold]
#[inline(never)]
pub fn bug() -> ! {
    #[cfg(target_arch = "arm")]
    cortex_m::asm::udf();
    #[cfg(not(target_arch = "arm"))]
    panic!("the runner is wrong about itself")
}
