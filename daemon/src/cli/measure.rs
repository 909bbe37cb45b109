//! `hil measure`

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::args::{Format, Measure};
use super::client::Client;
use super::exit::{self, Failure};
use super::table::Table;
use crate::process::find_program;
use crate::rack::sha256;
use crate::types::{MeasureRequest, Measurement};

/// Measures an image, made on the way if need be.
pub fn run(client: &Client, args: &Measure) -> Result<(), Failure> {
    let image = match (&args.image, &args.model) {
        (Some(image), _) => read(image)?,
        (None, Some(model)) => build(args, model)?,
        (None, None) => return Err(Failure::usage("give an image, or --model and --policy")),
    };
    let name = sha256(&image);
    client.put_bytes(&format!("images/{name}"), &image)?;
    let request = MeasureRequest {
        image_sha256: name,
        board: args.board.clone(),
        board_type: args.board_type.clone(),
        warmup: Some(args.warmup),
        repeats: Some(args.repeats),
        fresh: args.fresh,
    };
    let measurement: Measurement = client.post("measure", &request)?;
    print(&measurement, args.format)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|e| Failure {
        code: exit::NOT_FOUND,
        message: format!("{}: {e}", path.display()),
        help: None,
    })
}

/// Has the agent make the image: the daemon and its command line know no tensors.
fn build(args: &Measure, model: &Path) -> Result<Vec<u8>, Failure> {
    let missing = Failure::error("there is no `hil-agent` beside hil or on PATH").help("cargo build -p bitrack-search");
    let program = find_program("hil-agent").ok_or(missing)?;
    let output = PathBuf::from(format!("{}/hil-measure-{}.img", std::env::temp_dir().display(), std::process::id()));
    let mut command = Command::new(program);
    command.arg("image").arg("--model").arg(model).arg("--out").arg(&output);
    for (flag, value) in [("--policy", &args.policy), ("--data", &args.data)] {
        command.args(value.iter().flat_map(|v| [flag, v]));
    }
    let status = command.status()?;
    let image =
        if status.success() { read(&output) } else { Err(Failure::error(format!("hil-agent image: {status}"))) };
    // It may not have been written.
    let _ = std::fs::remove_file(&output);
    image
}

fn print(m: &Measurement, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        println!("{:#}", json!(m));
        return Ok(());
    }
    let mut layers = Table::new(&["op", "kind", "weights", "input", "output", "ticks"]);
    let row = |l: &crate::types::LayerTicks| -> Vec<Value> {
        vec![
            json!(l.index),
            json!(l.kind),
            json!(l.weight_bits),
            json!(l.input_bits),
            json!(l.output_bits),
            json!(l.ticks),
        ]
    };
    layers.rows = m.layers.iter().map(row).collect();
    layers.print(format)?;
    if format == Format::Table {
        println!("\n{}", summary(m));
    }
    Ok(())
}

fn summary(m: &Measurement) -> String {
    let ticks = m.ticks.as_ref().map_or("not timed".into(), |t| {
        format!("{} {} (median of {}, {} to {})", t.median, m.unit, t.repeats.len(), t.min, t.max)
    });
    let time = m.latency_ms.map_or(String::new(), |ms| format!(" = {ms:.3} ms at {} MHz", f64::from(m.clock_hz) / 1e6));
    let reused = m.reused_from.map_or(String::new(), |id| format!(", reused from measurement {id}"));
    format!(
        "board {} ({}), firmware {}{reused}\n{ticks}{time}\narena {} bytes planned, {} used; stack {} used; output CRC {} {}\n\
         flashed {} sectors ({} bytes) in {:.0} ms, loaded in {:.0} ms, ran in {:.0} ms",
        m.board,
        m.board_type,
        m.firmware_revision,
        m.arena_planned_bytes,
        m.arena_high_water_bytes.unwrap_or(0),
        m.stack_high_water_bytes.unwrap_or(0),
        m.output_crc.as_deref().unwrap_or("-"),
        if m.bit_exact { "as on the host" } else { "DIFFERS from the host" },
        m.sectors_written,
        m.bytes_written,
        m.wall.flash_ms,
        m.wall.load_ms,
        m.wall.run_ms,
    )
}
