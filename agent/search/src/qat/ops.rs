//! The graph's operators on libtorch tensors `[n, c, h, w]`, without scales: what float and quantized networks share.

use bitrack_model::graph::{Graph, Layer, Op, Shape, Window};
use tch::{Kind, TchError, Tensor};

/// How a real number becomes a code: the nearest one, and where two are as near:
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// `floor(x + 1/2)`: the requantization of weighted layers, maxima and sums.
    Up,
    /// Towards zero: averages, whose multiplier is the next one below the exact factor.
    ToZero,
    /// Away from zero: samples on their way into the network.
    Away,
}

/// Clamps to integers and rounds. The gradient is the clamp's: the straight-through estimator, which takes rounding
/// for the identity (Bengio et al. 2013).
///
/// # Errors
/// libtorch's own.
pub fn round_clamped(x: &Tensor, (low, high): (f64, f64), rounding: Rounding) -> Result<Tensor, TchError> {
    let clamped = x.f_clamp(low, high)?;
    round_in_place(&clamped, rounding)?;
    Ok(clamped)
}

/// Rounds where the values lie, unseen by autograd. Sound for the result of an operation that does not keep its result
/// for the way back, such as a clamp or a quotient.
///
/// # Errors
/// libtorch's own.
pub fn round_in_place(x: &Tensor, rounding: Rounding) -> Result<(), TchError> {
    tch::no_grad(|| {
        let mut values = x.f_detach()?;
        let _ = match rounding {
            Rounding::Up => values.f_add_scalar_(0.5)?.f_floor_()?,
            Rounding::ToZero => {
                let signs = values.f_sign()?;
                values.f_abs_()?.f_add_scalar_(-0.5)?.f_ceil_()?.f_mul_(&signs)?
            }
            Rounding::Away => {
                let signs = values.f_sign()?;
                values.f_abs_()?.f_add_scalar_(0.5)?.f_floor_()?.f_mul_(&signs)?
            }
        };
        Ok(())
    })
}

/// A layer with weights: `weights` `[out, in or 1, kernel_h, kernel_w]`, `bias` `[out]`. Padding has the value 0.
///
/// # Errors
/// libtorch's own.
pub fn weighted(graph: &Graph, layer: &Layer, x: &Tensor, weights: &Tensor, bias: &Tensor) -> Result<Tensor, TchError> {
    let (input, output) = (graph.input_shape(layer), graph.shape(layer.output));
    let window = layer.op.window().unwrap_or(Window { kernel: [1, 1], stride: [1, 1], pad_before: [0, 0] });
    let groups = if matches!(layer.op, Op::DepthwiseConv2d { .. }) { input.c as i64 } else { 1 };
    let stride = window.stride.map(|s| s as i64);
    let x = &rows_last(x, input)?;
    let convolve = |x: &Tensor, padding: [i64; 2]| {
        x.f_conv2d(weights, Some(bias), stride.as_slice(), padding.as_slice(), [1i64, 1].as_slice(), groups)
    };
    match symmetric_padding(window, input, output) {
        Some(padding) => convolve(x, padding),
        None => convolve(&padded(x, window, input, output, 0.0)?, [0, 0]),
    }
}

/// The same tensor with strides that say `[n, c, h, w]`. With one channel libtorch may take it for channels-last, and the
/// AVX-512 convolution that oneDNN then chooses computes wrong sums (seen with oneDNN of libtorch 2.13: kernel 2x3, stride 1x2).
fn rows_last(x: &Tensor, shape: Shape) -> Result<Tensor, TchError> {
    if shape.c > 1 {
        return Ok(x.shallow_clone());
    }
    let size = x.size();
    x.f_contiguous()?.f_view([-1i64].as_slice())?.f_view(size.as_slice())
}

/// Sum of every window's values on the input, and how many these are: `[1, 1, h, w]`, or one number without padding.
///
/// # Errors
/// libtorch's own.
pub fn window_sums(graph: &Graph, layer: &Layer, window: Window, x: &Tensor) -> Result<(Tensor, Tensor), TchError> {
    let (input, output) = (graph.input_shape(layer), graph.shape(layer.output));
    let sums = |x: &Tensor| {
        let padded = padded(x, window, input, output, 0.0)?;
        let (kernel, stride) = (window.kernel.map(|k| k as i64), window.stride.map(|s| s as i64));
        padded.f_avg_pool2d(kernel.as_slice(), stride.as_slice(), [0i64, 0].as_slice(), false, true, 1)
    };
    let ones = Tensor::f_ones([1, 1, input.h as i64, input.w as i64].as_slice(), (x.f_kind()?, x.device()))?;
    Ok((sums(x)?, sums(&ones)?))
}

/// The largest value of every window.
///
/// # Errors
/// libtorch's own.
pub fn window_maxima(graph: &Graph, layer: &Layer, window: Window, x: &Tensor) -> Result<Tensor, TchError> {
    // Below every code and every real activation that calibration lets through.
    const NEVER: f64 = -1e30;
    let padded = padded(x, window, graph.input_shape(layer), graph.shape(layer.output), NEVER)?;
    let (kernel, stride) = (window.kernel.map(|k| k as i64), window.stride.map(|s| s as i64));
    padded.f_max_pool2d(kernel.as_slice(), stride.as_slice(), [0i64, 0].as_slice(), [1i64, 1].as_slice(), false)
}

/// The same values, height-width-channel order, in another shape.
///
/// # Errors
/// libtorch's own.
pub fn reshape(x: &Tensor, to: Shape) -> Result<Tensor, TchError> {
    let channels_last = x.f_permute([0i64, 2, 3, 1].as_slice())?;
    let shaped = channels_last.f_reshape([-1, to.h as i64, to.w as i64, to.c as i64].as_slice())?;
    shaped.f_permute([0i64, 3, 1, 2].as_slice())?.f_contiguous()
}

/// Weights in the model's order `[out][kernel_h][kernel_w][in]` as a convolution takes them: `[out, in, kernel_h, kernel_w]`.
///
/// # Errors
/// libtorch's own.
pub fn weights_to_torch(graph: &Graph, layer: &Layer, weights: &Tensor) -> Result<Tensor, TchError> {
    let shape = graph.weight_shape(layer).ok_or_else(|| TchError::Shape(format!("{} has no weights", layer.name)))?;
    let size = [shape.out, shape.kernel[0], shape.kernel[1], shape.input].map(|d| d as i64);
    let [out, kernel_h, kernel_w, input] = size;
    let weights = weights.f_view(size.as_slice())?.f_permute([0i64, 3, 1, 2].as_slice())?.f_contiguous()?;
    // Flattened in between for the reason that `rows_last` gives.
    weights.f_view([-1i64].as_slice())?.f_view([out, input, kernel_h, kernel_w].as_slice())
}

/// Values in the model's order as a tensor of `kind`.
///
/// # Errors
/// libtorch's own.
pub fn tensor(values: &[f32], size: &[i64], kind: Kind) -> Result<Tensor, TchError> {
    Tensor::f_from_slice(values)?.f_to_kind(kind)?.f_view(size)
}

/// Padding after the last row and column that the output's size implies; negative where input is left over.
fn padding_after(window: Window, input: Shape, output: Shape) -> [i64; 2] {
    let after = |axis: usize, size: usize, out: usize| {
        let reach = (out - 1) * window.stride[axis] + window.kernel[axis];
        reach as i64 - size as i64 - window.pad_before[axis] as i64
    };
    [after(0, input.h, output.h), after(1, input.w, output.w)]
}

/// The padding with which a convolution gives the right output by itself, without a padded copy of its input.
fn symmetric_padding(window: Window, input: Shape, output: Shape) -> Option<[i64; 2]> {
    let fits = |axis: usize, size: usize, out: usize| {
        let padded = size + 2 * window.pad_before[axis];
        padded >= window.kernel[axis] && (padded - window.kernel[axis]) / window.stride[axis] + 1 == out
    };
    let all = fits(0, input.h, output.h) && fits(1, input.w, output.w);
    all.then(|| window.pad_before.map(|p| p as i64))
}

fn padded(x: &Tensor, window: Window, input: Shape, output: Shape, value: f64) -> Result<Tensor, TchError> {
    let (before, after) = (window.pad_before.map(|p| p as i64), padding_after(window, input, output));
    let pads = [before[1], after[1], before[0], after[0]];
    if pads == [0; 4] {
        return Ok(x.shallow_clone());
    }
    x.f_pad(pads.as_slice(), "constant", value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounded(values: &[f32], rounding: Rounding) -> Vec<f32> {
        let x = Tensor::from_slice(values);
        crate::torch::floats(&round_clamped(&x, (-2.0, 2.0), rounding).expect("rounds")).expect("floats")
    }

    #[test]
    fn halves_go_where_the_kernels_send_them() {
        let values = [-2.5, -1.5, -0.5, 0.5, 1.5, 0.49, 7.0];
        assert_eq!(rounded(&values, Rounding::Up), [-2.0, -1.0, 0.0, 1.0, 2.0, 0.0, 2.0]);
        assert_eq!(rounded(&values, Rounding::ToZero), [-2.0, -1.0, 0.0, 0.0, 1.0, 0.0, 2.0]);
        assert_eq!(rounded(&values, Rounding::Away), [-2.0, -2.0, -1.0, 1.0, 2.0, 0.0, 2.0]);
    }

    #[test]
    fn the_gradient_passes_through_rounding_and_stops_at_the_clamp() {
        let x = Tensor::from_slice(&[-3.0f32, 0.3, 1.7, 2.1]).set_requires_grad(true);
        let y = round_clamped(&x, (-2.0, 2.0), Rounding::Up).expect("rounds");
        // The square's derivative is twice the *rounded* value.
        let gradient = Tensor::run_backward(&[y.square().sum(Kind::Float)], &[x], false, false);
        assert_eq!(crate::torch::floats(&gradient[0]).expect("floats"), [0.0, 0.0, 4.0, 0.0]);
    }
}
