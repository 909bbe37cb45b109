//! 3x3 kernels on maps a few pixels wide: `map3x3.s`.

use core::ops::Range;

use super::cortex_m::{COLUMN, Edge, Label, Spread, expand, expand_edge, pack_padding, rows_under, spread, store};
use super::{Job, MAX_EDGES, Strip, inner_rows, layout};
use crate::Kernel;
use crate::buffers::Output;
use crate::built;
use crate::parts::Parts;
use crate::quads::QUAD;
use crate::requant::Channel;

core::arch::global_asm!(include_str!("map3x3.s"), options(raw));

/// Arguments of `map`, in the order of `map3x3.s`: a band of rows of a quad.
#[repr(C)]
#[derive(Clone, Copy)]
struct Map {
    params: *const [u32; 7],
    strip: *const u32,
    zero: u32,
    /// Behind the strip's last row.
    end: *const u32,
    body: Label,
    edges: *mut Edge,
    /// Rows at the upper edge, between the edges, at the lower edge.
    tops: usize,
    inners: usize,
    bottoms: usize,
    /// The input rows under the first row between the edges, and how far behind them those of the next one to expand lie.
    inner: [*const u8; 3],
    offset: usize,
    row_step: usize,
    step: usize,
    columns: usize,
    destination: *mut u32,
    expand: Label,
    edge: unsafe extern "C" fn(&Edge),
    /// Bytes of an expanded row.
    row_bytes: usize,
    bytes: *mut u32,
    out: *mut u8,
    out_step: usize,
    outputs: usize,
    store: Label,
    /// Of the first quad.
    weights: *const u8,
    channels: *const Channel,
    /// Quads that are left, at least one.
    quads: usize,
    spread: Spread,
    weight_bytes: usize,
    in_bytes: usize,
    out_bytes: usize,
}

unsafe extern "C" {
    // Goes through the quads with `args` and the edges it points to.
    fn bitrack_dw3_map(args: &mut Map);
    // Called by `map` with registers of its own choice.
    fn bitrack_dw3_map_3();
    fn bitrack_dw3_map_5();
    fn bitrack_dw3_map_6();
}

/// Runs all whole quads, band by band; returns their number.
#[inline(never)]
pub(super) fn run(job: &mut Job<'_>, output: &Output<'_>) -> usize {
    let quads = job.channels.len() / QUAD;
    let Some(strip) = job.strip(0) else { return 0 };
    job.strip.fill(u32::from(job.in_zero) * 0x0001_0001);
    let (inner_start, inner_end) = inner_rows(job.shape);
    let inner = inner_start..inner_end;
    let padding = pack_padding(job.in_zero, job.in_bits);
    let mut edges = edges(job, &strip, &inner, (&raw const padding).cast());
    let params = [[0; 7]; QUAD];
    let common = map_args(job, &strip, &inner, &params, output);
    let (rows, height) = (job.plan.rows, usize::from(job.shape.out_h));
    let mut done = 0;
    while done < height {
        let count = rows.min(height - done);
        let first = if job.backwards { height - done - count } else { done };
        let end = first + count;
        let tops = inner.start.max(first).min(end) - first;
        let bottoms = end - inner.end.max(first).min(end);
        let edge = if tops > 0 { first } else { inner.start + first.max(inner.end) - inner.end };
        let mut args = Map {
            tops,
            bottoms,
            inners: count - tops - bottoms,
            edges: edges.part_mut(edge.min(MAX_EDGES)..).as_mut_ptr(),
            offset: (first + tops - inner.start).wrapping_mul(common.row_step),
            end: common.strip.wrapping_byte_add(count * common.row_bytes),
            outputs: count * job.plan.outputs,
            out: common.out.wrapping_add(first * job.plan.outputs * job.out_pixel_bytes),
            quads,
            ..common
        };
        // SAFETY: so many rows of outputs exist from `first` on, contiguous; under those between the edges, rows of the input with
        // `columns` pixels, under the others what `edges` says, of `quads` quads; strip and bytes hold `count` rows.
        unsafe { bitrack_dw3_map(&mut args) };
        done += count;
    }
    quads
}

/// The rows at either edge, from the top.
#[inline(never)]
fn edges(job: &Job<'_>, strip: &Strip, inner: &Range<usize>, padding: *const u8) -> [Edge; MAX_EDGES] {
    let mut edges = [Edge::of_padding(padding, strip.valid); MAX_EDGES];
    let (mut row, height) = (0, usize::from(job.shape.out_h));
    for edge in &mut edges {
        if row == inner.start {
            row = inner.end;
        }
        if row < height {
            edge.place(job, strip, row);
        }
        row += 1;
    }
    edges
}

/// What bands have in common, for quad 0.
#[inline(never)]
fn map_args(
    job: &mut Job<'_>,
    strip: &Strip,
    inner: &Range<usize>,
    params: &[[u32; 7]; QUAD],
    output: &Output<'_>,
) -> Map {
    job.quad = 0;
    Map {
        params: params.as_ptr(),
        strip: job.strip.as_ptr(),
        zero: u32::from(job.requant.out_zero),
        end: core::ptr::null(),
        body: body(job),
        edges: core::ptr::null_mut(),
        tops: 0,
        inners: 0,
        bottoms: 0,
        inner: if inner.is_empty() { [core::ptr::null(); 3] } else { rows_under(job, strip, inner.start) },
        offset: 0,
        row_step: usize::from(job.shape.stride_h) * usize::from(job.shape.in_w) * job.in_pixel_bytes,
        step: job.in_pixel_bytes,
        columns: strip.valid,
        destination: job.strip.part_mut(strip.left * COLUMN..).as_mut_ptr(),
        expand: expand(job),
        edge: expand_edge(job),
        row_bytes: 4 * COLUMN * strip.columns,
        bytes: job.bytes.as_mut_ptr(),
        out: output.pointer(),
        out_step: job.out_pixel_bytes,
        outputs: 0,
        store: store(job),
        weights: job.weights.as_ptr(),
        channels: job.channels.as_ptr(),
        quads: 0,
        spread: spread(job),
        weight_bytes: layout::quad_bytes(job.shape, job.w_bits),
        in_bytes: job.in_quad_bytes(),
        out_bytes: job.out_quad_bytes(),
    }
}

/// The code for the map's width.
fn body(job: &Job<'_>) -> Label {
    match job.shape.out_w {
        3 if const { Kernel::DepthwiseMap6.is_built() } => bitrack_dw3_map_3,
        5 if const { Kernel::DepthwiseMap5.is_built() } => bitrack_dw3_map_5,
        6 if const { Kernel::DepthwiseMap6.is_built() } => bitrack_dw3_map_6,
        _ => built::missing(),
    }
}
