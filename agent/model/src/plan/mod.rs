//! Where every tensor and scratch lies in the arena.
//!
//! Buffers that are never alive together may share bytes, and so may an op's output and an input that nobody reads later, as far as
//! the op's kernel bears it. No plan is smaller than the most bytes that are alive at one step.

mod place;

use bitrack_image::pixel_bytes;
use bitrack_kernels::{Overlay, reshape};

use crate::bits::Bits;
use crate::graph::{Graph, Op, TensorId};
use place::{ALIGN, Buffer, Cover, Placer};

/// Offsets in bytes from the arena's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Per tensor.
    pub tensors: Vec<usize>,
    /// Per layer; 0 where a layer has no scratch.
    pub scratch: Vec<usize>,
    /// Bytes of the arena: the planned peak.
    pub arena_len: usize,
    /// No plan can be smaller than this: the most bytes alive at one step.
    pub lower_bound: usize,
}

/// What a layer's kernel asks of the arena.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demand {
    /// Bytes of scratch.
    pub scratch: usize,
    /// How the output may lie over each of the inputs, if at all.
    pub output_over: Vec<Option<Overlay>>,
    /// How scratch may lie over the first input, if at all.
    pub scratch_over: Option<Overlay>,
}

/// Plans a graph's arena. `bits` has one entry per tensor, `demands` one per layer.
pub fn plan(graph: &Graph, bits: &[Bits], demands: &[Demand]) -> MemoryPlan {
    let arena = Arena::new(graph, bits, demands);
    let placer = Placer::new(&arena.buffers, &arena.covers);
    let lower_bound = arena.alive(&placer).into_iter().max().unwrap_or(0);
    let (offsets, arena_len) = placer.place(lower_bound);
    let tensors = arena.homes.iter().map(|&home| offsets[home]).collect();
    MemoryPlan { tensors, scratch: offsets[graph.tensors.len()..].to_vec(), arena_len, lower_bound }
}

/// Bytes alive while each layer runs: its tensors, what waits for a later layer, and its scratch, in as few bytes as they can lie.
/// No plan's arena is smaller than the largest.
pub fn alive_by_layer(graph: &Graph, bits: &[Bits], demands: &[Demand]) -> Vec<usize> {
    let arena = Arena::new(graph, bits, demands);
    let steps = arena.alive(&Placer::new(&arena.buffers, &arena.covers));
    steps[1..=graph.layers.len()].to_vec()
}

/// What is to be placed.
struct Arena {
    /// The tensor in whose bytes each tensor lies.
    homes: Vec<usize>,
    /// All tensors, then every layer's scratch, with lengths rounded up to where the next may start.
    buffers: Vec<Buffer>,
    covers: Vec<Cover>,
}

impl Arena {
    fn new(graph: &Graph, bits: &[Bits], demands: &[Demand]) -> Self {
        let homes = homes(graph, bits);
        let mut buffers = tensor_buffers(graph, bits, &homes);
        let scratch = |(i, demand): (usize, &Demand)| Buffer { len: demand.scratch, first: i + 1, last: i + 1 };
        buffers.extend(demands.iter().enumerate().map(scratch));
        buffers.iter_mut().for_each(|b| b.len = b.len.next_multiple_of(ALIGN));
        let covers = covers(graph, demands, &homes, &buffers);
        Self { homes, buffers, covers }
    }

    /// Bytes alive at each step, from 0 on.
    fn alive(&self, placer: &Placer<'_>) -> Vec<usize> {
        let steps = self.buffers.iter().map(|b| b.last).max().unwrap_or(0);
        let alive = |step: usize| self.buffers.iter().filter(move |b| (b.first..=b.last).contains(&step));
        let at = |step: usize| alive(step).map(|b| b.len).sum::<usize>() - self.shared(step, placer);
        (0..=steps).map(at).collect()
    }

    /// Bytes that the buffers of the step's op can share.
    fn shared(&self, step: usize, placer: &Placer<'_>) -> usize {
        let covers = self.covers.iter().filter(|cover| self.buffers[cover.over].first == step);
        let mut group: Vec<usize> = covers.flat_map(|cover| [cover.under, cover.over]).collect();
        group.sort_unstable();
        group.dedup();
        let apart: usize = group.iter().map(|&i| self.buffers[i].len).sum();
        if group.is_empty() { 0 } else { apart - placer.least(group) }
    }
}

/// Outputs and scratch that may lie over an input which their layer is the last to read.
fn covers(graph: &Graph, demands: &[Demand], homes: &[usize], buffers: &[Buffer]) -> Vec<Cover> {
    let mut covers: Vec<Cover> = Vec::new();
    for (index, (layer, demand)) in graph.layers.iter().zip(demands).enumerate() {
        let read_last = |id: TensorId| Some(homes[id.0]).filter(|&home| buffers[home].last == index + 1);
        let scratch = (demand.scratch_over, layer.inputs.first(), graph.tensors.len() + index);
        let outputs =
            demand.output_over.iter().zip(&layer.inputs).map(|(over, input)| (*over, Some(input), layer.output.0));
        for (overlay, input, over) in outputs.chain([scratch]) {
            let under = input.and_then(|&id| read_last(id));
            let bearable = |(overlay, under)| Cover::aligned(under, over, overlay);
            let known = |cover: &Cover| covers.iter().any(|other| other == cover);
            covers
                .extend(overlay.zip(under).map(bearable).filter(|cover| !known(cover)).into_iter().collect::<Vec<_>>());
        }
    }
    covers
}

/// Packed bytes of a tensor.
pub fn tensor_bytes(graph: &Graph, id: TensorId, bits: Bits) -> usize {
    let shape = graph.shape(id);
    shape.h * shape.w * pixel_bytes(shape.c as u16, bits.get())
}

/// The tensor in whose bytes each tensor lies: itself, or where a reshape moves nothing, its input's.
fn homes(graph: &Graph, bits: &[Bits]) -> Vec<usize> {
    let mut homes: Vec<usize> = (0..graph.tensors.len()).collect();
    for layer in graph.layers.iter().filter(|l| l.op == (Op::Reshape {})) {
        let (input, output) = (layer.inputs[0], layer.output);
        let [from, to] = [input, output].map(|id| graph.shape(id).c as u32);
        if reshape::is_alias(from, to, bits[input.0].into()) {
            homes[output.0] = homes[input.0];
        }
    }
    homes
}

/// One buffer per tensor; that of an alias is empty, and its home lives as long as both.
fn tensor_buffers(graph: &Graph, bits: &[Bits], homes: &[usize]) -> Vec<Buffer> {
    let mut buffers: Vec<Buffer> = (0..graph.tensors.len()).map(|t| lifetime(graph, TensorId(t), bits[t])).collect();
    for tensor in (0..homes.len()).filter(|&t| homes[t] != t) {
        let alias = std::mem::replace(&mut buffers[tensor].len, 0);
        let (first, last) = (buffers[tensor].first, buffers[tensor].last);
        let home = &mut buffers[homes[tensor]];
        *home = Buffer { len: home.len.max(alias), first: home.first.min(first), last: home.last.max(last) };
    }
    buffers
}

/// Step 0 writes the network's input, step `i + 1` runs layer `i`, the step after the last reads the output.
fn lifetime(graph: &Graph, id: TensorId, bits: Bits) -> Buffer {
    let first = graph.producer(id).map_or(0, |layer| layer + 1);
    let read = graph.consumers(id).last().map_or(first, |layer| layer + 1);
    let last = if id == graph.output { graph.layers.len() + 1 } else { read };
    Buffer { len: tensor_bytes(graph, id, bits), first, last }
}
