//! What the layers of the MLPerf Tiny networks take of scratch, held against CMSIS-NN.

extern crate alloc;

#[allow(dead_code)]
mod harness;
#[allow(dead_code)]
#[path = "../bench/src/networks.rs"]
mod networks;

use bitrack_kernels::Bits;
use harness::Op;
use networks::{LAYERS, Layer, Work};

/// What we may take more than CMSIS-NN, in bytes.
const ALLOWANCE: usize = 1024;

/// CMSIS-NN's: two windows of 16-bit values for convolutions, nothing for fully connected layers. For depthwise ones it takes more
/// than nothing, which we do not need.
fn cmsis_nn(work: &Work) -> usize {
    match work {
        Work::Weighted(Op::Conv(shape)) => 4 * shape.k_len(),
        _ => 0,
    }
}

/// The one layer above: a fully connected layer keeps its input as 16-bit values, and this one has 640 of them. Its network's
/// arena is smaller than elsewhere all the same (`agent/model/tests/memory.rs`).
fn is_exception(layer: &Layer) -> bool {
    (layer.network, layer.name) == ("AD autoencoder", "fc1")
}

#[test]
fn no_layer_takes_a_kilobyte_more() {
    for layer in LAYERS.iter().filter(|layer| layer.network != "extra") {
        let widths = Bits::ALL.into_iter().flat_map(|w| Bits::ALL.map(|a| [w, a]));
        let scratch = widths.map(|widths| layer.scratch_bytes(widths)).max().unwrap_or(0);
        let limit = if is_exception(layer) { 2 * 640 } else { cmsis_nn(&layer.work) + ALLOWANCE };
        assert!(scratch <= limit, "{} {}: {scratch} bytes, {limit} allowed", layer.network, layer.name);
    }
}
