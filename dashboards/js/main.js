// Puts the pieces together: events change the store, the store's changes redraw, clicks and keys choose.

import * as api from "./api.js";
import { campaignView, campaignsView } from "./campaigns.js";
import { candidateView } from "./candidate.js";
import { compareVersion, compareView, takingPart, toggled } from "./compare.js";
import { convergenceView } from "./convergence.js";
import { h, onClick, patch } from "./dom.js";
import { episodesView, INITIAL_TABLE, sortedBy } from "./episodes.js";
import { time } from "./format.js";
import { availableMetrics, METRICS, reference, wholeFront } from "./metrics.js";
import { rackSummary, rackView } from "./rack.js";
import { describe, layOut, nearest, scatterLegend, scatterView, step } from "./scatter.js";
import { detailVersion, Store } from "./store.js";
import { startTheme } from "./theme.js";

const store = new Store();
const view = { table: INITIAL_TABLE, metric: "latency", zoom: "front", hovered: null, plot: null };
const part = (id) => document.getElementById(id);

// ---- drawing: at most once per frame, whatever happened in between

let frame = null;

function redraw() {
  frame ??= requestAnimationFrame(() => {
    frame = null;
    draw();
  });
}

function draw() {
  const campaign = store.campaign();
  const candidate = store.candidate();
  const candidates = store.candidateList();
  patch(part("link"), linkView());
  patch(part("rack-summary"), rackSummary(store));
  patch(part("notice"), noticeView());
  patch(part("campaigns"), campaignsView(store));
  patch(part("rack"), rackView(store));
  document.body.classList.toggle("stale", store.link.state !== "live");
  const isComparing = store.comparedChosen !== null;
  for (const id of ["campaign", "split", "episodes"]) part(id).hidden = isComparing;
  part("compare").hidden = !isComparing;
  if (isComparing) drawComparison();
  else drawCampaign(campaign, candidate, candidates);
}

function drawComparison() {
  const campaigns = store.campaignList();
  const chosen = takingPart(campaigns, store.comparedChosen, store.campaign());
  const width = Math.max(260, part("compare").clientWidth - 24);
  patch(part("compare"), compareView(campaigns, chosen, store.comparison, width));
  document.title = "Compare searches \u00b7 Bitrack";
  if (!store.campaignsKnown) readCampaigns();
  readComparison(chosen);
}

function drawCampaign(campaign, candidate, candidates) {
  const whole = campaign?.objective === "front" ? wholeFront(candidates) : null;
  patch(part("campaign"), campaignView(campaign, whole));
  drawCharts(campaign, candidate, candidates, whole);
  const compared = reference(candidates, campaign?.unit);
  const isFollowing = store.indexChosen === null;
  patch(part("candidate"), candidateView(candidate, store.details.get(candidate?.id), campaign, isFollowing,
    compared && { candidate: compared, detail: store.details.get(compared.id)?.detail ?? null }));
  const front = new Set((whole ?? view.plot.front).map((one) => one.id));
  patch(part("episodes"), episodesView(candidates, front, view.table, candidate, campaign?.limits ?? null));
  document.title = campaign ? `${campaign.name} ${campaign.measured}/${campaign.budget} \u00b7 Bitrack` : "Bitrack";
  readMissing(campaign, [candidate, compared]);
}

function drawCharts(campaign, candidate, candidates, whole) {
  const width = Math.max(260, part("scatter").clientWidth - 24);
  const height = width < 480 ? 300 : Math.min(520, Math.round(width * 0.72));
  const metrics = availableMetrics(candidates);
  if (!metrics.includes(view.metric)) view.metric = "latency";
  view.plot = layOut(candidates, { metric: view.metric, zoom: view.zoom, unit: campaign?.unit, limits: campaign?.limits, whole, width, height });
  patch(part("scatter"), h("figure", {}, scatterHead(metrics), h("div", { class: "plot-area" },
    scatterView(view.plot, candidate, campaign?.best), tooltip()), scatterLegend(view.plot)));
  const chart = convergenceView(candidates, { width, height: 150, selected: candidate });
  part("convergence").hidden = chart === null;
  patch(part("convergence"), h("h2", {}, "Best feasible accuracy so far"), chart);
}

function scatterHead(metrics) {
  const choice = (group, name, title, isOn) => h("button", { type: "button", [`data-${group}`]: name, "aria-pressed": String(isOn) }, title);
  return h("header", { class: "panel-head" }, h("h2", {}, "Accuracy against"),
    h("div", { class: "segments", role: "group", "aria-label": "Cost on the horizontal axis" },
      metrics.map((name) => choice("metric", name, METRICS[name].name, view.metric === name))),
    h("div", { class: "segments end", role: "group", "aria-label": "Part of the plot" },
      choice("zoom", "front", "Near the front", view.zoom === "front"), choice("zoom", "all", "All", view.zoom === "all")));
}

function tooltip() {
  const hovered = view.plot.inside.find((one) => one.id === view.hovered);
  if (!hovered) return h("p", { class: "tooltip", hidden: true, "aria-hidden": "true" });
  const { left, top } = view.plot.at(hovered);
  const toLeft = left > view.plot.width / 2;
  return h("p", { class: `tooltip ${toLeft ? "to-left" : ""}`, "aria-hidden": "true", style: { left: `${left}px`, top: `${top}px` } }, describe(hovered, view.plot));
}

function linkView() {
  const { state, since } = store.link;
  if (state === "live") return h("span", { class: "pill state-ready" }, h("i", { "aria-hidden": "true" }, "\u25cf"), " live");
  if (state === "stale") return h("span", { class: "pill state-quarantined" }, `stale since ${time(since.toISOString())}`);
  return h("span", { class: "pill" }, "connecting");
}

function noticeView() {
  const { state, since } = store.link;
  if (state === "stale") return h("p", { class: "notice" }, `The daemon does not answer. Everything below is as of ${time(since.toISOString())}; trying again.`);
  if (state === "absent") return h("p", { class: "notice" }, "The daemon does not answer; trying again.");
  if (store.trouble) return h("p", { class: "notice" }, `Not everything could be read: ${store.trouble}`);
  if (store.updated) return h("p", { class: "notice" }, "The daemon was updated. ", h("button", { type: "button", "data-reload": "" }, "Reload the page"));
  return null;
}

// ---- reading

const RETRY_MS = 2_000;
const reading = new Map();

/**
 * Runs `read` unless the same thing is being read already. A failure is shown and, as long as the daemon is there, tried again;
 * a daemon that is away is the connection's business, which has everything read afresh when it is back.
 */
async function readOnce(what, version, read) {
  if (store.link.state !== "live" || reading.get(what) === version) return;
  reading.set(what, version);
  const isLatest = () => reading.get(what) === version;
  try {
    const answer = await read();
    if (isLatest()) reading.delete(what);
    store.change(() => answer());
  } catch (error) {
    setTimeout(() => {
      if (isLatest()) reading.delete(what);
      redraw();
    }, RETRY_MS);
    if (store.link.state === "live") store.change(() => (store.trouble = error.message));
  }
}

function readCampaigns() {
  const { epoch, sequence } = store;
  return readOnce("campaigns", epoch, async () => {
    const list = await api.campaigns();
    return () => store.takeCampaigns(list, epoch, sequence);
  });
}

function readCandidates({ name }) {
  const { epoch, sequence } = store;
  return readOnce(`candidates of ${name}`, epoch, async () => {
    const list = await api.candidates(name);
    return () => store.takeCandidates(name, list, epoch, sequence);
  });
}

function readDetail(candidate) {
  const version = detailVersion(candidate);
  return readOnce(`candidate ${candidate.id}`, version, async () => {
    const detail = await api.candidate(candidate.id).catch((error) => error);
    if (!(detail instanceof Error)) return () => store.details.set(candidate.id, { detail, version, error: null });
    if (!(detail instanceof api.ApiError)) throw detail;
    const old = store.details.get(candidate.id)?.detail ?? null;
    return () => store.details.set(candidate.id, { detail: old, version, error: detail.message });
  });
}

const COMPARE_EVERY_MS = 2_000;
const compared = { ids: "", at: 0 };

/** The comparison of these as they stand now; while they run, not more often than people can look. */
function readComparison(chosen) {
  const version = compareVersion(chosen);
  if (chosen.length === 0 || store.comparison.version === version) return null;
  const ids = chosen.map((one) => one.id).join(",");
  const rest = ids === compared.ids ? compared.at + COMPARE_EVERY_MS - Date.now() : 0;
  if (rest > 0) return setTimeout(redraw, rest);
  Object.assign(compared, { ids, at: Date.now() });
  return readOnce("comparison", version, async () => {
    const answer = await api.compare(chosen.map((one) => one.id)).catch((error) => error);
    if (!(answer instanceof Error)) return () => (store.comparison = { comparison: answer, version, error: null });
    if (!(answer instanceof api.ApiError)) throw answer;
    return () => (store.comparison = { comparison: null, version, error: answer.message });
  });
}

/** Whatever is on show and not yet, or no longer, known in full. */
function readMissing(campaign, candidates) {
  if (!store.campaignsKnown) readCampaigns();
  if (campaign && !store.complete.has(campaign.name)) readCandidates(campaign);
  for (const one of candidates) {
    if (one && store.details.get(one.id)?.version !== detailVersion(one)) readDetail(one);
  }
}

function heard(name, data) {
  store.change(() => store.take(name, data));
}

// ---- choosing: the address holds what is on show, so that it can be sent to a colleague

function readAddress() {
  const asked = location.hash.match(/^#\?compare=(.*)$/);
  if (asked) {
    store.change(() => (store.comparedChosen = asked[1].split(",").filter(Boolean).map(decode)));
    return;
  }
  const [campaign, index] = location.hash.replace(/^#\/?/, "").split("/").map(decode);
  const isOther = (campaign || null) !== store.campaignChosen;
  store.change(() => {
    store.comparedChosen = null;
    store.campaignChosen = campaign || null;
    store.indexChosen = index !== undefined && /^\d+$/.test(index) ? Number(index) : null;
    if (isOther) view.table = { ...view.table, page: 0 };
  });
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function choose(index) {
  const campaign = store.campaign();
  if (!campaign) return;
  history.replaceState(null, "", `#/${encodeURIComponent(campaign.name)}/${index}`);
  readAddress();
}

function startScatter(root) {
  const inPlot = (event) => {
    const svg = root.querySelector(".plot");
    if (!svg?.contains(event.target)) return null;
    const box = svg.getBoundingClientRect();
    return nearest(view.plot, event.clientX - box.left, event.clientY - box.top);
  };
  const hover = (candidate) => {
    if ((candidate?.id ?? null) === view.hovered) return;
    view.hovered = candidate?.id ?? null;
    root.classList.toggle("has-hover", candidate !== null);
    redraw();
  };
  root.addEventListener("pointermove", (event) => hover(inPlot(event)));
  root.addEventListener("pointerleave", () => hover(null));
  root.addEventListener("click", (event) => {
    const hit = inPlot(event);
    if (hit) choose(hit.index);
  });
  root.addEventListener("keydown", (event) => {
    const next = event.target.closest(".plot") && step(view.plot, store.candidate(), event.key);
    if (!next) return;
    event.preventDefault();
    choose(next.index);
    part("announcer").textContent = describe(next, view.plot);
  });
  onClick(root, "metric", (name) => set({ metric: name }));
  onClick(root, "zoom", (name) => set({ zoom: name }));
}

function startComparison(root) {
  onClick(root, "toggle", (names) => {
    const campaigns = store.campaignList();
    const chosen = takingPart(campaigns, store.comparedChosen, store.campaign());
    const next = toggled(campaigns, chosen, JSON.parse(names));
    history.replaceState(null, "", `#?compare=${next.map(encodeURIComponent).join(",")}`);
    readAddress();
  });
}

function startEpisodes(root) {
  onClick(root, "select", (index) => choose(Number(index)));
  onClick(root, "filter", (filter) => set({ table: { ...view.table, filter, page: 0 } }));
  onClick(root, "sort", (column) => set({ table: sortedBy(view.table, column) }));
  onClick(root, "page", (page) => set({ table: { ...view.table, page: Number(page) } }));
}

function set(change) {
  Object.assign(view, change);
  redraw();
}

store.subscribe(redraw);
startTheme(part("theme"));
startScatter(part("scatter"));
startEpisodes(part("episodes"));
startComparison(part("compare"));
onClick(part("notice"), "reload", () => location.reload());
const resized = new ResizeObserver(redraw);
for (const id of ["scatter", "compare"]) resized.observe(part(id));
window.addEventListener("hashchange", readAddress);
readAddress();
api.listen({ onEvent: heard, onLost: () => store.change(() => store.lose()) });
