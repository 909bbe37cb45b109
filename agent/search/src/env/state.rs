//! What a strategy sees when it decides one tensor: HAQ's ten features, without HAQ's mistakes.

use super::Space;
use super::space::is_depthwise;
use bitrack_model::Bits;

/// Features per decision.
pub const STATE_LEN: usize = 10;
/// Features that describe the layer; the rest describe the decision.
const LAYER_FEATURES: usize = 8;

/// The features: depthwise flag, input channels, output channels, stride, kernel size, values in the tensor's
/// layer's weights, input height times width, layer index (each scaled to [0, 1] over the network), the previous
/// decision's bits / 8, and 1 for weights, 0 for activations.
pub type State = [f32; STATE_LEN];

/// The features of every slot, apart from the previous decision.
#[derive(Debug, Clone)]
pub struct StateTable(Vec<State>);

impl StateTable {
    /// Computes and scales the features of a network.
    pub fn new(space: &Space) -> Self {
        let mut rows: Vec<State> = (0..space.len()).map(|slot| raw(space, slot)).collect();
        for column in 0..LAYER_FEATURES {
            let low = rows.iter().map(|row| row[column]).fold(f32::INFINITY, f32::min);
            let high = rows.iter().map(|row| row[column]).fold(f32::NEG_INFINITY, f32::max);
            let range = if high > low { high - low } else { 1.0 };
            rows.iter_mut().for_each(|row| row[column] = (row[column] - low) / range);
        }
        Self(rows)
    }

    /// The state in which `slot` is decided. `previous` is the decision before it in the same episode; the first one of
    /// an episode sees 8 bits, and nothing of the episode before.
    pub fn state(&self, slot: usize, previous: Option<Bits>) -> State {
        let mut state = self.0[slot];
        state[LAYER_FEATURES] = f32::from(previous.unwrap_or(Bits::Eight).get()) / 8.0;
        state
    }

    /// The states of a whole episode in which these bits were decided.
    pub fn episode(&self, bits: &[Bits]) -> Vec<State> {
        (0..bits.len()).map(|slot| self.state(slot, slot.checked_sub(1).map(|previous| bits[previous]))).collect()
    }
}

fn raw(space: &Space, slot: usize) -> State {
    let slot = &space.slots()[slot];
    let graph = space.graph();
    let layer = &graph.layers[slot.layer];
    let (input, output) = (graph.input_shape(layer), graph.shape(layer.output));
    let (stride, kernel) = layer.op.window().map_or((0, 1), |window| (window.stride[0], window.kernel[0]));
    let weights = graph.weight_shape(layer).map_or(0, |shape| shape.elements());
    [
        f32::from(u8::from(is_depthwise(&layer.op))),
        input.c as f32,
        output.c as f32,
        stride as f32,
        kernel as f32,
        weights as f32,
        (input.h * input.w) as f32,
        slot.layer as f32,
        0.0,
        f32::from(u8::from(slot.is_weights())),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::toy;
    use super::*;

    #[test]
    fn features_are_scaled_and_the_kinds_told_apart() {
        let space = Space::new(&toy::graph());
        let states = StateTable::new(&space).episode(&vec![Bits::Two; space.len()]);
        assert!(states.iter().flatten().all(|value| (0.0..=1.0).contains(value)));
        for (slot, state) in space.slots().iter().zip(&states) {
            assert_eq!(state[9] == 1.0, slot.is_weights());
            assert_eq!(state[0] == 1.0, slot.name.starts_with("depthwise"));
        }
    }

    #[test]
    fn an_episode_knows_nothing_of_the_one_before() {
        let space = Space::new(&toy::graph());
        let table = StateTable::new(&space);
        let wide = table.episode(&vec![Bits::Eight; space.len()]);
        let narrow = table.episode(&vec![Bits::Two; space.len()]);
        assert_eq!(wide[0], narrow[0]);
        assert_ne!(wide[1], narrow[1]);
    }
}
