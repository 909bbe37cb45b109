//! What the layers of the MLPerf Tiny networks take of scratch, held against CMSIS-NN.

extern crate alloc;

#[allow(dead_code)]
mod harness;
#[allow(dead_code)]
#[path = "../bench/src/networks.rs"]
mod networks;
#[allow(dead_code)]
#[path = "harness/shapes.rs"]
mod shapes;

use bitrack_kernels::{Bits, Variant, depthwise, fully_connected};
use harness::Op;
use networks::{LAYERS, Layer, Work};

/// What we may take more than CMSIS-NN, in bytes.
const ALLOWANCE: usize = 1024;

/// CMSIS-NN's: two windows of 16-bit values for convolutions, nothing for fully connected layers. For depthwise ones it takes all weights
/// as 16-bit values, which the layers of these networks do not need.
fn cmsis_nn(work: &Work) -> usize {
    match work {
        Work::Weighted(Op::Conv(shape)) => 4 * shape.k_len(),
        _ => 0,
    }
}

/// Scratch at the widest, less what of it may lie over the layer's input.
fn scratch_beside(layer: &Layer, [w_bits, a_bits]: [Bits; 2]) -> usize {
    let scratch = layer.scratch_bytes(layer.usual(a_bits), [w_bits, a_bits]);
    match &layer.work {
        Work::Weighted(Op::Fc(shape)) => {
            let in_bits = layer.in_bits(a_bits);
            let before = fully_connected::scratch_overlay(shape, in_bits).before;
            assert_eq!(scratch, before + shape.input_bytes(in_bits), "{} {}", layer.network, layer.name);
            before
        }
        _ => scratch,
    }
}

#[test]
fn no_layer_takes_a_kilobyte_more() {
    for layer in LAYERS.iter().filter(|layer| layer.network != "extra") {
        let widths = Bits::ALL.into_iter().flat_map(|w| Bits::ALL.map(|a| [w, a]));
        let scratch = widths.map(|widths| scratch_beside(layer, widths)).max().unwrap_or(0);
        let limit = cmsis_nn(&layer.work) + ALLOWANCE;
        assert!(scratch <= limit, "{} {}: {scratch} bytes, {limit} allowed", layer.network, layer.name);
    }
}

/// The largest kernel's side of which a quad's weights, spread, leave room for a window.
const LARGEST: u16 = 7;

#[test]
fn no_depthwise_layer_takes_a_kilobyte_more() {
    let sides = || 1..=LARGEST;
    for (k_h, k_w) in sides().flat_map(|k_h| sides().map(move |k_w| (k_h, k_w))) {
        for (stride, channels) in (1..5).flat_map(|stride| [1, 3, 4, 6, 8, 30, 64].map(|channels| (stride, channels))) {
            for (in_h, in_w) in [(49, 1), (1, 49), (7, 7), (9, 50), (96, 96)] {
                let pad = [k_h - 1, k_w - 1, 0, 0];
                let shape = shapes::conv([in_h, in_w, channels], [k_h, k_w], [stride, stride], pad, channels);
                let (op, limit) = (Op::Depthwise(shape), 2 * shape.k_len() + ALLOWANCE);
                for variant in op.variants(Bits::B8) {
                    let scratch = op.scratch_len(variant, Bits::B8, Bits::B8, Bits::B8);
                    assert!(scratch <= limit, "{shape:?} {variant:?}: {scratch} bytes, {limit} allowed");
                }
            }
        }
    }
}

/// A network's last halving is often from 14 or 16 pixels: an output that may not lie over its input is a quarter more of its arena.
#[test]
fn maps_halved_to_as_many_as_eight_pixels_are_overlaid() {
    for out_w in 2..=12 {
        let shape = shapes::conv([2 * out_w, 2 * out_w, 16], [3, 3], [2, 2], [0, 0, 1, 1], 16);
        let overlay = depthwise::overlay(&shape, Variant::Rows, Bits::B8, Bits::B8);
        assert_eq!(overlay.is_some(), out_w <= 8, "{out_w} outputs a row");
    }
}
