//! What a choice of bits costs, and what it may cost.

use bitrack_model::Bits;

/// Exact bytes of a candidate, known before anything is flashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Bytes of the image without its test vectors.
    pub flash_bytes: u64,
    /// Planned peak of the arena in bytes.
    pub ram_bytes: u64,
}

impl Footprint {
    /// Whether flash and RAM are within the limits.
    pub fn within(&self, limits: &Limits) -> bool {
        let below = |bytes: u64, limit: Option<u64>| limit.is_none_or(|limit| bytes <= limit);
        below(self.flash_bytes, limits.flash_bytes) && below(self.ram_bytes, limits.ram_bytes)
    }
}

/// The hard limits of a campaign; `None` is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of flash.
    pub flash_bytes: Option<u64>,
    /// Bytes of RAM.
    pub ram_bytes: Option<u64>,
    /// Ticks of one inference, judged on the measurement.
    pub latency_ticks: Option<u64>,
}

/// Computes footprints. One entry of `bits` per slot of the search space.
pub trait Costs: std::fmt::Debug + Send + Sync {
    /// Bytes of the image with these bits, without its test vectors. Cheap.
    fn flash_bytes(&self, bits: &[Bits]) -> u64;

    /// Planned peak of the arena in bytes. A plan takes milliseconds.
    fn ram_bytes(&self, bits: &[Bits]) -> u64;

    /// Bytes of the candidate with these bits.
    fn footprint(&self, bits: &[Bits]) -> Footprint {
        Footprint { flash_bytes: self.flash_bytes(bits), ram_bytes: self.ram_bytes(bits) }
    }

    /// Whether flash and RAM are within limits; what tells soonest is asked first.
    fn fit(&self, bits: &[Bits], limits: &Limits) -> bool {
        limits.flash_bytes.is_none_or(|limit| self.flash_bytes(bits) <= limit)
            && limits.ram_bytes.is_none_or(|limit| self.ram_bytes(bits) <= limit)
    }

    /// Bytes of RAM in use while each layer runs. Each depends on the tensors alive then and on the layer's weights only; the
    /// footprint's RAM is no less than the largest.
    fn layer_ram(&self, bits: &[Bits]) -> Vec<u64>;

    /// Bytes of scratch of each layer, which depend on its weights, input and output only. Choices of equal activations and equal
    /// scratch need equal RAM.
    fn layer_scratch(&self, bits: &[Bits]) -> Vec<u64>;
}
