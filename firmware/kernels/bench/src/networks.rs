//! The layers of the four MLPerf Tiny networks, as data.

use alloc::format;
use alloc::string::String;

use bitrack_kernels::{Bits, ConvShape, FcShape, PoolShape, Variant};

use crate::harness::Op;

/// One layer of a network.
pub struct Layer {
    pub network: &'static str,
    pub name: &'static str,
    pub work: Work,
}

/// What a layer does.
pub enum Work {
    Weighted(Op),
    Average(PoolShape),
    /// Pixels, channels.
    Add(u32, u16),
    /// Classes.
    Softmax(usize),
}

impl Layer {
    /// Multiply-accumulates; none for layers without weights.
    pub fn macs(&self) -> u64 {
        match self.work {
            Work::Weighted(Op::Conv(s)) => s.macs(),
            Work::Weighted(Op::Depthwise(s)) => s.macs() / u64::from(s.in_c),
            Work::Weighted(Op::Fc(s)) => u64::from(s.in_features) * u64::from(s.out_features),
            _ => 0,
        }
    }

    /// Width of the layer's input: what a network is given is 8 bits wide at any policy.
    pub fn in_bits(&self, a_bits: Bits) -> Bits {
        if matches!(self.name, "conv1" | "fc1") { Bits::B8 } else { a_bits }
    }

    /// Bytes of scratch at these widths of weights and activations.
    pub fn scratch_bytes(&self, variant: Variant, [w_bits, a_bits]: [Bits; 2]) -> usize {
        match self.work {
            Work::Weighted(op) => op.scratch_len(variant, w_bits, self.in_bits(a_bits), a_bits),
            _ => 0,
        }
    }

    /// The variant that a compiler takes which knows no better.
    pub fn usual(&self, a_bits: Bits) -> Variant {
        match self.work {
            Work::Weighted(op) => op.usual(self.in_bits(a_bits)),
            _ => Variant::General,
        }
    }

    /// The others.
    pub fn others(&self, a_bits: Bits) -> impl Iterator<Item = Variant> {
        let (op, usual) = (if let Work::Weighted(op) = self.work { Some(op) } else { None }, self.usual(a_bits));
        let in_bits = self.in_bits(a_bits);
        op.into_iter().flat_map(move |op| op.variants(in_bits)).filter(move |&variant| variant != usual)
    }

    /// As published tables write it.
    pub fn shape(&self) -> String {
        match self.work {
            Work::Weighted(Op::Conv(s) | Op::Depthwise(s)) => format!(
                "{}x{}x{}->{}x{}x{} k{}x{} s{}",
                s.in_h, s.in_w, s.in_c, s.out_h, s.out_w, s.out_c, s.k_h, s.k_w, s.stride_h
            ),
            Work::Weighted(Op::Fc(s)) => format!("{}->{}", s.in_features, s.out_features),
            Work::Average(s) => format!("{}x{}x{} k{}x{}", s.in_h, s.in_w, s.channels, s.k_h, s.k_w),
            Work::Add(pixels, channels) => format!("{pixels}x{channels}"),
            Work::Softmax(classes) => format!("1x1x{classes}"),
        }
    }

    pub fn kind(&self) -> &'static str {
        match self.work {
            Work::Weighted(Op::Conv(_)) => "conv",
            Work::Weighted(Op::Depthwise(_)) => "dwconv",
            Work::Weighted(Op::Fc(_)) => "fc",
            Work::Average(_) => "avgpool",
            Work::Add(..) => "add",
            Work::Softmax(_) => "softmax",
        }
    }
}

/// A window with TensorFlow's "same" padding.
const fn same(input: [u16; 3], output: [u16; 3], kernel: [u16; 2], stride: u16) -> ConvShape {
    ConvShape {
        in_h: input[0],
        in_w: input[1],
        in_c: input[2],
        out_h: output[0],
        out_w: output[1],
        out_c: output[2],
        k_h: kernel[0],
        k_w: kernel[1],
        stride_h: stride,
        stride_w: stride,
        pad_top: leading(input[0], output[0], kernel[0], stride),
        pad_left: leading(input[1], output[1], kernel[1], stride),
    }
}

const fn leading(input: u16, output: u16, kernel: u16, stride: u16) -> u16 {
    ((output - 1) * stride + kernel).saturating_sub(input) / 2
}

const fn conv(network: &'static str, name: &'static str, shape: ConvShape) -> Layer {
    Layer { network, name, work: Work::Weighted(Op::Conv(shape)) }
}

const fn depthwise(network: &'static str, name: &'static str, shape: ConvShape) -> Layer {
    Layer { network, name, work: Work::Weighted(Op::Depthwise(shape)) }
}

const fn fc(network: &'static str, name: &'static str, in_features: u32, out_features: u32) -> Layer {
    Layer { network, name, work: Work::Weighted(Op::Fc(FcShape { in_features, out_features })) }
}

/// An average over `kernel` that fits once.
const fn average(network: &'static str, input: [u16; 3], kernel: [u16; 2]) -> Layer {
    let shape = PoolShape {
        in_h: input[0],
        in_w: input[1],
        channels: input[2],
        out_h: 1,
        out_w: 1,
        k_h: kernel[0],
        k_w: kernel[1],
        stride_h: 1,
        stride_w: 1,
        pad_top: 0,
        pad_left: 0,
    };
    Layer { network, name: "avgpool", work: Work::Average(shape) }
}

const fn add(name: &'static str, pixels: u32, channels: u16) -> Layer {
    Layer { network: IC, name, work: Work::Add(pixels, channels) }
}

const fn softmax(network: &'static str, classes: usize) -> Layer {
    Layer { network, name: "softmax", work: Work::Softmax(classes) }
}

const KWS: &str = "KWS DS-CNN";
const IC: &str = "IC ResNet-8";
const VWW: &str = "VWW MobileNetV1-0.25";
const AD: &str = "AD autoencoder";
const EXTRA: &str = "extra";

/// All layers, network by network.
pub const LAYERS: &[Layer] = &[
    conv(KWS, "conv1", same([49, 10, 1], [25, 5, 64], [10, 4], 2)),
    depthwise(KWS, "dw1", same([25, 5, 64], [25, 5, 64], [3, 3], 1)),
    conv(KWS, "pw1", same([25, 5, 64], [25, 5, 64], [1, 1], 1)),
    depthwise(KWS, "dw2", same([25, 5, 64], [25, 5, 64], [3, 3], 1)),
    conv(KWS, "pw2", same([25, 5, 64], [25, 5, 64], [1, 1], 1)),
    depthwise(KWS, "dw3", same([25, 5, 64], [25, 5, 64], [3, 3], 1)),
    conv(KWS, "pw3", same([25, 5, 64], [25, 5, 64], [1, 1], 1)),
    depthwise(KWS, "dw4", same([25, 5, 64], [25, 5, 64], [3, 3], 1)),
    conv(KWS, "pw4", same([25, 5, 64], [25, 5, 64], [1, 1], 1)),
    average(KWS, [25, 5, 64], [24, 5]),
    softmax(KWS, 12),
    fc(KWS, "fc", 64, 12),
    conv(IC, "conv1", same([32, 32, 3], [32, 32, 16], [3, 3], 1)),
    conv(IC, "s1_conv1", same([32, 32, 16], [32, 32, 16], [3, 3], 1)),
    conv(IC, "s1_conv2", same([32, 32, 16], [32, 32, 16], [3, 3], 1)),
    conv(IC, "s2_conv1", same([32, 32, 16], [16, 16, 32], [3, 3], 2)),
    conv(IC, "s2_conv2", same([16, 16, 32], [16, 16, 32], [3, 3], 1)),
    conv(IC, "s2_short", same([32, 32, 16], [16, 16, 32], [1, 1], 2)),
    conv(IC, "s3_conv1", same([16, 16, 32], [8, 8, 64], [3, 3], 2)),
    conv(IC, "s3_conv2", same([8, 8, 64], [8, 8, 64], [3, 3], 1)),
    conv(IC, "s3_short", same([16, 16, 32], [8, 8, 64], [1, 1], 2)),
    add("s1_add", 32 * 32, 16),
    add("s2_add", 16 * 16, 32),
    add("s3_add", 8 * 8, 64),
    average(IC, [8, 8, 64], [8, 8]),
    softmax(IC, 10),
    fc(IC, "fc", 64, 10),
    conv(VWW, "conv1", same([96, 96, 3], [48, 48, 8], [3, 3], 2)),
    depthwise(VWW, "dw1", same([48, 48, 8], [48, 48, 8], [3, 3], 1)),
    conv(VWW, "pw1", same([48, 48, 8], [48, 48, 16], [1, 1], 1)),
    depthwise(VWW, "dw2", same([48, 48, 16], [24, 24, 16], [3, 3], 2)),
    conv(VWW, "pw2", same([24, 24, 16], [24, 24, 32], [1, 1], 1)),
    depthwise(VWW, "dw3", same([24, 24, 32], [24, 24, 32], [3, 3], 1)),
    conv(VWW, "pw3", same([24, 24, 32], [24, 24, 32], [1, 1], 1)),
    depthwise(VWW, "dw4", same([24, 24, 32], [12, 12, 32], [3, 3], 2)),
    conv(VWW, "pw4", same([12, 12, 32], [12, 12, 64], [1, 1], 1)),
    depthwise(VWW, "dw5", same([12, 12, 64], [12, 12, 64], [3, 3], 1)),
    conv(VWW, "pw5", same([12, 12, 64], [12, 12, 64], [1, 1], 1)),
    depthwise(VWW, "dw6", same([12, 12, 64], [6, 6, 64], [3, 3], 2)),
    conv(VWW, "pw6", same([6, 6, 64], [6, 6, 128], [1, 1], 1)),
    depthwise(VWW, "dw7", same([6, 6, 128], [6, 6, 128], [3, 3], 1)),
    conv(VWW, "pw7", same([6, 6, 128], [6, 6, 128], [1, 1], 1)),
    depthwise(VWW, "dw8", same([6, 6, 128], [6, 6, 128], [3, 3], 1)),
    conv(VWW, "pw8", same([6, 6, 128], [6, 6, 128], [1, 1], 1)),
    depthwise(VWW, "dw9", same([6, 6, 128], [6, 6, 128], [3, 3], 1)),
    conv(VWW, "pw9", same([6, 6, 128], [6, 6, 128], [1, 1], 1)),
    depthwise(VWW, "dw10", same([6, 6, 128], [6, 6, 128], [3, 3], 1)),
    conv(VWW, "pw10", same([6, 6, 128], [6, 6, 128], [1, 1], 1)),
    depthwise(VWW, "dw11", same([6, 6, 128], [6, 6, 128], [3, 3], 1)),
    conv(VWW, "pw11", same([6, 6, 128], [6, 6, 128], [1, 1], 1)),
    depthwise(VWW, "dw12", same([6, 6, 128], [3, 3, 128], [3, 3], 2)),
    conv(VWW, "pw12", same([3, 3, 128], [3, 3, 256], [1, 1], 1)),
    depthwise(VWW, "dw13", same([3, 3, 256], [3, 3, 256], [3, 3], 1)),
    conv(VWW, "pw13", same([3, 3, 256], [3, 3, 256], [1, 1], 1)),
    average(VWW, [3, 3, 256], [3, 3]),
    softmax(VWW, 2),
    fc(VWW, "fc", 256, 2),
    fc(AD, "fc1", 640, 128),
    fc(AD, "fc2", 128, 128),
    fc(AD, "fc3", 128, 128),
    fc(AD, "fc4", 128, 128),
    fc(AD, "fc5", 128, 8),
    fc(AD, "fc6", 8, 128),
    fc(AD, "fc7", 128, 128),
    fc(AD, "fc8", 128, 128),
    fc(AD, "fc9", 128, 128),
    fc(AD, "fc10", 128, 640),
    conv(EXTRA, "conv3x3_32_16x16", same([16, 16, 32], [16, 16, 32], [3, 3], 1)),
    depthwise(EXTRA, "dw5x5_c32", same([24, 24, 32], [24, 24, 32], [5, 5], 1)),
    depthwise(EXTRA, "dw3x3_c30", same([24, 24, 30], [24, 24, 30], [3, 3], 1)),
    depthwise(EXTRA, "dw7x1_c64", same([49, 1, 64], [49, 1, 64], [7, 1], 1)),
    depthwise(EXTRA, "dw7x1_c1", same([49, 1, 1], [49, 1, 1], [7, 1], 1)),
    depthwise(EXTRA, "dw3x3_49x1", same([49, 1, 32], [49, 1, 32], [3, 3], 1)),
    depthwise(EXTRA, "dw7x1_49x10", same([49, 10, 16], [49, 10, 16], [7, 1], 1)),
    depthwise(EXTRA, "dw1x7_10x49", same([10, 49, 16], [10, 49, 16], [1, 7], 1)),
    depthwise(EXTRA, "dw5x1_25x5", same([25, 5, 32], [25, 5, 32], [5, 1], 1)),
    depthwise(EXTRA, "dw1x5_25x5", same([25, 5, 32], [25, 5, 32], [1, 5], 1)),
    depthwise(EXTRA, "dw5x5_s2", same([24, 24, 16], [12, 12, 16], [5, 5], 2)),
    depthwise(EXTRA, "dw5x5_6x6", same([6, 6, 32], [6, 6, 32], [5, 5], 1)),
    depthwise(EXTRA, "dw5x5_3x3", same([3, 3, 64], [3, 3, 64], [5, 5], 1)),
    depthwise(EXTRA, "dw7x7_c16", same([12, 12, 16], [12, 12, 16], [7, 7], 1)),
    depthwise(EXTRA, "dw4x4_c16", same([12, 12, 16], [12, 12, 16], [4, 4], 1)),
    depthwise(EXTRA, "dw3x3_s3", same([24, 24, 16], [8, 8, 16], [3, 3], 3)),
    depthwise(EXTRA, "dw3x3_c5", same([12, 12, 5], [12, 12, 5], [3, 3], 1)),
    depthwise(EXTRA, "dw3x3_4x4", same([4, 4, 64], [4, 4, 64], [3, 3], 1)),
    depthwise(EXTRA, "dw3x3_2x2", same([2, 2, 64], [2, 2, 64], [3, 3], 1)),
    conv(EXTRA, "conv3x3_c5", same([24, 24, 5], [24, 24, 5], [3, 3], 1)),
    conv(EXTRA, "conv3x3_c3", same([24, 24, 3], [24, 24, 8], [3, 3], 1)),
    conv(EXTRA, "conv5x5_c1", same([16, 16, 1], [16, 16, 8], [5, 5], 1)),
    conv(EXTRA, "conv1x7_c12", same([1, 49, 12], [1, 49, 20], [1, 7], 1)),
    conv(EXTRA, "conv7x1_c1", same([49, 10, 1], [49, 10, 16], [7, 1], 1)),
    conv(EXTRA, "pw64_25x5", same([25, 5, 64], [25, 5, 64], [1, 1], 1)),
];
