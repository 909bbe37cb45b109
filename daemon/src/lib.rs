//! `hil`: the daemon that owns a rack of boards, and its command line.
//!
//! Owns the rack, flashing, measuring, campaigns, the store and the HTTP API. Does not know tensors, networks or
//! strategies: a candidate is an image with a header, a policy is JSON that it keeps. Only [`store`] knows SQL.

pub mod api;
pub mod campaign;
pub mod cli;
pub mod compare;
pub mod config;
pub mod daemon;
pub mod images;
pub mod logs;
pub mod measuring;
pub mod process;
pub mod rack;
pub mod store;
pub mod types;

/// The source revision this daemon was built from.
pub fn revision() -> &'static str {
    env!("HIL_REVISION")
}
