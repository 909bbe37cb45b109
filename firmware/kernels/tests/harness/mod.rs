//! One case: random operands, the kernel, the oracle, and guard bytes around every buffer.
//!
//! Needs only `alloc`, so that the same cases run on the board.

extern crate alloc;

mod guarded;
pub mod overlay;
pub mod plain;
mod variants;

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use bitrack_kernels::{
    Bits, Channel, ConvArgs, ConvShape, FcArgs, FcShape, KernelError, Requant, Variant, activations, conv2d, depthwise,
    fully_connected, reference,
};
pub use guarded::Guarded;
use overlay::{Buffers, Place};

/// SplitMix64: small, seedable, the same everywhere.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn range(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }
}

/// How operands are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Uniform over the whole range.
    Uniform,
    /// Only the ends of the range: the largest accumulators.
    Extreme,
}

/// Widths and data of one case.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub variant: Variant,
    pub w_bits: Bits,
    pub in_bits: Bits,
    pub out_bits: Bits,
    pub fill: Fill,
    /// Misalignment of the input, and one more of the output.
    pub offset: usize,
    pub seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Conv(ConvShape),
    Depthwise(ConvShape),
    Fc(FcShape),
}

/// Operands as the oracle sees them.
pub struct Operands {
    pub input: Vec<u8>,
    pub weights: Vec<i8>,
    pub channels: Vec<Channel>,
    pub requant: Requant,
    pub in_zero: u8,
}

impl Op {
    fn in_elements(&self) -> usize {
        match self {
            Op::Conv(s) | Op::Depthwise(s) => elements(s.in_h, s.in_w, s.in_c),
            Op::Fc(s) => s.in_features as usize,
        }
    }

    fn in_channels(&self) -> usize {
        match self {
            Op::Conv(s) | Op::Depthwise(s) => s.in_c.into(),
            Op::Fc(s) => s.in_features as usize,
        }
    }

    fn out_channels(&self) -> usize {
        match self {
            Op::Conv(s) | Op::Depthwise(s) => s.out_c.into(),
            Op::Fc(s) => s.out_features as usize,
        }
    }

    fn out_elements(&self) -> usize {
        match self {
            Op::Conv(s) | Op::Depthwise(s) => elements(s.out_h, s.out_w, s.out_c),
            Op::Fc(s) => s.out_features as usize,
        }
    }

    /// Bytes of the packed input.
    pub fn input_bytes(&self, bits: Bits) -> usize {
        self.in_elements() / self.in_channels() * activations::pixel_bytes(self.in_channels(), bits)
    }

    /// Bytes of the packed output.
    pub fn output_bytes(&self, bits: Bits) -> usize {
        self.out_elements() / self.out_channels() * activations::pixel_bytes(self.out_channels(), bits)
    }

    /// Weights under one output value.
    fn depth(&self) -> usize {
        match self {
            Op::Conv(s) => s.k_len(),
            Op::Depthwise(s) => usize::from(s.k_h) * usize::from(s.k_w),
            Op::Fc(s) => s.in_features as usize,
        }
    }

    pub fn weight_count(&self) -> usize {
        self.depth() * self.out_channels()
    }

    /// Index of weight `i` of output channel `c` in the plain order of the operator.
    fn weight_index(&self, c: usize, i: usize) -> usize {
        match self {
            Op::Depthwise(_) => i * self.out_channels() + c,
            _ => c * self.depth() + i,
        }
    }

    pub fn weights_len(&self, bits: Bits) -> usize {
        match self {
            Op::Conv(s) => conv2d::weights_len(s, bits),
            Op::Depthwise(s) => depthwise::weights_len(s, bits),
            Op::Fc(s) => fully_connected::weights_len(s, bits),
        }
    }

    pub fn scratch_len(&self, variant: Variant, w: Bits, i: Bits, o: Bits) -> usize {
        match self {
            Op::Conv(s) => conv2d::scratch_len(s, w, i, o),
            Op::Depthwise(s) => depthwise::scratch_len(s, variant, w, i, o),
            Op::Fc(s) => fully_connected::scratch_len(s, w, i, o),
        }
    }

    pub fn pack(&self, bits: Bits, in_bits: Bits, plain: &[i8], out: &mut [u8]) {
        match self {
            Op::Conv(s) => conv2d::pack(s, bits, in_bits, plain, out),
            Op::Depthwise(s) => depthwise::pack(s, bits, plain, out),
            Op::Fc(s) => fully_connected::pack(s, bits, in_bits, plain, out),
        }
        .expect("the case is well-formed")
    }

    /// The oracle's output, one value per byte.
    pub fn expected(&self, o: &Operands) -> Vec<u8> {
        let mut out = vec![0; self.out_elements()];
        match self {
            Op::Conv(s) => {
                reference::conv2d(s, o.in_zero, &o.input, &o.weights, &o.channels, o.requant, &mut out);
            }
            Op::Depthwise(s) => {
                reference::depthwise(s, o.in_zero, &o.input, &o.weights, &o.channels, o.requant, &mut out);
            }
            Op::Fc(s) => reference::fully_connected(s, &o.input, &o.weights, &o.channels, o.requant, &mut out),
        }
        out
    }
}

/// Draws operands whose outputs use most of their range.
pub fn operands(op: &Op, setting: &Setting) -> Operands {
    let mut rng = Rng(setting.seed);
    let (low, high) = (setting.w_bits.min_weight(), setting.w_bits.max_weight());
    let x_max = setting.in_bits.max_activation();
    let uniform = setting.fill == Fill::Uniform;
    let input = (0..op.in_elements()).map(|_| if uniform { rng.range(0, x_max.into()) as u8 } else { x_max }).collect();
    let mut weights: Vec<i8> =
        (0..op.weight_count()).map(|_| if uniform { rng.range(low.into(), high.into()) as i8 } else { low }).collect();
    if !uniform {
        // Channels take turns: all low, all high, random signs.
        for c in 0..op.out_channels() {
            for i in 0..op.depth() {
                let top = match c % 3 {
                    0 => false,
                    1 => true,
                    _ => rng.below(2) == 0,
                };
                weights[op.weight_index(c, i)] = if top { high } else { low };
            }
        }
    }
    let in_zero = rng.range(0, x_max.into()) as u8;
    let spread = f64::from(x_max) * f64::from(-i32::from(low)) * sqrt(op.depth() as f64);
    let (shift, mults) = multipliers(op, setting, spread, &mut rng);
    let channels = (0..op.out_channels())
        .map(|c| {
            let sum: i64 = (0..op.depth()).map(|i| i64::from(weights[op.weight_index(c, i)])).sum();
            let bias = rng.range(-(spread as i64), spread as i64) - i64::from(in_zero) * sum;
            Channel { bias: bias as i32, mult: mults[c] }
        })
        .collect();
    let requant = requant(setting.out_bits, shift, &mut rng);
    Operands { input, weights, channels, requant, in_zero }
}

/// Multipliers near `out_max / spread` and the shift that the largest of them needs.
fn multipliers(op: &Op, setting: &Setting, spread: f64, rng: &mut Rng) -> (u8, Vec<i32>) {
    let typical = f64::from(setting.out_bits.max_activation()) / spread;
    let scales: Vec<f64> = (0..op.out_channels()).map(|_| typical * (0.25 + rng.below(1000) as f64 / 500.0)).collect();
    let largest = scales.iter().copied().fold(0.0, f64::max);
    let mut shift = 0u8;
    while largest * f64::from(1u32 << 1) >= f64::from(1u32 << shift) {
        shift += 1;
    }
    let mults = scales.iter().map(|m| (m * 4_294_967_296.0 / f64::from(1u32 << shift)) as i32).collect();
    (shift, mults)
}

fn requant(bits: Bits, shift: u8, rng: &mut Rng) -> Requant {
    let max = bits.max_activation();
    let out_zero = rng.range(0, max.into()) as u8;
    if rng.below(3) > 0 {
        return Requant::full_range(shift, out_zero, bits);
    }
    let act_min = rng.range(0, max.into()) as u8;
    Requant { shift, out_zero, act_min, act_max: rng.range(act_min.into(), max.into()) as u8 }
}

fn sqrt(x: f64) -> f64 {
    let mut root = x.max(1.0);
    for _ in 0..40 {
        root = 0.5 * (root + x / root);
    }
    root
}

/// A prepared case: everything the kernel is given.
pub struct Case {
    op: Op,
    setting: Setting,
    pub operands: Operands,
    pub weights: Guarded,
    pub buffers: Buffers,
}

impl Case {
    /// Input, output and scratch in buffers of their own.
    pub fn new(op: Op, setting: Setting) -> Self {
        let Setting { variant, w_bits, in_bits, out_bits, offset, .. } = setting;
        let [input, output] = [op.input_bytes(in_bits), op.output_bytes(out_bits)];
        let scratch = Guarded::new(op.scratch_len(variant, w_bits, in_bits, out_bits), 0);
        let [input, output] = [(input, offset), (output, (offset + 1) % 4)].map(|(len, at)| Guarded::new(len, at));
        Self::with(op, setting, Buffers::Apart { input, scratch, output })
    }

    /// Input and output in one buffer, overlapping as far as the op bears it; `None` if it does not.
    pub fn overlaid(op: Op, setting: Setting, place: Place) -> Option<Self> {
        let buffers = overlay::arena(&op, &setting, place)?;
        Some(Self::with(op, setting, buffers))
    }

    fn with(op: Op, setting: Setting, mut buffers: Buffers) -> Self {
        let operands = operands(&op, &setting);
        let packed = buffers.input_mut();
        activations::pack(&operands.input, op.in_channels(), setting.in_bits, packed).expect("sizes agree");
        let mut weights = Guarded::new(op.weights_len(setting.w_bits), 0);
        op.pack(setting.w_bits, setting.in_bits, &operands.weights, weights.get_mut());
        Case { op, setting, operands, weights, buffers }
    }

    /// Runs the kernel once.
    pub fn run(&mut self) {
        self.try_run().expect("the case is well-formed");
    }

    /// The same where the kernel may refuse.
    pub fn try_run(&mut self) -> Result<(), KernelError> {
        let Setting { variant, w_bits, in_bits, out_bits, .. } = self.setting;
        let Operands { channels, requant, in_zero, .. } = &self.operands;
        let weights = self.weights.get();
        let (requant, in_zero) = (*requant, *in_zero);
        let (input, scratch, output) = self.buffers.views();
        match self.op {
            Op::Fc(shape) => fully_connected::run(FcArgs {
                shape,
                in_bits,
                w_bits,
                out_bits,
                channels,
                requant,
                input,
                weights,
                scratch,
                output,
            }),
            Op::Conv(shape) | Op::Depthwise(shape) => {
                let kernel = if matches!(self.op, Op::Conv(_)) { conv2d::run } else { depthwise::run };
                kernel(ConvArgs {
                    shape,
                    variant,
                    in_bits,
                    w_bits,
                    out_bits,
                    in_zero,
                    channels,
                    requant,
                    input,
                    weights,
                    scratch,
                    output,
                })
            }
        }
    }

    /// Runs the kernel and compares; a variant that does not bear the shift that was drawn is refused.
    fn check(&mut self) -> Result<(), String> {
        match self.try_run() {
            Ok(()) => self.verify(),
            Err(error) if self.op.exists(self.setting.variant, self.setting.in_bits, self.operands.requant.shift) => {
                Err(format!("{error}"))
            }
            Err(_) => Ok(()),
        }
    }

    /// Compares the output with the oracle's and looks at the guards.
    pub fn verify(&self) -> Result<(), String> {
        let expected = self.op.expected(&self.operands);
        let channels = self.op.out_channels();
        let mut packed = vec![0; self.buffers.output().len()];
        activations::pack(&expected, channels, self.setting.out_bits, &mut packed).expect("sizes agree");
        self.weights.check("weights")?;
        self.buffers.check()?;
        let output = self.buffers.output();
        match packed.iter().zip(output).position(|(want, got)| want != got) {
            None => Ok(()),
            Some(at) => {
                let (want, got) = (packed[at], output[at]);
                Err(format!("byte {at} of {}: {got:#04x}, oracle {want:#04x}", packed.len()))
            }
        }
    }
}

/// Runs one case by every variant that there is for its shape, and says what differs.
pub fn check(op: Op, setting: Setting) -> Result<(), String> {
    for variant in op.variants(setting.in_bits) {
        let setting = Setting { variant, ..setting };
        let mut case = Case::new(op, setting);
        case.check().map_err(|difference| format!("{op:?} {setting:?}: {difference}"))?;
    }
    Ok(())
}

/// The same with buffers that overlap as far as the op bears it, wherever it does.
pub fn check_overlaid(op: Op, setting: Setting) -> Result<(), String> {
    for variant in op.variants(setting.in_bits) {
        let setting = Setting { variant, ..setting };
        for place in Place::ALL {
            if let Some(mut case) = Case::overlaid(op, setting, place) {
                case.check().map_err(|difference| format!("{op:?} {setting:?} {place:?}: {difference}"))?;
            }
        }
    }
    Ok(())
}

fn elements(h: u16, w: u16, c: u16) -> usize {
    usize::from(h) * usize::from(w) * usize::from(c)
}

/// Every combination of widths, as `(weights, input, output)`.
pub fn all_widths() -> impl Iterator<Item = (Bits, Bits, Bits)> {
    Bits::ALL.into_iter().flat_map(|w| Bits::ALL.into_iter().flat_map(move |i| Bits::ALL.map(|o| (w, i, o))))
}
