//! One operator: what it reads, writes, and where its constants lie.

#[cfg(target_endian = "big")]
compile_error!("records are little-endian and copied as they are");

/// Bytes of an op record.
pub const OP_LEN: usize = 72;
/// "No tensor" in [`Op::in1`] of an operator with one input.
pub const NO_TENSOR: u16 = 0xFFFF;

/// The operators a runner executes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpKind {
    Conv2d = 1,
    DepthwiseConv2d = 2,
    FullyConnected = 3,
    AveragePool = 4,
    MaxPool = 5,
    Add = 6,
    Reshape = 7,
    Softmax = 8,
}

impl OpKind {
    /// The kind with this code.
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Conv2d,
            2 => Self::DepthwiseConv2d,
            3 => Self::FullyConnected,
            4 => Self::AveragePool,
            5 => Self::MaxPool,
            6 => Self::Add,
            7 => Self::Reshape,
            8 => Self::Softmax,
            _ => return None,
        })
    }

    /// The name used in reports, tables and the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Conv2d => "conv2d",
            Self::DepthwiseConv2d => "depthwise",
            Self::FullyConnected => "fully_connected",
            Self::AveragePool => "average_pool",
            Self::MaxPool => "max_pool",
            Self::Add => "add",
            Self::Reshape => "reshape",
            Self::Softmax => "softmax",
        }
    }

    /// Whether the operator has weights, and so a weight bit width and per-channel parameters.
    pub fn has_weights(self) -> bool {
        matches!(self, Self::Conv2d | Self::DepthwiseConv2d | Self::FullyConnected)
    }

    /// Whether the operator slides a window (kernel, stride and padding mean something).
    pub fn has_window(self) -> bool {
        matches!(self, Self::Conv2d | Self::DepthwiseConv2d | Self::AveragePool | Self::MaxPool)
    }
}

/// An operator's constants in flash: bytes from the image's start. All zero when it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Section {
    pub off: u32,
    pub len: u32,
    pub crc: u32,
    /// Packed weights, or softmax's table, inside the section.
    pub weights_off: u32,
    pub weights_len: u32,
    /// `{bias: i32, mult: i32}` per output channel, inside the section, 4-aligned.
    pub channels_off: u32,
}

/// One operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Op {
    pub kind: OpKind,
    /// Which way of several to compute the operator, by the kernels' number; 0 is the general one, which there is for every op.
    pub variant: u8,
    /// 2, 4 or 8 where the operator has weights, else 0.
    pub w_bits: u8,
    /// Left shift of the accumulator before the requantizing multiply.
    pub shift: u8,
    pub in0: u16,
    /// Second input ([`OpKind::Add`]), else [`NO_TENSOR`].
    pub in1: u16,
    pub out: u16,
    /// Output codes are clamped to `act_min..=act_max` (the fused activation).
    pub act_min: u8,
    pub act_max: u8,
    pub k_h: u16,
    pub k_w: u16,
    pub stride_h: u16,
    pub stride_w: u16,
    pub pad_top: u16,
    pub pad_left: u16,
    pub section: Section,
    /// Scratch bytes in the arena while the op runs.
    pub scratch_off: u32,
    pub scratch_len: u32,
    /// Add: `m1, m2, b, s`. Pools: `mult, identity (1 or 0), 0, 0`. Others: zero.
    pub params: [i32; 4],
}

const _: () = assert!(size_of::<Op>() == OP_LEN, "an op lies in memory as in its record");

impl Op {
    /// An op of `kind` from `in0` to `out` with every other field at its neutral value.
    pub fn new(kind: OpKind, in0: u16, out: u16) -> Self {
        Self {
            kind,
            variant: 0,
            w_bits: 0,
            shift: 0,
            in0,
            in1: NO_TENSOR,
            out,
            act_min: 0,
            act_max: 255,
            k_h: 1,
            k_w: 1,
            stride_h: 1,
            stride_w: 1,
            pad_top: 0,
            pad_left: 0,
            section: Section::default(),
            scratch_off: 0,
            scratch_len: 0,
            params: [0; 4],
        }
    }

    /// The tensors the op reads.
    pub fn inputs(&self) -> impl Iterator<Item = u16> + use<> {
        [self.in0, self.in1].into_iter().filter(|&t| t != NO_TENSOR)
    }

    /// `None` for an unknown operator.
    #[inline(never)]
    pub(crate) fn read(r: &[u8; OP_LEN]) -> Option<Self> {
        OpKind::from_code(r[0])?;
        // SAFETY: an `Op` is as long as the record, and any bytes are values of its fields but for the kind's, which comes first and was
        // just looked at.
        Some(unsafe { r.as_ptr().cast::<Self>().read_unaligned() })
    }

    /// The record's bytes.
    pub fn to_bytes(&self) -> [u8; OP_LEN] {
        let mut out = [0; OP_LEN];
        out[..4].copy_from_slice(&[self.kind as u8, self.variant, self.w_bits, self.shift]);
        out[10..12].copy_from_slice(&[self.act_min, self.act_max]);
        let halves = [(4, self.in0), (6, self.in1), (8, self.out), (12, self.k_h), (14, self.k_w)];
        let window = [(16, self.stride_h), (18, self.stride_w), (20, self.pad_top), (22, self.pad_left)];
        for (at, value) in halves.into_iter().chain(window) {
            out[at..at + 2].copy_from_slice(&value.to_le_bytes());
        }
        let s = &self.section;
        let words =
            [s.off, s.len, s.crc, s.weights_off, s.weights_len, s.channels_off, self.scratch_off, self.scratch_len];
        let params = self.params.map(|p| p as u32);
        for (i, word) in words.into_iter().chain(params).enumerate() {
            out[24 + 4 * i..28 + 4 * i].copy_from_slice(&word.to_le_bytes());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Copied in one go, written field by field.
    #[test]
    fn an_op_lies_in_memory_as_in_its_record() {
        let record = core::array::from_fn(|at| at as u8 + 3);
        let op = Op::read(&record).expect("3 is a kind");
        assert_eq!((op.kind, op.in0, op.section.crc), (OpKind::FullyConnected, 0x0807, 0x2625_2423));
        assert_eq!(op.to_bytes(), record);
        assert_eq!(Op::read(&[0; OP_LEN]), None);
        assert_eq!(Op::read(&[9; OP_LEN]), None);
    }
}
