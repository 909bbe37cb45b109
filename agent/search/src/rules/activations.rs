//! Cutting activations until every operator fits the RAM.

use super::Infeasible;
use bitrack_model::Bits;

/// One operator as the rule sees it: what it reads, what it writes, and what both cost at each width.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutLayer {
    /// Slot of the input tensor; `None` when its 8 bits are fixed.
    pub input: Option<usize>,
    /// Slot of the output tensor; `None` when its 8 bits are fixed.
    pub output: Option<usize>,
    /// Bytes of the input at 2, 4 and 8 bits.
    pub input_bytes: [u64; 3],
    /// Bytes of the output at 2, 4 and 8 bits.
    pub output_bytes: [u64; 3],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Input,
    Output,
}

impl CutLayer {
    /// Bytes of input and output together.
    pub fn bytes(&self, bits: &[Bits]) -> u64 {
        self.side(Side::Input, bits).1 + self.side(Side::Output, bits).1
    }

    /// Width and bytes of one side.
    fn side(&self, side: Side, bits: &[Bits]) -> (Bits, u64) {
        let (slot, table) = match side {
            Side::Input => (self.input, &self.input_bytes),
            Side::Output => (self.output, &self.output_bytes),
        };
        let width = slot.map_or(Bits::Eight, |slot| bits[slot]);
        (width, table[width.index()])
    }

    /// The side to cut: more bits, then more bytes, then the output; a fixed side is never cut.
    fn choose(&self, bits: &[Bits]) -> Option<(Side, usize)> {
        let input = self.input.map(|slot| (Side::Input, slot));
        let output = self.output.map(|slot| (Side::Output, slot));
        match (input, output) {
            (Some(_), Some(_)) if self.side(Side::Input, bits) > self.side(Side::Output, bits) => input,
            (_, Some(_)) => output,
            _ => input,
        }
    }
}

/// Bits of the activation slots such that every layer's input and output together take at most `ram` bytes.
///
/// Sweeps alternate: a forward one cuts outputs only, a backward one inputs only, and an operator whose turn it is not is
/// left for the next sweep.
///
/// # Errors
/// [`Infeasible::Ram`] at once when an operator does not fit at 2 bits. (The authors' code loops forever then.)
pub fn cut_activations(layers: &[CutLayer], slots: usize, ram: u64) -> Result<Vec<Bits>, Infeasible> {
    check_minimum(layers, slots, ram)?;
    let mut bits = vec![Bits::Eight; slots];
    while layers.iter().any(|layer| layer.bytes(&bits) > ram) {
        layers.iter().for_each(|layer| cut(layer, Side::Output, &mut bits, ram));
        layers.iter().rev().for_each(|layer| cut(layer, Side::Input, &mut bits, ram));
    }
    Ok(bits)
}

fn check_minimum(layers: &[CutLayer], slots: usize, ram: u64) -> Result<(), Infeasible> {
    let narrowest = vec![Bits::Two; slots];
    let worst = layers.iter().map(|layer| layer.bytes(&narrowest)).enumerate().max_by_key(|&(_, bytes)| bytes);
    match worst {
        Some((layer, minimum)) if minimum > ram => Err(Infeasible::Ram { layer, minimum, limit: ram }),
        _ => Ok(()),
    }
}

/// Halves the widths of one operator's `side` for as long as the rule picks that side.
fn cut(layer: &CutLayer, side: Side, bits: &mut [Bits], ram: u64) {
    while layer.bytes(bits) > ram {
        let Some((chosen, slot)) = layer.choose(bits) else { return };
        let Some(narrower) = bits[slot].narrower().filter(|_| chosen == side) else { return };
        bits[slot] = narrower;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chain(elements: &[u64]) -> Vec<CutLayer> {
        let bytes = |n: u64| Bits::ALL.map(|bits| (n * u64::from(bits.get())).div_ceil(8));
        let last = elements.len() - 2;
        (0..=last)
            .map(|i| CutLayer {
                input: i.checked_sub(1),
                output: (i < last).then_some(i),
                input_bytes: bytes(elements[i]),
                output_bytes: bytes(elements[i + 1]),
            })
            .collect()
    }

    #[test]
    fn nothing_is_cut_without_need() {
        assert_eq!(cut_activations(&chain(&[100, 200, 100]), 1, 300), Ok(vec![Bits::Eight]));
    }

    #[test]
    fn the_worst_operator_and_its_minimum_are_told() {
        let error = cut_activations(&chain(&[100, 200, 400, 10]), 2, 149).expect_err("too small");
        assert_eq!(error, Infeasible::Ram { layer: 1, minimum: 150, limit: 149 });
    }

    proptest! {
        #[test]
        fn a_feasible_limit_is_met_and_an_impossible_one_refused(
            elements in prop::collection::vec(1u64..1000, 3..12),
            ram in 1u64..2000,
        ) {
            let layers = chain(&elements);
            let slots = elements.len() - 2;
            let possible = layers.iter().all(|layer| layer.bytes(&vec![Bits::Two; slots]) <= ram);
            match cut_activations(&layers, slots, ram) {
                Ok(bits) => prop_assert!(layers.iter().all(|layer| layer.bytes(&bits) <= ram)),
                Err(_) => prop_assert!(!possible),
            }
        }
    }
}
