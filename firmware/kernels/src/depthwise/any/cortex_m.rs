//! On a core with the DSP extension: `any.s`.
//!
//! A word is a pair of values that `SMLAD` multiplies by a pair of taps: of two rows, or, under a kernel of one row, of two pixels
//! side by side. Pairs do not overlap. Outputs that begin at the second value of a pair are computed with a second set of weights,
//! a value further up, from the same words.

use crate::Kernel;
use crate::buffers::{Input, Output};
use crate::built::by_activations;
use crate::depthwise::cortex_m::{pack_padding, shift_up, store};
use crate::depthwise::{Job, Strip, layout};
use crate::parts::{Parts, ensure};
use crate::quads::{QUAD, quad_bytes};

core::arch::global_asm!(include_str!("../any.s"), options(raw));

/// Words before a channel's weights: bias and multiplier.
const CONSTANTS: usize = 2;

/// Arguments of `expand`, in the order of `any.s`.
#[repr(C)]
struct Pair {
    /// The first quads of a row each.
    pixels: [*const u8; 2],
    /// Bytes from quad to quad; zero for padding, which is one quad read again and again.
    steps: [usize; 2],
    channel_bytes: usize,
    column_bytes: usize,
    destination: *mut u32,
    columns: usize,
}

/// Arguments of `pass`, in the order of `any.s`: a row of outputs with one set of weights.
#[repr(C)]
struct Pass {
    /// Of the first channel: its first window, bytes from one to the next, its constants, and bytes from there to its weights.
    window: *const u32,
    step: usize,
    params: *const u32,
    set: usize,
    /// For the routine's own use.
    mult: u32,
    zero: u32,
    /// Bytes from where a window ends to the fourth window behind it.
    advance: usize,
    /// For the routine's own use.
    own: [u32; 3],
    /// Pairs of words behind the first.
    more: usize,
    /// Bytes from where a window ends to the next one.
    next: usize,
    shift: u32,
    channel_bytes: usize,
    param_bytes: usize,
    /// A byte in four for each output; where it is behind those that are computed four at a time; behind all.
    start: *mut u8,
    fours_end: *mut u8,
    end: *mut u8,
    channels: usize,
    bytes: *mut u8,
    out: *mut u8,
    out_step: usize,
    outputs: usize,
    /// Bytes of channels that there are, and how many bytes of a pixel they fill, where that is not four channels.
    live: u32,
    live_bytes: usize,
    store: Routine,
}

/// Called by `pass` only, with registers of its own choice.
type Routine = unsafe extern "C" fn();

unsafe extern "C" {
    fn bitrack_dwa_expand_b8(pair: &Pair);
    fn bitrack_dwa_expand_b4(pair: &Pair);
    fn bitrack_dwa_expand_b2(pair: &Pair);
    fn bitrack_dwa_pass(pass: &Pass);
    // A set of weights a value further up; where a kernel column ends, the first one has a half to spare.
    fn bitrack_dwa_second(first: *const u32, count: usize, second: *mut u32);
    fn bitrack_dwa_fill(words: *mut u32, count: usize, pair: u32);
    // Two taps of four channels as signed bytes; bytes from a channel's words to the next one's.
    fn bitrack_dwa_weights(low: u32, high: u32, target: *mut u32, channel_bytes: usize);
    fn bitrack_dwa_store_b8();
    fn bitrack_dwa_store_b4();
    fn bitrack_dwa_store_b2();
}

/// Runs all rows of all strips of a quad.
#[inline(never)]
pub(crate) fn run(job: &mut Job<'_>, output: &Output<'_>) {
    unpack(job);
    let mut first = 0;
    while let Some(strip) = job.strip(first) {
        first += strip.outputs;
        pad(job, &strip);
        if job.plan.across {
            rows_across(job, &strip, output);
        } else {
            rows_down(job, &strip, output);
        }
    }
}

/// Writes the zero point where a strip leaves the input on the left and on the right.
fn pad(job: &mut Job<'_>, strip: &Strip) {
    let (plan, channel, end) = (job.plan, job.plan.channel, strip.left + strip.valid);
    let (left, right) =
        if plan.across { (strip.left / 2, end.div_ceil(2)) } else { (strip.left * plan.pairs, end * plan.pairs) };
    let pair = u32::from(job.in_zero) * 0x0001_0001;
    for words in job.strip.part_mut(..QUAD * channel).chunks_exact_mut(channel) {
        fill(words.part_mut(..left), pair);
        fill(words.part_mut(right..), pair);
    }
}

/// A few words, in many places.
fn fill(words: &mut [u32], pair: u32) {
    // SAFETY: they are so many.
    unsafe { bitrack_dwa_fill(words.as_mut_ptr(), words.len(), pair) }
}

/// Rows of outputs of which each takes pairs of rows, two at a time where there are two sets of weights.
fn rows_down(job: &mut Job<'_>, strip: &Strip, output: &Output<'_>) {
    let (pairs, height, in_h) = (job.plan.pairs, usize::from(job.shape.out_h), usize::from(job.shape.in_h));
    let (stride_h, pad_top) = (usize::from(job.shape.stride_h), usize::from(job.shape.pad_top));
    let mut pass = pass(job, [0, usize::from(job.shape.stride_w) * pairs, strip.outputs]);
    let mut expansion = Expansion::new(job, pairs);
    let row_bytes = usize::from(job.shape.in_w) * job.in_pixel_bytes;
    let start = strip.start * job.in_pixel_bytes + job.quad * job.in_quad_bytes();
    let row = |y: usize| if y < in_h { Some(start + y * row_bytes) } else { None };
    let mut done = 0;
    while done < height {
        let count = job.plan.sets.min(height - done);
        let first = if job.backwards { height - done - count } else { done };
        let mut y = (first * stride_h).wrapping_sub(pad_top);
        for pair in 0..pairs {
            let rows = [row(y), row(y.wrapping_add(1))];
            expansion.run(rows, job.in_pixel_bytes, strip.left * pairs + pair, strip.valid);
            y = y.wrapping_add(2);
        }
        for set in 0..count {
            run_pass(job, &mut pass, set, place(job, output, first + set, strip.first));
        }
        done += count;
    }
}

/// Rows of outputs under a kernel of one row: pairs are pixels side by side. At odd strides, outputs take turns with two sets.
fn rows_across(job: &mut Job<'_>, strip: &Strip, output: &Output<'_>) {
    let (stride, sets) = (usize::from(job.shape.stride_w), job.plan.sets);
    let of_set = |set: usize| [set * (stride / 2), stride * sets / 2, (strip.outputs + sets - 1 - set) / sets];
    let mut passes = [pass(job, of_set(0)), pass(job, of_set(sets - 1))];
    let mut expansion = Expansion::new(job, 1);
    let (mut row, step) = job.rows();
    for _ in 0..job.shape.out_h {
        expand_across(job, &mut expansion, strip, row);
        for (set, pass) in passes.part_mut(..sets).iter_mut().enumerate() {
            pass.out_step = sets * job.out_pixel_bytes;
            run_pass(job, pass, set, place(job, output, row, strip.first + set));
        }
        row = row.wrapping_add(step);
    }
}

/// The pixels of a row in pairs, of which the first or the last may be half padding.
fn expand_across(job: &Job<'_>, expansion: &mut Expansion<'_>, strip: &Strip, row: usize) {
    let (pixel, mut left, mut valid) = (job.in_pixel_bytes, strip.left, strip.valid);
    let Some(mut at) = job.row_offset(row, 0, strip.start) else { return };
    if left % 2 == 1 && valid > 0 {
        expansion.run([None, Some(at)], 0, left / 2, 1);
        (at, left, valid) = (at + pixel, left + 1, valid - 1);
    }
    if valid > 1 {
        expansion.run([Some(at), Some(at + pixel)], 2 * pixel, left / 2, valid / 2);
    }
    if valid % 2 == 1 {
        expansion.run([Some(at + (valid - 1) * pixel), None], 0, (left + valid) / 2, 1);
    }
}

/// What expansions of a strip have in common.
struct Expansion<'a> {
    input: Input<'a>,
    /// A quad of the zero point.
    padding: u32,
    /// Bytes of the quad, if the input's last pixel has fewer.
    cut: Option<usize>,
    kernel: unsafe extern "C" fn(&Pair),
    /// The strip, its words, and those from pair to pair.
    strip: *mut u32,
    words: usize,
    column: usize,
    pair: Pair,
}

impl<'a> Expansion<'a> {
    #[inline(never)]
    fn new(job: &mut Job<'a>, column: usize) -> Self {
        let channel = job.plan.channel;
        let quad = quad_bytes(QUAD, job.in_bits);
        let is_cut = quad_bytes(job.quad_channels().len(), job.in_bits) < quad;
        Expansion {
            input: job.input,
            padding: pack_padding(job.in_zero, job.in_bits),
            cut: is_cut.then_some(quad),
            kernel: by_activations!(job.in_bits, bitrack_dwa_expand_b8, bitrack_dwa_expand_b4, bitrack_dwa_expand_b2),
            strip: job.strip.as_mut_ptr(),
            words: job.strip.len().saturating_sub((QUAD - 1) * channel),
            column,
            pair: Pair {
                pixels: [core::ptr::null(); 2],
                steps: [0; 2],
                channel_bytes: 4 * channel,
                column_bytes: 4 * column,
                destination: core::ptr::null_mut(),
                columns: 0,
            },
        }
    }

    /// Expands `columns > 0` pairs to word `at` of each channel and on. Of either pixel of a pair, where its row starts in the input, if it
    /// lies there; bytes from one to the next.
    #[inline(never)]
    fn run(&mut self, rows: [Option<usize>; 2], step: usize, at: usize, columns: usize) {
        let behind = columns.wrapping_sub(1);
        ensure(columns > 0 && at + behind * self.column < self.words);
        for (i, row) in rows.into_iter().enumerate() {
            let (pixel, step) = match row {
                Some(at) => (self.input.rest(at).pointer(), step),
                None => ((&raw const self.padding).cast(), 0),
            };
            self.pair.pixels[i] = pixel;
            self.pair.steps[i] = step;
        }
        self.pair.destination = self.strip.wrapping_add(at);
        self.pair.columns = columns;
        if let Some(quad) = self.cut {
            self.end_of_input(rows.map(|row| row.map(|at| self.input.rest(at + behind * step))), quad);
        }
        if self.pair.columns > 0 {
            // SAFETY: so many pixels lie in either row, and whole quads, but for a last one that is not among these any more; there are words
            // for them in the strip: checked above.
            unsafe { (self.kernel)(&self.pair) };
        }
    }

    /// Expands the last pair by itself if a quad in it would reach beyond the input.
    #[cold]
    fn end_of_input(&mut self, last: [Option<Input<'_>>; 2], quad: usize) {
        if last.iter().flatten().all(|last| last.len() >= quad) {
            return;
        }
        let copies = last.map(|last| last.map_or(self.padding, quad_of));
        self.pair.columns -= 1;
        let pair = Pair {
            pixels: copies.each_ref().map(|copy| (&raw const *copy).cast()),
            destination: self.pair.destination.wrapping_add(self.pair.columns * self.column),
            columns: 1,
            ..self.pair
        };
        // SAFETY: whole quads of our own, and words of the strip as before.
        unsafe { (self.kernel)(&pair) };
    }
}

/// The first quad of what is there, which may be less.
#[cold]
fn quad_of(input: Input<'_>) -> u32 {
    let mut quad = [0; QUAD];
    // SAFETY: nothing is written meanwhile.
    quad.iter_mut().zip(unsafe { input.bytes() }).for_each(|(byte, &given)| *byte = given);
    u32::from_le_bytes(quad)
}

/// Where the quad lies in a pixel of the output.
#[inline(never)]
fn place(job: &Job<'_>, output: &Output<'_>, row: usize, column: usize) -> *mut u8 {
    output.pointer().wrapping_add(job.out_offset(row, column))
}

/// What passes of a strip have in common: `outputs` windows from word `first` of each channel on, `step` words apart.
#[inline(never)]
fn pass(job: &mut Job<'_>, [first, step, outputs]: [usize; 3]) -> Pass {
    let (plan, channel) = (job.plan, job.plan.channel);
    // Three outputs are four of which one is not looked at.
    let spare = plan.slack > 0 && outputs % 4 == 3;
    let fours = if job.requant.shift > 0 { 0 } else { (outputs + usize::from(spare)) / 4 * 4 };
    let most = outputs.max(fours);
    let last = (QUAD - 1) * channel + first + most.wrapping_sub(1).wrapping_mul(step) + plan.taps;
    ensure(outputs == 0 || last <= job.strip.len() && most <= job.bytes.len());
    let (bytes, live) = (job.bytes.as_mut_ptr().cast::<u8>(), job.quad_channels().len());
    let cut = by_activations!(job.out_bits, bitrack_dwa_store_b8, bitrack_dwa_store_b4, bitrack_dwa_store_b2);
    Pass {
        window: job.strip.part(first..).as_ptr(),
        step: 4 * step,
        params: job.params.as_ptr(),
        set: 0,
        mult: 0,
        zero: job.requant.out_zero.into(),
        advance: (16 * step).wrapping_sub(4 * plan.taps),
        own: [0; 3],
        more: plan.taps / 2 - 1,
        next: (4 * step).wrapping_sub(4 * plan.taps),
        shift: job.requant.shift.into(),
        channel_bytes: 4 * channel,
        param_bytes: 4 * plan.channel_words(),
        start: bytes,
        fours_end: bytes.wrapping_add(4 * fours),
        end: bytes.wrapping_add(4 * outputs),
        channels: live,
        bytes,
        out: core::ptr::null_mut(),
        out_step: job.out_pixel_bytes,
        outputs,
        live: (1u64 << (8 * live)).wrapping_sub(1) as u32,
        live_bytes: quad_bytes(live, job.out_bits),
        store: if live == QUAD { store(job) } else { cut },
    }
}

/// Runs a pass, if there are outputs for it, with one of the sets of weights, to pixels from `out` on.
#[inline(never)]
fn run_pass(job: &Job<'_>, pass: &mut Pass, set: usize, out: *mut u8) {
    pass.set = 4 * (CONSTANTS + set * job.plan.taps);
    pass.out = out;
    if pass.outputs > 0 {
        // SAFETY: every window of every channel lies in the strip, there are so many words for outputs and as many pixels from `out` on, each
        // with the quad's bytes: checked by `pass` and by the lengths of the layer's tensors.
        unsafe { bitrack_dwa_pass(pass) }
    }
}

/// Spreads a quad's weights: of each channel bias, multiplier, and the sets.
#[inline(never)]
fn unpack(job: &mut Job<'_>) {
    let (plan, shift, words) = (job.plan, job.shift, job.plan.channel_words());
    let used = spread(job, words);
    let channels = job.channels.part(job.quad * QUAD..);
    for (params, channel) in job.params.chunks_exact_mut(words).zip(channels) {
        *params.part_mut(0) = (channel.bias << shift) as u32;
        *params.part_mut(1) = channel.mult as u32;
        let (first, second) = params.part_mut(CONSTANTS..).parts_at_mut(plan.taps);
        fill(first.part_mut(used..), 0);
        if Kernel::DepthwiseShift.is_built() && shift > 0 {
            shift_up(first, shift);
        }
        if plan.sets == 2 {
            ensure(first.len() <= second.len() && !first.is_empty());
            // SAFETY: so many words are there for either set: checked above.
            unsafe { bitrack_dwa_second(first.as_ptr(), first.len(), second.as_mut_ptr()) };
        }
    }
}

/// Writes the first set, channels `words` words apart: two taps of a kernel column to a word, or of its only row. Returns the number of
/// words.
#[inline(always)]
fn spread(job: &mut Job<'_>, words: usize) -> usize {
    let (shape, plan, bits) = (job.shape, job.plan, job.w_bits);
    let weights = job.weights.part(job.quad * layout::quad_bytes(shape, bits)..);
    let (lists, len, pitch) = if plan.across { (1, plan.k_w, 1) } else { (plan.k_w, shape.k_h.into(), plan.k_w) };
    let used = lists * len.div_ceil(2);
    ensure(QUAD * words <= job.params.len() && CONSTANTS + used <= words);
    let mut target = job.params.part_mut(CONSTANTS..).as_mut_ptr();
    for first in 0..lists {
        let (mut tap, end) = (first, len * pitch);
        while tap < end {
            let pair =
                [tap, tap + pitch].map(|tap| if tap < end { layout::tap_bytes(shape, weights, tap, bits) } else { 0 });
            // SAFETY: `used` words are there for each of four channels: checked above.
            unsafe { bitrack_dwa_weights(pair[0], pair[1], target, 4 * words) };
            target = target.wrapping_add(1);
            tap += 2 * pitch;
        }
    }
    used
}
