//! `uniform`: the nine combinations of one width for all weights and one for all activations.

use super::{Blob, Outcome, Proposal, Strategy, StrategyError};
use crate::env::Environment;
use bitrack_model::Bits;

/// Widest first; each combination is projected like any other proposal.
#[derive(Debug, Default)]
pub struct Uniform {
    next: usize,
}

impl Strategy for Uniform {
    fn name(&self) -> &'static str {
        "uniform"
    }

    fn propose(&mut self, env: &Environment) -> Result<Option<Proposal>, StrategyError> {
        let widths = || Bits::ALL.into_iter().rev();
        let pair = widths().flat_map(|weights| widths().map(move |activations| (weights, activations))).nth(self.next);
        self.next += 1;
        Ok(pair.map(|(weights, activations)| Proposal::of_bits(env, env.space.uniform(weights, activations))))
    }

    fn observe(&mut self, _: &Environment, _: &Outcome) -> Result<(), StrategyError> {
        Ok(())
    }

    fn save(&self) -> Result<Blob, StrategyError> {
        Ok(Blob::new(self.name(), &self.next, &[]))
    }

    fn load(&mut self, blob: &Blob) -> Result<(), StrategyError> {
        self.next = blob.header(self.name())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::toy;

    #[test]
    fn nine_combinations_and_then_nothing() {
        let env = toy::environment(None, None);
        let mut uniform = Uniform::default();
        let mut seen = Vec::new();
        while let Some(proposal) = uniform.propose(&env).expect("never fails") {
            assert!(!seen.contains(&proposal.asked));
            seen.push(proposal.asked);
        }
        assert_eq!(seen.len(), 9);
        assert_eq!(seen[0], env.space.uniform(Bits::Eight, Bits::Eight));
    }
}
