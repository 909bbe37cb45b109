//! Assembles an image from planned tensors, ops and their constants.

use crate::view::VectorLens;
use crate::{ALIGN, HEADER_LEN, Header, Image, ImageError, OP_LEN, Op, Reason, Section, TENSOR_LEN, Tensor, crc32};

/// An op with the constants that go into its section.
#[derive(Debug, Clone)]
pub struct OpSpec {
    /// The record; its `section` is filled in by the builder.
    pub op: Op,
    /// Packed weights (convolutions, fully connected) or the softmax table; empty for ops without constants.
    pub weights: Vec<u8>,
    /// `(bias, mult)` per output channel; empty for ops without weights.
    pub channels: Vec<(i32, i32)>,
}

/// A test vector to store: packed input, packed expected output, CRC-32 of every op's packed output.
#[derive(Debug, Clone)]
pub struct VectorSpec {
    pub input: Vec<u8>,
    pub expected: Vec<u8>,
    pub op_crcs: Vec<u32>,
}

/// Everything an image holds.
#[derive(Debug, Clone)]
pub struct ImageSpec {
    pub tensors: Vec<Tensor>,
    pub ops: Vec<OpSpec>,
    /// Indices of the network's input and output tensors.
    pub input: u16,
    pub output: u16,
    /// Planned arena in bytes.
    pub arena_len: u32,
    /// Names the model, see [`Header::model_id`].
    pub model_id: u64,
    /// The kernels' layout revision, see [`Header::layout`].
    pub layout: u16,
    /// Alignment of each layer's section, as a power of two of at least 4 (2 = 4 bytes). A board's erase sector
    /// makes candidates that differ in one layer differ in that layer's sectors only.
    pub section_align_log2: u8,
    pub vectors: Vec<VectorSpec>,
}

impl ImageSpec {
    /// The image's bytes, already passed through [`Image::parse`].
    ///
    /// # Errors
    /// What [`Image::parse`] finds wrong with the result: a builder's output is never unchecked.
    pub fn build(&self) -> Result<Vec<u8>, ImageError> {
        self.check_vectors()?;
        let ops_off = HEADER_LEN + self.tensors.len() * TENSOR_LEN;
        let mut out = vec![0; ops_off + self.ops.len() * OP_LEN];
        for (i, tensor) in self.tensors.iter().enumerate() {
            out[HEADER_LEN + i * TENSOR_LEN..][..TENSOR_LEN].copy_from_slice(&tensor.to_bytes());
        }
        for (i, spec) in self.ops.iter().enumerate() {
            let section = self.push_section(&mut out, spec);
            let record = Op { section, ..spec.op }.to_bytes();
            out[ops_off + i * OP_LEN..][..OP_LEN].copy_from_slice(&record);
        }
        pad_to(&mut out, ALIGN);
        let model_len = out.len();
        self.push_vectors(&mut out);
        let header = self.header(&out, ops_off, model_len);
        out[..HEADER_LEN].copy_from_slice(&header.to_bytes());
        Image::parse(&out)?;
        Ok(out)
    }

    /// Bytes the image will have without its test vectors ([`Header::model_len`]), from the lengths alone.
    /// `sections` gives `(weights_len, output channels with parameters)` per op; ops without constants give `(0, 0)`.
    pub fn model_len(n_tensors: usize, section_align_log2: u8, sections: &[(usize, usize)]) -> usize {
        let tables = HEADER_LEN + n_tensors * TENSOR_LEN + sections.len() * OP_LEN;
        let align = 1usize << section_align_log2;
        sections.iter().filter(|&&(weights, _)| weights > 0).fold(tables, |at, &(weights, channels)| {
            at.next_multiple_of(align) + weights.next_multiple_of(ALIGN) + 8 * channels
        })
    }

    fn push_section(&self, out: &mut Vec<u8>, spec: &OpSpec) -> Section {
        if spec.weights.is_empty() {
            return Section::default();
        }
        pad_to(out, 1 << self.section_align_log2);
        let off = out.len();
        out.extend_from_slice(&spec.weights);
        pad_to(out, ALIGN);
        let channels_off = out.len();
        for (bias, mult) in &spec.channels {
            out.extend_from_slice(&bias.to_le_bytes());
            out.extend_from_slice(&mult.to_le_bytes());
        }
        Section {
            off: off as u32,
            len: (out.len() - off) as u32,
            crc: crc32(&out[off..]),
            weights_off: off as u32,
            weights_len: spec.weights.len() as u32,
            channels_off: channels_off as u32,
        }
    }

    fn push_vectors(&self, out: &mut Vec<u8>) {
        for vector in &self.vectors {
            out.extend_from_slice(&vector.input);
            pad_to(out, ALIGN);
            out.extend_from_slice(&vector.expected);
            pad_to(out, ALIGN);
            out.extend(vector.op_crcs.iter().flat_map(|crc| crc.to_le_bytes()));
        }
    }

    fn check_vectors(&self) -> Result<(), ImageError> {
        let tensor_len = |index: u16| self.tensors.get(index as usize).map(Tensor::bytes);
        let fits = |v: &VectorSpec| {
            Some(v.input.len()) == tensor_len(self.input)
                && Some(v.expected.len()) == tensor_len(self.output)
                && v.op_crcs.len() == self.ops.len()
        };
        let bad = ImageError::BadHeader { field: Reason::VectorCount };
        if self.vectors.iter().all(fits) { Ok(()) } else { Err(bad) }
    }

    fn header(&self, out: &[u8], ops_off: usize, model_len: usize) -> Header {
        Header {
            total_len: out.len() as u32,
            model_len: model_len as u32,
            body_crc: crc32(&out[HEADER_LEN..]),
            arena_len: self.arena_len,
            n_tensors: self.tensors.len() as u16,
            n_ops: self.ops.len() as u16,
            n_vectors: self.vectors.len() as u16,
            section_align_log2: self.section_align_log2,
            tensors_off: HEADER_LEN as u32,
            ops_off: ops_off as u32,
            vectors_off: model_len as u32,
            input: self.input,
            output: self.output,
            model_id: self.model_id,
            layout: self.layout,
        }
    }
}

/// Bytes one test vector takes in an image with these input and output tensors and this many ops.
pub fn vector_len(image: &Image<'_>) -> usize {
    VectorLens::of(image).map_or(0, |lens| lens.stride())
}

fn pad_to(out: &mut Vec<u8>, align: usize) {
    out.resize(out.len().next_multiple_of(align), 0);
}
