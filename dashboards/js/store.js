// What the page knows, and how news changes it. No document, no network: both are handed in.

/** The state of the page; views read it and never write it. */
export class Store {
  constructor() {
    this.link = { state: "connecting", since: new Date() };
    this.revision = null;
    this.updated = false;
    this.boards = new Map();
    this.campaigns = new Map();
    /** campaign name -> candidate id -> Candidate */
    this.candidates = new Map();
    /** candidate id -> {detail, version, error}; `version` is null when the detail may be out of date */
    this.details = new Map();
    /** Whether the list of campaigns, and the lists of which campaigns' candidates, are whole. */
    this.campaignsKnown = false;
    this.complete = new Set();
    /** Counts how often everything had to be read afresh. */
    this.epoch = 0;
    this.campaignChosen = null;
    this.indexChosen = null;
    /** Names of the campaigns that are compared, empty for all that can be; null while nothing is compared. */
    this.comparedChosen = null;
    /** The last comparison that was read, of which campaigns in which state, and why there is none. */
    this.comparison = { comparison: null, version: null, error: null };
    /** Why the last list could not be read, or null. */
    this.trouble = null;
    this.sequence = 0;
    this.touched = new Map();
    this.listeners = [];
  }

  /** Calls `listener` after every change. */
  subscribe(listener) {
    this.listeners.push(listener);
  }

  /** Applies `change` to the store and tells the listeners. */
  change(change) {
    change(this);
    for (const listener of this.listeners) listener();
  }

  /** The campaign on show: the chosen one, else one that runs, else the newest. */
  campaign() {
    const all = this.campaignList();
    return this.campaigns.get(this.campaignChosen) ?? all.find((campaign) => campaign.state === "running") ?? all[0] ?? null;
  }

  /** Campaigns, newest first. */
  campaignList() {
    return [...this.campaigns.values()].sort((a, b) => b.id - a.id);
  }

  /** Candidates of the campaign on show, in no particular order. */
  candidateList() {
    return [...(this.candidates.get(this.campaign()?.name)?.values() ?? [])];
  }

  /** The candidate on show: the chosen one, else the best so far, else the newest. */
  candidate() {
    const all = this.candidateList();
    if (this.indexChosen !== null) return all.find((candidate) => candidate.index === this.indexChosen) ?? null;
    const best = this.campaign()?.best;
    const known = best && this.candidates.get(best.campaign)?.get(best.id);
    return known ?? best ?? all.reduce((newest, one) => (one.index > (newest?.index ?? -1) ? one : newest), null);
  }

  /** Takes one server-sent event. */
  take(name, data) {
    this.sequence += 1;
    if (name === "hello" || name === "lagged") this.doubt();
    if (name === "hello") this.takeRack(data);
    else if (name === "board") this.boards.set(data.name, data);
    else if (name === "campaign") this.touch(this.campaigns, `campaign ${data.name}`, data.name, data);
    else if (name === "candidate") this.touch(this.candidatesOf(data.campaign), `candidate ${data.id}`, data.id, data);
  }

  /** Events may have been missed: what is known stays on show, and all of it is to be read again. */
  doubt() {
    this.epoch += 1;
    this.campaignsKnown = false;
    this.complete.clear();
    for (const known of this.details.values()) known.version = null;
  }

  takeRack(rack) {
    this.updated ||= this.revision !== null && this.revision !== rack.tool_revision;
    this.revision ??= rack.tool_revision;
    this.boards = new Map(rack.boards.map((board) => [board.name, board]));
    this.link = { state: "live", since: new Date() };
  }

  touch(map, tag, key, value) {
    this.touched.set(tag, this.sequence);
    map.set(key, value);
  }

  /** The connection is gone: what is shown stays, and is said to be old. */
  lose() {
    if (this.link.state === "live") this.link = { state: "stale", since: new Date() };
    else if (this.link.state === "connecting") this.link = { state: "absent", since: this.link.since };
  }

  /**
   * Takes a list that was asked for in an epoch, when the sequence was `askedAt`. An entry that an event has brought since then is
   * newer than the list and stays; everything else becomes what the list says. A list of an older epoch is dropped: events were
   * missed since.
   */
  takeCampaigns(list, epoch, askedAt) {
    if (epoch !== this.epoch) return;
    this.trouble = null;
    this.campaignsKnown = true;
    this.campaigns = this.merged(this.campaigns, list, (one) => one.name, (one) => `campaign ${one.name}`, askedAt);
  }

  /** As `takeCampaigns`, for the candidates of one campaign. */
  takeCandidates(campaign, list, epoch, askedAt) {
    if (epoch !== this.epoch) return;
    const merged = this.merged(this.candidatesOf(campaign), list, (one) => one.id, (one) => `candidate ${one.id}`, askedAt);
    this.trouble = null;
    this.complete.add(campaign);
    this.candidates.set(campaign, merged);
  }

  merged(present, list, key, tag, askedAt) {
    const isNewer = (one) => (this.touched.get(tag(one)) ?? 0) > askedAt;
    const entries = list.map((one) => [key(one), isNewer(one) ? (present.get(key(one)) ?? one) : one]);
    const arrived = [...present.values()].filter(isNewer).map((one) => [key(one), one]);
    return new Map([...entries, ...arrived]);
  }

  candidatesOf(campaign) {
    if (!this.candidates.has(campaign)) this.candidates.set(campaign, new Map());
    return this.candidates.get(campaign);
  }
}

/** What a candidate's details depend on: when this text changes, they must be read again. */
export function detailVersion(candidate) {
  return [candidate.id, candidate.state, candidate.finished_at, candidate.reward].join(" ");
}
