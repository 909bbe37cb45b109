//! Real scales to the integers that an op computes with.

use super::geometry::WeightKernel;
use crate::graph::{Activation, Layer, Op};
use crate::quantized::{QuantizedModel, QuantizedWeights, TensorQuant};

/// Most places that the accumulator may be shifted left.
const MAX_SHIFT: u8 = 30;
/// Softmax's table counts `exp` in units of `2^-23`.
const TABLE_ONE: f64 = (1u32 << 23) as f64;

/// An op's constants.
#[derive(Debug, Default)]
pub struct Constants {
    pub shift: u8,
    pub act_min: u8,
    pub act_max: u8,
    pub params: [i32; 4],
    /// Packed weights or the softmax table.
    pub weights: Vec<u8>,
    /// `(bias, mult)` per output channel.
    pub channels: Vec<(i32, i32)>,
}

/// Constants of a layer.
///
/// # Errors
/// Why its scales cannot be expressed in the integer arithmetic.
pub fn of(model: &QuantizedModel, index: usize) -> Result<Constants, String> {
    let layer = &model.graph().layers[index];
    let input = model.tensors()[layer.inputs[0].0];
    let output = model.tensors()[layer.output.0];
    let (act_min, act_max) = clamp(layer.op.activation(), &output);
    let plain = Constants { act_min, act_max, ..Constants::default() };
    match layer.op {
        Op::Conv2d { .. } | Op::DepthwiseConv2d { .. } | Op::FullyConnected { .. } => {
            let weights = model.weights(index).ok_or("has no weights")?;
            let kernel = WeightKernel::of(model.graph(), layer).ok_or("has no kernel")?;
            weighted(weights, &kernel, &input, &output, plain)
        }
        Op::AveragePool { window, .. } => average(window.kernel[0] * window.kernel[1], &input, &output, plain),
        Op::MaxPool { .. } => max_pool(&input, &output, plain),
        Op::Add { .. } => add(model, layer, &output, plain),
        Op::Reshape {} => Ok(plain),
        Op::Softmax { beta } => Ok(Constants { weights: softmax_table(beta, &input), ..plain }),
    }
}

/// The codes between which the fused activation keeps the output.
fn clamp(activation: Activation, output: &TensorQuant) -> (u8, u8) {
    match activation {
        Activation::None => (0, output.bits.max_code()),
        Activation::Relu => (output.zero, output.bits.max_code()),
        Activation::Relu6 => (output.zero, output.code(6.0)),
    }
}

fn weighted(
    weights: &QuantizedWeights,
    kernel: &WeightKernel,
    input: &TensorQuant,
    output: &TensorQuant,
    plain: Constants,
) -> Result<Constants, String> {
    let n = weights.values.len() / weights.scales.len();
    let rows = weights.values.chunks_exact(n).zip(&weights.bias).zip(&weights.scales);
    let mut channels: Vec<Channel> = rows
        .map(|((row, &bias), &scale)| Channel {
            weights: row.to_vec(),
            bias: i64::from(bias),
            factor: f64::from(scale) * f64::from(input.scale) / f64::from(output.scale),
        })
        .collect();
    let shift = fit(&mut channels, input)?;
    let values: Vec<i8> = channels.iter().flat_map(|c| c.weights.iter().copied()).collect();
    let constants = |c: &Channel| (c.folded_bias(input) as i32, multiplier(c.factor, shift) as i32);
    Ok(Constants {
        shift,
        weights: kernel.pack(weights.bits, input.bits, &values)?,
        channels: channels.iter().map(constants).collect(),
        ..plain
    })
}

/// One output channel on its way to integers.
#[derive(Debug, Clone)]
struct Channel {
    weights: Vec<i8>,
    bias: i64,
    /// Real value of one accumulator step in output steps.
    factor: f64,
}

impl Channel {
    /// `bias - zero_in * sum(w)`, because the kernel multiplies codes that still contain the zero point.
    fn folded_bias(&self, input: &TensorQuant) -> i64 {
        self.bias - i64::from(input.zero) * self.weights.iter().map(|&w| i64::from(w)).sum::<i64>()
    }

    /// Whether the accumulator, whatever the input, and its bias survive the shift in 32 bits.
    fn fits(&self, input: &TensorQuant, shift: u8) -> bool {
        let bias = self.folded_bias(input);
        let largest = i64::from(input.bits.max_code());
        let sum = |positive: bool| {
            let part = self.weights.iter().map(|&w| i64::from(w)).filter(|&w| (w > 0) == positive);
            part.sum::<i64>() * largest
        };
        let shifted = |acc: i64| i32::try_from(acc << shift).is_ok();
        shifted(bias) && shifted(bias + sum(true)) && shifted(bias + sum(false))
    }

    /// Doubles the channel's scale. Such a channel's accumulator is far finer than its output.
    fn coarsen(&mut self) {
        self.weights.iter_mut().for_each(|w| *w = halved(i64::from(*w)) as i8);
        self.bias = halved(self.bias);
        self.factor *= 2.0;
    }
}

/// Half, rounded to the nearest even integer.
fn halved(value: i64) -> i64 {
    (value >> 1) + (value & 1 & (value >> 1))
}

/// The op's shift, after coarsening channels whose accumulator would not fit beside the others'.
fn fit(channels: &mut [Channel], input: &TensorQuant) -> Result<u8, String> {
    loop {
        let largest = channels.iter().map(|c| c.factor).fold(0.0, f64::max);
        let shift = smallest_shift(largest)?;
        let mut all_fit = true;
        for channel in channels.iter_mut().filter(|c| !c.fits(input, shift)) {
            channel.coarsen();
            all_fit = false;
        }
        if all_fit {
            return Ok(shift);
        }
    }
}

/// The smallest shift with which a factor's multiplier is below `2^31`. The smaller, the finer the multiplier.
fn smallest_shift(factor: f64) -> Result<u8, String> {
    let fits = |&shift: &u8| multiplier(factor, shift) <= i64::from(i32::MAX);
    (0..=MAX_SHIFT)
        .find(fits)
        .ok_or_else(|| format!("a factor of {factor} between input and output scale is too large"))
}

/// `round(factor * 2^(32 - shift))`.
fn multiplier(factor: f64, shift: u8) -> i64 {
    (factor * 2f64.powi(32 - i32::from(shift))).round() as i64
}

/// The multiplier is the next one below the exact factor, so that a mean halfway between two codes goes to the lower one.
/// TensorFlow Lite rounds such means away from its code 0, our 128: the same for the small codes that means mostly are.
fn average(window: usize, input: &TensorQuant, output: &TensorQuant, plain: Constants) -> Result<Constants, String> {
    let factor = f64::from(input.scale) / f64::from(output.scale) / window as f64;
    let shift = smallest_shift(factor)?;
    let exact = factor * 2f64.powi(32 - i32::from(shift));
    let below = (exact.ceil() as i32 - 1).max(0);
    Ok(Constants { shift, params: [below, 0, 0, 0], ..plain })
}

/// A maximum is one of its inputs: where scales agree there is nothing to compute.
fn max_pool(input: &TensorQuant, output: &TensorQuant, plain: Constants) -> Result<Constants, String> {
    let whole_range = (plain.act_min, plain.act_max) == (0, output.bits.max_code());
    if input == output && whole_range {
        return Ok(Constants { params: [0, 1, 0, 0], ..plain });
    }
    let factor = f64::from(input.scale) / f64::from(output.scale);
    let shift = smallest_shift(factor)?;
    Ok(Constants { shift, params: [multiplier(factor, shift) as i32, 0, 0, 0], ..plain })
}

/// `y = (x1 * m1 + x2 * m2 + b) >> s`, the larger multiplier with 21 bits where sums allow it: as fine as XNNPACK's, so
/// that sums round alike.
fn add(model: &QuantizedModel, layer: &Layer, output: &TensorQuant, plain: Constants) -> Result<Constants, String> {
    let inputs = [0, 1].map(|i| model.tensors()[layer.inputs[i].0]);
    let params = addition(&inputs, output).ok_or("an input's scale does not fit the output's")?;
    Ok(Constants { params, ..plain })
}

fn addition(inputs: &[TensorQuant; 2], output: &TensorQuant) -> Option<[i32; 4]> {
    let factors = inputs.map(|q| f64::from(q.scale / output.scale));
    let exponent = factors[0].max(factors[1]).log2().floor() as i32;
    let finest = u8::try_from(20 - exponent).ok()?.min(MAX_SHIFT);
    (0..=finest).rev().find_map(|shift| add_params(inputs, factors, output, shift))
}

fn add_params(inputs: &[TensorQuant; 2], factors: [f64; 2], output: &TensorQuant, shift: u8) -> Option<[i32; 4]> {
    let mult = factors.map(|f| (f * 2f64.powi(i32::from(shift))).round() as i64);
    let zeros: i64 = inputs.iter().zip(mult).map(|(q, m)| i64::from(q.zero) * m).sum();
    let half = (1i64 << shift) >> 1;
    let bias = (i64::from(output.zero) << shift) + half - zeros;
    let largest: i64 = inputs.iter().zip(mult).map(|(q, m)| i64::from(q.bits.max_code()) * m).sum();
    let [m1, m2] = mult.map(|m| i32::try_from(m).ok());
    // The products and their sum must fit as well as the result.
    let (bias, _, _) = (i32::try_from(bias).ok()?, i32::try_from(largest).ok()?, i32::try_from(bias + largest).ok()?);
    Some([m1?, m2?, bias, i32::from(shift)])
}

/// `round(2^23 * exp(-beta * scale * d))` for every difference `d` of codes.
fn softmax_table(beta: f32, input: &TensorQuant) -> Vec<u8> {
    let step = f64::from(beta) * f64::from(input.scale);
    let entry = |d: u8| (TABLE_ONE * (-step * f64::from(d)).exp()).round() as u32;
    (0..=input.bits.max_code()).flat_map(|d| entry(d).to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::Bits;
    use proptest::prelude::*;

    fn quant(bits: Bits, scale: f32, zero: u8) -> TensorQuant {
        TensorQuant { bits, scale, zero }
    }

    #[test]
    fn halving_rounds_to_even() {
        assert_eq!([-3, -2, -1, 0, 1, 2, 3, 5].map(halved), [-2, -1, 0, 0, 0, 1, 2, 2]);
    }

    #[test]
    fn a_channel_with_a_huge_bias_is_coarsened_and_its_value_kept() {
        let input = quant(Bits::Eight, 1.0, 128);
        let huge = Channel { weights: vec![127, -127], bias: i64::from(i32::MAX), factor: 1e-9 };
        let usual = Channel { weights: vec![5, 3], bias: 10, factor: 0.9 };
        let mut channels = [huge, usual.clone()];
        let shift = fit(&mut channels, &input).expect("fits");
        assert_eq!(shift, 1);
        assert_eq!(channels[1].weights, usual.weights);
        let value = channels[0].bias as f64 * channels[0].factor;
        assert!((value - f64::from(i32::MAX) * 1e-9).abs() < 1e-6 && channels[0].fits(&input, shift));
    }

    #[test]
    fn an_impossible_scale_is_an_error() {
        assert!(smallest_shift(1e12).is_err());
        assert!(smallest_shift(f64::NAN).is_ok_and(|s| s == 0));
        assert_eq!(smallest_shift(0.49), Ok(0));
        assert_eq!(smallest_shift(0.5), Ok(1));
    }

    proptest! {
        #[test]
        fn addition_is_within_half_a_step(
            scales in [0.01f32..2.0, 0.01f32..2.0, 0.05f32..2.0],
            zeros in [any::<u8>(), any::<u8>(), any::<u8>()],
            x in [any::<u8>(), any::<u8>()],
        ) {
            let [a, b, out] = [0, 1, 2].map(|i| quant(Bits::Eight, scales[i], zeros[i]));
            let params = addition(&[a, b], &out).expect("fits");
            let y = (i32::from(x[0]) * params[0] + i32::from(x[1]) * params[1] + params[2]) >> params[3];
            let real = f64::from(a.real(x[0])) + f64::from(b.real(x[1]));
            let exact = real / f64::from(out.scale) + f64::from(out.zero);
            prop_assert!((f64::from(y) - exact).abs() < 0.51, "{} for {}", y, exact);
        }
    }
}
