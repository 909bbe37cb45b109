//! 3x3 kernels at stride 2 on a core with the DSP extension: `pairs3x3.s`.

use super::cortex_m::{Label, Spread, bitrack_dw3_expanded, shift_params, spread};
use super::plan::{PAIRS_OUTPUTS, PAIRS_ROWS};
use super::{Job, Strip, layout};
use crate::Kernel;
use crate::buffers::Output;
use crate::built::by_activations;
use crate::quads::QUAD;
use crate::requant::Channel;

core::arch::global_asm!(include_str!("pairs3x3.s"), options(raw));

/// Bytes from row to row of a channel in the strip, and from channel to channel, as `pairs3x3.s` has them.
const ROW: usize = 4 * (PAIRS_OUTPUTS + 1);
const CHANNEL: usize = (2 * PAIRS_ROWS + 1) * ROW;
/// A strip, row by row of pairs of each channel.
type Pairs = [u32; QUAD * CHANNEL / 4];

/// Arguments of `pairs`, in the order of `pairs3x3.s`: bands of rows of outputs, of all quads.
#[repr(C)]
struct Bands {
    /// The first pixel of those in pairs, of a column of pixels before them and of one behind them whose neighbours are padding, and the
    /// first output.
    input: *const u8,
    head: *const u8,
    tail: *const u8,
    out: *mut u8,
    /// From where on pairs go to the strip, one pixel to the next, pairs in a row; from the end of a row to the next one, in the input and
    /// in the strip, and where the strip is after all rows.
    step: usize,
    to: *mut u8,
    pairs: usize,
    in_skip: usize,
    skip: usize,
    rows_end: *mut u8,
    expand: Label,
    /// A pair before the first channel's last column of outputs, and before its first one.
    end: *const u8,
    strip: *const u8,
    bytes: *mut u32,
    zero: u32,
    body: Label,
    /// From a channel's end to the next one, in the strip and in the outputs.
    next: usize,
    next_byte: usize,
    store: Label,
    out_step: usize,
    outputs: usize,
    /// The second and third row of outputs behind the first; zero for one that is none.
    second: usize,
    third: usize,
    weights: *const u8,
    channels: *const Channel,
    spread: Spread,
    weight_bytes: usize,
    lane: Label,
    row_step: usize,
    rows: usize,
    /// Where `head` and `tail` go; null where there is none.
    head_to: *mut u8,
    tail_to: *mut u8,
    /// From a band to the next one, and from the last one to the next quad's first, in the input and in the output.
    to_band: [usize; 2],
    to_quad: [usize; 2],
    bands: usize,
    left: usize,
    quads: usize,
    shift: u32,
    /// Shifts the weights, where they are to be shifted.
    shifted: Option<extern "C" fn(&mut [[u32; 7]; QUAD], u32)>,
}

unsafe extern "C" {
    fn bitrack_dw3_pairs(args: &Bands);
    // Called by `pairs` with registers of its own choice.
    fn bitrack_dw3_pairs_r3();
    fn bitrack_dw3_pairs_r1();
    fn bitrack_dw3_pairs_expand_b8();
    fn bitrack_dw3_pairs_expand_b4();
    fn bitrack_dw3_pairs_expand_b2();
    fn bitrack_dw3_pairs_lane_b8();
    fn bitrack_dw3_pairs_lane_b4();
    fn bitrack_dw3_pairs_lane_b2();
    fn bitrack_dw3_pairs_store_b8();
    fn bitrack_dw3_pairs_store_b4();
    fn bitrack_dw3_pairs_store_b2();
}

/// Runs all whole quads, strip by strip; returns their number.
#[inline(never)]
pub(super) fn run(job: &mut Job<'_>, output: &Output<'_>) -> usize {
    job.quad = 0;
    let mut first = 0;
    while let Some(strip) = job.strip(first) {
        first += strip.outputs;
        let mut pairs: Pairs = [padding(job); _];
        let mut args = strip_args(job, &strip);
        let (mut row, height) = (0, usize::from(job.shape.out_h));
        while row < height {
            let count = if height - row < PAIRS_ROWS { 1 } else { PAIRS_ROWS };
            args.out = output.pointer().wrapping_add(job.out_offset(row, strip.first));
            place(job, &strip, [row, count], &mut pairs, &mut args);
            // SAFETY: so many bands of `count` rows of outputs exist from `out` on, with all columns of the strip, and all pixels under
            // them that are not padding; strip and bytes hold a band, and there are `quads` quads of everything.
            unsafe { bitrack_dw3_pairs(&args) };
            row += args.bands * count;
        }
    }
    quads(job)
}

fn padding(job: &Job<'_>) -> u32 {
    u32::from(job.in_zero) * 0x0001_0001
}

fn quads(job: &Job<'_>) -> usize {
    job.channels.len() / QUAD
}

/// Goes to the rows under `count` rows of outputs from `row` on, and as many bands below as need no padding either.
#[inline(never)]
fn place(job: &Job<'_>, strip: &Strip, [row, count]: [usize; 2], pairs: &mut Pairs, args: &mut Bands) {
    let (shape, pixel) = (job.shape, job.in_pixel_bytes);
    let (in_h, in_w, pad) = (usize::from(shape.in_h), usize::from(shape.in_w), usize::from(shape.pad_top));
    let (in_row, out_row) = (in_w * pixel, usize::from(shape.out_w) * job.out_pixel_bytes);
    let above = pad.saturating_sub(2 * row);
    let y = 2 * row + above - pad;
    let rows = 2 * count + 1;
    args.rows = (rows - above).min(in_h - y);
    if row > 0 && args.rows < rows {
        pairs.fill(padding(job));
    }
    let is_full = count == PAIRS_ROWS;
    args.body = if is_full { bitrack_dw3_pairs_r3 } else { bitrack_dw3_pairs_r1 };
    (args.second, args.third) = if is_full { (out_row, 2 * out_row) } else { (0, 0) };
    let height = usize::from(shape.out_h);
    args.bands = if args.rows < rows || !is_full {
        1
    } else {
        ((height - row) / PAIRS_ROWS).min((in_h - y - rows) / (2 * PAIRS_ROWS) + 1)
    };
    args.left = args.bands;
    args.to_band = [2 * count * in_row, count * out_row];
    let back = (args.bands - 1).wrapping_neg();
    args.to_quad = [
        back.wrapping_mul(args.to_band[0]).wrapping_add(job.in_quad_bytes()),
        back.wrapping_mul(args.to_band[1]).wrapping_add(job.out_quad_bytes()),
    ];
    // The strip reaches to the pixel beside the last one, where there is one, so that pairs are whole.
    let valid = (2 * strip.outputs + 2 - strip.left).min(in_w - strip.start);
    let head = strip.left % 2;
    let (whole, tail) = ((valid - head) / 2, (valid - head) % 2);
    let start = pairs.as_mut_ptr().cast::<u8>();
    args.strip = start.wrapping_sub(4);
    args.end = args.strip.wrapping_add(4 * strip.outputs);
    let to = start.wrapping_add(above * ROW + 2 * strip.left);
    let input = job.input.pointer().wrapping_add((y * in_w + strip.start) * pixel);
    args.head = input;
    args.head_to = if head > 0 { to } else { core::ptr::null_mut() };
    args.tail = input.wrapping_add((valid - 1) * pixel);
    args.tail_to = if tail > 0 { to.wrapping_add(2 * (valid - 1)) } else { core::ptr::null_mut() };
    args.input = input.wrapping_add(head * pixel);
    args.to = to.wrapping_add(2 * head);
    args.pairs = whole;
    args.in_skip = in_row - 2 * whole * pixel;
    args.skip = ROW - 4 * whole;
    args.rows_end = args.to.wrapping_add(args.rows * ROW);
    args.expand = if whole > 0 { expand(job) } else { bitrack_dw3_expanded };
}

/// What bands of a strip have in common.
#[inline(never)]
fn strip_args(job: &mut Job<'_>, strip: &Strip) -> Bands {
    Bands {
        input: core::ptr::null(),
        head: core::ptr::null(),
        tail: core::ptr::null(),
        out: core::ptr::null_mut(),
        step: job.in_pixel_bytes,
        to: core::ptr::null_mut(),
        pairs: 0,
        in_skip: 0,
        skip: 0,
        rows_end: core::ptr::null_mut(),
        expand: bitrack_dw3_expanded,
        end: core::ptr::null(),
        strip: core::ptr::null(),
        bytes: job.bytes.as_mut_ptr(),
        zero: u32::from(job.requant.out_zero),
        body: bitrack_dw3_pairs_r3,
        next: CHANNEL - 4 * strip.outputs,
        next_byte: 1usize.wrapping_sub(4 * PAIRS_ROWS * strip.outputs),
        store: by_activations!(
            job.out_bits,
            bitrack_dw3_pairs_store_b8,
            bitrack_dw3_pairs_store_b4,
            bitrack_dw3_pairs_store_b2
        ),
        out_step: job.out_pixel_bytes,
        outputs: strip.outputs,
        second: 0,
        third: 0,
        weights: job.weights.as_ptr(),
        channels: job.channels.as_ptr(),
        spread: spread(job),
        weight_bytes: layout::quad_bytes(job.shape, job.w_bits),
        lane: by_activations!(
            job.in_bits,
            bitrack_dw3_pairs_lane_b8,
            bitrack_dw3_pairs_lane_b4,
            bitrack_dw3_pairs_lane_b2
        ),
        row_step: usize::from(job.shape.in_w) * job.in_pixel_bytes,
        rows: 0,
        head_to: core::ptr::null_mut(),
        tail_to: core::ptr::null_mut(),
        to_band: [0; 2],
        to_quad: [0; 2],
        bands: 1,
        left: 1,
        quads: quads(job),
        shift: job.shift.into(),
        shifted: if Kernel::DepthwiseShift.is_built() && job.shift > 0 { Some(shift_params) } else { None },
    }
}

/// Expands pixels in pairs.
fn expand(job: &Job<'_>) -> Label {
    by_activations!(job.in_bits, bitrack_dw3_pairs_expand_b8, bitrack_dw3_pairs_expand_b4, bitrack_dw3_pairs_expand_b2)
}
