//! Footprints by `bitrack-model`'s exact arithmetic.

use crate::env::{Costs, Footprint, Space};
use bitrack_model::{Bits, footprint, ram_by_layer};

/// The footprint that lowering will have.
#[derive(Debug)]
pub struct ModelCosts {
    space: Space,
    section_align_log2: u8,
}

impl ModelCosts {
    /// Costs of choices within a space.
    pub fn new(space: Space, section_align_log2: u8) -> Self {
        Self { space, section_align_log2 }
    }
}

impl Costs for ModelCosts {
    fn footprint(&self, bits: &[Bits]) -> Footprint {
        let policy = self.space.policy(bits);
        let footprint = footprint(self.space.graph(), &policy, self.section_align_log2)
            .expect("the space makes policies for its own graph");
        Footprint { flash_bytes: footprint.flash as u64, ram_bytes: footprint.ram as u64 }
    }

    fn layer_ram(&self, bits: &[Bits]) -> Vec<u64> {
        let ram = ram_by_layer(self.space.graph(), &self.space.policy(bits))
            .expect("the space makes policies for its own graph");
        ram.into_iter().map(|bytes| bytes as u64).collect()
    }
}
