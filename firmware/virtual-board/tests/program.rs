//! The `virtual-board` program: its first line, its control socket, and that nothing outlives it.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Instant;

use bitrack_virtual_board::Machine;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use support::{PATIENCE, try_attach};

/// A running `virtual-board`; killed when dropped.
struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Its first line.
    ready: Value,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_virtual-board"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        Self { stdin: child.stdin.take(), child, ready }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("signalled");
    }

    /// The QEMU process among its children.
    fn qemu_pid(&self) -> u32 {
        let pid = self.child.id();
        let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
        let children = threads
            .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok())
            .collect::<String>();
        children.split_whitespace().next().expect("a child").parse().expect("a number")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a process is gone, or only waits to be reaped.
fn await_end(pid: u32) {
    let begin = Instant::now();
    while is_alive(pid) {
        assert!(begin.elapsed() < PATIENCE, "process {pid} is still there");
        std::thread::yield_now();
    }
}

fn is_alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let state = stat.rsplit_once(") ").map(|(_, rest)| rest.starts_with('Z'));
    state == Some(false)
}

#[test]
fn first_line_tells_how_to_use_the_board() {
    let program = Program::start(&["--machine", "mps2-an500"]);
    assert_eq!(program.ready["machine"], "mps2-an500");
    assert_eq!(program.ready["pid"], program.child.id());
    assert!(program.ready["serial"].as_str().expect("a path").starts_with("/dev/pts/"));
    let selector = program.ready["probe"].as_str().expect("a selector");
    try_attach(selector, Machine::Mps2An500).expect("attached");
}

#[test]
fn no_qemu_outlives_the_program_however_it_ends() {
    for signal in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGINT, Signal::SIGABRT] {
        let mut program = Program::start(&[]);
        let qemu = program.qemu_pid();
        assert!(is_alive(qemu));
        program.signal(signal);
        program.child.wait().expect("ended");
        await_end(qemu);
    }
}

#[test]
fn it_ends_with_its_standard_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let (link, control) = (folder.path().join("tty"), folder.path().join("control"));
    let (link_text, control_text) = (link.to_str().expect("plain"), control.to_str().expect("plain"));
    let mut program = Program::start(&["--serial-link", link_text, "--control", control_text]);
    let qemu = program.qemu_pid();
    assert!(link.is_symlink() && control.exists());
    drop(program.stdin.take());
    assert!(program.child.wait().expect("ended").success());
    await_end(qemu);
    assert!(!link.is_symlink() && !control.exists());
}

#[test]
fn end_of_the_thread_that_started_it_is_not_the_end() {
    let program = std::thread::spawn(|| Program::start(&[])).join().expect("started by a thread that ended");
    let selector = program.ready["probe"].as_str().expect("a selector");
    try_attach(selector, Machine::Mps2An386).expect("attached");
}

/// The parent is a shell that is killed; the board does not watch its input.
#[test]
fn it_ends_with_its_parent() {
    let script = format!("{} --ignore-stdin & read line", env!("CARGO_BIN_EXE_virtual-board"));
    let mut command = Command::new("sh");
    let mut shell =
        command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
    let mut line = String::new();
    BufReader::new(shell.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let ready: Value = serde_json::from_str(&line).expect("the ready line");
    let board = ready["pid"].as_u64().expect("a pid") as u32;
    assert!(is_alive(board));
    shell.kill().expect("killed");
    shell.wait().expect("ended");
    await_end(board);
}

#[test]
fn control_socket_obeys_and_explains() {
    let folder = tempfile::tempdir().expect("a folder");
    let control = folder.path().join("control");
    // Left behind by a program that was killed.
    drop(std::os::unix::net::UnixListener::bind(&control).expect("a stale socket"));
    let program = Program::start(&["--control", control.to_str().expect("plain")]);
    let mut socket = UnixStream::connect(&control).expect("connected");
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    let mut answers = BufReader::new(socket.try_clone().expect("cloned"));
    let mut ask = |command: &str| {
        writeln!(socket, "{command}").expect("written");
        let mut answer = String::new();
        answers.read_line(&mut answer).expect("an answer");
        answer
    };
    let qemu = program.qemu_pid();
    for command in
        ["reset", "flip-flash 0 1", "mute-uart on", "garbage 10", "hold-reset on", "hold-reset off", "drop-probe"]
    {
        assert_eq!(ask(command), "ok\n", "{command}");
    }
    assert!(ask("explode").starts_with("error cannot obey \"explode\""));
    assert!(ask("flip-flash 0x400000 1").starts_with("error offset"));
    assert_eq!(ask("kill-qemu"), "ok\n");
    await_end(qemu);
}

#[test]
fn help_teaches_and_mistakes_are_explained() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_virtual-board")).args(arguments).output().expect("run");
        (output.status.success(), [output.stdout, output.stderr].concat())
    };
    let (succeeded, help) = run(&["--help"]);
    let help = String::from_utf8(help).expect("text");
    assert!(succeeded && help.contains("probe-rs download") && help.contains("kill-qemu"), "{help}");
    let (succeeded, mistake) = run(&["--machine", "mps2-an385"]);
    assert!(!succeeded && String::from_utf8_lossy(&mistake).contains("mps2-an500"));
    let (succeeded, target) = run(&["--print-target"]);
    assert!(succeeded && target == bitrack_virtual_board::TARGET_YAML.as_bytes());
}
