//! The serial port: not a byte lost, in either direction, whoever is slow.

mod support;

use std::io::{Read, Write};
use std::time::Duration;

use bitrack_virtual_board::{Command, Options, VirtualBoard};
use serialport::SerialPort;
use support::{boot, noise, read, serial, start};

const FLOOD_BYTES: usize = 360_000;
const LISTEN_BYTES: usize = 50_000;

/// What the test program says when told to flood.
fn flood() -> Vec<u8> {
    (0..FLOOD_BYTES).map(|index| (index * 7 + (index >> 8)) as u8).collect()
}

/// The test program's hash of what it hears.
fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(*byte)))
}

fn booted() -> (VirtualBoard, Box<dyn SerialPort>) {
    let board = start();
    let mut port = serial(&board);
    boot(&board, &mut *port);
    (board, port)
}

#[test]
fn slow_reader_gets_every_byte() {
    let (_board, mut port) = booted();
    port.write_all(b"f").expect("written");
    let mut heard = vec![0; FLOOD_BYTES];
    // Small reads, and halfway none at all until everything in between must be full.
    let (first, second) = heard.split_at_mut(FLOOD_BYTES / 2);
    for piece in first.chunks_mut(100) {
        port.read_exact(piece).expect("the first half");
    }
    await_full(&*port);
    for piece in second.chunks_mut(1000) {
        port.read_exact(piece).expect("the second half");
    }
    assert!(heard == flood());
}

/// Waits until no more bytes arrive in the terminal.
fn await_full(port: &dyn SerialPort) {
    let mut last = 0;
    for _ in 0..1000 {
        let waiting = port.bytes_to_read().expect("a count");
        if waiting > 0 && waiting == last {
            return;
        }
        last = waiting;
        std::thread::yield_now();
    }
}

#[test]
fn bytes_wait_while_nobody_has_the_port_open() {
    let (_board, mut port) = booted();
    let path = port.name().expect("a name");
    port.write_all(b"f").expect("written");
    drop(port);
    let mut port = serialport::new(path, 115_200).timeout(support::PATIENCE).open().expect("opened again");
    assert!(read(&mut *port, FLOOD_BYTES) == flood());
}

#[test]
fn guest_hears_every_byte_of_a_burst() {
    let (_board, mut port) = booted();
    let burst = noise(LISTEN_BYTES, 5);
    port.write_all(b"l").expect("written");
    port.write_all(&burst).expect("written");
    let answer = read(&mut *port, 4);
    assert_eq!(answer, hash(&burst).to_le_bytes());
}

#[test]
fn bytes_sent_before_the_program_listens_are_heard() {
    let (board, mut port) = booted();
    for _ in 0..10 {
        board.command(Command::HoldReset(true)).expect("held");
        port.write_all(b"c").expect("written");
        board.command(Command::HoldReset(false)).expect("released");
        let answer = read(&mut *port, 9);
        assert_eq!(answer[0], b'>');
    }
}

#[test]
fn muted_board_is_silent_and_then_heard_again() {
    let (board, mut port) = booted();
    board.command(Command::MuteUart(true)).expect("muted");
    port.write_all(b"f").expect("written");
    port.set_timeout(Duration::from_millis(200)).expect("set");
    let heard = port.read(&mut [0]);
    assert_eq!(heard.map_err(|error| error.kind()), Err(std::io::ErrorKind::TimedOut));
    port.set_timeout(support::PATIENCE).expect("set");
    board.command(Command::MuteUart(false)).expect("unmuted");
    // The flood's rest is of unknown length; the reset ends it.
    board.command(Command::Reset).expect("reset");
    while read(&mut *port, 1) != b">" {}
}

#[test]
fn garbage_comes_in_the_boards_place() {
    let (board, mut port) = booted();
    board.command(Command::Garbage(5000)).expect("injected");
    let garbage = read(&mut *port, 5000);
    assert!(garbage.iter().any(|byte| *byte != garbage[0]));
    port.write_all(b"c").expect("written");
    read(&mut *port, 8);
}

#[test]
fn link_is_made_replaced_and_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let link = folder.path().join("board");
    let options = Options { serial_link: Some(link.clone()), ..Options::default() };
    std::os::unix::fs::symlink("/nowhere", &link).expect("a stale link");
    let board = VirtualBoard::start(options.clone()).expect("a board");
    assert_eq!(std::fs::read_link(&link).expect("a link"), board.serial_path());
    drop(board);
    assert!(!link.is_symlink());

    std::fs::write(&link, "precious").expect("a file");
    assert!(VirtualBoard::start(options).is_err(), "a file was replaced");
    assert_eq!(std::fs::read(&link).expect("still there"), b"precious");
}
