//! What is said over the serial line to get a measurement, and what must be true of the answers. Knows no port: any
//! reader and writer will do, so tests bring a board made of code.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use bitrack_image::{Image, crc32};
use bitrack_wire::client::{Client, ClientError, RunOutcome};
use bitrack_wire::{HelloReply, RunRequest, Source, TimerUnit, Verdict};

use super::Fault;
use super::fault::{WrongOutput, load_fault, run_fault};
use crate::config::{Board, BoardType, Unit};
use crate::types::{Identity, LayerTicks};

/// Validating an image is a checksum over at most a slot.
const LOAD_WITHIN: Duration = Duration::from_secs(20);

/// What a board is asked for that only its runner decides, in [`Fault::Identity`].
pub const BOARD_TYPE: &str = "board type";

/// How to measure.
#[derive(Debug, Clone, Copy)]
pub struct Counts {
    /// Runs discarded, and runs counted.
    pub warmup: u32,
    pub repeats: u32,
}

/// What a board measured: every output was the host's, bit for bit.
#[derive(Debug, Clone)]
pub struct Run {
    /// Ticks of the counted runs, in order.
    pub repeats: Vec<u64>,
    pub layers: Vec<LayerTicks>,
    pub arena_high_water: u32,
    pub stack_high_water: u32,
    /// CRC-32 of the first test vector's output: the board's, and the host's.
    pub output_crc: u32,
    pub expected_crc: u32,
    pub load: Duration,
    pub run: Duration,
}

/// Checks that a board is the one the configuration means.
///
/// # Errors
/// [`Fault::Identity`] with both values.
pub fn identify(hello: &HelloReply, board: &Board, board_type: &BoardType) -> Result<Identity, Fault> {
    let same = |what, found: String, expected: String| {
        if found == expected { Ok(()) } else { Err(Fault::Identity { what, found, expected }) }
    };
    // Before anything that another runner could mend: this cannot be.
    if let Some(chip_id) = &board.chip_id {
        same("chip id", hello.chip_id.as_str().into(), chip_id.clone())?;
    }
    same(BOARD_TYPE, hello.board_type.as_str().into(), board_type.name.clone())?;
    let unit = unit(hello.timer_unit);
    same("timer unit", unit.to_string(), board_type.unit.to_string())?;
    same("clock in Hz", hello.clock_hz.to_string(), board_type.clock_hz.to_string())?;
    let slots = hello.slots.iter().flatten().map(|s| format!("{:#x}+{:#x}", s.base, s.len));
    let expected = board_type.slots.iter().map(|s| format!("{:#x}+{:#x}", s.base, s.length));
    same("list of flash slots", slots.collect::<Vec<_>>().join(", "), expected.collect::<Vec<_>>().join(", "))?;
    if hello.arena_bytes < board_type.arena {
        same("arena in bytes", hello.arena_bytes.to_string(), format!("at least {}", board_type.arena))?;
    }
    Ok(Identity {
        board_type: board_type.name.clone(),
        chip_id: hello.chip_id.to_string(),
        firmware_revision: hello.firmware_revision.to_string(),
        clock_hz: hello.clock_hz,
        unit: unit.name().to_owned(),
        arena_bytes: hello.arena_bytes,
    })
}

fn unit(unit: TimerUnit) -> Unit {
    match unit {
        TimerUnit::Cycles => Unit::Cycles,
        TimerUnit::Instructions => Unit::Instructions,
    }
}

/// Has the board load the image from `slot`, time it on the first test vector and prove itself on all of them. `silence` is
/// the longest that one inference may say nothing.
///
/// # Errors
/// Whose fault each is: [`Fault::blame`].
pub fn measure<T: Read + Write>(
    client: &mut Client<T>,
    image: &Image<'_>,
    slot: usize,
    counts: Counts,
    silence: Duration,
) -> Result<Run, Fault> {
    let started = Instant::now();
    load(client, image, slot)?;
    let load = started.elapsed();
    let started = Instant::now();
    let timed = run_vector(client, image, 0, counts, silence)?;
    for vector in 1..image.header().n_vectors {
        run_vector(client, image, vector, Counts { warmup: 0, repeats: 1 }, silence)?;
    }
    Ok(Run {
        layers: layer_ticks(image, &timed),
        repeats: timed.repeats,
        arena_high_water: timed.report.arena_high_water,
        stack_high_water: timed.report.stack_high_water,
        output_crc: timed.report.output_crc,
        expected_crc: expected_crc(image, 0)?,
        load,
        run: started.elapsed(),
    })
}

fn load<T: Read + Write>(client: &mut Client<T>, image: &Image<'_>, slot: usize) -> Result<(), Fault> {
    let len = image.header().total_len;
    let info = client.load_image(slot as u8, 0, len, LOAD_WITHIN).map_err(load_fault)?;
    let expected = image.header().image_id();
    if info.image_id == expected {
        return Ok(());
    }
    // Whole and valid, but not ours: an older image of the same length still lies there.
    Err(Fault::CorruptFlash(format!("image id {:08x}, expected {expected:08x}", info.image_id)))
}

/// Runs one test vector; only an output identical to the host's is a success.
fn run_vector<T: Read + Write>(
    client: &mut Client<T>,
    image: &Image<'_>,
    vector: u16,
    counts: Counts,
    silence: Duration,
) -> Result<RunOutcome, Fault> {
    let request = RunRequest {
        warmup: counts.warmup as u16,
        repeats: counts.repeats as u16,
        source: Source::Vector(vector),
        want_layer_ticks: vector == 0,
        want_layer_crcs: false,
    };
    let outcome = client.run(request, silence, |_, _| {}).map_err(run_fault)?;
    let expected = expected_crc(image, vector)?;
    let offset = match outcome.report.verdict {
        // The board's word is not enough: the checksum must agree, and so must the image it claims to have run.
        Verdict::Identical if outcome.report.output_crc == expected => None,
        Verdict::Differs { offset, .. } => Some(offset),
        _ => None,
    };
    let proven = outcome.report.verdict == Verdict::Identical && outcome.report.output_crc == expected;
    if proven && outcome.report.image_id == image.header().image_id() {
        return Ok(outcome);
    }
    let op = first_wrong_op(client, image, request, silence).ok().flatten();
    let found = outcome.report.output_crc;
    Err(Fault::WrongOutput(Box::new(WrongOutput { vector, expected, found, offset, op, repeats: outcome.repeats })))
}

/// Runs once more with checksums of every op's output, to name the first op that computes something else.
fn first_wrong_op<T: Read + Write>(
    client: &mut Client<T>,
    image: &Image<'_>,
    request: RunRequest,
    silence: Duration,
) -> Result<Option<u16>, ClientError> {
    let Source::Vector(index) = request.source else { return Ok(None) };
    let Some(vector) = image.vector(index) else { return Ok(None) };
    let request = RunRequest { warmup: 0, repeats: 1, want_layer_ticks: false, want_layer_crcs: true, ..request };
    let outcome = client.run(request, silence, |_, _| {})?;
    let wrong = outcome.layers.iter().find(|l| l.crc.is_some() && l.crc != vector.op_crc(usize::from(l.index)));
    Ok(wrong.map(|l| l.index))
}

fn expected_crc(image: &Image<'_>, vector: u16) -> Result<u32, Fault> {
    image.vector(vector).map(|v| crc32(v.expected)).ok_or(Fault::NoVector)
}

/// The board's ticks per op with the op's kind and widths, which the image's header tables say.
fn layer_ticks(image: &Image<'_>, outcome: &RunOutcome) -> Vec<LayerTicks> {
    let bits = |tensor: u16| image.tensor(tensor).map(|t| t.bits);
    let layer = |report: &bitrack_wire::LayerReport| {
        let op = image.op(report.index)?;
        Some(LayerTicks {
            index: u32::from(report.index),
            kind: op.kind.name().to_owned(),
            variant: None,
            weight_bits: op.kind.has_weights().then_some(op.w_bits),
            input_bits: bits(op.in0)?,
            output_bits: bits(op.out)?,
            ticks: report.ticks?,
        })
    };
    outcome.layers.iter().filter_map(layer).collect()
}

#[cfg(test)]
mod tests;
