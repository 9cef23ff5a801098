// Problems and advice: failing checks, then problems that the node reports, then those seen in its store and peers.
import { byId, duration, element } from "./dom.js";
import { syncWords } from "./mesh.js";

const LATE_SECONDS = 30; // a peer out of sync for longer is a problem

/** All problems as {kind: "bad" | "warn", what, advice}. */
export function problemsOf(node, ready, peers) {
  const raised = node.problems.map((problem) => ({
    kind: problem.blocks_readiness ? "bad" : "warn",
    what: `${problem.worker}: ${problem.message}`,
    advice: `${problem.advice} (for ${duration(Date.now() / 1000 - problem.since)})`,
  }));
  const known = new Set(node.problems.map((problem) => `${problem.worker}.${problem.name}`));
  const failing = ready.checks
    .filter((check) => !check.ready && !known.has(check.name))
    .map((check) => ({ kind: "bad", what: `Not ready, ${check.name}: ${check.message}`, advice: CHECK_ADVICE[check.name] ?? "" }));
  const found = [...failing, ...raised, ...storeProblems(node.store), ...peers.flatMap(peerProblems)];
  return [...new Map(found.map((problem) => [problem.what, problem])).values()]; // peers with one identity report the same problem
}

const CHECK_ADVICE = {
  running: "Start the node again.",
  workers: "The supervisor restarts a worker that has died; the node's log has the reason.",
  store: "Reads still work; check the disk of the data directory.",
  engine: "The engine restarts automatically; writes wait until then.",
  sync: "The sync worker restarts automatically; changes made until then are sent afterwards.",
  discovery: "Check PEAT_DISCOVERY and the settings of its sources; peers found before stay connected.",
};

function storeProblems(store) {
  if (!store) return [{ kind: "bad", what: "The store does not answer.", advice: "The store restarts automatically; the node's log has the reason." }];
  const found = [];
  if (store.quarantined.length) {
    found.push({ kind: "warn", what: `Documents in quarantine because they crashed the engine: ${store.quarantined.join(", ")}`, advice: "The node serves their last good state; write them again, or delete them." });
  }
  if (store.disk_free_bytes < 0.5 * 2 ** 30) {
    found.push({ kind: "warn", what: "Less than 0.5 GiB is free on the disk.", advice: "Free disk space: the node refuses writes when the disk is full." });
  }
  return found;
}

function peerProblems(peer) {
  if (peer.twin) {
    return [{ kind: "bad", what: `${peer.id}: this identity is used twice.`, advice: "Give each node its own HOSTNAME, or each cluster its own PEAT_CLUSTER; documents remain consistent." }];
  }
  if (peer.state === "refused") {
    return [{ kind: "bad", what: `${peer.id} was refused: ${peer.reason}`, advice: "Both nodes need the same PEAT_FORMATION_SECRET." }];
  }
  if (!peer.connected) {
    return [{ kind: "warn", what: `${peer.id} is not connected${peer.reason ? `: ${peer.reason}` : ""}.`, advice: "This node keeps dialling. Check that the peer is running and reachable over UDP." }];
  }
  const late = peer.out_of_sync_since ? Date.now() / 1000 - peer.out_of_sync_since : 0;
  if (peer.connected && !peer.in_sync && late > LATE_SECONDS) {
    return [{ kind: "warn", what: `${peer.id}: ${syncWords(peer)}.`, advice: `peatnode status, or GET /api/v1/peers/${peer.id}, lists the documents.` }];
  }
  return [];
}

export function drawProblems(problems) {
  byId("problems-panel").hidden = problems.length === 0;
  const list = byId("problems");
  const shown = problems.map(({ what }) => what).join("\n");
  if (list.dataset.shown === shown) return; // a screen reader would repeat unchanged problems
  list.dataset.shown = shown;
  list.replaceChildren(
    ...problems.map(({ kind, what, advice }) =>
      element("li", { class: kind }, element("strong", { text: what }), ...(advice ? [element("span", { class: "advice", text: advice })] : [])),
    ),
  );
}
