//! What the tests share: a board, a probe-rs session to it, its serial port.

// Each test binary uses a part of this.
#![allow(dead_code)]

mod program;

use std::time::Duration;

use bitrack_virtual_board::{FLASH_START, Machine, Options, TARGET_YAML, VirtualBoard};
use probe_rs::config::Registry;
use probe_rs::flashing::{DownloadOptions, FlashError, FlashLoader};
use probe_rs::probe::list::Lister;
use probe_rs::probe::{DebugProbeSelector, WireProtocol};
use probe_rs::{Core, Permissions, Session};
use serialport::{ClearBuffer, SerialPort};

/// How long the tests wait for what must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The bytes of the test program.
pub fn program() -> Vec<u8> {
    program::PROGRAM.iter().flat_map(|halfword| halfword.to_le_bytes()).collect()
}

/// Reproducible noise, which does not compress and has no blank sectors.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// A fresh M4 board.
pub fn start() -> VirtualBoard {
    VirtualBoard::start(Options::default()).expect("a board")
}

/// Attaches to a board as any program with probe-rs would.
pub fn try_attach(selector: &str, machine: Machine) -> Result<Session, probe_rs::Error> {
    let mut registry = Registry::new();
    registry.add_target_family_from_yaml(TARGET_YAML).expect("a valid description");
    let selector: DebugProbeSelector = selector.parse().expect("a selector");
    let mut probe = Lister::new().open(selector)?;
    probe.select_protocol(WireProtocol::Swd)?;
    probe.attach_with_registry(machine.name(), Permissions::default(), &registry)
}

/// Attaches to a board.
pub fn attach(board: &VirtualBoard) -> Session {
    try_attach(&board.probe_selector(), board.machine()).expect("attached")
}

/// A loader with `data` at `offset` in the flash.
pub fn loader(session: &Session, offset: u32, data: &[u8]) -> FlashLoader {
    let mut loader = session.target().flash_loader();
    let address = u64::from(FLASH_START + offset);
    loader.add_data(address, data).expect("data within the flash");
    loader
}

/// Flashes and verifies.
pub fn flash(session: &mut Session, offset: u32, data: &[u8]) -> Result<(), FlashError> {
    let mut options = DownloadOptions::default();
    options.verify = true;
    loader(session, offset, data).commit(session, options)
}

/// The board's only core.
pub fn core(session: &mut Session) -> Core<'_> {
    session.core(0).expect("a core")
}

/// Opens a board's serial port, as the daemon does.
pub fn serial(board: &VirtualBoard) -> Box<dyn SerialPort> {
    let path = board.serial_path().to_str().expect("a plain path");
    serialport::new(path, 115_200).timeout(PATIENCE).open().expect("a serial port")
}

/// Reads exactly `len` bytes.
pub fn read(port: &mut dyn SerialPort, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    port.read_exact(&mut bytes).expect("the board's bytes");
    bytes
}

/// Flashes the test program, starts it and waits until it is ready for commands.
pub fn boot(board: &VirtualBoard, port: &mut dyn SerialPort) {
    let mut session = attach(board);
    flash(&mut session, 0, &program()).expect("flashed");
    port.clear(ClearBuffer::All).expect("cleared");
    core(&mut session).reset().expect("reset");
    assert_eq!(read(port, 1), b">");
}
