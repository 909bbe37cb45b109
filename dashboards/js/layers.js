// The bits of a candidate, layer by layer, and what each layer costs.

import { h } from "./dom.js";
import { compact, count, percent, signed, UNKNOWN } from "./format.js";
import { badge, empty } from "./parts.js";

/** The strip: one column per layer, weights above, activations below. The table repeats it in words and figures. */
export function bitsStrip(layers) {
  const strip = (name, bits) => h("div", { class: "strip-row" }, h("span", { class: "strip-name" }, name),
    layers.map((layer) => h("i", { class: bitsClass(bits(layer)), title: `${layer.name}: ${bits(layer) ?? "no"} bits` }, bits(layer) ?? "")));
  return h("div", { class: "strip", "aria-hidden": "true" },
    strip("weights", (layer) => layer.weight_bits), strip("activations", (layer) => layer.output_bits));
}

/**
 * The table of layers.
 * @param {Object[]} layers
 * @param {?string} unit of their ticks
 * @param {?{label: string, layers: Object[]}} reference another candidate in the same unit, marked on the bars
 */
export function layersView(layers, unit, reference) {
  if (layers.length === 0) return empty("No layers are stored for this candidate.");
  const total = layers.reduce((sum, layer) => sum + (layer.ticks ?? 0), 0);
  const others = new Map(reference?.layers.map((layer) => [layer.index, layer.ticks]));
  const most = [...layers.map((layer) => layer.ticks), ...others.values()].reduce((max, ticks) => Math.max(max, ticks ?? 0), 0);
  return [
    bitsStrip(layers),
    h("div", { class: "table-scroll" }, h("table", { class: "layers" },
      h("thead", {}, h("tr", {},
        h("th", { scope: "col", class: "numeric" }, "#"), h("th", { scope: "col" }, "Layer"),
        h("th", { scope: "col", title: "bits per weight" }, "W"), h("th", { scope: "col", title: "bits per input activation" }, "In"),
        h("th", { scope: "col", title: "bits per output activation" }, "Out"), h("th", { scope: "col", class: "numeric wide-only" }, "MACs"),
        h("th", { scope: "col", class: "bar-head" }, `Latency (${unit ?? "not measured"})`),
        h("th", { scope: "col", class: "numeric roomy-only", title: `${unit ?? "ticks"} per multiply-accumulate` }, "per MAC"))),
      h("tbody", {}, layers.map((layer) => layerRow(layer, total, most, others.get(layer.index) ?? null))))),
    total > 0 ? h("p", { class: "muted layer-sum" }, `Sum of the layers: ${count(total)} ${unit ?? ""}`,
      reference ? [", ", h("i", { class: "mark reference-mark", "aria-hidden": "true" }), ` ${reference.label} for comparison`] : null) : null,
  ];
}

function layerRow(layer, total, most, other) {
  return h("tr", { "data-key": `layer-${layer.index}` },
    h("td", { class: "numeric" }, layer.index),
    h("td", { class: "layer-cell" }, h("span", { class: "layer-name" }, layer.name), " ", h("small", { class: "muted layer-kind", title: layer.variant ? "operator, and which variant of its kernel computes it" : "operator" },
      layer.variant ? `${layer.kind} \u00b7 ${layer.variant}` : layer.kind)),
    h("td", {}, bitsChip(layer.weight_bits)), h("td", {}, bitsChip(layer.input_bits)), h("td", {}, bitsChip(layer.output_bits)),
    h("td", { class: "numeric wide-only" }, compact(layer.macs)),
    h("td", {}, layer.ticks === null ? UNKNOWN : h("div", { class: "bar-cell" },
      h("span", { class: "layer-bar", "aria-hidden": "true" }, h("i", { style: { width: share(layer.ticks, most) } }),
        other === null ? null : h("b", { style: { left: share(other, most) } })),
      h("span", { class: "numeric", title: comparison(layer.ticks, other) }, compact(layer.ticks)), h("small", { class: "muted" }, percent(layer.ticks / (total || 1), 1)))),
    h("td", { class: "numeric roomy-only" }, layer.macs && layer.ticks ? (layer.ticks / layer.macs).toFixed(2) : UNKNOWN));
}

function share(ticks, most) {
  return `${((100 * ticks) / (most || 1)).toFixed(2)}%`;
}

function comparison(ticks, other) {
  return other ? `${count(ticks)}, ${signed(ticks / other - 1)}` : count(ticks);
}

function bitsChip(bits) {
  return bits === null || bits === undefined ? h("span", { class: "muted" }, UNKNOWN) : badge(String(bits), `${bits} bits`, bitsClass(bits));
}

function bitsClass(bits) {
  return [2, 4, 8].includes(bits) ? `bits bits-${bits}` : "bits bits-none";
}

/** What the colours mean. */
export function bitsLegend() {
  return h("span", { class: "bits-legend" }, [2, 4, 8].map((bits) => h("span", {}, h("i", { class: bitsClass(bits), "aria-hidden": "true" }, bits), ` ${bits} bits`)));
}
