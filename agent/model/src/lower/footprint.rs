//! RAM and flash of a policy, exactly, without quantizing or packing anything: what a search projects onto its limits.

use bitrack_image::builder::ImageSpec;
use bitrack_kernels::Variant;

use super::Variants;
use super::geometry::{WeightKernel, demand};
use crate::bits::Bits;
use crate::error::Result;
use crate::graph::{Graph, Layer, Op, TensorId};
use crate::plan::{Demand, alive_by_layer, plan};
use crate::policy::Policy;

/// What a policy's image will take, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Planned arena.
    pub ram: usize,
    /// The image without test vectors.
    pub flash: usize,
}

/// The footprint of a policy; equal to what [`crate::lower`] then makes with the same section alignment and variants.
///
/// # Errors
/// [`crate::Error::Policy`] when the policy is for another model.
pub fn footprint(graph: &Graph, policy: &Policy, section_align_log2: u8, variants: &Variants) -> Result<Footprint> {
    Ok(Footprint { ram: ram(graph, policy, variants)?, flash: flash(graph, policy, section_align_log2)? })
}

/// [`Footprint::ram`] alone.
///
/// # Errors
/// [`crate::Error::Policy`] when the policy is for another model.
pub fn ram(graph: &Graph, policy: &Policy, variants: &Variants) -> Result<usize> {
    let (tensors, weights) = (policy.tensor_bits(graph)?, policy.layer_bits(graph)?);
    Ok(plan(graph, &tensors, &demands(graph, variants, &tensors, &weights)).arena_len)
}

/// [`Footprint::flash`] alone, which takes no planning.
///
/// # Errors
/// [`crate::Error::Policy`] when the policy is for another model.
pub fn flash(graph: &Graph, policy: &Policy, section_align_log2: u8) -> Result<usize> {
    let (tensors, weights) = (policy.tensor_bits(graph)?, policy.layer_bits(graph)?);
    let sections = graph.layers.iter().zip(&weights).map(|(layer, &bits)| section(graph, layer, &tensors, bits));
    let sections: Vec<_> = sections.collect();
    Ok(ImageSpec::model_len(graph.tensors.len(), section_align_log2, &sections))
}

/// Bytes of RAM in use while each layer runs, in the layers' order. It depends on the bits of the tensors alive then and of
/// the layer's weights only, and [`Footprint::ram`] is no less than the largest.
///
/// # Errors
/// [`crate::Error::Policy`] when the policy is for another model.
pub fn ram_by_layer(graph: &Graph, policy: &Policy, variants: &Variants) -> Result<Vec<usize>> {
    let (tensors, weights) = (policy.tensor_bits(graph)?, policy.layer_bits(graph)?);
    Ok(alive_by_layer(graph, &tensors, &demands(graph, variants, &tensors, &weights)))
}

/// Bytes of scratch of each layer, in the layers' order: all that the width of its weights has to do with RAM.
///
/// # Errors
/// [`crate::Error::Policy`] when the policy is for another model.
pub fn scratch_by_layer(graph: &Graph, policy: &Policy, variants: &Variants) -> Result<Vec<usize>> {
    let (tensors, weights) = (policy.tensor_bits(graph)?, policy.layer_bits(graph)?);
    Ok(demands(graph, variants, &tensors, &weights).into_iter().map(|demand| demand.scratch).collect())
}

pub(super) fn demands(graph: &Graph, variants: &Variants, tensors: &[Bits], weights: &[Option<Bits>]) -> Vec<Demand> {
    let of = |(index, &bits): (usize, &Option<Bits>)| {
        demand(graph, &graph.layers[index], picked(graph, variants, index, tensors, bits), tensors, bits)
    };
    weights.iter().enumerate().map(of).collect()
}

/// The variant that is picked for a layer, which a left shift may yet change.
pub(super) fn picked(
    graph: &Graph,
    variants: &Variants,
    index: usize,
    tensors: &[Bits],
    weights: Option<Bits>,
) -> Variant {
    let layer = &graph.layers[index];
    let bits = |weights| [weights, input_bits(layer, tensors), tensors[layer.output.0]];
    weights.map_or(Variant::General, |weights| variants.pick(graph, (index, bits(weights))))
}

/// Bytes of packed weights or table, and output channels with parameters.
fn section(graph: &Graph, layer: &Layer, tensors: &[Bits], weights: Option<Bits>) -> (usize, usize) {
    if let Some((kernel, bits)) = WeightKernel::of(graph, layer).zip(weights) {
        return (kernel.weights_len(bits), graph.shape(layer.output).c);
    }
    match layer.op {
        Op::Softmax { .. } => (4 * (usize::from(input_bits(layer, tensors).max_code()) + 1), 0),
        _ => (0, 0),
    }
}

fn input_bits(layer: &Layer, tensors: &[Bits]) -> Bits {
    let TensorId(input) = layer.inputs[0];
    tensors[input]
}
