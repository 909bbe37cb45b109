//! The page's pure modules, called in the browser that will run them.

use bitrack_tests::browser::{Browser, Fixture};
use serde_json::{Value, json};

fn modules() -> (Fixture, Browser) {
    let fixture = Fixture::start([]);
    let browser = Browser::start(400, 300);
    browser.open(&fixture.url(""));
    (fixture, browser)
}

fn call(browser: &Browser, module: &str, expression: &str) -> Value {
    let value = browser.eval(&format!("await import('/js/{module}.js').then(m => ({expression}))"));
    match value {
        Value::String(text) => Value::from(text.replace('\u{a0}', " ")),
        other => other,
    }
}

#[test]
fn numbers_read_as_people_write_them() {
    let (_fixture, browser) = modules();
    for (expression, wanted) in [
        ("m.count(3012345)", "3,012,345"),
        ("m.count(null)", "\u{2013}"),
        ("m.count(NaN)", "\u{2013}"),
        ("m.compact(3012345)", "3.01 M"),
        ("m.compact(999999)", "1.00 M"),
        ("m.compact(0)", "0"),
        ("m.compact(12800)", "12.8 k"),
        ("m.percent(0.889)", "88.90 %"),
        ("m.percent(0)", "0.00 %"),
        ("m.bytes(0)", "0 B"),
        ("m.bytes(1023)", "1,023 B"),
        ("m.bytes(65536)", "64 KiB"),
        ("m.bytes(61234)", "59.8 KiB"),
        ("m.bytes(3145728)", "3 MiB"),
        ("m.milliseconds(12.3)", "12.3 ms"),
        ("m.milliseconds(12300)", "12.3 s"),
        ("m.duration(40)", "40 s"),
        ("m.duration(419)", "7 min"),
        ("m.duration(3 * 3600 + 300)", "3 h 05 min"),
        ("m.time('nonsense')", "\u{2013}"),
        ("m.plural(1, 'board')", "1 board"),
    ] {
        assert_eq!(call(&browser, "format", expression), json!(wanted), "{expression}");
    }
}

/// Small integers make ties and equal candidates common.
const RANDOM_FRONTS: &str = "(() => {
  let seed = 1;
  const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
  const metric = m.METRICS.latency;
  const dominates = (a, b) => a.accuracy >= b.accuracy && a.ticks <= b.ticks && (a.accuracy > b.accuracy || a.ticks < b.ticks || a.index < b.index);
  for (let round = 0; round < 500; round += 1) {
    const all = Array.from({ length: random(25) }, (_, index) => ({ index, accuracy: random(8), ticks: random(8), unit: 'cycles', feasible: [true, true, false, null][random(4)] }));
    const feasible = all.filter((one) => one.feasible === true);
    const wanted = feasible.filter((one) => !feasible.some((other) => dominates(other, one))).map((one) => one.index).sort((a, b) => a - b);
    const got = m.paretoFront(m.placed(all, metric, 'cycles').shown, metric).map((one) => one.index).sort((a, b) => a - b);
    if (JSON.stringify(got) !== JSON.stringify(wanted)) return { round, all, got, wanted };
  }
  return 'all equal';
})()";

#[test]
fn the_front_equals_brute_force() {
    let (_fixture, browser) = modules();
    assert_eq!(call(&browser, "metrics", RANDOM_FRONTS), json!("all equal"));
    // The checker itself: with a front that keeps dominated candidates it must complain.
    let broken = RANDOM_FRONTS.replace("m.paretoFront(m.placed(all, metric, 'cycles').shown, metric)", "feasible");
    assert!(call(&browser, "metrics", &broken).is_object());
}

#[test]
fn the_front_of_all_costs_is_what_nothing_beats_in_all_four() {
    let (_fixture, browser) = modules();
    let found = call(
        &browser,
        "metrics",
        "m.wholeFront([[0, .9, 10, 10, 10, true], [1, .9, 10, 10, 11, true], [2, .8, 10, 10, 9, true], [3, .7, 10, 9, 10, true], [4, .9, 10, 10, 10, true], [5, .99, 1, 1, 1, false], [6, .99, null, 1, 1, null]].map(([index, accuracy, ticks, flash_bytes, ram_bytes, feasible]) => ({ index, accuracy, ticks, flash_bytes, ram_bytes, feasible }))).map((one) => one.index)",
    );
    assert_eq!(found, json!([0, 2, 3]), "1 is beaten, 4 is 0 again, 5 and 6 are not within the limits");
}

#[test]
fn improvements_count_only_feasible_candidates() {
    let (_fixture, browser) = modules();
    let steps = call(
        &browser,
        "metrics",
        "m.improvements([[2, .7, true], [0, .9, false], [1, .6, true], [3, .7, true], [4, .8, null], [5, .75, true]].map(([index, accuracy, feasible]) => ({ index, accuracy, feasible })))",
    );
    assert_eq!(
        steps,
        json!([{ "index": 1, "accuracy": 0.6 }, { "index": 2, "accuracy": 0.7 }, { "index": 5, "accuracy": 0.75 }])
    );
}

#[test]
fn ticks_are_round_and_inside() {
    let (_fixture, browser) = modules();
    assert_eq!(
        call(&browser, "scale", "m.roundTicks([0.13, 0.91], 4)"),
        json!([0.2, 0.4, 0.600_000_000_000_000_1, 0.8])
    );
    assert_eq!(call(&browser, "scale", "m.binaryTicks([20000, 70000], 4)"), json!([32768, 49152, 65536]));
    assert_eq!(call(&browser, "scale", "m.paddedDomain([])"), json!([0, 1]));
    assert_eq!(call(&browser, "scale", "m.paddedDomain([5]).map(v => v > 4 && v < 6)"), json!([true, true]));
}

#[test]
fn a_list_does_not_overwrite_what_an_event_brought_meanwhile() {
    let (_fixture, browser) = modules();
    let merged = call(
        &browser,
        "store",
        "(() => {
          const store = new m.Store();
          store.take('candidate', { campaign: 'c', id: 1, state: 'proposed' });
          const askedAt = store.sequence;
          store.take('candidate', { campaign: 'c', id: 2, state: 'done' });
          store.take('candidate', { campaign: 'c', id: 3, state: 'proposed' });
          store.takeCandidates('c', [{ id: 1, state: 'done' }, { id: 2, state: 'measuring' }], store.epoch, askedAt);
          store.take('lagged', { missed: 1 });
          store.takeCandidates('c', [], store.epoch - 1, store.sequence);
          return [...store.candidates.get('c').values()].map((one) => `${one.id} ${one.state}`);
        })()",
    );
    assert_eq!(merged, json!(["1 done", "2 done", "3 proposed"]));
}

#[test]
fn patching_keeps_focus_and_open_details_and_reorders_by_key() {
    let (_fixture, browser) = modules();
    let kept = call(
        &browser,
        "dom",
        "(() => {
          const root = document.body.appendChild(document.createElement('div'));
          const rows = (names) => names.map((name) => m.h('p', { 'data-key': name }, m.h('button', {}, name)));
          m.patch(root, rows(['b', 'c', 'd']), m.h('details', {}, m.h('summary', {}, 's')));
          root.querySelector('[data-key=c] button').focus();
          root.querySelector('details').open = true;
          m.patch(root, rows(['a', 'b', 'c', 'e']), m.h('details', {}, m.h('summary', {}, 't')));
          const after = [document.activeElement.textContent, root.querySelector('details').open, [...root.querySelectorAll('button')].map((b) => b.textContent).join('')];
          m.patch(root, rows(['e', 'a', 'c']));
          after.push([...root.childNodes].map((n) => n.textContent).join(''));
          m.patch(root);
          return [...after, root.childNodes.length];
        })()",
    );
    assert_eq!(kept, json!(["c", true, "abce", "eac", 0]));
}
