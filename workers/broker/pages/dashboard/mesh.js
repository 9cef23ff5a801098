// The mesh as a graph and as a table: this node, its peers, and their connections.
import { byId, bytes, duration, element, shape } from "./dom.js";

const RADIUS = 12;
const LETTER = 7;
const LINE = 16;

const linkClass = (peer) => (!peer.connected ? "bad" : peer.in_sync ? "ok" : "warn");

export function syncWords(peer) {
  if (!peer.connected) return peer.reason || "not connected";
  if (peer.in_sync) return "in sync";
  const since = peer.out_of_sync_since ? ` for ${duration(Date.now() / 1000 - peer.out_of_sync_since)}` : "";
  const behind = peer.behind_documents === null ? "comparing" : `${peer.behind_documents} ${peer.behind_documents === 1 ? "document differs" : "documents differ"}`;
  return behind + since;
}

const rtt = (peer) => (peer.rtt_ms === null ? "–" : `${peer.rtt_ms < 10 ? peer.rtt_ms.toFixed(1) : Math.round(peer.rtt_ms)} ms`);

export function drawPeers(peers) {
  const rows = peers.map((peer) =>
    element("tr", {},
      element("th", { scope: "row", text: peer.id, title: peer.addresses.join(", ") }, ...(peer.twin ? [" ", element("span", { class: "pill warn", text: `identity used twice: ${peer.instance.slice(0, 8)}` })] : [])),
      element("td", { text: peer.state, class: peer.connected ? "ok" : "bad" }),
      element("td", { text: rtt(peer), class: "num" }),
      element("td", { text: syncWords(peer), class: linkClass(peer) }),
      element("td", { text: peer.connected ? `${bytes(peer.bytes_sent)} / ${bytes(peer.bytes_received)}` : "–", class: "num" }),
    ),
  );
  if (peers.length === 0) rows.push(element("tr", {}, element("td", { colspan: 5, class: "note", text: "No peers yet. Peers appear here when discovery finds them." })));
  byId("peers").replaceChildren(...rows);
}

/** The peers of this node, and the nodes that are known only through peers. */
function membersOf(self, peers, topology) {
  const known = new Set([self, ...peers.map((peer) => peer.id)]);
  const far = topology.nodes.filter((node) => !known.has(node.id)).map((node) => ({ id: node.id, kind: "far" }));
  const near = peers.map((peer) => ({ id: peer.id, peer, kind: peer.twin ? "twin" : linkClass(peer) }));
  return [...near, ...far];
}

/** Places the members on an ellipse around this node: one or two at its sides, more from the top on. */
function place(members, width, height) {
  const wide = Math.max(60, width / 2 - Math.min(110, width / 6));
  const high = height / 2 - 44;
  const first = members.length < 3 ? 0 : -Math.PI / 2;
  members.forEach((member, index) => {
    const angle = first + (2 * Math.PI * index) / members.length;
    member.x = width / 2 + wide * Math.cos(angle);
    member.y = height / 2 + high * Math.sin(angle);
  });
}

/** Labels that do not overlap. A label without space is omitted: tables and tooltips have the same text. */
class Labels {
  constructor(width, height, points) {
    this.width = width;
    this.height = height;
    this.taken = points.map(({ x, y }) => box(x, y, 2 * RADIUS + 6, 2 * RADIUS + 6));
    this.shapes = [];
  }

  add(text, spots, kind, isNeeded = false) {
    const wide = text.length * LETTER;
    const fitting = spots
      .map(({ x, y }) => ({ x: Math.min(Math.max(x, wide / 2 + 4), this.width - wide / 2 - 4), y }))
      .find(({ x, y }) => y > LINE / 2 && y < this.height - LINE / 2 && !this.taken.some((other) => overlap(other, box(x, y, wide, LINE))));
    if (!fitting && !isNeeded) return;
    const { x, y } = fitting ?? spots[0];
    this.taken.push(box(x, y, wide, LINE));
    this.shapes.push(shape("text", { x, y: y + 4, class: kind, text }));
  }
}

const box = (x, y, wide, high) => ({ left: x - wide / 2, right: x + wide / 2, top: y - high / 2, bottom: y + high / 2 });
const overlap = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
const along = (from, to, share) => ({ x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share });

/** A point next to the line, so that the line does not cross the text. */
function nextTo(from, to, share) {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const { x, y } = along(from, to, share);
  const away = Math.sign(to.x - from.x || 1);
  return { x: x + (away * 26 * (to.y - from.y)) / length, y: y - (away * 11 * (to.x - from.x)) / length };
}

/** A curve between two peers that avoids this node in the centre. */
function curve(from, to, centre) {
  const middle = along(from, to, 0.5);
  const off = { x: middle.x - centre.x, y: middle.y - centre.y };
  const isAcross = Math.hypot(off.x, off.y) < 40;
  const x = isAcross ? middle.x + 0.2 * (from.y - to.y) : middle.x + 0.25 * off.x;
  const y = isAcross ? middle.y - Math.max(90, 0.15 * Math.abs(to.x - from.x)) : middle.y + 0.25 * off.y;
  return shape("path", { d: `M${from.x} ${from.y} Q${x} ${y} ${to.x} ${to.y}`, class: "between" });
}

const line = (from, to, kind) => shape("line", { x1: from.x, y1: from.y, x2: to.x, y2: to.y, class: kind });

export function drawGraph(self, peers, topology) {
  const graph = byId("graph");
  const width = Math.max(280, graph.clientWidth || 640);
  const members = membersOf(self, peers, topology);
  const height = members.length < 3 ? 180 : Math.round(Math.min(400, Math.max(members.length > 5 ? 350 : 260, width * 0.45)));
  place(members, width, height);
  const centre = { id: self, kind: "self", x: width / 2, y: height / 2 };
  const nodes = [centre, ...members];
  const labels = new Labels(width, height, nodes);
  const longest = Math.max(8, Math.floor(width / LETTER / (width < 500 ? 3 : 4)));
  for (const { id, x, y } of nodes) {
    const below = { x, y: y + RADIUS + 13 };
    const above = { x, y: y - RADIUS - 13 };
    const text = id.length > longest ? `${id.slice(0, longest - 1)}…` : id;
    labels.add(text, y < centre.y ? [above, below] : [below, above], "name", id === self);
  }
  const lines = [];
  for (const edge of topology.edges) {
    const from = members.find((member) => member.id === edge.from);
    const to = members.find((member) => member.id === edge.to);
    if (from && to) lines.push(curve(from, to, centre));
  }
  for (const member of members.filter((one) => one.peer)) {
    lines.push(line(centre, member, linkClass(member.peer)));
    if (member.peer.connected && member.peer.rtt_ms !== null) labels.add(rtt(member.peer), [0.5, 0.62, 0.38].map((share) => nextTo(centre, member, share)), "small");
  }
  const dots = nodes.map(({ id, x, y, kind, peer }) => shape("circle", { cx: x, cy: y, r: RADIUS, class: kind }, shape("title", { text: peer ? `${id}: ${peer.state}, ${syncWords(peer)}` : id })));
  graph.setAttribute("viewBox", `0 0 ${width} ${height}`);
  graph.setAttribute("height", height);
  graph.replaceChildren(...lines, ...dots, ...labels.shapes);
  byId("graph-text").textContent = describe(self, peers, members.filter((member) => member.kind === "far"));
}

const names = (items) => items.map((item) => item.id).join(", ");

function describe(self, peers, far) {
  if (peers.length === 0) return `${self} knows no peers.`;
  const connected = peers.filter((peer) => peer.connected);
  const behind = connected.filter((peer) => !peer.in_sync);
  const words = [`${self} is connected to ${connected.length} of ${peers.length} ${peers.length === 1 ? "peer" : "peers"}`];
  if (behind.length) words.push(`catching up: ${names(behind)}`);
  else if (connected.length) words.push(connected.length === 1 ? "in sync" : "all of them in sync");
  if (connected.length < peers.length) words.push(`not connected: ${names(peers.filter((peer) => !peer.connected))}`);
  if (far.length) words.push(`known through peers only: ${names(far)}`);
  return `${words.join("; ")}.`;
}
