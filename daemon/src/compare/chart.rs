//! What is drawn, before it is known with what: series, domains and round axis labels.

use crate::types::Comparison;

/// Best feasible reward against measurements.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    pub series: Vec<Series>,
    /// Measurements, from 1 on.
    pub last: u32,
    /// Rewards at the lower and upper edge.
    pub low: f64,
    pub high: f64,
}

/// One strategy: entry `n` is after `n + 1` measurements; `None` while the value in question has found nothing feasible.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub name: String,
    pub median: Vec<Option<f64>>,
    /// Lowest and highest of the seeds. A seed without anything feasible pulls the lowest below the chart.
    pub band: Vec<Option<(f64, f64)>>,
}

impl Chart {
    /// `None` while no strategy has found anything feasible.
    pub fn of(comparison: &Comparison) -> Option<Self> {
        let series: Vec<Series> = comparison.strategies.iter().map(series).collect();
        let last = series.iter().map(|s| s.median.len()).max()? as u32;
        let (low, high) = domain(&series, last)?;
        Some(Self { series, last, low, high })
    }

    /// Round rewards within the chart, and how many decimals tell them apart.
    pub fn labels(&self, wanted: u32) -> (Vec<f64>, usize) {
        let step = round_step((self.high - self.low) / f64::from(wanted));
        let first = (self.low / step).ceil() as i64;
        let labels = (first..).map(|n| n as f64 * step).take_while(|&y| y <= self.high + step * 1e-9);
        (labels.collect(), (-step.log10().floor()).max(0.0) as usize + usize::from(is_quarter(step)))
    }

    /// Round numbers of measurements.
    pub fn counts(&self, wanted: u32) -> Vec<u32> {
        let step = round_step(f64::from(self.last) / f64::from(wanted)).ceil().max(1.0) as u32;
        std::iter::once(1).chain((1..).map(|n| n * step).take_while(|&n| n <= self.last).filter(|&n| n > 1)).collect()
    }
}

fn series(strategy: &crate::types::ComparedStrategy) -> Series {
    let band = strategy.curve.iter().map(|after| {
        let high = after.reward.high?;
        Some((after.reward.low.unwrap_or(f64::NEG_INFINITY), high))
    });
    Series {
        name: strategy.name.clone(),
        median: strategy.curve.iter().map(|after| after.reward.median).collect(),
        band: band.collect(),
    }
}

/// All medians and ranges but those of the first tenth: the first feasible results of a search are often so poor that everything
/// after them would be one line.
fn domain(series: &[Series], last: u32) -> Option<(f64, f64)> {
    let skipped = (last / 10) as usize;
    let values = |skipped: usize| -> Vec<f64> {
        let bands = series.iter().flat_map(|s| s.band.iter().skip(skipped)).flatten();
        bands.flat_map(|&(low, high)| [low, high]).filter(|y| y.is_finite()).collect()
    };
    let mut used = values(skipped);
    if used.is_empty() {
        used = values(0);
    }
    let low = used.iter().copied().min_by(f64::total_cmp)?;
    let high = used.iter().copied().max_by(f64::total_cmp)?;
    let margin = if high > low { (high - low) * 0.05 } else { high.abs().max(1.0) * 0.05 };
    Some((low - margin, high + margin))
}

/// The next 1, 2, 2.5 or 5 times a power of ten.
fn round_step(raw: f64) -> f64 {
    let power = 10f64.powf(raw.log10().floor());
    let fits = [1.0, 2.0, 2.5, 5.0].into_iter().find(|factor| factor * power >= raw * 0.999);
    fits.unwrap_or(10.0) * power
}

fn is_quarter(step: f64) -> bool {
    let mantissa = step / 10f64.powf(step.log10().floor());
    (mantissa - 2.5).abs() < 1e-6
}
