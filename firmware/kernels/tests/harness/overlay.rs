//! Where a case's buffers lie: apart, or one over the other as far as the op bears it.

extern crate alloc;

use alloc::format;
use alloc::string::String;
use core::ops::Range;

use bitrack_kernels::{Arena, Input, Output, Overlay, conv2d, depthwise, fully_connected};

use super::guarded::{GUARD_BYTE, Guarded};
use super::{Op, Setting};

/// Input, scratch and output of a case.
pub enum Buffers {
    Apart {
        input: Guarded,
        scratch: Guarded,
        output: Guarded,
    },
    /// Parts of one arena. Between those that do not overlap lie bytes that nobody may touch.
    Overlaid {
        arena: Guarded,
        input: Range<usize>,
        scratch: Range<usize>,
        output: Range<usize>,
    },
}

/// Which buffer lies over the input, and on which side of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The output starts before the input.
    Before,
    /// The output starts behind the input.
    Behind,
    /// Scratch starts before the input.
    Scratch,
}

impl Place {
    pub const ALL: [Place; 3] = [Place::Before, Place::Behind, Place::Scratch];
}

/// Bytes between buffers that do not overlap.
const GAP: usize = 16;

impl Buffers {
    pub fn input_mut(&mut self) -> &mut [u8] {
        match self {
            Buffers::Apart { input, .. } => input.get_mut(),
            Buffers::Overlaid { arena, input, .. } => &mut arena.get_mut()[input.clone()],
        }
    }

    pub fn output(&self) -> &[u8] {
        match self {
            Buffers::Apart { output, .. } => output.get(),
            Buffers::Overlaid { arena, output, .. } => &arena.get()[output.clone()],
        }
    }

    /// As the kernel takes them: input, scratch, output.
    pub fn views(&mut self) -> (Input<'_>, Output<'_>, Output<'_>) {
        match self {
            Buffers::Apart { input, scratch, output } => {
                (input.get().into(), scratch.get_mut().into(), output.get_mut().into())
            }
            Buffers::Overlaid { arena, input, scratch, output } => {
                let arena = Arena::new(arena.get_mut());
                let inside = "parts lie in the arena";
                (
                    arena.input(input).expect(inside),
                    arena.output(scratch).expect(inside),
                    arena.output(output).expect(inside),
                )
            }
        }
    }

    /// Looks at what nobody may touch.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Buffers::Apart { input, scratch, output } => {
                input.check("input")?;
                scratch.check("scratch")?;
                output.check("output")
            }
            Buffers::Overlaid { arena, input, scratch, output } => {
                arena.check("arena")?;
                let parts = [input, scratch, output];
                let free = |at: &usize| !parts.iter().any(|part| part.contains(at));
                match (0..arena.get().len()).filter(free).find(|&at| arena.get()[at] != GUARD_BYTE) {
                    Some(at) => Err(format!("byte {at} of the arena was written, which is no buffer's: {parts:?}")),
                    None => Ok(()),
                }
            }
        }
    }
}

/// An arena in which the op's buffers overlap as closely as it bears; `None` if it does not bear this.
pub fn arena(op: &Op, setting: &Setting, place: Place) -> Option<Buffers> {
    let Setting { variant, w_bits, in_bits, out_bits, .. } = *setting;
    let overlay = match (op, place) {
        (Op::Conv(shape), Place::Before) => Some(conv2d::overlay(shape, in_bits, out_bits)),
        (Op::Depthwise(shape), Place::Before | Place::Behind) => depthwise::overlay(shape, variant, in_bits, out_bits),
        (Op::Fc(shape), Place::Scratch) => Some(fully_connected::scratch_overlay(shape, in_bits)),
        _ => None,
    }?;
    let [input_len, output_len] = [op.input_bytes(in_bits), op.output_bytes(out_bits)];
    let scratch_len = op.scratch_len(variant, w_bits, in_bits, out_bits);
    let over = if place == Place::Scratch { scratch_len } else { output_len };
    let (input, over) = parts(overlay, [input_len, over], place == Place::Behind)?;
    // Scratch is words; the others may start anywhere.
    let shift = if place == Place::Scratch { 0 } else { setting.offset };
    let [input, over] = [input, over].map(|part| part.start + shift..part.end + shift);
    let rest = (input.end.max(over.end) + GAP).next_multiple_of(4);
    let (scratch, output) = match place {
        Place::Scratch => (over, rest..rest + output_len),
        _ => (rest..rest + scratch_len, over),
    };
    let arena = Guarded::new(scratch.end.max(output.end), 0);
    Some(Buffers::Overlaid { arena, input, scratch, output })
}

/// The input's bytes and those of what lies over it, as close as they may be.
pub fn parts(overlay: Overlay, [input, over]: [usize; 2], behind: bool) -> Option<(Range<usize>, Range<usize>)> {
    let distance = if behind { overlay.behind? } else { overlay.before };
    let (of_input, of_over) = if behind { (0, distance) } else { (distance, 0) };
    Some((of_input..of_input + input, of_over..of_over + over))
}
