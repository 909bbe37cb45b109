//! The replay memory: a ring of transitions.

use crate::env::{STATE_LEN, State};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// One decision and what came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transition {
    /// What the agent saw.
    pub state: State,
    /// The action that ran, in [0, 1].
    pub action: f32,
    /// The episode's reward.
    pub reward: f32,
    /// What the agent saw next; of no meaning after the last decision.
    pub next: State,
    /// Whether this was the episode's last decision.
    pub terminal: bool,
}

impl Transition {
    /// Numbers per transition when saved.
    pub const LEN: usize = 2 * STATE_LEN + 3;

    fn floats(&self) -> impl Iterator<Item = f32> {
        let ends = [self.action, self.reward, f32::from(u8::from(self.terminal))];
        self.state.into_iter().chain(self.next).chain(ends)
    }

    fn restore(floats: &[f32; Self::LEN]) -> Self {
        let state = |from: usize| std::array::from_fn(|i| floats[from + i]);
        let [action, reward, terminal] = [0, 1, 2].map(|i| floats[2 * STATE_LEN + i]);
        Self { state: state(0), next: state(STATE_LEN), action, reward, terminal: terminal != 0.0 }
    }
}

/// A ring buffer; the oldest transition makes room for the newest.
#[derive(Debug, Default)]
pub struct Replay {
    transitions: Vec<Transition>,
    /// Where the next one goes once the ring is full.
    oldest: usize,
    capacity: usize,
}

impl Replay {
    /// Sets the number of transitions kept; only before the first is dropped.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity.max(self.transitions.len());
    }

    /// Adds one.
    pub fn push(&mut self, transition: Transition) {
        if self.transitions.len() < self.capacity {
            self.transitions.push(transition);
        } else if let Some(slot) = self.transitions.get_mut(self.oldest) {
            *slot = transition;
            self.oldest = (self.oldest + 1) % self.capacity;
        }
    }

    /// Transitions held.
    pub fn len(&self) -> usize {
        self.transitions.len()
    }

    /// Position of the oldest once the ring is full.
    pub fn oldest(&self) -> usize {
        self.oldest
    }

    /// Transitions that fit.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// `count` transitions at random, with repetition; the memory must not be empty.
    pub fn sample(&self, count: usize, rng: &mut ChaCha8Rng) -> Vec<Transition> {
        (0..count).map(|_| self.transitions[rng.random_range(0..self.transitions.len())]).collect()
    }

    /// Everything as numbers, in the order of the ring's places.
    pub fn floats(&self) -> impl Iterator<Item = f32> + '_ {
        self.transitions.iter().flat_map(Transition::floats)
    }

    /// The inverse of [`Replay::floats`].
    pub fn restore(floats: &[f32], oldest: usize, capacity: usize) -> Self {
        let transitions = floats.as_chunks::<{ Transition::LEN }>().0.iter().map(Transition::restore).collect();
        Self { transitions, oldest, capacity }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transition(action: f32) -> Transition {
        Transition { state: [0.1; STATE_LEN], action, reward: -1.5, next: [0.2; STATE_LEN], terminal: action > 3.0 }
    }

    #[test]
    fn the_oldest_makes_room_and_a_restored_ring_continues() {
        let mut replay = Replay::default();
        replay.set_capacity(3);
        (0..5).for_each(|i| replay.push(transition(i as f32)));
        let actions: Vec<f32> = replay.transitions.iter().map(|t| t.action).collect();
        assert_eq!(actions, [3.0, 4.0, 2.0]);
        let floats: Vec<f32> = replay.floats().collect();
        let mut restored = Replay::restore(&floats, replay.oldest(), replay.capacity());
        replay.push(transition(9.0));
        restored.push(transition(9.0));
        assert_eq!(restored.transitions, replay.transitions);
        assert_eq!(replay.transitions[2].action, 9.0);
    }
}
