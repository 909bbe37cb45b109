//! Runs a float network: the reference for accuracy and the source of calibration statistics.

use super::FloatModel;
use crate::graph::{Activation, Graph, Layer, Op, Shape, TensorId, Window};

/// The values of every tensor of one inference, indexed by [`TensorId`]. Reused from sample to sample.
#[derive(Debug, Clone)]
pub struct Activations(pub(crate) Vec<Vec<f32>>);

impl Activations {
    /// Values of a tensor, HWC.
    pub fn get(&self, id: TensorId) -> &[f32] {
        &self.0[id.0]
    }
}

/// A float network prepared for running: weights transposed so that the innermost loop runs over output channels.
#[derive(Debug)]
pub struct FloatExecutor<'m> {
    model: &'m FloatModel,
    /// Per layer `[kernel_h][kernel_w][in][out]`; empty without weights.
    transposed: Vec<Vec<f32>>,
}

impl<'m> FloatExecutor<'m> {
    /// Prepares a network.
    pub fn new(model: &'m FloatModel) -> Self {
        let transposed = (0..model.graph.layers.len()).map(|i| transpose(model, i)).collect();
        Self { model, transposed }
    }

    /// The topology.
    pub fn graph(&self) -> &Graph {
        self.model.graph()
    }

    /// Buffers for one thread's inferences.
    pub fn buffers(&self) -> Activations {
        Activations(self.model.graph.tensors.iter().map(|t| vec![0.0; t.shape.elements()]).collect())
    }

    /// One inference. `input` is HWC of the network's input shape.
    ///
    /// # Panics
    /// When `input` has another length: the data set was checked against the model before.
    pub fn run(&self, input: &[f32], buffers: &mut Activations) {
        let graph = self.model.graph();
        buffers.0[graph.input.0].copy_from_slice(input);
        for index in 0..graph.layers.len() {
            let output = graph.layers[index].output.0;
            let mut out = std::mem::take(&mut buffers.0[output]);
            self.linear(index, buffers, &mut out);
            activate(graph.layers[index].op.activation(), &mut out);
            buffers.0[output] = out;
        }
    }

    /// One layer without its fused activation, from the buffers to `out`.
    pub(crate) fn linear(&self, index: usize, buffers: &Activations, out: &mut [f32]) {
        let graph = self.model.graph();
        let layer = &graph.layers[index];
        let x = buffers.get(layer.inputs[0]);
        let shapes = Shapes::of(graph, layer);
        let weights = self.transposed[index].as_slice();
        let bias = self.model.weights(index).map_or(&[][..], |w| &w.bias);
        match layer.op {
            Op::Conv2d { window, .. } => conv2d(shapes, window, x, weights, bias, out),
            Op::FullyConnected { .. } => conv2d(shapes, POINTWISE, x, weights, bias, out),
            Op::DepthwiseConv2d { window, .. } => depthwise(shapes, window, x, weights, bias, out),
            Op::AveragePool { window, .. } => average_pool(shapes, window, x, out),
            Op::MaxPool { window, .. } => max_pool(shapes, window, x, out),
            Op::Add { .. } => add(x, buffers.get(layer.inputs[1]), out),
            Op::Reshape {} => out.copy_from_slice(x),
            Op::Softmax { beta } => softmax(beta, x, out),
        }
    }
}

const POINTWISE: Window = Window { kernel: [1, 1], stride: [1, 1], pad_before: [0, 0] };

#[derive(Clone, Copy)]
struct Shapes {
    input: Shape,
    output: Shape,
}

impl Shapes {
    fn of(graph: &Graph, layer: &Layer) -> Self {
        Self { input: graph.input_shape(layer), output: graph.shape(layer.output) }
    }

    /// Calls `f(tap, first input channel)` for every tap of the window of output `(oy, ox)` that lies on the input.
    fn each_tap(self, window: Window, oy: usize, ox: usize, mut f: impl FnMut(usize, usize)) {
        let [kernel_h, kernel_w] = window.kernel;
        for ky in 0..kernel_h {
            let Some(y) = position(oy, window, ky, 0, self.input.h) else { continue };
            for kx in 0..kernel_w {
                let Some(x) = position(ox, window, kx, 1, self.input.w) else { continue };
                f(ky * kernel_w + kx, (y * self.input.w + x) * self.input.c);
            }
        }
    }

    /// Calls `f(oy, ox, pixel)` for every output pixel.
    fn each_pixel(self, out: &mut [f32], mut f: impl FnMut(usize, usize, &mut [f32])) {
        for (index, pixel) in out.chunks_exact_mut(self.output.c).enumerate() {
            f(index / self.output.w, index % self.output.w, pixel);
        }
    }
}

/// The input row or column under tap `tap` of output `out`, unless it is padding.
fn position(out: usize, window: Window, tap: usize, axis: usize, size: usize) -> Option<usize> {
    (out * window.stride[axis] + tap).checked_sub(window.pad_before[axis]).filter(|&p| p < size)
}

fn conv2d(shapes: Shapes, window: Window, x: &[f32], weights: &[f32], bias: &[f32], out: &mut [f32]) {
    let (channels, outputs) = (shapes.input.c, shapes.output.c);
    shapes.each_pixel(out, |oy, ox, pixel| {
        pixel.copy_from_slice(bias);
        shapes.each_tap(window, oy, ox, |tap, at| {
            let rows = weights[tap * channels * outputs..][..channels * outputs].chunks_exact(outputs);
            for (&value, row) in x[at..at + channels].iter().zip(rows) {
                // After a ReLU about half of all inputs are zero.
                if value != 0.0 {
                    pixel.iter_mut().zip(row).for_each(|(sum, w)| *sum += value * w);
                }
            }
        });
    });
}

fn depthwise(shapes: Shapes, window: Window, x: &[f32], weights: &[f32], bias: &[f32], out: &mut [f32]) {
    let channels = shapes.input.c;
    shapes.each_pixel(out, |oy, ox, pixel| {
        pixel.copy_from_slice(bias);
        shapes.each_tap(window, oy, ox, |tap, at| {
            let row = &weights[tap * channels..][..channels];
            let values = &x[at..at + channels];
            pixel.iter_mut().zip(values).zip(row).for_each(|((sum, value), w)| *sum += value * w);
        });
    });
}

fn average_pool(shapes: Shapes, window: Window, x: &[f32], out: &mut [f32]) {
    shapes.each_pixel(out, |oy, ox, pixel| {
        let mut count = 0.0;
        pixel.fill(0.0);
        shapes.each_tap(window, oy, ox, |_, at| {
            count += 1.0;
            pixel.iter_mut().zip(&x[at..]).for_each(|(sum, value)| *sum += value);
        });
        pixel.iter_mut().for_each(|sum| *sum /= count);
    });
}

fn max_pool(shapes: Shapes, window: Window, x: &[f32], out: &mut [f32]) {
    shapes.each_pixel(out, |oy, ox, pixel| {
        pixel.fill(f32::NEG_INFINITY);
        shapes.each_tap(window, oy, ox, |_, at| {
            pixel.iter_mut().zip(&x[at..]).for_each(|(max, &value)| *max = max.max(value));
        });
    });
}

fn add(a: &[f32], b: &[f32], out: &mut [f32]) {
    out.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum = a + b);
}

fn softmax(beta: f32, x: &[f32], out: &mut [f32]) {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    out.iter_mut().zip(x).for_each(|(e, value)| *e = (beta * (value - max)).exp());
    let sum: f32 = out.iter().sum();
    out.iter_mut().for_each(|e| *e /= sum);
}

/// Applies a fused activation in place.
pub(crate) fn activate(activation: Activation, out: &mut [f32]) {
    let (low, high) = activation.bounds();
    if activation != Activation::None {
        out.iter_mut().for_each(|v| *v = v.clamp(low, high));
    }
}

fn transpose(model: &FloatModel, index: usize) -> Vec<f32> {
    let Some(weights) = model.weights(index) else { return Vec::new() };
    let out = weights.bias.len();
    let per_channel = weights.values.len() / out;
    (0..weights.values.len()).map(|i| weights.values[(i % out) * per_channel + i / out]).collect()
}
