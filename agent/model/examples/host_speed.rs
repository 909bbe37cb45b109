//! How long this host takes to evaluate 1,000 recordings with the keyword-spotting network at every combination of widths,
//! on two threads. `cargo xtask bench` runs it.
//!
//! usage: host_speed FOLDER [PYTHON]
//! FOLDER holds `kws/ds_cnn_float.tflite`, `kws/train.npz` and `kws/eval.npz`. PYTHON, if it has `ai-edge-litert`, runs
//! `mlperf_tiny/kws_ds_cnn_int8.tflite` on as many random inputs, for comparison.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use bitrack_model::{
    Bits, Dataset, Error, Imported, LowerOptions, Policy, Quantizer, RangeMethod, Result, Split, evaluate, import,
    lower,
};

/// Samples that are evaluated.
const SAMPLES: usize = 1000;

const THREADS: usize = 2;

/// Of how many runs the fastest counts.
const REPEATS: usize = 3;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let Some(folder) = arguments.next() else {
        eprintln!("usage: host_speed FOLDER [PYTHON]");
        return ExitCode::from(2);
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(THREADS).build();
    let measured = match pool {
        Ok(pool) => pool.install(|| measure(&folder)),
        Err(error) => Err(Error::Engine(error.to_string())),
    };
    if let Err(error) = measured {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    if let Some(python) = arguments.next() {
        compare(&folder, &python);
    }
    ExitCode::SUCCESS
}

fn measure(folder: &Path) -> Result<()> {
    let Imported::Float(model) = import(&folder.join("kws/ds_cnn_float.tflite"))? else {
        return Err(Error::Engine(String::from("ds_cnn_float.tflite is not a float model")));
    };
    let ranges = Dataset::npz(&folder.join("kws/train.npz"), Split::Train)?.first(64);
    let data = Dataset::npz(&folder.join("kws/eval.npz"), Split::Test)?.first(SAMPLES);
    let quantizer = Quantizer::new(model, &ranges, RangeMethod::MinMax)?;
    println!("keyword spotting, {} recordings on {THREADS} threads of this host, best of {REPEATS} runs", data.len());
    for activations in [Bits::Eight, Bits::Four, Bits::Two] {
        for weights in [Bits::Eight, Bits::Four, Bits::Two] {
            let policy = Policy::uniform(quantizer.model().graph(), weights, activations);
            let image = lower(&quantizer.quantize(&policy)?, &LowerOptions::default())?;
            let mut best = Duration::MAX;
            for _ in 0..REPEATS {
                let start = Instant::now();
                evaluate(&image.bytes, &data)?;
                best = best.min(start.elapsed());
            }
            println!("  {weights}/{activations}  {:>6.0} ms", best.as_secs_f64() * 1e3);
        }
    }
    Ok(())
}

/// LiteRT's interpreter on the int8 network, with the same number of samples and threads.
fn compare(folder: &Path, python: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/litert_speed.py");
    let mut litert = Command::new(python);
    litert.arg(script).arg(folder.join("mlperf_tiny/kws_ds_cnn_int8.tflite"));
    litert.args([SAMPLES.to_string(), THREADS.to_string()]).stdin(Stdio::null()).stderr(Stdio::null());
    match litert.output() {
        Ok(output) if output.status.success() => print!("{}", String::from_utf8_lossy(&output.stdout)),
        _ => println!("  LiteRT: not run, {} has no ai-edge-litert", python.display()),
    }
}
