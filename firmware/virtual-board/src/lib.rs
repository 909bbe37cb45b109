//! An emulated board that a debugger cannot tell from a real one.
//!
//! QEMU emulates the machine. In front of it sit a debug probe that speaks the Black Magic remote
//! protocol over TCP, so that unmodified probe-rs attaches, flashes, runs and debugs, and a pseudo
//! terminal that carries the UART. Faults can be injected on purpose: see [`Command`].
//!
//! ```text
//! probe-rs --TCP--> server -> probe -> target -> qemu --socket pairs--> qemu-system-arm
//! program --pty---> serial ---------------------------socket pair-----> its UART 0
//! ```
//!
//! The machine runs with `-icount shift=8`: SysTick, at 25 MHz, counts instructions exactly,
//! `instructions = ticks * 40 / 256`. These are instructions, not cycles of any chip. Time spent
//! asleep in WFI is not repeatable.
//!
//! This crate does not know images, runners or the daemon: it runs whatever is flashed. It knows
//! nothing of a real chip's timing either.

mod board;
mod command;
mod error;
mod flash;
mod mailbox;
mod memory_map;
mod options;
mod probe;
mod qemu;
mod serial;
mod server;
mod target;

pub use board::{Commander, VirtualBoard};
pub use command::Command;
pub use error::Error;
pub use memory_map::{FLASH_BYTES, FLASH_START, RAM_BYTES, RAM_START, SECTOR_BYTES, UART0};
pub use options::{Machine, Options};

/// The probe-rs target description of the machines, flash algorithm included.
pub const TARGET_YAML: &str = include_str!("../mps2.yaml");
