//! Searches on the page: compared at an equal number of measurements, and those that are after the front.

use bitrack_tests::browser::{Browser, Fixture, open_demo, story};
use serde_json::{Value, json};

/// A finished search of the demo's model.
fn search(id: u64, name: &str, strategy: &str, seed: u64) -> Value {
    let mut campaign = story::campaign(40);
    let change = json!({ "id": id, "name": name, "strategy": strategy, "seed": seed, "state": "finished", "budget": 40, "best": null });
    story::merge(&mut campaign, change);
    campaign
}

fn spread(median: Option<f64>, low: Option<f64>, high: Option<f64>) -> Value {
    json!({ "median": median, "low": low, "high": high })
}

/// After `n` measurements; the last three are what all seeds stay at.
fn after(n: u64, campaigns: u64, reward: Value) -> Value {
    json!({ "measurements": n, "campaigns": campaigns, "reward": reward, "accuracy": spread(Some(0.9), Some(0.9), Some(0.9)) })
}

fn compared(name: &str, seed: u64, reward: Option<f64>) -> Value {
    json!({ "name": name, "seed": seed, "state": "finished", "measured": 40, "best_reward": reward, "best_accuracy": 0.9 })
}

/// Two seeds of evolution between -0.4 and 0.1, the second without anything feasible at first; one of ilp at 0.05 from its start.
fn comparison() -> Value {
    let evolution = |n: u64| match n {
        1..=4 => spread(None, None, Some(-0.9)),
        5..=24 => spread(Some(-0.4), Some(-0.5), Some(-0.3)),
        _ => spread(Some(0.0), Some(-0.1), Some(0.1)),
    };
    let ilp = |_: u64| spread(Some(0.05), Some(0.05), Some(0.05));
    let strategy = |name: &str, campaigns: Vec<Value>, reward: &dyn Fn(u64) -> Value| {
        let seeds = campaigns.len() as u64;
        let at = |n: u64| after(n, seeds, reward(n));
        json!({ "name": name, "campaigns": campaigns, "milestones": [at(10), at(25)], "curve": (1..=40).map(at).collect::<Vec<_>>(),
                "best": story::candidate(&story::points()[4]) })
    };
    let seeds = vec![compared("evo-1", 1, Some(0.1)), compared("evo-2", 2, Some(-0.1))];
    json!({ "unit": "instructions", "notes": ["campaign evo-2 is stopped: it counts up to its 40 measurements"],
            "strategies": [strategy("evolution", seeds, &evolution), strategy("ilp", vec![compared("ilp-1", 1, Some(0.05))], &ilp)] })
}

fn open(fragment: &str) -> (Fixture, Browser) {
    let fixture = Fixture::start(story::demo());
    let other = {
        let mut other = search(8, "other", "ilp", 1);
        other["model"] = json!("/data/other.tflite");
        other
    };
    let profile = search(9, "profile-of-it", "profile", 1);
    let mut list =
        vec![search(5, "evo-1", "evolution", 1), search(6, "evo-2", "evolution", 2), search(7, "ilp-1", "ilp", 1)];
    list.extend([other, profile]);
    fixture.answer("/api/campaigns", 200, Value::from(list));
    for campaigns in ["7,6,5", "6,5"] {
        fixture.answer(&format!("/api/compare?campaigns={campaigns}"), 200, comparison());
    }
    let refused = json!({ "error": { "kind": "invalid", "message": "campaigns differ in model", "help": null } });
    fixture.answer("/api/compare?campaigns=8", 400, refused);
    let browser = Browser::start(1280, 900);
    browser.open(&fixture.url(fragment));
    (fixture, browser)
}

fn cell(browser: &Browser, strategy: &str, column: &str) -> String {
    browser.text(&format!("tr[data-strategy={strategy}] [{column}]"))
}

#[test]
fn strategies_stand_side_by_side_with_median_range_and_when_it_was_reached() {
    let (_fixture, browser) = open("#?compare=evo-1,evo-2,ilp-1");
    browser.wait_text("#compare", "In the end");
    let minus = '\u{2212}';
    assert_eq!(cell(&browser, "evolution", "data-after='10'"), format!("{minus}0.400 {minus}0.500 to {minus}0.300"));
    assert_eq!(cell(&browser, "evolution", "data-after='end'"), format!("0.000 {minus}0.100 to 0.100"));
    assert_eq!(cell(&browser, "evolution", "data-reached"), "25");
    assert_eq!(cell(&browser, "ilp", "data-after='25'"), "0.050", "one seed has no range");
    assert_eq!(cell(&browser, "ilp", "data-reached"), "1");
    assert!(browser.text(".notes").contains("evo-2 is stopped"));
    assert_eq!(browser.text("tr[data-strategy=evolution] a[href='#/demo/4']"), "88.90 %");
    assert!(!browser.eval("document.querySelector('#episodes').checkVisibility()").as_bool().expect("a flag"));
    assert_eq!(browser.complaints(), Vec::<String>::new());
    browser.shot("compare-light-1280");
    browser.prefer("dark");
    browser.shot("compare-dark-1280");
}

#[test]
fn the_curve_is_a_line_for_the_median_and_a_band_for_the_range() {
    let (_fixture, browser) = open("#?compare=evo-1,evo-2,ilp-1");
    browser.wait_text("#compare", "In the end");
    let path = |css: &str| {
        browser.eval(&format!("document.querySelector('{css}').getAttribute('d')")).as_str().expect("a path").to_owned()
    };
    let line = path("[data-series=evolution]");
    // From the fifth measurement, where the median begins: 36 of them, each a level and a riser but the first.
    assert_eq!(line.matches('H').count(), 35, "{line}");
    assert!(path(".series-band.series-0").ends_with('Z'));
    assert_eq!(path(".series-band.series-1"), "", "one seed has no range");
    // What the first tenth alone knows does not squash the rest: -0.9 lies below the picture.
    let labels = browser.eval("[...document.querySelectorAll('#compare .axes text')].map(t => t.textContent)");
    assert!(
        !labels
            .as_array()
            .expect("labels")
            .iter()
            .any(|label| label.as_str().is_some_and(|l| l.starts_with("\u{2212}0.7"))),
        "{labels}"
    );
    let name = browser.eval("document.querySelector('#compare svg.curve').getAttribute('aria-label')");
    assert!(name.as_str().is_some_and(|name| name.contains("evolution 0.000, ilp 0.050")), "{name}");
}

#[test]
fn campaigns_are_chosen_one_by_one_or_by_strategy_and_the_address_remembers() {
    let (fixture, browser) = open("");
    browser.wait_text("#campaigns", "Compare searches");
    // What the newest campaign lacks is told above everything else: until then the link may move away from under the pointer.
    browser.wait_text("body", "Not everything could be read");
    browser.click(".compare-link");
    browser.wait_text("#compare", "In the end");
    let pressed =
        "[...document.querySelectorAll('.segments [data-toggle][aria-pressed=true]')].map(b => b.textContent)";
    assert_eq!(browser.eval(pressed), json!(["ilp-1", "evo-2", "evo-1"]), "all of one model, and no profile");
    assert!(!browser.text(".picker").contains("profile-of-it"));
    browser.click(".picker-row[data-key=ilp] [data-key=ilp-1]");
    browser.wait("location.hash === '#?compare=evo-2,evo-1'");
    browser.wait_text("#compare", "In the end");
    assert!(fixture.requests().contains(&"/api/compare?campaigns=6,5".to_owned()));
    browser.click(".problem:not(:has([aria-pressed=true])) [data-key=other]");
    browser.wait("location.hash === '#?compare=other'");
    browser.wait_text("#compare .reason-line", "campaigns differ in model");
    browser.click(".picker-row[data-key=evolution] > .row-button");
    browser.wait("location.hash === '#?compare=evo-2,evo-1'");
    browser.click(".campaigns a[href='#/evo-1']");
    browser.wait_text("#campaign", "evo-1");
    assert!(browser.eval("document.querySelector('#compare').hidden").as_bool().expect("a flag"));
}

#[test]
fn many_campaigns_are_grouped_and_fit_a_telephone() {
    let fixture = Fixture::start(story::demo());
    let strategies = ["ddpg", "ilp", "evolution", "reinforce", "random", "uniform", "rule-based", "evolution-warm"];
    let many: Vec<Value> = (0..80u64)
        .map(|i| {
            search(100 + i, &format!("{}-{}", strategies[i as usize % 8], i / 8), strategies[i as usize % 8], i / 8)
        })
        .collect();
    let ids: Vec<String> = (0..80).rev().map(|i| (100 + i).to_string()).collect();
    let mut all = comparison();
    all["strategies"] = strategies
        .iter()
        .map(|name| {
            let mut one = comparison()["strategies"][0].clone();
            one["name"] = json!(name);
            one
        })
        .collect();
    fixture.answer("/api/campaigns", 200, Value::from(many));
    fixture.answer(&format!("/api/compare?campaigns={}", ids.join(",")), 200, all);
    let browser = Browser::start(1280, 900);
    browser.open(&fixture.url("#?compare="));
    browser.wait_text("#compare", "In the end");
    assert_eq!(browser.count(".picker-row"), 8);
    assert_eq!(
        browser.count(".series-line.broken[data-series]"),
        1,
        "an eighth strategy has the first one's colour, broken"
    );
    browser.shot("compare-many-1280");
    browser.resize(400, 800);
    browser.wait("document.querySelector('#compare svg.curve').getBoundingClientRect().right <= 400");
    assert_eq!(browser.eval("document.documentElement.scrollWidth"), json!(400), "nothing sticks out");
    browser.shot("compare-many-400");
}

#[test]
fn a_campaign_that_is_after_the_front_shows_it() {
    let (fixture, browser) = open_demo("");
    let mut campaign = story::campaign(13);
    campaign["objective"] = json!("front");
    fixture.send("campaign", &campaign);
    // Beaten in accuracy and ticks, but by nothing that is as small.
    let small = story::Point { index: 20, label: None, accuracy: 0.80, ticks: 2_500_000, flash: 28_000, ram: 12_000 };
    fixture.send("candidate", &story::candidate(&small));
    let mut front = story::front(&story::points());
    front.push(20);
    browser.wait_text("[data-tile=front] b", &front.len().to_string());
    browser.click("[data-filter=front]");
    browser.wait(&format!("document.querySelectorAll('.episodes tbody tr').length === {}", front.len()));
    browser.click("[data-zoom=all]");
    browser.wait("document.querySelector('.whole-front [data-episode=\"20\"]')");
    assert_eq!(browser.count("#scatter .front [data-episode='20']"), 0, "it is not on this plot's front");
    assert!(browser.text("#scatter .legend").contains(&format!("front of all costs {}", front.len())));
    browser.shot("front-1280");
}
