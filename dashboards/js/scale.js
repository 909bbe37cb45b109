// Linear scales with round ticks, for the hand-drawn charts.

/**
 * A mapping of [low, high] to pixels.
 * @param {[number, number]} domain
 * @param {[number, number]} range may run downwards, as vertical pixels do
 */
export function linear([low, high], [from, to]) {
  const span = high - low || 1;
  const scale = (value) => from + ((value - low) / span) * (to - from);
  scale.contains = (value) => value >= low && value <= high;
  return scale;
}

/** A domain around `values` with `margin` of its span on both sides; never empty. */
export function paddedDomain(values, margin = 0.06) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return [0, 1];
  const pad = (high - low) * margin || Math.abs(high) * margin || 1;
  return [low - pad, high + pad];
}

/** About `wanted` round values inside the domain, in steps of 1, 2, 2.5 or 5 times a power of ten. */
export function roundTicks([low, high], wanted) {
  const raw = (high - low) / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= raw * 0.9);
  const ticks = [];
  for (let n = Math.ceil(low / step); n * step <= high; n += 1) ticks.push(n * step);
  return ticks;
}

/** As `roundTicks`, in steps of a power of two: sizes in bytes are round in base two. */
export function binaryTicks([low, high], wanted) {
  const step = 2 ** Math.ceil(Math.log2((high - low) / Math.max(1, wanted)));
  const ticks = [];
  for (let n = Math.ceil(low / step); n * step <= high; n += 1) ticks.push(n * step);
  return ticks;
}
