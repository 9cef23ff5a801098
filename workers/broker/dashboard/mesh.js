// The mesh as a picture and as a table: this node, its peers, the links between them.
import { byId, duration, element, shape } from "./dom.js";

const WIDTH = 640;
const HEIGHT = 360;

const linkClass = (peer) => (!peer.connected ? "bad" : peer.in_sync ? "ok" : "warn");

export function syncWords(peer) {
  if (!peer.connected) return peer.reason || peer.state;
  if (peer.in_sync) return "in sync";
  const since = peer.out_of_sync_since ? `, for ${duration(Date.now() / 1000 - peer.out_of_sync_since)}` : "";
  const behind = peer.behind_documents >= 0 ? `${peer.behind_documents} documents differ` : "comparing";
  return behind + since;
}

export function drawPeers(peers) {
  byId("peers").replaceChildren(
    ...peers.map((peer) =>
      element("tr", {},
        element("td", { text: peer.id + (peer.twin ? " (identity used twice)" : ""), class: peer.twin ? "warn" : "" }),
        element("td", { text: peer.state, class: peer.connected ? "ok" : "bad" }),
        element("td", { text: peer.rtt_ms == null || peer.rtt_ms < 0 ? "–" : `${peer.rtt_ms.toFixed(1)} ms`, class: "num" }),
        element("td", { text: syncWords(peer), class: linkClass(peer) }),
      ),
    ),
  );
  if (peers.length === 0) byId("peers").append(element("tr", {}, element("td", { colspan: 4, text: "No peer is known yet.", class: "note" })));
}

/** Places nodes on an ellipse around this one. */
function places(peers) {
  return peers.map((_, index) => {
    const angle = (2 * Math.PI * index) / peers.length - Math.PI / 2;
    return { x: WIDTH / 2 + 245 * Math.cos(angle), y: HEIGHT / 2 + 128 * Math.sin(angle) };
  });
}

export function drawGraph(self, peers) {
  const at = places(peers);
  const centre = { x: WIDTH / 2, y: HEIGHT / 2 };
  const shapes = [];
  peers.forEach((peer, index) => {
    peers.slice(index + 1).forEach((other, offset) => {
      if ((peer.neighbours ?? []).includes(other.id) || (other.neighbours ?? []).includes(peer.id)) {
        shapes.push(line(at[index], at[index + 1 + offset], "dim"));
      }
    });
  });
  peers.forEach((peer, index) => {
    shapes.push(line(centre, at[index], linkClass(peer)));
    if (peer.connected && peer.rtt_ms >= 0) {
      const x = (centre.x + at[index].x) / 2;
      const y = (centre.y + at[index].y) / 2;
      shapes.push(shape("text", { x, y: y - 4, class: "small", text: `${peer.rtt_ms.toFixed(1)} ms` }));
    }
  });
  peers.forEach((peer, index) => shapes.push(...node(at[index], peer.id, peer.twin ? "twin" : linkClass(peer))));
  shapes.push(...node(centre, self, "self"));
  byId("graph").replaceChildren(...shapes);
  byId("graph-text").textContent = describe(self, peers);
}

const line = (from, to, kind) => shape("line", { x1: from.x, y1: from.y, x2: to.x, y2: to.y, class: kind });

function node({ x, y }, name, kind) {
  const short = name.length > 24 ? `${name.slice(0, 23)}…` : name;
  return [
    shape("circle", { cx: x, cy: y, r: 13, class: kind }, shape("title", { text: name })),
    shape("text", { x, y: y + 28, text: short }),
  ];
}

function describe(self, peers) {
  const connected = peers.filter((peer) => peer.connected);
  const behind = connected.filter((peer) => !peer.in_sync);
  const cut = peers.filter((peer) => !peer.connected);
  if (peers.length === 0) return `${self} is alone: it knows of no peer.`;
  const words = [`${self} is connected to ${connected.length} of ${peers.length} peers`];
  if (behind.length) words.push(`${behind.map((peer) => peer.id).join(", ")} not in sync yet`);
  if (cut.length) words.push(`cut off: ${cut.map((peer) => peer.id).join(", ")}`);
  if (!behind.length && connected.length) words.push("all that are connected are in sync");
  return `${words.join("; ")}.`;
}
