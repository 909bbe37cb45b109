//! Sizes that depend on a layer's shape only, above all what it takes of scratch.

use crate::parts::{quotient, quotient_up};
use crate::quads::QUAD;
use crate::{ConvShape, Kernel, Variant};

/// Whether there are others than the 3x3 kernels. Where not, nothing here is about any other shape: nobody may ask.
pub(super) const ANY: bool = Kernel::DepthwiseAny.is_built();

/// Expanded columns of a strip, at most, unless the kernel is wider; twice as many of a row alone.
const STRIP: usize = 24;
/// Words of weights up to which there are two sets of them in a kernel of several rows.
const MAX_TWICE: usize = 16;
/// Bytes that a layer takes more than CMSIS-NN's, which holds all channels' weights as 16-bit values, if its kernel's size allows.
const ALLOWANCE: usize = 1024;
/// Words of a column of a band of rows.
const BAND_COLUMN: usize = 6;
/// Words of a band of rows, with its outputs.
const BAND: usize = 168;
/// Rows of a band.
const BAND_ROWS: usize = 3;
/// Columns and rows of outputs of a strip of pixels in pairs, which lies on the stack.
pub(super) const PAIRS_OUTPUTS: usize = 8;
pub(super) const PAIRS_ROWS: usize = 3;

/// The shape as depthwise layers run it: a map one pixel wide lies as one row, which has the same bytes.
#[cfg_attr(feature = "depthwise-any", inline(never))]
pub(super) const fn lying(shape: &ConvShape) -> ConvShape {
    if !turns(shape) {
        return *shape;
    }
    ConvShape {
        in_h: 1,
        in_w: shape.in_h,
        out_h: 1,
        out_w: shape.out_h,
        k_h: shape.k_w,
        k_w: shape.k_h,
        stride_h: shape.stride_w,
        stride_w: shape.stride_h,
        pad_top: shape.pad_left,
        pad_left: shape.pad_top,
        ..*shape
    }
}

/// Whether [`lying`] exchanges rows and columns.
pub(super) const fn turns(shape: &ConvShape) -> bool {
    ANY && stands(shape)
}

/// Whether the map is a column of pixels.
pub(super) const fn stands(shape: &ConvShape) -> bool {
    shape.in_w == 1 && shape.out_w == 1 && shape.in_h > 1
}

/// What whole quads of channels run by on a board.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// As any kernel.
    Any,
    /// 3x3 at stride 1, row by row.
    Rows,
    /// The same on a map of a width that there is code for.
    Map,
    /// 3x3 at stride 2, pixels in pairs.
    Pairs,
}

impl Code {
    /// That of a variant that there is for a shape that lies.
    const fn of(variant: Variant, lying: &ConvShape) -> Self {
        match variant {
            Variant::Map => Code::Map,
            Variant::Rows if lying.stride_w == 1 => Code::Rows,
            Variant::Rows => Code::Pairs,
            Variant::General | Variant::Pixels => Code::Any,
        }
    }
}

/// Whether a 3x3 kernel on a map that lies goes from row to row and from column to column in steps of two.
pub(super) const fn in_pairs(lying: &ConvShape) -> bool {
    lying.stride_w == 2 && (lying.stride_h == 2 || lying.out_h == 1)
}

/// What there is of a strip, its weights, and its outputs.
pub(super) struct Plan {
    /// Vertical pairs of taps in a kernel column.
    pub pairs: usize,
    /// Kernel columns.
    pub k_w: usize,
    /// Expanded columns of a strip.
    pub columns: usize,
    /// Output columns of a strip.
    pub outputs: usize,
    /// Words of one channel of it, on a board.
    #[cfg_attr(not(target_arch = "arm"), allow(dead_code))]
    pub channel: usize,
    /// Whether pairs are pixels side by side: the kernel has one row.
    pub across: bool,
    /// Sets of weights. The second is for outputs that begin at the second value of a pair.
    pub sets: usize,
    /// Words of a set, for one channel; even, the last one may be zero.
    pub taps: usize,
    /// Words behind the strip that may be read, but are not used; none where all is done by the 3x3 kernels.
    pub slack: usize,
    /// What whole quads run by.
    pub code: Code,
    /// Output rows of a strip, of which there are several in bands of a map and of pairs only.
    pub rows: usize,
}

impl Plan {
    /// That of any shape.
    pub const fn of(shape: &ConvShape, variant: Variant) -> Self {
        if ANY { Plan::new(&lying(shape), variant) } else { Plan::new(shape, variant) }
    }

    /// That of a shape that lies, for which there is this variant.
    #[inline(never)]
    pub const fn new(shape: &ConvShape, variant: Variant) -> Self {
        let (k_h, k_w, stride) = (shape.k_h as usize, shape.k_w as usize, shape.stride_w as usize);
        let (pairs, across) = (k_h.div_ceil(2), ANY && k_h == 1);
        let code = Code::of(variant, shape);
        let is_whole = !ANY || !matches!(code, Code::Any) && (shape.in_c as usize).is_multiple_of(QUAD);
        let twice =
            !is_whole && if across { shape.out_w > 1 && stride % 2 == 1 } else { rows_twice(shape, k_w * pairs) };
        let words = match (across, twice) {
            (true, true) => k_w / 2 + 1,
            (true, false) => k_w.div_ceil(2),
            (false, _) => k_w * pairs,
        };
        let mut plan = Plan {
            pairs,
            k_w,
            columns: 0,
            outputs: 0,
            channel: 0,
            across,
            sets: if twice { 2 } else { 1 },
            taps: if ANY { words.next_multiple_of(2) } else { 0 },
            slack: if is_whole { 0 } else { stride * pairs + 2 },
            code,
            rows: 1,
        };
        let fit = plan.fit(stride, ALLOWANCE + 2 * shape.k_len());
        let strips = quotient_up(shape.out_w as usize, fit);
        plan.outputs = quotient_up(shape.out_w as usize, strips);
        plan.columns = (plan.outputs - 1) * stride + k_w;
        plan.channel = match (ANY, across) {
            (false, _) => 0,
            (_, true) => plan.columns / 2 + 1,
            (_, false) => plan.columns * pairs,
        };
        plan.rows = match code {
            Code::Map => plan.map_rows(shape.out_h as usize),
            Code::Pairs => PAIRS_ROWS,
            Code::Any | Code::Rows => 1,
        };
        plan
    }

    /// The outputs of a strip of at most so many bytes of scratch, one at least.
    const fn fit(&self, stride: usize, bytes: usize) -> usize {
        let strip = if self.across { 2 * STRIP } else { STRIP };
        let by_columns = if strip > self.k_w { quotient(strip - self.k_w, stride) + 1 } else { 1 };
        let by_columns = match self.code {
            Code::Pairs if by_columns > PAIRS_OUTPUTS => PAIRS_OUTPUTS,
            _ => by_columns,
        };
        if self.slack == 0 {
            return by_columns;
        }
        let column = QUAD * self.pairs;
        let least = self.params_words() + self.k_w * column + self.slack + 2;
        let by_words = quotient((bytes / 4).saturating_sub(least), stride * column + 1) + 1;
        if by_words < by_columns { by_words } else { by_columns }
    }

    /// The rows of a band of a small map, one at least.
    const fn map_rows(&self, height: usize) -> usize {
        let fit = quotient(BAND, self.columns * BAND_COLUMN + self.outputs);
        let fit = if fit < BAND_ROWS { fit } else { BAND_ROWS };
        let fit = if fit < height { fit } else { height };
        if fit > 1 { fit } else { 1 }
    }

    pub const fn scratch_len(&self) -> usize {
        4 * (self.params_words() + self.strip_words() + self.bytes_words())
    }

    /// Words of one channel's weights and constants.
    pub const fn channel_words(&self) -> usize {
        let (board, host) = (self.sets * self.taps, self.k_w * self.pairs);
        2 + if ANY && board > host { board } else { host }
    }

    pub const fn params_words(&self) -> usize {
        QUAD * self.channel_words()
    }

    pub const fn strip_words(&self) -> usize {
        let row = self.columns * self.pairs * QUAD + if ANY { self.slack } else { 0 };
        let band = if matches!(self.code, Code::Map) { self.rows * self.columns * BAND_COLUMN } else { 0 };
        if row > band { row } else { band }
    }

    /// A word of four outputs per column, and one more where four outputs are computed for three.
    const fn bytes_words(&self) -> usize {
        self.rows * self.outputs + if ANY && self.slack > 0 { 1 } else { 0 }
    }
}

/// Whether two rows of outputs are computed from the same pairs: from one row of the map to the next, where a kernel's odd number of rows
/// leaves half a pair free and two sets of weights are not too many.
const fn rows_twice(shape: &ConvShape, words: usize) -> bool {
    shape.k_h % 2 == 1 && shape.stride_h == 1 && shape.out_h > 1 && words <= MAX_TWICE
}
