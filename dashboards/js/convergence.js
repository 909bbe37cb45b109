// The best feasible accuracy so far against the episodes spent: shows whether the search still pays.

import { s } from "./dom.js";
import { count, percent } from "./format.js";
import { improvements } from "./metrics.js";
import { linear, paddedDomain, roundTicks } from "./scale.js";

const MARGIN = { top: 10, right: 20, bottom: 34, left: 58 };

/** The chart, or null while there is nothing to draw. */
export function convergenceView(candidates, { width, height, selected }) {
  const known = candidates.filter((one) => typeof one.accuracy === "number");
  const steps = improvements(known);
  if (steps.length === 0) return null;
  const last = known.reduce((most, one) => Math.max(most, one.index), 1);
  const domainY = paddedDomain([...steps.map((one) => one.accuracy), ...highOnes(known, steps)], 0.12);
  const x = linear([0, last], [MARGIN.left, width - MARGIN.right]);
  const y = linear(domainY, [height - MARGIN.bottom, MARGIN.top]);
  const final = steps.at(-1);
  return s("svg", {
    class: "plot", role: "img", width, height, viewBox: `0 0 ${width} ${height}`,
    "aria-label": `Best feasible accuracy so far: ${percent(final.accuracy)} since episode ${final.index}, after ${count(last + 1)} episodes.`,
  }, axes(x, y, domainY, last, width, height), dots(known, x, y, domainY), line(steps, last, x, y), pointer(selected, x, height));
}

// What did not get near the first feasible result would only squash the line.
function highOnes(known, steps) {
  return known.map((one) => one.accuracy).filter((accuracy) => accuracy >= steps[0].accuracy);
}

function axes(x, y, domainY, last, width, height) {
  const bottom = height - MARGIN.bottom;
  const digits = domainY[1] - domainY[0] < 0.04 ? 1 : 0;
  const xTicks = roundTicks([0, last], width / 110).filter(Number.isInteger);
  return s("g", { class: "axes", "aria-hidden": "true" },
    roundTicks(domainY, 3).map((value) => s("g", {},
      s("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }),
      s("text", { x: MARGIN.left - 8, y: y(value) + 4, "text-anchor": "end" }, percent(value, digits)))),
    xTicks.map((value) => s("text", { x: x(value), y: bottom + 14, "text-anchor": "middle" }, count(value))),
    s("text", { class: "axis-title", x: (MARGIN.left + width - MARGIN.right) / 2, y: height - 4, "text-anchor": "middle" }, "Episode"));
}

function dots(known, x, y, [low]) {
  const visible = known.filter((one) => one.accuracy >= low);
  const d = visible.map((one) => `M${x(one.index).toFixed(1)} ${y(one.accuracy).toFixed(1)}h0`).join("");
  return s("g", { class: visible.length > 1500 ? "dense" : null }, s("path", { class: "crowd faint", d }));
}

function line(steps, last, x, y) {
  const d = steps.map(({ index, accuracy }, i) => (i === 0 ? `M${x(index)} ${y(accuracy)}` : `H${x(index)}V${y(accuracy)}`)).join("");
  return s("path", { class: "best-line", d: `${d}H${x(last)}`, "data-improvements": steps.length });
}

function pointer(selected, x, height) {
  if (!selected) return null;
  return s("line", { class: "pointer", x1: x(selected.index), x2: x(selected.index), y1: MARGIN.top, y2: height - MARGIN.bottom });
}
