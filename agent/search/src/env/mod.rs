//! The environment a strategy acts in: the tensors whose bits it chooses, what each choice costs, the hard limits,
//! and the reward.

mod costs;
mod judge;
mod latency;
mod projection;
mod reward;
mod space;
mod state;
mod training;

pub use costs::{Costs, Footprint, Limits};
pub use judge::{Judge, JudgeError, Sensitivity};
pub use latency::{CostKey, LatencyModel, LayerBits, LayerErrors, Prediction, Ran, SavedCost};
pub use projection::{InfeasibleLimits, Shortfall, project};
pub use reward::{Measured, Objective, REWARD_PER_POINT, reward};
pub use space::{Slot, SlotKind, Space};
pub use state::{STATE_LEN, State, StateTable};
pub use training::{SharedWeights, Training, TrainingError};

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
    /// Latency of any choice, as far as measurements tell; it knows more with every one.
    pub latency: LatencyModel,
    /// Says how much a choice disturbs the network, without a board.
    pub judge: Box<dyn Judge>,
    /// Trains weights for all choices at once.
    pub training: Box<dyn Training>,
}

impl Environment {
    /// An environment whose limits can be met, in which nothing was measured yet. `board_types` are those that it will be
    /// measured on.
    ///
    /// # Errors
    /// [`InfeasibleLimits`] when even 2 bits everywhere are too much.
    pub fn new(
        space: Space,
        costs: Box<dyn Costs>,
        limits: Limits,
        judge: Box<dyn Judge>,
        training: Box<dyn Training>,
        board_types: impl IntoIterator<Item = String>,
    ) -> Result<Self, InfeasibleLimits> {
        projection::check_minimum(&space, costs.as_ref(), &limits)?;
        let (states, latency) = (StateTable::new(&space), LatencyModel::new(&space, board_types));
        Ok(Self { space, states, costs, limits, latency, judge, training })
    }

    /// A choice near `asked` within the limits: flash and RAM are met by narrowing tensors only; a latency limit, if
    /// predictions say anything, by changing single widths.
    pub fn project(&self, asked: &[Bits]) -> Vec<Bits> {
        let bits = project(&self.space, self.costs.as_ref(), &self.limits, asked);
        match self.limits.latency_ticks {
            Some(limit) => projection::hasten(self, bits, limit as f64),
            None => bits,
        }
    }

    /// As [`Environment::project`], but for flash and RAM the tensors `kept` are narrowed only when nothing else helps.
    pub fn project_around(&self, asked: &[Bits], kept: &[usize]) -> Vec<Bits> {
        let bits = projection::project_around(&self.space, self.costs.as_ref(), &self.limits, asked, kept);
        self.project(&bits)
    }

    /// Predicted ticks of one inference; `None` while too little was measured.
    pub fn predict(&self, bits: &[Bits]) -> Option<Prediction> {
        self.latency.predict(&self.space, Ran::picked(bits))
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
