//! Gain and offset of every output channel, fitted layer by layer on samples that have come through all quantization before.
//!
//! Rounding weights and activations shifts and stretches each channel's output a little, and the errors of one layer are the
//! inputs of the next. Scale and bias per channel are there anyway, so that undoing this costs nothing at inference:
//! each channel gets the mean and the standard deviation that it has in the float network (bias correction of Nagel et al.
//! 2019, section 4.2, with a slope). A least-squares fit instead would shrink noisy channels, and so starve the next
//! activation's few codes: at 2-bit weights it costs ten points of accuracy on keyword spotting.

use rayon::prelude::*;

use crate::dataset::Dataset;
use crate::float::{Activations, FloatExecutor, FloatModel, FloatWeights, activate};
use crate::graph::Layer;
use crate::quantized::TensorQuant;

/// Most samples that are sent through the network per policy.
const SAMPLES: usize = 96;
/// Most bytes that the float network's values on them may take.
const MEMORY: usize = 128 << 20;
/// A slope outside this range fits noise: the channel says next to nothing.
const SLOPES: std::ops::RangeInclusive<f64> = 0.5..=2.0;

/// What the float network computes on a few samples, before fused activations.
#[derive(Debug, Clone)]
pub struct Reference {
    inputs: Vec<Vec<f32>>,
    /// Per layer with weights (else empty) and sample.
    outputs: Vec<Vec<Vec<f32>>>,
}

/// What turns a channel's sum of products into its real output: `slope * sum + offset`.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    pub slope: f64,
    pub offset: f64,
}

impl Reference {
    /// Runs the float network on the first samples of `data`.
    pub fn collect(model: &FloatModel, data: &Dataset) -> Self {
        let graph = model.graph();
        let weighted = graph.layers.iter().filter(|l| l.op.has_weights());
        let bytes: usize = weighted.map(|l| 4 * graph.shape(l.output).elements()).sum();
        let samples = (MEMORY / bytes.max(1)).clamp(1, SAMPLES.min(data.len()));
        let read = |index| {
            let mut sample = Vec::new();
            data.read(index, &mut sample);
            sample
        };
        let inputs: Vec<Vec<f32>> = (0..samples).map(read).collect();
        let executor = FloatExecutor::new(model);
        let mut states = states(&executor, &inputs);
        let mut outputs = Vec::new();
        for (index, layer) in graph.layers.iter().enumerate() {
            let linear = run_linear(&executor, index, layer, &states);
            finish(&mut states, layer, linear.clone(), |_| {});
            outputs.push(if layer.op.has_weights() { linear } else { Vec::new() });
        }
        Self { inputs, outputs }
    }

    /// Fits every channel of every layer with weights, `None` for the others. `rounded` holds the weights as their codes
    /// mean them, with biases of zero; `quants` the quantization of every tensor.
    pub fn fit(
        &self,
        model: &FloatModel,
        rounded: Vec<Option<FloatWeights>>,
        quants: &[TensorQuant],
    ) -> Vec<Option<Vec<Line>>> {
        let rounded = model.with_weights(rounded);
        let executor = FloatExecutor::new(&rounded);
        let graph = rounded.graph();
        let mut states = states(&executor, &self.inputs);
        let quantize = |quant: TensorQuant, values: &mut [f32]| {
            values.iter_mut().for_each(|v| *v = quant.real(quant.code(*v)));
        };
        states.iter_mut().for_each(|s| quantize(quants[graph.input.0], &mut s.0[graph.input.0]));
        let mut lines = Vec::new();
        for (index, layer) in graph.layers.iter().enumerate() {
            let mut linear = run_linear(&executor, index, layer, &states);
            let fitted =
                layer.op.has_weights().then(|| fit_lines(graph.shape(layer.output).c, &linear, &self.outputs[index]));
            if let Some(fitted) = &fitted {
                linear.par_iter_mut().for_each(|sample| apply(fitted, sample));
            }
            finish(&mut states, layer, linear, |values| quantize(quants[layer.output.0], values));
            lines.push(fitted);
        }
        lines
    }
}

fn states(executor: &FloatExecutor<'_>, inputs: &[Vec<f32>]) -> Vec<Activations> {
    let graph = executor.graph();
    let state = |input: &Vec<f32>| {
        let mut buffers = executor.buffers();
        buffers.0[graph.input.0].copy_from_slice(input);
        buffers
    };
    inputs.iter().map(state).collect()
}

/// The layer's output before its fused activation, per sample.
fn run_linear(executor: &FloatExecutor<'_>, index: usize, layer: &Layer, states: &[Activations]) -> Vec<Vec<f32>> {
    let run = |state: &Activations| {
        let mut out = vec![0.0; state.get(layer.output).len()];
        executor.linear(index, state, &mut out);
        out
    };
    states.par_iter().map(run).collect()
}

fn finish(states: &mut [Activations], layer: &Layer, linear: Vec<Vec<f32>>, then: impl Fn(&mut [f32]) + Sync) {
    states.par_iter_mut().zip(linear).for_each(|(state, mut values)| {
        activate(layer.op.activation(), &mut values);
        then(&mut values);
        state.0[layer.output.0] = values;
    });
}

fn apply(lines: &[Line], values: &mut [f32]) {
    for pixel in values.chunks_exact_mut(lines.len()) {
        pixel.iter_mut().zip(lines).for_each(|(v, line)| *v = (line.slope * f64::from(*v) + line.offset) as f32);
    }
}

/// Sums over a channel's values in the quantized network, `x`, and the float one, `y`.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    n: f64,
    x: f64,
    y: f64,
    xx: f64,
    yy: f64,
}

impl Sums {
    fn add(&mut self, x: f32, y: f32) {
        let (x, y) = (f64::from(x), f64::from(y));
        self.n += 1.0;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.yy += y * y;
    }

    /// The line that gives `x` the mean and deviation of `y`.
    fn line(&self) -> Line {
        let (mean_x, mean_y) = (self.x / self.n, self.y / self.n);
        let variance = |squares: f64, mean: f64| (squares / self.n - mean * mean).max(0.0);
        let slope = (variance(self.yy, mean_y) / variance(self.xx, mean_x)).sqrt();
        let slope = if slope.is_finite() { slope.clamp(*SLOPES.start(), *SLOPES.end()) } else { 1.0 };
        Line { slope, offset: mean_y - slope * mean_x }
    }
}

fn fit_lines(channels: usize, quantized: &[Vec<f32>], float: &[Vec<f32>]) -> Vec<Line> {
    let mut sums = vec![Sums::default(); channels];
    for (x, y) in quantized.iter().zip(float) {
        for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact(channels)) {
            sums.iter_mut().zip(x.iter().zip(y)).for_each(|(sum, (&x, &y))| sum.add(x, y));
        }
    }
    sums.iter().map(Sums::line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_gets_the_mean_and_deviation_of_the_float_network() {
        let quantized = [vec![1.0, 0.0, 3.0, 0.0]];
        let float = [vec![10.0, 7.0, 13.0, 7.0]];
        let lines = fit_lines(2, &quantized, &float);
        assert_eq!((lines[0].slope, lines[0].offset), (1.5, 8.5));
        // A channel that never moves keeps its scale.
        assert_eq!((lines[1].slope, lines[1].offset), (1.0, 7.0));
    }
}
