//! That a graph means something: every index exists, every shape follows from the operator.

use super::{Graph, Layer, Op, Shape, TensorId, Window};
use crate::error::{Error, Result};

impl Graph {
    /// Checks indices, order of execution and shapes.
    ///
    /// # Errors
    /// [`Error::Operator`] with the first layer that is wrong and why; [`Error::Model`] when no layer is to blame.
    pub fn check(&self) -> Result<()> {
        self.check_size()?;
        let mut written = vec![false; self.tensors.len()];
        written[self.input.0] = true;
        for (index, layer) in self.layers.iter().enumerate() {
            let fail = |reason: String| Error::operator(index, &layer.name, reason);
            self.check_order(layer, &mut written).map_err(fail)?;
            self.check_shapes(layer).map_err(fail)?;
        }
        if written.contains(&false) || self.output == self.input {
            return Err(Error::Model("a tensor, or the output, is written by no layer".into()));
        }
        Ok(())
    }

    /// An image counts tensors and dimensions in 16 bits; a product of three such never overflows.
    fn check_size(&self) -> Result<()> {
        let limit = usize::from(u16::MAX);
        let fits = |d: usize| (1..=limit).contains(&d);
        if self.tensors.len() >= limit || self.layers.is_empty() {
            return Err(Error::Model(format!("{} tensors, {} layers", self.tensors.len(), self.layers.len())));
        }
        if self.input.0 >= self.tensors.len() || self.output.0 >= self.tensors.len() {
            return Err(Error::Model("input or output is not a tensor".into()));
        }
        let bad = self.tensors.iter().find(|t| !(fits(t.shape.h) && fits(t.shape.w) && fits(t.shape.c)));
        match bad {
            Some(t) => Err(Error::Model(format!("tensor {} has shape {}", t.name, t.shape))),
            None => Ok(()),
        }
    }

    fn check_order(&self, layer: &Layer, written: &mut [bool]) -> Result<(), String> {
        let inputs = if matches!(layer.op, Op::Add { .. }) { 2 } else { 1 };
        if layer.inputs.len() != inputs {
            return Err(format!("has {} inputs, needs {inputs}", layer.inputs.len()));
        }
        if layer.inputs.iter().any(|t| !written.get(t.0).copied().unwrap_or(false)) {
            return Err("reads a tensor that no earlier layer writes".into());
        }
        match written.get_mut(layer.output.0) {
            Some(done @ false) => *done = true,
            _ => return Err("writes a tensor that does not exist or has another writer".into()),
        }
        Ok(())
    }

    fn check_shapes(&self, layer: &Layer) -> Result<(), String> {
        let (input, output) = (self.input_shape(layer), self.shape(layer.output));
        if let Some(window) = layer.op.window() {
            check_window(window, input, output)?;
        }
        let ok = match layer.op {
            Op::Conv2d { .. } => true,
            Op::DepthwiseConv2d { .. } | Op::AveragePool { .. } | Op::MaxPool { .. } => input.c == output.c,
            Op::FullyConnected { .. } => [input.h, input.w, output.h, output.w] == [1; 4],
            Op::Add { .. } => layer.inputs.iter().all(|&t: &TensorId| self.shape(t) == output),
            Op::Softmax { beta } => input == output && (input.h, input.w) == (1, 1) && beta.is_finite() && beta > 0.0,
            Op::Reshape {} => input.elements() == output.elements(),
        };
        if ok { Ok(()) } else { Err(format!("input {input} and output {output} do not fit")) }
    }
}

/// Every window must touch the input: an output beyond it would be made of padding alone.
fn check_window(window: Window, input: Shape, output: Shape) -> Result<(), String> {
    let limit = usize::from(u16::MAX);
    for (axis, (size, out)) in [(input.h, output.h), (input.w, output.w)].into_iter().enumerate() {
        let (kernel, stride, pad) = (window.kernel[axis], window.stride[axis], window.pad_before[axis]);
        if kernel == 0 || stride == 0 || kernel > limit || stride > limit || pad >= kernel {
            return Err(format!("window of kernel {kernel}, stride {stride}, padding {pad} is not supported"));
        }
        if (out - 1) * stride >= size + pad {
            return Err(format!("input {input} is too small for output {output}"));
        }
    }
    Ok(())
}
