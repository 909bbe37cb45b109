//! A graph in libtorch: in float, and with fake quantization that computes the integer kernels' codes.
//!
//! Between layers of the quantized network flow *codes without their zero point*, exact integers held as floats. Products and
//! sums of them are exact up to `2^24` in float32, so that a convolution gives the kernels' accumulator to the bit; then one
//! multiplication by a real factor, one clamp and one rounding give the output's codes, where the kernels multiply by
//! that factor rounded to 31 bits (20 bits for sums). The two differ, by one code, only where the product lies within float's
//! resolution of a half: `docs/fine-tuning.md` has the measured rate.

use super::error::QatError;
use super::ops::{self, Rounding};
use super::rounded::FakeQuantized;
use bitrack_model::graph::{Activation, Graph, Layer, Op, TensorId};
use bitrack_model::{FloatModel, SOFTMAX_QUANT};
use tch::{Kind, TchError, Tensor};

/// What a quantized network made of a batch.
#[derive(Debug)]
pub struct Outputs {
    /// Real values before a final softmax, `[n, classes]`, with gradients: what a loss is computed on.
    pub logits: Tensor,
    /// The output tensor's codes, `[n, classes]`, as the integer kernels have them.
    pub codes: Tensor,
}

/// Codes of every tensor, zero point taken off.
type Codes = Vec<Option<Tensor>>;

impl FakeQuantized<'_> {
    /// Runs a batch of samples `[n, c, h, w]`.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn forward(&self, x: &Tensor) -> Result<Outputs, QatError> {
        let graph = self.graph;
        let mut codes: Codes = graph.tensors.iter().map(|_| None).collect();
        codes[graph.input.0] = Some(self.sample(&x.f_to_kind(self.kind)?, graph.input)?);
        for (index, layer) in graph.layers.iter().enumerate() {
            codes[layer.output.0] = Some(self.layer(index, layer, &codes)?);
        }
        let (before, beta) = logits_of(graph);
        let real = taken(&codes, before)?.f_mul(&self.scale(before)?)?;
        let logits = real.f_flatten(1, -1)?.f_mul_scalar(f64::from(beta))?;
        let output = taken(&codes, graph.output)?.f_detach()?.f_flatten(1, -1)?;
        let codes = output.f_add_scalar(f64::from(self.quants[graph.output.0].zero))?;
        Ok(Outputs { logits, codes })
    }

    /// Codes of what layer `index` makes of these codes of its inputs, zero points included, each `[n, c, h, w]`.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn layer_codes(&self, index: usize, inputs: &[Tensor]) -> Result<Tensor, QatError> {
        tch::no_grad(|| {
            let layer = &self.graph.layers[index];
            let mut codes: Codes = self.graph.tensors.iter().map(|_| None).collect();
            for (id, input) in layer.inputs.iter().zip(inputs) {
                let input = input.f_to_kind(self.kind)?;
                codes[id.0] = Some(input.f_sub_scalar(f64::from(self.quants[id.0].zero))?);
            }
            let output = self.layer(index, layer, &codes)?;
            Ok(output.f_add_scalar(f64::from(self.quants[layer.output.0].zero))?)
        })
    }

    fn scale(&self, id: TensorId) -> Result<Tensor, TchError> {
        self.scales.f_select(0, id.0 as i64)
    }

    /// Output steps per input step. In double precision: scales of related tensors often differ by powers of two and a
    /// hair, which decides every value halfway between two codes.
    fn ratio(&self, input: TensorId, output: TensorId) -> Result<Tensor, TchError> {
        self.scale(input)?.f_to_kind(Kind::Double)?.f_div(&self.scale(output)?.f_to_kind(Kind::Double)?)
    }

    fn sample(&self, x: &Tensor, input: TensorId) -> Result<Tensor, TchError> {
        let range = self.range(Activation::None, input);
        ops::round_clamped(&x.f_div(&self.scale(input)?)?, range, Rounding::Away)
    }

    /// Smallest and largest code that a fused activation leaves, zero point taken off.
    fn range(&self, activation: Activation, output: TensorId) -> (f64, f64) {
        let quant = self.quants[output.0];
        let (low, high) = match activation {
            Activation::None => (0, quant.bits.max_code()),
            Activation::Relu => (quant.zero, quant.bits.max_code()),
            Activation::Relu6 => (quant.zero, quant.code(6.0)),
        };
        let zero = f64::from(quant.zero);
        (f64::from(low) - zero, f64::from(high) - zero)
    }

    fn finish(&self, layer: &Layer, y: &Tensor, rounding: Rounding) -> Result<Tensor, TchError> {
        ops::round_clamped(y, self.range(layer.op.activation(), layer.output), rounding)?.f_to_kind(self.kind)
    }

    fn layer(&self, index: usize, layer: &Layer, codes: &Codes) -> Result<Tensor, TchError> {
        let x = taken(codes, layer.inputs[0])?;
        match layer.op {
            Op::Conv2d { .. } | Op::DepthwiseConv2d { .. } | Op::FullyConnected { .. } => {
                self.weighted(index, layer, x)
            }
            Op::AveragePool { window, .. } => {
                let (sums, counts) = ops::window_sums(self.graph, layer, window, x)?;
                let factor = self.ratio(layer.inputs[0], layer.output)?.f_div(&counts.f_to_kind(Kind::Double)?)?;
                self.finish(layer, &sums.f_to_kind(Kind::Double)?.f_mul(&factor)?, Rounding::ToZero)
            }
            Op::MaxPool { window, .. } => {
                let maxima = ops::window_maxima(self.graph, layer, window, x)?;
                let factor = self.ratio(layer.inputs[0], layer.output)?;
                self.finish(layer, &maxima.f_to_kind(Kind::Double)?.f_mul(&factor)?, Rounding::Up)
            }
            Op::Add { .. } => {
                let scaled = |i: usize| {
                    let x = taken(codes, layer.inputs[i])?.f_to_kind(Kind::Double)?;
                    x.f_mul(&self.ratio(layer.inputs[i], layer.output)?)
                };
                self.finish(layer, &scaled(0)?.f_add(&scaled(1)?)?, Rounding::Up)
            }
            Op::Reshape {} => ops::reshape(x, self.graph.shape(layer.output)),
            Op::Softmax { beta } => self.softmax(beta, layer.inputs[0], x),
        }
    }

    fn weighted(&self, index: usize, layer: &Layer, x: &Tensor) -> Result<Tensor, TchError> {
        let numbers = self.numbers(index)?.ok_or_else(missing)?;
        let accumulators = ops::weighted(self.graph, layer, x, &numbers.codes, &numbers.bias)?;
        self.finish(layer, &accumulators.f_mul(&numbers.factor)?, Rounding::Up)
    }

    /// The kernels' codes, with the real softmax's gradient: their table counts `exp` in units of `2^-23`.
    fn softmax(&self, beta: f32, input: TensorId, x: &Tensor) -> Result<Tensor, TchError> {
        let real = x.f_mul(&self.scale(input)?)?.f_mul_scalar(f64::from(beta))?.f_softmax(1, None::<Kind>)?;
        let codes = real.f_div_scalar(f64::from(SOFTMAX_QUANT.scale))?;
        let exact = tch::no_grad(|| {
            let step = f64::from(beta) * f64::from(self.quants[input.0].scale);
            let x = x.f_detach()?.f_to_kind(Kind::Double)?;
            let distance = x.f_sub(&x.f_amax([1i64].as_slice(), true)?)?;
            let table = distance.f_mul_scalar(step)?.f_exp()?.f_mul_scalar(f64::from(1u32 << 23))?;
            ops::round_in_place(&table, Rounding::Up)?;
            let sum = table.f_sum_dim_intlist([1i64].as_slice(), true, None::<Kind>)?;
            let codes = table.f_mul_scalar(256.0)?.f_div(&sum)?;
            ops::round_clamped(&codes, (0.0, 255.0), Rounding::Up)
        })?;
        // `real` plus what it lacks: the value is exact, the gradient real.
        let lacking = exact.f_to_kind(x.f_kind()?)?.f_sub(&codes.f_detach()?)?;
        codes.f_add(&lacking)
    }
}

fn missing() -> TchError {
    TchError::Shape("a layer reads a tensor that no earlier layer writes".into())
}

fn taken(codes: &Codes, id: TensorId) -> Result<&Tensor, TchError> {
    codes[id.0].as_ref().ok_or_else(missing)
}

/// The tensor that classes are decided on, and what its values are multiplied by: a final softmax's input, else the output.
fn logits_of(graph: &Graph) -> (TensorId, f32) {
    let last = graph.producer(graph.output).map(|index| &graph.layers[index]);
    match last {
        Some(Layer { op: Op::Softmax { beta }, inputs, .. }) => (inputs[0], *beta),
        _ => (graph.output, 1.0),
    }
}

/// A float network in libtorch: the teacher.
#[derive(Debug)]
pub struct FloatNetwork {
    graph: Graph,
    /// Weights and biases per layer.
    weights: Vec<Option<(Tensor, Tensor)>>,
}

impl FloatNetwork {
    /// Copies a network.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn new(model: &FloatModel, kind: Kind) -> Result<Self, TchError> {
        let graph = model.graph().clone();
        let weights = |index: usize| {
            let Some(weights) = model.weights(index) else { return Ok(None) };
            let values = ops::tensor(&weights.values, &[weights.values.len() as i64], kind)?;
            let bias = ops::tensor(&weights.bias, &[weights.bias.len() as i64], kind)?;
            Ok(Some((ops::weights_to_torch(&graph, &graph.layers[index], &values)?, bias)))
        };
        let weights = (0..graph.layers.len()).map(weights).collect::<Result<_, TchError>>()?;
        Ok(Self { graph, weights })
    }

    /// Real values before a final softmax, `[n, classes]`, of a batch `[n, c, h, w]`.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn logits(&self, x: &Tensor) -> Result<Tensor, TchError> {
        float_logits(&self.graph, &self.weights, x)
    }
}

/// The same for any weights `[out, in, kernel_h, kernel_w]` and biases `[out]`, one entry per layer.
///
/// # Errors
/// libtorch's own.
pub fn float_logits(graph: &Graph, weights: &[Option<(Tensor, Tensor)>], x: &Tensor) -> Result<Tensor, TchError> {
    let mut values: Codes = graph.tensors.iter().map(|_| None).collect();
    values[graph.input.0] = Some(x.shallow_clone());
    for (index, layer) in graph.layers.iter().enumerate() {
        let y = float_layer(graph, layer, weights[index].as_ref(), &values)?;
        let y = match layer.op.activation() {
            Activation::None => y,
            Activation::Relu => y.f_relu()?,
            Activation::Relu6 => y.f_clamp(0.0, 6.0)?,
        };
        values[layer.output.0] = Some(y);
    }
    let (before, beta) = logits_of(graph);
    taken(&values, before)?.f_flatten(1, -1)?.f_mul_scalar(f64::from(beta))
}

fn float_layer(
    graph: &Graph,
    layer: &Layer,
    weights: Option<&(Tensor, Tensor)>,
    values: &Codes,
) -> Result<Tensor, TchError> {
    let x = taken(values, layer.inputs[0])?;
    match layer.op {
        Op::Conv2d { .. } | Op::DepthwiseConv2d { .. } | Op::FullyConnected { .. } => {
            let (weights, bias) = weights.ok_or_else(missing)?;
            ops::weighted(graph, layer, x, weights, bias)
        }
        Op::AveragePool { window, .. } => {
            let (sums, counts) = ops::window_sums(graph, layer, window, x)?;
            sums.f_div(&counts)
        }
        Op::MaxPool { window, .. } => ops::window_maxima(graph, layer, window, x),
        Op::Add { .. } => x.f_add(taken(values, layer.inputs[1])?),
        Op::Reshape {} => ops::reshape(x, graph.shape(layer.output)),
        Op::Softmax { beta } => x.f_mul_scalar(f64::from(beta))?.f_softmax(1, None::<Kind>),
    }
}
