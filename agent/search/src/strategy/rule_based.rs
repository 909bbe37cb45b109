//! `rule-based`: the bit cutting of [`crate::rules`], applied to a real network and its exact costs.

use super::{Blob, Outcome, Proposal, Strategy, StrategyError};
use crate::env::{Environment, Space};
use crate::rules::{CutLayer, cut_activations, cut_weights};
use bitrack_model::Bits;
use bitrack_model::graph::{Op, TensorId};

/// Proposes one candidate.
#[derive(Debug, Default)]
pub struct RuleBased {
    done: bool,
}

impl Strategy for RuleBased {
    fn name(&self) -> &'static str {
        "rule-based"
    }

    fn propose(&mut self, env: &Environment) -> Result<Option<Proposal>, StrategyError> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(None);
        }
        Ok(Some(Proposal::of_bits(env, rule_based_bits(env)?)))
    }

    fn observe(&mut self, _: &Environment, _: &Outcome) -> Result<(), StrategyError> {
        Ok(())
    }

    fn save(&self) -> Result<Blob, StrategyError> {
        Ok(Blob::new(self.name(), &self.done, &[]))
    }

    fn load(&mut self, blob: &Blob) -> Result<(), StrategyError> {
        self.done = blob.header(self.name())?;
        Ok(())
    }
}

/// The bits that the rule chooses, one per slot.
///
/// The rule knows pairs of one input and one output; what a planned arena needs beyond them (a tensor held for a later
/// addition, scratch) is met by the environment's projection in between.
///
/// # Errors
/// [`StrategyError::Infeasible`] when the limits are below the rule's minimum.
pub fn rule_based_bits(env: &Environment) -> Result<Vec<Bits>, StrategyError> {
    let space = &env.space;
    let (layers, slots) = cut_layers(space);
    let cut = cut_activations(&layers, slots.len(), env.limits.ram_bytes.unwrap_or(u64::MAX))?;
    let mut bits = space.uniform(Bits::Eight, Bits::Eight);
    slots.iter().zip(cut).for_each(|(&slot, width)| bits[slot] = width);
    let activations = env.project(&bits);
    let weights: Vec<usize> = (0..space.len()).filter(|&slot| space.slots()[slot].is_weights()).collect();
    let counts: Vec<u64> = weights.iter().map(|&slot| space.slots()[slot].elements as u64).collect();
    let with = |widths: &[Bits]| {
        let mut all = bits.clone();
        let narrow = |slot: usize| if space.slots()[slot].is_weights() { Bits::Eight } else { activations[slot] };
        all.iter_mut().enumerate().for_each(|(slot, width)| *width = narrow(slot));
        weights.iter().zip(widths).for_each(|(&slot, &width)| all[slot] = width);
        all
    };
    let flash_bytes = |widths: &[Bits]| env.costs.flash_bytes(&with(widths));
    let widths = cut_weights(&counts, env.limits.flash_bytes.unwrap_or(u64::MAX), flash_bytes)?;
    Ok(env.project(&with(&widths)))
}

/// One entry per pair of input and output of each operator that computes, and the slots that the entries' indices mean.
fn cut_layers(space: &Space) -> (Vec<CutLayer>, Vec<usize>) {
    let slots: Vec<usize> = (0..space.len()).filter(|&slot| !space.slots()[slot].is_weights()).collect();
    let graph = space.graph();
    let index = |tensor: TensorId| {
        let slot = space.activation_slot(tensor)?;
        slots.iter().position(|&other| other == slot)
    };
    let bytes = |tensor: TensorId| {
        let shape = graph.shape(tensor);
        Bits::ALL.map(|bits| (shape.h * shape.w) as u64 * (shape.c as u64 * u64::from(bits.get())).div_ceil(8))
    };
    let computing = graph.layers.iter().filter(|layer| layer.op != (Op::Reshape {}));
    let pairs = computing.flat_map(|layer| layer.inputs.iter().map(move |&input| (input, layer.output)));
    let cut = |(input, output)| CutLayer {
        input: index(input),
        output: index(output),
        input_bytes: bytes(input),
        output_bytes: bytes(output),
    };
    (pairs.map(cut).collect(), slots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::toy;

    #[test]
    fn wide_limits_leave_eight_bits_and_tight_ones_are_met() {
        let env = toy::environment(None, None);
        assert_eq!(rule_based_bits(&env).expect("feasible"), env.space.uniform(Bits::Eight, Bits::Eight));
        // The widest pair, 4 to 8 channels on 8 x 8, takes 768 bytes at 8 bits and 192 at 2; 128 weights take 32 to 128.
        let env = toy::environment(Some(70), Some(300));
        let bits = rule_based_bits(&env).expect("feasible");
        assert!(env.costs.footprint(&bits).within(&env.limits));
        assert_ne!(bits, env.space.uniform(Bits::Two, Bits::Two));
    }

    #[test]
    fn there_is_one_proposal() {
        let env = toy::environment(None, None);
        let mut strategy = RuleBased::default();
        assert!(strategy.propose(&env).expect("feasible").is_some());
        assert!(strategy.propose(&env).expect("feasible").is_none());
    }
}
