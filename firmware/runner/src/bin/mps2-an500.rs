//! The runner for QEMU's `mps2-an500`.
#![no_std]
#![no_main]

bitrack_runner::firmware!(bitrack_runner::mps2::Mps2<{ bitrack_runner::mps2::AN500 }>);
