//! Footprints by `bitrack-model`'s exact arithmetic.

use crate::env::{Costs, Space};
use bitrack_model::{Bits, Variants, flash, ram, ram_by_layer, scratch_by_layer};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Plans that are remembered before all are forgotten.
const MAX_PLANS: usize = 1 << 16;
/// Why a policy of the space is never refused.
const OWN: &str = "the space makes policies for its own graph";

/// The footprint that lowering will have.
#[derive(Debug)]
pub struct ModelCosts {
    space: Space,
    section_align_log2: u8,
    variants: Variants,
    /// RAM of choices that were planned: searches ask for the same ones again and again.
    plans: Mutex<HashMap<Vec<Bits>, u64>>,
}

impl ModelCosts {
    /// Costs of choices within a space, of images made of these variants.
    pub fn new(space: Space, section_align_log2: u8, variants: Variants) -> Self {
        Self { space, section_align_log2, variants, plans: Mutex::default() }
    }
}

impl Costs for ModelCosts {
    fn flash_bytes(&self, bits: &[Bits]) -> u64 {
        flash(self.space.graph(), &self.space.policy(bits), self.section_align_log2).expect(OWN) as u64
    }

    fn ram_bytes(&self, bits: &[Bits]) -> u64 {
        let plans = || self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&known) = plans().get(bits) {
            return known;
        }
        let planned = ram(self.space.graph(), &self.space.policy(bits), &self.variants).expect(OWN) as u64;
        let mut plans = plans();
        if plans.len() >= MAX_PLANS {
            plans.clear();
        }
        plans.insert(bits.to_vec(), planned);
        planned
    }

    fn layer_ram(&self, bits: &[Bits]) -> Vec<u64> {
        let ram = ram_by_layer(self.space.graph(), &self.space.policy(bits), &self.variants).expect(OWN);
        ram.into_iter().map(|bytes| bytes as u64).collect()
    }

    fn layer_scratch(&self, bits: &[Bits]) -> Vec<u64> {
        let scratch = scratch_by_layer(self.space.graph(), &self.space.policy(bits), &self.variants).expect(OWN);
        scratch.into_iter().map(|bytes| bytes as u64).collect()
    }
}
