//! An emulated board that the daemon did not start: wired like a real one, by a probe selector and a serial port, and made to
//! suffer through its control socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::lab::program;

/// A `virtual-board` process. Dropping it ends it.
pub struct WiredBoard {
    name: String,
    machine: &'static str,
    folder: PathBuf,
    /// Chosen by the first start, and kept: a real board's probe does not change either.
    probe_port: u16,
    child: Option<Child>,
}

impl WiredBoard {
    /// Starts a board whose files lie in `folder`.
    pub fn start(folder: &Path, name: &str, machine: &'static str) -> Self {
        let folder = folder.to_owned();
        let mut board = Self { name: name.into(), machine, folder, probe_port: 0, child: None };
        board.power_on();
        board
    }

    /// Its entry in `hil.toml`, as a board of type `board_type`.
    pub fn config(&self, board_type: &str) -> String {
        format!(
            "\n[[board]]\nname = \"{}\"\ntype = \"{board_type}\"\nprobe = \"{}\"\nserial = \"{}\"\n",
            self.name,
            self.probe_selector(),
            self.file("serial").display()
        )
    }

    /// What probe-rs opens.
    pub fn probe_selector(&self) -> String {
        format!("1d50:6018:127.0.0.1:{}", self.probe_port)
    }

    /// Its serial port, a link that stays the same.
    pub fn serial(&self) -> PathBuf {
        self.file("serial")
    }

    /// Starts the process; flash keeps what it held.
    pub fn power_on(&mut self) {
        let mut command = Command::new(program("virtual-board"));
        command.args(["--machine", self.machine, "--probe-port", &self.probe_port.to_string()]);
        for (flag, file) in [("--serial-link", "serial"), ("--flash-file", "flash"), ("--control", "control")] {
            command.arg(flag).arg(self.file(file));
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("virtual-board starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("stdout is piped");
        BufReader::new(output).read_line(&mut line).expect("it says that it is ready");
        self.child = Some(child);
        let ready: Value = serde_json::from_str(&line).expect("a line of JSON");
        let probe = ready["probe"].as_str().expect("a selector");
        self.probe_port = probe.rsplit(':').next().and_then(|port| port.parse().ok()).expect("it ends in a port");
    }

    /// SIGKILL: the cable is pulled. Probe and port are gone.
    pub fn unplug(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
    }

    /// Gives a command of the control socket, and waits until the board has obeyed.
    pub fn command(&self, line: &str) {
        let mut socket = UnixStream::connect(self.file("control")).expect("the control socket listens");
        socket.write_all(format!("{line}\n").as_bytes()).expect("it is taken");
        let mut answer = String::new();
        BufReader::new(socket).read_line(&mut answer).expect("it answers");
        assert_eq!(answer, "ok\n", "{line}");
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.name))
    }
}

impl Drop for WiredBoard {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // Closing its input ends it; an error means that it has ended already.
        drop(child.stdin.take());
        let _ = child.wait();
    }
}
