//! SysTick counts instructions: exactly, and the same every time.

mod support;

use std::io::Write;
use std::time::Duration;

use bitrack_virtual_board::Command;
use serialport::SerialPort;
use support::{attach, boot, core, read, serial, start};

/// Instructions between the two readings of SysTick in the test program.
const INSTRUCTIONS: u32 = 3 + 3 * 200_000;
/// The sum of 1 to 200,000, modulo 2^32.
const RESULT: u32 = (200_000u64 * 200_001 / 2) as u32;

/// Runs the counted loop: SysTick ticks.
fn count(port: &mut dyn SerialPort) -> u32 {
    port.write_all(b"c").expect("written");
    counted(port)
}

fn counted(port: &mut dyn SerialPort) -> u32 {
    let answer = read(port, 8);
    let word = |at: usize| u32::from_le_bytes([answer[at], answer[at + 1], answer[at + 2], answer[at + 3]]);
    assert_eq!(word(4), RESULT);
    word(0)
}

/// One instruction takes 256 ns, one tick 40 ns.
fn ticks(instructions: u32) -> u32 {
    instructions * 256 / 40
}

#[test]
fn count_is_exact_and_the_same_on_every_run_and_board() {
    let mut counts = Vec::new();
    for _ in 0..2 {
        let board = start();
        let mut port = serial(&board);
        boot(&board, &mut *port);
        for _ in 0..3 {
            counts.push(count(&mut *port));
            board.command(Command::Reset).expect("reset");
            assert_eq!(read(&mut *port, 1), b">");
        }
    }
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
    assert_eq!(counts[0], ticks(INSTRUCTIONS));
    assert_eq!((u64::from(counts[0]) * 40).div_ceil(256), u64::from(INSTRUCTIONS));
}

#[test]
fn debugging_a_running_program_changes_nothing_it_computes_or_counts() {
    let board = start();
    let mut port = serial(&board);
    boot(&board, &mut *port);
    let undisturbed = count(&mut *port);
    port.write_all(b"c").expect("written");
    for _ in 0..3 {
        let mut session = attach(&board);
        let mut core = core(&mut session);
        for _ in 0..10 {
            core.halt(Duration::from_secs(5)).expect("halted");
            core.run().expect("running");
        }
    }
    assert_eq!(counted(&mut *port), undisturbed);
}
