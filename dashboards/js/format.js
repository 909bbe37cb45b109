// Numbers, sizes and times as people read them. A space before a unit is a no-break space.

const NB = "\u00a0";
const DASH = "\u2013";
const GROUPED = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** What stands for "not known": never zero, never an empty cell. */
export const UNKNOWN = DASH;

/** @param {?number} n an integer; "3,012,345" */
export function count(n) {
  return isNumber(n) ? GROUPED.format(n) : UNKNOWN;
}

/** @param {?number} n three significant digits with a metric prefix; "3.01 M" */
export function compact(n) {
  if (!isNumber(n)) return UNKNOWN;
  for (const [size, prefix] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(n) >= size * 0.99995) return `${significant(n / size)}${NB}${prefix}`;
  }
  return significant(n);
}

function significant(n) {
  const digits = Math.abs(n) >= 99.95 ? 0 : Math.abs(n) >= 9.995 ? 1 : 2;
  return Number.isInteger(n) && Math.abs(n) < 1000 ? String(n) : n.toFixed(digits);
}

/** @param {?number} fraction 0 to 1; "88.90 %" */
export function percent(fraction, digits = 2) {
  return isNumber(fraction) ? `${(fraction * 100).toFixed(digits)}${NB}%` : UNKNOWN;
}

/** @param {number} change a fraction, or a difference of fractions with `unit` "points"; "+1.3 %", "\u22120.40 points" */
export function signed(change, unit = "%", digits = unit === "%" ? 1 : 2) {
  const size = Math.abs(change * 100).toFixed(digits);
  const sign = Number(size) === 0 ? "\u00b1" : change > 0 ? "+" : "\u2212";
  return `${sign}${size}${NB}${unit}`;
}

/** @param {?number} n bytes; "59.8 KiB" */
export function bytes(n) {
  if (!isNumber(n)) return UNKNOWN;
  if (n >= 1024 * 1024) return `${significant(n / (1024 * 1024))}${NB}MiB`;
  if (n >= 1024) return `${significant(n / 1024)}${NB}KiB`;
  return `${GROUPED.format(n)}${NB}B`;
}

/** @param {?number} ms milliseconds; "12.30 ms" */
export function milliseconds(ms) {
  if (!isNumber(ms)) return UNKNOWN;
  return ms >= 10_000 ? `${(ms / 1000).toFixed(1)}${NB}s` : `${significant(ms)}${NB}ms`;
}

/** @param {?number} seconds coarse, for estimates; "1 h 05 min" */
export function duration(seconds) {
  if (!isNumber(seconds)) return UNKNOWN;
  const minutes = Math.round(seconds / 60);
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))}${NB}s`;
  if (minutes < 120) return `${minutes}${NB}min`;
  const hours = Math.floor(minutes / 60);
  return `${hours}${NB}h${NB}${String(minutes % 60).padStart(2, "0")}${NB}min`;
}

/** @param {?string} iso a local time of day, with the date when it is not today's; "21:04:33", "1 May 21:04" */
export function time(iso) {
  const at = iso ? new Date(iso) : null;
  if (!at || Number.isNaN(at.getTime())) return UNKNOWN;
  const clock = at.toTimeString().slice(0, 8);
  if (at.toDateString() === new Date().toDateString()) return clock;
  return `${at.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${clock.slice(0, 5)}`;
}

/** @param {?string} hash the first eight digits of a hash or revision */
export function short(hash) {
  return hash ? hash.slice(0, 8) : UNKNOWN;
}

/** @param {number} n "1 board", "2 boards" */
export function plural(n, singular, many = `${singular}s`) {
  return `${count(n)}${NB}${n === 1 ? singular : many}`;
}

function isNumber(n) {
  return typeof n === "number" && Number.isFinite(n);
}
