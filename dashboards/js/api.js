// The only module that knows HTTP. Paths and types: docs/api.md.

const RETRY_MIN_MS = 250;
const RETRY_MAX_MS = 4_000;
const SILENCE_MS = 20_000;
const PROBE_TIMEOUT_MS = 5_000;
const EVENTS = ["hello", "board", "candidate", "campaign", "lagged"];

/** An answer that is not a success, with the daemon's own words where it sent some. */
export class ApiError extends Error {
  constructor(status, body) {
    const error = body?.error;
    super(error?.message ?? `the daemon answered ${status}`);
    this.status = status;
    this.help = error?.help ?? null;
  }
}

/** GET, as JSON. Throws ApiError, or TypeError when there is no daemon. */
export async function get(path, timeoutMs = 60_000) {
  const response = await fetch(`api/${path}`, { signal: AbortSignal.timeout(timeoutMs), cache: "no-store" });
  if (!response.ok) throw new ApiError(response.status, await response.json().catch(() => null));
  return response.json();
}

export const rack = () => get("rack");
export const campaigns = () => get("campaigns");
export const candidates = (campaign) => get(`campaigns/${encodeURIComponent(campaign)}/candidates`);
export const compare = (ids) => get(`compare?campaigns=${ids.map(encodeURIComponent).join(",")}`);
export const candidate = (id) => get(`candidates/${encodeURIComponent(id)}`);

/**
 * Listens to the daemon's events for as long as the page lives, and comes back by itself.
 * EventSource alone gives up on an error status and does not see a peer that went away without a word; so a lost
 * connection is opened afresh with back-off, and a silent one is asked for the rack.
 * @param {{onEvent: (name: string, data: Object) => void, onLost: () => void}} handlers
 */
export function listen(handlers) {
  let source = null;
  let retryMs = RETRY_MIN_MS;
  let retryTimer = null;
  let lastHeard = Date.now();
  let isGreeted = false;

  function open() {
    clearTimeout(retryTimer);
    isGreeted = false;
    source = new EventSource("api/events");
    for (const name of EVENTS) source.addEventListener(name, (event) => heard(name, event));
    source.addEventListener("error", lost);
  }

  function heard(name, event) {
    lastHeard = Date.now();
    isGreeted = true;
    retryMs = RETRY_MIN_MS;
    handlers.onEvent(name, JSON.parse(event.data));
  }

  function lost() {
    source.close();
    handlers.onLost();
    clearTimeout(retryTimer);
    retryTimer = setTimeout(open, retryMs);
    retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
  }

  async function checkSilence() {
    if (source.readyState !== EventSource.OPEN || Date.now() - lastHeard < SILENCE_MS) return;
    try {
      await get("rack", PROBE_TIMEOUT_MS);
      lastHeard = Date.now();
      // A connection that never said hello is of no use, even if the daemon is well.
      if (!isGreeted) lost();
    } catch {
      lost();
    }
  }

  // Back-off must not keep somebody waiting who has just come back to the page.
  function hurry() {
    if (document.visibilityState === "visible" && source.readyState === EventSource.CLOSED) open();
  }

  open();
  setInterval(checkSilence, SILENCE_MS / 4);
  document.addEventListener("visibilitychange", hurry);
  window.addEventListener("online", hurry);
}
