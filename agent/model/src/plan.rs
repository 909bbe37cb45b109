//! Where every tensor and scratch lies in the arena.
//!
//! Buffers that are never alive together may share bytes. Finding the smallest arena is NP-hard (dynamic storage
//! allocation); networks have few buffers, so that a greedy placement improved by trying other orders is optimal in
//! practice, and provably so whenever it meets the lower bound: the largest sum of sizes alive at one step.

use bitrack_image::pixel_bytes;
use bitrack_kernels::reshape;

use crate::bits::Bits;
use crate::graph::{Graph, Op, TensorId};

/// Tensors and scratch start at multiples of this many bytes.
const ALIGN: usize = 4;
/// Orders tried when the greedy placement is above the lower bound.
const MAX_TRIES: usize = 400;

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

/// Bytes alive during the steps `first..=last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Buffer {
    len: usize,
    first: usize,
    last: usize,
}

impl Buffer {
    fn meets(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Plans a graph's arena. `bits` has one entry per tensor, `scratch` the scratch bytes of each layer.
pub fn plan(graph: &Graph, bits: &[Bits], scratch: &[usize]) -> MemoryPlan {
    let homes = homes(graph, bits);
    let buffers = buffers(graph, bits, scratch, &homes);
    let lower_bound = alive(&buffers).into_iter().max().unwrap_or(0);
    let (offsets, arena_len) = place(&buffers, lower_bound);
    let n = graph.tensors.len();
    let tensors = homes.iter().map(|&home| offsets[home]).collect();
    MemoryPlan { tensors, scratch: offsets[n..].to_vec(), arena_len, lower_bound }
}

/// Bytes alive while each layer runs: its tensors, what waits for a later layer, and its scratch. No plan's arena is
/// smaller than the largest.
pub fn alive_by_layer(graph: &Graph, bits: &[Bits], scratch: &[usize]) -> Vec<usize> {
    let steps = alive(&buffers(graph, bits, scratch, &homes(graph, bits)));
    steps[1..=graph.layers.len()].to_vec()
}

/// All tensors, then every layer's scratch, with lengths rounded up to where the next may start.
fn buffers(graph: &Graph, bits: &[Bits], scratch: &[usize], homes: &[usize]) -> Vec<Buffer> {
    let mut buffers = tensor_buffers(graph, bits, homes);
    buffers.extend(scratch.iter().enumerate().map(|(i, &len)| Buffer { len, first: i + 1, last: i + 1 }));
    buffers.iter_mut().for_each(|b| b.len = b.len.next_multiple_of(ALIGN));
    buffers
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

/// Bytes alive at each step, from 0 on.
fn alive(buffers: &[Buffer]) -> Vec<usize> {
    let steps = buffers.iter().map(|b| b.last).max().unwrap_or(0);
    let at = |step: usize| buffers.iter().filter(|b| (b.first..=b.last).contains(&step)).map(|b| b.len).sum();
    (0..=steps).map(at).collect()
}

#[cfg(test)]
fn lower_bound(buffers: &[Buffer]) -> usize {
    alive(buffers).into_iter().max().unwrap_or(0)
}

/// Offsets and peak: greedy from the largest buffer down, then with buffers that stick out moved to the front of the order.
fn place(buffers: &[Buffer], lower_bound: usize) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..buffers.len()).filter(|&i| buffers[i].len > 0).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(buffers[i].len), buffers[i].first));
    let mut best = place_in_order(buffers, &order);
    let mut tries = 0;
    let mut improved = true;
    while improved && best.1 > lower_bound {
        improved = false;
        for (from, to) in swaps(order.len()) {
            tries += 1;
            if tries > MAX_TRIES || best.1 == lower_bound {
                return best;
            }
            order.swap(from, to);
            let placed = place_in_order(buffers, &order);
            if placed.1 < best.1 {
                (best, improved) = (placed, true);
            } else {
                order.swap(from, to);
            }
        }
    }
    best
}

fn swaps(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |i| (i + 1..n).map(move |j| (i, j)))
}

/// Puts each buffer at the lowest offset where it meets none that is already placed.
fn place_in_order(buffers: &[Buffer], order: &[usize]) -> (Vec<usize>, usize) {
    let mut offsets = vec![0; buffers.len()];
    let mut peak = 0;
    for (position, &index) in order.iter().enumerate() {
        let buffer = &buffers[index];
        let placed = order[..position].iter().filter(|&&other| buffers[other].meets(buffer));
        let mut taken: Vec<(usize, usize)> = placed.map(|&i| (offsets[i], offsets[i] + buffers[i].len)).collect();
        taken.sort_unstable();
        offsets[index] = lowest_gap(&taken, buffer.len);
        peak = peak.max(offsets[index] + buffer.len);
    }
    (offsets, peak)
}

fn lowest_gap(taken: &[(usize, usize)], len: usize) -> usize {
    let mut at = 0;
    for &(start, end) in taken {
        if start >= at + len {
            break;
        }
        at = at.max(end);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_sound(buffers: &[Buffer], offsets: &[usize], peak: usize) -> bool {
        let apart = |i: usize, j: usize| {
            let (a, b) = (offsets[i]..offsets[i] + buffers[i].len, offsets[j]..offsets[j] + buffers[j].len);
            !buffers[i].meets(&buffers[j]) || a.is_empty() || b.is_empty() || a.end <= b.start || b.end <= a.start
        };
        let pairs_apart = (0..buffers.len()).all(|i| (0..i).all(|j| apart(i, j)));
        pairs_apart && (0..buffers.len()).all(|i| offsets[i] + buffers[i].len <= peak || buffers[i].len == 0)
    }

    #[test]
    fn the_check_of_these_tests_sees_an_overlap() {
        let buffers = [Buffer { len: 8, first: 0, last: 1 }, Buffer { len: 8, first: 1, last: 2 }];
        assert!(!is_sound(&buffers, &[0, 4], 12));
        assert!(is_sound(&buffers, &[0, 8], 16));
    }

    #[test]
    fn a_chain_needs_its_largest_neighbours_only() {
        let chain: Vec<Buffer> = [400, 100, 300, 200]
            .into_iter()
            .enumerate()
            .map(|(i, len)| Buffer { len, first: i, last: i + 1 })
            .collect();
        let (offsets, peak) = place(&chain, lower_bound(&chain));
        assert_eq!(peak, 500);
        assert!(is_sound(&chain, &offsets, peak));
    }

    proptest! {
        #[test]
        fn plans_are_sound_and_not_below_the_bound(
            raw in prop::collection::vec((1usize..2000, 0usize..20, 0usize..8), 1..25),
        ) {
            let buffers: Vec<Buffer> =
                raw.into_iter().map(|(len, first, more)| Buffer { len: len * 4, first, last: first + more }).collect();
            let bound = lower_bound(&buffers);
            let (offsets, peak) = place(&buffers, bound);
            prop_assert!(is_sound(&buffers, &offsets, peak));
            prop_assert!(peak >= bound && peak <= buffers.iter().map(|b| b.len).sum());
        }
    }
}
