//! Emulated boards: a child process that offers a probe and a port like a real one.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use serde::Deserialize;

use super::Fault;
use crate::config::Probe;
use crate::process;

/// How long the emulator may take to offer its probe.
const START_WITHIN: Duration = Duration::from_secs(20);

/// A running emulated board. Dropping it stops it.
pub struct VirtualBoard {
    child: Child,
    /// Where it can be reached.
    pub probe: Probe,
    pub serial: PathBuf,
}

/// The line the emulator prints when it is ready; it may say more than we use.
#[derive(Debug, Deserialize)]
struct Ready {
    probe: String,
    serial: PathBuf,
}

impl VirtualBoard {
    /// Starts one and waits until it is ready. Blocks.
    ///
    /// # Errors
    /// [`Fault::Rig`] when there is no emulator, [`Fault::Emulator`] when it does not start.
    pub fn start(machine: &str, flash_file: &std::path::Path) -> Result<Self, Fault> {
        let missing =
            "no `virtual-board` program beside hil or on PATH; build it: cargo build -p bitrack-virtual-board";
        let program = process::find_program("virtual-board").ok_or_else(|| Fault::Rig(missing.into()))?;
        let folder = flash_file.parent().map_or(Ok(()), std::fs::create_dir_all);
        folder.map_err(|e| Fault::Rig(format!("{}: {e}", flash_file.display())))?;
        let mut command = Command::new(&program);
        command.args(["--machine", machine, "--probe-port", "0", "--flash-file"]).arg(flash_file);
        // It ends when its standard input closes: once more than the parent-death signal makes sure of.
        let log = std::fs::File::create(flash_file.with_extension("log"));
        let log = log.map_err(|e| Fault::Rig(format!("{}: {e}", flash_file.display())))?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = process::spawn(command).map_err(|e| Fault::Rig(format!("{}: {e}", program.display())))?;
        match first_line(&mut child).and_then(|line| parse(&line)) {
            Ok((probe, serial)) => Ok(Self { child, probe, serial }),
            Err(reason) => {
                process::stop(&mut child, Duration::ZERO);
                Err(Fault::Emulator(reason))
            }
        }
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for VirtualBoard {
    fn drop(&mut self) {
        // Closing its input lets it save its flash and stop its emulator.
        drop(self.child.stdin.take());
        process::stop(&mut self.child, Duration::from_secs(3));
    }
}

fn first_line(child: &mut Child) -> Result<String, String> {
    let output = child.stdout.take().ok_or("its output is not ours")?;
    let (sender, line) = channel();
    let read = move || {
        let mut lines = BufReader::new(output).lines();
        // Nobody listens any more when the start has timed out.
        let _ = sender.send(lines.next());
        lines.for_each(drop);
    };
    std::thread::Builder::new().name("virtual-board".into()).spawn(read).map_err(|e| e.to_string())?;
    match line.recv_timeout(START_WITHIN) {
        Ok(Some(Ok(line))) => Ok(line),
        Ok(Some(Err(e))) => Err(e.to_string()),
        Ok(None) => Err(format!("ended without being ready ({})", child.wait().map_or("?".into(), |s| s.to_string()))),
        Err(_) => Err(format!("not ready within {} s", START_WITHIN.as_secs())),
    }
}

fn parse(line: &str) -> Result<(Probe, PathBuf), String> {
    let ready: Ready = serde_json::from_str(line).map_err(|e| format!("said `{line}`: {e}"))?;
    Ok((ready.probe.parse()?, ready.serial))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_may_say_more_than_we_know() {
        let line = r#"{"probe":"1d50:6018:127.0.0.1:4000","serial":"/dev/pts/3","machine":"mps2-an386"}"#;
        let (probe, serial) = parse(line).expect("ready");
        assert_eq!((probe.serial.as_str(), serial), ("127.0.0.1:4000", PathBuf::from("/dev/pts/3")));
        assert!(parse("qemu: not found").is_err());
    }
}
