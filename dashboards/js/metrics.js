// What a candidate costs, and which candidates are worth keeping.
//
// An instruction count is not a time: `latency` keeps the unit the board reports, and `time` exists only where boards have
// a clock. A plot shows one unit; candidates in another are left out and counted, never converted.

import { bytes, compact, count, milliseconds } from "./format.js";

const UNIT_TEXT = {
  instructions: "instructions on a virtual board",
  cycles: "cycles",
};

/**
 * The costs a plot can have on its horizontal axis.
 * `value(candidate)` and `limit(limits)` are in the unit `unitText` names; both may be null.
 */
export const METRICS = {
  latency: {
    name: "Latency",
    word: "latency",
    unitText: (unit) => UNIT_TEXT[unit] ?? "ticks",
    value: (candidate) => candidate.ticks,
    limit: (limits) => limits?.latency_ticks ?? null,
    axis: compact,
    exact: (value, unit) => `${count(value)} ${unit ?? "ticks"}`,
  },
  time: {
    name: "Time",
    word: "time",
    unitText: () => "ms",
    value: (candidate) => candidate.latency_ms,
    limit: () => null,
    axis: (value) => compact(value),
    exact: (value) => milliseconds(value),
  },
  flash: {
    name: "Flash",
    word: "flash",
    unitText: () => "image bytes",
    value: (candidate) => candidate.flash_bytes,
    limit: (limits) => limits?.flash_bytes ?? null,
    axis: bytes,
    exact: (value) => `${count(value)} B`,
  },
  ram: {
    name: "RAM",
    word: "RAM",
    unitText: () => "planned arena bytes",
    value: (candidate) => candidate.ram_bytes,
    limit: (limits) => limits?.ram_bytes ?? null,
    axis: bytes,
    exact: (value) => `${count(value)} B`,
  },
};

/** The metrics that make sense for these candidates, by name. */
export function availableMetrics(candidates) {
  const hasClock = candidates.some((candidate) => candidate.latency_ms !== null && candidate.latency_ms !== undefined);
  return Object.keys(METRICS).filter((name) => name !== "time" || hasClock);
}

/**
 * The candidates that have a place on the plot: an accuracy, a cost, and the unit of the campaign.
 * @returns {{shown: Object[], otherUnit: number, unplaced: number}} shown by cost, then by falling accuracy, then by episode; how many are
 *   missing because they were measured in another unit, and because accuracy or cost is not known.
 */
export function placed(candidates, metric, unit) {
  const shown = [];
  let otherUnit = 0;
  let unplaced = 0;
  for (const candidate of candidates) {
    const hasUnit = metric === METRICS.latency || metric === METRICS.time;
    if (!known(candidate.accuracy) || !known(metric.value(candidate))) unplaced += 1;
    else if (hasUnit && candidate.unit !== unit) otherUnit += 1;
    else shown.push(candidate);
  }
  shown.sort((a, b) => metric.value(a) - metric.value(b) || b.accuracy - a.accuracy || a.index - b.index);
  return { shown, otherUnit, unplaced };
}

/**
 * The Pareto front: feasible candidates that no feasible candidate dominates, where dominating means at least as accurate
 * and at most as costly, and better in one of the two. Of equal candidates the earliest stands for all, as in the database's
 * view `pareto`.
 * @param {Object[]} sorted as `placed` returns them
 */
export function paretoFront(sorted, metric) {
  const front = [];
  for (const candidate of sorted) {
    if (candidate.feasible !== true) continue;
    if (front.length === 0 || candidate.accuracy > front.at(-1).accuracy) front.push(candidate);
  }
  return front;
}

/**
 * What nothing feasible beats in accuracy, ticks, flash and RAM: the front that a campaign can have as its objective. Of equal
 * candidates the earliest stands for all, as in the database's view `front`.
 */
export function wholeFront(candidates) {
  let front = [];
  for (const one of candidates) {
    if (one.feasible !== true || !known(one.accuracy) || !known(one.ticks) || front.some((other) => beats(other, one))) continue;
    front = [...front.filter((other) => !beats(one, other)), one];
  }
  return front;
}

function beats(a, b) {
  const differences = [a.accuracy - b.accuracy, b.ticks - a.ticks, b.flash_bytes - a.flash_bytes, b.ram_bytes - a.ram_bytes];
  return differences.every((one) => one >= 0) && (differences.some((one) => one > 0) || a.index < b.index);
}

/**
 * The candidate that others are compared with: the measured baseline with the most bits, in the campaign's unit; uniform 8/8 as a
 * rule. Null when the campaign has measured no baseline.
 */
export function reference(candidates, unit) {
  const baselines = candidates.filter((one) => one.label && known(one.ticks) && one.unit === unit);
  const bits = (one) => one.weight_bits_mean ?? 0;
  return baselines.reduce((most, one) => (most === null || bits(one) > bits(most) || (bits(one) === bits(most) && one.ticks > most.ticks) ? one : most), null);
}

/** Which limits a candidate exceeds, by name, as far as that is known. */
export function exceeded(candidate, limits) {
  return [METRICS.latency, METRICS.flash, METRICS.ram]
    .filter((metric) => known(metric.limit(limits)) && known(metric.value(candidate)) && metric.value(candidate) > metric.limit(limits))
    .map((metric) => metric.word);
}

/**
 * The best feasible accuracy after each episode of the search, baselines included where they stand.
 * @returns {{index: number, accuracy: number}[]} one entry per improvement
 */
export function improvements(candidates) {
  const steps = [];
  for (const candidate of [...candidates].sort((a, b) => a.index - b.index)) {
    const isBetter = candidate.feasible === true && candidate.accuracy > (steps.at(-1)?.accuracy ?? -Infinity);
    if (isBetter) steps.push({ index: candidate.index, accuracy: candidate.accuracy });
  }
  return steps;
}

function known(value) {
  return typeof value === "number" && Number.isFinite(value);
}
