// What the page says of a peer, as words for people. Times are those of the node, in Unix seconds.
import { now } from "./api.js";
import { duration, moment } from "./dom.js";

const MAX_NAMES = 5;
const FAR = 0.05; // more documents than this share apart: one side joins, or catches up
const CLOCK_SECONDS = 5; // a clock that differs by more is shown

const QUIET = new Set(["absent", "blocked", "ourselves"]); // states of a peer that nobody tries to reach now

/** "ok", "warn", "bad", "absent" (also blocked, or this node itself) or "twin": how the peer is drawn. */
export function kindOf(peer) {
  if (peer.twin) return "twin";
  if (peer.connected) return peer.in_sync ? "ok" : "warn";
  return QUIET.has(peer.state) ? "absent" : "bad";
}

export const count = (number, noun) => `${number.toLocaleString()} ${noun}${number === 1 ? "" : "s"}`;

/** The first few names, and how many more there are. */
export function names(all) {
  const shown = all.slice(0, MAX_NAMES).join(", ");
  return all.length > MAX_NAMES ? `${shown} and ${(all.length - MAX_NAMES).toLocaleString()} more` : shown;
}

/** The state of the connection. */
export function stateWords(peer) {
  if (peer.state === "blocked") return `blocked since ${moment(peer.blocked_since)}`;
  if (peer.state === "ourselves") return "this node itself";
  if (peer.state !== "absent") return peer.state;
  if (!peer.absent_since) return peer.expected ? "expected, never seen" : "never connected";
  return `absent since ${moment(peer.absent_since)} (${duration(now() - peer.absent_since)})`;
}

/**
 * How far one side has fetched the documents of the other: {done, all, isFetching, words}; null: that is not what differs.
 * `own`: the number of documents of this node. `isFetching`: this node fetches from that peer now.
 */
export function progressOf(peer, own) {
  if (!peer.connected || peer.in_sync || own === null || peer.documents === null) return null;
  const isFetching = Boolean(peer.documents_per_second) || peer.seconds_left !== null;
  const isFar = Math.abs(own - peer.documents) > FAR * Math.max(own, peer.documents);
  if (own === peer.documents || !(isFetching || isFar)) return null;
  const [done, all] = own < peer.documents ? [own, peer.documents] : [peer.documents, own];
  const words = [`${done.toLocaleString()} of ${count(all, "document")}`];
  if (isFetching && peer.documents_per_second) words.push(`${Math.round(peer.documents_per_second).toLocaleString()}/s`);
  if (isFetching && peer.seconds_left !== null) words.push(`about ${duration(peer.seconds_left)} left`);
  return { done, all, isBehind: own < peer.documents, isFetching, words: words.join(", ") };
}

/** Whether the documents are equal, and how many differ. */
export function syncWords(peer, own) {
  if (!peer.connected) return absentWords(peer);
  if (peer.in_sync) return "in sync";
  const progress = progressOf(peer, own);
  if (progress?.isFetching) return `fetching: ${progress.words}`;
  if (progress) return progress.isBehind ? `has ${count(progress.all, "document")}, this node ${progress.done.toLocaleString()}` : `has ${progress.words}`;
  const since = peer.out_of_sync_since ? ` for ${duration(now() - peer.out_of_sync_since)}` : "";
  return differingWords(peer.behind_documents) + since;
}

/** 0: the fingerprints differ, and no document that does was counted, as where it is refused here. */
function differingWords(documents) {
  if (documents === null) return "comparing";
  return documents === 0 ? "differs" : `${count(documents, "document")} differ${documents === 1 ? "s" : ""}`;
}

function absentWords(peer) {
  const words = [];
  if (peer.last_equal) words.push(`last equal ${moment(peer.last_equal)}`);
  else if (peer.absent_since) words.push("never equal");
  if (peer.reason) words.push(peer.reason);
  if (peer.failing_since) words.push(`failing since ${moment(peer.failing_since)}`);
  return words.join("; ") || "not connected";
}

/** That this node keeps what the peer has deleted; empty: it does not. */
export function pauseWords(peer) {
  if (!peer.deletions_paused_since) return "";
  return `deletions paused, ${count(peer.deletions_refused, "document")} kept`;
}

/** How far the clock of a peer is off; empty: it is not, or unknown. */
export function clockWords(offset) {
  if (offset === null || offset === undefined || Math.abs(offset) <= CLOCK_SECONDS) return "";
  const far = Math.abs(offset) < 60 ? `${Math.abs(offset).toFixed(1)} s` : duration(Math.abs(offset));
  return `clock ${far} ${offset > 0 ? "ahead" : "behind"}`;
}

/** The mesh in one sentence. */
export function meshWords(self, peers, far) {
  if (peers.length === 0) return `${self} knows no peers.`;
  const ids = (chosen) => names([...new Set(chosen.map((peer) => peer.id))]);
  const connected = peers.filter((peer) => peer.connected);
  const behind = connected.filter((peer) => !peer.in_sync);
  const absent = peers.filter((peer) => peer.state === "absent" && peer.absent_since);
  const unseen = peers.filter((peer) => peer.state === "absent" && !peer.absent_since);
  const blocked = peers.filter((peer) => peer.state === "blocked");
  const paused = peers.filter((peer) => peer.deletions_paused_since);
  const ourselves = peers.filter((peer) => peer.state === "ourselves");
  const others = peers.filter((peer) => !peer.connected && !QUIET.has(peer.state));
  const words = [`${self} is connected to ${connected.length.toLocaleString()} of ${count(peers.length, "peer")}`];
  if (behind.length) words.push(`catching up: ${ids(behind)}`);
  else if (connected.length) words.push(connected.length === 1 ? "it is in sync" : "these are in sync");
  if (absent.length) words.push(`absent: ${ids(absent)}`);
  if (unseen.length) words.push(`expected, but never seen: ${ids(unseen)}`);
  if (blocked.length) words.push(`blocked here: ${ids(blocked)}`);
  if (paused.length) words.push(`deletions paused: ${ids(paused)}`);
  if (ourselves.length) words.push(`leading to this node itself: ${ids(ourselves)}`);
  if (others.length) words.push(`not connected: ${ids(others)}`);
  if (far.length) words.push(`known through peers only: ${names(far)}`);
  return `${words.join("; ")}.`;
}
