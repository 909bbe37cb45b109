//! `hil-agent image` and `hil-agent evaluate`.

use super::source::CandidateArgs;
use anyhow::Context;
use bitrack_model::Variant;
use std::path::PathBuf;

/// Build the flash image of one candidate.
///
/// The image is what `hil measure` flashes. Accuracy is judged by `hil-agent evaluate`.
#[derive(Debug, clap::Args)]
pub struct ImageArgs {
    #[command(flatten)]
    candidate: CandidateArgs,
    /// Where the image goes
    #[arg(long, value_name = "IMG")]
    out: PathBuf,
}

/// Judge one candidate on this host, with the integer kernels that boards run.
#[derive(Debug, clap::Args)]
pub struct EvaluateArgs {
    #[command(flatten)]
    candidate: CandidateArgs,
    /// Samples to judge it on
    #[arg(long, value_enum, default_value_t = Split::Validation)]
    split: Split,
    /// At most this many of them
    #[arg(long)]
    samples: Option<usize>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Split {
    /// What searches are rewarded on
    Validation,
    /// What results are reported on: look once, at the end
    Test,
}

/// Builds and writes.
///
/// # Errors
/// Unusable input, or a file that cannot be written.
pub fn image(args: &ImageArgs) -> anyhow::Result<()> {
    let (builder, policy) = args.candidate.load()?;
    let candidate = builder.build(&policy)?;
    std::fs::write(&args.out, &candidate.image).with_context(|| format!("cannot write {}", args.out.display()))?;
    println!("{}", args.out.display());
    println!("sha256 {}", candidate.sha256);
    println!("flash {} bytes, {} with test vectors", candidate.flash_bytes, candidate.image.len());
    println!("RAM {} bytes", candidate.ram_bytes);
    println!("kernels {}", bitrack_model::kernels(&candidate.image)?.join(","));
    for op in builder.ops(&policy, Some(&candidate.image))? {
        let weights = op.weight_bits.map_or_else(|| "-".into(), |bits| bits.to_string());
        println!(
            "  {:<24} {:<16} {:<8} weights {weights:>2}  {} -> {} bits",
            op.name,
            op.kind,
            op.variant.map_or("-", Variant::name),
            op.input_bits,
            op.output_bits
        );
    }
    Ok(())
}

/// Builds and judges.
///
/// # Errors
/// Unusable input.
pub fn evaluate(args: &EvaluateArgs) -> anyhow::Result<()> {
    let (builder, policy) = args.candidate.load()?;
    let candidate = builder.build(&policy)?;
    let all = args.samples.unwrap_or(usize::MAX);
    let (name, accuracy) = match args.split {
        Split::Validation => ("validation", builder.validate(&candidate.image, all)?),
        Split::Test => ("test", builder.test(&candidate.image)?),
    };
    println!("{name} top-1 {:.2} % ({} samples, {:.1} s)", accuracy.top1 * 100.0, accuracy.samples, accuracy.ms / 1e3);
    println!("flash {} bytes, RAM {} bytes", candidate.flash_bytes, candidate.ram_bytes);
    Ok(())
}
