//! A real browser for tests of the page, and a stand-in for the daemon that answers it.
//!
//! Knows WebDriver and the page's files; does not know the daemon (an end-to-end test starts that itself and hands over its
//! address). Chromium and chromedriver are Debian's; `cargo xtask test` installs them.

mod driver;
mod fixture;
pub mod story;

pub use driver::{Browser, keys, processes_with};
pub use fixture::Fixture;
