// One candidate in full: figures against limits, bits and latency per layer, every measurement and failure.

import { h } from "./dom.js";
import { bytes, count, milliseconds, percent, short, signed, UNKNOWN } from "./format.js";
import { bitsLegend, layersView } from "./layers.js";
import { exceeded, METRICS } from "./metrics.js";
import { badge, empty, failureView, meter, pill, tile, timeView } from "./parts.js";

/**
 * @param {?Object} candidate
 * @param {?{detail: ?Object, error: ?string}} loaded what is known beyond the table's row
 * @param {?Object} campaign for its limits
 * @param {boolean} isFollowing whether the reader chose this candidate or it is simply the best so far
 * @param {?{candidate: Object, detail: ?Object}} reference what it is compared with
 */
export function candidateView(candidate, loaded, campaign, isFollowing, reference) {
  if (!candidate) return [h("h2", {}, "Candidate"), empty("Nothing to show yet.")];
  const detail = loaded?.detail ?? null;
  const other = reference && reference.candidate.id !== candidate.id ? reference : null;
  return [
    head(candidate, campaign?.limits ?? null, isFollowing),
    candidate.reason ? h("p", { class: "reason-line" }, candidate.reason) : null,
    h("dl", { class: "tiles compact" }, figures(candidate, other?.candidate ?? null)),
    meters(candidate, detail, campaign?.limits ?? null),
    loaded?.error ? h("p", { class: "warn", role: "alert" }, `The details could not be read: ${loaded.error}`) : null,
    detail ? details(candidate, detail, other) : loaded?.error ? null : empty("Reading the details\u2026"),
  ];
}

function head(candidate, limits, isFollowing) {
  const over = candidate.feasible === false ? exceeded(candidate, limits) : [];
  const title = candidate.label ? `${candidate.label} (episode ${candidate.index})` : `Episode ${candidate.index}`;
  return h("header", { class: "panel-head" }, h("h2", {}, title), pill(candidate.state),
    candidate.feasible === true ? badge("feasible", "within every limit of the campaign", "good") : null,
    over.length > 0 ? badge(`over limit: ${over.join(", ")}`, "not within the campaign\u2019s limits", "bad") : null,
    isFollowing ? badge("best so far", "shown until you choose another") : null,
    h("a", { class: "raw", href: `api/candidates/${candidate.id}` }, "JSON"));
}

function figures(candidate, other) {
  const time = candidate.latency_ms !== null && candidate.latency_ms !== undefined ? milliseconds(candidate.latency_ms) : null;
  return [
    tile("Accuracy", percent(candidate.accuracy), change(candidate, other, (one) => one.accuracy, (a, b) => signed(a - b, "points")) ?? "validation split", { "data-tile": "accuracy" }),
    tile("Latency", candidate.ticks === null ? UNKNOWN : count(candidate.ticks),
      candidate.ticks === null ? "not measured" : [METRICS.latency.unitText(candidate.unit), time ? ` \u00b7 ${time}` : null, h("br"), change(candidate, other, (one) => one.ticks, (a, b) => signed(a / b - 1))], { "data-tile": "latency" }),
    prediction(candidate),
    tile("Bits per weight", candidate.weight_bits_mean?.toFixed(2) ?? UNKNOWN, "mean", { "data-tile": "bits" }),
    tile("Reward", candidate.reward?.toFixed(4) ?? UNKNOWN, candidate.strategy, { "data-tile": "reward" }),
  ];
}

// What the agent expected before the measurement; nothing where it expected nothing.
function prediction(candidate) {
  if (typeof candidate.predicted_ticks !== "number") return null;
  const error = candidate.prediction_error;
  const detail = typeof error === "number" ? `${signed(error, "%", 2)} against the measurement` : "not measured yet";
  return tile("Predicted", count(candidate.predicted_ticks), detail, { "data-tile": "predicted" });
}

// "−1.30 points on uniform 8/8", or null when one of the two is not known or they do not compare.
function change(candidate, other, value, difference) {
  if (!other || value(candidate) === null || value(other) === null || candidate.unit !== other.unit) return null;
  return `${difference(value(candidate), value(other))} on ${other.label}`;
}

function meters(candidate, detail, limits) {
  const accepted = detail?.measurements.find((one) => one.accepted);
  const highWater = accepted?.arena_high_water_bytes ? `measured high-water mark ${bytes(accepted.arena_high_water_bytes)}` : null;
  const stack = accepted?.stack_high_water_bytes ? `stack ${bytes(accepted.stack_high_water_bytes)}` : null;
  return h("div", { class: "meters" },
    candidate.ticks === null ? null : metricMeter(METRICS.latency, candidate, limits),
    metricMeter(METRICS.flash, candidate, limits),
    metricMeter(METRICS.ram, candidate, limits, [highWater, stack].filter(Boolean).join(", ") || null));
}

function metricMeter(metric, candidate, limits, detail) {
  return meter(metric.name, metric.value(candidate), metric.limit(limits), metric.axis, (value) => metric.exact(value, candidate.unit), detail);
}

function details(candidate, detail, other) {
  const isComparable = other?.detail && other.candidate.unit === candidate.unit;
  return [
    h("h3", {}, "Layers ", bitsLegend()),
    layersView(detail.layers, candidate.unit, isComparable ? { label: other.candidate.label, layers: other.detail.layers } : null),
    h("h3", {}, "Measurements"),
    measurementsView(detail.measurements),
    detail.failures.length > 0 ? [h("h3", {}, "Failures"), detail.failures.map(failureView)] : null,
    stepsView(detail.steps),
    wallView(detail.wall),
  ];
}

function measurementsView(measurements) {
  if (measurements.length === 0) return empty("Never measured.");
  return h("ol", { class: "measurements" }, measurements.map((one) => h("li", { "data-key": `measurement-${one.id}`, class: one.accepted ? null : "is-failed" },
    h("p", {}, `Attempt ${one.attempt} on `, h("b", {}, one.board), " at ", timeView(one.at), one.accepted ? null : badge("rejected", "kept as evidence, not used", "bad")),
    h("p", {}, h("b", {}, one.ticks ? `${count(one.ticks.median)} ${one.unit}` : UNKNOWN), " median, ", repeats(one), ", ",
      one.bit_exact ? "outputs bit-exact" : h("span", { class: "warn" }, `outputs differ: ${one.output_crc ?? UNKNOWN}, expected ${one.expected_crc ?? UNKNOWN}`)),
    h("p", { class: "muted" }, `flash ${milliseconds(one.wall?.flash_ms)} for ${bytes(one.bytes_written)}, run ${milliseconds(one.wall?.run_ms)}, firmware ${short(one.firmware_revision)}, chip ${one.chip_id ?? UNKNOWN}`))));
}

function repeats(one) {
  if (one.reused_from !== null && one.reused_from !== undefined) return `taken from measurement ${one.reused_from}`;
  if (!one.ticks) return UNKNOWN;
  const { min, max, repeats: all } = one.ticks;
  if (min === max) return `${all.length} identical repeats`;
  return h("span", { title: all.map(count).join(", ") }, `${all.length} repeats, ${count(min)} to ${count(max)} (spread ${percent((max - min) / one.ticks.median, 3)})`);
}

function stepsView(steps) {
  if (!steps || steps.length === 0) return null;
  return h("details", {}, h("summary", {}, `The strategy\u2019s ${steps.length} decisions`), h("div", { class: "table-scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, ["Tensor", "Raw action", "Bits asked", "Bits run", "Reward"].map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, steps.map((step) => h("tr", {}, h("td", {}, step.tensor), h("td", { class: "numeric" }, step.raw_action?.toFixed(3) ?? UNKNOWN),
      h("td", { class: "numeric" }, step.bits_asked ?? UNKNOWN),
      h("td", { class: step.bits === step.bits_asked ? "numeric" : "numeric warn" }, step.bits), h("td", { class: "numeric" }, step.reward?.toFixed(4) ?? UNKNOWN)))))));
}

// Where the time of this candidate went; the daemon names the phases.
function wallView(wall) {
  const phases = Object.entries(wall ?? {}).filter(([, ms]) => typeof ms === "number");
  if (phases.length === 0) return null;
  return h("p", { class: "muted wall" }, "Wall time: ", phases.map(([name, ms], i) => [i > 0 ? ", " : null, `${name.replace(/_ms$/, "").replaceAll("_", " ")} ${milliseconds(ms)}`]));
}
