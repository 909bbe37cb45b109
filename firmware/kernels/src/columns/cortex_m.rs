//! Two windows inside the input at once: `expand.s`.

use crate::buffers::Input;
use crate::built::by_activations;
use crate::parts::quotient;
use crate::{Bits, ConvShape};

core::arch::global_asm!(include_str!("expand.s"), options(raw));

/// Arguments in the order of `expand.s`.
#[repr(C)]
struct Pair {
    sources: [*const u8; 2],
    destination: *mut u32,
    /// Of four bytes at 8 bits, of eight values below.
    units: usize,
    skip: usize,
    rows: usize,
}

unsafe extern "C" {
    // Called by the product's loop over pixels, with registers of its own choice.
    fn bitrack_expand_row_b8();
    fn bitrack_expand_row_b4();
    fn bitrack_expand_row_b2();
    // Both sums, in the halves of a 64-bit value.
    fn bitrack_expand_b8(pair: &Pair) -> u64;
    fn bitrack_expand_b4(pair: &Pair) -> u64;
    fn bitrack_expand_b2(pair: &Pair) -> u64;
}

/// Pixels side by side that are expanded one row each, for `bitrack_pixels` in `pair.s`.
pub(crate) struct Row {
    pub expand: unsafe extern "C" fn(),
    pub units: usize,
    /// From the first pixel on.
    pub source: *const u8,
    /// Bytes from pixel to pixel.
    pub step: usize,
    /// Pixels of which every unit lies in the input.
    pub pixels: usize,
}

/// What is the same for all pairs of windows.
pub(super) struct Expander {
    units: usize,
    skip: usize,
    rows: usize,
    /// The last offset from which every unit of every row lies in the input; `None` if there is none.
    last_offset: Option<usize>,
    words: usize,
    kernel: Kernel,
}

type Kernel = unsafe extern "C" fn(&Pair) -> u64;

impl Expander {
    pub fn new(shape: &ConvShape, bits: Bits, row: usize, pixel_bytes: usize, input: &Input<'_>) -> Self {
        let kernel: Kernel = by_activations!(bits, bitrack_expand_b8, bitrack_expand_b4, bitrack_expand_b2);
        let (units, unit_bytes) = match bits {
            Bits::B8 => (row.div_ceil(4), 4),
            Bits::B4 => (row / 8, 4),
            Bits::B2 => (row / 8, 2),
        };
        let rows = usize::from(shape.k_h);
        let row_step = usize::from(shape.in_w) * pixel_bytes;
        Expander {
            units,
            skip: row_step.wrapping_sub(units * unit_bytes),
            rows,
            last_offset: input.len().checked_sub((rows - 1) * row_step + units * unit_bytes),
            words: rows * row.next_multiple_of(4),
            kernel,
        }
    }

    /// The windows of single pixels, if there are two or more.
    pub fn row(&self, input: &Input<'_>, bits: Bits, step: usize) -> Option<Row> {
        let expand = by_activations!(bits, bitrack_expand_row_b8, bitrack_expand_row_b4, bitrack_expand_row_b2);
        let pixels = quotient(self.last_offset?, step) + 1;
        Some(Row { expand, units: self.units, source: input.pointer(), step, pixels })
    }

    /// Whether every unit of every row of the window at this offset lies in the input.
    #[inline(always)]
    pub fn fits(&self, offset: usize) -> bool {
        self.last_offset.is_some_and(|last| offset <= last)
    }

    /// Expands the windows at two byte offsets, the larger one second; `None` if whole units would read beyond the input,
    /// which happens to rows that are not a multiple of four bytes at its very end.
    #[inline(always)]
    pub fn pair(&self, input: &Input<'_>, offsets: [usize; 2], words: &mut [u32]) -> Option<[i32; 2]> {
        debug_assert!(offsets[0] <= offsets[1]);
        if !self.fits(offsets[1]) || words.len() < self.words {
            return None;
        }
        let Expander { units, skip, rows, .. } = *self;
        let start = input.pointer();
        let sources = offsets.map(|at| start.wrapping_add(at));
        let args = Pair { sources, destination: words.as_mut_ptr(), units, skip, rows };
        // SAFETY: every unit of every row lies in the input, for the second window and so for the first, `words` holds two
        // lanes of `rows` rows: both checked above.
        let sums = unsafe { (self.kernel)(&args) };
        Some([sums as i32, (sums >> 32) as i32])
    }
}
