//! 3x3 kernels at stride 1 and 2 on a core with the DSP extension: `dw3x3.s`.

use super::{Job, QUAD, Strip};
use crate::Bits;

core::arch::global_asm!(include_str!("dw3x3.s"), options(raw));

/// Words of an expanded column.
const COLUMN: usize = 6;

/// Arguments of `expand`, in the order of `dw3x3.s`.
#[repr(C)]
struct Expand {
    rows: [*const u8; 3],
    /// Bytes from pixel to pixel; zero for a row of padding, which is one pixel read again and again.
    steps: [usize; 3],
    strip: *mut u32,
    columns: usize,
}

/// Arguments of `filter`, in the order of `dw3x3.s`.
#[repr(C)]
struct Filter {
    params: *const u32,
    strip: *const u32,
    bytes: *mut u32,
    /// Where the strip is after all pairs of outputs.
    pairs_end: *const u32,
    odd: usize,
    zero: u32,
}

unsafe extern "C" {
    fn bitrack_dw3_expand_b8(args: &Expand);
    fn bitrack_dw3_expand_b4(args: &Expand);
    fn bitrack_dw3_expand_b2(args: &Expand);
    fn bitrack_dw3_filter_s1(args: &Filter);
    fn bitrack_dw3_filter_s2(args: &Filter);
    fn bitrack_dw_store_b8(bytes: *const u32, out: *mut u8, step: usize, columns: usize);
    fn bitrack_dw_store_b4(bytes: *const u32, out: *mut u8, step: usize, columns: usize);
    fn bitrack_dw_store_b2(bytes: *const u32, out: *mut u8, step: usize, columns: usize);
}

/// Whether this quad can run here: 3x3, a stride that there is a kernel for, all four channels, no late shift.
pub(super) fn fits(job: &Job<'_>) -> bool {
    let shape = job.shape;
    (shape.k_h, shape.k_w) == (3, 3) && shape.stride_w <= 2 && job.live == QUAD && job.requant.shift == 0
}

/// Runs all rows of a strip.
pub(super) fn run(job: &mut Job<'_>, strip: &Strip, output: &mut [u8]) {
    let zero = u32::from(job.in_zero) * 0x0001_0001;
    let columns = (strip.outputs - 1) * usize::from(job.shape.stride_w) + 3;
    job.strip[..strip.left * COLUMN].fill(zero);
    job.strip[(strip.left + strip.valid) * COLUMN..columns * COLUMN].fill(zero);
    let params = pack_params(job.params);
    for row in 0..usize::from(job.shape.out_h) {
        if strip.valid > 0 {
            expand(job, strip, row);
        }
        filter(job, strip, &params);
        store(job, strip, row, output);
    }
}

/// Per channel: three columns of pairs, the third row as halves of two words, multiplier, bias.
fn pack_params(params: &[u32]) -> [[u32; 7]; QUAD] {
    let (channels, _) = params.as_chunks::<8>();
    core::array::from_fn(|c| {
        let [w0, v0, w1, v1, w2, v2, bias, mult] = channels[c];
        [w0, w1, w2, v0 | v1 << 16, v2, mult, bias]
    })
}

fn expand(job: &mut Job<'_>, strip: &Strip, row: usize) {
    let padding = u32::from(job.in_zero) * 0x0101_0101;
    let padding = pack_padding(padding, job.in_bits);
    let sources: [(*const u8, usize); 3] = core::array::from_fn(|ky| match job.row_offset(row, ky, strip.start) {
        Some(at) => (job.input[at..].as_ptr(), job.in_pixel_bytes()),
        None => ((&raw const padding).cast(), 0),
    });
    let args = Expand {
        rows: sources.map(|(pointer, _)| pointer),
        steps: sources.map(|(_, step)| step),
        strip: job.strip[strip.left * COLUMN..].as_mut_ptr(),
        columns: strip.valid,
    };
    let kernel = match job.in_bits {
        Bits::B8 => bitrack_dw3_expand_b8,
        Bits::B4 => bitrack_dw3_expand_b4,
        Bits::B2 => bitrack_dw3_expand_b2,
    };
    // SAFETY: `valid > 0` pixels from `start` lie in each row of the input, whose length was checked, and all four
    // channels exist; the strip has room for `columns` columns of six words.
    unsafe { kernel(&args) }
}

/// Four zero points as a quad of packed activations.
fn pack_padding(bytes: u32, bits: Bits) -> u32 {
    match bits {
        Bits::B8 => bytes,
        Bits::B4 => bytes | bytes << 4,
        Bits::B2 => bytes | bytes << 2 | bytes << 4 | bytes << 6,
    }
}

fn filter(job: &mut Job<'_>, strip: &Strip, params: &[[u32; 7]; QUAD]) {
    let stride = usize::from(job.shape.stride_w);
    let pairs = strip.outputs / 2;
    let args = Filter {
        params: params.as_ptr().cast(),
        strip: job.strip.as_ptr(),
        bytes: job.bytes.as_mut_ptr(),
        pairs_end: job.strip[pairs * 2 * stride * COLUMN..].as_ptr(),
        odd: strip.outputs % 2,
        zero: u32::from(job.requant.out_zero),
    };
    let kernel = if stride == 1 { bitrack_dw3_filter_s1 } else { bitrack_dw3_filter_s2 };
    // SAFETY: the strip holds every column under `outputs` outputs, `bytes` a word for each.
    unsafe { kernel(&args) }
}

fn store(job: &Job<'_>, strip: &Strip, row: usize, output: &mut [u8]) {
    let kernel = match job.out_bits {
        Bits::B8 => bitrack_dw_store_b8,
        Bits::B4 => bitrack_dw_store_b4,
        Bits::B2 => bitrack_dw_store_b2,
    };
    let out = &mut output[job.out_offset(row, strip.first)..];
    // SAFETY: `outputs` pixels of the output, whose length was checked, lie from there on; all four channels exist.
    unsafe { kernel(job.bytes.as_ptr(), out.as_mut_ptr(), job.out_pixel_bytes(), strip.outputs) }
}
