//! The host as a judge: how far a candidate's outputs are from those of 8 bits everywhere.

use super::{Builder, CandidateError};
use crate::env::{Judge, JudgeError};
use bitrack_model::graph::Op;
use bitrack_model::{Bits, Dataset, HostImage, evaluate};
use std::sync::{Arc, OnceLock};

/// Probabilities below this are rounding: half a step of an 8-bit softmax.
const LEAST: f64 = 0.5 / 256.0;

/// Judges on training samples with the integer kernels, so that rewards stay unseen.
#[derive(Debug)]
pub struct HostJudge {
    builder: Arc<Builder>,
    data: Dataset,
    /// Probabilities with 8 bits everywhere, per sample.
    reference: OnceLock<Vec<Vec<f64>>>,
}

impl HostJudge {
    /// A judge on up to `samples` training samples.
    pub fn new(builder: Arc<Builder>, samples: usize) -> Self {
        let data = builder.splits().train.0.first(samples);
        Self { builder, data, reference: OnceLock::new() }
    }

    /// Probabilities of the classes, per sample.
    fn outputs(&self, bits: &[Bits]) -> Result<Vec<Vec<f64>>, CandidateError> {
        let space = self.builder.space();
        let candidate = self.builder.build(&space.policy(bits))?;
        let scale = f64::from(HostImage::new(&candidate.image)?.output_quant().scale);
        let is_softmax = space.graph().layers.last().is_some_and(|layer| matches!(layer.op, Op::Softmax { .. }));
        let of = |codes: &Vec<u8>| {
            let values = codes.iter().map(|&code| f64::from(code) * scale);
            if is_softmax { values.map(|p| p.max(LEAST)).collect() } else { softmax(values.collect()) }
        };
        Ok(evaluate(&candidate.image, &self.data)?.outputs.iter().map(of).collect())
    }
}

impl Judge for HostJudge {
    fn divergence(&self, bits: &[Bits]) -> Result<f64, JudgeError> {
        let told = |error: CandidateError| JudgeError(error.to_string());
        let reference = match self.reference.get() {
            Some(reference) => reference,
            None => {
                let space = self.builder.space();
                let outputs = self.outputs(&space.uniform(Bits::Eight, Bits::Eight)).map_err(told)?;
                self.reference.get_or_init(|| outputs)
            }
        };
        let outputs = self.outputs(bits).map_err(told)?;
        let sum: f64 = reference.iter().zip(&outputs).map(|(p, q)| kullback_leibler(p, q)).sum();
        Ok(sum / outputs.len().max(1) as f64)
    }
}

/// In nats, of distributions that need not quite add up to 1.
fn kullback_leibler(p: &[f64], q: &[f64]) -> f64 {
    let (all_p, all_q): (f64, f64) = (p.iter().sum(), q.iter().sum());
    p.iter().zip(q).map(|(p, q)| p / all_p * ((p / all_p) / (q / all_q)).ln()).sum()
}

fn softmax(logits: Vec<f64>) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let raised: Vec<f64> = logits.into_iter().map(|logit| (logit - highest).exp()).collect();
    let sum: f64 = raised.iter().sum();
    raised.into_iter().map(|value| (value / sum).max(LEAST)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidate::{Preparation, Source};
    use crate::data::{Splits, Test, Train, Validation};
    use crate::env::toy;
    use bitrack_model::{FloatModel, FloatWeights, Samples, Split};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn only_equal_distributions_do_not_diverge() {
        let (p, q) = (softmax(vec![1.0, 2.0, 3.0]), softmax(vec![3.0, 2.0, 1.0]));
        assert!(kullback_leibler(&p, &p).abs() < 1e-12);
        assert!(kullback_leibler(&p, &q) > 0.1);
        // Half and half against one to three: 0.5 ln 2 + 0.5 ln (2 / 3).
        let known = kullback_leibler(&[0.5, 0.5], &[0.25, 0.75]);
        assert!((known - 0.143_841_036).abs() < 1e-8, "{known}");
    }

    const CLASSES: usize = 3;

    /// The toy network with random weights, and a softmax at its end if asked for.
    fn network(with_softmax: bool) -> FloatModel {
        let mut graph = toy::graph();
        if with_softmax {
            let (last, shape) = (graph.output, graph.shape(graph.output));
            graph.push(Op::Softmax { beta: 1.0 }, vec![last], shape);
        }
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut random = |n: usize| (0..n).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<f32>>();
        let weights = graph.layers.iter().map(|layer| {
            let shape = graph.weight_shape(layer)?;
            Some(FloatWeights { values: random(shape.elements()), bias: random(shape.out) })
        });
        let weights = weights.collect();
        FloatModel::new(graph, weights).expect("consistent")
    }

    fn samples(split: Split, seed: u64, count: usize) -> Dataset {
        let (graph, mut rng) = (toy::graph(), ChaCha8Rng::seed_from_u64(seed));
        let shape = graph.shape(graph.input);
        let values = (0..count * shape.elements()).map(|_| rng.random_range(0.0..1.0)).collect();
        let labels = (0..count).map(|i| (i % CLASSES) as u16).collect();
        Dataset::new(split, shape, Samples::F32(values), labels).expect("fits")
    }

    /// A judge on the first `count` of 12 training samples; `seen` and `unseen` are the seeds of those and of all others.
    fn judge(with_softmax: bool, count: usize, seen: u64, unseen: u64) -> HostJudge {
        let splits = Splits {
            train: Train(samples(Split::Train, seen, 12)),
            validation: Validation(samples(Split::Validation, unseen, 6)),
            test: Test(samples(Split::Test, unseen, 6)),
        };
        let source = Source::new(network(with_softmax), splits).expect("they fit");
        HostJudge::new(Arc::new(source.prepare(&Preparation::default()).expect("calibrates")), count)
    }

    fn divergence(judge: &HostJudge, weights: Bits, activations: Bits) -> f64 {
        judge.divergence(&judge.builder.space().uniform(weights, activations)).expect("judged")
    }

    #[test]
    fn eight_bits_do_not_diverge_from_themselves_and_fewer_do() {
        let judge = judge(false, 12, 1, 2);
        assert_eq!(divergence(&judge, Bits::Eight, Bits::Eight), 0.0);
        let (four, two) = (divergence(&judge, Bits::Four, Bits::Four), divergence(&judge, Bits::Two, Bits::Two));
        assert!(0.0 < four && four < two, "{four} {two}");
    }

    #[test]
    fn only_the_first_training_samples_are_seen() {
        let of = |count, seen, unseen| divergence(&judge(false, count, seen, unseen), Bits::Two, Bits::Four);
        assert_eq!(of(12, 1, 2), of(12, 1, 3), "neither validation nor test samples count");
        assert_ne!(of(12, 1, 2), of(12, 4, 2));
        assert_ne!(of(12, 1, 2), of(5, 1, 2));
        assert_eq!(of(12, 1, 2), of(100, 1, 2), "there are no more");
    }

    #[test]
    fn logits_and_the_probabilities_made_of_them_diverge_alike() {
        let [logits, probabilities] =
            [false, true].map(|softmax| divergence(&judge(softmax, 12, 1, 2), Bits::Two, Bits::Two));
        assert!((logits / probabilities - 1.0).abs() < 0.1, "{logits} {probabilities}");
    }
}
