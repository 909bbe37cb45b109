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
    let mut bits = asked.to_vec();
    let ram = |bits: &[Bits]| costs.footprint(bits).ram_bytes;
    let flash = |bits: &[Bits]| costs.footprint(bits).flash_bytes;
    narrow(space, &mut bits, limits.ram_bytes, ram, |slot| !space.slots()[slot].is_weights());
    narrow(space, &mut bits, limits.flash_bytes, flash, |slot| space.slots()[slot].is_weights());
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
            if ticks >= now || !env.costs.footprint(&trial).within(&env.limits) {
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
    use crate::env::Footprint;
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
    }
}
