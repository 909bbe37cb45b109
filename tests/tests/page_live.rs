//! The page while things change: events, a daemon that goes away and comes back, answers that fail.

use bitrack_tests::browser::{Browser, Fixture, open_demo, story};
use serde_json::{Value, json};

fn shown(browser: &Browser) -> u64 {
    browser.eval("Number(document.querySelector('#scatter svg').dataset.shown)").as_u64().expect("a count")
}

fn new_best() -> Value {
    story::candidate(&story::Point {
        index: 13,
        label: None,
        accuracy: 0.897,
        ticks: 2_650_000,
        flash: 60_000,
        ram: 30_000,
    })
}

#[test]
fn an_event_changes_everything_it_concerns() {
    let (fixture, browser) = open_demo("");
    browser.click("[data-zoom=all]");
    browser.wait("document.querySelector('#scatter svg').dataset.shown === '10'");
    let best = new_best();
    let mut campaign = story::campaign(13);
    campaign["best"] = best.clone();
    fixture.answer("/api/candidates/113", 200, story::detail(&best));
    fixture.send("candidate", &best);
    fixture.send("campaign", &campaign);
    fixture.send("board", &story::board("v2", "flashing", Some("campaign demo, episode 14")));
    browser.wait_text("[data-tile=measured]", "13 of 60");
    browser.wait_text("[data-tile=best]", "89.70 %");
    browser.wait_text("#candidate h2", "Episode 13");
    browser.wait_text("#candidate", "2,650,000 instructions median");
    browser.wait_text("[data-board=v2]", "flashing");
    assert_eq!(shown(&browser), 11);
    let front =
        browser.eval("[...document.querySelectorAll('#scatter .front circle')].map(c => Number(c.dataset.episode))");
    assert_eq!(front, json!([2, 3, 1, 13]), "those it dominates have left the front");
    assert_eq!(browser.eval("document.title"), json!("demo 13/60 \u{b7} Bitrack"));
}

#[test]
fn the_readers_choice_survives_a_new_best() {
    let (fixture, browser) = open_demo("#/demo/4");
    browser.wait_text("#candidate", "Measurements");
    let mut campaign = story::campaign(13);
    campaign["best"] = new_best();
    fixture.send("candidate", &new_best());
    fixture.send("campaign", &campaign);
    browser.wait_text("[data-tile=best]", "89.70 %");
    assert!(browser.text("#candidate h2").contains("Episode 4"));
}

#[test]
fn a_restarted_daemon_is_noticed_and_nothing_is_lost_or_doubled() {
    let (mut fixture, browser) = open_demo("#/demo/4");
    browser.wait_text("#candidate", "Measurements");
    browser.click("[data-zoom=all]");
    browser.wait("document.querySelector('#scatter svg').dataset.shown === '10'");
    let before = shown(&browser);
    fixture.stop();
    browser.wait_text("#notice", "The daemon does not answer. Everything below is as of");
    browser.wait_text("#link", "stale since");
    assert_eq!(shown(&browser), before, "what was known stays on show");
    assert!(browser.text("#candidate").contains("Measurements"));
    browser.shot("stale-1280");

    // Meanwhile one more was measured, and the page saw no event of it.
    let mut candidates =
        story::demo().into_iter().find(|(path, _)| path.ends_with("demo/candidates")).expect("the story has them").1;
    candidates.as_array_mut().expect("a list").push(new_best());
    fixture.answer("/api/campaigns/demo/candidates", 200, candidates);
    fixture.answer("/api/campaigns", 200, json!([story::campaign(13)]));
    fixture.restart();
    browser.wait_text("#link", "live");
    browser.wait_text("[data-tile=measured]", "13 of 60");
    browser.wait(&format!("Number(document.querySelector('#scatter svg').dataset.shown) === {}", before + 1));
    assert_eq!(browser.text("#notice"), "");
    assert!(browser.text("#candidate h2").contains("Episode 4"), "the same candidate is on show");
    assert_eq!(browser.count("tr[data-select='13']"), 1);
    // The new connection is alive, too.
    fixture.send("campaign", &story::campaign(14));
    browser.wait_text("[data-tile=measured]", "14 of 60");
}

#[test]
fn a_connection_that_went_mute_is_noticed() {
    let (fixture, browser) = open_demo("");
    browser.wait_text("#link", "live");
    fixture.answer("/api/rack", 503, Value::Null);
    browser.eval("(now => { Date.now = () => now() + 60_000; })(Date.now.bind(Date))");
    browser.wait_text("#link", "stale since");
    fixture.answer("/api/rack", 200, story::rack());
    browser.wait_text("#link", "live");
}

#[test]
fn lost_events_make_the_page_read_again() {
    let (fixture, browser) = open_demo("");
    fixture.answer("/api/campaigns", 200, json!([story::campaign(30)]));
    fixture.send("lagged", &json!({ "missed": 12 }));
    browser.wait_text("[data-tile=measured]", "30 of 60");
}

#[test]
fn a_page_older_than_the_daemon_offers_to_reload() {
    let (mut fixture, browser) = open_demo("");
    browser.wait_text("#link", "live");
    fixture.stop();
    browser.wait_text("#link", "stale");
    let mut rack = story::rack();
    rack["tool_revision"] = json!("feedbeef");
    fixture.answer("/api/rack", 200, rack);
    fixture.restart();
    browser.wait_text("#notice", "The daemon was updated.");
}

#[test]
fn an_answer_that_fails_is_said_and_tried_again() {
    let fixture = Fixture::start(story::demo());
    let busy = json!({ "error": { "kind": "store", "message": "the database is locked", "help": null } });
    fixture.answer("/api/campaigns/demo/candidates", 503, busy.clone());
    fixture.answer("/api/candidates/106", 503, busy);
    let browser = Browser::start(1280, 900);
    browser.open(&fixture.url(""));
    browser.wait_text("#notice", "Not everything could be read: the database is locked");
    browser.wait_text("#candidate", "The details could not be read: the database is locked");
    for (path, body) in story::demo() {
        fixture.answer(&path, 200, body);
    }
    browser.wait("document.querySelectorAll('.episodes tbody tr').length === 13");
    assert_eq!(browser.text("#notice"), "");
}

#[test]
fn a_daemon_without_boards_or_campaigns_says_what_to_do() {
    let fixture = Fixture::start([
        ("/api/rack".to_owned(), json!({ "tool_revision": "1", "started_at": "2026-05-01T20:00:00Z", "boards": [] })),
        ("/api/campaigns".to_owned(), json!([])),
    ]);
    let browser = Browser::start(1280, 900);
    browser.open(&fixture.url(""));
    browser.wait_text("#campaigns", "hil campaign start NAME");
    browser.wait_text("#rack", "hil doctor");
    browser.shot("empty-1280");
}

#[test]
fn a_page_asks_only_its_own_daemon() {
    let (fixture, browser) = open_demo("");
    browser.wait_text("#candidate", "Measurements");
    let foreign = browser
        .eval("performance.getEntriesByType('resource').map(r => r.name).filter(n => !n.startsWith(location.origin))");
    assert_eq!(foreign, json!([]));
    assert!(fixture.requests().iter().all(|path| !path.starts_with("http")));
}
