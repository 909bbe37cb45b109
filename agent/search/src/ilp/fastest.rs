//! The least ticks that any choice of bits within flash and RAM should take: what no latency limit can be below.

use super::network::{LayerChoice, NetworkPaths, Prices};
use crate::env::{Environment, LayerErrors};
use bitrack_model::Bits;

/// The fastest choice of bits on the board type that takes longest over its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Fastest {
    /// The board type.
    pub board_type: String,
    /// The choice of the least predicted ticks.
    pub bits: Vec<Bits>,
    /// Ticks predicted for it.
    pub ticks: f64,
    /// Ticks below which no choice stays, unless predictions are further off than they are known to be.
    pub least: f64,
}

/// The fastest choice within the environment's flash and RAM. `None` while too little was measured to predict all choices and to know how
/// far predictions may be off, and for networks that cannot be solved exactly.
///
/// RAM is met layer by layer only, so that what the figures say of a choice that the planner refuses is on the safe side too.
pub fn fastest(env: &Environment) -> Option<Fastest> {
    let paths = NetworkPaths::new(env, env.limits.ram_bytes).ok()?;
    let on = |board_type: &str| {
        let errors = env.latency.errors(board_type)?;
        let (bits, ticks) = least_ticks(env, &paths, board_type, LayerErrors { measured: 0.0, estimated: 0.0 })?;
        let (_, least) = least_ticks(env, &paths, board_type, errors)?;
        Some(Fastest { board_type: board_type.into(), bits, ticks, least })
    };
    env.latency.board_types().filter_map(on).max_by(|a, b| a.least.total_cmp(&b.least))
}

/// The choice of least ticks on a board type when every layer is as far below its prediction as `errors` say.
fn least_ticks(
    env: &Environment,
    paths: &NetworkPaths,
    board_type: &str,
    errors: LayerErrors,
) -> Option<(Vec<Bits>, f64)> {
    let ticks = |choice: &LayerChoice| {
        let layer = env.latency.layer(board_type, &choice.key)?;
        let error = if layer.exact { errors.measured } else { errors.estimated };
        Some(layer.ticks * (1.0 - error).max(0.0))
    };
    let known = paths.stages().iter().flatten().all(|choice| ticks(choice).is_some());
    let cost = |choice: &LayerChoice| ticks(choice).unwrap_or(0.0);
    let prices = Prices { flash_bytes: env.limits.flash_bytes, latency_ticks: None, cost: &cost };
    let path = known.then(|| paths.problem(env, &prices).solve(&[]).ok()).flatten()?;
    let overhead = env.latency.overhead(board_type) * (1.0 - errors.measured);
    Some((paths.bits(&path.arcs), overhead + path.cost))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{CostKey, Ran, toy};
    use proptest::prelude::*;

    const BOARD: &str = "toy";

    /// Ticks of a layer as real kernels take them: steps by weights and input, and a price per output.
    fn truth(key: &CostKey, seed: u64) -> f64 {
        let of =
            |what: u64, at: usize| 0.8 + 0.1 * ((seed / 7u64.pow(what as u32)) % 7) as f64 * (at as f64 - 1.0) / 3.0;
        let weights = key.bits.weights.map_or(1.0, |bits| of(0, bits.index()));
        let steps: f64 = key.geometry.bytes().map(f64::from).sum::<f64>() * 10.0;
        (steps * weights * of(1, key.bits.input.index()) + steps / 8.0 * of(2, key.bits.output.index())).round()
    }

    fn keys(env: &Environment, bits: &[Bits]) -> Vec<CostKey> {
        let (tensors, weights) = env.space.widths(bits);
        (0..weights.len()).map(|layer| env.latency.key(layer, &tensors, weights[layer])).collect()
    }

    fn total(env: &Environment, bits: &[Bits], seed: u64) -> f64 {
        keys(env, bits).iter().map(|key| truth(key, seed)).sum()
    }

    fn all(env: &Environment) -> impl Iterator<Item = Vec<Bits>> {
        let slots = env.space.len();
        let of = move |code: usize| (0..slots).map(|slot| Bits::ALL[code / 3usize.pow(slot as u32) % 3]).collect();
        (0..3usize.pow(slots as u32)).map(of)
    }

    /// An environment in which these choices were measured.
    fn informed(flash: u64, ram: u64, measured: &[Vec<Bits>], seed: u64) -> Environment {
        let least = toy::environment(None, None).costs.footprint(&[Bits::Two; 8]);
        let mut env = toy::environment(Some(least.flash_bytes + flash), Some(least.ram_bytes + ram));
        for bits in measured {
            let layers: Vec<u64> = keys(&env, bits).iter().map(|key| truth(key, seed) as u64).collect();
            env.latency.observe(&env.space.clone(), BOARD, Ran::picked(bits), &layers, layers.iter().sum());
        }
        env.latency.fit();
        env
    }

    fn truly_fastest(env: &Environment, seed: u64) -> f64 {
        let within = all(env).filter(|bits| env.costs.footprint(bits).within(&env.limits));
        within.map(|bits| total(env, &bits, seed)).min_by(f64::total_cmp).expect("2 bits everywhere fit")
    }

    #[test]
    fn nothing_is_said_before_every_layer_was_measured() {
        let mut env = toy::environment(None, None);
        assert_eq!(fastest(&env), None);
        let bits = env.space.uniform(Bits::Eight, Bits::Eight);
        let keys = keys(&env, &bits);
        keys[1..].iter().for_each(|key| env.latency.insert(BOARD, key.clone(), 1, 100.0));
        env.latency.fit();
        assert_eq!(fastest(&env), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10))]
        #[test]
        fn with_all_measured_the_fastest_choice_is_brute_forces(flash in 0u64..110, ram in 0u64..600, seed in 0u64..343) {
            let everything: Vec<Vec<Bits>> = all(&toy::environment(None, None)).collect();
            let env = informed(flash, ram, &everything, seed);
            let found = fastest(&env).expect("everything is known");
            prop_assert!((found.ticks - truly_fastest(&env, seed)).abs() < 1e-6, "{found:?}");
            prop_assert!((found.least - 0.98 * found.ticks).abs() < 1e-6, "{found:?}");
            prop_assert!(env.costs.footprint(&found.bits).within(&env.limits));
        }

        #[test]
        fn what_is_possible_is_never_below_the_least(flash in 0u64..110, ram in 0u64..600, seed in 0u64..343) {
            // The uniform baselines and one more, as every campaign begins.
            let uniform = |bits| toy::environment(None, None).space.uniform(bits, bits);
            let mut measured: Vec<Vec<Bits>> = Bits::ALL.map(uniform).to_vec();
            measured.push(toy::environment(None, None).space.uniform(Bits::Four, Bits::Eight));
            let env = informed(flash, ram, &measured, seed);
            let (found, true_least) = (fastest(&env).expect("all kinds are known"), truly_fastest(&env, seed));
            prop_assert!(found.least <= true_least, "{found:?}, {true_least}");
            prop_assert!(found.least <= found.ticks);
        }
    }
}
