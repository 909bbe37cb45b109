//! A real browser for tests of the page, and a stand-in for the daemon that answers it.
//!
//! Knows WebDriver and the page's files; does not know the daemon (an end-to-end test starts that itself and hands over its
//! address). Chromium and chromedriver are Debian's; `cargo xtask test` installs them.

mod driver;
mod fixture;
pub mod story;

pub use driver::{Browser, keys, processes_with};
pub use fixture::Fixture;

/// A 1280-pixel page on the story's daemon, with a campaign's candidates drawn; `fragment` chooses what is on show.
pub fn open_demo(fragment: &str) -> (Fixture, Browser) {
    let fixture = Fixture::start(story::demo());
    let browser = Browser::start(1280, 900);
    browser.open(&fixture.url(fragment));
    browser.wait("document.querySelectorAll('.episodes tbody tr').length > 0");
    (fixture, browser)
}
