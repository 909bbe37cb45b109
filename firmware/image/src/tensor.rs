//! One activation tensor: shape, bits, quantization and its place in the arena.

use crate::bytes::Record;

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

    pub(crate) fn read(r: Record<'_>) -> Option<Self> {
        Some(Self {
            h: r.u16(0)?,
            w: r.u16(2)?,
            c: r.u16(4)?,
            bits: r.u8(6)?,
            zero: r.u8(7)?,
            scale: f32::from_bits(r.u32(8)?),
            arena_off: r.u32(12)?,
        })
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

    pub(crate) fn check(&self, stored_len: u32, arena_len: u32) -> Result<(), &'static str> {
        let end = u64::from(self.arena_off) + u64::from(stored_len);
        match () {
            () if !matches!(self.bits, 2 | 4 | 8) => Err("bits are not 2, 4 or 8"),
            () if self.h == 0 || self.w == 0 || self.c == 0 => Err("a dimension is zero"),
            () if self.zero > self.max_code() => Err("zero point does not fit its bits"),
            () if !(self.scale.is_finite() && self.scale > 0.0) => Err("scale is not a positive number"),
            () if self.bytes() as u64 != u64::from(stored_len) => Err("length contradicts shape and bits"),
            () if end > u64::from(arena_len) => Err("lies outside the arena"),
            () => Ok(()),
        }
    }
}
