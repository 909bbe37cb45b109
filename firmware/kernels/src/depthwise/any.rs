//! Any kernel size: what the host runs, and the board for kernels other than 3x3 and for quads that are not whole.

#[cfg(target_arch = "arm")]
mod cortex_m;
#[cfg(not(target_arch = "arm"))]
mod portable;

#[cfg(target_arch = "arm")]
pub(super) use cortex_m::run;
#[cfg(not(target_arch = "arm"))]
pub(super) use portable::run;
