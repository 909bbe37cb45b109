//! The environment a strategy acts in: the tensors whose bits it chooses, what each choice costs, the hard limits,
//! and the reward.

mod costs;
mod projection;
mod reward;
mod space;
mod state;

pub use costs::{Costs, Footprint, Limits};
pub use projection::{InfeasibleLimits, Shortfall, project};
pub use reward::{Measured, REWARD_PER_POINT, reward};
pub use space::{Slot, SlotKind, Space};
pub use state::{STATE_LEN, State, StateTable};

use bitrack_model::Bits;

/// What a strategy may know: everything but accuracies and measurements, which it observes.
#[derive(Debug)]
pub struct Environment {
    /// The tensors, in the order in which they are decided.
    pub space: Space,
    /// Their features.
    pub states: StateTable,
    /// Flash and RAM of any choice.
    pub costs: Box<dyn Costs>,
    /// The hard limits.
    pub limits: Limits,
}

impl Environment {
    /// An environment whose limits can be met.
    ///
    /// # Errors
    /// [`InfeasibleLimits`] when even 2 bits everywhere are too much.
    pub fn new(space: Space, costs: Box<dyn Costs>, limits: Limits) -> Result<Self, InfeasibleLimits> {
        projection::check_minimum(&space, costs.as_ref(), &limits)?;
        let states = StateTable::new(&space);
        Ok(Self { space, states, costs, limits })
    }

    /// The nearest choice within the limits that only narrows tensors.
    pub fn project(&self, asked: &[Bits]) -> Vec<Bits> {
        project(&self.space, self.costs.as_ref(), &self.limits, asked)
    }
}

/// Bits that an action in [0, 1] stands for: the interval is cut into three equal parts.
pub fn bits_of_action(action: f64) -> Bits {
    let index = (action * 3.0).floor().clamp(0.0, 2.0) as usize;
    Bits::ALL[index]
}

/// The middle of the interval that stands for `bits`.
pub fn action_of_bits(bits: Bits) -> f64 {
    (bits.index() as f64 + 0.5) / 3.0
}

#[cfg(test)]
pub(crate) mod toy;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_and_bits_agree() {
        for bits in Bits::ALL {
            assert_eq!(bits_of_action(action_of_bits(bits)), bits);
        }
        assert_eq!(bits_of_action(0.0), Bits::Two);
        assert_eq!(bits_of_action(1.0), Bits::Eight);
        assert_eq!(bits_of_action(1.0 / 3.0 - 1e-9), Bits::Two);
    }
}
