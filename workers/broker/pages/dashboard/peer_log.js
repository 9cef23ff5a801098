// The log of peers: what has happened between this node and each of them, newest first.
import { ask } from "./api.js";
import { byId, element, moment } from "./dom.js";

const WORDS = {
  connected: "connected",
  disconnected: "disconnected",
  failed: "cannot be reached",
  refused: "was refused",
  equal: "has the same documents",
  different: "has other documents",
  left: "left for good",
  forgotten: "was forgotten",
  blocked: "was blocked",
  unblocked: "is no longer blocked",
  paused: "deleted too many documents: its deletions are paused",
  allowed: "may delete again",
};
const KINDS = { connected: "ok", equal: "ok", failed: "bad", refused: "bad", paused: "bad", blocked: "warn", disconnected: "warn" };

export async function drawPeerLog() {
  const { events } = await ask("/peer-log");
  byId("no-peer-log").hidden = events.length > 0;
  const list = byId("peer-log");
  const shown = JSON.stringify(events);
  if (list.dataset.shown === shown) return;
  list.dataset.shown = shown;
  list.replaceChildren(...[...events].reverse().map(row));
}

function row({ time, peer, kind, detail }) {
  const when = element("time", { text: moment(time, true), datetime: new Date(time * 1000).toISOString() });
  const what = element("span", { class: KINDS[kind] ?? "", text: WORDS[kind] ?? kind });
  return element("li", {}, when, element("b", { text: peer }), " ", what, element("span", { class: "note", text: detail ? `: ${detail}` : "" }));
}
