//! From a quantized network to the bytes that are flashed.

mod constants;
mod footprint;
mod geometry;
mod variants;

pub use footprint::{Footprint, flash, footprint, ram, ram_by_layer, scratch_by_layer};
pub use variants::{Site, Variants};

use bitrack_image::builder::{ImageSpec, OpSpec, VectorSpec};
use bitrack_image::{NO_TENSOR, Op, Tensor};
use bitrack_kernels::Variant;
use geometry::WeightKernel;
use variants::bearing;

use crate::bits::Bits;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::evaluate::HostImage;
use crate::graph::{Layer, TensorId};
use crate::plan::{Demand, MemoryPlan, plan};
use crate::quantized::QuantizedModel;

/// Choices that change an image's bytes but not what it computes.
#[derive(Debug, Clone)]
pub struct LowerOptions<'a> {
    /// Alignment of each layer's section, a power of two: 2 (4 bytes) makes the smallest image, a board's erase sector
    /// lets candidates share flash sectors.
    pub section_align_log2: u8,
    /// Names the model in the header, such as [`crate::FloatModel::id`].
    pub model_id: u64,
    /// By which variants ops are computed.
    pub variants: Variants,
    /// The first this many samples of a data set become test vectors: input, expected output, CRC of every op's output.
    pub vectors: Option<(&'a Dataset, usize)>,
}

impl Default for LowerOptions<'_> {
    fn default() -> Self {
        Self { section_align_log2: 2, model_id: 0, variants: Variants::default(), vectors: None }
    }
}

/// An image, validated by the engine that will run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// What is flashed.
    pub bytes: Vec<u8>,
    /// Arena bytes that the memory plan takes.
    pub planned_peak: usize,
    /// Bytes without test vectors: what counts against a flash limit.
    pub model_bytes: usize,
}

/// Lowers a quantized network: plans memory, computes the integer constants, packs weights, and adds test vectors
/// that the engine computed on this host.
///
/// # Errors
/// [`Error::Quantization`] when a layer's scales have no integer constants; [`Error::Image`] and [`Error::Engine`] when the
/// result is refused, which would be a defect here.
pub fn lower(model: &QuantizedModel, options: &LowerOptions<'_>) -> Result<Image> {
    let mut spec = image_spec(model, options)?;
    let mut bytes = spec.build()?;
    if let Some((data, count)) = options.vectors {
        spec.vectors = test_vectors(&bytes, data, count)?;
        bytes = spec.build()?;
    }
    let header = bitrack_image::Header::parse(&bytes)?;
    let (planned_peak, model_bytes) = (header.arena_len as usize, header.model_len as usize);
    Ok(Image { bytes, planned_peak, model_bytes })
}

/// The variant of every op of an image.
///
/// # Errors
/// [`Error::Image`] when the bytes are no image, [`Error::Engine`] when an op names no variant that there is.
pub fn variants(image: &[u8]) -> Result<Vec<Variant>> {
    let image = bitrack_image::Image::parse(image)?;
    let named = |(index, op): (usize, Op)| {
        let unknown = || Error::Engine(format!("op {index} names kernel variant {}, which does not exist", op.variant));
        Variant::from_code(op.variant).ok_or_else(unknown)
    };
    image.ops().enumerate().map(named).collect()
}

/// The kernels that an image needs, by the names of their cargo features: for a runner that leaves out the others.
///
/// # Errors
/// [`Error::Image`] when the bytes are no image, [`Error::Engine`] when an op could not run anywhere.
pub fn kernels(image: &[u8]) -> Result<Vec<&'static str>> {
    let image = bitrack_image::Image::parse(image)?;
    let needs = bitrack_engine::kernels(&image).map_err(|error| Error::Engine(error.to_string()))?;
    Ok(needs.kernels().map(bitrack_kernels::Kernel::name).collect())
}

fn image_spec(model: &QuantizedModel, options: &LowerOptions<'_>) -> Result<ImageSpec> {
    let graph = model.graph();
    let bits: Vec<Bits> = model.tensors().iter().map(|q| q.bits).collect();
    let weight_bits: Vec<Option<Bits>> = (0..graph.layers.len()).map(|i| model.weights(i).map(|w| w.bits)).collect();
    let demands = footprint::demands(graph, &options.variants, &bits, &weight_bits);
    let plan = plan(graph, &bits, &demands);
    let op = |(index, demand): (usize, &Demand)| {
        let picked = footprint::picked(graph, &options.variants, index, &bits, weight_bits[index]);
        op_spec(model, index, picked, (demand.scratch, plan.scratch[index]))
    };
    let ops = demands.iter().enumerate().map(op).collect::<Result<Vec<_>>>()?;
    Ok(ImageSpec {
        tensors: (0..graph.tensors.len()).map(|t| tensor(model, TensorId(t), &plan)).collect(),
        ops,
        input: graph.input.0 as u16,
        output: graph.output.0 as u16,
        arena_len: plan.arena_len as u32,
        model_id: options.model_id,
        layout: bitrack_kernels::LAYOUT,
        section_align_log2: options.section_align_log2,
        vectors: Vec::new(),
    })
}

fn tensor(model: &QuantizedModel, id: TensorId, plan: &MemoryPlan) -> Tensor {
    let (shape, quant) = (model.graph().shape(id), model.tensors()[id.0]);
    Tensor {
        h: shape.h as u16,
        w: shape.w as u16,
        c: shape.c as u16,
        bits: quant.bits.get(),
        zero: quant.zero,
        scale: quant.scale,
        arena_off: plan.tensors[id.0] as u32,
    }
}

/// `scratch` has its bytes and where they lie.
fn op_spec(model: &QuantizedModel, index: usize, picked: Variant, scratch: (usize, usize)) -> Result<OpSpec> {
    let layer = &model.graph().layers[index];
    let constants =
        constants::of(model, index).map_err(|reason| Error::Quantization { layer: layer.name.clone(), reason })?;
    let input = model.tensors()[layer.inputs[0].0].bits;
    let kernel = WeightKernel::of(model.graph(), layer);
    let variant = kernel.map_or(picked, |kernel| bearing(&kernel, picked, input, constants.shift));
    let (scratch_len, scratch_off) = scratch;
    let op = Op {
        variant: variant.code(),
        w_bits: model.weights(index).map_or(0, |w| w.bits.get()),
        shift: constants.shift,
        in1: layer.inputs.get(1).map_or(NO_TENSOR, |id| id.0 as u16),
        act_min: constants.act_min,
        act_max: constants.act_max,
        scratch_off: if scratch_len > 0 { scratch_off as u32 } else { 0 },
        scratch_len: scratch_len as u32,
        params: constants.params,
        ..window_op(layer)
    };
    Ok(OpSpec { op, weights: constants.weights, channels: constants.channels })
}

fn window_op(layer: &Layer) -> Op {
    let op = Op::new(layer.op.kind(), layer.inputs[0].0 as u16, layer.output.0 as u16);
    let Some(window) = layer.op.window() else { return op };
    let [kernel, stride, pad] = [window.kernel, window.stride, window.pad_before].map(|p| p.map(|v| v as u16));
    Op {
        k_h: kernel[0],
        k_w: kernel[1],
        stride_h: stride[0],
        stride_w: stride[1],
        pad_top: pad[0],
        pad_left: pad[1],
        ..op
    }
}

fn test_vectors(bytes: &[u8], data: &Dataset, count: usize) -> Result<Vec<VectorSpec>> {
    let image = HostImage::new(bytes)?;
    data.check_shape(image.input_shape())?;
    let mut sample = Vec::new();
    let vector = |index: usize| {
        data.read(index, &mut sample);
        let input = image.encode(&sample)?;
        let (expected, op_crcs) = image.run_with_crcs(&input)?;
        Ok(VectorSpec { input, expected, op_crcs })
    };
    (0..count.min(data.len())).map(vector).collect()
}
