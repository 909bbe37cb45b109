//! 3x3 kernels at stride 1 on a core with the DSP extension: `dw3x3.s`.

use super::{Job, Strip, inner_rows};
use crate::buffers::Output;
use crate::built::{self, by_activations};
use crate::parts::Parts;
use crate::quads::QUAD;
use crate::requant::Channel;
use crate::{Bits, Kernel};

core::arch::global_asm!(include_str!("dw3x3.s"), options(raw));

/// Words of an expanded column.
pub(super) const COLUMN: usize = 6;

/// Arguments of `expand_edge`, in the order of `dw3x3.s`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Edge {
    rows: [*const u8; 3],
    /// Bytes from pixel to pixel; zero for a row of padding, which is one pixel read again and again.
    steps: [usize; 3],
    destination: *mut u32,
    columns: usize,
}

impl Edge {
    /// Nothing but padding: one pixel, again and again.
    pub fn of_padding(pixel: *const u8, columns: usize) -> Self {
        Edge { rows: [pixel; 3], steps: [0; 3], destination: core::ptr::null_mut(), columns }
    }

    /// Goes to where there is input under an output row.
    #[inline(never)]
    pub fn place(&mut self, job: &Job<'_>, strip: &Strip, row: usize) {
        for ky in 0..3 {
            if let Some(at) = job.row_offset(row, ky, strip.start) {
                self.rows[ky] = job.input.rest(at).pointer();
                self.steps[ky] = job.in_pixel_bytes;
            }
        }
    }
}

/// Arguments of `rows`, in the order of `dw3x3.s`.
#[repr(C)]
struct Rows {
    rows: [*const u8; 3],
    offset: usize,
    step: usize,
    columns: usize,
    destination: *mut u32,
    expand: Label,
    bytes: *mut u32,
    out: *mut u8,
    out_step: usize,
    outputs: usize,
    store: Label,
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
    fn bitrack_dw3_params_w8(weights: *const u8, channels: *const Channel, params: *mut [u32; 7]);
    fn bitrack_dw3_params_w4(weights: *const u8, channels: *const Channel, params: *mut [u32; 7]);
    fn bitrack_dw3_params_w2(weights: *const u8, channels: *const Channel, params: *mut [u32; 7]);
    fn bitrack_dw3_rows(args: &Rows);
    // Called by `rows` with registers of its own choice.
    fn bitrack_dw3_expand_b8();
    fn bitrack_dw3_expand_b4();
    fn bitrack_dw3_expand_b2();
    pub(super) fn bitrack_dw3_expanded();
    fn bitrack_dw_store_b8();
    fn bitrack_dw_store_b4();
    fn bitrack_dw_store_b2();
}

/// Code that is called with registers of its own choice.
pub(super) type Label = unsafe extern "C" fn();

/// Runs all whole quads; returns their number.
#[inline(never)]
pub(super) fn run(job: &mut Job<'_>, output: &Output<'_>) -> usize {
    let quads = job.channels.len() / QUAD;
    let mut first = 0;
    while let Some(strip) = job.strip(first) {
        first += strip.outputs;
        let zero = u32::from(job.in_zero) * 0x0001_0001;
        job.strip.part_mut(..strip.left * COLUMN).fill(zero);
        job.strip.part_mut((strip.left + strip.valid) * COLUMN..strip.columns * COLUMN).fill(zero);
        let mut params = [[0; 7]; QUAD];
        job.quad = 0;
        let mut args = rows_args(job, &strip, &params, output);
        let out = args.out;
        for quad in 0..quads {
            job.quad = quad;
            unpack(job, &mut params);
            args.out = out.wrapping_add(quad * job.out_quad_bytes());
            strip_rows(job, &strip, &mut args);
        }
    }
    quads
}

/// Runs all rows of a strip of one quad, from `args.out` on.
fn strip_rows(job: &Job<'_>, strip: &Strip, args: &mut Rows) {
    let (inner_start, inner_end) = inner_rows(job.shape);
    let (expand, inner) = (args.expand, inner_start..inner_end);
    let first = if job.backwards { inner.end.wrapping_sub(1) } else { inner.start };
    let (mut row, step) = job.rows();
    // Going down, it ends before row 0.
    while row < usize::from(job.shape.out_h) {
        args.count = if row == first { inner.len() } else { 0 };
        if args.count > 0 {
            args.rows = rows_under(job, strip, row);
            args.expand = expand;
        } else {
            expand_row_at_edge(job, strip, row, args);
            args.expand = bitrack_dw3_expanded;
            args.count = 1;
        }
        run_rows(args);
        args.out = args.out.wrapping_add(args.count.wrapping_mul(args.out_row_step));
        row = row.wrapping_add(args.count.wrapping_mul(step));
    }
    args.expand = expand;
}

/// The input rows under an output row whose windows lie on the input from top to bottom.
#[inline(never)]
pub(super) fn rows_under(job: &Job<'_>, strip: &Strip, row: usize) -> [*const u8; 3] {
    let first = job.row_offset(row, 0, strip.start).map_or(core::ptr::null(), |at| job.input.rest(at).pointer());
    let row_bytes = usize::from(job.shape.in_w) * job.in_pixel_bytes;
    [first, first.wrapping_add(row_bytes), first.wrapping_add(2 * row_bytes)]
}

/// Takes a quad's weights and constants apart.
pub(super) type Spread = unsafe extern "C" fn(*const u8, *const Channel, *mut [u32; 7]);

/// That of the weights' width.
pub(super) fn spread(job: &Job<'_>) -> Spread {
    match job.w_bits {
        Bits::B8 if const { Kernel::DepthwiseW8.is_built() } => bitrack_dw3_params_w8,
        Bits::B4 if const { Kernel::DepthwiseW4.is_built() } => bitrack_dw3_params_w4,
        Bits::B2 if const { Kernel::DepthwiseW2.is_built() } => bitrack_dw3_params_w2,
        _ => built::missing(),
    }
}

/// Per channel of the quad: three columns of pairs, the third row as halves of two words, multiplier, bias.
fn unpack(job: &Job<'_>, params: &mut [[u32; 7]; QUAD]) {
    let (weights, channels) = (job.quad_weights(), job.channels.stretch(job.quad * QUAD, QUAD));
    // SAFETY: a whole quad of weights and four constants.
    unsafe { spread(job)(weights.as_ptr(), channels.as_ptr(), params.as_mut_ptr()) };
    if Kernel::DepthwiseShift.is_built() && job.shift > 0 {
        shift_params(params, job.shift.into());
    }
}

/// Shifts a quad's weights and biases.
#[inline(never)]
pub(super) extern "C" fn shift_params(params: &mut [[u32; 7]; QUAD], shift: u32) {
    for [weights @ .., _mult, bias] in params.iter_mut() {
        shift_up(weights, shift as u8);
        *bias <<= shift;
    }
}

/// Shifts both halves of weights.
#[cold]
#[inline(never)]
pub(super) fn shift_up(words: &mut [u32], shift: u8) {
    words.iter_mut().for_each(|word| *word = (*word << shift) & 0xFFFF | (*word >> 16) << (16 + shift));
}

/// All arguments that rows of a strip have in common; `out` is the strip's place in the first row.
fn rows_args(job: &mut Job<'_>, strip: &Strip, params: &[[u32; 7]; QUAD], output: &Output<'_>) -> Rows {
    let in_row = usize::from(job.shape.in_w) * job.in_pixel_bytes;
    let fours = strip.outputs / 4 * 4 * COLUMN;
    let out_row = usize::from(job.shape.out_w) * job.out_pixel_bytes;
    let ahead = |step: usize| if job.backwards { step.wrapping_neg() } else { step };
    Rows {
        rows: [core::ptr::null(); 3],
        offset: 0,
        step: job.in_pixel_bytes,
        columns: strip.valid,
        destination: job.strip.part_mut(strip.left * COLUMN..).as_mut_ptr(),
        expand: expand(job),
        bytes: job.bytes.as_mut_ptr(),
        out: output.pointer().wrapping_add(job.out_offset(job.rows().0, strip.first)),
        out_step: job.out_pixel_bytes,
        outputs: strip.outputs,
        store: store(job),
        params: params.as_ptr(),
        strip: job.strip.as_ptr(),
        fours_end: job.strip.part(fours..).as_ptr(),
        rest: strip.outputs % 4,
        zero: u32::from(job.requant.out_zero),
        row_step: ahead(usize::from(job.shape.stride_h) * in_row),
        out_row_step: ahead(out_row),
        count: 1,
    }
}

/// Expands rows side by side.
pub(super) fn expand(job: &Job<'_>) -> Label {
    by_activations!(job.in_bits, bitrack_dw3_expand_b8, bitrack_dw3_expand_b4, bitrack_dw3_expand_b2)
}

/// Expands rows of which some are padding.
pub(super) fn expand_edge(job: &Job<'_>) -> unsafe extern "C" fn(&Edge) {
    by_activations!(job.in_bits, bitrack_dw3_expand_edge_b8, bitrack_dw3_expand_edge_b4, bitrack_dw3_expand_edge_b2)
}

/// Stores outputs side by side.
pub(super) fn store(job: &Job<'_>) -> Label {
    by_activations!(job.out_bits, bitrack_dw_store_b8, bitrack_dw_store_b4, bitrack_dw_store_b2)
}

/// Expands the input rows under one row of outputs, some of which are padding.
fn expand_row_at_edge(job: &Job<'_>, strip: &Strip, row: usize, args: &Rows) {
    let padding = pack_padding(job.in_zero, job.in_bits);
    let mut edge = Edge::of_padding((&raw const padding).cast(), strip.valid);
    edge.destination = args.destination;
    edge.place(job, strip, row);
    let expand = expand_edge(job);
    // SAFETY: `valid` pixels, at least one, lie in each row of the input from `start` on; its length was checked, and all
    // four channels exist; the strip has room for `columns` columns of six words.
    unsafe { expand(&edge) }
}

/// Runs `args.count` rows of outputs from `args.out` on.
fn run_rows(args: &Rows) {
    // SAFETY: so many rows of the strip exist in the output, whose length was checked; if `expand` is not the empty one, every
    // input row under them exists, with `columns` pixels; strip and bytes hold `columns` and `outputs`.
    unsafe { bitrack_dw3_rows(args) }
}

/// Four zero points as a quad of packed activations.
pub(super) fn pack_padding(zero: u8, bits: Bits) -> u32 {
    let bytes = u32::from(zero) * 0x0101_0101;
    match bits {
        Bits::B8 => bytes,
        Bits::B4 => bytes | bytes << 4,
        Bits::B2 => bytes | bytes << 2 | bytes << 4 | bytes << 6,
    }
}
