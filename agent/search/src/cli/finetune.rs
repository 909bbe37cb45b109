//! `hil-agent finetune`.

use super::source::CandidateArgs;
use anyhow::Context;
use bitrack_search::candidate::CandidateError;
use bitrack_search::qat::{FineTune, QatError, Recipe, Told, Watch};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};

/// Fine-tune one candidate on its training samples and write its flash image.
///
/// Starts from what post-training quantization makes of the policy and learns weights, biases and step sizes, with the float
/// network as teacher. The same seed and number of steps give the same image. A run that was interrupted goes on from
/// FILE.checkpoint when it is started again with the same arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    candidate: CandidateArgs,
    /// Where the image goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Batches to learn from
    #[arg(long, conflicts_with = "seconds")]
    steps: Option<usize>,
    /// Instead of steps: how long to learn
    #[arg(long, required_unless_present = "steps")]
    seconds: Option<f64>,
    /// In which order things are rounded
    #[arg(long, value_enum, default_value_t = FineTune::default().recipe)]
    recipe: Recipe,
    /// Samples per step
    #[arg(long, default_value_t = FineTune::default().batch)]
    batch: usize,
    /// Highest learning rate; it falls to zero along a cosine [default: 0.002, with any 2-bit weights 0.001]
    #[arg(long)]
    learning_rate: Option<f64>,
    /// Share of the loss that the float network teaches, 0 to 1
    #[arg(long, default_value_t = FineTune::default().distill)]
    distill: f64,
    /// Temperature of the teacher
    #[arg(long, default_value_t = FineTune::default().temperature)]
    temperature: f64,
    /// Rows that samples are moved by at random, at most
    #[arg(long, default_value_t = FineTune::default().shift)]
    shift: usize,
    /// Bits of the optimizer's moments: 32, or 8 (block-wise)
    #[arg(long, default_value_t = FineTune::default().moment_bits)]
    moment_bits: u8,
    /// Seed of the order of samples and their shifts
    #[arg(long, default_value_t = FineTune::default().seed)]
    seed: u64,
    /// Judge the result on the test samples as well: look once, at the end
    #[arg(long)]
    test: bool,
}

impl Args {
    fn options(&self) -> FineTune {
        FineTune {
            recipe: self.recipe,
            steps: self.steps,
            seconds: self.seconds,
            batch: self.batch,
            learning_rate: self.learning_rate,
            distill: self.distill,
            temperature: self.temperature,
            shift: self.shift,
            moment_bits: self.moment_bits,
            seed: self.seed,
        }
    }
}

/// Fine-tunes, writes, and says what it was worth.
///
/// # Errors
/// Unusable input, a diverging run, or a file that cannot be written.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let options = args.options();
    options.check()?;
    let (builder, policy) = args.candidate.load()?;
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let before = builder.validate(&builder.build(&policy)?.image, usize::MAX)?;
    println!("quantized:  validation top-1 {} ({} samples)", percent(before.top1), before.samples);
    let mut run = FileRun { checkpoint: checkpoint_path(&args.out), bar: progress_bar()? };
    let candidate = builder.fine_tune(&policy, &options, &mut run)?;
    run.bar.finish_and_clear();
    std::fs::write(&args.out, &candidate.image).with_context(|| format!("cannot write {}", args.out.display()))?;
    // The run is over; it need not be there, and nothing is lost if it stays.
    let _ = std::fs::remove_file(&run.checkpoint);
    let after = builder.validate(&candidate.image, usize::MAX)?;
    println!("fine-tuned: validation top-1 {} in {:.0} s", percent(after.top1), candidate.image_ms / 1e3);
    if args.test {
        let test = builder.test(&candidate.image)?;
        println!("fine-tuned: test top-1 {} ({} samples)", percent(test.top1), test.samples);
    }
    println!("{}: flash {} bytes, RAM {} bytes", args.out.display(), candidate.flash_bytes, candidate.ram_bytes);
    Ok(())
}

fn checkpoint_path(out: &Path) -> PathBuf {
    let mut path = out.as_os_str().to_owned();
    path.push(".checkpoint");
    path.into()
}

/// A run whose checkpoints lie in a file, watched by a person.
struct FileRun {
    checkpoint: PathBuf,
    bar: ProgressBar,
}

impl FileRun {
    fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        let partial = self.checkpoint.with_extension(format!("partial-{}", std::process::id()));
        std::fs::write(&partial, bytes)?;
        std::fs::rename(&partial, &self.checkpoint)
    }

    fn failed(&self, source: std::io::Error) -> CandidateError {
        QatError::Io { path: self.checkpoint.clone(), source }.into()
    }
}

impl Watch for FileRun {
    type Error = CandidateError;

    fn saved(&mut self) -> Result<Option<Vec<u8>>, CandidateError> {
        match std::fs::read(&self.checkpoint) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(|error| self.failed(error)),
        }
    }

    fn keep(&mut self, checkpoint: &[u8]) -> Result<(), CandidateError> {
        self.write(checkpoint).map_err(|error| self.failed(error))
    }

    fn tell(&mut self, told: &Told) -> Result<(), CandidateError> {
        self.bar.set_position((1000.0 * told.share) as u64);
        self.bar.set_message(format!("step {}, loss {:.3}", told.step, told.loss));
        Ok(())
    }
}

fn progress_bar() -> anyhow::Result<ProgressBar> {
    let style = "fine-tuning {bar:30} {percent} %, {msg}, {elapsed} elapsed, {eta} to go";
    Ok(ProgressBar::new(1000).with_style(ProgressStyle::with_template(style)?))
}
