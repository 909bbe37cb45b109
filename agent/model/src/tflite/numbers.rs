//! Weights and scales of an imported graph.

use super::constants::{self, ElementType};
use super::{Importer, WeightSource, schema};
use crate::bits::Bits;
use crate::error::{Error, Result};
use crate::float::{FloatModel, FloatWeights};
use crate::graph::WeightShape;
use crate::quantized::{QuantizedModel, QuantizedWeights, TensorQuant};

impl Importer<'_> {
    pub(super) fn float_model(self) -> Result<FloatModel> {
        let weights = self.each_weights(|source, shape| self.float_weights(source, shape))?;
        FloatModel::new(self.graph, weights)
    }

    pub(super) fn quantized_model(self) -> Result<QuantizedModel> {
        let weights = self.each_weights(|source, shape| self.int8_weights(source, shape))?;
        let quant = |(index, &number): (usize, &i32)| {
            let name = &self.graph.tensors[index].name;
            self.tensor_quant(number).map_err(|reason| Error::Model(format!("tensor {name}: {reason}")))
        };
        let tensors = self.sources.iter().enumerate().map(quant).collect::<Result<Vec<_>>>()?;
        QuantizedModel::new(self.graph, tensors, weights)
    }

    fn each_weights<T>(&self, read: impl Fn(WeightSource, WeightShape) -> Result<T, String>) -> Result<Vec<Option<T>>> {
        let layers = self.graph.layers.iter().zip(&self.weights).enumerate();
        let one = |(index, (layer, source)): (usize, (&crate::graph::Layer, &Option<WeightSource>))| {
            let Some((source, shape)) = source.zip(self.graph.weight_shape(layer)) else { return Ok(None) };
            read(source, shape).map(Some).map_err(|reason| Error::operator(index, &layer.name, reason))
        };
        layers.map(one).collect()
    }

    fn float_weights(&self, source: WeightSource, shape: WeightShape) -> Result<FloatWeights, String> {
        let read = |number: i32, n: usize| {
            constants::constant(&self.model, self.tensor(number)?, ElementType::Float32, n).map(constants::floats)
        };
        let values = read(source.weights, shape.elements())?;
        let values = if source.channels_last { constants::channels_first(&values, shape.out) } else { values };
        let bias = source.bias.map_or(Ok(vec![0.0; shape.out]), |number| read(number, shape.out))?;
        Ok(FloatWeights { values, bias })
    }

    fn int8_weights(&self, source: WeightSource, shape: WeightShape) -> Result<QuantizedWeights, String> {
        let tensor = self.tensor(source.weights)?;
        let bytes = constants::constant(&self.model, tensor, ElementType::Int8, shape.elements())?;
        let values = constants::bytes_as_i8(bytes);
        let values = if source.channels_last { constants::channels_first(&values, shape.out) } else { values };
        let bias = |number: i32| {
            constants::constant(&self.model, self.tensor(number)?, ElementType::Int32, shape.out).map(constants::ints)
        };
        let bias = source.bias.map_or(Ok(vec![0; shape.out]), bias)?;
        Ok(QuantizedWeights {
            bits: Bits::Eight,
            values,
            scales: weight_scales(tensor, shape.out, source.channels_last)?,
            bias,
        })
    }

    /// An int8 tensor's scale and zero point; our codes are unsigned, so that ours is 128 more.
    fn tensor_quant(&self, number: i32) -> Result<TensorQuant, String> {
        let quantization = self.tensor(number)?.quantization().ok_or("has no quantization")?;
        let scale = quantization.scale().filter(|s| s.len() == 1).ok_or("must have one scale")?.get(0);
        let zero = quantization.zero_point().filter(|z| z.len() == 1).map_or(0, |z| z.get(0));
        let zero = u8::try_from(zero.saturating_add(128)).map_err(|_| format!("zero point {zero} is not an int8"))?;
        Ok(TensorQuant { bits: Bits::Eight, scale, zero })
    }
}

/// Scales of int8 weights, one per output channel even where the file has one for all.
fn weight_scales(tensor: &schema::Tensor<'_>, out: usize, channels_last: bool) -> Result<Vec<f32>, String> {
    let quantization = tensor.quantization().ok_or("weights have no quantization")?;
    let scales: Vec<f32> = quantization.scale().map_or(Vec::new(), |s| s.iter().collect());
    if quantization.zero_point().is_some_and(|z| z.iter().any(|z| z != 0)) {
        return Err("weights with a zero point are not supported".into());
    }
    let axis = if channels_last { 3 } else { 0 };
    if scales.len() > 1 && quantization.quantized_dimension().unwrap_or(0) != axis {
        return Err("weights have scales along another axis than the output channels".into());
    }
    match scales.len() {
        1 => Ok(vec![scales[0]; out]),
        n if n == out => Ok(scales),
        n => Err(format!("weights have {n} scales for {out} channels")),
    }
}
