//! Shapes as data.

use bitrack_kernels::{ConvShape, FcShape};

/// A convolution from `[in_h, in_w, in_c]`, `[k_h, k_w]`, `[stride_h, stride_w]`, `[pad_top, pad_left, pad_bottom, pad_right]` and `out_c`.
pub const fn conv(input: [u16; 3], kernel: [u16; 2], stride: [u16; 2], pad: [u16; 4], out_c: u16) -> ConvShape {
    ConvShape {
        in_h: input[0],
        in_w: input[1],
        in_c: input[2],
        out_h: (input[0] + pad[0] + pad[2] - kernel[0]) / stride[0] + 1,
        out_w: (input[1] + pad[1] + pad[3] - kernel[1]) / stride[1] + 1,
        out_c,
        k_h: kernel[0],
        k_w: kernel[1],
        stride_h: stride[0],
        stride_w: stride[1],
        pad_top: pad[0],
        pad_left: pad[1],
    }
}

const NO_PAD: [u16; 4] = [0; 4];

/// Convolutions that have gone wrong somewhere: odd channels, odd sizes, tails, long sums, padding on one side only.
pub const CONVS: &[ConvShape] = &[
    conv([1, 1, 1], [1, 1], [1, 1], NO_PAD, 1),
    conv([3, 3, 4], [1, 1], [1, 1], NO_PAD, 4),
    conv([5, 5, 8], [1, 1], [1, 1], NO_PAD, 16),
    conv([3, 5, 64], [1, 1], [1, 1], NO_PAD, 64),
    conv([2, 3, 36], [1, 1], [1, 1], NO_PAD, 12),
    conv([1, 3, 256], [1, 1], [1, 1], NO_PAD, 8),
    conv([1, 2, 260], [1, 1], [1, 1], NO_PAD, 5),
    conv([4, 4, 16], [1, 1], [2, 2], NO_PAD, 7),
    conv([6, 6, 3], [3, 3], [2, 2], [0, 0, 1, 1], 8),
    conv([6, 6, 3], [3, 3], [1, 1], [1, 1, 1, 1], 16),
    conv([12, 5, 1], [10, 4], [2, 2], [4, 1, 5, 1], 64),
    conv([5, 4, 16], [3, 3], [1, 1], [1, 1, 1, 1], 16),
    conv([4, 4, 32], [3, 3], [1, 1], [1, 1, 1, 1], 9),
    conv([3, 3, 64], [3, 3], [2, 2], [0, 0, 1, 1], 6),
    conv([5, 7, 5], [3, 2], [1, 2], [2, 0, 0, 1], 3),
    conv([1, 9, 2], [1, 5], [1, 1], [0, 2, 0, 2], 3),
    conv([9, 1, 7], [5, 1], [2, 1], [4, 0, 4, 0], 2),
    conv([4, 6, 6], [4, 6], [1, 1], NO_PAD, 11),
    conv([2, 2, 129], [2, 2], [1, 1], [1, 1, 1, 1], 5),
    conv([3, 4, 13], [2, 3], [3, 3], [1, 2, 1, 2], 4),
    conv([9, 4, 1], [7, 1], [1, 1], [3, 0, 3, 0], 5),
    conv([4, 10, 2], [2, 4], [1, 1], [0, 3, 1, 0], 3),
    conv([5, 11, 1], [3, 8], [2, 1], [1, 0, 1, 2], 4),
    conv([6, 7, 5], [3, 3], [1, 1], [1, 1, 1, 1], 6),
    conv([5, 5, 12], [2, 3], [1, 2], [1, 0, 0, 0], 4),
];

/// Depthwise shapes of the same kind.
pub const DEPTHWISE: &[ConvShape] = &[
    conv([1, 1, 1], [1, 1], [1, 1], NO_PAD, 1),
    conv([5, 5, 4], [3, 3], [1, 1], [1, 1, 1, 1], 4),
    conv([6, 5, 64], [3, 3], [1, 1], [1, 1, 1, 1], 64),
    conv([7, 7, 16], [3, 3], [2, 2], [1, 1, 1, 1], 16),
    conv([8, 8, 8], [3, 3], [2, 2], [0, 0, 1, 1], 8),
    conv([3, 3, 32], [3, 3], [1, 1], [1, 1, 1, 1], 32),
    conv([1, 40, 8], [3, 3], [1, 1], [1, 1, 1, 1], 8),
    conv([4, 51, 4], [3, 3], [1, 1], [1, 1, 1, 1], 4),
    conv([3, 3, 5], [3, 3], [1, 1], [1, 1, 1, 1], 5),
    conv([4, 5, 7], [2, 3], [1, 2], [1, 0, 0, 2], 7),
    conv([6, 6, 9], [5, 5], [1, 1], [2, 2, 2, 2], 9),
    conv([25, 5, 6], [25, 5], [1, 1], NO_PAD, 6),
    conv([1, 9, 3], [1, 5], [1, 1], [0, 2, 0, 2], 3),
    conv([9, 1, 10], [5, 1], [2, 1], [4, 0, 4, 0], 10),
    conv([4, 4, 12], [1, 1], [3, 3], NO_PAD, 12),
    conv([2, 2, 11], [4, 4], [1, 1], [2, 3, 3, 2], 11),
    conv([49, 1, 9], [7, 1], [1, 1], [3, 0, 3, 0], 9),
    conv([61, 1, 4], [4, 1], [1, 1], [3, 0, 1, 0], 4),
    conv([50, 1, 6], [3, 3], [1, 1], [1, 1, 1, 1], 6),
    conv([53, 1, 2], [5, 2], [2, 1], [0, 1, 3, 0], 2),
    conv([70, 1, 5], [1, 1], [1, 1], NO_PAD, 5),
    conv([3, 57, 7], [1, 7], [1, 1], [0, 6, 0, 5], 7),
    conv([2, 58, 3], [1, 6], [1, 3], [0, 5, 0, 0], 3),
    conv([2, 59, 13], [1, 4], [1, 2], [0, 1, 0, 2], 13),
    conv([25, 5, 6], [5, 1], [1, 1], [2, 0, 2, 0], 6),
    conv([9, 6, 1], [7, 1], [1, 1], [3, 0, 3, 0], 1),
    conv([9, 3, 10], [7, 2], [1, 3], [6, 1, 1, 0], 10),
    conv([12, 31, 5], [5, 5], [1, 1], [2, 2, 2, 2], 5),
    conv([11, 30, 14], [5, 5], [2, 2], [1, 4, 2, 0], 14),
    conv([9, 9, 3], [7, 7], [1, 1], [3, 3, 3, 3], 3),
    conv([6, 27, 7], [3, 3], [1, 1], [1, 1, 1, 1], 7),
    conv([13, 13, 8], [3, 3], [3, 3], [0, 2, 2, 0], 8),
    conv([7, 29, 5], [3, 3], [2, 4], [2, 1, 0, 2], 5),
    conv([6, 6, 8], [3, 3], [2, 2], [0, 0, 1, 1], 8),
    conv([13, 29, 8], [3, 3], [2, 2], [2, 2, 1, 1], 8),
    conv([27, 26, 4], [3, 3], [2, 2], NO_PAD, 4),
    conv([26, 27, 6], [3, 3], [2, 2], [1, 1, 1, 1], 6),
    conv([1, 1, 8], [3, 3], [2, 2], [1, 1, 1, 1], 8),
    conv([2, 3, 8], [3, 3], [2, 2], [2, 0, 2, 0], 8),
    conv([41, 1, 4], [3, 3], [2, 1], [1, 1, 1, 1], 4),
    conv([9, 30, 12], [3, 3], [1, 2], [1, 1, 1, 1], 12),
];

/// Fully connected shapes.
pub const FULLY_CONNECTED: &[FcShape] = &[
    FcShape { in_features: 1, out_features: 1 },
    FcShape { in_features: 4, out_features: 4 },
    FcShape { in_features: 7, out_features: 3 },
    FcShape { in_features: 64, out_features: 12 },
    FcShape { in_features: 8, out_features: 130 },
    FcShape { in_features: 255, out_features: 5 },
    FcShape { in_features: 257, out_features: 9 },
    FcShape { in_features: 640, out_features: 6 },
    FcShape { in_features: 1537, out_features: 4 },
];
