//! Constant tensors of a TensorFlow Lite file: raw bytes to numbers, and its axis orders to ours.

use super::schema::{Model, Tensor};

/// The element types the importer knows by number (schema `TensorType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementType {
    Float32,
    Int32,
    Int8,
    Other(i8),
}

impl ElementType {
    pub fn of(tensor: &Tensor<'_>) -> Self {
        match tensor.kind().unwrap_or(0) {
            0 => Self::Float32,
            2 => Self::Int32,
            9 => Self::Int8,
            other => Self::Other(other),
        }
    }
}

impl std::fmt::Display for ElementType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            Self::Float32 => "float32",
            Self::Int32 => "int32",
            Self::Int8 => "int8",
            Self::Other(1) => "float16",
            Self::Other(3) => "uint8",
            Self::Other(4) => "int64",
            Self::Other(7) => "int16",
            Self::Other(17) => "int4",
            Self::Other(number) => return write!(f, "element type {number}"),
        };
        f.write_str(name)
    }
}

/// The dimensions of a tensor as stored.
pub fn dims(tensor: &Tensor<'_>) -> Vec<i32> {
    tensor.shape().map_or(Vec::new(), |v| v.iter().collect())
}

/// The bytes of a constant tensor, or `None` for an activation.
pub fn data<'a>(model: &Model<'a>, tensor: &Tensor<'a>) -> Option<&'a [u8]> {
    let buffers = model.buffers()?;
    let index = tensor.buffer().unwrap_or(0) as usize;
    let data = (index < buffers.len()).then(|| buffers.get(index).data()).flatten()?;
    (!data.is_empty()).then(|| data.bytes())
}

/// A constant of the given type and number of elements.
pub fn constant<'a>(
    model: &Model<'a>,
    tensor: &Tensor<'a>,
    expected: ElementType,
    elements: usize,
) -> Result<&'a [u8], String> {
    let found = ElementType::of(tensor);
    if found != expected {
        return Err(format!("a constant is {found}, must be {expected}"));
    }
    let size = if expected == ElementType::Int8 { 1 } else { 4 };
    match data(model, tensor) {
        None => Err("weights or bias are not constant".into()),
        Some(bytes) if bytes.len() == elements * size => Ok(bytes),
        Some(bytes) => Err(format!("a constant has {} bytes, needs {}", bytes.len(), elements * size)),
    }
}

pub fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
}

pub fn ints(bytes: &[u8]) -> Vec<i32> {
    bytes.as_chunks::<4>().0.iter().map(|&b| i32::from_le_bytes(b)).collect()
}

pub fn bytes_as_i8(bytes: &[u8]) -> Vec<i8> {
    bytes.iter().map(|&b| b.cast_signed()).collect()
}

/// `[taps][channels]`, the order of depthwise weights in the file, to ours, `[channels][taps]`.
pub fn channels_first<T: Copy>(values: &[T], channels: usize) -> Vec<T> {
    let taps = values.len() / channels;
    (0..values.len()).map(|i| values[(i % taps) * channels + i / taps]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depthwise_weights_are_transposed() {
        assert_eq!(channels_first(&[1, 10, 2, 20, 3, 30], 2), [1, 2, 3, 10, 20, 30]);
    }
}
