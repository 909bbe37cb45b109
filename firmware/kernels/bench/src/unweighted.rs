//! Operators without weights against the oracle, on this processor: what the host's property tests draw, as a table.

use core::fmt::Write;

use alloc::string::String;
use bitrack_kernels::{Bits, PoolShape};

use crate::HEAP;
use crate::board::Uart;
use crate::harness::plain::{check_add, check_average, check_max, uncounted};

/// Maps of `h x w x channels` under a window of `k_h x k_w`, strides and padding: incomplete quads, windows that padding cuts,
/// maps smaller than a word.
const POOLS: &[([u16; 3], [u16; 2], u16, u16)] = &[
    ([1, 1, 1], [1, 1], 1, 0),
    ([1, 2, 1], [1, 2], 1, 0),
    ([3, 3, 2], [2, 2], 1, 1),
    ([5, 4, 3], [3, 2], 2, 1),
    ([6, 6, 5], [3, 3], 3, 0),
    ([7, 5, 8], [3, 3], 2, 1),
    ([2, 700, 5], [2, 700], 1, 0),
    ([4, 9, 13], [4, 3], 1, 2),
];

/// Pixels and channels.
const ADDITIONS: &[(u32, u16)] = &[(1, 1), (3, 2), (5, 3), (7, 4), (4, 5), (3, 6), (9, 7), (5, 16), (2, 19)];

/// All of them at all widths.
pub fn check() -> bool {
    let (mut cases, mut wrong) = (0u32, 0u32);
    let mut note = |verdict: Result<(), String>| {
        cases += 1;
        if let Err(difference) = verdict {
            wrong += 1;
            let _ = writeln!(Uart, "WRONG {difference}");
        }
    };
    let widths = || Bits::ALL.into_iter().flat_map(|i| Bits::ALL.map(|o| (i, o)));
    for seed in 0..8 {
        for (in_bits, out_bits) in widths() {
            for shape in POOLS.iter().map(pool) {
                // SAFETY: the previous case is gone.
                unsafe { HEAP.reset() };
                note(check_average(shape, in_bits, out_bits, seed, &mut uncounted));
                note(check_max(shape, in_bits, out_bits, seed, &mut uncounted));
            }
            for (&(pixels, channels), bits1) in ADDITIONS.iter().flat_map(|tensor| Bits::ALL.map(|bits| (tensor, bits)))
            {
                // SAFETY: the previous case is gone.
                unsafe { HEAP.reset() };
                note(check_add(pixels, channels, [bits1, in_bits, out_bits], seed, &mut uncounted));
            }
        }
    }
    let _ = writeln!(Uart, "# {cases} cases of operators without weights, {wrong} wrong");
    wrong == 0
}

fn pool(&([in_h, in_w, channels], [k_h, k_w], stride, pad): &([u16; 3], [u16; 2], u16, u16)) -> PoolShape {
    let (pad_top, pad_left) = (pad.min(k_h - 1), pad.min(k_w - 1));
    PoolShape {
        in_h,
        in_w,
        channels,
        out_h: (in_h + 2 * pad_top - k_h) / stride + 1,
        out_w: (in_w + 2 * pad_left - k_w) / stride + 1,
        k_h,
        k_w,
        stride_h: stride,
        stride_w: stride,
        pad_top,
        pad_left,
    }
}
