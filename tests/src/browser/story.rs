//! Canned answers of a daemon: a small campaign with known numbers, and as large a crowd as a test wants.

use serde_json::{Value, json};

const LIMIT_FLASH: u64 = 65_536;
const LIMIT_RAM: u64 = 32_768;
const LIMIT_TICKS: u64 = 3_200_000;

/// One candidate of [`demo`], as the tests calculate with it.
pub struct Point {
    /// The episode's index.
    pub index: u64,
    /// A baseline's name.
    pub label: Option<&'static str>,
    /// Validation accuracy, a fraction.
    pub accuracy: f64,
    /// Median instructions.
    pub ticks: u64,
    /// Image bytes.
    pub flash: u64,
    /// Planned arena bytes.
    pub ram: u64,
}

impl Point {
    /// Whether the point is within the limits of the demo's campaign.
    pub fn is_feasible(&self) -> bool {
        self.flash <= LIMIT_FLASH && self.ram <= LIMIT_RAM && self.ticks <= LIMIT_TICKS
    }
}

/// The measured candidates of the campaign `demo`.
pub fn points() -> Vec<Point> {
    let point = |index, label, accuracy, ticks, flash, ram| Point { index, label, accuracy, ticks, flash, ram };
    vec![
        point(0, Some("uniform 8/8"), 0.9020, 3_850_112, 98_304, 41_984),
        point(1, Some("uniform 4/4"), 0.8710, 2_610_440, 52_224, 22_016),
        point(2, Some("uniform 2/2"), 0.5480, 2_190_008, 29_696, 12_288),
        point(3, None, 0.8420, 2_405_770, 47_104, 20_480),
        point(4, None, 0.8890, 3_012_345, 61_234, 26_624),
        point(5, None, 0.8650, 2_905_001, 58_000, 24_576),
        point(6, None, 0.8930, 3_195_220, 64_900, 31_744),
        point(8, None, 0.8710, 3_360_900, 60_416, 25_600),
        point(9, None, 0.8790, 2_702_118, 55_296, 23_552),
        point(10, None, 0.8955, 3_101_000, 71_200, 29_000),
    ]
}

/// Indices of the points that no other feasible point dominates in (accuracy, ticks), cheapest first. By definition, not by
/// the page's algorithm.
pub fn front(points: &[Point]) -> Vec<u64> {
    let dominates = |a: &Point, b: &Point| {
        a.accuracy >= b.accuracy && a.ticks <= b.ticks && (a.accuracy > b.accuracy || a.ticks < b.ticks)
    };
    let feasible: Vec<&Point> = points.iter().filter(|p| p.is_feasible()).collect();
    let mut front: Vec<&Point> =
        feasible.iter().copied().filter(|p| !feasible.iter().any(|other| dominates(other, p))).collect();
    front.sort_by_key(|p| p.ticks);
    front.iter().map(|p| p.index).collect()
}

/// All answers for a daemon with two campaigns: `demo` runs, `kws-night` is finished.
pub fn demo() -> Vec<(String, Value)> {
    let candidates = demo_candidates();
    let mut answers = vec![
        ("/api/rack".to_owned(), rack()),
        ("/api/campaigns".to_owned(), json!([campaign(12), finished_campaign()])),
        ("/api/campaigns/kws-night/candidates".to_owned(), json!([finished_candidate()])),
        ("/api/candidates/900".to_owned(), detail(&finished_candidate())),
    ];
    answers.extend(candidates.iter().map(|one| (format!("/api/candidates/{}", one["id"]), detail(one))));
    answers.push(("/api/campaigns/demo/candidates".to_owned(), Value::from(candidates)));
    answers
}

/// The rack: v1 measures, v2 is free, nucleo is a real board that was taken out.
pub fn rack() -> Value {
    json!({ "tool_revision": "1a2b3c4d", "started_at": "2026-05-01T20:00:00Z",
            "boards": [board("v1", "running", Some("campaign demo, episode 12")), board("v2", "ready", None), real_board()] })
}

/// A virtual board in a state.
pub fn board(name: &str, state: &str, holder: Option<&str>) -> Value {
    json!({ "name": name, "board_type": "mps2-an386", "virtual": true, "probe": "1d50:6018:127.0.0.1:40123", "serial": "/dev/pts/3",
            "state": state, "since": "2026-05-01T20:03:00Z", "holder": holder,
            "identity": { "board_type": "mps2-an386", "chip_id": "virtual-1", "firmware_revision": "1a2b3c4d5e", "clock_hz": 25_000_000,
                          "unit": "instructions", "arena_bytes": 3_145_728 },
            "measurements": 118, "failures_in_a_row": 0, "erases_max": 61, "endurance": 1_000_000, "last_failure": null })
}

fn real_board() -> Value {
    json!({ "name": "nucleo", "board_type": "nucleo-l4r5zi", "virtual": false, "probe": "0483:374b:066DFF48", "serial": "/dev/serial/by-id/usb-STM_066DFF48",
            "state": "quarantined", "since": "2026-05-01T20:02:10Z", "holder": null, "identity": null,
            "measurements": 2_041, "failures_in_a_row": 3, "erases_max": 8_700, "endurance": 10_000,
            "last_failure": { "id": 3, "class": "rig", "what": "attach", "message": "the probe answered no acknowledge on SWD",
                              "evidence": { "attempts": 5, "power_cycled": true }, "board": "nucleo", "at": "2026-05-01T20:02:09Z" } })
}

/// The campaign `demo` after `measured` candidates of 60.
pub fn campaign(measured: u64) -> Value {
    let points = points();
    let best =
        points.iter().filter(|p| p.is_feasible()).max_by(|a, b| a.accuracy.total_cmp(&b.accuracy)).map(candidate);
    json!({ "id": 2, "name": "demo", "state": "running", "reason": null, "strategy": "ddpg", "seed": 1, "model": "/data/fashion_ds_cnn.onnx",
            "data": "/data/fashion-mnist", "board_types": ["mps2-an386"], "unit": "instructions", "budget": 60, "measured": measured, "episodes": 15,
            "infeasible": 1, "failed": 1, "reused": 2,
            "limits": { "flash_bytes": LIMIT_FLASH, "ram_bytes": LIMIT_RAM, "latency_ticks": LIMIT_TICKS }, "best": best,
            "prediction_error": { "candidates": 4, "median": 0.01, "max": 0.0113, "bias": -0.01 },
            "window": "22:00-06:30 on mon-fri, Europe/Berlin", "window_open": true, "window_changes_at": "2026-05-02T04:30:00Z",
            "created_at": "2026-05-01T20:00:00Z", "started_at": "2026-05-01T20:00:05Z", "finished_at": null, "candidates_per_hour": 412.0 })
}

fn finished_campaign() -> Value {
    json!({ "id": 1, "name": "kws-night", "state": "finished", "reason": "budget reached", "strategy": "rule-based", "seed": 7, "model": "/data/ds_cnn_float.tflite",
            "data": "/data/kws", "board_types": ["nucleo-l4r5zi"], "unit": "cycles", "budget": 1, "measured": 1, "episodes": 1,
            "infeasible": 0, "failed": 0, "reused": 0,
            "limits": { "flash_bytes": null, "ram_bytes": null, "latency_ticks": null }, "best": finished_candidate(),
            "window": null, "window_open": true, "window_changes_at": null,
            "created_at": "2026-04-30T20:00:00Z", "started_at": "2026-04-30T20:00:05Z", "finished_at": "2026-04-30T22:10:00Z", "candidates_per_hour": null })
}

fn finished_candidate() -> Value {
    let mut one =
        candidate(&Point { index: 0, label: None, accuracy: 0.905, ticks: 9_876_543, flash: 40_000, ram: 20_000 });
    merge(
        &mut one,
        json!({ "id": 900, "campaign": "kws-night", "unit": "cycles", "latency_ms": 82.3, "board": "nucleo", "strategy": "rule-based" }),
    );
    one
}

fn demo_candidates() -> Vec<Value> {
    let mut all: Vec<Value> = points().iter().map(candidate).collect();
    all.push(unmeasured(7, "failed", "the board went silent in the middle of the run, on v1 and on v2"));
    all.push(unmeasured(11, "infeasible", "needs 71,200 bytes of flash, limit 65,536"));
    all.push(unmeasured(12, "measuring", ""));
    all
}

/// The demo's agent predicts from its sixth episode on, one per cent too little.
fn predicted(point: &Point) -> Option<u64> {
    (point.index >= 6).then(|| point.ticks * 99 / 100)
}

/// A measured candidate of `demo`.
pub fn candidate(point: &Point) -> Value {
    json!({ "id": 100 + point.index, "campaign": "demo", "index": point.index, "label": point.label,
            "strategy": if point.label.is_some() { "uniform" } else { "ddpg" }, "state": "done", "reason": null,
            "accuracy": point.accuracy, "ticks": point.ticks, "unit": "instructions", "latency_ms": null, "flash_bytes": point.flash, "ram_bytes": point.ram,
            "predicted_ticks": predicted(point), "prediction_error": predicted(point).map(|p| p as f64 / point.ticks as f64 - 1.0),
            "weight_bits_mean": point.label.map_or(4.25, |label| if label.contains('8') { 8.0 } else { 4.0 }), "feasible": point.is_feasible(), "reward": 0.125, "image_sha256": "ab12cd34", "board": "v1", "reused": point.index == 9,
            "created_at": "2026-05-01T20:01:00Z", "finished_at": "2026-05-01T20:01:09Z" })
}

fn unmeasured(index: u64, state: &str, reason: &str) -> Value {
    let mut one = candidate(&Point { index, label: None, accuracy: 0.85, ticks: 0, flash: 71_200, ram: 20_000 });
    let reason = (!reason.is_empty()).then_some(reason);
    merge(
        &mut one,
        json!({ "state": state, "reason": reason, "ticks": null, "unit": null, "feasible": if state == "infeasible" { json!(false) } else { Value::Null }, "reward": null, "board": null, "finished_at": null }),
    );
    one
}

/// Sets the fields of `change` in `target`.
pub fn merge(target: &mut Value, change: Value) {
    let Value::Object(change) = change else { panic!("only an object can be merged") };
    for (name, value) in change {
        target[name] = value;
    }
}

/// Name, kind, weight bits, input bits, output bits, MACs, parts per thousand of the ticks.
type Layer = (&'static str, &'static str, Option<u8>, u8, u8, Option<u64>, u64);

/// The layers of every candidate here.
const LAYERS: [Layer; 9] = [
    ("conv1", "conv2d", Some(8), 8, 8, Some(230_400), 140),
    ("dw1", "depthwise", Some(8), 8, 4, Some(230_400), 150),
    ("pw1", "conv2d", Some(4), 4, 4, Some(819_200), 260),
    ("dw2", "depthwise", Some(4), 4, 4, Some(115_200), 90),
    ("pw2", "conv2d", Some(4), 4, 4, Some(409_600), 140),
    ("dw3", "depthwise", Some(8), 4, 2, Some(115_200), 80),
    ("pw3", "conv2d", Some(2), 2, 8, Some(409_600), 125),
    ("pool", "avg_pool", None, 8, 8, None, 11),
    ("fc", "fully_connected", Some(2), 8, 8, Some(1_280), 4),
];

/// The details of a candidate: a failed one has failures, a measured one has layers and a measurement.
pub fn detail(candidate: &Value) -> Value {
    let ticks = candidate["ticks"].as_u64();
    let layers: Vec<Value> = LAYERS.iter().enumerate().map(|(index, layer)| layer_json(index, layer, ticks)).collect();
    let measurements: Vec<Value> = ticks.map(|ticks| measurement(candidate, ticks)).into_iter().collect();
    json!({ "candidate": candidate, "layers": layers, "steps": steps(), "measurements": measurements, "failures": failures(candidate),
            "wall": { "propose_ms": 3.0, "accuracy_ms": 812.0, "image_ms": 41.0, "flash_ms": 60.0, "run_ms": 904.0, "store_ms": 1.5 } })
}

fn layer_json(index: usize, layer: &Layer, ticks: Option<u64>) -> Value {
    let (name, kind, weight_bits, input_bits, output_bits, macs, share) = layer;
    let variant = match (*kind, *name) {
        ("depthwise", "dw1") => Some("map"),
        ("depthwise", _) => Some("rows"),
        ("conv2d", "conv1") | ("fully_connected", _) => Some("general"),
        ("conv2d", _) => Some("pixels"),
        _ => None,
    };
    json!({ "index": index, "name": name, "kind": kind, "variant": variant, "weight_bits": weight_bits, "input_bits": input_bits, "output_bits": output_bits,
            "macs": macs, "ticks": ticks.map(|t| t * share / 1000) })
}

fn steps() -> Value {
    json!([{ "tensor": "conv1.weight", "state": [0.1], "raw_action": 0.91, "bits_asked": 8, "bits": 8, "reward": null },
           { "tensor": "pw3.weight", "state": [0.2], "raw_action": 0.55, "bits_asked": 4, "bits": 2, "reward": 0.125 }])
}

fn measurement(candidate: &Value, ticks: u64) -> Value {
    // Instructions repeat exactly; cycles of a real chip do not.
    let spread = if candidate["unit"] == "cycles" { 1_200 } else { 0 };
    json!({ "id": 40, "episode": candidate["id"], "attempt": 1, "at": "2026-05-01T20:01:08Z", "board": candidate["board"], "board_type": "mps2-an386",
            "image_sha256": "ab12cd34", "accepted": true, "reused_from": null, "bit_exact": true,
            "ticks": { "median": ticks, "min": ticks - spread, "max": ticks + spread, "repeats": [ticks - spread, ticks, ticks + spread] },
            "unit": candidate["unit"], "clock_hz": 25_000_000, "latency_ms": candidate["latency_ms"],
            "arena_planned_bytes": candidate["ram_bytes"], "arena_high_water_bytes": 26_500, "stack_high_water_bytes": 912,
            "output_crc": "89abcdef", "expected_crc": "89abcdef", "firmware_revision": "1a2b3c4d5e", "chip_id": "virtual-1", "tool_revision": "1a2b3c4d",
            "slot": 0, "sectors_written": 15, "bytes_written": 61_440,
            "wall": { "queue_ms": 0.1, "flash_ms": 60.0, "load_ms": 5.0, "run_ms": 904.0, "store_ms": 1.5 }, "layers": [] })
}

fn failures(candidate: &Value) -> Value {
    if candidate["state"] != "failed" {
        return json!([]);
    }
    json!([{ "id": 8, "class": "board", "what": "run", "message": "no answer for 10 s after layer 4", "evidence": { "last_layer": 4 }, "board": "v1", "at": "2026-05-01T20:01:30Z" },
           { "id": 9, "class": "rig", "what": "serial", "message": "the port /dev/pts/4 is gone", "evidence": null, "board": "v2", "at": "2026-05-01T20:02:00Z" }])
}

/// `n` measured candidates of `demo` scattered around a plausible front, the same ones each time.
pub fn crowd(n: u64) -> Vec<Value> {
    let mut random = Lcg(42);
    (0..n).map(|index| candidate(&crowd_point(index, &mut random))).collect()
}

fn crowd_point(index: u64, random: &mut Lcg) -> Point {
    let cost = random.unit();
    let luck = random.unit() * random.unit();
    let accuracy = 0.90 - 0.20 * (1.0 - cost).powi(3) - 0.18 * luck;
    let scale = |low: u64, high: u64, share: f64| low + ((high - low) as f64 * share) as u64;
    let noise = random.unit() * 0.15;
    Point {
        index,
        label: None,
        accuracy: (accuracy * 1e4).round() / 1e4,
        ticks: scale(2_100_000, 3_900_000, cost),
        flash: scale(29_000, 90_000, (cost * 0.85 + noise).min(1.0)),
        ram: scale(12_000, 42_000, (cost * 0.75 + noise).min(1.0)),
    }
}

/// Knuth's MMIX generator: plain, and the same everywhere.
struct Lcg(u64);

impl Lcg {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}
