// The bits of a candidate, layer by layer, and what each layer costs.

import { h } from "./dom.js";
import { compact, count, percent, UNKNOWN } from "./format.js";
import { badge, empty } from "./parts.js";

/** The strip: one column per layer, weights above, activations below. The table repeats it in words and figures. */
export function bitsStrip(layers) {
  const strip = (name, bits) => h("div", { class: "strip-row" }, h("span", { class: "strip-name" }, name),
    layers.map((layer) => h("i", { class: bitsClass(bits(layer)), title: `${layer.name}: ${bits(layer) ?? "no"} bits` }, bits(layer) ?? "")));
  return h("div", { class: "strip", "aria-hidden": "true" },
    strip("weights", (layer) => layer.weight_bits), strip("activations", (layer) => layer.output_bits));
}

/** The table of layers. `unit` is the unit of `ticks`. */
export function layersView(layers, unit) {
  if (layers.length === 0) return empty("No layers are stored for this candidate.");
  const total = layers.reduce((sum, layer) => sum + (layer.ticks ?? 0), 0);
  const most = layers.reduce((max, layer) => Math.max(max, layer.ticks ?? 0), 0);
  return [
    bitsStrip(layers),
    h("div", { class: "table-scroll" }, h("table", { class: "layers" },
      h("thead", {}, h("tr", {},
        h("th", { scope: "col", class: "numeric" }, "#"), h("th", { scope: "col" }, "Layer"),
        h("th", { scope: "col", title: "bits per weight" }, "W"), h("th", { scope: "col", title: "bits per input activation" }, "In"),
        h("th", { scope: "col", title: "bits per output activation" }, "Out"), h("th", { scope: "col", class: "numeric wide-only" }, "MACs"),
        h("th", { scope: "col", class: "bar-head" }, `Latency (${unit ?? "not measured"})`),
        h("th", { scope: "col", class: "numeric roomy-only", title: `${unit ?? "ticks"} per multiply-accumulate` }, "per MAC"))),
      h("tbody", {}, layers.map((layer) => layerRow(layer, total, most))))),
    total > 0 ? h("p", { class: "muted" }, `Sum of the layers: ${count(total)} ${unit ?? ""}`) : null,
  ];
}

function layerRow(layer, total, most) {
  return h("tr", { "data-key": `layer-${layer.index}` },
    h("td", { class: "numeric" }, layer.index),
    h("td", {}, h("span", { class: "layer-name" }, layer.name), " ", h("small", { class: "muted layer-kind" }, layer.kind)),
    h("td", {}, bitsChip(layer.weight_bits)), h("td", {}, bitsChip(layer.input_bits)), h("td", {}, bitsChip(layer.output_bits)),
    h("td", { class: "numeric wide-only" }, compact(layer.macs)),
    h("td", {}, layer.ticks === null ? UNKNOWN : h("div", { class: "bar-cell" },
      h("span", { class: "layer-bar", "aria-hidden": "true" }, h("i", { style: { width: `${((100 * layer.ticks) / (most || 1)).toFixed(2)}%` } })),
      h("span", { class: "numeric", title: count(layer.ticks) }, compact(layer.ticks)), h("small", { class: "muted" }, percent(layer.ticks / (total || 1), 1)))),
    h("td", { class: "numeric roomy-only" }, layer.macs && layer.ticks ? (layer.ticks / layer.macs).toFixed(2) : UNKNOWN));
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
