// The dashboard: polls the node every two seconds, follows its events, and edits documents.
import { ApiError, ask, setToken, token } from "./api.js";
import { connectBrowser, drawCollections, redrawLists } from "./browser.js";
import { byId, bytes, duration, element, setText } from "./dom.js";
import { followEvents } from "./events.js";
import { drawFindings, findingsOf, verdict } from "./findings.js";
import { drawGraph } from "./graph.js";
import { drawPeerLog } from "./peer_log.js";
import { connectPeers, drawPeers } from "./peers.js";
import { clockWords, progressOf } from "./words.js";

const REFRESH = 2000;
const SLOW_REFRESH = 5000; // beyond MANY peers: their list has 0.5 KB for each
const MANY = 200;
let running = null;
let pause = REFRESH;
let redraw = () => {};

function pill(kind, text) {
  const shown = byId("health");
  shown.className = `pill ${kind}`;
  if (shown.textContent !== text) shown.textContent = text;
}

async function refresh() {
  drawPeerLog().catch(() => {}); // the log stays as it was; what is wrong shows in the rest
  const [node, ready, reply] = await Promise.all([ask("/node"), ask("/ready"), ask("/peers")]);
  document.title = `${node.node_id} · peatnode`;
  byId("node-name").textContent = node.node_id;
  byId("version").textContent = `peatnode ${node.version}`;
  drawFacts(node, reply);
  drawWorkers(node.workers);
  drawPeers(reply);
  drawJoining(reply);
  redraw = () => drawGraph(node.node_id, reply);
  redraw();
  const findings = findingsOf(ready);
  drawFindings(findings);
  pill(...verdict(ready, findings));
  pause = reply.peers.length > MANY ? SLOW_REFRESH : REFRESH;
}

/** How far this node has joined, as a bar: by the peer that it fetches from, else by the one with most documents. */
function drawJoining({ peers, documents }) {
  const found = peers.map((peer) => ({ peer, progress: progressOf(peer, documents) })).filter(({ progress }) => progress?.isBehind);
  found.sort((a, b) => b.progress.isFetching - a.progress.isFetching || b.progress.all - a.progress.all);
  byId("joining").hidden = found.length === 0;
  if (found.length === 0) return;
  const { peer, progress } = found[0];
  setText(byId("joining-words"), progress.isFetching ? `Fetching from ${peer.id}: ${progress.words}` : `This node has ${progress.words}`);
  byId("joining-bar").max = progress.all;
  byId("joining-bar").value = progress.done;
}

function drawFacts(node, { clock }) {
  const { store } = node;
  const facts = [
    ["cluster", node.cluster],
    ["up", duration(node.uptime_secs)],
    ["documents", store && store.documents.toLocaleString()],
    ["change", store && store.sequence.toLocaleString()],
    ["fingerprint", store && store.root.slice(0, 12)],
    ["on disk", store && bytes(store.disk_bytes)],
    ["clock", clockWords(clock.offset_seconds).replace("clock ", "")],
    ["device", node.device_id.slice(0, 12)],
  ].filter(([, value]) => value);
  byId("facts").replaceChildren(...facts.map(([name, value]) => element("div", {}, element("dt", { text: name }), element("dd", { text: value }))));
}

function drawWorkers(workers) {
  byId("workers").replaceChildren(
    ...workers.map((worker) =>
      element("tr", {},
        element("th", { scope: "row", text: worker.name }),
        element("td", { text: worker.last_exit ? `${worker.state} (last exit: ${worker.last_exit})` : worker.state, class: worker.state === "ready" ? "ok" : "warn" }),
        element("td", { text: duration(worker.uptime_secs), class: "num" }),
        element("td", { text: bytes(worker.memory_bytes), class: "num" }),
        element("td", { text: worker.restarts, class: worker.restarts ? "num warn" : "num" }),
      ),
    ),
  );
}

function showError(error) {
  if (error.name === "AbortError") return;
  if (error instanceof ApiError && error.status === 401) askToken();
  else if (error instanceof ApiError) pill("bad", error.message);
  else pill("bad", "the node does not answer");
}

function askToken() {
  running?.abort();
  if (byId("token-dialog").open) return;
  byId("token-error").textContent = token() ? "The node refused this token." : "";
  setToken("");
  byId("token-dialog").showModal();
}

async function watch(signal) {
  while (!signal.aborted) {
    await refresh().catch(showError);
    await new Promise((resolve) => setTimeout(resolve, document.hidden ? 5 * pause : pause));
  }
}

function start() {
  running?.abort();
  running = new AbortController();
  byId("forget-token").hidden = !token();
  watch(running.signal);
  followEvents(running.signal, showError);
  drawCollections().then(redrawLists).catch(showError);
}

byId("token-form").addEventListener("submit", () => {
  setToken(byId("token").value.trim());
  byId("token").value = "";
  start();
});
byId("token-dialog").addEventListener("cancel", (event) => event.preventDefault());
byId("forget-token").addEventListener("click", () => {
  setToken("");
  location.reload();
});
new ResizeObserver(() => redraw()).observe(byId("graph-frame"));
connectBrowser(showError);
connectPeers(() => refresh().catch(showError));
start();
