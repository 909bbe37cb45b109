// The table of episodes: sorted, filtered, a page at a time, so that 10,000 rows cost as much as 25.

import { h } from "./dom.js";
import { bytes, compact, count, percent, UNKNOWN } from "./format.js";
import { exceeded } from "./metrics.js";
import { empty, pill } from "./parts.js";

const PAGE = 25;

const COLUMNS = [
  { name: "index", title: "#", value: (one) => one.index, numeric: true },
  { name: "strategy", title: "Proposed by", value: (one) => one.label ?? one.strategy },
  { name: "state", title: "State", value: (one) => one.state },
  { name: "accuracy", title: "Accuracy", value: (one) => one.accuracy, numeric: true },
  { name: "ticks", title: "Latency", value: (one) => one.ticks, numeric: true },
  { name: "flash", title: "Flash", value: (one) => one.flash_bytes, numeric: true, wide: true },
  { name: "ram", title: "RAM", value: (one) => one.ram_bytes, numeric: true, wide: true },
  { name: "bits", title: "Bits/weight", value: (one) => one.weight_bits_mean, numeric: true, wide: true },
  { name: "reward", title: "Reward", value: (one) => one.reward, numeric: true, wide: true },
  { name: "board", title: "Board", value: (one) => one.board, wide: true },
  { name: "reason", title: "Remark", value: (one) => one.reason },
];

const FILTERS = [
  { name: "all", title: "All", test: () => true },
  { name: "front", title: "Pareto front", test: (one, front) => front.has(one.id) },
  { name: "feasible", title: "Feasible", test: (one) => one.feasible === true },
  { name: "infeasible", title: "Infeasible", test: (one) => one.feasible === false || one.state === "infeasible" },
  { name: "failed", title: "Failed", test: (one) => one.state === "failed" },
  { name: "baseline", title: "Baselines", test: (one) => Boolean(one.label) },
];

/** How the table is set up at first: newest episode on top. */
export const INITIAL_TABLE = { filter: "all", sort: "index", descending: true, page: 0 };

/** The table after a click on a column's head: a second click turns the order round. */
export function sortedBy(table, column) {
  const isNumeric = COLUMNS.find((one) => one.name === column)?.numeric ?? false;
  const descending = table.sort === column ? !table.descending : isNumeric;
  return { ...table, sort: column, descending, page: 0 };
}

/**
 * @param {Object[]} candidates
 * @param {Set<number>} front ids of the Pareto front
 * @param {Object} table as `INITIAL_TABLE`
 * @param {?Object} selected
 * @param {?Object} limits of the campaign
 */
export function episodesView(candidates, front, table, selected, limits) {
  const filter = FILTERS.find((one) => one.name === table.filter);
  const rows = candidates.filter((one) => filter.test(one, front));
  sortRows(rows, table);
  const pages = Math.max(1, Math.ceil(rows.length / PAGE));
  const page = Math.min(table.page, pages - 1);
  return [
    h("header", { class: "panel-head" }, h("h2", {}, "Episodes"), filterBar(candidates, front, table)),
    rows.length === 0 ? empty("None.") : h("div", { class: "table-scroll" }, h("table", { class: "episodes" }, head(table),
      h("tbody", {}, rows.slice(page * PAGE, (page + 1) * PAGE).map((one) => row(one, front, selected, limits))))),
    pages > 1 ? pager(page, pages, rows.length) : null,
  ];
}

function sortRows(rows, table) {
  const value = COLUMNS.find((one) => one.name === table.sort).value;
  const sign = table.descending ? -1 : 1;
  rows.sort((a, b) => sign * compare(value(a), value(b), sign) || b.index - a.index);
}

// What is not known comes last in either order.
function compare(a, b, sign) {
  const missing = (a === null || a === undefined) - (b === null || b === undefined);
  if (missing !== 0) return missing * sign;
  return typeof a === "string" ? a.localeCompare(b) : (a ?? 0) - (b ?? 0);
}

function filterBar(candidates, front, table) {
  return h("div", { class: "segments", role: "group", "aria-label": "Which episodes" }, FILTERS.map(({ name, title, test }) => {
    const n = candidates.reduce((sum, one) => sum + (test(one, front) ? 1 : 0), 0);
    return h("button", { type: "button", "data-filter": name, "data-key": name, "aria-pressed": String(table.filter === name) }, `${title} `, h("small", {}, count(n)));
  }));
}

function head(table) {
  return h("thead", {}, h("tr", {}, COLUMNS.map((column) => {
    const isSorted = table.sort === column.name;
    const order = isSorted ? (table.descending ? "descending" : "ascending") : null;
    return h("th", { scope: "col", class: classes(column), "aria-sort": order },
      h("button", { type: "button", "data-sort": column.name }, column.title, isSorted ? h("i", { "aria-hidden": "true" }, table.descending ? " \u2193" : " \u2191") : null));
  })));
}

function row(one, front, selected, limits) {
  const name = `Show episode ${one.index}`;
  const cells = {
    index: h("button", { type: "button", class: "row-button", "aria-label": name, "aria-pressed": String(one.id === selected?.id) }, one.index),
    strategy: one.label ? h("b", {}, one.label) : one.strategy,
    state: pill(one.state),
    accuracy: [percent(one.accuracy), h("i", front.has(one.id) ? { class: "mark front-mark", title: "on the Pareto front" } : { class: "mark front-slot" })],
    ticks: latency(one),
    flash: bytes(one.flash_bytes),
    ram: bytes(one.ram_bytes),
    bits: one.weight_bits_mean?.toFixed(2) ?? UNKNOWN,
    reward: one.reward?.toFixed(3) ?? UNKNOWN,
    board: one.board ?? UNKNOWN,
    reason: remark(one, limits),
  };
  return h("tr", { "data-key": `episode-${one.id}`, "data-select": one.index, class: rowClass(one), "aria-current": one.id === selected?.id ? "true" : null },
    COLUMNS.map((column) => h("td", { class: classes(column), "data-column": column.name }, cells[column.name])));
}

function remark(one, limits) {
  const over = one.feasible === false && one.state !== "infeasible" ? exceeded(one, limits) : [];
  return [
    one.reused ? "measurement reused " : null,
    over.length > 0 ? h("span", { class: "warn" }, `over limit: ${over.join(", ")} `) : null,
    one.reason,
  ];
}

function latency(one) {
  if (one.ticks === null) return UNKNOWN;
  const title = `${count(one.ticks)} ${one.unit}`;
  return h("span", { title }, compact(one.ticks), h("small", { class: "muted" }, one.unit === "cycles" ? " cycles" : " instr."));
}

function rowClass(one) {
  if (one.state === "failed") return "is-failed";
  return one.feasible === false || one.state === "infeasible" ? "is-infeasible" : null;
}

function classes(column) {
  return [column.numeric && "numeric", column.wide && "wide-only", column.name === "reason" && "reason-cell"].filter(Boolean).join(" ") || null;
}

function pager(page, pages, total) {
  return h("nav", { class: "pager", "aria-label": "Pages of episodes" },
    h("button", { type: "button", "data-page": page - 1, disabled: page === 0 }, "Previous"),
    h("span", {}, `Page ${count(page + 1)} of ${count(pages)}, ${count(total)} episodes`),
    h("button", { type: "button", "data-page": page + 1, disabled: page === pages - 1 }, "Next"));
}
