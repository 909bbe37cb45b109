//! Estimates of layers that were never measured at the bits asked for.

use super::CostKey;
use crate::linear::Gaussian;
use bitrack_model::{Bits, Variant};
use std::collections::{BTreeMap, HashMap};

/// Features of a layer, each a share of its expected ticks.
const FEATURES: usize = 22;
/// How far a measured layer may lie from the fit, as a share of its ticks.
const FIT_DEVIATION: f64 = 0.02;
/// Parts that measured layers are divided into, to see how well each is estimated from the others.
const PARTS: usize = 8;

/// An operator and the variant of its kernel.
type Kind = (String, Option<Variant>);

/// What is learned about layers in general.
#[derive(Debug, Clone, Default)]
pub struct Estimator {
    /// Per kind: coefficients of [`features`].
    fits: BTreeMap<Kind, Vec<f64>>,
    /// Per geometry without bits, and variant: what was measured.
    known: HashMap<Kind, Vec<(CostKey, f64)>>,
}

/// What a geometry's text says, in numbers.
struct Work {
    inputs: f64,
    outputs: f64,
    /// Multiplications, additions or comparisons.
    steps: f64,
}

impl Estimator {
    /// Learns from measured layers, in any order.
    pub fn fit<'a>(rows: impl Iterator<Item = (&'a CostKey, f64)>) -> Self {
        let mut rows: Vec<(&CostKey, f64)> = rows.collect();
        rows.sort_by(|a, b| a.0.cmp(b.0));
        let mut by_kind: BTreeMap<Kind, Vec<(&CostKey, f64)>> = BTreeMap::new();
        let mut known: HashMap<Kind, Vec<(CostKey, f64)>> = HashMap::new();
        for (key, ticks) in rows {
            by_kind.entry((operator(&key.geometry).into(), key.variant)).or_default().push((key, ticks));
            known.entry((place(&key.geometry).into(), key.variant)).or_default().push((key.clone(), ticks));
        }
        Self { fits: by_kind.into_iter().map(|(kind, rows)| (kind, coefficients(&rows))).collect(), known }
    }

    /// How far estimates of these layers are off when each part of them is estimated from the others: the sum of what they are off, as a
    /// share of their ticks. `None` while there are too few layers to say so.
    pub fn error(rows: &[(&CostKey, f64)]) -> Option<f64> {
        if rows.len() < PARTS {
            return None;
        }
        let off = |part: usize| {
            let (mine, others): (Vec<_>, Vec<_>) = rows.iter().enumerate().partition(|(i, _)| i % PARTS == part);
            let estimator = Self::fit(others.into_iter().map(|(_, &row)| row));
            let of = |(_, (key, ticks)): (usize, &(&CostKey, f64))| {
                estimator.estimate(key).map_or(*ticks, |estimate| (estimate - ticks).abs())
            };
            mine.into_iter().map(of).sum::<f64>()
        };
        let sum: f64 = rows.iter().map(|(_, ticks)| ticks).sum();
        Some((0..PARTS).map(off).sum::<f64>() / sum.max(1.0))
    }

    /// Whether nothing was learned.
    pub fn is_empty(&self) -> bool {
        self.fits.is_empty()
    }

    /// Ticks of a layer; `None` when no layer of its operator was measured.
    ///
    /// The output's width and the other widths cost independently of each other, so that three measurements of the same
    /// geometry at the corners of a parallelogram give the fourth. Otherwise it is the fit for the kind, corrected by how
    /// far that is off for the same geometry at the nearest bits.
    pub fn estimate(&self, key: &CostKey) -> Option<f64> {
        let fit = self.fitted(key)?;
        let Some(known) = self.known.get(&(place(&key.geometry).into(), key.variant)) else { return Some(fit) };
        if let Some(ticks) = parallelogram(known, key) {
            return Some(ticks);
        }
        let (mut off, mut weights) = (0.0, 0.0);
        for (other, ticks) in known {
            let weight = 16f64.powi(-(distance(other, key) as i32));
            off += weight * ticks / self.fitted(other)?;
            weights += weight;
        }
        Some(fit * off / weights)
    }

    fn fitted(&self, key: &CostKey) -> Option<f64> {
        let coefficients = self.coefficients(key)?;
        let work = Work::of(&key.geometry);
        let sum: f64 = features(key, &work).iter().zip(coefficients).map(|(f, c)| f * c).sum();
        // A fit from few rows may go astray; a layer never takes less than a tick for every sixteen steps.
        Some(sum.max(work.steps / 16.0).max(1.0))
    }

    /// Those of its kind; where nothing by this variant was measured, those of the operator's most special variant that was.
    fn coefficients(&self, key: &CostKey) -> Option<&Vec<f64>> {
        let name = operator(&key.geometry);
        let others = || self.fits.iter().rev().find(|((other, _), _)| other == name).map(|(_, fit)| fit);
        self.fits.get(&(name.into(), key.variant)).or_else(others)
    }
}

/// Widths that differ between two keys of one geometry.
fn distance(a: &CostKey, b: &CostKey) -> usize {
    let differs = [a.bits.weights != b.bits.weights, a.bits.input != b.bits.input, a.bits.output != b.bits.output];
    differs.into_iter().filter(|&differs| differs).count() + usize::from(a.geometry != b.geometry)
}

/// `ticks(w, i, o) = ticks(w, i, o') + ticks(w', i', o) - ticks(w', i', o')`, averaged over all such corners.
fn parallelogram(known: &[(CostKey, f64)], key: &CostKey) -> Option<f64> {
    let inner = |k: &CostKey| (k.geometry.clone(), k.bits.weights, k.bits.input);
    let find = |geometry: &(String, Option<Bits>, Bits), output: Bits| {
        known.iter().find(|(k, _)| inner(k) == *geometry && k.bits.output == output).map(|(_, ticks)| *ticks)
    };
    let mine = inner(key);
    let corner = |(other, with_output): &(CostKey, f64)| {
        let theirs = inner(other);
        if theirs == mine || other.bits.output != key.bits.output {
            return None;
        }
        let opposite = |output: &Bits| Some(find(&mine, *output)? + with_output - find(&theirs, *output)?);
        Bits::ALL.iter().filter(|&&output| output != key.bits.output).find_map(opposite)
    };
    let corners: Vec<f64> = known.iter().filter_map(corner).collect();
    (!corners.is_empty()).then(|| corners.iter().sum::<f64>() / corners.len() as f64)
}

/// Relative least squares: every row counts by how many percent it is off. What tells widths apart is held near zero, so
/// that few rows say something about the size of a layer before they say something about its bits.
fn coefficients(rows: &[(&CostKey, f64)]) -> Vec<f64> {
    let mut prior = [(0.0, 0.3); FEATURES];
    prior[..4].fill((1.0, 30.0));
    let mut gaussian = Gaussian::prior(&prior);
    for &(key, ticks) in rows {
        let scale = 1.0 / ticks.max(1.0);
        let features = features(key, &Work::of(&key.geometry)).map(|feature| feature * scale);
        gaussian.observe(&features, 1.0, FIT_DEVIATION);
    }
    gaussian.mean()
}

/// A constant, steps, inputs and outputs; then steps by the widths of weights and input together, inputs by input width and
/// outputs by output width.
fn features(key: &CostKey, work: &Work) -> [f64; FEATURES] {
    let mut features = [0.0; FEATURES];
    features[..4].copy_from_slice(&[100.0, work.steps, work.inputs, work.outputs]);
    let (input, output) = (key.bits.input.index(), key.bits.output.index());
    let weights = key.bits.weights.map_or(0, |bits| 1 + bits.index());
    features[4 + weights * 3 + input] = work.steps;
    features[16 + input] = work.inputs;
    features[19 + output] = work.outputs;
    features
}

/// The operator's name: the first word.
fn operator(geometry: &str) -> &str {
    geometry.split(' ').next().unwrap_or(geometry)
}

/// A geometry without the bits of a second input.
pub fn place(geometry: &str) -> &str {
    match geometry.rsplit_once(" b") {
        Some((place, bits)) if bits.parse::<u8>().is_ok() => place,
        _ => geometry,
    }
}

impl Work {
    fn of(geometry: &str) -> Self {
        let mut words = geometry.split(' ');
        let kind = words.next().unwrap_or_default();
        let (input, output) = words.next().and_then(|shapes| shapes.split_once("->")).unwrap_or(("", ""));
        let (input, output) = (product(input), product(output));
        let kernel = words.find_map(|word| word.strip_prefix('k')).map_or(1.0, |kernel| product(kernel).1);
        let steps = match kind {
            "conv2d" | "fully_connected" => output.1 * kernel * input.0,
            _ => output.1 * kernel,
        };
        Self { inputs: input.1, outputs: output.1, steps }
    }
}

/// The last factor and the product of `AxBxC`; what is no number counts as 1.
fn product(text: &str) -> (f64, f64) {
    let factors = text.split('x').map(|factor| factor.parse::<f64>().unwrap_or(1.0));
    factors.fold((1.0, 1.0), |(_, product), factor| (factor, product * factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_geometrys_text_says_how_much_work_it_is() {
        let work = Work::of("conv2d 25x5x64->25x5x32 k3x3 s1x1 p1,1,1,1");
        assert_eq!((work.inputs, work.outputs), (8000.0, 4000.0));
        assert_eq!(work.steps, 4000.0 * 9.0 * 64.0);
        assert_eq!(Work::of("depthwise 8x8x4->8x8x4 k3x3 s1x1 p1,1,1,1").steps, 256.0 * 9.0);
        assert_eq!(Work::of("fully_connected 1x1x64->1x1x12").steps, 768.0);
        assert_eq!(place("add 4x3x16->4x3x16 b4"), "add 4x3x16->4x3x16");
    }
}
