//! The RAM that the MLPerf Tiny networks take, held against what they take elsewhere.

mod common;

use bitrack_model::graph::Graph;
use bitrack_model::{Bits, Imported, Policy, footprint, import};

struct Network {
    path: &'static str,
    /// The tensor arena in bytes that TensorFlow Lite for Microcontrollers takes at 8 bits.
    elsewhere: usize,
    /// What we take at 4/4, at most, in percent of what we take at 8/8. Not half: inputs are 8 bits wide at any policy, and
    /// scratch does not shrink. In the visual network that input is half of the 8-bit peak by itself; the autoencoder's
    /// arena is its input and scratch.
    narrow_percent: usize,
}

const NETWORKS: [Network; 4] = [
    Network { path: "kws/ds_cnn_float.tflite", elsewhere: 23_940, narrow_percent: 60 },
    Network { path: "mlperf_tiny/ic_resnet8_float.tflite", elsewhere: 54_932, narrow_percent: 60 },
    Network { path: "mlperf_tiny/vww_mobilenet_v1_025_float.tflite", elsewhere: 100_676, narrow_percent: 67 },
    Network { path: "mlperf_tiny/ad_autoencoder_float.tflite", elsewhere: 2_404, narrow_percent: 97 },
];

fn arena(graph: &Graph, bits: Bits) -> usize {
    footprint(graph, &Policy::uniform(graph, bits, bits), 2).expect("the policy is for this graph").ram
}

#[test]
fn arenas_are_smaller_than_elsewhere() {
    for network in NETWORKS {
        let Some(file) = common::data(network.path) else { return };
        let Imported::Float(model) = import(&file).expect("imports") else { panic!("is a float model") };
        let (wide, narrow) = (arena(model.graph(), Bits::Eight), arena(model.graph(), Bits::Four));
        println!("{}: {wide} bytes at 8/8, {narrow} at 4/4", network.path);
        assert!(wide <= network.elsewhere, "{} takes {wide} bytes, {} elsewhere", network.path, network.elsewhere);
        assert!(100 * narrow <= network.narrow_percent * wide, "{}: {narrow} bytes at 4/4", network.path);
    }
}
