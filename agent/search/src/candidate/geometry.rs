//! What an op works on, as a text: the key under which the daemon keeps what layers cost.

use bitrack_model::Bits;
use bitrack_model::graph::{Graph, Layer, Shape, Window};

/// The canonical text of an op's geometry; ops of equal text and equal bits cost the same by the same variant, whatever network they
/// stand in.
///
/// Operator, height x width x channels of input and output, and for sliding windows kernel, stride, and padding at top,
/// left, bottom and right: `conv2d 25x5x64->25x5x64 k3x3 s1x1 p1,1,1,1`. An addition also names the bits of its second
/// input, which the bits of a layer do not tell: `add 16x16x16->16x16x16 b4`. `tensors` has the bits of every tensor.
pub fn geometry(graph: &Graph, layer: &Layer, tensors: &[Bits]) -> String {
    let (input, output) = (graph.input_shape(layer), graph.shape(layer.output));
    let window = layer.op.window().map_or_else(String::new, |window| sliding(&window, input, output));
    let second = layer.inputs.get(1).map_or_else(String::new, |second| format!(" b{}", tensors[second.0].get()));
    format!("{} {input}->{output}{window}{second}", layer.op.name())
}

fn sliding(window: &Window, input: Shape, output: Shape) -> String {
    let Window { kernel, stride, pad_before } = *window;
    let after = |axis: usize, input: usize, output: usize| {
        let covered = (output - 1) * stride[axis] + kernel[axis];
        covered.saturating_sub(input + pad_before[axis])
    };
    let [top, left] = pad_before;
    let (bottom, right) = (after(0, input.h, output.h), after(1, input.w, output.w));
    format!(" k{}x{} s{}x{} p{top},{left},{bottom},{right}", kernel[0], kernel[1], stride[0], stride[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitrack_model::graph::{Activation, Op};

    fn window(kernel: usize, stride: usize, pad: usize) -> Window {
        Window { kernel: [kernel; 2], stride: [stride; 2], pad_before: [pad; 2] }
    }

    #[test]
    fn a_geometry_tells_all_that_a_cost_depends_on() {
        let mut graph = Graph::new("g", Shape::new(8, 6, 3));
        let activation = Activation::Relu;
        let conv = Op::Conv2d { window: window(3, 2, 0), activation };
        let first = graph.push(conv, vec![graph.input], Shape::new(4, 3, 16));
        let depthwise = Op::DepthwiseConv2d { window: window(3, 1, 1), activation };
        let second = graph.push(depthwise, vec![first], Shape::new(4, 3, 16));
        let sum = graph.push(Op::Add { activation }, vec![first, second], Shape::new(4, 3, 16));
        let pool = Op::AveragePool { window: Window { kernel: [4, 3], ..window(1, 1, 0) }, activation };
        let pooled = graph.push(pool, vec![sum], Shape::new(1, 1, 16));
        graph.push(Op::FullyConnected { activation }, vec![pooled], Shape::new(1, 1, 10));
        let mut tensors = vec![Bits::Eight; graph.tensors.len()];
        tensors[second.0] = Bits::Four;
        let texts: Vec<_> = graph.layers.iter().map(|layer| geometry(&graph, layer, &tensors)).collect();
        assert_eq!(
            texts,
            [
                "conv2d 8x6x3->4x3x16 k3x3 s2x2 p0,0,1,1",
                "depthwise 4x3x16->4x3x16 k3x3 s1x1 p1,1,1,1",
                "add 4x3x16->4x3x16 b4",
                "average_pool 4x3x16->1x1x16 k4x3 s1x1 p0,0,0,0",
                "fully_connected 1x1x16->1x1x10",
            ]
        );
    }
}
