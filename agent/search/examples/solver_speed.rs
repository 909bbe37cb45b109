//! How long exact bit allocation takes: `cargo run --release --example solver_speed`, or `cargo xtask bench ilp`.
//!
//! Each line is one kind of problem: median and longest time of many, all solved to the proven optimum. *groups* are layers that share nothing,
//! as in published tables; *chain* is what a campaign solves, where a layer's choice includes its input's bits and every limit is a sum over
//! layers: flash, and the ticks of each board type. RAM only takes choices away, layer by layer, when arcs are made.

use bitrack_search::ilp::path::{Arc, PathProblem};
use bitrack_search::ilp::{Choice, IlpError, Problem};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::process::ExitCode;
use std::time::Instant;

const LAYERS: usize = 50;
/// Where limits lie between the least that any choice uses and the most.
const TIGHTNESS: [f64; 6] = [0.05, 0.1, 0.2, 0.35, 0.5, 0.8];
const SEEDS: u64 = 10;
/// What each width takes of 8 bits.
const SHARES: [f64; 3] = [0.25, 0.5, 1.0];

fn main() -> ExitCode {
    let mut longest: f64 = 0.0;
    for limits in [1, 2, 3, 5] {
        let solve = |tightness, seed| groups(limits, tightness, seed).solve().map(|solution| solution.cost);
        longest = longest.max(report(&format!("groups, {LAYERS} of 9 choices, {limits} limits"), solve));
    }
    for limits in [1, 2, 3] {
        let solve = |tightness, seed| chain(limits, tightness, seed).solve(&[]).map(|path| path.cost);
        longest = longest.max(report(&format!("chain, {LAYERS} layers of 27 choices, {limits} limits"), solve));
    }
    println!("the longest took {longest:.3} s");
    if longest < 1.0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One kind of problem at every tightness with every seed; the longest time in seconds.
fn report(name: &str, solve: impl Fn(f64, u64) -> Result<f64, IlpError>) -> f64 {
    let cases = TIGHTNESS.iter().flat_map(|&tightness| (1..=SEEDS).map(move |seed| (tightness, seed)));
    let (mut times, mut impossible) = (Vec::new(), 0);
    for (tightness, seed) in cases {
        let start = Instant::now();
        let found = solve(tightness, seed);
        times.push(start.elapsed().as_secs_f64());
        match found {
            Ok(_) => {}
            Err(IlpError::Conflict | IlpError::Infeasible { .. }) => impossible += 1,
            Err(error) => println!("{name}: tightness {tightness}, seed {seed}: {error}"),
        }
    }
    times.sort_by(f64::total_cmp);
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    println!(
        "{name:<44} {} problems: median {median:.3} s, longest {longest:.3} s; {impossible} impossible",
        times.len()
    );
    longest
}

/// A limit between the sum of the least and that of the most.
fn limit(least: f64, most: f64, tightness: f64) -> f64 {
    least + tightness * (most - least)
}

fn groups(resources: usize, tightness: f64, seed: u64) -> Problem {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut layer = |_| {
        let sizes: Vec<f64> = (0..resources).map(|_| rng.random_range(0.1..10.0)).collect();
        let loss: f64 = rng.random_range(0.01..1.0);
        let choice = |choice: usize| {
            let (weights, activations) = (SHARES[choice / 3], SHARES[choice % 3]);
            let shares = [weights, activations, (weights + activations) / 2.0, weights * activations, 0.3 + weights];
            let cost = loss * (1.0 / weights + 1.0 / activations - 2.0 + rng.random_range(0.0..0.3));
            Choice { cost, uses: sizes.iter().zip(shares).map(|(size, share)| size * share).collect() }
        };
        (0..9).map(choice).collect()
    };
    let groups: Vec<Vec<Choice>> = (0..LAYERS).map(&mut layer).collect();
    let sum = |resource: usize, of: fn(f64, f64) -> f64| -> f64 {
        groups.iter().map(|group| group.iter().map(|choice| choice.uses[resource]).reduce(of).unwrap_or(0.0)).sum()
    };
    let limits = (0..resources).map(|r| limit(sum(r, f64::min), sum(r, f64::max), tightness)).collect();
    Problem { groups, limits }
}

fn chain(resources: usize, tightness: f64, seed: u64) -> PathProblem {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut layer = |layer: usize| {
        let sizes: Vec<f64> = (0..resources).map(|_| rng.random_range(0.1..10.0)).collect();
        let losses: [f64; 2] = std::array::from_fn(|_| rng.random_range(0.01..1.0));
        let mut arc = |from: usize, choice: usize| {
            let (weights, to) = (choice / 3, choice % 3);
            let cost = losses[0] * (1.0 / SHARES[weights] - 1.0) + losses[1] * (1.0 / SHARES[to] - 1.0);
            // The first resource is flash, others are ticks of a board type.
            let ticks = 0.6 + 0.2 * (SHARES[weights] + SHARES[from] + SHARES[to]);
            let share = |resource: usize, noise: f64| if resource == 0 { SHARES[weights] } else { ticks + noise };
            let uses = sizes.iter().enumerate().map(|(r, size)| size * share(r, rng.random_range(0.0..0.1))).collect();
            Arc { from, to, cost, uses }
        };
        let inputs = if layer == 0 { 1 } else { 3 };
        (0..inputs)
            .flat_map(|from| (0..9).map(move |choice| (from, choice)))
            .map(|(from, choice)| arc(from, choice))
            .collect()
    };
    let stages: Vec<Vec<Arc>> = (0..LAYERS).map(&mut layer).collect();
    let sum = |resource: usize, of: fn(f64, f64) -> f64| -> f64 {
        stages.iter().map(|arcs| arcs.iter().map(|arc| arc.uses[resource]).reduce(of).unwrap_or(0.0)).sum()
    };
    let limits = (0..resources).map(|r| limit(sum(r, f64::min), sum(r, f64::max), tightness)).collect();
    PathProblem { stages, limits }
}
