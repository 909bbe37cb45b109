// Small pieces that several views share.

import { h } from "./dom.js";
import { percent, time } from "./format.js";

const STATE_SIGN = {
  ready: "\u25cf", running: "\u25b6", measuring: "\u25b6", flashing: "\u25b6", cleaning: "\u25cc", recovering: "\u21bb", unknown: "\u25cc",
  quarantined: "\u2716", failed: "\u2716", infeasible: "\u00d7", waiting: "\u25cc", stopped: "\u25a0", finished: "\u2713", done: "\u2713",
  measured: "\u2713", proposed: "\u25cc",
};

/** A state as a word with a sign, coloured; the colour is never the only difference. */
export function pill(state) {
  return h("span", { class: `pill state-${slug(state)}` }, h("i", { "aria-hidden": "true" }, STATE_SIGN[state] ?? "\u25cf"), ` ${state}`);
}

/** A small label such as "virtual". */
export function badge(text, title, kind = "") {
  return h("span", { class: `badge ${kind}`, title }, text);
}

/** A figure with its name above it. */
export function tile(name, value, detail, attributes = {}) {
  return h("div", { class: "tile", ...attributes }, h("dt", {}, name), h("dd", {}, h("b", {}, value), detail ? h("small", {}, detail) : null));
}

/** A time as <time>, with the full date and zone behind it. */
export function timeView(iso) {
  return h("time", { datetime: iso ?? null, title: iso ? new Date(iso).toString() : null }, time(iso));
}

/** What is used of a limit, as a bar; without a limit the figure alone. `format` and `exact` turn both into text. */
export function meter(name, used, limit, format, exact, detail) {
  const isOver = limit !== null && used > limit;
  const share = limit ? used / limit : null;
  const text = limit === null ? "no limit" : `${percent(share, 1)} of ${format(limit)}`;
  return h("div", { class: `meter-row ${isOver ? "over" : ""}`, "data-meter": name.toLowerCase() },
    h("span", { class: "meter-name" }, name),
    h("span", { class: "meter-value", title: exact(used) }, format(used)),
    limit === null ? h("span") : bar(`${name} used of its limit`, share),
    h("span", { class: "muted", title: limit === null ? null : exact(limit) }, text, isOver ? h("strong", {}, " over") : null),
    detail ? h("small", { class: "muted meter-detail" }, detail) : null);
}

/** A horizontal bar for a share of something; more than everything is drawn full. */
export function bar(name, share, kind = "") {
  return h("span", { class: `bar ${kind}`, role: "meter", "aria-label": name, "aria-valuemin": 0, "aria-valuemax": 100,
    "aria-valuenow": Math.round(share * 100) },
  h("i", { style: { width: `${Math.min(100, share * 100).toFixed(2)}%` } }));
}

/** A failure with its class, so that nobody blames the candidate for a loose cable. */
export function failureView(failure) {
  return h("article", { class: "failure", "data-class": slug(failure.class) },
    h("header", {}, badge(`${failure.class}\u2019s fault`, "who is to blame: the candidate, the board, or the rig", `class-${slug(failure.class)}`),
      h("b", {}, failure.what), failure.board ? h("span", {}, `on ${failure.board}`) : null, timeView(failure.at)),
    h("p", {}, failure.message),
    failure.evidence ? h("details", {}, h("summary", {}, "Evidence"), h("pre", {}, JSON.stringify(failure.evidence, null, 2))) : null);
}

/** A word from the daemon as part of a class name: anything else than a word is dropped. */
export function slug(text) {
  return String(text).toLowerCase().replace(/[^a-z0-9-]/g, "");
}

/** What stands where there is nothing yet. */
export function empty(...text) {
  return h("p", { class: "empty" }, text);
}
