//! A small network and a cost model for tests.

use super::{Costs, Environment, Judge, JudgeError, Limits, SharedWeights, Space, Training, TrainingError};
use crate::qat::FineTune;
use crate::strategy::Blob;
use bitrack_model::graph::{Activation, Graph, Op, Shape, TensorId, Window};
use bitrack_model::{Bits, QuantizedModel};

/// conv 3x3, depthwise 3x3, pointwise, average pool, fully connected.
pub fn graph() -> Graph {
    let mut graph = Graph::new("toy", Shape::new(8, 8, 1));
    let window = |kernel: usize| Window { kernel: [kernel; 2], stride: [1, 1], pad_before: [kernel / 2 % 4; 2] };
    let activation = Activation::Relu;
    let mut x = graph.push(Op::Conv2d { window: window(3), activation }, vec![TensorId(0)], Shape::new(8, 8, 4));
    x = graph.push(Op::DepthwiseConv2d { window: window(3), activation }, vec![x], Shape::new(8, 8, 4));
    x = graph.push(Op::Conv2d { window: window(1), activation }, vec![x], Shape::new(8, 8, 8));
    let whole = Window { kernel: [8, 8], stride: [1, 1], pad_before: [0, 0] };
    x = graph.push(Op::AveragePool { window: whole, activation: Activation::None }, vec![x], Shape::new(1, 1, 8));
    graph.push(Op::FullyConnected { activation: Activation::None }, vec![x], Shape::new(1, 1, 3));
    graph
}

/// Sums weight bytes; the peak is the largest input plus output of a layer.
#[derive(Debug)]
pub struct ToyCosts(pub Space);

impl Costs for ToyCosts {
    fn flash_bytes(&self, bits: &[Bits]) -> u64 {
        let weights = self.0.slots().iter().zip(bits).filter(|(slot, _)| slot.is_weights());
        weights.map(|(slot, &bits)| slot.bytes(bits)).sum()
    }

    fn ram_bytes(&self, bits: &[Bits]) -> u64 {
        self.layer_ram(bits).into_iter().max().unwrap_or(0)
    }

    fn layer_ram(&self, bits: &[Bits]) -> Vec<u64> {
        let graph = self.0.graph();
        let bytes = |id: TensorId| {
            let width = self.0.activation_slot(id).map_or(Bits::Eight, |slot| bits[slot]);
            (graph.shape(id).elements() as u64 * u64::from(width.get())).div_ceil(8)
        };
        graph.layers.iter().map(|l| bytes(l.inputs[0]) + bytes(l.output)).collect()
    }

    fn layer_scratch(&self, _: &[Bits]) -> Vec<u64> {
        vec![0; self.0.graph().layers.len()]
    }
}

/// An environment with limits in bytes.
pub fn environment(flash: Option<u64>, ram: Option<u64>) -> Environment {
    environment_of(&graph(), flash, ram)
}

/// An environment of another graph.
pub fn environment_of(graph: &Graph, flash: Option<u64>, ram: Option<u64>) -> Environment {
    let space = Space::new(graph);
    let limits = Limits { flash_bytes: flash, ram_bytes: ram, latency_ticks: None };
    let costs = Box::new(ToyCosts(space.clone()));
    Environment::new(space, costs, limits, Box::new(ToyJudge), Box::new(ToyTraining), ["toy".into()])
        .expect("limits above the minimum")
}

/// Every halving of a tensor disturbs the network more the earlier it stands.
#[derive(Debug)]
pub struct ToyJudge;

impl Judge for ToyJudge {
    fn divergence(&self, bits: &[Bits]) -> Result<f64, JudgeError> {
        let halvings = bits.iter().map(|&bits| 2 - bits.index());
        Ok(halvings.enumerate().map(|(slot, halvings)| (halvings * halvings) as f64 / (slot + 1) as f64).sum())
    }
}

/// Trains nothing: weights for all choices that lose what the judge says from the beginning.
#[derive(Debug)]
pub struct ToyTraining;

impl Training for ToyTraining {
    fn shared_weights(&self, _: &FineTune) -> Result<Box<dyn SharedWeights>, TrainingError> {
        Ok(Box::new(ToyShared(0)))
    }
}

#[derive(Debug)]
struct ToyShared(usize);

impl SharedWeights for ToyShared {
    fn steps(&self) -> usize {
        self.0
    }

    fn learn(&mut self, bits: &[Bits]) -> Result<f64, TrainingError> {
        self.0 += 1;
        ToyJudge.divergence(bits).map_err(|error| TrainingError(error.to_string()))
    }

    fn excess(&self, choices: &[Vec<Bits>]) -> Result<Vec<f64>, TrainingError> {
        choices.iter().map(|bits| ToyJudge.divergence(bits).map_err(|error| TrainingError(error.to_string()))).collect()
    }

    fn network(&self, _: &[Bits]) -> Result<QuantizedModel, TrainingError> {
        Err(TrainingError("the toy has no network".into()))
    }

    fn save(&self) -> Result<Blob, TrainingError> {
        Ok(Blob::new("toy", &self.0, &[]))
    }

    fn load(&mut self, blob: &Blob) -> Result<(), TrainingError> {
        self.0 = blob.header("toy").map_err(|error| TrainingError(error.to_string()))?;
        Ok(())
    }
}
