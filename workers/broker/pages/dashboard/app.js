// The dashboard: polls the node every two seconds, follows its events, and edits documents.
import { ApiError, ask, setToken, token } from "./api.js";
import { connectBrowser, drawCollections, redrawLists } from "./browser.js";
import { byId, bytes, duration, element } from "./dom.js";
import { followEvents } from "./events.js";
import { drawGraph, drawPeers } from "./mesh.js";
import { drawProblems, problemsOf } from "./problems.js";

const REFRESH = 2000;
let running = null;
let redraw = () => {};

function pill(kind, text) {
  const shown = byId("health");
  shown.className = `pill ${kind}`;
  if (shown.textContent !== text) shown.textContent = text;
}

async function refresh() {
  const [node, ready, { peers }, topology] = await Promise.all([ask("/node"), ask("/ready"), ask("/peers"), ask("/topology")]);
  document.title = `${node.node_id} · peatnode`;
  byId("node-name").textContent = node.node_id;
  byId("version").textContent = `peatnode ${node.version}`;
  drawFacts(node);
  drawWorkers(node.workers);
  drawPeers(peers);
  redraw = () => drawGraph(node.node_id, peers, topology);
  redraw();
  const problems = problemsOf(node, ready, peers);
  drawProblems(problems);
  if (!ready.ready) pill("bad", "not ready");
  else if (problems.length) pill("warn", "has problems");
  else pill("ok", "healthy");
}

function drawFacts(node) {
  const { store } = node;
  const facts = [
    ["cluster", node.cluster],
    ["up", duration(node.uptime_secs)],
    ["documents", store && store.documents.toLocaleString()],
    ["change", store && store.sequence.toLocaleString()],
    ["fingerprint", store && store.root.slice(0, 12)],
    ["on disk", store && bytes(store.disk_bytes)],
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
    await new Promise((resolve) => setTimeout(resolve, document.hidden ? 5 * REFRESH : REFRESH));
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
start();
