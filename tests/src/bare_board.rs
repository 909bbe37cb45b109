//! One virtual board without a daemon: flashed with probe-rs, spoken to over its serial port.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bitrack_virtual_board::{Machine, Options, TARGET_YAML, VirtualBoard};
use bitrack_wire::client::{Client, ClientError, Patience};
use bitrack_wire::{RunRequest, Source};
use probe_rs::config::Registry;
use probe_rs::flashing::{DownloadOptions, ElfLoader, ElfOptions, build_loader};
use probe_rs::probe::list::Lister;
use probe_rs::probe::{DebugProbeSelector, WireProtocol};
use probe_rs::{Permissions, Session};
use serialport::SerialPort;

use crate::lab::repo;

/// Long enough for any network of these tests on a loaded machine.
const SILENCE: Duration = Duration::from_secs(120);

/// A board with the runner in its flash, ready for images.
pub struct BareBoard {
    client: Client<Box<dyn SerialPort>>,
    slot_base: u64,
    board: VirtualBoard,
}

/// What one observed run says. Instructions are exact.
pub struct Profile {
    pub output: Vec<u8>,
    /// Of a whole inference, unobserved.
    pub instructions: u64,
    /// Of each op, in order.
    pub layers: Vec<u64>,
    pub arena_high_water: u32,
    pub stack_high_water: u32,
}

/// The runner for an emulated machine.
pub fn runner_elf(machine: Machine) -> PathBuf {
    let path = repo().join(format!("target/firmware/{}.elf", machine.name()));
    assert!(path.is_file(), "{} is missing: run `cargo xtask firmware`", path.display());
    path
}

impl BareBoard {
    /// Starts a board, flashes the runner and shakes hands.
    pub fn start() -> Self {
        Self::on(Machine::Mps2An386)
    }

    /// As [`BareBoard::start`], on a machine of choice.
    pub fn on(machine: Machine) -> Self {
        Self::with_runner(machine, &runner_elf(machine))
    }

    /// As [`BareBoard::on`], with a runner of choice.
    pub fn with_runner(machine: Machine, elf: &Path) -> Self {
        let board = VirtualBoard::start(Options { machine, ..Options::default() })
            .expect("QEMU is installed by `cargo xtask setup`");
        flash_elf(&board.probe_selector(), machine, elf);
        let path = board.serial_path().to_string_lossy().into_owned();
        let port = serialport::new(path, 115_200).timeout(Duration::from_millis(10)).open().expect("the pty opens");
        let mut client = Client::new(port, Patience { reply: Duration::from_secs(5), attempts: 3 });
        let hello = client.hello(SILENCE).expect("the runner answers");
        let slot_base = hello.slots[0].expect("the runner has a slot").base.into();
        Self { client, slot_base, board }
    }

    /// Flashes `image` into the first slot and has the runner validate it.
    pub fn load(&mut self, image: &[u8]) {
        self.try_load(image).expect("the image is valid");
    }

    /// As [`BareBoard::load`].
    ///
    /// # Errors
    /// The runner refuses the image.
    pub fn try_load(&mut self, image: &[u8]) -> Result<(), ClientError> {
        let mut session = attach(&self.board.probe_selector(), self.board.machine());
        let mut loader = session.target().flash_loader();
        loader.add_data(self.slot_base, image).expect("the slot is flash");
        commit(&mut session, &loader);
        restart(session);
        self.client.hello(SILENCE).expect("the runner is back");
        self.client.load_image(0, 0, image.len() as u32, SILENCE).map(|_| ())
    }

    /// Uploads a packed input, runs it once, and returns the packed output and the instructions it took.
    pub fn run(&mut self, input: &[u8]) -> (Vec<u8>, u64) {
        self.client.upload_input(input).expect("the input is taken");
        let outcome = self.client.run(request(false), SILENCE, |_, _| ()).expect("the run ends");
        let output = self.client.read_output().expect("there is an output");
        (output, outcome.repeats[0])
    }

    /// As [`BareBoard::run`], with the instructions of every op and the memory used.
    pub fn profile(&mut self, input: &[u8]) -> Profile {
        self.client.upload_input(input).expect("the input is taken");
        let outcome = self.client.run(request(true), SILENCE, |_, _| ()).expect("the run ends");
        Profile {
            output: self.client.read_output().expect("there is an output"),
            instructions: outcome.repeats[0],
            layers: outcome.layers.iter().map(|l| l.ticks.expect("asked for")).collect(),
            arena_high_water: outcome.report.arena_high_water,
            stack_high_water: outcome.report.stack_high_water,
        }
    }
}

fn request(want_layer_ticks: bool) -> RunRequest {
    RunRequest { warmup: 0, repeats: 1, source: Source::Uploaded, want_layer_ticks, want_layer_crcs: false }
}

/// Flashes a program onto the board behind a probe, and starts it.
pub fn flash_elf(selector: &str, machine: Machine, elf: &Path) {
    let mut session = attach(selector, machine);
    let loader = build_loader(&mut session, elf, ElfLoader(ElfOptions::default()), None).expect("an ELF file");
    commit(&mut session, &loader);
    restart(session);
}

fn attach(selector: &str, machine: Machine) -> Session {
    let mut registry = Registry::new();
    registry.add_target_family_from_yaml(TARGET_YAML).expect("the description is valid");
    let selector: DebugProbeSelector = selector.parse().expect("a selector");
    let mut probe = Lister::new().open(selector).expect("the probe listens");
    probe.select_protocol(WireProtocol::Swd).expect("the probe speaks SWD");
    probe.attach_with_registry(machine.name(), Permissions::default(), &registry).expect("attaches")
}

fn commit(session: &mut Session, loader: &probe_rs::flashing::FlashLoader) {
    let mut options = DownloadOptions::new();
    options.verify = true;
    loader.commit(session, options).expect("flashes");
}

fn restart(mut session: Session) {
    let mut core = session.core(0).expect("one core");
    core.reset_and_halt(Duration::from_secs(2)).expect("resets");
    core.run().expect("runs");
}
