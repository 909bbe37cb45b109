//! The inner loop of `any.s`: one channel after the other, two taps an instruction.

use crate::depthwise::{Job, Strip};
use crate::quads::QUAD;

/// Arguments of `filter`, in the order of `any.s`.
#[repr(C)]
struct Filter {
    /// The channel's first pair in the first window.
    window: *const u32,
    outputs: usize,
    /// Bytes from behind a column's pairs to the next column's.
    skip: usize,
    /// One byte in four.
    output: *mut u8,
    weights: *const u32,
    /// Bytes from window to window.
    step: usize,
    columns: usize,
    pairs: usize,
    bias: i32,
    mult: i32,
    shift: u32,
    zero: u32,
    /// The largest output.
    max: u32,
}

/// Slides the kernel along the channels of the strip; byte `c` of each output's word is channel `c`'s requantized value.
#[inline(always)]
pub(super) fn filter(job: &mut Job<'_>, strip: &Strip) {
    for c in 0..job.quad_channels().len() {
        channel(job, strip, c);
    }
}

fn channel(job: &mut Job<'_>, strip: &Strip, c: usize) {
    let (pairs, columns) = (job.plan.pairs, job.plan.k_w);
    let taps = columns * pairs;
    let params = &job.params[c * (taps + 2)..(c + 1) * (taps + 2)];
    let stride = usize::from(job.shape.stride_w) * pairs * QUAD;
    let (window, outputs) = (&job.strip[c * pairs..], &mut job.bytes[..strip.outputs]);
    let last = (strip.outputs - 1) * stride + (columns - 1) * pairs * QUAD + pairs;
    assert!(c < QUAD && pairs > 0 && window.len() >= last, "strip");
    let args = Filter {
        window: window.as_ptr(),
        outputs: outputs.len(),
        skip: 4 * pairs * (QUAD - 1),
        output: outputs.as_mut_ptr().cast::<u8>().wrapping_add(c),
        weights: params.as_ptr(),
        step: 4 * stride,
        columns,
        pairs,
        bias: params[taps] as i32,
        mult: params[taps + 1] as i32,
        shift: job.requant.shift.into(),
        zero: job.requant.out_zero.into(),
        max: job.requant.act_max.into(),
    };
    // SAFETY: every window of every output lies in the strip, `taps` weights in `params`: checked above.
    unsafe { slide(&args) }
}

core::arch::global_asm!(include_str!("../any.s"), options(raw));

unsafe extern "C" {
    #[link_name = "bitrack_dw_filter"]
    fn slide(args: &Filter);
}
