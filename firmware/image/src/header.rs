//! The first 64 bytes.

use bitrack_reason::Reason;

use crate::bytes::{fits, u16_at, u32_at};
use crate::{ALIGN, ImageError, OP_LEN, TENSOR_LEN, crc32};

/// The first four bytes of every image.
pub const MAGIC: [u8; 4] = *b"BTRK";
/// The format version this code reads and writes.
pub const VERSION: u16 = 1;
/// Bytes of the header.
pub const HEADER_LEN: usize = 64;

/// What the daemon needs to know of an image: sizes, counts and checksums. Lengths and offsets in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The whole image, test vectors included: what is flashed.
    pub total_len: u32,
    /// The image without its test vectors: what a product would ship, and what counts against a flash limit.
    pub model_len: u32,
    /// CRC-32 of everything behind the header.
    pub body_crc: u32,
    /// Planned arena: tensors and scratch at their offsets.
    pub arena_len: u32,
    pub n_tensors: u16,
    pub n_ops: u16,
    pub n_vectors: u16,
    /// Sections start at multiples of `1 << section_align_log2`.
    pub section_align_log2: u8,
    pub tensors_off: u32,
    pub ops_off: u32,
    pub vectors_off: u32,
    /// Index of the network's input tensor.
    pub input: u16,
    /// Index of the network's output tensor.
    pub output: u16,
    /// Says which model this is (the importer's hash), so that a record of a run can be traced.
    pub model_id: u64,
    /// Which revision of the kernels' weight layouts the sections are packed in; 0 when no op has weights.
    pub layout: u16,
}

impl Header {
    /// Reads and checks the header alone: magic, version, its CRC, and that tables lie inside the image.
    /// `image` may be a prefix; the body is not looked at.
    pub fn parse(image: &[u8]) -> Result<Self, ImageError> {
        let have = image.len() as u32;
        let head = image.first_chunk().ok_or(ImageError::Truncated { needed: HEADER_LEN as u32, have })?;
        // Magic and version first: on a blank slot "no image here" says more than "checksum".
        if head[..4] != MAGIC {
            return Err(ImageError::BadMagic);
        }
        let found = u16_at(head, 4);
        if found != VERSION || u16_at(head, 6) != HEADER_LEN as u16 {
            return Err(ImageError::UnsupportedVersion { found });
        }
        let (stored, computed) = (stored_id(head), crc32(&head[..HEADER_LEN - 4]));
        if stored != computed {
            return Err(ImageError::HeaderCrc { stored, computed });
        }
        let header = Self::read(head);
        header.check().map_err(|field| ImageError::BadHeader { field })?;
        Ok(header)
    }

    #[inline(always)]
    pub(crate) fn read(r: &[u8; HEADER_LEN]) -> Self {
        Self {
            total_len: u32_at(r, 8),
            body_crc: u32_at(r, 12),
            model_len: u32_at(r, 16),
            arena_len: u32_at(r, 20),
            n_tensors: u16_at(r, 24),
            n_ops: u16_at(r, 26),
            n_vectors: u16_at(r, 28),
            section_align_log2: r[30],
            tensors_off: u32_at(r, 32),
            ops_off: u32_at(r, 36),
            vectors_off: u32_at(r, 40),
            input: u16_at(r, 44),
            output: u16_at(r, 46),
            model_id: u64::from(u32_at(r, 48)) | u64::from(u32_at(r, 52)) << 32,
            layout: u16_at(r, 56),
        }
    }

    /// The 64 bytes, checksum included.
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &MAGIC);
        put(4, &VERSION.to_le_bytes());
        put(6, &(HEADER_LEN as u16).to_le_bytes());
        put(8, &self.total_len.to_le_bytes());
        put(12, &self.body_crc.to_le_bytes());
        put(16, &self.model_len.to_le_bytes());
        put(20, &self.arena_len.to_le_bytes());
        put(24, &self.n_tensors.to_le_bytes());
        put(26, &self.n_ops.to_le_bytes());
        put(28, &self.n_vectors.to_le_bytes());
        put(30, &[self.section_align_log2]);
        put(32, &self.tensors_off.to_le_bytes());
        put(36, &self.ops_off.to_le_bytes());
        put(40, &self.vectors_off.to_le_bytes());
        put(44, &self.input.to_le_bytes());
        put(46, &self.output.to_le_bytes());
        put(48, &self.model_id.to_le_bytes());
        put(56, &self.layout.to_le_bytes());
        let crc = crc32(&out[..HEADER_LEN - 4]);
        out[HEADER_LEN - 4..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// A name for this exact content: equal for equal images, used as the image's id on the wire.
    pub fn image_id(&self) -> u32 {
        // Without the header's own CRC: a CRC over bytes and their CRC is the same for all bytes.
        crc32(&self.to_bytes()[..HEADER_LEN - 4])
    }

    /// Which field contradicts the others.
    #[inline(never)]
    fn check(&self) -> Result<(), Reason> {
        // Whether a table ends before `end`, without a sum that could overflow.
        let ends_before = |off: u32, count: u16, len: usize, end: u32| fits(off, u32::from(count) * len as u32, end);
        let aligned = |off: u32| off.is_multiple_of(ALIGN as u32);
        match () {
            () if self.n_tensors == 0 => Err(Reason::TensorCount),
            () if self.n_ops == 0 => Err(Reason::OpCount),
            () if !(2..24).contains(&self.section_align_log2) => Err(Reason::SectionAlign),
            () if self.model_len > self.total_len => Err(Reason::ModelLen),
            () if self.tensors_off as usize != HEADER_LEN => Err(Reason::TensorsOffset),
            () if !ends_before(self.tensors_off, self.n_tensors, TENSOR_LEN, self.ops_off)
                || !ends_before(self.ops_off, self.n_ops, OP_LEN, self.model_len)
                || !aligned(self.ops_off) =>
            {
                Err(Reason::OpsOffset)
            }
            () if !(self.model_len..=self.total_len).contains(&self.vectors_off) || !aligned(self.vectors_off) => {
                Err(Reason::VectorsOffset)
            }
            () if self.input >= self.n_tensors => Err(Reason::Input),
            () if self.output >= self.n_tensors => Err(Reason::Output),
            () => Ok(()),
        }
    }
}

/// The header's checksum as it is stored, which is [`Header::image_id`] of an image that passed its checks.
pub(crate) fn stored_id(head: &[u8; HEADER_LEN]) -> u32 {
    u32_at(head, HEADER_LEN - 4)
}
