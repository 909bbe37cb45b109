//! One activation tensor: shape, bits, quantization and its place in the arena.

use bitrack_reason::Reason;

use crate::bytes::{u16_at, u32_at};

/// Bytes of a tensor record.
pub const TENSOR_LEN: usize = 20;

/// Bytes of one pixel: its channels packed at `bits`, rounded up to whole bytes.
pub const fn pixel_bytes(channels: u16, bits: u8) -> usize {
    (channels as usize * bits as usize).div_ceil(8)
}

/// An activation tensor, HWC, batch 1. `real = scale * (q - zero)`, `q` unsigned and `bits` wide.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tensor {
    pub h: u16,
    pub w: u16,
    pub c: u16,
    /// 2, 4 or 8.
    pub bits: u8,
    /// Zero point, at most `2^bits - 1`.
    pub zero: u8,
    /// Real value of one step. For people and for feeding inputs; no op reads it.
    pub scale: f32,
    /// First byte in the arena.
    pub arena_off: u32,
}

impl Tensor {
    /// Packed bytes: `h * w * ceil(c * bits / 8)`.
    pub fn bytes(&self) -> usize {
        self.h as usize * self.w as usize * pixel_bytes(self.c, self.bits)
    }

    /// Number of values.
    pub fn elements(&self) -> usize {
        self.h as usize * self.w as usize * self.c as usize
    }

    /// Largest representable code, `2^bits - 1`.
    pub fn max_code(&self) -> u8 {
        u8::MAX >> (8 - self.bits.clamp(1, 8))
    }

    #[inline(never)]
    pub(crate) fn read(r: &[u8; TENSOR_LEN]) -> Self {
        Self {
            h: u16_at(r, 0),
            w: u16_at(r, 2),
            c: u16_at(r, 4),
            bits: r[6],
            zero: r[7],
            scale: f32::from_bits(u32_at(r, 8)),
            arena_off: u32_at(r, 12),
        }
    }

    /// The record's bytes; the last four repeat the packed length, which a reader compares.
    pub fn to_bytes(&self) -> [u8; TENSOR_LEN] {
        let mut out = [0; TENSOR_LEN];
        out[0..2].copy_from_slice(&self.h.to_le_bytes());
        out[2..4].copy_from_slice(&self.w.to_le_bytes());
        out[4..6].copy_from_slice(&self.c.to_le_bytes());
        out[6] = self.bits;
        out[7] = self.zero;
        out[8..12].copy_from_slice(&self.scale.to_bits().to_le_bytes());
        out[12..16].copy_from_slice(&self.arena_off.to_le_bytes());
        out[16..20].copy_from_slice(&(self.bytes() as u32).to_le_bytes());
        out
    }

    /// What is impossible about the tensor of this record, in an arena of so many bytes.
    pub(crate) fn check(record: &[u8; TENSOR_LEN], arena_len: u32) -> Result<(), Reason> {
        let (tensor, stored_len) = (Self::read(record), u32_at(record, 16));
        let bytes = u64::from(tensor.h) * u64::from(tensor.w) * pixel_bytes(tensor.c, tensor.bits) as u64;
        match () {
            () if !matches!(tensor.bits, 2 | 4 | 8) => Err(Reason::TensorBits),
            () if tensor.h == 0 || tensor.w == 0 || tensor.c == 0 => Err(Reason::ZeroDimension),
            () if tensor.zero > tensor.max_code() => Err(Reason::ZeroPoint),
            () if !is_positive(tensor.scale) => Err(Reason::Scale),
            () if bytes != u64::from(stored_len) => Err(Reason::TensorLength),
            () if tensor.arena_off.checked_add(stored_len).is_none_or(|end| end > arena_len) => {
                Err(Reason::OutsideArena)
            }
            () => Ok(()),
        }
    }
}

/// Above zero and finite, without floating-point arithmetic: positive floats are ordered as their bits.
fn is_positive(scale: f32) -> bool {
    (1..f32::INFINITY.to_bits()).contains(&scale.to_bits())
}
