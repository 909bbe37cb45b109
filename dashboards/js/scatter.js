// Accuracy against cost: every candidate, the limit, the Pareto front, hand-drawn in SVG.
//
// The crowd is one <path> per kind, not one element per candidate, so that 10,000 candidates stay light; only the front, the
// baselines and the selection are elements of their own.

import { h, s } from "./dom.js";
import { count, percent, plural } from "./format.js";
import { METRICS, paretoFront, placed } from "./metrics.js";
import { binaryTicks, linear, paddedDomain, roundTicks } from "./scale.js";

const MARGIN = { top: 18, right: 20, bottom: 44, left: 58 };
const NEAR_PX = 14;

/**
 * Where everything on the plot goes. All views and the mouse and keyboard below work from this.
 * @param {Object[]} candidates
 * @param {{metric: string, zoom: "all"|"front", unit: ?string, limits: ?Object, whole: ?Object[], width: number, height: number}} options
 *   `whole` is the front of all costs, where the campaign is after that
 */
export function layOut(candidates, options) {
  const metric = METRICS[options.metric];
  const { shown, otherUnit, unplaced } = placed(candidates, metric, options.unit);
  const front = paretoFront(shown, metric);
  const limit = metric.limit(options.limits);
  const framed = options.zoom === "front" && front.length > 0 ? nearFront(shown, front, metric) : shown;
  const costs = framed.map(metric.value);
  if (limit !== null && costs.length > 0) costs.push(limit);
  const domain = { x: paddedDomain(costs), y: paddedDomain(framed.map((one) => one.accuracy)) };
  const x = linear(domain.x, [MARGIN.left, options.width - MARGIN.right]);
  const y = linear(domain.y, [options.height - MARGIN.bottom, MARGIN.top]);
  const inside = shown.filter((one) => x.contains(metric.value(one)) && y.contains(one.accuracy));
  const at = (one) => ({ left: x(metric.value(one)), top: y(one.accuracy) });
  return { ...options, metric, metricName: options.metric, inside, front, limit, domain, x, y, at, otherUnit, unplaced, outside: shown.length - inside.length };
}

// The neighbourhood people compare in. One collapsed candidate at 10 % would squash everything else into a line, and it may well be
// on the front, as the cheapest; so the floor follows the front's better half. Far costlier than the front is out, too.
function nearFront(shown, front, metric) {
  const best = front.at(-1).accuracy;
  const middle = front[Math.floor(front.length / 2)].accuracy;
  const floor = best - 3 * Math.max(best - middle, 0.005);
  const ceiling = metric.value(front.at(-1)) * 1.5;
  return shown.filter((one) => one.accuracy >= floor && metric.value(one) <= ceiling);
}

/** The candidate nearest to a point in pixels, or null when none is near. Front and baselines win over the crowd below them. */
export function nearest(plot, left, top) {
  let best = null;
  let bestDistance = NEAR_PX;
  const special = new Set([...plot.front, ...plot.inside.filter((one) => one.label)]);
  for (const one of plot.inside) {
    const point = plot.at(one);
    const distance = Math.hypot(point.left - left, point.top - top) - (special.has(one) ? 3 : 0);
    if (distance < bestDistance) [best, bestDistance] = [one, distance];
  }
  return best;
}

/**
 * The candidate that a key moves to: left and right walk all candidates by cost, up and down walk the front, Home and End jump
 * to its ends. Null when the key means nothing here.
 */
export function step(plot, present, key) {
  const list = key === "ArrowLeft" || key === "ArrowRight" ? plot.inside : plot.front;
  if (list.length === 0) return null;
  if (key === "Home") return list[0];
  if (key === "End") return list.at(-1);
  const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[key];
  if (by === undefined) return null;
  const from = list.findIndex((one) => one.id === present?.id);
  if (from >= 0) return list[Math.min(list.length - 1, Math.max(0, from + by))];
  return nearestOnFront(plot, list, present);
}

function nearestOnFront(plot, list, present) {
  if (!present || plot.metric.value(present) === null) return list[0];
  const cost = plot.metric.value(present);
  return list.reduce((best, one) =>
    Math.abs(plot.metric.value(one) - cost) < Math.abs(plot.metric.value(best) - cost) ? one : best);
}

/** One line about a candidate, for the tooltip and for screen readers. */
export function describe(candidate, plot) {
  const cost = plot.metric.value(candidate);
  const place = plot.front.some((one) => one.id === candidate.id) ? ", on the Pareto front" : "";
  const feasible = { true: "feasible", false: "over a limit" }[candidate.feasible] ?? "feasibility unknown";
  const name = candidate.label ?? `episode ${candidate.index}`;
  return `${name}: ${percent(candidate.accuracy)} accuracy, ${plot.metric.exact(cost, candidate.unit)}, ${feasible}${place}`;
}

/** The plot itself. */
export function scatterView(plot, selected, best) {
  const label = `Accuracy against ${plot.metric.word}: ${plural(plot.inside.length, "candidate")}, ` +
    `${count(plot.front.length)} on the Pareto front. Arrow keys move between candidates.`;
  return s("svg", {
    class: "plot", role: "application", tabindex: "0", "aria-label": label, width: plot.width, height: plot.height,
    viewBox: `0 0 ${plot.width} ${plot.height}`, "data-shown": plot.inside.length,
  }, axes(plot), limitLine(plot), crowd(plot), wholeFrontMarks(plot), frontLine(plot), baselines(plot), bestMark(plot, best), selection(plot, selected));
}

function axes(plot) {
  const bottom = plot.height - MARGIN.bottom;
  const right = plot.width - MARGIN.right;
  const inBytes = plot.metricName === "flash" || plot.metricName === "ram";
  const xTicks = (inBytes ? binaryTicks : roundTicks)(plot.domain.x, plot.width / 90);
  const yTicks = roundTicks(plot.domain.y, plot.height / 55);
  const digits = plot.domain.y[1] - plot.domain.y[0] < 0.04 ? 1 : 0;
  return s("g", { class: "axes", "aria-hidden": "true" },
    xTicks.map((value) => s("g", {},
      s("line", { x1: plot.x(value), x2: plot.x(value), y1: MARGIN.top, y2: bottom }),
      s("text", { x: plot.x(value), y: bottom + 16, "text-anchor": "middle" }, plot.metric.axis(value)))),
    yTicks.map((value) => s("g", {},
      s("line", { x1: MARGIN.left, x2: right, y1: plot.y(value), y2: plot.y(value) }),
      s("text", { x: MARGIN.left - 8, y: plot.y(value) + 4, "text-anchor": "end" }, percent(value, digits)))),
    s("text", { class: "axis-title x-title", x: (MARGIN.left + right) / 2, y: plot.height - 8, "text-anchor": "middle" },
      `${plot.metric.name} (${plot.metric.unitText(plot.unit)})`),
    s("text", { class: "axis-title", transform: `translate(14 ${(MARGIN.top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" },
      "Accuracy (validation)"));
}

function limitLine(plot) {
  if (plot.limit === null || !plot.x.contains(plot.limit)) return null;
  const left = plot.x(plot.limit);
  const right = plot.width - MARGIN.right;
  const bottom = plot.height - MARGIN.bottom;
  return s("g", { class: "limit", "data-limit": plot.limit },
    s("rect", { x: left, y: MARGIN.top, width: Math.max(0, right - left), height: bottom - MARGIN.top }),
    s("line", { x1: left, x2: left, y1: MARGIN.top - 4, y2: bottom }),
    s("text", { x: left - 5, y: MARGIN.top - 6, "text-anchor": "end" }, `limit ${plot.metric.axis(plot.limit)}`));
}

function crowd(plot) {
  const kinds = { feasible: [], infeasible: [], unknown: [] };
  for (const one of plot.inside) {
    if (!one.label) kinds[{ true: "feasible", false: "infeasible" }[one.feasible] ?? "unknown"].push(plot.at(one));
  }
  // A round line cap on a subpath of no length draws a dot.
  const dot = ({ left, top }) => `M${left.toFixed(1)} ${top.toFixed(1)}h0`;
  const cross = ({ left, top }) => `M${(left - 3).toFixed(1)} ${(top - 3).toFixed(1)}l6 6m0-6l-6 6`;
  const path = (kind, shape) => s("path", { class: `crowd ${kind}`, d: kinds[kind].map(shape).join(""), "data-count": kinds[kind].length });
  return s("g", { class: plot.inside.length > 1500 ? "dense" : null },
    path("infeasible", cross), path("unknown", dot), path("feasible", dot));
}

function frontLine(plot) {
  const visible = plot.front.filter((one) => plot.x.contains(plot.metric.value(one)) && plot.y.contains(one.accuracy));
  // A staircase: between two measured candidates nothing is known to be better than the cheaper one.
  const stairs = visible.map(plot.at).map(({ left, top }, i) => (i === 0 ? `M${left} ${top}` : `H${left}V${top}`)).join("");
  const points = visible.map((one) => ({ one, ...plot.at(one) }));
  return s("g", { class: "front" }, s("path", { d: stairs }),
    points.map(({ one, left, top }) => s("circle", { cx: left, cy: top, r: 4.5, "data-episode": one.index })));
}

/** Who is on the front of all costs, though perhaps not on this plot's. */
function wholeFrontMarks(plot) {
  const inside = new Set(plot.inside);
  const visible = (plot.whole ?? []).filter((one) => inside.has(one)).map((one) => ({ one, ...plot.at(one) }));
  return s("g", { class: "whole-front" }, visible.map(({ one, left, top }) => s("circle", { cx: left, cy: top, r: 4.5, "data-episode": one.index })));
}

function baselines(plot) {
  const taken = [];
  return plot.inside.filter((one) => one.label).map((one) => {
    const { left, top } = plot.at(one);
    const atRight = left > plot.width - MARGIN.right - 90;
    let line = top + 4;
    while (taken.some((other) => Math.abs(other.line - line) < 12 && Math.abs(other.left - left) < 100)) line += 12;
    taken.push({ left, line });
    return s("g", { class: `baseline ${one.feasible === false ? "infeasible" : "feasible"}`, "data-episode": one.index },
      s("path", { d: `M${left} ${top - 5.5}l5.5 5.5l-5.5 5.5l-5.5-5.5z` }),
      s("text", { x: left + (atRight ? -9 : 9), y: line, "text-anchor": atRight ? "end" : "start" }, one.label));
  });
}

function bestMark(plot, best) {
  if (!best || !plot.inside.some((one) => one.id === best.id)) return null;
  const { left, top } = plot.at(best);
  return s("text", { class: "best-mark", x: left - 11, y: top - 8, "text-anchor": "end" }, "best");
}

function selection(plot, selected) {
  const here = plot.inside.find((one) => one.id === selected?.id);
  if (!here) return null;
  const { left, top } = plot.at(here);
  return s("g", { class: "selection", "data-episode": here.index },
    s("line", { x1: left, x2: left, y1: top + 9, y2: plot.height - MARGIN.bottom }),
    s("line", { x1: MARGIN.left, x2: left - 9, y1: top, y2: top }),
    s("circle", { cx: left, cy: top, r: 9 }));
}

/** What the marks mean, and what is not on the plot and why. */
export function scatterLegend(plot) {
  const over = plot.inside.filter((one) => one.feasible === false).length;
  const notes = [
    plot.outside > 0 && `${count(plot.outside)} outside this view`,
    plot.unplaced > 0 && `${count(plot.unplaced)} without a measurement`,
    plot.otherUnit > 0 && `${count(plot.otherUnit)} measured in another unit, not comparable`,
  ].filter(Boolean);
  return h("figcaption", { class: "legend" },
    h("span", {}, mark("front-mark"), ` ${plot.whole ? "front of this plot" : "Pareto front"} ${count(plot.front.length)}`),
    plot.whole && h("span", {}, mark("whole-mark"), ` front of all costs ${count(plot.whole.length)}`),
    h("span", {}, mark("feasible-mark"), " feasible"),
    h("span", {}, mark("infeasible-mark", "\u00d7"), ` over a limit ${count(over)}`),
    h("span", {}, mark("baseline-mark", "\u25c6"), " baseline"),
    notes.length > 0 && h("span", { class: "muted not-shown" }, `Not shown: ${notes.join("; ")}`));
}

function mark(kind, sign = "") {
  return h("i", { class: `mark ${kind}`, "aria-hidden": "true" }, sign);
}
