//! One function per operator of the file.

use super::schema::{
    AddOptions, Conv2dOptions, DepthwiseConv2dOptions, FullyConnectedOptions, Model, Operator, Pool2dOptions,
    SoftmaxOptions,
};
use super::{Importer, Padded, WeightSource, constants};
use crate::graph::{Activation, Op, Shape, TensorId, Window};

/// Names of the schema's `BuiltinOperator` numbers 0 to 44, for messages.
const NAMES: [&str; 45] = [
    "ADD",
    "AVERAGE_POOL_2D",
    "CONCATENATION",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "DEPTH_TO_SPACE",
    "DEQUANTIZE",
    "EMBEDDING_LOOKUP",
    "FLOOR",
    "FULLY_CONNECTED",
    "HASHTABLE_LOOKUP",
    "L2_NORMALIZATION",
    "L2_POOL_2D",
    "LOCAL_RESPONSE_NORMALIZATION",
    "LOGISTIC",
    "LSH_PROJECTION",
    "LSTM",
    "MAX_POOL_2D",
    "MUL",
    "RELU",
    "RELU_N1_TO_1",
    "RELU6",
    "RESHAPE",
    "RESIZE_BILINEAR",
    "RNN",
    "SOFTMAX",
    "SPACE_TO_DEPTH",
    "SVDF",
    "TANH",
    "CONCAT_EMBEDDINGS",
    "SKIP_GRAM",
    "CALL",
    "CUSTOM",
    "EMBEDDING_LOOKUP_SPARSE",
    "PAD",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
    "GATHER",
    "BATCH_TO_SPACE_ND",
    "SPACE_TO_BATCH_ND",
    "TRANSPOSE",
    "MEAN",
    "SUB",
    "DIV",
    "SQUEEZE",
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
];

fn code(model: &Model<'_>, operator: &Operator<'_>) -> Option<i32> {
    let codes = model.operator_codes()?;
    let index = operator.opcode_index() as usize;
    let entry = (index < codes.len()).then(|| codes.get(index))?;
    // Files older than schema version 3a have only the deprecated byte; newer ones saturate it at 127.
    Some(entry.builtin_code().unwrap_or(0).max(i32::from(entry.deprecated_builtin_code().unwrap_or(0))))
}

/// The operator's name for messages.
pub fn name(model: &Model<'_>, operator: &Operator<'_>) -> String {
    match code(model, operator) {
        None => "without an operator code".into(),
        Some(114) => "QUANTIZE".into(),
        Some(code) => match usize::try_from(code).ok().and_then(|c| NAMES.get(c)) {
            Some(name) => (*name).into(),
            None => format!("builtin operator {code}"),
        },
    }
}

/// Appends the operator's layer, or says why it cannot.
pub fn import(importer: &mut Importer<'_>, operator: &Operator<'_>) -> Result<(), String> {
    let [inputs, outputs] = [operator.inputs(), operator.outputs()];
    let &[output] = outputs.as_slice() else { return Err("must have exactly one output".into()) };
    match name(&importer.model, operator).as_str() {
        "CONV_2D" => conv2d(importer, operator, &inputs, output),
        "DEPTHWISE_CONV_2D" => depthwise(importer, operator, &inputs, output),
        "FULLY_CONNECTED" => fully_connected(importer, operator, &inputs, output),
        "AVERAGE_POOL_2D" => {
            pool(importer, operator, &inputs, output, |window, activation| Op::AveragePool { window, activation })
        }
        "MAX_POOL_2D" => {
            pool(importer, operator, &inputs, output, |window, activation| Op::MaxPool { window, activation })
        }
        "MEAN" => mean(importer, &inputs, output),
        "ADD" => add(importer, operator, &inputs, output),
        "RESHAPE" | "SQUEEZE" => reshape(importer, &inputs, output),
        "SOFTMAX" => softmax(importer, operator, &inputs, output),
        "PAD" => pad(importer, &inputs, output),
        _ => Err("this operator is not supported".into()),
    }
}

fn conv2d(importer: &mut Importer<'_>, operator: &Operator<'_>, inputs: &[i32], output: i32) -> Result<(), String> {
    let options: Conv2dOptions<'_> = operator.options().ok_or("has no options")?;
    no_dilation([options.dilation_h(), options.dilation_w()])?;
    let (input, pads) = padded_input(importer, inputs)?;
    let weights = weight_source(inputs, false)?;
    let [out, kernel_h, kernel_w, channels] = kernel_dims(importer, weights.weights)?;
    expect_channels(importer, input, output, channels, out)?;
    let stride = strides(options.stride_h(), options.stride_w())?;
    let window = window(importer, input, output, [kernel_h, kernel_w], stride, options.padding(), pads)?;
    let activation = activation(options.activation())?;
    importer.push(Op::Conv2d { window, activation }, vec![input], output, Some(weights))
}

fn depthwise(importer: &mut Importer<'_>, operator: &Operator<'_>, inputs: &[i32], output: i32) -> Result<(), String> {
    let options: DepthwiseConv2dOptions<'_> = operator.options().ok_or("has no options")?;
    no_dilation([options.dilation_h(), options.dilation_w()])?;
    let (input, pads) = padded_input(importer, inputs)?;
    let weights = weight_source(inputs, true)?;
    let [one, kernel_h, kernel_w, channels] = kernel_dims(importer, weights.weights)?;
    let input_channels = importer.graph.shape(input).c;
    if one != 1 || (input_channels != channels && input_channels != 1) {
        return Err(format!(
            "{input_channels} input and {channels} output channels: a depth multiplier is not supported"
        ));
    }
    expect_channels(importer, input, output, input_channels, channels)?;
    let stride = strides(options.stride_h(), options.stride_w())?;
    let window = window(importer, input, output, [kernel_h, kernel_w], stride, options.padding(), pads)?;
    let activation = activation(options.activation())?;
    // On one input channel, a depth multiplier is an ordinary convolution.
    let ordinary = input_channels == 1 && channels > 1;
    let op = if ordinary { Op::Conv2d { window, activation } } else { Op::DepthwiseConv2d { window, activation } };
    importer.push(op, vec![input], output, Some(weights))
}

fn fully_connected(
    importer: &mut Importer<'_>,
    operator: &Operator<'_>,
    inputs: &[i32],
    output: i32,
) -> Result<(), String> {
    let options: FullyConnectedOptions<'_> = operator.options().ok_or("has no options")?;
    if options.weights_format().unwrap_or(0) != 0 {
        return Err("shuffled weights are not supported".into());
    }
    let weights = weight_source(inputs, false)?;
    let [out, 1, 1, channels] = kernel_dims(importer, weights.weights)? else {
        return Err("weights are not a matrix".into());
    };
    let mut input = importer.id(*inputs.first().ok_or("has no input")?)?;
    let shape = importer.graph.shape(input);
    if (shape.h, shape.w) != (1, 1) {
        input = importer.append(Op::Reshape {}, vec![input], Shape::new(1, 1, shape.elements()), inputs[0], None);
    }
    expect_channels(importer, input, output, channels, out)?;
    let activation = activation(options.activation())?;
    importer.push(Op::FullyConnected { activation }, vec![input], output, Some(weights))
}

fn pool(
    importer: &mut Importer<'_>,
    operator: &Operator<'_>,
    inputs: &[i32],
    output: i32,
    op: fn(Window, Activation) -> Op,
) -> Result<(), String> {
    let options: Pool2dOptions<'_> = operator.options().ok_or("has no options")?;
    let input = importer.id(*inputs.first().ok_or("has no input")?)?;
    let kernel = strides(options.filter_h(), options.filter_w())?;
    let stride = strides(options.stride_h(), options.stride_w())?;
    let window = window(importer, input, output, kernel, stride, options.padding(), None)?;
    let activation = activation(options.activation())?;
    importer.push(op(window, activation), vec![input], output, None)
}

/// The mean over height and width is an average pool over everything.
fn mean(importer: &mut Importer<'_>, inputs: &[i32], output: i32) -> Result<(), String> {
    let &[input, axes] = inputs else { return Err("must have an input and constant axes".into()) };
    let input = importer.id(input)?;
    let axes = importer.tensor(axes)?;
    let bytes = constants::data(&importer.model, axes).ok_or("axes are not constant")?;
    let mut axes = constants::ints(bytes);
    axes.sort_unstable();
    if axes != [1, 2] {
        return Err(format!("a mean over axes {axes:?} is not supported, only over height and width"));
    }
    let shape = importer.graph.shape(input);
    let window = Window { kernel: [shape.h, shape.w], stride: [shape.h, shape.w], pad_before: [0, 0] };
    importer.push(Op::AveragePool { window, activation: Activation::None }, vec![input], output, None)
}

fn add(importer: &mut Importer<'_>, operator: &Operator<'_>, inputs: &[i32], output: i32) -> Result<(), String> {
    let options: AddOptions<'_> = operator.options().ok_or("has no options")?;
    let &[first, second] = inputs else { return Err("must have two inputs".into()) };
    let inputs = vec![importer.id(first)?, importer.id(second)?];
    let activation = activation(options.activation())?;
    importer.push(Op::Add { activation }, inputs, output, None)
}

fn reshape(importer: &mut Importer<'_>, inputs: &[i32], output: i32) -> Result<(), String> {
    let input = importer.id(*inputs.first().ok_or("has no input")?)?;
    importer.push(Op::Reshape {}, vec![input], output, None)
}

fn softmax(importer: &mut Importer<'_>, operator: &Operator<'_>, inputs: &[i32], output: i32) -> Result<(), String> {
    let options: SoftmaxOptions<'_> = operator.options().ok_or("has no options")?;
    let input = importer.id(*inputs.first().ok_or("has no input")?)?;
    let beta = options.beta().unwrap_or(0.0);
    importer.push(Op::Softmax { beta }, vec![input], output, None)
}

fn pad(importer: &mut Importer<'_>, inputs: &[i32], output: i32) -> Result<(), String> {
    let &[source, amounts] = inputs else { return Err("must have an input and constant paddings".into()) };
    importer.id(source)?;
    let bytes = constants::data(&importer.model, importer.tensor(amounts)?).ok_or("paddings are not constant")?;
    let amounts = constants::ints(bytes);
    let pixels = |at: usize| usize::try_from(amounts[at]).map_err(|_| "padding is negative".to_owned());
    match amounts.as_slice() {
        &[0, 0, _, _, _, _, 0, 0] => {
            let padded = Padded { source, before: [pixels(2)?, pixels(4)?], after: [pixels(3)?, pixels(5)?] };
            importer.padded.insert(output, padded);
            Ok(())
        }
        _ => Err(format!("paddings {amounts:?}: only height and width can be padded")),
    }
}

/// A convolution's input, looking through a PAD.
fn padded_input(importer: &Importer<'_>, inputs: &[i32]) -> Result<(TensorId, Option<Padded>), String> {
    let &number = inputs.first().ok_or("has no input")?;
    match importer.padded.get(&number) {
        Some(padded) => Ok((importer.id(padded.source)?, Some(*padded))),
        None => Ok((importer.id(number)?, None)),
    }
}

fn weight_source(inputs: &[i32], channels_last: bool) -> Result<WeightSource, String> {
    match *inputs {
        [_, weights] | [_, weights, -1] => Ok(WeightSource { weights, bias: None, channels_last }),
        [_, weights, bias] => Ok(WeightSource { weights, bias: Some(bias), channels_last }),
        _ => Err(format!("has {} inputs, must have 2 or 3", inputs.len())),
    }
}

/// Dimensions of a weight tensor; a matrix `[out, in]` counts as a 1 x 1 kernel.
fn kernel_dims(importer: &Importer<'_>, number: i32) -> Result<[usize; 4], String> {
    let dims = constants::dims(importer.tensor(number)?);
    let size = |d: i32| {
        usize::try_from(d).ok().filter(|&d| d > 0 && d < 1 << 16).ok_or(format!("weights have shape {dims:?}"))
    };
    match *dims.as_slice() {
        [o, h, w, i] => Ok([size(o)?, size(h)?, size(w)?, size(i)?]),
        [o, i] => Ok([size(o)?, 1, 1, size(i)?]),
        _ => Err(format!("weights have shape {dims:?}")),
    }
}

fn expect_channels(
    importer: &Importer<'_>,
    input: TensorId,
    output: i32,
    c_in: usize,
    c_out: usize,
) -> Result<(), String> {
    let (found_in, found_out) = (importer.graph.shape(input).c, importer.activation_shape(output)?.c);
    if (found_in, found_out) == (c_in, c_out) {
        return Ok(());
    }
    Err(format!("weights are for {c_in} to {c_out} channels, tensors have {found_in} and {found_out}"))
}

fn window(
    importer: &Importer<'_>,
    input: TensorId,
    output: i32,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Option<i8>,
    pads: Option<Padded>,
) -> Result<Window, String> {
    let (input, output) = (importer.graph.shape(input), importer.activation_shape(output)?);
    let sizes = [(input.h, output.h), (input.w, output.w)];
    let mut pad_before = [0; 2];
    for axis in 0..2 {
        let explicit = pads.map_or([0, 0], |p| [p.before[axis], p.after[axis]]);
        let padded = sizes[axis].0 + explicit[0] + explicit[1];
        let (out, same) = padded_size(padded, kernel[axis], stride[axis], padding.unwrap_or(0))?;
        if out != sizes[axis].1 {
            return Err(format!("input {input} and output {output} do not fit the window"));
        }
        pad_before[axis] = explicit[0] + same;
    }
    Ok(Window { kernel, stride, pad_before })
}

/// Output size and padding before the first element, as TensorFlow defines SAME (0) and VALID (1).
fn padded_size(size: usize, kernel: usize, stride: usize, padding: i8) -> Result<(usize, usize), String> {
    match padding {
        0 => {
            let out = size.div_ceil(stride);
            Ok((out, ((out - 1) * stride + kernel).saturating_sub(size) / 2))
        }
        1 if kernel <= size => Ok(((size - kernel) / stride + 1, 0)),
        1 => Err(format!("kernel {kernel} is larger than the input's {size}")),
        other => Err(format!("padding {other} is unknown")),
    }
}

fn strides(h: Option<i32>, w: Option<i32>) -> Result<[usize; 2], String> {
    let size = |v: Option<i32>| usize::try_from(v.unwrap_or(0)).ok().filter(|&v| v > 0 && v < 1 << 16);
    size(h).zip(size(w)).map(|(h, w)| [h, w]).ok_or_else(|| format!("stride or kernel {h:?} x {w:?} is not supported"))
}

fn no_dilation(factors: [Option<i32>; 2]) -> Result<(), String> {
    if factors.iter().all(|f| f.unwrap_or(1) == 1) { Ok(()) } else { Err("dilation is not supported".into()) }
}

fn activation(code: Option<i8>) -> Result<Activation, String> {
    match code.unwrap_or(0) {
        0 => Ok(Activation::None),
        1 => Ok(Activation::Relu),
        3 => Ok(Activation::Relu6),
        other => Err(format!("fused activation {other} is not supported")),
    }
}
