//! The page in Debian's Chromium against canned answers: what it shows must be what the daemon said.

use bitrack_tests::browser::{Browser, Fixture, keys, open_demo, processes_with, story};
use serde_json::{Value, json};

fn crowd_count(browser: &Browser, kind: &str) -> u64 {
    let value = browser.eval(&format!("document.querySelector('#scatter .crowd.{kind}').dataset.count"));
    value.as_str().and_then(|count| count.parse().ok()).expect("a count")
}

fn episodes_at(browser: &Browser, css: &str) -> Vec<u64> {
    let list = browser.eval(&format!("[...document.querySelectorAll('{css}')].map(c => Number(c.dataset.episode))"));
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
    assert!(limits.contains("3.20 M") && limits.contains("instructions; flash 64 KiB, RAM 32 KiB"), "{limits}");
    assert_eq!(browser.eval("document.querySelector('[role=progressbar]').ariaValueNow"), json!("12"));
    assert_eq!(browser.complaints(), Vec::<String>::new());
    browser.shot("demo-light-1280");
    browser.prefer("dark");
    browser.shot("demo-dark-1280");
}

#[test]
fn a_prediction_stands_beside_its_measurement() {
    let (_fixture, browser) = open_demo("#/demo/9");
    browser.wait_text("#candidate [data-tile=predicted]", "2,675,096");
    assert!(browser.text("[data-tile=predicted]").contains("\u{2212}1.00 % against the measurement"));
    let error = browser.text("[data-tile=prediction]");
    assert!(error.contains("1.00 %") && error.contains("median over 4 candidates, at most 1.13 %"), "{error}");
    browser.click("tr[data-select='4'] td[data-column=accuracy]");
    browser.wait_text("#candidate h2", "Episode 4");
    assert_eq!(browser.eval("document.querySelector('[data-tile=predicted]')"), Value::Null, "nothing was predicted");
}

#[test]
fn the_front_is_the_front_by_definition() {
    let (_fixture, browser) = open_demo("");
    browser.click("[data-zoom=all]");
    browser.wait("document.querySelector('[data-zoom=all]').ariaPressed === 'true'");
    let points = story::points();
    assert_eq!(episodes_at(&browser, "#scatter .front circle"), story::front(&points));
    // The staircase runs through the front's points and nothing else: one move, then one level and one riser each.
    let stairs = browser.eval("document.querySelector('#scatter .front path').getAttribute('d')");
    assert_eq!(stairs.as_str().expect("a path").matches('H').count(), story::front(&points).len() - 1);
    browser.click("[data-filter=front]");
    browser
        .wait(&format!("document.querySelectorAll('.episodes tbody tr').length === {}", story::front(&points).len()));
}

#[test]
fn infeasible_points_and_limits_look_different() {
    let (_fixture, browser) = open_demo("");
    browser.click("[data-zoom=all]");
    browser.wait("document.querySelector('#scatter svg').dataset.shown === '10'");
    let searched: Vec<_> = story::points().into_iter().filter(|p| p.label.is_none()).collect();
    let feasible = searched.iter().filter(|p| p.is_feasible()).count() as u64;
    assert_eq!(crowd_count(&browser, "feasible"), feasible);
    assert_eq!(crowd_count(&browser, "infeasible"), searched.len() as u64 - feasible);
    let shapes = browser.eval("['feasible', 'infeasible'].map(k => document.querySelector(`#scatter .crowd.${k}`)).map(p => [p.getAttribute('d').includes('l6 6'), getComputedStyle(p).stroke])");
    assert_eq!((&shapes[0][0], &shapes[1][0]), (&json!(false), &json!(true)), "a dot and a cross");
    assert_ne!(shapes[0][1], shapes[1][1], "and another colour");
    assert_eq!(episodes_at(&browser, "#scatter .baseline.infeasible"), [0]);
    assert_eq!(browser.eval("document.querySelector('#scatter .limit').dataset.limit"), json!("3200000"));
    browser.click("[data-metric=flash]");
    browser.wait("document.querySelector('#scatter .limit')?.dataset.limit === '65536'");
    assert_eq!(browser.text("#scatter .limit text"), "limit 64 KiB");
    browser.click("[data-metric=ram]");
    browser.wait("document.querySelector('#scatter .limit')?.dataset.limit === '32768'");
    assert_eq!(browser.text("#scatter .x-title"), "RAM (planned arena bytes)");
}

#[test]
fn a_candidate_is_chosen_by_mouse_table_and_keyboard() {
    let (_fixture, browser) = open_demo("");
    assert!(browser.text("#candidate h2").contains("Episode 6"), "the best so far, until somebody chooses");
    browser.point("#scatter .front circle[data-episode='9']", false);
    browser.wait_text(
        ".tooltip:not([hidden])",
        "episode 9: 87.90 % accuracy, 2,702,118 instructions, feasible, on the Pareto front",
    );
    browser.click("#scatter .front circle[data-episode='9']");
    browser.wait_text("#candidate h2", "Episode 9");
    assert_eq!(browser.eval("location.hash"), json!("#/demo/9"));
    browser.click("tr[data-select='4'] td[data-column=accuracy]");
    browser.wait_text("#candidate h2", "Episode 4");
    assert_eq!(episodes_at(&browser, "#scatter .selection"), [4]);
    browser.eval("document.querySelector('#scatter .plot').focus()");
    browser.press(keys::UP);
    browser.wait_text("#candidate h2", "Episode 6");
    browser.press(keys::LEFT);
    browser.wait_text("#candidate h2", "Episode 10");
    browser.wait_text("#announcer", "episode 10: 89.55 % accuracy, 3,101,000 instructions, over a limit");
    browser.press(keys::HOME);
    browser.wait_text("#candidate h2", "uniform 2/2 (episode 2)");
    browser.eval("document.querySelector('tr[data-select=\"5\"] .row-button').focus()");
    browser.press(keys::ENTER);
    browser.wait_text("#candidate h2", "Episode 5");
    assert_eq!(browser.eval("document.activeElement.textContent"), json!("5"), "the focus stays where it was");
}

#[test]
fn a_candidate_shows_its_bits_layers_and_measurements() {
    let (_fixture, browser) = open_demo("#/demo/4");
    browser.wait_text("#candidate", "Measurements");
    let rows =
        "[...document.querySelectorAll('.strip-row')].map(r => [...r.querySelectorAll('i')].map(i => i.textContent))";
    let expected = json!([["8", "8", "4", "4", "4", "8", "2", "", "2"], ["8", "4", "4", "4", "4", "2", "8", "8", "8"]]);
    assert_eq!(browser.eval(rows), expected);
    let row = browser.eval("[...document.querySelectorAll('.layers tbody tr')[6].querySelectorAll('.bits')].map(b => [b.textContent, b.className])");
    assert_eq!(row, json!([["2", "badge bits bits-2"], ["2", "badge bits bits-2"], ["8", "badge bits bits-8"]]));
    // The longest bar is the costliest layer's: pw1 with 260 thousandths of 3,012,345.
    let bars = "[...document.querySelectorAll('.layer-bar i')].map(i => parseFloat(i.style.width))";
    assert_eq!(browser.eval(&format!("(bars => bars.indexOf(Math.max(...bars)))({bars})")), json!(2));
    assert!(browser.text(".layers tbody tr:nth-child(3)").contains("783 k"));
    let kinds = browser.eval("[...document.querySelectorAll('.layer-kind')].map(e => e.textContent).slice(0, 3).concat(document.querySelectorAll('.layer-kind')[7].textContent)");
    assert_eq!(kinds, json!(["conv2d \u{b7} general", "depthwise \u{b7} map", "conv2d \u{b7} pixels", "avg_pool"]));
    let meters = browser.text(".meters");
    for part in
        ["94.1 % of 3.20 M", "93.4 % of 64 KiB", "81.3 % of 32 KiB", "measured high-water mark 25.9 KiB", "stack 912 B"]
    {
        assert!(meters.contains(part), "{part} in {meters}");
    }
    let measurement = browser.text(".measurements");
    for part in ["Attempt 1 on v1", "3,012,345 instructions median, 3 identical repeats, outputs bit-exact"] {
        assert!(measurement.contains(part), "{part} in {measurement}");
    }
}

#[test]
fn a_candidate_is_compared_with_the_baseline_of_most_bits() {
    let (_fixture, browser) = open_demo("#/demo/4");
    browser.wait_text("#candidate", "uniform 8/8 for comparison");
    // 88.90 against 90.20 per cent, and 3,012,345 against 3,850,112 instructions.
    assert!(browser.text("#candidate [data-tile=accuracy]").contains("\u{2212}1.30 points on uniform 8/8"));
    assert!(browser.text("#candidate [data-tile=latency]").contains("\u{2212}21.8 % on uniform 8/8"));
    // pw1 takes 260 thousandths of both; the scale ends at the larger of the two.
    let bar = browser.eval("(row => [row.querySelector('.layer-bar i').style.width, row.querySelector('.layer-bar b').style.left])(document.querySelectorAll('.layers tbody tr')[2])");
    assert_eq!(bar, json!(["78.24%", "100%"]));
    browser.click("tr[data-select='0']");
    browser.wait_text("#candidate h2", "uniform 8/8 (episode 0)");
    assert!(!browser.text("#candidate").contains("for comparison"), "not with itself");
}

#[test]
fn episodes_are_sorted_by_any_column_with_the_unknown_last() {
    let (_fixture, browser) = open_demo("");
    let order = "[...document.querySelectorAll('.episodes tbody tr')].map(r => Number(r.dataset.select)).join(' ')";
    browser.click("[data-sort=ticks]");
    browser.wait("document.querySelector('th[aria-sort=descending] [data-sort=ticks]')");
    assert_eq!(browser.eval(order), json!("0 8 6 10 4 5 9 1 3 2 12 11 7"));
    browser.click("[data-sort=ticks]");
    browser.wait("document.querySelector('th[aria-sort=ascending] [data-sort=ticks]')");
    assert_eq!(browser.eval(order), json!("2 3 1 9 5 4 10 6 8 0 12 11 7"));
}

#[test]
fn the_theme_is_the_readers_and_stays() {
    let (fixture, browser) = open_demo("");
    let background = "getComputedStyle(document.body).backgroundColor";
    browser.prefer("dark");
    let dark = browser.eval(background);
    browser.click("#theme");
    browser.wait("document.documentElement.dataset.theme === 'light'");
    assert_ne!(browser.eval(background), dark);
    browser.open(&fixture.url("#/demo/5"));
    browser.wait("document.documentElement.dataset.theme === 'light'");
}

/// The WCAG contrast of each piece of text with what lies behind it, where it is too low.
const LOW_CONTRAST: &str = "(() => {
  const parse = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const light = (color) => color.slice(0, 3).map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => { for (let at = node; at; at = at.parentElement) { const color = parse(getComputedStyle(at).backgroundColor); if (color.length === 3) return color; } return [255, 255, 255]; };
  const low = [];
  for (const node of document.querySelectorAll('body *')) {
    const hasText = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!hasText || !node.checkVisibility() || node.closest('noscript, :disabled')) continue;
    const style = getComputedStyle(node);
    const [a, b] = [light(parse(node instanceof SVGElement ? style.fill : style.color)), light(behind(node))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) low.push(`${node.className?.baseVal ?? node.className} ${node.textContent.slice(0, 30)} ${contrast.toFixed(2)}`);
  }
  return [...new Set(low)];
})()";

#[test]
fn text_has_contrast_in_both_themes() {
    let (_fixture, browser) = open_demo("#/demo/7");
    browser.wait_text("#candidate", "Failures");
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        assert_eq!(browser.eval(LOW_CONTRAST), json!([]), "{scheme}");
    }
    browser.eval("document.querySelector('h2').style.setProperty('color', '#555')");
    assert_ne!(browser.eval(LOW_CONTRAST), json!([]), "the check itself sees a grey heading");
}

#[test]
fn what_can_be_used_has_a_name() {
    let (_fixture, browser) = open_demo("#/demo/4");
    browser.wait_text("#candidate", "Measurements");
    let tree = browser.command("Accessibility.getFullAXTree", json!({}));
    let nodes = tree["nodes"].as_array().expect("nodes");
    let named = ["button", "link", "progressbar", "meter", "application", "img", "navigation", "region"];
    let mut seen = 0;
    for node in nodes.iter().filter(|node| node["ignored"] == false) {
        let role = node["role"]["value"].as_str().unwrap_or_default();
        if named.contains(&role) {
            assert!(
                node["name"]["value"].as_str().is_some_and(|name| !name.is_empty()),
                "a {role} without a name: {node}"
            );
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen} named parts");
}

#[test]
fn failures_say_whose_fault_and_why() {
    let (_fixture, browser) = open_demo("#/demo/7");
    browser.wait_text("#candidate", "Failures");
    assert!(browser.text(".reason-line").contains("the board went silent in the middle of the run"));
    let classes = browser.eval("[...document.querySelectorAll('#candidate .failure')].map(f => f.dataset.class)");
    assert_eq!(classes, json!(["board", "rig"]));
    assert!(browser.text("#candidate .failure").contains("no answer for 10 s after layer 4"));
    browser.click("[data-filter=failed]");
    browser.wait("document.querySelectorAll('.episodes tbody tr').length === 1");
    assert!(browser.text(".episodes tbody").contains("the board went silent"));
    browser.click("[data-filter=infeasible]");
    browser.wait("document.querySelectorAll('.episodes tbody tr').length === 4");
    let rows = browser.text(".episodes tbody");
    for part in ["needs 71,200 bytes of flash, limit 65,536", "over limit: latency, flash, RAM", "over limit: flash"] {
        assert!(rows.contains(part), "{part} in {rows}");
    }
}

#[test]
fn the_rack_shows_state_wear_and_the_last_failure() {
    let (_fixture, browser) = open_demo("");
    let v1 = browser.text("[data-board=v1]");
    for part in ["virtual", "running", "campaign demo, episode 12", "61 of 1,000,000", "25 MHz nominal", "instructions"]
    {
        assert!(v1.contains(part), "{part} in {v1}");
    }
    let nucleo = browser.text("[data-board=nucleo]");
    for part in
        ["quarantined", "8,700 of 10,000, 87 %", "3 failures in a row", "rig\u{2019}s fault", "no acknowledge on SWD"]
    {
        assert!(nucleo.contains(part), "{part} in {nucleo}");
    }
    assert!(!nucleo.contains("virtual"));
}

#[test]
fn instructions_and_cycles_are_never_mixed() {
    let (fixture, browser) = open_demo("");
    assert!(browser.text("#scatter .x-title").contains("instructions on a virtual board"));
    assert_eq!(browser.count("[data-metric=time]"), 0, "an instruction is not a time");
    let mut stranger = story::candidate(&story::points()[4]);
    story::merge(&mut stranger, json!({ "id": 777, "index": 20, "unit": "cycles", "latency_ms": null }));
    let before = browser.eval("Number(document.querySelector('#scatter svg').dataset.shown)").as_u64();
    fixture.send("candidate", &stranger);
    browser.wait_text("#scatter .legend", "1 measured in another unit, not comparable");
    assert_eq!(browser.eval("Number(document.querySelector('#scatter svg').dataset.shown)").as_u64(), before);
}

#[test]
fn a_past_campaign_with_real_cycles_can_be_opened() {
    let (_fixture, browser) = open_demo("");
    browser.click(".campaigns a[href='#/kws-night']");
    browser.wait_text("#campaign", "kws-night");
    browser.wait_text("#scatter .x-title", "Latency (cycles)");
    browser.wait_text("#candidate", "82.3 ms");
    assert!(browser.text(".measurements").contains("3 repeats, 9,875,343 to 9,877,743 (spread 0.024 %)"));
    assert!(!browser.text("#campaign").contains("not time"));
    assert!(browser.text("[data-tile=limits]").contains("unlimited"));
    browser.click("[data-metric=time]");
    browser.wait_text("#scatter .x-title", "Time (ms)");
}

#[test]
fn text_from_outside_stays_text() {
    let evil = "<img src=x onerror=\"window.hacked = 1\"></td></svg><script>window.hacked = 2</script>";
    let fixture = Fixture::start(story::demo());
    let mut board = story::board(evil, "quarantined", Some(evil));
    board["last_failure"] = json!({ "id": 1, "class": evil, "what": evil, "message": evil, "evidence": { evil: evil }, "board": evil, "at": evil });
    let mut campaign = story::campaign(12);
    story::merge(
        &mut campaign,
        json!({ "name": evil, "state": evil, "reason": evil, "strategy": evil, "model": evil, "data": evil, "window": evil, "board_types": [evil] }),
    );
    let mut one = story::candidate(&story::points()[4]);
    story::merge(
        &mut one,
        json!({ "campaign": evil, "label": evil, "state": evil, "reason": evil, "strategy": evil, "board": evil, "unit": "instructions" }),
    );
    campaign["best"] = one.clone();
    let mut detail = story::detail(&one);
    story::merge(&mut detail, json!({ "failures": [board["last_failure"]], "wall": { evil: 1.0 } }));
    detail["layers"][0]["name"] = json!(evil);
    detail["layers"][0]["kind"] = json!(evil);
    fixture.answer("/api/rack", 200, json!({ "tool_revision": evil, "started_at": "", "boards": [board] }));
    fixture.answer("/api/campaigns", 200, json!([campaign]));
    fixture.answer(&format!("/api/campaigns/{}/candidates", encoded(evil)), 200, json!([one]));
    fixture.answer("/api/candidates/104", 200, detail);
    let browser = Browser::start(1280, 900);
    browser.open(&fixture.url(""));
    browser.wait_text("#candidate", "Sum of the layers");
    for part in ["#rack", "#campaigns", "#campaign", "#candidate", "#episodes", ".layers", ".failure"] {
        assert!(browser.text(part).contains("onerror"), "{part} shows the text as it is");
    }
    browser.point("#scatter .baseline path", false);
    browser.wait_text(".tooltip", "onerror");
    assert_eq!(browser.eval("window.hacked ?? null"), Value::Null);
    assert_eq!(browser.eval("document.querySelectorAll('.layout img, .layout script').length"), json!(0));
    assert_eq!(browser.complaints(), Vec::<String>::new(), "nothing was even tried");
}

// As JavaScript's encodeURIComponent does it, for ASCII.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

#[test]
fn ten_thousand_candidates_stay_light() {
    let fixture = Fixture::start(story::demo());
    let crowd = story::crowd(10_000);
    fixture.answer("/api/campaigns/demo/candidates", 200, Value::from(crowd.clone()));
    let browser = Browser::start(1280, 900);
    browser.open(&fixture.url(""));
    // The candidates come after the page; a zoom chosen before them would be chosen again for them.
    browser.wait("Number(document.querySelector('#scatter svg')?.dataset.shown) > 9000");
    browser.click("[data-zoom=all]");
    browser.wait("document.querySelector('#scatter svg').dataset.shown === '10000'");
    let elements = browser.count("*");
    assert!(elements < 2_500, "{elements} elements: they must not grow with the candidates");
    assert!(browser.text(".pager").contains("Page 1 of 400, 10,000 episodes"));
    browser.click(".pager [data-page='1']");
    browser.wait_text(".pager", "Page 2 of 400");
    fixture.send(
        "candidate",
        &story::candidate(&story::Point {
            index: 10_000,
            label: None,
            accuracy: 0.95,
            ticks: 2_000_000,
            flash: 1_000,
            ram: 1_000,
        }),
    );
    browser.wait("document.querySelector('#scatter svg').dataset.shown === '10001'");
    assert_eq!(episodes_at(&browser, "#scatter .front circle"), [10_000], "one that dominates all");
    browser.shot("crowd-1280");
}

#[test]
fn fits_a_telephone() {
    let (_fixture, browser) = open_demo("#/demo/4");
    browser.resize(400, 800);
    browser.wait_text("#candidate", "Measurements");
    browser.wait("document.querySelector('#scatter svg').getBoundingClientRect().right <= 400");
    assert_eq!(browser.eval("document.documentElement.scrollWidth"), json!(400), "nothing sticks out");
    browser.shot("demo-400");
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
