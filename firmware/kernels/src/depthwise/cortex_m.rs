//! 3x3 kernels at stride 1 and 2 on a core with the DSP extension: `dw3x3.s`.

use super::{Job, Strip};
use crate::Bits;
use crate::quads::QUAD;
use crate::quads::{bytes_of_crumbs, bytes_of_nibbles};
use crate::requant::Channel;

core::arch::global_asm!(include_str!("dw3x3.s"), options(raw));

/// Words of an expanded column.
const COLUMN: usize = 6;

/// Arguments of `expand_edge`, in the order of `dw3x3.s`.
#[repr(C)]
struct Edge {
    rows: [*const u8; 3],
    /// Bytes from pixel to pixel; zero for a row of padding, which is one pixel read again and again.
    steps: [usize; 3],
    destination: *mut u32,
    columns: usize,
}

/// Arguments of `rows`, in the order of `dw3x3.s`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Rows {
    rows: [*const u8; 3],
    offset: usize,
    step: usize,
    columns: usize,
    destination: *mut u32,
    expand: unsafe extern "C" fn(),
    bytes: *mut u32,
    out: *mut u8,
    out_step: usize,
    outputs: usize,
    store: unsafe extern "C" fn(),
    params: *const [u32; 7],
    strip: *const u32,
    /// Where the strip is after all rounds of four outputs.
    fours_end: *const u32,
    /// Outputs that are left then.
    rest: usize,
    zero: u32,
    row_step: usize,
    out_row_step: usize,
    count: usize,
}

unsafe extern "C" {
    fn bitrack_dw3_expand_edge_b8(args: &Edge);
    fn bitrack_dw3_expand_edge_b4(args: &Edge);
    fn bitrack_dw3_expand_edge_b2(args: &Edge);
    fn bitrack_dw3_rows_s1(args: &Rows);
    fn bitrack_dw3_rows_s2(args: &Rows);
    // Called by `rows` with registers of its own choice.
    fn bitrack_dw3_expand_b8();
    fn bitrack_dw3_expand_b4();
    fn bitrack_dw3_expand_b2();
    fn bitrack_dw3_expanded();
    fn bitrack_dw_store_b8();
    fn bitrack_dw_store_b4();
    fn bitrack_dw_store_b2();
}

/// Whether this quad can run here: 3x3, a stride that there is a kernel for, all four channels, no late shift.
pub(super) fn fits(job: &Job<'_>) -> bool {
    let shape = job.shape;
    (shape.k_h, shape.k_w) == (3, 3) && shape.stride_w <= 2 && job.channels.len() == QUAD && job.requant.shift == 0
}

/// Runs all rows of all strips.
pub(super) fn run(job: &mut Job<'_>, output: &mut [u8]) {
    let params = params(job);
    for strip in job.strips() {
        let zero = u32::from(job.in_zero) * 0x0001_0001;
        job.strip[..strip.left * COLUMN].fill(zero);
        job.strip[(strip.left + strip.valid) * COLUMN..strip.columns * COLUMN].fill(zero);
        let args = rows_args(job, &strip, &params, output);
        let inner = inner_rows(job);
        for row in (0..inner.start).chain(inner.end..usize::from(job.shape.out_h)) {
            edge_row(job, &strip, row, &args);
        }
        if !inner.is_empty() {
            let rows = core::array::from_fn(|ky| match job.row_offset(inner.start, ky, strip.start) {
                Some(at) => job.input[at..].as_ptr(),
                None => core::ptr::null(),
            });
            run_rows(job, &Rows { rows, ..args }, inner.start, inner.len());
        }
    }
}

/// Output rows whose windows lie on the input from top to bottom.
fn inner_rows(job: &Job<'_>) -> core::ops::Range<usize> {
    let (stride, pad) = (usize::from(job.shape.stride_h), usize::from(job.shape.pad_top));
    let first = pad.div_ceil(stride);
    let end = (usize::from(job.shape.in_h) + pad).checked_sub(3).map_or(0, |last| last / stride + 1);
    let end = end.min(job.shape.out_h.into());
    first.min(end)..end
}

/// Per channel: three columns of pairs, the third row as halves of two words, multiplier, bias.
fn params(job: &Job<'_>) -> [[u32; 7]; QUAD] {
    let list = spread(job.weights, job.w_bits);
    let shift = u32::from(job.shift);
    core::array::from_fn(|c| {
        let (a, b) = (list[2 * c], list[2 * c + 1]);
        let last = i32::from((list[8] >> (8 * c)) as i8) as u32;
        let mut weights = [sxtb16(a), sxtb16(a >> 8), sxtb16(b), sxtb16(b >> 8), last];
        if shift > 0 {
            weights = weights.map(|w| (w & 0xFFFF) << shift & 0xFFFF | (w >> 16) << (16 + shift));
        }
        let [w0, w1, w2, v01, v2] = weights;
        let Channel { bias, mult } = job.channels[c];
        [w0, w1, w2, v01, v2, mult as u32, (bias << shift) as u32]
    })
}

/// The list of a quad's weights (see `layout`) as bytes.
fn spread(packed: &[u8], bits: Bits) -> [u32; 9] {
    let word = |i: usize| u32::from_le_bytes([packed[4 * i], packed[4 * i + 1], packed[4 * i + 2], packed[4 * i + 3]]);
    match bits {
        Bits::B8 => core::array::from_fn(word),
        Bits::B4 => core::array::from_fn(|i| {
            let codes = match i {
                8 => bytes_of_nibbles(u32::from(packed[16]) | u32::from(packed[17]) << 8),
                _ => word(i / 2) >> (4 * (i % 2)) & 0x0F0F_0F0F,
            };
            ((codes | 0x8080_8080) - 0x0808_0808) ^ 0x8080_8080
        }),
        Bits::B2 => core::array::from_fn(|i| {
            let codes = match i {
                8 => bytes_of_crumbs(u32::from(packed[8])),
                _ => word(i / 4) >> (2 * (i % 4)) & 0x0303_0303,
            };
            ((codes | 0x8080_8080) - 0x0202_0202) ^ 0x8080_8080
        }),
    }
}

/// Bytes 0 and 2, sign-extended to halves.
fn sxtb16(word: u32) -> u32 {
    let halves: u32;
    // SAFETY: one arithmetic instruction on registers.
    unsafe {
        core::arch::asm!("sxtb16 {0}, {1}", lateout(reg) halves, in(reg) word, options(pure, nomem, nostack, preserves_flags));
    }
    halves
}

/// All arguments that rows of a strip have in common; `out` is the strip's place in the first row.
fn rows_args(job: &mut Job<'_>, strip: &Strip, params: &[[u32; 7]; QUAD], output: &mut [u8]) -> Rows {
    let stride = usize::from(job.shape.stride_w);
    let in_row = usize::from(job.shape.in_w) * job.in_pixel_bytes();
    let fours = strip.outputs / 4 * 4 * stride * COLUMN;
    let out = &mut output[job.out_offset(0, strip.first)..];
    Rows {
        rows: [core::ptr::null(); 3],
        offset: 0,
        step: job.in_pixel_bytes(),
        columns: strip.valid,
        destination: job.strip[strip.left * COLUMN..].as_mut_ptr(),
        expand: match job.in_bits {
            Bits::B8 => bitrack_dw3_expand_b8,
            Bits::B4 => bitrack_dw3_expand_b4,
            Bits::B2 => bitrack_dw3_expand_b2,
        },
        bytes: job.bytes.as_mut_ptr(),
        out: out.as_mut_ptr(),
        out_step: job.out_pixel_bytes(),
        outputs: strip.outputs,
        store: match job.out_bits {
            Bits::B8 => bitrack_dw_store_b8,
            Bits::B4 => bitrack_dw_store_b4,
            Bits::B2 => bitrack_dw_store_b2,
        },
        params: params.as_ptr(),
        strip: job.strip.as_ptr(),
        fours_end: job.strip[fours..].as_ptr(),
        rest: strip.outputs % 4,
        zero: u32::from(job.requant.out_zero),
        row_step: usize::from(job.shape.stride_h) * in_row,
        out_row_step: usize::from(job.shape.out_w) * job.out_pixel_bytes(),
        count: 0,
    }
}

/// One row of outputs with rows of padding above or below.
fn edge_row(job: &mut Job<'_>, strip: &Strip, row: usize, args: &Rows) {
    let padding = pack_padding(job.in_zero, job.in_bits);
    let sources: [(*const u8, usize); 3] = core::array::from_fn(|ky| match job.row_offset(row, ky, strip.start) {
        Some(at) => (job.input[at..].as_ptr(), args.step),
        None => ((&raw const padding).cast(), 0),
    });
    let edge = Edge {
        rows: sources.map(|(pointer, _)| pointer),
        steps: sources.map(|(_, step)| step),
        destination: args.destination,
        columns: strip.valid,
    };
    let expand = match job.in_bits {
        Bits::B8 => bitrack_dw3_expand_edge_b8,
        Bits::B4 => bitrack_dw3_expand_edge_b4,
        Bits::B2 => bitrack_dw3_expand_edge_b2,
    };
    // SAFETY: `valid` pixels, at least one, lie in each row of the input from `start` on; its length was checked, and all
    // four channels exist; the strip has room for `columns` columns of six words.
    unsafe { expand(&edge) }
    run_rows(job, &Rows { expand: bitrack_dw3_expanded, ..*args }, row, 1);
}

/// Runs `count` rows of outputs from `first` on.
fn run_rows(job: &Job<'_>, args: &Rows, first: usize, count: usize) {
    let out = args.out.wrapping_add(first * args.out_row_step);
    let args = Rows { out, count, ..*args };
    let kernel = if job.shape.stride_w == 1 { bitrack_dw3_rows_s1 } else { bitrack_dw3_rows_s2 };
    // SAFETY: rows `first..first + count` of the strip exist in the output, whose length was checked; if `expand` is not
    // the empty one, every input row under them exists, with `columns` pixels; strip and bytes hold `columns` and `outputs`.
    unsafe { kernel(&args) }
}

/// Four zero points as a quad of packed activations.
fn pack_padding(zero: u8, bits: Bits) -> u32 {
    let bytes = u32::from(zero) * 0x0101_0101;
    match bits {
        Bits::B8 => bytes,
        Bits::B4 => bytes | bytes << 4,
        Bits::B2 => bytes | bytes << 2 | bytes << 4 | bytes << 6,
    }
}
