// What is wrong, and what to do about it: the node's own words first, then what its peers and its store show.
import { byId, duration, element } from "./dom.js";
import { syncWords } from "./mesh.js";

const LATE_SECONDS = 30;

/** All problems as {kind: "bad" | "warn", what, advice}. */
export function problemsOf(node, ready, peers) {
  const said = node.problems.map((problem) => ({
    kind: problem.blocks_readiness ? "bad" : "warn",
    what: `${problem.worker}: ${problem.message}`,
    advice: `${problem.advice} (for ${duration(Date.now() / 1000 - problem.since)})`,
  }));
  const known = new Set(node.problems.map((problem) => `${problem.worker}.${problem.name}`));
  const failing = ready.checks
    .filter((check) => !check.ready && !known.has(check.name))
    .map((check) => ({ kind: "bad", what: `Not ready, ${check.name}: ${check.message}`, advice: CHECK_ADVICE[check.name] ?? "" }));
  const found = [...failing, ...said, ...storeProblems(node.store), ...peers.flatMap(peerProblems)];
  return [...new Map(found.map((problem) => [problem.what, problem])).values()]; // of twins each says the same
}

const CHECK_ADVICE = {
  running: "It comes back when the node is started again.",
  workers: "The supervisor restarts what died; the node's log says why it did.",
  store: "Reads go on; look at the disk of the data directory.",
  engine: "It is restarted by itself; until then what is written waits.",
  sync: "It is restarted by itself; changes made meanwhile are sent afterwards.",
  discovery: "Look at PEAT_DISCOVERY and the settings of its sources; peers found before stay connected.",
};

function storeProblems(store) {
  if (!store) return [{ kind: "bad", what: "The store does not answer.", advice: "It is restarted by itself; its log line says why it ended." }];
  const found = [];
  if (store.quarantined.length) {
    found.push({ kind: "warn", what: `Set aside because they broke the engine: ${store.quarantined.join(", ")}`, advice: "Their last good state is served; write them anew, or delete them." });
  }
  if (store.disk_free_bytes < 0.5 * 2 ** 30) {
    found.push({ kind: "warn", what: "Less than half a gigabyte is free on the disk.", advice: "Make room before writes are refused." });
  }
  return found;
}

function peerProblems(peer) {
  if (peer.twin) {
    return [{ kind: "bad", what: `${peer.id}: this identity is used twice.`, advice: "Give each node its own HOSTNAME, or each cluster its PEAT_CLUSTER; documents stay whole meanwhile." }];
  }
  if (peer.state === "refused") {
    return [{ kind: "bad", what: `${peer.id} was refused: ${peer.reason}`, advice: "Both sides need the same PEAT_FORMATION_SECRET." }];
  }
  if (!peer.connected) {
    return [{ kind: "warn", what: `${peer.id} is not connected${peer.reason ? `: ${peer.reason}` : ""}.`, advice: "It is dialled again and again. Is it running, and can UDP reach it?" }];
  }
  const late = peer.out_of_sync_since ? Date.now() / 1000 - peer.out_of_sync_since : 0;
  if (peer.connected && !peer.in_sync && late > LATE_SECONDS) {
    return [{ kind: "warn", what: `${peer.id}: ${syncWords(peer)}.`, advice: `peatnode inspect, or GET /api/v1/peers/${peer.id}, names the documents.` }];
  }
  return [];
}

export function drawProblems(problems) {
  byId("problems-panel").hidden = problems.length === 0;
  const list = byId("problems");
  const said = problems.map(({ what }) => what).join("\n");
  if (list.dataset.said === said) return; // what has not changed is not read out again
  list.dataset.said = said;
  list.replaceChildren(
    ...problems.map(({ kind, what, advice }) =>
      element("li", { class: kind }, element("strong", { text: what }), ...(advice ? [element("span", { class: "advice", text: advice })] : [])),
    ),
  );
}
