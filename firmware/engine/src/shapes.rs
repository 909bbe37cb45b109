//! An op's records as the shapes that kernels know.

use bitrack_image::{Op, Tensor};
use bitrack_kernels::{ConvShape, FcShape, PoolShape, ShapeError};
use bitrack_reason::Reason;

/// Of an op with windows. Of others most of it means nothing.
pub fn conv_shape(op: &Op, input: &Tensor, output: &Tensor) -> ConvShape {
    ConvShape {
        in_h: input.h,
        in_w: input.w,
        in_c: input.c,
        out_h: output.h,
        out_w: output.w,
        out_c: output.c,
        k_h: op.k_h,
        k_w: op.k_w,
        stride_h: op.stride_h,
        stride_w: op.stride_w,
        pad_top: op.pad_top,
        pad_left: op.pad_left,
    }
}

/// Of a fully connected layer.
pub fn fc_shape(shape: &ConvShape) -> FcShape {
    FcShape { in_features: shape.in_c.into(), out_features: shape.out_c.into() }
}

/// Of a pool.
pub fn pool_shape(shape: &ConvShape) -> PoolShape {
    PoolShape {
        in_h: shape.in_h,
        in_w: shape.in_w,
        channels: shape.in_c,
        out_h: shape.out_h,
        out_w: shape.out_w,
        k_h: shape.k_h,
        k_w: shape.k_w,
        stride_h: shape.stride_h,
        stride_w: shape.stride_w,
        pad_top: shape.pad_top,
        pad_left: shape.pad_left,
    }
}

/// What is wrong with a shape.
pub fn shape_error(error: ShapeError) -> Reason {
    match error {
        ShapeError::Zero => Reason::ZeroSize,
        ShapeError::WindowBeforeInput => Reason::WindowBeforeInput,
        ShapeError::WindowAfterInput => Reason::WindowAfterInput,
        ShapeError::ChannelMultiplier => Reason::ChannelMultiplier,
        ShapeError::TooLarge => Reason::TooLarge,
        _ => Reason::KernelRefuses,
    }
}
