// The dashboard: asks the node every two seconds, follows its events, and lets documents be edited.
import { ApiError, ask, follow, setToken, token } from "./api.js";
import { changeSeen, connectBrowser, drawCollections } from "./browser.js";
import { byId, bytes, duration, element } from "./dom.js";
import { drawGraph, drawPeers } from "./mesh.js";

const REFRESH = 2000;
const MAX_EVENTS = 200;
let lastSequence = null;

function pill(kind, text) {
  byId("health").className = `pill ${kind}`;
  if (byId("health").textContent !== text) byId("health").textContent = text;
}

async function refresh() {
  const [node, ready, { peers }] = await Promise.all([ask("/node"), ask("/ready"), ask("/peers")]);
  document.title = `${node.node_id} · peatnode`;
  byId("node-name").textContent = node.node_id;
  byId("version").textContent = `peatnode ${node.version}`;
  drawFacts(node);
  drawProblems(node, ready);
  drawWorkers(node.workers ?? []);
  drawPeers(peers);
  drawGraph(node.node_id, peers);
}

function drawFacts(node) {
  const facts = { up: duration(node.uptime_secs), documents: node.documents, fingerprint: node.root?.slice(0, 12), device: node.device_id?.slice(0, 12) };
  const rows = Object.entries(facts).filter(([, value]) => value !== undefined);
  byId("facts").replaceChildren(...rows.map(([name, value]) => element("div", {}, element("dt", { text: name }), element("dd", { text: value }))));
}

function drawProblems(node, ready) {
  const problems = (node.problems ?? []).map(({ worker, message, advice }) => ({ what: `${worker}: ${message}`, advice }));
  const failed = (ready.checks ?? []).filter((check) => !check.ready).map((check) => ({ what: `${check.name}: ${check.message}`, advice: "" }));
  const all = [...failed, ...problems];
  byId("problems-panel").hidden = all.length === 0;
  const list = all.map(({ what, advice }) => element("li", {}, element("strong", { text: what }), element("span", { text: advice ? ` ${advice}` : "" })));
  if (byId("problems").textContent !== list.map((item) => item.textContent).join("")) byId("problems").replaceChildren(...list);
  if (!ready.ready) pill("bad", "not ready");
  else if (all.length) pill("warn", "needs a look");
  else pill("ok", "healthy");
}

function drawWorkers(workers) {
  byId("workers").replaceChildren(
    ...workers.map((worker) =>
      element("tr", {},
        element("td", { text: worker.name }),
        element("td", { text: worker.last_exit ? `${worker.state} (before: ${worker.last_exit})` : worker.state, class: worker.state === "ready" ? "ok" : "warn" }),
        element("td", { text: bytes(worker.memory_bytes), class: "num" }),
        element("td", { text: worker.restarts, class: "num" }),
      ),
    ),
  );
}

function showEvent(event) {
  if (byId("pause").checked) return;
  const words = event.type === "SyncEvent"
    ? `${event.action} ${event.collection}/${event.doc_id}${event.origin ? ` from ${event.origin.slice(0, 12)}` : ""}`
    : [event.peer_id, event.reason, event.detail].filter(Boolean).join(" ");
  const time = element("time", { text: new Date().toLocaleTimeString() });
  byId("events").prepend(element("li", { class: "new" }, time, `${event.type} ${words}`));
  while (byId("events").children.length > MAX_EVENTS) byId("events").lastChild.remove();
}

async function followEvents() {
  for (;;) {
    try {
      const since = lastSequence === null ? "" : `?since=${lastSequence}`;
      byId("events-state").textContent = "live";
      await follow(`/events${since}`, (event) => {
        if (event.sequence > 0) lastSequence = event.sequence;
        showEvent(event);
        if (event.type === "SyncEvent") changeSeen(event).catch(complain);
      });
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return;
    }
    byId("events-state").textContent = "interrupted; trying again";
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

function complain(error) {
  if (error instanceof ApiError && error.status === 401) askToken();
  else pill("bad", error instanceof ApiError ? error.message : "no answer from the node");
}

function askToken() {
  if (byId("token-dialog").open) return;
  byId("token-error").textContent = token() ? "The node does not take that token." : "";
  setToken("");
  byId("token-dialog").showModal();
}

async function loop() {
  for (;;) {
    try {
      await refresh();
    } catch (error) {
      complain(error);
      if (error instanceof ApiError && error.status === 401) return;
    }
    await new Promise((resolve) => setTimeout(resolve, document.hidden ? 5 * REFRESH : REFRESH));
  }
}

function start() {
  byId("forget-token").hidden = !token();
  loop();
  followEvents();
  drawCollections().catch(complain);
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
connectBrowser(complain);
start();
