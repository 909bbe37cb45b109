// Searches side by side at an equal number of measurements: who takes part, the figures, and the curve. Pure functions.

import { h, s } from "./dom.js";
import { count, percent, UNKNOWN } from "./format.js";
import { empty, pill } from "./parts.js";
import { linear, roundTicks } from "./scale.js";

const MARGIN = { top: 12, right: 20, bottom: 40, left: 58 };
/** Colours there are; a strategy beyond them has the colour of an earlier one and a broken line. */
const COLOURS = 7;
/** What takes measurements without searching. */
const NO_SEARCHES = ["profile", "finalists"];

/** The campaigns that search, newest first. */
export function searches(campaigns) {
  return campaigns.filter((one) => !NO_SEARCHES.includes(one.strategy));
}

/** What two campaigns must share to be compared: rewards of different models, data or units have nothing to do with each other. */
export function problem({ model, data, unit }) {
  return JSON.stringify([model, data, unit]);
}

/**
 * Which campaigns are compared: the named ones that exist, or all of one problem when none is named.
 * @param {Object[]} campaigns newest first
 * @param {string[]} names
 * @param {?Object} shown the campaign whose problem is meant when none is named
 */
export function takingPart(campaigns, names, shown) {
  const all = searches(campaigns);
  const named = all.filter((one) => names.includes(one.name));
  const first = named[0] ?? (shown && all.find((one) => problem(one) === problem(shown))) ?? all[0];
  if (!first) return [];
  return (named.length > 0 ? named : all).filter((one) => problem(one) === problem(first));
}

/** What the comparison of these depends on; when this text changes, it is to be read again. */
export function compareVersion(chosen) {
  return chosen.map((one) => `${one.id} ${one.measured} ${one.state}`).join(",");
}

/** The whole view. `known` is {comparison, error}, `width` what the curve has in pixels. */
export function compareView(campaigns, chosen, known, width) {
  if (searches(campaigns).length === 0) return [h("h2", {}, "Compare searches"), empty("No campaign has searched yet.")];
  const { comparison, error } = known;
  return [
    h("h2", {}, "Compare searches"),
    h("p", { class: "muted meta" }, "Best feasible reward at an equal number of measurements: median over the seeds of a strategy, and their range. Baselines do not count."),
    picker(campaigns, chosen),
    error ? h("p", { class: "reason-line" }, error) : null,
    comparison ? [h("ul", { class: "notes" }, comparison.notes.map((note) => h("li", {}, note))), curve(comparison, width), table(comparison)] : null,
    !comparison && !error ? empty("Reading.") : null,
  ];
}

// ---- who takes part

function picker(campaigns, chosen) {
  const ids = new Set(chosen.map((one) => one.id));
  const problems = grouped(searches(campaigns), problem);
  return h("div", { class: "picker" }, [...problems.values()].map((group) => h("fieldset", { class: "problem", "data-key": problem(group[0]) },
    h("legend", {}, h("span", { title: group[0].model }, fileName(group[0].model)), " on ",
      h("span", { title: group[0].data }, fileName(group[0].data)), `, ${group[0].unit}`),
    [...grouped(group, (one) => one.strategy)].map(([strategy, members]) => strategyRow(strategy, members, ids)))));
}

function strategyRow(strategy, members, ids) {
  const isAll = members.every((one) => ids.has(one.id));
  const names = JSON.stringify(members.map((one) => one.name));
  return h("div", { class: "picker-row", "data-key": strategy },
    h("button", { type: "button", class: "row-button", "data-toggle": names, "aria-pressed": String(isAll), title: `all of ${strategy}` }, strategy),
    h("div", { class: "segments" }, members.map((one) => h("button", {
      type: "button", "data-key": one.name, "data-toggle": JSON.stringify([one.name]), "aria-pressed": String(ids.has(one.id)),
      title: `seed ${one.seed}, ${count(one.measured)} of ${count(one.budget)} measured, ${one.state}`,
    }, one.name))));
}

/**
 * The names after a click on some of them: what is on show as a whole goes, anything else comes. Campaigns of another problem take
 * the place of those before.
 */
export function toggled(campaigns, chosen, names) {
  const clicked = searches(campaigns).filter((one) => names.includes(one.name));
  if (clicked.length === 0) return chosen.map((one) => one.name);
  const before = chosen.filter((one) => problem(one) === problem(clicked[0]));
  const isOn = clicked.every((one) => before.includes(one));
  const left = before.filter((one) => !clicked.includes(one));
  return (isOn ? left : [...left, ...clicked]).map((one) => one.name);
}

function grouped(list, key) {
  const groups = new Map();
  for (const one of list) groups.set(key(one), [...(groups.get(key(one)) ?? []), one]);
  return groups;
}

function fileName(path) {
  return String(path).split("/").filter(Boolean).at(-1) ?? path;
}

// ---- the figures

function table({ strategies }) {
  const milestones = [...new Set(strategies.flatMap((one) => one.milestones.map((after) => after.measurements)))].sort((a, b) => a - b);
  return h("div", { class: "table-scroll" }, h("table", { class: "compared" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Strategy"), h("th", { scope: "col", class: "numeric" }, "Seeds"),
      milestones.map((n) => h("th", { scope: "col", class: "numeric" }, `After ${count(n)}`)),
      h("th", { scope: "col", class: "numeric" }, "In the end"), h("th", { scope: "col", class: "numeric" }, "Reached after"),
      h("th", { scope: "col", class: "numeric" }, "Best accuracy"))),
    h("tbody", {}, strategies.map((one, at) => h("tr", { "data-key": one.name, "data-strategy": one.name },
      h("td", {}, swatch(at), " ", h("b", {}, one.name), seeds(one.campaigns)),
      h("td", { class: "numeric" }, count(one.campaigns.length)),
      milestones.map((n) => h("td", { class: "numeric", "data-after": n }, spread(one.milestones.find((after) => after.measurements === n)?.reward))),
      h("td", { class: "numeric", "data-after": "end" }, spread(one.curve.at(-1)?.reward)),
      h("td", { class: "numeric", "data-reached": "" }, count(reached(one.curve))),
      h("td", { class: "numeric" }, best(one.best)))))));
}

function seeds(campaigns) {
  return h("details", {}, h("summary", {}, "seeds"), h("ul", { class: "seeds" }, campaigns.map((one) => h("li", {},
    h("a", { href: `#/${encodeURIComponent(one.name)}` }, one.name), ` seed ${one.seed}: `, reward(one.best_reward),
    ` after ${count(one.measured)} `, pill(one.state)))));
}

function best(candidate) {
  if (!candidate) return UNKNOWN;
  return h("a", { href: `#/${encodeURIComponent(candidate.campaign)}/${candidate.index}`, title: `${candidate.campaign}, episode ${candidate.index}` },
    percent(candidate.accuracy));
}

/** The number of measurements after which the median had its last value; null when it never had one. */
export function reached(curve) {
  const last = curve.at(-1)?.reward.median ?? null;
  if (last === null) return null;
  return curve.find((after) => after.reward.median === last).measurements;
}

/** A median with its range; a seed without anything feasible is a dash. */
function spread(of) {
  if (!of) return UNKNOWN;
  const isOne = of.low === of.high;
  return [h("b", {}, reward(of.median)), isOne ? null : h("small", { class: "muted" }, ` ${reward(of.low)} to ${reward(of.high)}`)];
}

function reward(value) {
  return value === null || value === undefined ? UNKNOWN : value.toFixed(3).replace("-", "\u2212");
}

// ---- the curve

function curve({ strategies }, width) {
  const height = Math.min(420, Math.max(240, Math.round(width * 0.45)));
  const last = Math.max(1, ...strategies.map((one) => one.curve.length));
  const domain = rewards(strategies, last);
  if (!domain) return empty("Nothing feasible has been found yet.");
  const x = linear([1, Math.max(2, last)], [MARGIN.left, width - MARGIN.right]);
  const y = linear(domain, [height - MARGIN.bottom, MARGIN.top]);
  const told = strategies.map((one) => `${one.name} ${reward(one.curve.at(-1)?.reward.median)}`).join(", ");
  return s("svg", {
    class: "plot curve", role: "img", width, height, viewBox: `0 0 ${width} ${height}`,
    "aria-label": `Best feasible reward after ${count(last)} measurements: ${told}.`,
  }, axes(x, y, domain, last, width, height),
  s("svg", { x: MARGIN.left, y: MARGIN.top, width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom,
    viewBox: `${MARGIN.left} ${MARGIN.top} ${width - MARGIN.left - MARGIN.right} ${height - MARGIN.top - MARGIN.bottom}` },
  strategies.map((one, at) => s("path", { class: `series-band ${hue(at)}`, d: band(one.curve, x, y, height) })),
  strategies.map((one, at) => s("path", { class: `series-line ${hue(at)}`, d: stairs(one.curve, x, y), "data-series": one.name }))));
}

/**
 * The rewards that the curve shows: all medians and ranges but those of the first tenth, where the first feasible results are often so
 * poor that all the rest would be one line. Null when there are none.
 */
export function rewards(strategies, last) {
  const values = (from) => strategies.flatMap((one) => one.curve.slice(from).flatMap(({ reward: of }) => [of.low, of.median, of.high]))
    .filter((value) => value !== null);
  const late = values(Math.floor(last / 10));
  const used = late.length > 0 ? late : values(0);
  if (used.length === 0) return null;
  const [low, high] = [Math.min(...used), Math.max(...used)];
  const pad = (high - low) * 0.06 || Math.abs(high) * 0.06 || 0.05;
  return [low - pad, high + pad];
}

function axes(x, y, domain, last, width, height) {
  const bottom = height - MARGIN.bottom;
  const levels = roundTicks(domain, 5);
  const digits = [0, 1, 2, 3].find((n) => levels.every((value) => Math.abs(value - value.toFixed(n)) < 1e-9)) ?? 4;
  const counts = [1, ...roundTicks([2, last], width / 90).filter(Number.isInteger)];
  return s("g", { class: "axes", "aria-hidden": "true" },
    levels.map((value) => s("g", {},
      s("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }),
      s("text", { x: MARGIN.left - 8, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(digits).replace("-", "\u2212")))),
    counts.map((value) => s("text", { x: x(value), y: bottom + 15, "text-anchor": "middle" }, count(value))),
    s("text", { class: "axis-title", x: (MARGIN.left + width - MARGIN.right) / 2, y: height - 5, "text-anchor": "middle" }, "Measurements"),
    s("text", { class: "axis-title", transform: `translate(13 ${(MARGIN.top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, "Best feasible reward"));
}

/** A staircase: a best so far holds until the next measurement. */
function stairs(curve, x, y) {
  const points = curve.filter((after) => after.reward.median !== null);
  return points.map(({ measurements, reward: of }, i) => (i === 0 ? `M${at(x, measurements)} ${at(y, of.median)}` : `H${at(x, measurements)}V${at(y, of.median)}`)).join("");
}

/** From the lowest seed to the highest; a seed without anything feasible pulls the lower edge below the picture. */
function band(curve, x, y, height) {
  const points = curve.filter((after) => after.reward.high !== null);
  if (points.every(({ reward: of }) => of.low === of.high)) return "";
  const low = ({ reward: of }) => (of.low === null ? 2 * height : at(y, of.low));
  const upper = points.map((after, i) => (i === 0 ? `M${at(x, after.measurements)} ${at(y, after.reward.high)}` : `H${at(x, after.measurements)}V${at(y, after.reward.high)}`));
  // Walked backwards, a step down comes before the way to the left.
  const lower = [...points].reverse().map((after) => `V${low(after)}H${at(x, after.measurements)}`);
  return `${upper.join("")}${lower.join("")}Z`;
}

function at(scale, value) {
  return scale(value).toFixed(1);
}

function hue(index) {
  return `series-${index % COLOURS}${index >= COLOURS ? " broken" : ""}`;
}

function swatch(index) {
  return s("svg", { class: "swatch", width: 22, height: 10, "aria-hidden": "true" }, s("path", { class: `series-line ${hue(index)}`, d: "M0 5H22" }));
}
