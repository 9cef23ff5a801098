// The mesh as a graph: this node, its peers, and their connections.
import { byId, shape } from "./dom.js";
import { byName, firstOf, ordered, rtt } from "./peers.js";
import { kindOf, meshWords, stateWords, syncWords } from "./words.js";

const RADIUS = 12;
const LETTER = 7;
const LINE = 16;
const SPACE = 58; // of a member on the ellipse
const MAX_TIMES = 14; // members beside whose lines the round trip stands
const MAX_LINKS = 120; // between peers: more cannot be told apart

/** The peers of this node and the nodes that are known only through peers, at most `room` of them; the last one stands for the rest. */
function membersOf(self, peers, room) {
  const far = farOf(self, peers);
  const all = peers.length + far.length;
  const near = firstOf(ordered(peers), all > room ? room - 1 : room).map((peer) => ({ id: peer.id, peer, kind: kindOf(peer) }));
  const drawn = [...near, ...far.map((id) => ({ id, kind: "far" }))].slice(0, all > room ? room - 1 : room);
  drawn.sort(byName); // places stay when states change
  if (drawn.length < all) drawn.push({ id: `${(all - drawn.length).toLocaleString()} more`, kind: "more" });
  return drawn;
}

function farOf(self, peers) {
  const known = new Set([self, ...peers.map((peer) => peer.id)]);
  return [...new Set(peers.flatMap((peer) => peer.neighbours))].filter((id) => !known.has(id)).sort();
}

/** Each link between two members once, as peers report them. */
function linksOf(peers, members) {
  const places = new Map(members.map((member) => [member.id, member]));
  const links = new Map();
  for (const { id, neighbours } of peers.filter((peer) => peer.connected)) {
    for (const other of neighbours) {
      if (id !== other && places.has(id) && places.has(other)) links.set([id, other].sort().join(" "), [places.get(id), places.get(other)]);
    }
  }
  return [...links.values()];
}

/** How many members have space on the ellipse. */
function roomOf(width, height) {
  const { wide, high } = axes(width, height);
  return Math.max(6, Math.min(40, Math.floor((Math.PI * (wide + high)) / SPACE)));
}

const axes = (width, height) => ({ wide: Math.max(60, width / 2 - Math.min(110, width / 6)), high: height / 2 - 44 });

/** Places the members on an ellipse around this node: one or two at its sides, more from the top on. */
function place(members, width, height) {
  const { wide, high } = axes(width, height);
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
    const wide = text.length * LETTER + 6;
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

export function drawGraph(self, { peers, documents }) {
  const graph = byId("graph");
  const width = Math.max(280, graph.clientWidth || 640);
  const far = farOf(self, peers);
  const many = peers.length + far.length;
  const height = many < 3 ? 180 : Math.round(Math.min(400, Math.max(many > 5 ? 350 : 260, width * 0.45)));
  const members = membersOf(self, peers, roomOf(width, height));
  place(members, width, height);
  const centre = { id: self, kind: "self", x: width / 2, y: height / 2 };
  const nodes = [centre, ...members];
  const labels = new Labels(width, height, nodes);
  addNames(labels, nodes, centre, Math.max(8, Math.floor(width / LETTER / (width < 500 ? 3 : 4))));
  const links = linksOf(peers, members);
  const lines = links.length > MAX_LINKS ? [] : links.map(([from, to]) => curve(from, to, centre));
  for (const member of members.filter((one) => one.peer)) {
    const { peer, kind } = member;
    lines.push(line(centre, member, kind === "twin" ? (peer.in_sync ? "ok" : "warn") : kind));
    if (members.length <= MAX_TIMES && peer.connected && peer.rtt_ms !== null) labels.add(rtt(peer), [0.5, 0.62, 0.38].map((share) => nextTo(centre, member, share)), "small");
  }
  const dots = nodes.map(({ id, x, y, kind, peer }) => shape("circle", { cx: x, cy: y, r: RADIUS, class: kind }, shape("title", { text: peer ? `${id}: ${stateWords(peer)}; ${syncWords(peer, documents)}` : id })));
  graph.setAttribute("viewBox", `0 0 ${width} ${height}`);
  graph.setAttribute("height", height);
  graph.replaceChildren(...lines, ...dots, ...labels.shapes);
  byId("graph-text").textContent = meshWords(self, peers, far) + (links.length > MAX_LINKS ? ` The ${links.length.toLocaleString()} links between peers are not drawn.` : "");
}

function addNames(labels, nodes, centre, longest) {
  const isNeeded = ({ kind }) => kind === "self" || kind === "more"; // these first: they keep their places
  for (const node of [...nodes.filter(isNeeded), ...nodes.filter((other) => !isNeeded(other))]) {
    const { id, x, y } = node;
    const below = { x, y: y + RADIUS + 13 };
    const above = { x, y: y - RADIUS - 13 };
    const text = id.length > longest ? `${id.slice(0, longest - 1)}…` : id;
    labels.add(text, y < centre.y ? [above, below] : [below, above], "name", isNeeded(node));
  }
}
