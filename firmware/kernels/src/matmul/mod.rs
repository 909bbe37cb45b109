//! The product of packed weights with expanded activations, which is where convolutions spend their time.
//!
//! Activations arrive as *columns*: 16-bit values, two pixels interleaved word by word, each word holding values
//! `k` and `k + 2` of a group of four (the order in which `UXTB16` unpacks a byte word). Weights arrive per *quad* of
//! four output channels in the order of [`layout`]. A quad times two columns is eight accumulators, which is what
//! fits the register file beside pointers, two weight words and two activation words.

#[cfg(target_arch = "arm")]
mod cortex_m;
pub(crate) mod layout;
#[cfg(not(target_arch = "arm"))]
mod portable;

use crate::buffers::Output;
use crate::parts::{Parts, ensure};
use crate::quads::QUAD;
use crate::requant::{Channel, Requant};
use crate::{Bits, Kernel, activations, quads};

/// Values of one output pixel that are multiplied before an accumulator's fields are taken apart; see [`layout`].
pub(crate) const BLOCK: usize = 256;

/// `L` expanded pixels (two of a convolution, or one vector) and the sum of each one's values.
pub(crate) struct Columns<'a, const L: usize> {
    /// `k * L / 2` words: group by group, the even values of every pixel, then the odd values.
    pub words: &'a [u32],
    /// Sum over all values of each pixel, padding values included.
    #[cfg_attr(not(target_arch = "arm"), expect(dead_code, reason = "the host takes the offset off the weights"))]
    pub sums: [i32; L],
}

/// The weights and constants of an operator, checked to belong together.
#[derive(Clone)]
pub(crate) struct Panel<'a> {
    /// `layout::weights_len` bytes, 4-byte aligned.
    pub weights: &'a [u8],
    /// One per output channel.
    pub channels: &'a [Channel],
    /// Values per output channel: a multiple of four, of eight for a single vector.
    pub k: usize,
    pub w_bits: Bits,
    pub out_bits: Bits,
    #[cfg(not(target_arch = "arm"))]
    requant: Requant,
    #[cfg(not(target_arch = "arm"))]
    plain: portable::Plain,
    /// The first quad of `plain`.
    #[cfg(not(target_arch = "arm"))]
    first: usize,
    /// Whole quads of channels.
    quads: usize,
    /// Bytes of an output pixel.
    pixel: usize,
    #[cfg(target_arch = "arm")]
    kernel: cortex_m::Kernel,
}

impl<'a> Panel<'a> {
    /// Of buffers that were checked to belong together. `bits` of weights, input and output; `LANES` as of the columns to come.
    #[inline(always)]
    pub fn new<const LANES: usize>(
        weights: &'a [u8],
        channels: &'a [Channel],
        k: usize,
        bits: [Bits; 3],
        requant: Requant,
    ) -> Self {
        let [w_bits, _, out_bits] = bits;
        ensure(weights.len() == layout::weights_len(channels.len(), k, w_bits));
        Panel {
            weights,
            channels,
            k,
            w_bits,
            out_bits,
            #[cfg(not(target_arch = "arm"))]
            requant: requant.unclamped(out_bits),
            #[cfg(not(target_arch = "arm"))]
            plain: portable::Plain::new(weights, w_bits),
            #[cfg(not(target_arch = "arm"))]
            first: 0,
            quads: channels.len() / QUAD,
            pixel: activations::pixel_bytes(channels.len(), out_bits),
            #[cfg(target_arch = "arm")]
            kernel: cortex_m::Kernel::new::<LANES>(bits, k, requant),
        }
    }

    /// Computes all channels of `L` output pixels at byte `offsets` of `output`, none of which is after the last.
    #[inline(always)]
    pub fn run<const L: usize>(&self, columns: &Columns<'_, L>, output: &Output<'_>, offsets: [usize; L]) {
        ensure(columns.words.len() >= self.k * L / 2 && offsets[0] <= offsets[L - 1]);
        ensure(offsets[L - 1] + self.pixel <= output.len());
        if self.quads > 0 {
            let start = output.pointer();
            let pixels = offsets.map(|at| start.wrapping_add(at));
            // SAFETY: `quads` whole quads of weights, constants and outputs exist: checked in `new` and just above.
            unsafe { self.whole_quads(columns, self.quads, pixels) };
        }
        let partial = if L == 1 { Kernel::FullyConnectedPartial } else { Kernel::PartialQuads };
        if partial.is_built() && self.channels.len() > self.quads * QUAD {
            self.tail(columns, output, offsets);
        }
    }

    /// Computes pixels side by side, as many pairs as `row` has and `output` holds, expanding each to `words`; returns the number of
    /// pixels.
    #[cfg(target_arch = "arm")]
    pub fn pixels(&self, row: &crate::columns::Row, words: &mut [u32], output: &Output<'_>) -> usize {
        let pairs = row.pixels.min(crate::parts::quotient(output.len(), self.pixel)) / 2;
        if pairs == 0 || self.channels.len() != self.quads * QUAD || words.len() < self.k {
            return 0;
        }
        // SAFETY: `quads` whole quads of weights and constants exist, checked in `new`; so many pixels exist in input and output, and
        // `words` holds two of them.
        unsafe { cortex_m::pixels(self, row, words, output.pointer(), pairs) };
        2 * pairs
    }

    /// Computes the last, incomplete quad with made-up constants for the missing channels.
    #[inline(never)]
    fn tail<const L: usize>(&self, columns: &Columns<'_, L>, output: &Output<'_>, offsets: [usize; L]) {
        let mut channels = [Channel::default(); QUAD];
        let rest = self.channels.part(self.quads * QUAD..);
        channels.iter_mut().zip(rest).for_each(|(channel, &given)| *channel = given);
        let weights = self.weights.part(self.quads * layout::quad_len(self.k, self.w_bits)..);
        let panel = Panel {
            weights,
            channels: &channels,
            #[cfg(not(target_arch = "arm"))]
            first: self.first + self.quads,
            ..self.clone()
        };
        let mut words = [[0; 4]; L];
        let pixels = words.each_mut().map(|bytes| bytes.as_mut_ptr());
        // SAFETY: one quad of weights is left, four constants exist and each output has room for four bytes.
        unsafe { panel.whole_quads(columns, 1, pixels) };
        let mask = (1 << (rest.len() * usize::from(self.out_bits.get()))) - 1;
        for (at, word) in offsets.into_iter().zip(words) {
            self.store_last(output, at, u32::from_le_bytes(word) & mask);
        }
    }

    /// Writes the last quad's packed outputs to the end of the pixel at byte `at`.
    #[cfg_attr(feature = "all", inline(always))]
    #[cfg_attr(not(feature = "all"), inline(never))]
    fn store_last(&self, output: &Output<'_>, at: usize, outputs: u32) {
        let bytes = outputs.to_le_bytes();
        let start = at + quads::quad_bytes(self.quads * QUAD, self.out_bits);
        // SAFETY: nothing else is touched meanwhile.
        let target = unsafe { output.rest(start) }.part_mut(..at + self.pixel - start);
        target.iter_mut().zip(bytes).for_each(|(target, byte)| *target = byte);
    }

    /// # Safety
    /// `count > 0` quads must exist in weights and channels, and room for their outputs at each pixel.
    #[inline(always)]
    unsafe fn whole_quads<const L: usize>(&self, columns: &Columns<'_, L>, count: usize, pixels: [*mut u8; L]) {
        #[cfg(target_arch = "arm")]
        // SAFETY: the caller's promise.
        unsafe {
            cortex_m::quads(self, columns, count, pixels);
        }
        #[cfg(not(target_arch = "arm"))]
        // SAFETY: the caller's promise.
        unsafe {
            portable::quads(self, columns, count, pixels);
        }
    }
}
