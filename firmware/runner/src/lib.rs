//! The firmware: answers the host over a serial line, validates images, runs them, counts.
//!
//! Owns the [`session`] (one request, its answers), the painted high-water marks, and for each board a small file with
//! its clock, timer and UART. Does not know files, campaigns or floats, and decides nothing: what to run and what a
//! number means is the host's affair.
//!
//! All of it but [`arm`] and the boards also compiles for the host, where the tests run it against a board made of
//! memory.
#![cfg_attr(not(test), no_std)]

#[cfg(target_arch = "arm")]
pub mod arm;
pub mod board;
mod counter;
mod known;
mod measure;
#[cfg(all(target_arch = "arm", any(feature = "mps2-an386", feature = "mps2-an500")))]
pub mod mps2;
mod paint;
mod report;
pub mod session;
#[cfg(all(target_arch = "arm", any(feature = "nucleo-l4r5zi", feature = "nucleo-h743zi")))]
pub mod stm32;

pub use counter::WideCounter;
pub use measure::current_op;

/// The source revision this firmware was built from; the crate's version where the build did not say.
pub const REVISION: &str = match option_env!("BITRACK_REVISION") {
    Some(revision) if !revision.is_empty() => revision,
    _ => env!("CARGO_PKG_VERSION"),
};
