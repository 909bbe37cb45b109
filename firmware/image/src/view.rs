//! A checked image, read in place.

use bitrack_reason::Reason;

use crate::bytes::range;
use crate::header::stored_id;
use crate::validate;
use crate::{ALIGN, HEADER_LEN, Header, ImageError, OP_LEN, Op, TENSOR_LEN, Tensor, crc32};

/// An image whose every offset, size, width and lifetime was checked. Reading it cannot fail.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) head: &'a [u8; HEADER_LEN],
}

/// One test vector: what goes in, what the host's kernels made of it.
#[derive(Debug, Clone, Copy)]
pub struct Vector<'a> {
    /// Packed network input.
    pub input: &'a [u8],
    /// Packed network output that a correct board returns, bit for bit.
    pub expected: &'a [u8],
    op_crcs: &'a [u8],
}

impl Vector<'_> {
    /// CRC-32 of op `index`'s packed output on the host, to name the first op that went wrong.
    pub fn op_crc(&self, index: usize) -> Option<u32> {
        self.op_crcs.get(index.checked_mul(4)?..)?.first_chunk().copied().map(u32::from_le_bytes)
    }
}

impl<'a> Image<'a> {
    /// Checks everything this crate can know of `bytes` (which may be longer than the image, as a slot is).
    ///
    /// # Errors
    /// The first inconsistency found, see [`ImageError`]. No input makes it panic.
    #[inline(never)]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ImageError> {
        let header = Header::parse(bytes)?;
        let have = bytes.len() as u32;
        let whole = bytes.get(..header.total_len as usize);
        let bytes = whole.ok_or(ImageError::Truncated { needed: header.total_len, have })?;
        let body = bytes.get(HEADER_LEN..).ok_or(ImageError::BadHeader { field: Reason::TotalLen })?;
        let computed = crc32(body);
        if computed != header.body_crc {
            return Err(ImageError::BodyCrc { stored: header.body_crc, computed });
        }
        let head = bytes.first_chunk().ok_or(ImageError::BadHeader { field: Reason::TotalLen })?;
        let image = Self { bytes, head };
        validate::image(&image)?;
        Ok(image)
    }

    /// The header. Read where it is asked for, and of it what is asked for.
    #[inline(always)]
    pub fn header(&self) -> Header {
        Header::read(self.head)
    }

    /// [`Header::image_id`], without computing it again.
    pub fn id(&self) -> u32 {
        stored_id(self.head)
    }

    /// The image's own bytes, without what lies behind it in the slot.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Tensor `index`, if there is one.
    #[inline(never)]
    pub fn tensor(&self, index: u16) -> Option<Tensor> {
        self.tensor_record(index).map(Tensor::read)
    }

    /// Op `index` in execution order, if there is one.
    #[inline(never)]
    pub fn op(&self, index: u16) -> Option<Op> {
        Op::read(self.op_record(index)?)
    }

    /// All ops in execution order.
    pub fn ops(&self) -> impl Iterator<Item = Op> + '_ {
        (0..self.header().n_ops).filter_map(|i| self.op(i))
    }

    /// All tensors.
    pub fn tensors(&self) -> impl Iterator<Item = Tensor> + '_ {
        (0..self.header().n_tensors).filter_map(|i| self.tensor(i))
    }

    /// The packed weights (or the softmax table) of an op of this image.
    pub fn weights(&self, op: &Op) -> Option<&'a [u8]> {
        range(self.bytes, op.section.weights_off, op.section.weights_len)
    }

    /// The `{bias, mult}` pairs of an op of this image: 8 bytes per output channel.
    pub fn channels(&self, op: &Op) -> Option<&'a [u8]> {
        self.channels_of(op, &self.tensor(op.out)?)
    }

    /// The same, by who has the op's output at hand.
    pub fn channels_of(&self, op: &Op, output: &Tensor) -> Option<&'a [u8]> {
        range(self.bytes, op.section.channels_off, u32::from(output.c) * 8)
    }

    /// Test vector `index`, if there is one.
    pub fn vector(&self, index: u16) -> Option<Vector<'a>> {
        let lens = VectorLens::of(self)?;
        self.vector_of(index, lens.input, lens.output)
    }

    /// The same, by who knows the bytes of the packed input and output.
    pub fn vector_of(&self, index: u16, input: usize, output: usize) -> Option<Vector<'a>> {
        if index >= self.header().n_vectors {
            return None;
        }
        let crcs = 4 * usize::from(self.header().n_ops);
        let stride = input.next_multiple_of(ALIGN) + output.next_multiple_of(ALIGN) + crcs;
        let vector = self.bytes.get(self.header().vectors_off as usize + usize::from(index) * stride..)?;
        let (input, rest) = (vector.get(..input)?, vector.get(input.next_multiple_of(ALIGN)..)?);
        let (expected, op_crcs) = (rest.get(..output)?, rest.get(output.next_multiple_of(ALIGN)..)?);
        Some(Vector { input, expected, op_crcs: op_crcs.get(..crcs)? })
    }

    pub(crate) fn tensor_record(&self, index: u16) -> Option<&'a [u8; TENSOR_LEN]> {
        self.record(self.header().tensors_off, index, self.header().n_tensors)
    }

    pub(crate) fn op_record(&self, index: u16) -> Option<&'a [u8; OP_LEN]> {
        self.record(self.header().ops_off, index, self.header().n_ops)
    }

    fn record<const LEN: usize>(&self, table: u32, index: u16, count: u16) -> Option<&'a [u8; LEN]> {
        let at = table as usize + usize::from(index) * LEN;
        self.bytes.get(at..).filter(|_| index < count)?.first_chunk()
    }
}

/// Lengths of the parts of every test vector of an image, in bytes.
pub(crate) struct VectorLens {
    pub input: usize,
    pub output: usize,
    pub crcs: usize,
}

impl VectorLens {
    pub fn of(image: &Image<'_>) -> Option<Self> {
        let input = image.tensor(image.header().input)?.bytes();
        let output = image.tensor(image.header().output)?.bytes();
        Some(Self { input, output, crcs: 4 * image.header().n_ops as usize })
    }

    pub fn stride(&self) -> usize {
        self.input.next_multiple_of(ALIGN) + self.output.next_multiple_of(ALIGN) + self.crcs
    }
}
