//! `virtual-board`: one emulated board as a program. See `--help`.

mod control;
mod lifetime;

use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context;
use bitrack_virtual_board::{Machine, Options, VirtualBoard};
use clap::Parser;
use tracing_subscriber::EnvFilter;

use control::ControlSocket;
use lifetime::Lifetime;

/// An emulated Cortex-M board: QEMU behind a debug probe on TCP and a serial port.
///
/// When it is ready it prints one line of JSON to standard output and then runs until its standard
/// input is closed, its parent process ends, or it gets SIGTERM, SIGINT or SIGHUP. No QEMU outlives
/// it, however it ends.
#[derive(Parser)]
#[command(version, after_long_help = EXAMPLES)]
struct Arguments {
    /// The emulated machine: mps2-an386 (Cortex-M4F) or mps2-an500 (Cortex-M7F).
    #[arg(long, value_name = "NAME", default_value_t)]
    machine: Machine,

    /// TCP port of the debug probe, on 127.0.0.1; 0 takes any free one.
    #[arg(long, value_name = "N", default_value_t = 0)]
    probe_port: u16,

    /// Make a symbolic link to the serial port here; removed at the end.
    #[arg(long, value_name = "PATH")]
    serial_link: Option<PathBuf>,

    /// Keep the flash content in this file, across runs. Without it the flash starts blank.
    #[arg(long, value_name = "PATH")]
    flash_file: Option<PathBuf>,

    /// The QEMU program.
    #[arg(long, value_name = "PATH", default_value = "qemu-system-arm")]
    qemu: PathBuf,

    /// Listen for commands, mostly faults to inject, on a Unix socket here.
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,

    /// Do not end when standard input does, as for a service whose input is /dev/null.
    #[arg(long)]
    ignore_stdin: bool,

    /// Write the probe-rs target description to standard output and end.
    #[arg(long)]
    print_target: bool,
}

const EXAMPLES: &str = "\
Try it:
  virtual-board --print-target > mps2.yaml
  virtual-board --probe-port 4444 --serial-link /tmp/board --control /tmp/board.ctl
  {\"machine\":\"mps2-an386\",\"pid\":71,\"probe\":\"1d50:6018:127.0.0.1:4444\",\"serial\":\"/dev/pts/3\"}

and in another terminal:
  probe-rs download --chip-description-path mps2.yaml --chip mps2-an386 --protocol swd \\
      --probe 1d50:6018:127.0.0.1:4444 program.elf
  cat /tmp/board
  echo 'flip-flash 0x100 1' | nc -NU /tmp/board.ctl

Commands on the control socket, one per line, each answered by `ok` or `error REASON`:
  kill-qemu                  as a board that dies; it comes back with the next reset
  drop-probe                 cut the probe's connection
  flip-flash OFFSET MASK     invert bits of a byte in flash
  mute-uart on|off           discard what the board says
  garbage COUNT              say random bytes on the serial port
  hold-reset on|off          hold the core in reset
  reset                      press the reset button

Logging goes to standard error: RUST_LOG=bitrack_virtual_board=debug for more.";

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.print_target {
        let yaml = bitrack_virtual_board::TARGET_YAML;
        return Ok(std::io::stdout().write_all(yaml.as_bytes())?);
    }
    // Before any thread starts, so that all of them leave the signals to this one.
    let lifetime = Lifetime::begin(!arguments.ignore_stdin).context("cannot watch for the end")?;
    log_to_stderr();
    let board = VirtualBoard::start(options(&arguments))?;
    let control = arguments.control.map(|path| ControlSocket::open(path, board.commander()));
    let _control = control.transpose()?;
    announce(&board).context("cannot say that the board is ready")?;
    lifetime.wait_for_end()?;
    Ok(())
}

fn options(arguments: &Arguments) -> Options {
    Options {
        machine: arguments.machine,
        probe_address: SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.probe_port)),
        serial_link: arguments.serial_link.clone(),
        flash_file: arguments.flash_file.clone(),
        qemu: arguments.qemu.clone(),
    }
}

fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

fn announce(board: &VirtualBoard) -> std::io::Result<()> {
    let line = serde_json::json!({
        "probe": board.probe_selector(),
        "serial": board.serial_path(),
        "machine": board.machine().name(),
        "pid": std::process::id(),
    });
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}
