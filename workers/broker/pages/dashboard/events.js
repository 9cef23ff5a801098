// The list of events, newest first.
import { ApiError, follow } from "./api.js";
import { changeSeen, openDocument } from "./browser.js";
import { byId, element } from "./dom.js";
import { nameOf } from "./peers.js";

const MAX_EVENTS = 200;
let lastSequence = null;
let waiting = [];

function describe(event) {
  switch (event.type) {
    case "PeerConnected":
      return `${event.peer_id} connected`;
    case "PeerDisconnected":
      return `${event.peer_id} disconnected: ${event.reason}`;
    case "TopologyChanged":
      return `${event.peer_count} ${event.peer_count === 1 ? "peer" : "peers"} connected`;
    case "Gap":
      return `changes ${event.since} to ${event.upto} are no longer available`;
    default:
      return event.reason ?? event.detail ?? "";
  }
}

function row(event) {
  const time = element("time", { text: new Date().toLocaleTimeString() });
  if (event.type !== "SyncEvent") return element("li", { class: "new" }, time, element("b", { text: event.type }), ` ${describe(event)}`);
  const name = `${event.collection}/${event.doc_id}`;
  const open = element("button", { type: "button", class: "link", text: name, onclick: () => openDocument(event.collection, event.doc_id).catch(() => {}) });
  const from = !event.origin ? "" : event.origin.startsWith("client") ? " by a Yjs client" : ` from ${event.origin_peer || nameOf(event.origin) || "a peer"}`;
  return element("li", { class: "new" }, time, element("b", { text: event.action }), " ", open, element("span", { class: "note", text: `${from}, change ${event.sequence}` }));
}

/** Adds an event to the list. Events that arrive together change the page once. */
function show(event) {
  if (byId("pause").checked) return;
  waiting.unshift(event);
  waiting.length = Math.min(waiting.length, MAX_EVENTS);
  if (waiting.length > 1) return;
  setTimeout(() => {
    byId("no-events").hidden = true;
    byId("events").prepend(...waiting.map(row));
    waiting = [];
    while (byId("events").children.length > MAX_EVENTS) byId("events").lastChild.remove();
  }, 50);
}

export async function followEvents(signal, showError) {
  while (!signal.aborted) {
    try {
      await follow(lastSequence === null ? "/events" : `/events?since=${lastSequence}`, signal, () => (byId("events-state").textContent = "live"), (event) => {
        if (event.sequence > 0) lastSequence = event.sequence;
        if (event.type === "Gap") lastSequence = event.upto;
        show(event);
        if (event.type === "SyncEvent") changeSeen(event).catch(showError);
      });
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError) showError(error);
    }
    byId("events-state").textContent = "disconnected; reconnecting";
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}
