use super::*;
use crate::env::toy;
use proptest::prelude::*;

const BOARD: &str = "toy";

fn space() -> Space {
    Space::new(&toy::graph())
}

fn model() -> LatencyModel {
    LatencyModel::new(&space(), [BOARD.to_owned()])
}

/// A board whose kernels cost what real ones do: steps by weights and input, a price per input and per output.
fn truth(key: &CostKey) -> u64 {
    let inner =
        key.bits.weights.map_or(1.0, |bits| [1.3, 1.1, 1.0][bits.index()]) * [0.9, 1.05, 1.0][key.bits.input.index()];
    let steps: f64 = key.geometry.bytes().map(f64::from).sum::<f64>() * 10.0;
    (steps * inner + steps / 8.0 * [3.0, 2.0, 1.0][key.bits.output.index()]) as u64
}

fn measure(model: &mut LatencyModel, bits: &[Bits]) -> u64 {
    let layers: Vec<u64> = model.keys(&space(), Ran::picked(bits)).iter().map(truth).collect();
    let total = layers.iter().sum::<u64>() + 500;
    model.observe(&space(), BOARD, Ran::picked(bits), &layers, total);
    model.fit();
    total
}

#[test]
fn what_was_measured_is_exact_and_nothing_is_known_before() {
    let mut model = model();
    let bits = space().uniform(Bits::Four, Bits::Eight);
    assert_eq!(model.predict(&space(), Ran::picked(&bits)), None);
    let total = measure(&mut model, &bits);
    assert_eq!(model.predict(&space(), Ran::picked(&bits)), Some(Prediction { ticks: total as f64, exact: true }));
}

#[test]
fn a_fourth_corner_follows_from_three() {
    let mut model = model();
    let layer = |weights, output| {
        let mut tensors = vec![Bits::Eight; toy::graph().tensors.len()];
        tensors[3] = output;
        self::model().key(2, &tensors, Some(weights))
    };
    for (weights, output) in [(Bits::Eight, Bits::Eight), (Bits::Two, Bits::Eight), (Bits::Eight, Bits::Four)] {
        let key = layer(weights, output);
        model.insert(BOARD, key.clone(), 3, truth(&key) as f64);
    }
    model.fit();
    let key = layer(Bits::Two, Bits::Four);
    let predicted = model.layer(BOARD, &key).expect("its kind is known");
    assert!(!predicted.exact);
    assert!((predicted.ticks - truth(&key) as f64).abs() <= 2.0, "{predicted:?}, {}", truth(&key));
}

#[test]
fn another_board_types_measurements_are_not_mixed_in() {
    let mut model = model();
    let bits = space().uniform(Bits::Two, Bits::Two);
    model.observe(&space(), "other", Ran::picked(&bits), &[1; 5], 5);
    model.fit();
    assert_eq!(model.predict(&space(), Ran::picked(&bits)), None);
}

proptest! {
    #[test]
    fn a_few_measurements_predict_the_rest(
        candidates in prop::collection::vec(prop::collection::vec(prop::sample::select(Bits::ALL.to_vec()), 8), 30),
    ) {
        let mut model = model();
        candidates[1..].iter().for_each(|bits| assert!(measure(&mut model, bits) > 0));
        let predicted = model.predict(&space(), Ran::picked(&candidates[0])).expect("all kinds are known").ticks;
        let truth = model.keys(&space(), Ran::picked(&candidates[0])).iter().map(truth).sum::<u64>() as f64 + 500.0;
        prop_assert!((predicted / truth - 1.0).abs() < 0.1, "{predicted} {truth}");
    }

    #[test]
    fn a_restored_model_predicts_the_same_to_the_last_bit(
        candidates in prop::collection::vec(prop::collection::vec(prop::sample::select(Bits::ALL.to_vec()), 8), 1..6),
        asked in prop::collection::vec(prop::sample::select(Bits::ALL.to_vec()), 8),
    ) {
        let mut model = model();
        candidates.iter().for_each(|bits| assert!(measure(&mut model, bits) > 0));
        let saved = serde_json::to_string(&model.save()).expect("plain data");
        let mut restored = self::model();
        restored.restore(serde_json::from_str(&saved).expect("own text"));
        prop_assert_eq!(restored.predict(&space(), Ran::picked(&asked)), model.predict(&space(), Ran::picked(&asked)));
        prop_assert_eq!(restored.save(), model.save());
    }
}
