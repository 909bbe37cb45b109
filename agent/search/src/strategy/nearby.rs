//! What lies near a choice of bits, and what a search begins with: moves that several strategies make.

use crate::env::Environment;
use crate::strategy::rule_based_bits;
use bitrack_model::Bits;
use std::collections::HashSet;

/// The nine uniform choices, widest first, and the rule-based one, each within the limits and none twice.
pub fn first_choices(env: &Environment) -> Vec<Vec<Bits>> {
    let widths = || Bits::ALL.into_iter().rev();
    let pairs = widths().flat_map(|weights| widths().map(move |activations| (weights, activations)));
    let uniform = pairs.map(|(weights, activations)| env.project(&env.space.uniform(weights, activations)));
    // Where the rule finds nothing the others begin alone.
    let mut choices: Vec<Vec<Bits>> = uniform.chain(rule_based_bits(env).ok()).collect();
    let mut seen = HashSet::new();
    choices.retain(|bits| seen.insert(bits.clone()));
    choices
}

/// Every choice within the limits that changes one tensor of `center`; and where that would exceed a limit, those that make room for
/// it by narrowing one other tensor, or, when no single one is enough, as the projection does.
///
/// In a fixed order, none twice, and never `center` itself.
pub fn neighbours(env: &Environment, center: &[Bits]) -> Vec<Vec<Bits>> {
    let mut found = Vec::new();
    for slot in 0..center.len() {
        for width in Bits::ALL.into_iter().filter(|&width| width != center[slot]) {
            let mut moved = center.to_vec();
            moved[slot] = width;
            found.extend(with_room(env, moved, slot));
        }
    }
    let mut seen = HashSet::from([center.to_vec()]);
    found.retain(|bits| seen.insert(bits.clone()));
    found
}

/// `bits` if they fit, else ways to make them fit that leave `slot` alone.
fn with_room(env: &Environment, bits: Vec<Bits>, slot: usize) -> Vec<Vec<Bits>> {
    let fits = |bits: &[Bits]| env.costs.fit(bits, &env.limits);
    if fits(&bits) {
        return vec![bits];
    }
    let kind = env.space.slots()[slot].is_weights();
    let others = (0..bits.len()).filter(|&other| other != slot && env.space.slots()[other].is_weights() == kind);
    let swaps: Vec<Vec<Bits>> = others.filter_map(|other| narrowed_enough(&bits, other, fits)).collect();
    if swaps.is_empty() { vec![env.project_around(&bits, &[slot])] } else { swaps }
}

/// With one tensor as narrow as it takes; `None` when even 2 bits are too wide.
fn narrowed_enough(bits: &[Bits], slot: usize, fits: impl Fn(&[Bits]) -> bool) -> Option<Vec<Bits>> {
    let mut bits = bits.to_vec();
    while let Some(narrower) = bits[slot].narrower() {
        bits[slot] = narrower;
        if fits(&bits) {
            return Some(bits);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::toy;

    #[test]
    fn without_limits_every_single_change_is_near() {
        let env = toy::environment(None, None);
        let center = env.space.uniform(Bits::Four, Bits::Eight);
        let near = neighbours(&env, &center);
        assert_eq!(near.len(), 2 * center.len());
        let changed = |bits: &Vec<Bits>| bits.iter().zip(&center).filter(|(a, b)| a != b).count();
        assert!(near.iter().all(|bits| changed(bits) == 1));
    }

    #[test]
    fn at_a_limit_another_tensor_makes_room() {
        let wide = toy::environment(None, None);
        let center = wide.space.uniform(Bits::Four, Bits::Four);
        let used = wide.costs.footprint(&center);
        let env = toy::environment(Some(used.flash_bytes), Some(used.ram_bytes));
        let near = neighbours(&env, &center);
        assert!(near.iter().all(|bits| env.costs.footprint(bits).within(&env.limits)));
        // The first layer's 36 weights at 8 bits take 18 bytes more; the other layers of 32 and 24 weights give 8 and 6
        // each when halved: two must, and the projection says which.
        let widened: Vec<_> = near.iter().filter(|bits| bits[0] == Bits::Eight).collect();
        assert!(!widened.is_empty(), "a move past the limit is not undone but made possible");
        assert!(near.iter().all(|bits| *bits != center));
        let distinct: HashSet<_> = near.iter().collect();
        assert_eq!(distinct.len(), near.len());
    }

    #[test]
    fn a_search_begins_with_what_the_limits_leave_of_the_uniform_choices() {
        let all = first_choices(&toy::environment(None, None));
        assert_eq!(all.len(), 9, "the rule chooses 8 bits everywhere when there is room");
        let env = toy::environment(Some(70), Some(300));
        let few = first_choices(&env);
        assert!(few.len() <= 10 && few.iter().all(|bits| env.costs.footprint(bits).within(&env.limits)));
        assert!(few.contains(&rule_based_bits(&env).expect("feasible")));
    }
}
