// The list of campaigns, and the head of the one on show: how far, how good, how fast, under which limits.

import { h } from "./dom.js";
import { bytes, compact, count, duration, percent, plural, UNKNOWN } from "./format.js";
import { METRICS } from "./metrics.js";
import { badge, empty, pill, tile, timeView } from "./parts.js";

/** The list; the one on show is marked as current. */
export function campaignsView(store) {
  const isComparing = store.comparedChosen !== null;
  const shown = isComparing ? null : store.campaign();
  const list = store.campaignList();
  return [
    h("h2", {}, "Campaigns"),
    list.length === 0 && store.link.state === "live"
      ? empty("None yet. Start one with ", h("code", {}, "hil campaign start NAME"), ".") : null,
    list.length > 0 ? h("a", { class: "compare-link", href: "#?compare=", "aria-current": isComparing ? "true" : null }, "Compare searches") : null,
    h("ul", {}, list.map((campaign) => h("li", { "data-key": campaign.name },
      h("a", { href: `#/${encodeURIComponent(campaign.name)}`, "aria-current": campaign === shown ? "true" : null },
        h("b", {}, campaign.name), pill(campaign.state),
        h("small", {}, `${campaign.strategy} \u00b7 ${count(campaign.measured)}/${count(campaign.budget)}`,
          campaign.best ? ` \u00b7 ${percent(campaign.best.accuracy, 1)}` : null))))),
  ];
}

/** The head of the campaign on show; `front` is what it has found of it, where it is after the front. */
export function campaignView(campaign, front) {
  if (!campaign) return empty("No campaign to show.");
  return [
    h("header", { class: "campaign-head" },
      h("h2", {}, campaign.name), pill(campaign.state),
      campaign.unit === "instructions"
        ? badge("instructions, not time", "measured on virtual boards: exact instruction counts, which are not cycles or milliseconds of a chip", "virtual") : null,
      campaign.reason ? h("span", { class: "reason" }, campaign.reason) : null),
    h("p", { class: "muted meta" }, meta(campaign)),
    progress(campaign),
    campaign.training ? h("p", { class: "muted meta", "data-training": campaign.training.episode }, training(campaign.training)) : null,
    h("dl", { class: "tiles" }, tiles(campaign, front)),
  ];
}

function meta(campaign) {
  return [
    `${campaign.strategy}, seed ${campaign.seed} \u00b7 `, campaign.origin ? `from ${campaign.origin} \u00b7 ` : null, h("span", { title: campaign.model }, fileName(campaign.model)), " on ",
    h("span", { title: campaign.data }, fileName(campaign.data)), ` \u00b7 ${campaign.board_types.join(", ")}`,
    campaign.started_at ? [" \u00b7 started ", timeView(campaign.started_at)] : null,
    campaign.finished_at ? [" \u00b7 finished ", timeView(campaign.finished_at)] : null,
    campaign.window ? [` \u00b7 window ${campaign.window}`, windowState(campaign)] : null,
  ];
}

function windowState(campaign) {
  const now = campaign.window_open ? " (open" : " (closed";
  return [now, campaign.window_changes_at ? [campaign.window_open ? " until " : ", opens ", timeView(campaign.window_changes_at)] : null, ")"];
}

function progress(campaign) {
  const share = campaign.budget > 0 ? Math.min(1, campaign.measured / campaign.budget) : 0;
  return h("div", { class: "progress", role: "progressbar", "aria-label": "Measured candidates of the budget", "aria-valuemin": 0,
    "aria-valuemax": campaign.budget, "aria-valuenow": campaign.measured },
  h("i", { style: { width: `${(share * 100).toFixed(2)}%` } }));
}

/** What the agent trains at present, before it is measured. */
function training({ episode, label, step, steps, share, loss, remaining_s: remaining }) {
  const name = label ?? `episode ${episode}`;
  const of = steps === null ? "" : ` of ${count(steps)}`;
  return `training ${name}: ${percent(share, 0)}, step ${count(step)}${of}, loss ${loss.toFixed(3)}, ${duration(remaining)} to go`;
}

function tiles(campaign, front) {
  const best = campaign.best;
  const cost = best ? METRICS.latency.exact(best.ticks, best.unit) : "no feasible candidate yet";
  const others = `${plural(campaign.infeasible, "infeasible", "infeasible")}, ${count(campaign.failed)} failed, ${count(campaign.reused)} reused`;
  return [
    tile("Measured", `${count(campaign.measured)} of ${count(campaign.budget)}`, `${plural(campaign.episodes, "episode")}: ${others}`, { "data-tile": "measured" }),
    tile("Best so far", best ? percent(best.accuracy) : UNKNOWN, best ? `${cost}, ${best.label ?? `episode ${best.index}`}` : cost, { "data-tile": "best" }),
    tile("Time left", eta(campaign), rate(campaign), { "data-tile": "eta" }),
    tile("Latency limit", limit(campaign.limits, "latency_ticks", compact),
      campaign.limits ? `${campaign.unit}; flash ${limit(campaign.limits, "flash_bytes", bytes)}, RAM ${limit(campaign.limits, "ram_bytes", bytes)}` : "not resolved yet",
      { "data-tile": "limits" }),
    front ? tile("On the front", count(front.length), "the objective: accuracy, latency, flash and RAM", { "data-tile": "front" }) : null,
    predictions(campaign.prediction_error),
  ];
}

/** How far the agent's predictions of latency were off, over the candidates measured for the first time. */
function predictions(error) {
  if (!error) return null;
  const most = `median over ${plural(error.candidates, "candidate")}, at most ${percent(error.max)}`;
  return tile("Prediction error", percent(error.median), most, { "data-tile": "prediction" });
}

/** Seconds of measuring left at the present rate, as text; nothing is promised for a campaign that does not run. */
function eta(campaign) {
  if (campaign.state !== "running") return UNKNOWN;
  if (!campaign.candidates_per_hour) return "estimating";
  return `about ${duration(((campaign.budget - campaign.measured) / campaign.candidates_per_hour) * 3600)}`;
}

function rate(campaign) {
  return campaign.candidates_per_hour ? `${count(campaign.candidates_per_hour)} candidates per hour` : null;
}

function limit(limits, name, format) {
  if (!limits) return UNKNOWN;
  return limits[name] === null ? "unlimited" : format(limits[name]);
}

function fileName(path) {
  return String(path).split("/").filter(Boolean).at(-1) ?? path;
}
