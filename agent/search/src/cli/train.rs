//! `hil-agent train`.

use anyhow::{Context, bail};
use bitrack_search::data::{DataSpec, Splits};
use bitrack_search::train::{self, Recipe, Trained};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Train the demonstration network: a small depthwise-separable CNN in float32.
///
/// The result is written with its batch normalization folded, beside a small FILE.json with the accuracies. When FILE
/// was made from the same data with the same recipe, nothing is done.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Data set: `fashion-mnist`, `npz:FILE`, `npz:TRAIN,TEST` or a folder
    #[arg(long, default_value = "fashion-mnist")]
    data: String,
    /// Where the network goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// At most this long; the schedule is compressed when the machine is too slow for it
    #[arg(long, default_value_t = Recipe::default().limit.as_secs())]
    seconds: u64,
    /// All passes however long they take, so that the same comes out on a busy machine
    #[arg(long, conflicts_with = "seconds")]
    complete: bool,
    /// Fail when fewer percent of the test samples than this are classified correctly
    #[arg(long, value_name = "PERCENT")]
    at_least: Option<f64>,
    /// Passes over the training split
    #[arg(long, default_value_t = Recipe::default().epochs)]
    epochs: usize,
    /// Seed of the initial weights, the order of samples and the flips
    #[arg(long, default_value_t = Recipe::default().seed)]
    seed: u64,
    /// Train even if FILE is up to date
    #[arg(long)]
    force: bool,
}

/// What is kept beside the network, so that a later call can tell whether it is still the right one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    digest: String,
    model_id: String,
    validation_accuracy: f64,
    test_accuracy: f64,
    seconds: f64,
    /// Steps done, and those of all passes: fewer when time ran out.
    steps: usize,
    planned_steps: usize,
}

/// Trains unless the result is there.
///
/// # Errors
/// Unreadable data, a diverging run, or a file that cannot be written.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let splits = args.data.parse::<DataSpec>()?.load(None)?;
    let limit = if args.complete { Duration::MAX } else { Duration::from_secs(args.seconds) };
    let recipe = Recipe { seed: args.seed, epochs: args.epochs, limit, ..Recipe::default() };
    let digest = recipe.digest(&splits.train.0);
    let record = match (args.force, up_to_date(&args.out, &digest)) {
        (false, Some(record)) => {
            println!("{} is up to date: same data, same recipe", args.out.display());
            record
        }
        _ => train_and_save(args, &recipe, &splits, digest)?,
    };
    let percent = 100.0 * record.test_accuracy;
    println!("test top-1 {percent:.2} % ({} samples), trained in {:.0} s", splits.test.0.len(), record.seconds);
    if let Some(warning) = record.cut_short() {
        eprintln!("warning: {warning}");
    }
    if let Some(least) = args.at_least.filter(|&least| percent < least) {
        bail!(
            "{} classifies {percent:.2} % of the test samples, less than the {least} % asked for",
            args.out.display()
        );
    }
    Ok(())
}

impl Record {
    /// What to know about a network that time ran out for.
    fn cut_short(&self) -> Option<String> {
        (self.steps < self.planned_steps).then(|| {
            format!(
                "time ran out after {} of {} steps ({:.0} %), on a schedule compressed to fit: the network reaches {:.2} % on the \
                 test samples, and would reach more; --complete takes the time it needs",
                self.steps,
                self.planned_steps,
                100.0 * self.steps as f64 / self.planned_steps as f64,
                100.0 * self.test_accuracy
            )
        })
    }
}

fn record_path(out: &Path) -> PathBuf {
    let mut path = out.as_os_str().to_owned();
    path.push(".json");
    path.into()
}

/// The record of a network that is there, unharmed, and was made in exactly this way.
fn up_to_date(out: &Path, digest: &str) -> Option<Record> {
    let record: Record = serde_json::from_slice(&std::fs::read(record_path(out)).ok()?).ok()?;
    let model = bitrack_model::FloatModel::load(out).ok()?;
    (record.digest == digest && record.model_id == format!("{:016x}", model.id())).then_some(record)
}

fn train_and_save(args: &Args, recipe: &Recipe, splits: &Splits, digest: String) -> anyhow::Result<Record> {
    let (train, validation) = (splits.train.0.len(), splits.validation.0.len());
    println!("training on {train} samples, {validation} held out for validation, {} for the test", splits.test.0.len());
    let bar = progress_bar()?;
    let trained = train::train(recipe, splits, &bar)?;
    bar.finish_and_clear();
    save(args, splits, &trained, digest).with_context(|| format!("cannot write {}", args.out.display()))
}

fn save(args: &Args, splits: &Splits, trained: &Trained, digest: String) -> anyhow::Result<Record> {
    let name = args.out.file_stem().map_or_else(|| "network".into(), |stem| stem.to_string_lossy());
    let model = train::export(&trained.network, &name, splits.train.0.shape())?;
    if let Some(folder) = args.out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let record = Record {
        digest,
        model_id: format!("{:016x}", model.id()),
        validation_accuracy: trained.validation_accuracy,
        test_accuracy: trained.test_accuracy,
        seconds: trained.seconds,
        steps: trained.steps,
        planned_steps: trained.planned_steps,
    };
    model.save(&args.out)?;
    std::fs::write(record_path(&args.out), serde_json::to_vec_pretty(&record)?)?;
    Ok(record)
}

fn progress_bar() -> anyhow::Result<ProgressBar> {
    let style = "training {bar:30} {pos}/{len} steps, {msg}, {elapsed} elapsed, {eta} to go";
    Ok(ProgressBar::new(1).with_style(ProgressStyle::with_template(style)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_that_time_ran_out_for_says_so_and_what_it_reaches() {
        let record = |steps| Record {
            digest: String::new(),
            model_id: String::new(),
            validation_accuracy: 0.84,
            test_accuracy: 0.8301,
            seconds: 285.0,
            steps,
            planned_steps: 2580,
        };
        assert_eq!(record(2580).cut_short(), None);
        let warning = record(1290).cut_short().expect("half of the steps");
        assert!(warning.starts_with("time ran out after 1290 of 2580 steps (50 %)"), "{warning}");
        assert!(warning.contains("83.01 %") && warning.contains("--complete"), "{warning}");
    }
}
