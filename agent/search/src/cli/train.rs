//! `hil-agent train`.

use anyhow::Context;
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
}

/// Trains unless the result is there.
///
/// # Errors
/// Unreadable data, a diverging run, or a file that cannot be written.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let splits = args.data.parse::<DataSpec>()?.load(None)?;
    let limit = Duration::from_secs(args.seconds);
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
    Ok(())
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
    };
    model.save(&args.out)?;
    std::fs::write(record_path(&args.out), serde_json::to_vec_pretty(&record)?)?;
    Ok(record)
}

fn progress_bar() -> anyhow::Result<ProgressBar> {
    let style = "training {bar:30} {pos}/{len} steps, {msg}, {elapsed} elapsed, {eta} to go";
    Ok(ProgressBar::new(1).with_style(ProgressStyle::with_template(style)?))
}
