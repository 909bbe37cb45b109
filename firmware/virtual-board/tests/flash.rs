//! Flashing through probe-rs as a library, with its own flash loader and our algorithm.

mod support;

use std::time::{Duration, Instant};

use bitrack_virtual_board::{Command, Options, SECTOR_BYTES, VirtualBoard};
use probe_rs::MemoryInterface;
use support::{attach, core, flash, loader, noise, start};

const IMAGE_BYTES: usize = 300 << 10;

#[test]
fn flashed_bytes_are_verified_and_read_back() {
    let board = start();
    let image = noise(IMAGE_BYTES, 1);
    let begin = Instant::now();
    let mut session = attach(&board);
    flash(&mut session, SECTOR_BYTES, &image).expect("flashed and verified");
    let elapsed = begin.elapsed();
    println!("attach, erase, program and verify {IMAGE_BYTES} bytes: {elapsed:?}");
    assert!(elapsed < Duration::from_secs(10), "{elapsed:?}");

    // Independent of the loader's verification: other access sizes, another session.
    drop(session);
    let mut session = attach(&board);
    let mut read_back = vec![0; IMAGE_BYTES];
    core(&mut session).read_8(u64::from(SECTOR_BYTES), &mut read_back).expect("read");
    assert!(read_back == image);
    let mut neighbour = [0; 8];
    core(&mut session).read_8(0, &mut neighbour).expect("read");
    assert_eq!(neighbour, [0xFF; 8], "a sector that was not flashed stays blank");
}

#[test]
fn one_wrong_bit_fails_the_verification() {
    let board = start();
    let image = noise(IMAGE_BYTES, 2);
    let mut session = attach(&board);
    flash(&mut session, 0, &image).expect("flashed");
    loader(&session, 0, &image).verify(&mut session, &mut Default::default()).expect("right so far");

    board.command(Command::FlipFlash { offset: 123_457, mask: 0x10 }).expect("flipped");
    let verified = loader(&session, 0, &image).verify(&mut session, &mut Default::default());
    assert!(verified.is_err(), "a flipped bit went unnoticed");

    board.command(Command::FlipFlash { offset: 123_457, mask: 0x10 }).expect("flipped back");
    loader(&session, 0, &image).verify(&mut session, &mut Default::default()).expect("right again");
    assert!(board.command(Command::FlipFlash { offset: 4 << 20, mask: 1 }).is_err());
}

#[test]
fn programming_only_clears_bits() {
    let board = start();
    let mut session = attach(&board);
    flash(&mut session, 0, &[0x0F; 64]).expect("flashed");
    let mut options = probe_rs::flashing::DownloadOptions::default();
    options.skip_erase = true;
    let over = loader(&session, 0, &[0xF0; 64]).commit(&mut session, options);
    assert!(over.is_err(), "a bit went from 0 to 1 without an erase");
    let mut bytes = [0; 64];
    core(&mut session).read_8(0, &mut bytes).expect("read");
    assert_eq!(bytes, [0x0F; 64]);
}

#[test]
fn flash_is_not_writable_by_the_debugger() {
    let board = start();
    let mut session = attach(&board);
    let mut core = core(&mut session);
    assert!(core.write_8(0x100, &[0]).is_err());
    let mut bytes = [0; 1];
    core.read_8(0x100, &mut bytes).expect("read");
    assert_eq!(bytes, [0xFF]);
    assert!(core.read_word_32(0x9000_0000).is_err(), "nothing is there");
}

#[test]
fn content_survives_in_the_flash_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options { flash_file: Some(folder.path().join("flash.bin")), ..Options::default() };
    let image = noise(70_000, 3);
    let board = VirtualBoard::start(options.clone()).expect("a board");
    flash(&mut attach(&board), 0x3000, &image).expect("flashed");
    assert!(VirtualBoard::start(options.clone()).is_err(), "the flash is on another board");
    drop(board);

    let board = VirtualBoard::start(options).expect("the same board");
    let mut session = attach(&board);
    let mut bytes = vec![0; image.len()];
    core(&mut session).read_8(0x3000, &mut bytes).expect("read");
    assert!(bytes == image);
}

#[test]
fn m7_machine_is_flashed_and_runs() {
    let machine = bitrack_virtual_board::Machine::Mps2An500;
    let board = VirtualBoard::start(Options { machine, ..Options::default() }).expect("a board");
    let mut port = support::serial(&board);
    support::boot(&board, &mut *port);
    let mut session = attach(&board);
    let part = core(&mut session).read_word_32(0xE000_ED00).expect("CPUID") >> 4 & 0xFFF;
    assert_eq!(part, 0xC27, "not a Cortex-M7");
}
