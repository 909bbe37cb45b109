//! The firmware itself, on QEMU's Cortex-M4 and M7, bit for bit and instruction for instruction.
//!
//! Wants `qemu-system-arm` and the built firmware: `cargo build --release --bin BOARD --features BOARD --target
//! thumbv7em-none-eabihf`. Says so, and passes, where either is missing.

#[path = "../../engine/tests/support/mod.rs"]
mod network;

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bitrack_image::crc32;
use bitrack_kernels::Bits;
use bitrack_wire::client::{Client, ClientError, Patience, RunOutcome};
use bitrack_wire::{BoardError, FaultKind, RunRequest, Source, TimerUnit, Verdict};
use network::{Network, Recipe, fixed_recipe};
use object::{Object, ObjectSection, ObjectSymbol};

const PATIENCE: Patience = Patience { reply: Duration::from_secs(5), attempts: 2 };
const SOON: Duration = Duration::from_secs(20);
const SLOT0: u32 = 0x0008_0000;
const SLOT_LEN: u32 = 1 << 20;

/// A QEMU with the firmware and perhaps an image, and a client on its serial line.
struct Emulator {
    qemu: Child,
    client: Client<UnixStream>,
    _files: tempfile::TempDir,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// The built firmware of a board, or `None` and a line that says what to do.
fn firmware(board: &str) -> Option<PathBuf> {
    let elf = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/thumbv7em-none-eabihf/release").join(board);
    let qemu = Command::new("qemu-system-arm").arg("--version").stdout(Stdio::null()).status();
    match (elf.exists(), qemu.is_ok_and(|status| status.success())) {
        (true, true) => return Some(elf),
        (false, _) => eprintln!("SKIPPED: {} is not built (cargo xtask firmware)", elf.display()),
        (_, false) => eprintln!("SKIPPED: qemu-system-arm is not installed"),
    }
    None
}

impl Emulator {
    /// Starts a board's built firmware with `image` in slot 0; `None` where there is none to start.
    fn start(board: &str, image: &[u8]) -> Option<Self> {
        Some(Self::with_firmware(board, &firmware(board)?, image))
    }

    fn with_firmware(board: &str, elf: &Path, image: &[u8]) -> Self {
        let files = tempfile::tempdir().expect("temporary folder");
        let (socket, flash) = (files.path().join("uart"), files.path().join("image"));
        std::fs::write(&flash, image).expect("image can be written");
        let listener = UnixListener::bind(&socket).expect("socket can be bound");
        let mut qemu = Command::new("qemu-system-arm");
        qemu.args(["-M", board, "-display", "none", "-monitor", "none", "-icount", "shift=8,sleep=off"]);
        qemu.args(["-chardev", &format!("socket,id=uart,path={}", socket.display()), "-serial", "chardev:uart"]);
        qemu.arg("-kernel").arg(elf);
        qemu.args(["-device", &format!("loader,file={},addr={SLOT0:#x},force-raw=on", flash.display())]);
        let qemu = qemu.spawn().expect("qemu starts");
        let line = listener.accept().expect("qemu connects").0;
        line.set_read_timeout(Some(Duration::from_millis(10))).expect("timeout can be set");
        Self { qemu, client: Client::new(line, PATIENCE), _files: files }
    }

    fn run(&mut self, repeats: u16) -> Result<RunOutcome, ClientError> {
        self.client.hello(SOON)?;
        self.client.load_image(0, 0, SLOT_LEN, SOON)?;
        self.client.run(everything(repeats), SOON, |_, _| ())
    }
}

fn everything(repeats: u16) -> RunRequest {
    RunRequest { warmup: 1, repeats, source: Source::Vector(0), want_layer_ticks: true, want_layer_crcs: true }
}

fn recipes() -> Vec<Recipe> {
    let uniform = |bits| Recipe { act_bits: [bits; 7], w_bits: [bits; 3], seed: 9, ..fixed_recipe() };
    let wide = Recipe { in_c: 4, mid_c: 32, classes: 12, ..uniform(Bits::B8) };
    let mixed = Recipe { w_bits: [Bits::B2, Bits::B4, Bits::B8], in_c: 5, mid_c: 9, seed: 3, ..fixed_recipe() };
    vec![fixed_recipe(), mixed, uniform(Bits::B2), uniform(Bits::B4), wide]
}

fn check(network: &Network, run: &RunOutcome) {
    assert_eq!(run.report.verdict, Verdict::Identical);
    let crcs: Vec<_> = run.layers.iter().map(|layer| layer.crc).collect();
    let plain: Vec<_> = network.outputs.iter().map(|output| Some(crc32(output))).collect();
    assert_eq!(crcs, plain, "output of each op");
    assert!(run.repeats.iter().all(|&ticks| ticks == run.repeats[0]), "instructions differ: {:?}", run.repeats);
    let sum: u64 = run.layers.iter().filter_map(|layer| layer.ticks).sum();
    let (total, ops) = (run.repeats[0], run.layers.len() as u64);
    assert!(sum <= total && total - sum < 1000 * ops, "{sum} in layers, {total} in total");
    assert!(run.report.stack_high_water > 0 && run.report.stack_high_water < 4096, "{:?}", run.report);
    assert!(run.report.arena_high_water <= network.spec.arena_len);
}

fn identical_on(board: &str) {
    for recipe in recipes() {
        let network = network::network(&recipe);
        let Some(mut emulator) = Emulator::start(board, &network.image()) else { return };
        let run = emulator.run(3).expect("image runs");
        check(&network, &run);
        println!("{board}: {} instructions, {:?}", run.repeats[0], run.report);
    }
}

#[test]
fn outputs_are_the_hosts_on_a_cortex_m4() {
    identical_on("mps2-an386");
}

#[test]
fn outputs_are_the_hosts_on_a_cortex_m7() {
    identical_on("mps2-an500");
}

#[test]
fn two_boards_count_the_same_instructions() {
    let image = network::network(&fixed_recipe()).image();
    let counts = [0, 1].map(|_| {
        let mut emulator = Emulator::start("mps2-an386", &image)?;
        let first = emulator.run(2).expect("image runs");
        let again = emulator.run(2).expect("image runs");
        assert_eq!((&first.repeats, &first.layers), (&again.repeats, &again.layers));
        Some((first.repeats, first.layers))
    });
    assert_eq!(counts[0], counts[1]);
}

#[test]
fn an_uploaded_input_gives_the_same_output() {
    let network = network::network(&fixed_recipe());
    let Some(mut emulator) = Emulator::start("mps2-an386", &network.image()) else { return };
    let client = &mut emulator.client;
    let hello = client.hello(SOON).expect("board answers");
    assert_eq!((hello.board_type.as_str(), hello.timer_unit), ("mps2-an386", TimerUnit::Instructions));
    client.load_image(0, 0, SLOT_LEN, SOON).expect("image loads");
    client.upload_input(&network.input).expect("input is taken");
    let request = RunRequest { source: Source::Uploaded, ..everything(2) };
    let run = client.run(request, SOON, |_, _| ()).expect("image runs");
    assert_eq!(run.report.verdict, Verdict::Unknown);
    assert_eq!(Some(&client.read_output().expect("has run")), network.outputs.last());
}

#[test]
fn a_blank_slot_is_an_error_message() {
    let Some(mut emulator) = Emulator::start("mps2-an386", &[0xFF; 64]) else { return };
    assert!(matches!(emulator.run(1), Err(ClientError::Board(BoardError::BadMagic))));
}

#[test]
fn a_reset_brings_the_board_back() {
    let Some(mut emulator) = Emulator::start("mps2-an386", &[]) else { return };
    emulator.client.hello(SOON).expect("board answers");
    emulator.client.reset(SOON).expect("board comes back");
    emulator.client.ping().expect("board answers again");
}

/// A copy of the firmware in which the first instruction of the function whose name contains `part` is undefined, and
/// that instruction's address.
fn sabotaged(elf: &Path, part: &str, copy: &Path) -> u32 {
    let mut bytes = std::fs::read(elf).expect("firmware can be read");
    let file = object::File::parse(&*bytes).expect("firmware is an ELF file");
    let found = file.symbols().find(|symbol| symbol.name().is_ok_and(|name| name.contains(part)));
    let address = found.unwrap_or_else(|| panic!("no symbol {part}")).address() & !1;
    let text = file.section_by_name(".text").expect("firmware has code");
    let offset = address - text.address() + text.file_range().expect("code is in the file").0;
    let place = offset as usize..offset as usize + 2;
    bytes[place].copy_from_slice(&0xDEAD_u16.to_le_bytes());
    std::fs::write(copy, bytes).expect("copy can be written");
    address as u32
}

#[test]
fn a_fault_in_an_op_names_it_and_restarts() {
    let Some(elf) = firmware("mps2-an386") else { return };
    let folder = tempfile::tempdir().expect("temporary folder");
    let broken = folder.path().join("broken");
    let pc = sabotaged(&elf, "4step7run_add", &broken);
    let image = network::network(&fixed_recipe()).image();
    let mut emulator = Emulator::with_firmware("mps2-an386", &broken, &image);
    let error = emulator.run(1).expect_err("addition is broken");
    let addition = BoardError::Fault { kind: FaultKind::HardFault, pc, op: Some(2) };
    assert!(matches!(error, ClientError::Board(fault) if fault == addition), "{error}");
    emulator.client.hello(SOON).expect("board is back");
}

/// A stack that has run out cannot take the exception's frame either: the handler must bring its own.
#[test]
fn a_stack_that_ran_out_is_reported() {
    let Some(elf) = firmware("mps2-an386") else { return };
    let folder = tempfile::tempdir().expect("temporary folder");
    let broken = folder.path().join("broken");
    let mut bytes = std::fs::read(&elf).expect("firmware can be read");
    let file = object::File::parse(&*bytes).expect("firmware is an ELF file");
    let vectors = file.section_by_name(".vector_table").expect("firmware has vectors");
    let start = vectors.file_range().expect("vectors are in the file").0 as usize;
    // A stack of 64 bytes to start with, where the linker gave 16 KB.
    let initial = u32::from_le_bytes(bytes[start..start + 4].try_into().expect("four bytes"));
    bytes[start..start + 4].copy_from_slice(&(initial - (16 << 10) + 64).to_le_bytes());
    std::fs::write(&broken, bytes).expect("copy can be written");
    let mut emulator = Emulator::with_firmware("mps2-an386", &broken, &[]);
    let error = emulator.client.ping().expect_err("there is no stack to answer with");
    let overflow = |e: &BoardError| matches!(e, BoardError::Fault { kind: FaultKind::StackOverflow, .. });
    assert!(matches!(&error, ClientError::Board(fault) if overflow(fault)), "{error}");
}
