//! Which variant of each layer was measured to be fastest.

use super::{CostKey, LatencyModel};
use bitrack_model::{Bits, Site, Variant, Variants};
use std::collections::HashMap;

/// What each variant of a layer takes, as a share of what its usual one takes, summed over board types.
type Shares = Vec<(Variant, f64)>;

impl LatencyModel {
    /// The fastest variant of every layer at all bits, by what was measured: at these bits if all of the layer's variants were on all board
    /// types, else over the bits at which all were. Layers of which there are none keep their usual variant, as do ties.
    pub fn fastest_variants(&self) -> Variants {
        let mut told = HashMap::new();
        for layer in 0..self.graph.layers.len() {
            for input in Bits::ALL {
                self.tell_fastest(layer, input, &mut told);
            }
        }
        Variants::told(told)
    }

    /// Variants that exist depend on the input's bits: only equal ones are compared.
    fn tell_fastest(&self, layer: usize, input: Bits, told: &mut HashMap<Site, Variant>) {
        let variants = Variants::of_layer(&self.graph, layer, input);
        let usual = Variants::usual(&self.graph, layer, input);
        if variants.len() < 2 {
            return;
        }
        let sites = Bits::ALL.into_iter().flat_map(|w| Bits::ALL.map(|output| (layer, [w, input, output])));
        let known: Vec<(Site, Option<Shares>)> = sites.map(|site| (site, self.shares(site, &variants))).collect();
        let over_all = sum(&variants, known.iter().filter_map(|(_, shares)| shares.as_ref()));
        for (site, shares) in &known {
            let fastest = shares.as_ref().or(over_all.as_ref()).and_then(least);
            told.extend(fastest.filter(|&variant| variant != usual).map(|variant| (*site, variant)));
        }
    }

    /// `None` unless every variant was measured on every board type.
    fn shares(&self, (layer, [weights, input, output]): Site, variants: &[Variant]) -> Option<Shares> {
        let op = &self.graph.layers[layer];
        let mut tensors = vec![Bits::Eight; self.graph.tensors.len()];
        (tensors[op.inputs[0].0], tensors[op.output.0]) = (input, output);
        let ticks = |board: &str, variant: Variant| {
            let key = CostKey::new(&self.graph, layer, &tensors, Some(weights), Some(variant));
            self.layer(board, &key).filter(|known| known.exact).map(|known| known.ticks)
        };
        let usual = Variants::usual(&self.graph, layer, input);
        let share = |variant: Variant| {
            let on = |board: &str| Some(ticks(board, variant)? / ticks(board, usual)?.max(1.0));
            Some((variant, self.boards.keys().map(String::as_str).map(on).sum::<Option<f64>>()?))
        };
        variants.iter().map(|&variant| share(variant)).collect()
    }
}

/// Of as many as there are; `None` when there are none.
fn sum<'a>(variants: &[Variant], all: impl Iterator<Item = &'a Shares>) -> Option<Shares> {
    let mut total: Option<Shares> = None;
    for shares in all {
        let total = total.get_or_insert_with(|| variants.iter().map(|&variant| (variant, 0.0)).collect());
        total.iter_mut().zip(shares).for_each(|((_, sum), (_, share))| *sum += share);
    }
    total
}

/// The last of the least: the usual variant is the last.
fn least(shares: &Shares) -> Option<Variant> {
    shares.iter().rev().min_by(|a, b| a.1.total_cmp(&b.1)).map(|(variant, _)| *variant)
}
