//! What the outside sees when things break, and that it can go on afterwards.

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bitrack_virtual_board::{Command, Commander, Options, VirtualBoard};
use probe_rs::flashing::{DownloadOptions, FlashError, FlashProgress, ProgressEvent};
use probe_rs::{CoreStatus, MemoryInterface};
use support::{attach, boot, core, flash, loader, noise, read, serial, start, try_attach};

const IMAGE_BYTES: usize = 300 << 10;

/// Flashes, with a command given to the board as soon as something has been programmed.
fn flash_interrupted(board: &VirtualBoard, image: &[u8], command: Command) -> Result<(), FlashError> {
    let commander: Commander = board.commander();
    let is_done = AtomicBool::new(false);
    let mut session = attach(board);
    let mut options = DownloadOptions::default();
    options.verify = true;
    options.progress = FlashProgress::new(|event| {
        if matches!(event, ProgressEvent::Progress { .. }) && !is_done.swap(true, Ordering::Relaxed) {
            commander.command(command).expect("obeyed");
        }
    });
    let result = loader(&session, 0, image).commit(&mut session, options);
    assert!(is_done.load(Ordering::Relaxed), "the flashing was over before the fault");
    result
}

#[test]
fn dropped_probe_is_an_error_at_once_and_the_next_client_is_welcome() {
    let board = start();
    let image = noise(IMAGE_BYTES, 7);
    flash_interrupted(&board, &image, Command::DropProbe).expect_err("the probe was cut off");
    flash(&mut attach(&board), 0, &image).expect("flashed");
}

#[test]
fn killed_qemu_is_an_error_and_the_board_comes_back() {
    let board = start();
    let image = noise(IMAGE_BYTES, 8);
    let before = board.qemu_pid().expect("a board").expect("a QEMU");
    flash_interrupted(&board, &image, Command::KillQemu).expect_err("QEMU was killed");
    flash(&mut attach(&board), 0, &image).expect("flashed");
    assert_ne!(board.qemu_pid().expect("a board"), Some(before));
}

#[test]
fn killed_qemu_loses_the_program_but_not_the_flash() {
    let board = start();
    let mut port = serial(&board);
    boot(&board, &mut *port);
    board.command(Command::KillQemu).expect("killed");
    let mut session = attach(&board);
    // probe-rs halts a core to attach, which is a way out of a lockup, but not back to life.
    let mut core = core(&mut session);
    core.run().expect("asked to run");
    assert_eq!(core.status().expect("a status"), CoreStatus::LockedUp);
    core.reset().expect("reset");
    assert_eq!(read(&mut *port, 1), b">");
}

#[test]
fn qemu_that_cannot_be_started_is_an_error_that_helps() {
    let options = Options { qemu: "/nowhere/qemu".into(), ..Options::default() };
    let error = VirtualBoard::start(options).err().expect("no QEMU").to_string();
    assert!(error.contains("/nowhere/qemu") && error.contains("qemu-system-arm"), "{error}");
    let options = Options { qemu: "/bin/false".into(), ..Options::default() };
    assert!(VirtualBoard::start(options).is_err());
}

#[test]
fn second_client_is_turned_away_and_garbage_is_survived() {
    let board = start();
    let session = attach(&board);
    assert!(try_attach(&board.probe_selector(), board.machine()).is_err(), "two users of one probe");
    drop(session);

    let selector = board.probe_selector();
    let address = selector.strip_prefix("1d50:6018:").expect("an address");
    let mut stranger = TcpStream::connect(address).expect("connected");
    stranger.write_all(b"GET / HTTP/1.0\r\n\r\n!!!##!AM#!So99#!Amzz#").expect("written");
    stranger.write_all(&noise(50_000, 9)).expect("written");
    drop(stranger);
    let mut session = attach(&board);
    core(&mut session).read_word_32(0).expect("still alive");
}

#[test]
fn two_boards_work_at_the_same_time() {
    let boards = [start(), start()];
    thread::scope(|scope| {
        for (board, seed) in boards.iter().zip(10..) {
            scope.spawn(move || {
                let image = noise(IMAGE_BYTES, seed);
                flash(&mut attach(board), 0x10000, &image).expect("flashed");
                let mut port = serial(board);
                boot(board, &mut *port);
                let mut read_back = vec![0; IMAGE_BYTES];
                core(&mut attach(board)).read_8(0x10000, &mut read_back).expect("read");
                assert!(read_back == image, "the boards are mixed up");
            });
        }
    });
}
