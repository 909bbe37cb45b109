//! `random`: every tensor's bits at random. With the projection, what every learner has to beat.

use super::{Blob, Outcome, Proposal, RngState, Strategy, StrategyError};
use crate::env::Environment;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Independent uniform choices.
#[derive(Debug)]
pub struct Random {
    rng: ChaCha8Rng,
}

impl Random {
    /// Reproducible from its seed.
    pub fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed) }
    }
}

impl Strategy for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn propose(&mut self, env: &Environment) -> Result<Option<Proposal>, StrategyError> {
        Proposal::walk(env, |_| Ok(self.rng.random())).map(Some)
    }

    fn observe(&mut self, _: &Environment, _: &Outcome) -> Result<(), StrategyError> {
        Ok(())
    }

    fn save(&self) -> Result<Blob, StrategyError> {
        Ok(Blob::new(self.name(), &RngState::of(&self.rng), &[]))
    }

    fn load(&mut self, blob: &Blob) -> Result<(), StrategyError> {
        self.rng = blob.header::<RngState>(self.name())?.rng();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::toy;
    use bitrack_model::Bits;

    #[test]
    fn all_widths_occur_and_a_restored_one_continues() {
        let env = toy::environment(None, None);
        let mut random = Random::new(3);
        let proposals: Vec<_> = (0..20).map(|_| random.propose(&env).expect("never fails").expect("endless")).collect();
        for bits in Bits::ALL {
            assert!(proposals.iter().any(|proposal| proposal.asked.contains(&bits)));
        }
        let mut restored = Random::new(0);
        restored.load(&random.save().expect("saves")).expect("loads");
        assert_eq!(restored.propose(&env).expect("proposes"), random.propose(&env).expect("proposes"));
    }
}
