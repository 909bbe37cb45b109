//! Runs of quads: four channels of one pixel after the other, which is how operators without weights see a tensor.
//!
//! A quad that the tensor's end cuts short is copied to a whole one; what its missing channels give is never looked at.

#[cfg(target_arch = "arm")]
mod cortex_m;
#[cfg(not(target_arch = "arm"))]
mod portable;

#[cfg(target_arch = "arm")]
use cortex_m as machine;
#[cfg(not(target_arch = "arm"))]
use portable as machine;

use crate::buffers::{Input, Output};
use crate::built::missing;
use crate::parts::{Parts, ensure};
use crate::quads::{QUAD, quad_bytes};
use crate::{Bits, Kernel};

/// How many bytes can be added in 16 bits.
const MAX_PAIR_SUM: usize = 257;

/// The longest run that is taken as a whole.
pub(crate) const MAX_PLAIN_RUN: usize = MAX_PAIR_SUM;

/// The largest step at which the end of a short run is computed without overflow.
const MAX_STEP: usize = 1 << 20;

/// Packed bytes of a whole quad.
pub(crate) const fn quad_len(bits: Bits) -> usize {
    quad_bytes(QUAD, bits)
}

/// Quads of a tensor, `step` bytes apart; the same one again and again if that is 0.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    /// From the first quad on; the last ones may be cut short.
    pub bytes: &'a [u8],
    pub step: usize,
    pub count: usize,
    pub bits: Bits,
}

impl Run<'_> {
    /// The sum of each channel. `count` is less than 2^24.
    pub fn sums(&self) -> [u32; QUAD] {
        let mut sums = [0; QUAD];
        self.parts(&mut |first, count| {
            // SAFETY: `parts` hands out whole quads.
            let [even, odd] = unsafe { machine::sum(first, self.step, count, self.bits) };
            let parts = [even & 0xFFFF, odd & 0xFFFF, even >> 16, odd >> 16];
            sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
        });
        sums
    }

    /// The largest value of each channel.
    pub fn maxima(&self) -> [u8; QUAD] {
        let mut maxima = [0; QUAD];
        self.parts(&mut |first, count| {
            // SAFETY: `parts` hands out whole quads.
            let word = unsafe { machine::max(first, self.step, count, self.bits) };
            maxima.iter_mut().zip(word.to_le_bytes()).for_each(|(max, byte)| *max = byte.max(*max));
        });
        maxima
    }

    /// Writes each channel as a half-word: channel `c` of quad `i` to `words[(4 * i + c) * pairs]`, in the low half or the high.
    #[cfg(not(target_arch = "arm"))]
    pub fn spread(&self, words: &mut [u32], pairs: usize, high: bool) {
        let mut rest = words.as_mut_ptr().cast::<u16>().wrapping_add(usize::from(high));
        assert!(words.len() > (QUAD * self.count - 1) * pairs, "strip");
        self.parts(&mut |first, count| {
            // SAFETY: `parts` hands out whole quads; all of them have room in `words`, which was checked above.
            unsafe { machine::spread(first, self.step, count, self.bits, rest, 2 * pairs) };
            rest = rest.wrapping_add(2 * pairs * QUAD * count);
        });
    }

    /// Takes the run apart into stretches of whole quads that can be summed in 16 bits.
    #[inline(always)]
    fn parts(&self, each: &mut impl FnMut(*const u8, usize)) {
        let end = self.count.wrapping_sub(1).wrapping_mul(self.step).wrapping_add(quad_len(self.bits));
        if (1..=MAX_PAIR_SUM).contains(&self.count) && self.step <= MAX_STEP && end <= self.bytes.len() {
            each(self.bytes.as_ptr(), self.count);
        } else if Kernel::PoolAny.is_built() || cfg!(not(target_arch = "arm")) {
            self.rare_parts(each);
        } else {
            missing();
        }
    }

    /// The same for runs that are long or cut short.
    #[cold]
    fn rare_parts(&self, each: &mut dyn FnMut(*const u8, usize)) {
        let len = quad_len(self.bits);
        let (mut bytes, mut count) = (self.bytes, self.count);
        while count > 0 {
            let whole = bytes
                .len()
                .checked_sub(len)
                .map_or(0, |room| room.checked_div(self.step).map_or(count, |last| last + 1));
            let part = whole.min(count).min(MAX_PAIR_SUM);
            if part > 0 {
                each(bytes.as_ptr(), part);
            } else {
                each(filled_up(bytes).as_ptr(), 1);
            }
            count -= part.max(1);
            bytes = bytes.get(part.max(1) * self.step..).unwrap_or_default();
        }
    }
}

/// A quad of which the last channels are missing.
fn filled_up(cut_short: &[u8]) -> [u8; QUAD] {
    let mut quad = [0; QUAD];
    quad.iter_mut().zip(cut_short).for_each(|(byte, &given)| *byte = given);
    quad
}

/// `clamp(act_min, act_max, (x1 * mult1 + x2 * mult2 + bias) >> shift)`, see [`crate::add::AddArgs`].
pub(crate) struct Sum {
    /// Of both inputs and the output.
    pub bits: [Bits; 3],
    pub mults: [i32; 2],
    pub bias: i32,
    pub shift: u8,
    pub act_min: u8,
    pub act_max: u8,
}

impl Sum {
    /// One channel.
    #[cfg(not(target_arch = "arm"))]
    #[inline(always)]
    fn of(&self, x1: u8, x2: u8) -> u8 {
        let products =
            i32::from(x1).wrapping_mul(self.mults[0]).wrapping_add(i32::from(x2).wrapping_mul(self.mults[1]));
        let y = products.wrapping_add(self.bias) >> self.shift;
        (y.clamp(0, 255) as u8).clamp(self.act_min, self.act_max)
    }

    /// Adds `channels` values that lie side by side, of which the last may fill less than a quad, to byte `at` of `output`.
    pub fn apply(&self, inputs: [Input<'_>; 2], output: &Output<'_>, at: usize, channels: usize) {
        let count = channels / QUAD;
        let ends = self.bits.map(|bits| count * quad_len(bits));
        let rests = [inputs[0].rest(ends[0]), inputs[1].rest(ends[1])];
        ensure(at + ends[2] <= output.len());
        if count > 0 {
            let target = output.pointer().wrapping_add(at);
            // SAFETY: `count` whole quads of each lie there: just checked.
            unsafe { machine::add(self, inputs.map(|input| input.pointer()), target, count) };
        }
        let live = channels % QUAD;
        if live > 0 {
            let [len1, len2, len] = self.bits.map(|bits| quad_bytes(live, bits));
            // SAFETY: nothing is written before both have been copied.
            let [rest1, rest2] = rests.map(|rest| unsafe { rest.bytes() });
            let (x1, x2, mut y) = (filled_up(rest1.part(..len1)), filled_up(rest2.part(..len2)), [0; QUAD]);
            // SAFETY: a quad has at most four bytes.
            unsafe { machine::add(self, [x1.as_ptr(), x2.as_ptr()], y.as_mut_ptr(), 1) };
            let fields = live * usize::from(self.bits[2].get());
            let word = u32::from_le_bytes(y) & ((1 << fields) - 1);
            // SAFETY: nothing is read any more.
            let rest = unsafe { output.rest(at + ends[2]) };
            rest.part_mut(..len).iter_mut().zip(word.to_le_bytes()).for_each(|(target, byte)| *target = byte);
        }
    }
}
