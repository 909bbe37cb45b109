// The rack: who the boards are, what they do, how worn they are, what went wrong last.

import { h } from "./dom.js";
import { bytes, compact, count, percent, plural, short } from "./format.js";
import { badge, bar, empty, failureView, pill, timeView } from "./parts.js";

/** All boards. */
export function rackView(store) {
  const boards = [...store.boards.values()].sort((a, b) => a.name.localeCompare(b.name));
  return [
    h("h2", {}, "Rack"),
    boards.length === 0 ? empty("No boards. The rack is described in ", h("code", {}, "hil.toml"), "; ", h("code", {}, "hil doctor"), " says what is missing.") : null,
    h("div", { class: "boards" }, boards.map(boardView)),
  ];
}

/** "2 boards: 1 running, 1 ready" for the page's top. */
export function rackSummary(store) {
  const boards = [...store.boards.values()];
  if (boards.length === 0) return "";
  const counts = new Map();
  for (const board of boards) counts.set(board.state, (counts.get(board.state) ?? 0) + 1);
  return `${plural(boards.length, "board")}: ${[...counts].map(([state, n]) => `${n} ${state}`).join(", ")}`;
}

function boardView(board) {
  return h("article", { class: `board state-${board.state}`, "data-key": board.name, "data-board": board.name },
    h("header", {}, h("h3", {}, board.name),
      board.virtual ? badge("virtual", "an emulated board: it reports instructions, which are not a time", "virtual") : null, pill(board.state)),
    h("p", { class: "muted" }, board.board_type),
    board.holder ? h("p", { class: "holder" }, board.holder) : null,
    h("dl", { class: "facts" }, wearFacts(board), identityFacts(board)),
    board.failures_in_a_row > 0 ? h("p", { class: "warn" }, `${plural(board.failures_in_a_row, "failure")} in a row`) : null,
    wiring(board),
    board.last_failure ? h("div", { class: "last-failure" }, h("h4", {}, "Last failure"), failureView(board.last_failure)) : null);
}

function identityFacts(board) {
  const identity = board.identity;
  if (!identity) return fact("Identity", "not asked yet");
  return [
    fact("Clock", `${compact(identity.clock_hz)}Hz${board.virtual ? " nominal" : ""}`),
    fact("Counts", identity.unit),
    fact("Firmware", short(identity.firmware_revision)),
  ];
}

// What only somebody who mends the rig wants to know.
function wiring(board) {
  return h("details", {}, h("summary", {}, "Wiring"), h("dl", { class: "facts" },
    fact("Probe", board.probe), fact("Serial", board.serial), fact("Chip", board.identity?.chip_id), fact("Arena", board.identity && bytes(board.identity.arena_bytes))));
}

function wearFacts(board) {
  const share = board.endurance > 0 ? board.erases_max / board.endurance : 0;
  return [
    fact("Since", timeView(board.since)),
    fact("Measured", count(board.measurements)),
    fact("Erases", h("span", { title: `${percent(share, 3)} of what the most erased sector endures` }, `${count(board.erases_max)} of ${count(board.endurance)}`,
      share >= 0.01 ? [`, ${percent(share, 0)} `, bar("flash endurance used", share, share > 0.8 ? "worn" : "")] : null)),
  ];
}

function fact(name, value) {
  return value === null || value === undefined ? null : h("div", {}, h("dt", {}, name), h("dd", {}, value));
}
