//! First and second moments of what a layer's weights are multiplied with.
//!
//! A weight error `e` changes an output by `e . x`; with the bias corrected for the mean, the expected square of the change
//! is `e^T C e`, where `C` is the covariance of the window's values `x` (Nagel et al. 2020, section 3).

use crate::graph::{Graph, Layer, Op, Shape, Window};

/// Windows per layer that enter the covariance: the estimate is good enough, and large layers stay affordable.
const WINDOWS: usize = 16_384;

/// Moments of a layer's windows. A depthwise layer has one small covariance per channel, others one over the
/// whole window.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    geometry: Geometry,
    /// Independent groups: channels of a depthwise layer, else 1.
    groups: usize,
    /// Values per group: `kernel_h * kernel_w * in` in the order of the weights.
    size: usize,
    count: usize,
    /// `[group][size]`: sums while collecting, means afterwards.
    mean: Vec<f64>,
    /// `[group][size][size]`; only the upper triangle while collecting.
    covariance: Vec<f64>,
}

/// Where the windows are.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Geometry {
    input: Shape,
    output: Shape,
    window: Window,
    /// Every how many-th window is looked at.
    step: usize,
}

impl Moments {
    /// Empty moments of a layer over a data set of `samples`; `None` for layers without weights.
    pub(super) fn new(graph: &Graph, layer: &Layer, samples: usize) -> Option<Self> {
        let weights = graph.weight_shape(layer)?;
        let depthwise = matches!(layer.op, Op::DepthwiseConv2d { .. });
        let (groups, size) = (if depthwise { weights.out } else { 1 }, weights.per_channel());
        let window = layer.op.window().unwrap_or(Window { kernel: [1, 1], stride: [1, 1], pad_before: [0, 0] });
        let output = graph.shape(layer.output);
        let step = (samples * output.h * output.w).div_ceil(WINDOWS);
        let geometry = Geometry { input: graph.input_shape(layer), output, window, step };
        let (mean, covariance) = (vec![0.0; groups * size], vec![0.0; groups * size * size]);
        Some(Self { geometry, groups, size, count: 0, mean, covariance })
    }

    /// Covariance that belongs to output channel `channel`, `[size][size]`.
    pub(crate) fn covariance(&self, channel: usize) -> &[f64] {
        let n = self.size * self.size;
        &self.covariance[(channel % self.groups) * n..][..n]
    }

    /// Adds every `step`-th window of a sample's input, starting elsewhere for each sample.
    pub(super) fn add(&mut self, sample: usize, input: &[f32]) {
        let geometry = self.geometry;
        let Shape { h, w, .. } = geometry.output;
        let mut values = vec![0.0f32; self.groups * self.size];
        let first = (geometry.step - (sample * h * w) % geometry.step) % geometry.step;
        for pixel in (first..h * w).step_by(geometry.step) {
            geometry.read(input, pixel / w, pixel % w, self.groups > 1, &mut values);
            self.add_window(&values);
        }
    }

    fn add_window(&mut self, values: &[f32]) {
        self.count += 1;
        self.mean.iter_mut().zip(values).for_each(|(sum, &v)| *sum += f64::from(v));
        let n = self.size;
        for (group, covariance) in values.chunks_exact(n).zip(self.covariance.chunks_exact_mut(n * n)) {
            for (i, &a) in group.iter().enumerate().filter(|&(_, &a)| a != 0.0) {
                let row = &mut covariance[i * n + i..(i + 1) * n];
                row.iter_mut().zip(&group[i..]).for_each(|(sum, &b)| *sum += f64::from(a * b));
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.mean.iter_mut().zip(&other.mean).for_each(|(a, b)| *a += b);
        self.covariance.iter_mut().zip(&other.covariance).for_each(|(a, b)| *a += b);
    }

    /// Sums become moments, and the covariance symmetric.
    pub(super) fn finish(&mut self) {
        let (n, count) = (self.size, self.count.max(1) as f64);
        self.mean.iter_mut().for_each(|sum| *sum /= count);
        for (mean, covariance) in self.mean.chunks_exact(n).zip(self.covariance.chunks_exact_mut(n * n)) {
            for i in 0..n {
                for j in i..n {
                    let value = covariance[i * n + j] / count - mean[i] * mean[j];
                    covariance[i * n + j] = value;
                    covariance[j * n + i] = value;
                }
            }
        }
    }
}

impl Geometry {
    /// Reads the window of an output pixel in the order of the weights; padding reads zero.
    fn read(&self, input: &[f32], oy: usize, ox: usize, depthwise: bool, values: &mut [f32]) {
        let [kernel_h, kernel_w] = self.window.kernel;
        let (c, taps) = (self.input.c, kernel_h * kernel_w);
        values.fill(0.0);
        for tap in 0..taps {
            let y = (oy * self.window.stride[0] + tap / kernel_w).checked_sub(self.window.pad_before[0]);
            let x = (ox * self.window.stride[1] + tap % kernel_w).checked_sub(self.window.pad_before[1]);
            let (Some(y), Some(x)) = (y, x) else { continue };
            if y >= self.input.h || x >= self.input.w {
                continue;
            }
            let pixel = &input[(y * self.input.w + x) * c..][..c];
            if depthwise {
                pixel.iter().enumerate().for_each(|(channel, &v)| values[channel * taps + tap] = v);
            } else {
                values[tap * c..][..c].copy_from_slice(pixel);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Activation, TensorId};

    #[test]
    fn covariance_of_a_fully_connected_input() {
        let mut graph = Graph::new("test", Shape::new(1, 1, 2));
        let op = Op::FullyConnected { activation: Activation::None };
        graph.push(op, vec![TensorId(0)], Shape::new(1, 1, 3));
        let mut moments = Moments::new(&graph, &graph.layers[0], 2).expect("has weights");
        moments.add(0, &[1.0, 10.0]);
        moments.add(1, &[3.0, 6.0]);
        moments.finish();
        assert_eq!(moments.mean, [2.0, 8.0]);
        assert_eq!(moments.covariance(2), [1.0, -2.0, -2.0, 4.0]);
    }

    #[test]
    fn depthwise_windows_are_per_channel_and_see_padding_as_zero() {
        let mut graph = Graph::new("test", Shape::new(1, 2, 2));
        let window = Window { kernel: [1, 3], stride: [1, 1], pad_before: [0, 1] };
        let op = Op::DepthwiseConv2d { window, activation: Activation::None };
        graph.push(op, vec![TensorId(0)], Shape::new(1, 2, 2));
        let mut moments = Moments::new(&graph, &graph.layers[0], 1).expect("has weights");
        moments.add(0, &[1.0, 10.0, 2.0, 20.0]);
        moments.finish();
        assert_eq!(moments.mean, [0.5, 1.5, 1.0, 5.0, 15.0, 10.0]);
    }
}
