//! The projection onto the hard limits: whatever is proposed, what runs fits.
//!
//! HAQ lowers every layer in turn, last to first, by one bit. Here widths are halved, and the tensor is chosen for what it
//! saves, so that no small tensor is sacrificed without need.

use super::{Costs, Environment, Limits, Space};
use bitrack_model::Bits;

/// One limit that cannot be met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortfall {
    /// `flash` or `RAM`.
    pub what: &'static str,
    /// Bytes needed with 2 bits everywhere.
    pub minimum: u64,
    /// Bytes allowed.
    pub limit: u64,
}

/// Limits below what 2 bits everywhere need: no search can help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the limits cannot be met even with 2 bits everywhere: {}", list(.0))]
pub struct InfeasibleLimits(pub Vec<Shortfall>);

fn list(shortfalls: &[Shortfall]) -> String {
    let line = |s: &Shortfall| format!("{} needs at least {} bytes but the limit is {}", s.what, s.minimum, s.limit);
    shortfalls.iter().map(line).collect::<Vec<_>>().join("; ")
}

pub(super) fn check_minimum(space: &Space, costs: &dyn Costs, limits: &Limits) -> Result<(), InfeasibleLimits> {
    let minimum = costs.footprint(&vec![Bits::Two; space.len()]);
    let check = |what, minimum, limit: Option<u64>| {
        limit.filter(|&limit| minimum > limit).map(|limit| Shortfall { what, minimum, limit })
    };
    let shortfalls =
        [check("flash", minimum.flash_bytes, limits.flash_bytes), check("RAM", minimum.ram_bytes, limits.ram_bytes)];
    let shortfalls: Vec<Shortfall> = shortfalls.into_iter().flatten().collect();
    if shortfalls.is_empty() { Ok(()) } else { Err(InfeasibleLimits(shortfalls)) }
}

/// Halves widths of `asked` until flash and RAM are within `limits`; limits must be possible.
///
/// RAM first, because only activations decide it: while it is too much, the activation whose halving lowers the peak most
/// is halved (the largest tensor when none does alone). Then flash: while it is too much, the tensor whose halving
/// saves the most bytes. Later slots win ties.
pub fn project(space: &Space, costs: &dyn Costs, limits: &Limits, asked: &[Bits]) -> Vec<Bits> {
    project_around(space, costs, limits, asked, &[])
}

/// As [`project`], but the tensors `kept` are narrowed only when nothing else helps.
pub(super) fn project_around(
    space: &Space,
    costs: &dyn Costs,
    limits: &Limits,
    asked: &[Bits],
    kept: &[usize],
) -> Vec<Bits> {
    let mut bits = asked.to_vec();
    let ram = |bits: &[Bits]| costs.ram_bytes(bits);
    let flash = |bits: &[Bits]| costs.flash_bytes(bits);
    let is_free = |slot: usize| !kept.contains(&slot);
    let is_weights = |slot: usize| space.slots()[slot].is_weights();
    narrow(space, &mut bits, limits.ram_bytes, ram, |slot| !is_weights(slot) && is_free(slot));
    narrow(space, &mut bits, limits.ram_bytes, ram, |slot| !is_weights(slot));
    narrow(space, &mut bits, limits.flash_bytes, flash, |slot| is_weights(slot) && is_free(slot));
    narrow(space, &mut bits, limits.flash_bytes, flash, is_weights);
    bits
}

fn narrow(
    space: &Space,
    bits: &mut [Bits],
    limit: Option<u64>,
    cost: impl Fn(&[Bits]) -> u64,
    may_narrow: impl Fn(usize) -> bool,
) {
    let Some(limit) = limit else { return };
    while cost(bits) > limit {
        let halved = |slot: usize| {
            let narrower = bits[slot].narrower()?;
            let mut trial = bits.to_vec();
            trial[slot] = narrower;
            Some((cost(&trial), u64::MAX - space.slots()[slot].bytes(bits[slot]), slot, narrower))
        };
        let candidates = (0..bits.len()).rev().filter(|&slot| may_narrow(slot)).filter_map(halved);
        let Some((_, _, slot, narrower)) = candidates.min_by_key(|&(cost, size, _, _)| (cost, size)) else { return };
        bits[slot] = narrower;
    }
}

/// Changes single widths of `bits`, which meet flash and RAM, until the predicted latency is at most `limit` ticks.
///
/// Each time it is the change that is enough and costs the fewest bits, or, while none is enough, the one that saves most per
/// bit of width lost. Narrower is not always faster, so that tensors may be widened too. What cannot be helped is left as
/// it is: the measurement decides.
pub(super) fn hasten(env: &Environment, mut bits: Vec<Bits>, limit: f64) -> Vec<Bits> {
    for _ in 0..bits.len() {
        let Some(now) = env.predict(&bits).map(|prediction| prediction.ticks).filter(|&ticks| ticks > limit) else {
            return bits;
        };
        let Some((slot, width)) = fastest_change(env, &bits, now, limit) else { return bits };
        bits[slot] = width;
    }
    bits
}

fn fastest_change(env: &Environment, bits: &[Bits], now: f64, limit: f64) -> Option<(usize, Bits)> {
    let mut best: Option<((bool, f64), (usize, Bits))> = None;
    for slot in 0..bits.len() {
        for width in Bits::ALL.into_iter().filter(|&width| width != bits[slot]) {
            let mut trial = bits.to_vec();
            trial[slot] = width;
            let ticks = env.predict(&trial).map_or(f64::INFINITY, |prediction| prediction.ticks);
            if ticks >= now || !env.costs.fit(&trial, &env.limits) {
                continue;
            }
            // A widened tensor loses nothing; half a bit keeps it from being preferred whatever it brings.
            let lost = (f64::from(bits[slot].get()) - f64::from(width.get())).max(0.5);
            let merit = if ticks <= limit { (true, -lost) } else { (false, (now - ticks) / lost) };
            if best.is_none_or(|(old, _)| merit > old) {
                best = Some((merit, (slot, width)));
            }
        }
    }
    best.map(|(_, change)| change)
}

#[cfg(test)]
mod tests {
    use super::super::toy;
    use super::*;
    use crate::candidate::geometry;
    use crate::env::{CostKey, Footprint, LayerBits};
    use proptest::prelude::*;

    fn minimum() -> Footprint {
        let space = Space::new(&toy::graph());
        toy::ToyCosts(space.clone()).footprint(&vec![Bits::Two; space.len()])
    }

    #[test]
    fn impossible_limits_are_told_with_each_minimum() {
        let space = Space::new(&toy::graph());
        let limits = Limits { flash_bytes: Some(1), ram_bytes: Some(2), latency_ticks: None };
        let costs = Box::new(toy::ToyCosts(space.clone()));
        let error = Environment::new(space, costs, limits, Box::new(toy::ToyJudge), Box::new(toy::ToyTraining), [])
            .expect_err("impossible");
        let Footprint { flash_bytes, ram_bytes } = minimum();
        assert_eq!(
            error.to_string(),
            format!(
                "the limits cannot be met even with 2 bits everywhere: flash needs at least {flash_bytes} bytes but the \
                 limit is 1; RAM needs at least {ram_bytes} bytes but the limit is 2"
            )
        );
    }

    #[test]
    fn what_fits_is_left_alone() {
        let env = toy::environment(None, None);
        let bits = env.space.uniform(Bits::Four, Bits::Eight);
        assert_eq!(env.project(&bits), bits);
    }

    /// What every layer of the toy takes at all bits is known, and is `ticks` of its index and bits.
    fn informed(flash: Option<u64>, ticks: impl Fn(usize, LayerBits) -> u64) -> Environment {
        let (mut env, graph) = (toy::environment(flash, None), toy::graph());
        let tensors = vec![Bits::Eight; graph.tensors.len()];
        for (index, layer) in graph.layers.iter().enumerate() {
            let geometry = geometry(&graph, layer, &tensors);
            let weights: Vec<Option<Bits>> = match graph.weight_shape(layer) {
                Some(_) => Bits::ALL.map(Some).to_vec(),
                None => vec![None],
            };
            for (weights, input, output) in widths_with(&weights) {
                let bits = LayerBits { weights, input, output };
                let key = CostKey { geometry: geometry.clone(), variant: None, bits };
                env.latency.insert("toy", key, 1, ticks(index, bits) as f64);
            }
        }
        env.latency.fit();
        env
    }

    /// All combinations of these weights' widths with the widths of input and output.
    fn widths_with(weights: &[Option<Bits>]) -> Vec<(Option<Bits>, Bits, Bits)> {
        let with = |weights: Option<Bits>| {
            Bits::ALL.into_iter().flat_map(move |input| Bits::ALL.map(|output| (weights, input, output)))
        };
        weights.iter().copied().flat_map(with).collect()
    }

    fn ticks(env: &Environment, bits: &[Bits]) -> f64 {
        env.predict(bits).expect("everything is known").ticks
    }

    /// Slots in which two choices differ, with the width of the second.
    fn changes(before: &[Bits], after: &[Bits]) -> Vec<(usize, Bits)> {
        let pairs = before.iter().zip(after).enumerate();
        pairs.filter(|(_, (a, b))| a != b).map(|(slot, (_, &width))| (slot, width)).collect()
    }

    /// Halving weights saves 10 ticks, quartering them 40.
    fn by_weights(_: usize, bits: LayerBits) -> u64 {
        100 - bits.weights.map_or(0, |weights| [40, 10, 0][weights.index()])
    }

    #[test]
    fn what_is_fast_enough_or_unknown_is_not_hastened() {
        let env = informed(None, by_weights);
        let bits = env.space.uniform(Bits::Eight, Bits::Four);
        assert_eq!(hasten(&env, bits.clone(), ticks(&env, &bits)), bits);
        let ignorant = toy::environment(None, None);
        assert_eq!(hasten(&ignorant, bits.clone(), 1.0), bits);
    }

    #[test]
    fn the_change_that_is_enough_and_costs_the_fewest_bits_is_taken() {
        let env = informed(None, by_weights);
        let bits = env.space.uniform(Bits::Eight, Bits::Eight);
        let all = ticks(&env, &bits);
        assert_eq!(changes(&bits, &hasten(&env, bits.clone(), all - 10.0)), [(0, Bits::Four)]);
        // Four halvings would do as well; one quartering costs six bits.
        assert_eq!(changes(&bits, &hasten(&env, bits.clone(), all - 30.0)), [(0, Bits::Two)]);
    }

    #[test]
    fn while_no_change_is_enough_what_saves_most_per_bit_goes_first() {
        // The second layer's weights save most by far, the others little.
        let env = informed(None, |layer, bits| {
            by_weights(layer, bits) + if layer == 1 { 9 * by_weights(layer, bits) } else { 0 }
        });
        let bits = env.space.uniform(Bits::Eight, Bits::Eight);
        let all = ticks(&env, &bits);
        // 400 of the second layer and 10 of another: 4 bits at 10 ticks beat 6 bits at 40.
        let hastened = hasten(&env, bits.clone(), all - 410.0);
        assert_eq!(changes(&bits, &hastened), [(0, Bits::Four), (2, Bits::Two)]);
    }

    #[test]
    fn narrower_is_not_always_faster_and_flash_is_never_exceeded() {
        let slow_at_two = |_: usize, bits: LayerBits| 100 + 20 * u64::from(bits.weights == Some(Bits::Two));
        let env = informed(None, slow_at_two);
        let bits = env.space.uniform(Bits::Two, Bits::Eight);
        let limit = ticks(&env, &bits) - 20.0;
        assert_eq!(changes(&bits, &hasten(&env, bits.clone(), limit)), [(0, Bits::Four)], "wider, and fast enough");
        let tight = informed(Some(minimum().flash_bytes), slow_at_two);
        assert_eq!(hasten(&tight, bits.clone(), limit), bits, "what cannot be helped is left as it is");
    }

    proptest! {
        #[test]
        fn whatever_is_asked_what_runs_fits_and_is_never_wider(
            asked in prop::collection::vec(prop::sample::select(Bits::ALL.to_vec()), 8),
            flash in 0u64..110,
            ram in 0u64..600,
        ) {
            let least = minimum();
            let env = toy::environment(Some(least.flash_bytes + flash), Some(least.ram_bytes + ram));
            let bits = env.project(&asked);
            prop_assert!(env.costs.footprint(&bits).within(&env.limits));
            prop_assert!(bits.iter().zip(&asked).all(|(ran, asked)| ran <= asked));
            // Projecting again changes nothing.
            prop_assert_eq!(env.project(&bits), bits);
        }

        #[test]
        fn what_is_hastened_is_never_slower_and_still_fits(
            asked in prop::collection::vec(prop::sample::select(Bits::ALL.to_vec()), 8),
            seed in 0u64..1000,
            percent in 50u64..120,
            flash in 0u64..110,
        ) {
            // Any layer may take any time at any bits.
            let any = |layer: usize, bits: LayerBits| {
                let widths = [bits.weights.map_or(0, Bits::get), bits.input.get(), bits.output.get()];
                let mixed = widths.iter().fold(seed + layer as u64, |sum, &width| {
                    (sum + u64::from(width) + 1).wrapping_mul(6_364_136_223_846_793_005).rotate_left(17)
                });
                100 + mixed % 100
            };
            let env = informed(Some(minimum().flash_bytes + flash), any);
            let bits = project(&env.space, env.costs.as_ref(), &env.limits, &asked);
            let before = ticks(&env, &bits);
            let limit = before * percent as f64 / 100.0;
            let hastened = hasten(&env, bits.clone(), limit);
            let after = ticks(&env, &hastened);
            prop_assert!(env.costs.footprint(&hastened).within(&env.limits));
            prop_assert!(after <= before);
            prop_assert!(before > limit || hastened == bits);
            // Either it is fast enough, or as many changes were made as there are tensors, or no single one would help.
            let stuck = fastest_change(&env, &hastened, after, limit).is_none();
            prop_assert!(after <= limit || stuck || changes(&bits, &hastened).len() > 1);
        }
    }
}
