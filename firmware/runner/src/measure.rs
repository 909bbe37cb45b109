//! One measurement: warm-up, timed repeats, one observed run.

use core::sync::atomic::{AtomicU32, Ordering};

use bitrack_engine::{Engine, Observer};
use bitrack_image::crc32;
use bitrack_wire::{LayerReport, RepeatReport, Response, RunReport, RunRequest, Verdict};

use crate::board::{Board, Stack};
use crate::paint::Pattern;
use crate::session::{bug, send};

/// The op that is running, for the message of a fault; [`NO_OP`] between runs.
static CURRENT_OP: AtomicU32 = AtomicU32::new(NO_OP);
const NO_OP: u32 = u32::MAX;

/// The op that was running when the firmware died.
pub fn current_op() -> Option<u16> {
    u16::try_from(CURRENT_OP.load(Ordering::Relaxed)).ok()
}

/// All that a measurement needs.
pub struct Measurement<'a, B, S> {
    pub board: &'a mut B,
    pub stack: &'a mut S,
    pub engine: &'a Engine<'static>,
    /// Names the image in the report.
    pub image_id: u32,
    /// The arena without what is kept behind it.
    pub arena: &'a mut [u8],
    pub input: &'a [u8],
    /// The test vector's output, where the input is a test vector's.
    pub expected: Option<&'static [u8]>,
    /// The request's sequence number.
    pub seq: u16,
}

impl<B: Board, S: Stack> Measurement<'_, B, S> {
    /// Runs as asked and sends every report.
    pub fn perform(mut self, request: RunRequest) {
        let (first_ticks, marks) = self.painted_run();
        let mut judge = Judge::new(self.expected, self.output());
        for _ in 1..request.warmup {
            self.timed_run();
        }
        for repeat in 0..request.repeats {
            let is_first_run = repeat == 0 && request.warmup == 0;
            let ticks = if is_first_run { first_ticks } else { self.timed_run() };
            judge.see(repeat, self.output());
            send(self.board, self.seq, &Response::Repeat(RepeatReport { repeat, ticks }));
        }
        let observe = request.want_layer_ticks || request.want_layer_crcs;
        let (layers, second_mark) = if observe { self.observed_run(request) } else { (0, 0) };
        let report = RunReport {
            image_id: self.image_id,
            repeats: request.repeats,
            layers,
            stack_high_water: marks.stack,
            arena_high_water: marks.arena.max(second_mark),
            output_crc: crc32(self.output()),
            verdict: judge.verdict,
        };
        send(self.board, self.seq, &Response::Run(report));
    }

    /// The first run of all, warm-up or not, between painting and looking. Only here: sending reports uses stack too,
    /// and painting again would empty the caches that the warm-up has filled.
    fn painted_run(&mut self) -> (u64, Marks) {
        Pattern::First.paint(self.arena);
        self.stack.paint();
        let ticks = self.timed_run();
        (ticks, Marks { stack: self.stack.high_water(), arena: Pattern::First.high_water(self.arena) })
    }

    /// Ticks of one whole inference, input copy included.
    fn timed_run(&mut self) -> u64 {
        self.board.restart_clock();
        let mut watch = Watch { board: self.board };
        run(self.engine, self.arena, self.input, &mut watch);
        self.board.ticks()
    }

    /// A run that reports every op; returns their number and the arena's high-water mark.
    fn observed_run(&mut self, request: RunRequest) -> (u16, u32) {
        Pattern::Second.paint(self.arena);
        let mut reporter = Reporter { board: self.board, seq: self.seq, request };
        run(self.engine, self.arena, self.input, &mut reporter);
        (self.engine.image().header().n_ops, Pattern::Second.high_water(self.arena))
    }

    fn output(&self) -> &[u8] {
        self.arena.get(self.engine.output_range()).unwrap_or_default()
    }
}

/// High-water marks in bytes.
struct Marks {
    stack: u32,
    arena: u32,
}

/// One copy of the interpreter for all observers.
#[inline(never)]
fn run(engine: &Engine<'static>, arena: &mut [u8], input: &[u8], observer: &mut dyn Observer) {
    if engine.run(arena, input, observer).is_err() {
        bug();
    }
    CURRENT_OP.store(NO_OP, Ordering::Relaxed);
}

/// Reads the clock once per op, so that its hardware counter may wrap, and remembers the op for a fault's message.
struct Watch<'a, B> {
    board: &'a mut B,
}

impl<B: Board> Observer for Watch<'_, B> {
    fn before(&mut self, index: u16) {
        CURRENT_OP.store(index.into(), Ordering::Relaxed);
    }

    fn after(&mut self, _index: u16, _output: &[u8]) {
        self.board.ticks();
    }
}

/// Times each op and reports it; neither checksum nor sending is timed.
struct Reporter<'a, B> {
    board: &'a mut B,
    seq: u16,
    request: RunRequest,
}

impl<B: Board> Observer for Reporter<'_, B> {
    fn before(&mut self, index: u16) {
        CURRENT_OP.store(index.into(), Ordering::Relaxed);
        self.board.restart_clock();
    }

    fn after(&mut self, index: u16, output: &[u8]) {
        let ticks = self.board.ticks();
        let layer = LayerReport {
            index,
            ticks: self.request.want_layer_ticks.then_some(ticks),
            crc: self.request.want_layer_crcs.then(|| crc32(output)),
        };
        send(self.board, self.seq, &Response::Layer(layer));
    }
}

/// Compares every repeat's output with what it should be.
struct Judge {
    expected: Option<&'static [u8]>,
    /// Of the first run's output: what an output without expectation is compared with.
    first_crc: u32,
    verdict: Verdict,
}

impl Judge {
    fn new(expected: Option<&'static [u8]>, first: &[u8]) -> Self {
        let verdict = if expected.is_some() { Verdict::Identical } else { Verdict::Unknown };
        Self { expected, first_crc: crc32(first), verdict }
    }

    fn see(&mut self, repeat: u16, output: &[u8]) {
        if !matches!(self.verdict, Verdict::Identical | Verdict::Unknown) {
            return;
        }
        match self.expected {
            Some(expected) => {
                if let Some(offset) = first_difference(expected, output) {
                    self.verdict = Verdict::Differs { repeat, offset };
                }
            }
            None if crc32(output) != self.first_crc => self.verdict = Verdict::Unstable { repeat },
            None => {}
        }
    }
}

fn first_difference(expected: &[u8], output: &[u8]) -> Option<u32> {
    let differs = expected.iter().zip(output).position(|(a, b)| a != b);
    let shorter = expected.len().min(output.len());
    differs.or((expected.len() != output.len()).then_some(shorter)).map(|at| at as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wrong_byte_of_the_first_wrong_repeat_is_named() {
        let mut judge = Judge::new(Some(&[1, 2, 3]), &[1, 2, 3]);
        judge.see(0, &[1, 2, 3]);
        assert_eq!(judge.verdict, Verdict::Identical);
        judge.see(1, &[1, 9, 9]);
        judge.see(2, &[0, 2, 3]);
        assert_eq!(judge.verdict, Verdict::Differs { repeat: 1, offset: 1 });
    }

    #[test]
    fn without_expectation_repeats_must_agree_with_each_other() {
        let mut judge = Judge::new(None, &[1, 2]);
        judge.see(0, &[1, 2]);
        assert_eq!(judge.verdict, Verdict::Unknown);
        judge.see(1, &[1, 3]);
        assert_eq!(judge.verdict, Verdict::Unstable { repeat: 1 });
    }

    #[test]
    fn a_missing_byte_is_a_difference() {
        assert_eq!(first_difference(&[1, 2], &[1]), Some(1));
        assert_eq!(first_difference(&[1, 2], &[1, 2]), None);
    }
}
