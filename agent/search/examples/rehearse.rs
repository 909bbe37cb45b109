//! Strategies compared without boards: accuracy with the integer kernels on this host, flash and RAM exactly, no latency limit.
//! Many seeds in the time that boards take for one.
//!
//! `cargo run --release --example rehearse -- --model NET --data DATA` prints, per strategy, the best reward after so many candidates,
//! and against how many of `random`'s searches with the same seed it wins. NET and DATA are as for `hil-agent evaluate`.

use anyhow::{Context, Result, anyhow};
use bitrack_model::Bits;
use bitrack_search::candidate::{Builder, HostJudge, HostTraining, Preparation, Source};
use bitrack_search::env::{Environment, Limits, Measured, reward};
use bitrack_search::strategy::{Known, Rehearsal, Settings, Warm, build, rehearse, rule_based_bits};
use clap::Parser;
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Parser)]
struct Args {
    #[arg(long)]
    model: PathBuf,
    #[arg(long)]
    data: String,
    /// Strategies; `A+B`: the first third of B's proposals from A
    #[arg(long, value_delimiter = ',', default_value = "random,evolution,reinforce,ddpg,ilp,ilp+ddpg")]
    strategies: Vec<String>,
    /// Each is searched with the seeds 1, 2, ...
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// Candidates per search
    #[arg(long, default_value_t = 100)]
    budget: usize,
    /// Percent of the 8-bit network's flash
    #[arg(long, default_value_t = 45.0)]
    flash: f64,
    /// Percent of the 8-bit network's RAM
    #[arg(long, default_value_t = 60.0)]
    ram: f64,
    /// Validation samples per candidate
    #[arg(long, default_value_t = 250)]
    samples: usize,
    /// File that remembers accuracies from one call to the next
    #[arg(long)]
    cache: Option<PathBuf>,
}

/// Accuracy of candidates, each evaluated once.
struct Host {
    builder: Arc<Builder>,
    samples: usize,
    accuracies: HashMap<String, f64>,
    file: Option<std::fs::File>,
}

impl Host {
    fn new(builder: Arc<Builder>, samples: usize, cache: Option<&Path>) -> Result<Self> {
        let mut accuracies = HashMap::new();
        if let Some(text) = cache.filter(|cache| cache.exists()).map(std::fs::read_to_string).transpose()? {
            let lines = text.lines().filter_map(|line| line.split_once(' '));
            accuracies.extend(lines.filter_map(|(key, value)| Some((key.to_owned(), value.parse().ok()?))));
        }
        let open = |path: &Path| std::fs::OpenOptions::new().create(true).append(true).open(path);
        Ok(Self { builder, samples, accuracies, file: cache.map(open).transpose()? })
    }

    fn accuracy(&mut self, bits: &[Bits]) -> Result<f64> {
        let key: String = bits.iter().map(|bits| bits.get().to_string()).collect();
        if let Some(&accuracy) = self.accuracies.get(&key) {
            return Ok(accuracy);
        }
        let candidate = self.builder.build(&self.builder.space().policy(bits))?;
        let accuracy = self.builder.validate(&candidate.image, self.samples)?.top1;
        if let Some(file) = &mut self.file {
            writeln!(file, "{key} {accuracy}")?;
        }
        self.accuracies.insert(key, accuracy);
        Ok(accuracy)
    }

    fn known(&mut self, bits: &[Bits], reference: f64) -> Result<Known> {
        // Something to tell candidates apart by: as many as there are bits to be multiplied.
        let ticks = Some(bits.iter().map(|bits| u64::from(bits.get())).sum());
        let measured = Measured { accuracy: self.accuracy(bits)?, ticks };
        Ok(Known { bits: bits.to_vec(), reward: reward(measured, reference, None), measured })
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    let builder = Arc::new(Source::load(&args.model, &args.data)?.prepare(&Preparation::default())?);
    let env = environment(&builder, &args)?;
    let mut host = Host::new(builder.clone(), args.samples, args.cache.as_deref())?;
    let eight = env.space.uniform(Bits::Eight, Bits::Eight);
    let reference = host.accuracy(&eight)?;
    let uniform = [Bits::Eight, Bits::Four, Bits::Two].map(|bits| env.space.uniform(bits, bits));
    let baselines: Vec<Vec<Bits>> = uniform.into_iter().chain([rule_based_bits(&env)?]).collect();
    let known = baselines.iter().map(|bits| host.known(bits, reference)).collect::<Result<_>>()?;
    println!("{} tensors, reference {:.1} %, limits {:?}", env.space.len(), 100.0 * reference, env.limits);
    let rehearsal = Rehearsal { budget: args.budget, in_flight: 2, known };
    let mut all: Vec<(String, Vec<Vec<f64>>)> = Vec::new();
    for name in &args.strategies {
        let search = |seed| {
            let mut strategy = strategy(name, seed, args.budget)?;
            let found = rehearse(&env, strategy.as_mut(), &rehearsal, |bits| host.known(bits, reference))?;
            Ok(found.iter().map(|known| known.reward).collect())
        };
        let found = (1..=args.seeds).map(search).collect::<Result<Vec<_>>>().with_context(|| name.clone())?;
        all.push((name.clone(), found));
        report(&all);
    }
    Ok(())
}

fn strategy(name: &str, seed: u64, budget: usize) -> Result<Box<dyn bitrack_search::strategy::Strategy>> {
    let of = |name: &str| build(name, seed, &Settings::for_budget(budget));
    Ok(match name.split_once('+') {
        Some((leader, learner)) => Box::new(Warm::new(of(leader)?, of(learner)?, budget * 3 / 10)),
        None => of(name)?,
    })
}

fn environment(builder: &Arc<Builder>, args: &Args) -> Result<Environment> {
    let (space, costs) = (builder.space(), Box::new(builder.costs()));
    let eight = bitrack_search::env::Costs::footprint(costs.as_ref(), &space.uniform(Bits::Eight, Bits::Eight));
    let share = |bytes: u64, percent: f64| Some((bytes as f64 * percent / 100.0).floor() as u64);
    let limits = Limits {
        flash_bytes: share(eight.flash_bytes, args.flash),
        ram_bytes: share(eight.ram_bytes, args.ram),
        latency_ticks: None,
    };
    let judge = Box::new(HostJudge::new(builder.clone(), 256));
    let training = Box::new(HostTraining(builder.clone()));
    Environment::new(space, costs, limits, judge, training, []).map_err(|error| anyhow!("{error}"))
}

/// The best of the first so many.
fn best(rewards: &[f64], count: usize) -> f64 {
    rewards.iter().take(count).copied().fold(f64::NEG_INFINITY, f64::max)
}

/// The last strategy's line: medians, then wins, ties and losses against `random` if that was searched before.
fn report(all: &[(String, Vec<Vec<f64>>)]) {
    let Some((name, searches)) = all.last() else { return };
    let mut line = format!("{name:<22}");
    for count in [10, 30, usize::MAX] {
        let mut values: Vec<f64> = searches.iter().map(|rewards| best(rewards, count)).collect();
        values.sort_by(f64::total_cmp);
        let (worst, median, top) = (values[0], values[values.len() / 2], values[values.len() - 1]);
        line += &format!("  {median:6.2} ({worst:5.2} to {top:5.2})");
    }
    let measured = searches.iter().map(Vec::len).min().unwrap_or(0);
    line += &format!("  at least {measured} measured");
    if let Some((_, random)) = all.iter().find(|(name, _)| name == "random") {
        let pairs =
            || searches.iter().zip(random).map(|(ours, theirs)| best(ours, usize::MAX) - best(theirs, usize::MAX));
        let count = |of: fn(f64) -> bool| pairs().filter(|&difference| of(difference)).count();
        let (wins, losses) = (count(|d| d > 1e-9), count(|d| d < -1e-9));
        line += &format!("; wins {wins}, ties {}, losses {losses}", searches.len() - wins - losses);
        let lost = pairs().enumerate().filter(|(_, difference)| *difference < -1e-9);
        lost.for_each(|(at, difference)| line += &format!(", seed {} by {:.2}", at + 1, -difference));
    }
    println!("{line}");
}
