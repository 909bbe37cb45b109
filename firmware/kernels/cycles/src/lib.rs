//! A plugin for QEMU that estimates Cortex-M4 cycles from the instructions that were executed.
//!
//! The model, without wait states: one cycle per instruction, and on top
//! - 1 for a load that does not follow another load or store in line (those overlap),
//! - 1 for every register of `LDM`, `STM`, `PUSH`, `POP`, `LDRD`, `STRD`, `VLDM`, `VSTM`,
//! - 2 for a taken branch, by whatever instruction,
//! - 6 for a division.
//!
//! An estimate: no chip was measured. Knows Thumb encodings and QEMU's plugin interface; does not know kernels. The program
//! under it marks what to count: see `board::count` in `firmware/kernels/bench`.

mod thumb;

// The interface's functions live in QEMU: without it there is nothing to link a test program with.
#[cfg(not(test))]
mod plugin;
