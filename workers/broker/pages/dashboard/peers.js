// The table of peers. Its rows are changed in place, so that a button keeps the keyboard focus; many peers are folded.
import { ask } from "./api.js";
import { byId, bytes, element, setText } from "./dom.js";
import { clockWords, kindOf, pauseWords, progressOf, stateWords, syncWords } from "./words.js";

const PAGE = 30;
const rows = new Map(); // by key of the peer
const nodeIds = new Map(); // by instance, also of those that have ended since the page was opened
let limit = PAGE;
let drawn = { peers: [], documents: null };
let afterForgetting = () => {};

const ORDER = { twin: 0, bad: 1, warn: 2, ok: 3, absent: 4 };

const inOrder = new Intl.Collator(undefined, { numeric: true }).compare;

/** Names in their natural order. */
export const byName = (a, b) => inOrder(a.id, b.id);

/** What needs attention first; of absent ones, who went last. */
export function ordered(peers) {
  return [...peers].sort((a, b) => ORDER[kindOf(a)] - ORDER[kindOf(b)] || (b.absent_since ?? 0) - (a.absent_since ?? 0) || byName(a, b));
}

/** The first peers of `all`, which are ordered; a third of the room is for absent ones, or what the others leave. */
export function firstOf(all, room) {
  const away = all.filter((peer) => kindOf(peer) === "absent");
  const others = Math.min(all.length - away.length, Math.max(Math.ceil((room * 2) / 3), room - away.length));
  return [...all.slice(0, others), ...away.slice(0, room - others)];
}

export const rtt = (peer) => (peer.rtt_ms === null ? "–" : `${peer.rtt_ms < 10 ? peer.rtt_ms.toFixed(1) : Math.round(peer.rtt_ms)} ms`);

/** The node id of a peer's instance; undefined: it is not known. */
export const nameOf = (instance) => nodeIds.get(instance);

export function drawPeers(reply) {
  drawn = reply;
  for (const peer of reply.peers) if (peer.instance) nodeIds.set(peer.instance, peer.id);
  draw();
}

function draw() {
  const wanted = byId("peer-filter").value.trim().toLowerCase();
  const matching = ordered(drawn.peers.filter((peer) => peer.id.toLowerCase().includes(wanted)));
  const shown = firstOf(matching, limit);
  const seen = new Map();
  for (const peer of shown) {
    const key = `${peer.id} ${peer.twin ? peer.instance : ""}`;
    const row = rows.get(key) ?? makeRow(peer.id);
    fillRow(row, peer);
    seen.set(key, row);
  }
  for (const key of [...rows.keys()]) if (!seen.has(key)) rows.delete(key);
  for (const [key, row] of seen) rows.set(key, row);
  arrange(byId("peers"), [...seen.values()].map(({ line }) => line));
  const hidden = matching.length - shown.length;
  byId("peer-search").hidden = drawn.peers.length <= PAGE;
  byId("more-peers").hidden = hidden === 0;
  setText(byId("more-peers"), "Show more");
  byId("fewer-peers").hidden = limit === PAGE;
  setText(byId("peers-note"), noteOf(matching.length, shown.length, wanted));
}

function noteOf(matching, shown, wanted) {
  if (drawn.peers.length === 0) return "No peers yet. Peers appear here when discovery finds them.";
  if (wanted && matching === 0) return "No peer has this in its name.";
  return shown < matching ? `${shown} of ${matching.toLocaleString()} peers are shown.` : "";
}

/** Lets `list` have exactly these children, and moves only what is out of place: a moved element loses the focus. */
function arrange(list, lines) {
  const kept = new Set(lines);
  for (const line of [...list.children]) if (!kept.has(line)) line.remove();
  lines.forEach((line, index) => {
    if (list.children[index] !== line) list.insertBefore(line, list.children[index] ?? null);
  });
}

function makeRow(id) {
  const cell = (attributes) => element("td", attributes);
  const row = {
    state: element("span"), twin: element("span", { class: "pill bad" }), clock: element("span", { class: "pill warn" }), pause: element("span", { class: "pill bad" }), rtt: cell({ class: "num" }), words: element("span"), bar: element("progress"), traffic: cell({ class: "num" }),
    forget: element("button", { type: "button", class: "small", text: "Forget", "aria-label": `Forget ${id}`, onclick: () => forget(id) }),
  };
  row.head = element("th", { scope: "row", text: id });
  row.sync = cell({});
  row.sync.append(row.words, row.bar);
  row.bar.setAttribute("aria-label", `Documents of ${id}`);
  row.line = element("tr", {}, row.head, element("td", {}, row.state, " ", row.twin, row.clock, row.pause, row.forget), row.rtt, row.sync, row.traffic);
  return row;
}

function fillRow(row, peer) {
  const kind = kindOf(peer);
  row.head.title = [peer.addresses.join(", "), peer.version && `peatnode ${peer.version}`].filter(Boolean).join("\n");
  const clock = clockWords(peer.clock_offset);
  for (const [part, text] of [[row.twin, peer.twin ? `identity used twice, at ${peer.addresses[0] ?? "no address"}` : ""], [row.clock, clock], [row.pause, pauseWords(peer)]]) {
    part.hidden = text === "";
    setText(part, text);
  }
  setText(row.state, stateWords(peer));
  row.state.className = peer.connected ? "ok" : kind;
  setText(row.rtt, rtt(peer));
  setText(row.words, syncWords(peer, drawn.documents));
  row.sync.className = kind;
  const progress = progressOf(peer, drawn.documents);
  row.bar.hidden = progress === null;
  if (progress) {
    row.bar.max = progress.all;
    row.bar.value = progress.done;
  }
  setText(row.traffic, peer.bytes_sent || peer.bytes_received ? `${bytes(peer.bytes_sent)} / ${bytes(peer.bytes_received)}` : "–");
  row.forget.hidden = peer.connected || !peer.remembered;
}

async function forget(id) {
  const isSure = confirm(
    `Forget ${id}, here and on all nodes that can be reached?\n\nIt is no longer shown as absent, and alerts about it end. If it comes back, it is a member again and keeps its documents.`,
  );
  if (!isSure) return;
  setText(byId("peers-state"), "");
  try {
    await ask(`/peers/${encodeURIComponent(id)}`, { method: "DELETE" });
    setText(byId("peers-state"), `${id} is forgotten.`);
  } catch (error) {
    setText(byId("peers-state"), `${id} is not forgotten: ${error.message}`);
  }
  afterForgetting();
}

/** `redraw`: called when a peer has been forgotten. */
export function connectPeers(redraw) {
  afterForgetting = redraw;
  byId("peer-filter").addEventListener("input", draw);
  byId("more-peers").addEventListener("click", () => {
    limit += 3 * PAGE;
    draw();
  });
  byId("fewer-peers").addEventListener("click", () => {
    limit = PAGE;
    draw();
  });
}
