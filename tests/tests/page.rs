//! The page in Debian's Chromium against canned answers: what it shows must be what the daemon said.

use bitrack_tests::browser::{Browser, Fixture, keys, processes_with, story};
use serde_json::{Value, json};

/// A page on the story's daemon, with the campaign `demo` on show and all of its candidates drawn.
fn open_demo(fragment: &str) -> (Fixture, Browser) {
    let fixture = Fixture::start(story::demo());
    let browser = Browser::start(1280, 900);
    browser.open(&fixture.url(fragment));
    browser.wait("document.querySelectorAll('.episodes tbody tr').length > 0");
    (fixture, browser)
}

fn path_count(browser: &Browser, kind: &str) -> u64 {
    let value = browser.eval(&format!("document.querySelector('.crowd.{kind}').dataset.count"));
    value.as_str().and_then(|count| count.parse().ok()).expect("a count")
}

fn front_on_page(browser: &Browser) -> Vec<u64> {
    let list = browser.eval("[...document.querySelectorAll('#scatter .front circle')].map(c => Number(c.dataset.episode))");
    serde_json::from_value(list).expect("a list of indices")
}

#[test]
fn shows_the_figures_the_daemon_gave() {
    let (_fixture, browser) = open_demo("");
    browser.wait_text("#candidate", "Measurements");
    assert!(browser.text("#link").contains("live"));
    assert_eq!(browser.text("#rack-summary"), "3 boards: 1 running, 1 ready, 1 quarantined");
    assert!(browser.text("[data-tile=measured]").contains("12 of 60"));
    let best = browser.text("[data-tile=best]");
    assert!(best.contains("89.30 %") && best.contains("3,195,220 instructions, episode 6"), "{best}");
    // 48 candidates at 412 per hour are 419 seconds.
    assert!(browser.text("[data-tile=eta]").contains("about 7 min"));
    let limits = browser.text("[data-tile=limits]");
    assert!(limits.contains("3.20 M instructions") && limits.contains("flash 64 KiB, RAM 32 KiB"), "{limits}");
    assert_eq!(browser.eval("document.querySelector('[role=progressbar]').ariaValueNow"), json!("12"));
    browser.shot("demo-light-1280");
    browser.prefer("dark");
    browser.shot("demo-dark-1280");
}

#[test]
fn leaves_no_process_behind_even_after_a_panic() {
    let browser = Browser::start(400, 300);
    let mark = browser.mark().to_owned();
    assert!(processes_with(&mark).len() > 2, "chromedriver, Chromium and its children are running");
    let panicked = std::thread::spawn(move || {
        let _browser = browser;
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    assert_eq!(processes_with(&mark), Vec::<i32>::new());
}

/// A daemon whose campaign `demo` has `n` candidates.
fn crowded(n: u64) -> (Fixture, Browser) {
    let fixture = Fixture::start(story::demo());
    fixture.answer("/api/campaigns/demo/candidates", 200, Value::from(story::crowd(n)));
    let browser = Browser::start(1280, 900);
    browser.open(&fixture.url(""));
    (fixture, browser)
}

#[test]
fn ten_thousand_candidates_stay_light() {
    let (_fixture, browser) = crowded(10_000);
    browser.wait("document.querySelector('#scatter svg').dataset.shown > 5000");
    browser.shot("crowd-1280");
}

#[test]
fn fits_a_telephone() {
    let (_fixture, browser) = open_demo("#/demo/4");
    browser.resize(400, 800);
    browser.wait_text("#candidate", "Measurements");
    browser.shot("demo-400");
}
