//! The page on the real daemon with a real campaign: what it shows is what the API and the database say, also across a restart.

use std::time::Duration;

use bitrack_tests::browser::Browser;
use bitrack_tests::lab::{Lab, shared_data};
use serde_json::{Value, json};

/// A campaign of eight candidates on two boards takes well under a minute on an idle machine.
const PATIENCE: Duration = Duration::from_secs(300);

const BOARDS: &str = r#"
[[board]]
name = "v1"
type = "mps2-an386"
virtual = true

[[board]]
name = "v2"
type = "mps2-an386"
virtual = true
"#;

fn campaign(data: &std::path::Path) -> String {
    let data = data.display();
    format!(
        r#"
[campaign.kws]
model = "{data}/kws/ds_cnn_float.tflite"
data = "{data}/kws"
budget = 8
board-types = ["mps2-an386"]
strategy = "random"
limits = {{ flash = "75%", ram = "100%", latency = "150%" }}
"#
    )
}

#[test]
fn the_page_shows_the_rack_before_and_after_a_restart() {
    let mut lab = Lab::start(BOARDS);
    let browser = Browser::start(1280, 900);
    browser.open(&lab.url());
    for board in ["v1", "v2"] {
        browser.wait_text(&format!("[data-board={board}]"), "ready");
    }
    let rack = lab.get("/api/rack");
    let revision = rack["boards"][0]["identity"]["firmware_revision"].as_str().expect("a revision").to_owned();
    assert!(browser.text("[data-board=v1]").contains(&revision[..7]));
    assert!(browser.text("[data-board=v1]").contains("virtual"));
    lab.kill_daemon();
    browser.wait_text("#notice", "The daemon does not answer.");
    assert!(browser.text("[data-board=v1]").contains("ready"), "what was known stays on show");
    lab.start_daemon();
    browser.wait_text("#link", "live");
    browser.wait_text("[data-board=v2]", "ready");
    assert_eq!(severe(&browser), Vec::<String>::new());
}

fn numbers(value: Value) -> Vec<u64> {
    serde_json::from_value(value).expect("a list of numbers")
}

fn indices(candidates: &Value) -> Vec<u64> {
    candidates.as_array().expect("a list").iter().map(|one| one["index"].as_u64().expect("an index")).collect()
}

#[test]
fn the_page_follows_a_campaign_and_a_restart_of_the_daemon() {
    let Some(data) = shared_data("the_page_follows_a_campaign_and_a_restart_of_the_daemon") else { return };
    let mut lab = Lab::start(&(BOARDS.to_owned() + &campaign(&data)));
    let browser = Browser::start(1280, 900);
    browser.open(&lab.url());
    browser.wait_text("#link", "live");
    lab.wait_for_boards();
    browser.wait_text("[data-board=v1]", "ready");
    lab.ok(&["campaign", "start", "kws"]);
    browser.wait_text("#campaign", "kws");
    lab.wait_for_measured("kws", 3, PATIENCE);
    browser.wait("document.querySelectorAll('.episodes tbody tr').length >= 3");

    lab.kill_daemon();
    browser.wait_text("#notice", "The daemon does not answer.");
    lab.start_daemon();
    browser.wait_text("#link", "live");
    lab.wait_for_campaign("kws", &["finished"], PATIENCE);
    browser.wait_text("#campaign", "finished");
    browser.wait_text("[data-tile=measured]", "8 of 8");
    agrees_with_the_api(&lab, &browser);
    assert_eq!(severe(&browser), Vec::<String>::new());
    browser.shot("kws-1280");
}

fn agrees_with_the_api(lab: &Lab, browser: &Browser) {
    let candidates = lab.get("/api/campaigns/kws/candidates");
    let front = lab.get("/api/campaigns/kws/pareto");
    browser.click("[data-zoom=all]");
    browser.wait(&format!("document.querySelectorAll('.episodes tbody tr').length === {}", indices(&candidates).len()));
    let mut rows = numbers(
        browser.eval("[...document.querySelectorAll('.episodes tbody tr')].map(r => Number(r.dataset.select))"),
    );
    rows.sort_unstable();
    assert_eq!(rows, indices(&candidates), "each episode once");
    let drawn = "[...document.querySelectorAll('#scatter .front circle')].map(c => Number(c.dataset.episode))";
    assert_eq!(numbers(browser.eval(drawn)), indices(&front));
    let best = &lab.get("/api/campaigns/kws")["best"];
    let detail = lab.get(&format!("/api/candidates/{}", best["id"]));
    browser.wait_text("#candidate", "outputs bit-exact");
    let weights: Vec<Value> =
        detail["layers"].as_array().expect("layers").iter().map(|layer| layer["weight_bits"].clone()).collect();
    let strip = browser.eval("[...document.querySelectorAll('.strip-row')[0].querySelectorAll('i')].map(i => i.textContent ? Number(i.textContent) : null)");
    assert_eq!(strip, json!(weights));
    let ticks =
        lab.query(&format!("SELECT ticks_median FROM measurements WHERE episode = {} AND accepted = 1", best["id"]));
    let ticks = ticks[0]["ticks_median"].as_u64().expect("a count").to_string();
    assert_eq!(browser.text("#candidate [data-tile=latency] b").replace(',', ""), ticks);
}

/// Complaints apart from those about the time without a daemon.
fn severe(browser: &Browser) -> Vec<String> {
    browser.complaints().into_iter().filter(|line| !line.contains("net::ERR_")).collect()
}
