// Yjs clients that type. Prints one JSON object: how long an edit took to reach the others, and what was lost.
//   node load.mjs FOLDER '{"kind": "y-websocket" | "hocuspocus", "urls": [...], "mode": "rooms" | "pair", ...}'
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.argv[2]}/package.json`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const Y = await load("yjs");
const { WebsocketProvider } = await load("y-websocket");
const { HocuspocusProvider } = await load("@hocuspocus/provider");
const WebSocket = require("ws");
const task = JSON.parse(process.argv[3]);

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const now = () => performance.now();

class Client {
  constructor(url, name) {
    this.doc = new Y.Doc();
    this.text = this.doc.getText("text");
    this.sentAt = [];
    this.synced = new Promise((resolve) => (this.provider = this.connect(url, name, resolve)));
  }

  connect(url, name, resolve) {
    if (task.kind === "hocuspocus") {
      return new HocuspocusProvider({ url, name, document: this.doc, WebSocketPolyfill: WebSocket, onSynced: resolve });
    }
    const provider = new WebsocketProvider(url, name, this.doc, { WebSocketPolyfill: WebSocket, disableBc: true });
    provider.on("sync", (isSynced) => isSynced && resolve());
    return provider;
  }

  type() {
    this.sentAt.push(now());
    this.text.insert(this.text.length, "x");
  }

  /** Calls `seen(milliseconds)` for every edit of `others` when it arrives. */
  watch(others, seen) {
    const clocks = new Map(others.map((other) => [other, 0]));
    this.doc.on("update", (_update, origin) => {
      if (origin === null) return;
      const at = now();
      for (const [other, known] of clocks) {
        const clock = Y.getState(this.doc.store, other.doc.clientID);
        for (let i = known; i < clock; i++) seen(at - other.sentAt[i]);
        if (clock > known) clocks.set(other, clock);
      }
    });
  }

  close() {
    this.provider.destroy();
    this.doc.destroy();
  }
}

function summary(values) {
  values.sort((a, b) => a - b);
  const at = (share) => Number((values[Math.min(values.length - 1, Math.floor(share * values.length))] ?? NaN).toFixed(3));
  return { count: values.length, p50_ms: at(0.5), p90_ms: at(0.9), p99_ms: at(0.99), max_ms: at(1) };
}

/** Edits of one client until they are in the text of another, one after the other. */
async function pair() {
  const [here, there] = [new Client(task.urls[0], task.name), new Client(task.urls.at(-1), task.name)];
  await Promise.all([here.synced, there.synced]);
  const taken = [];
  let arrived;
  there.watch([here], (ms) => {
    taken.push(ms);
    arrived();
  });
  for (let i = 0; i < task.edits + task.warmup; i++) {
    const arrival = new Promise((resolve) => (arrived = resolve));
    here.type();
    await arrival;
    await pause(1);
  }
  const lost = here.text.toString() === there.text.toString() ? 0 : 1;
  for (const client of [here, there]) client.close();
  return { ...summary(taken.slice(task.warmup)), lost };
}

/** Many clients on some documents, each typing at its own times. */
async function rooms() {
  const documents = Array.from({ length: task.documents }, () => []);
  const started = now();
  for (let i = 0; i < task.clients; i++) {
    const number = i % task.documents;
    const client = new Client(task.urls[0], `${task.name}-${number}`);
    documents[number].push(client);
    if (i % 25 === 24) await client.synced;
  }
  const clients = documents.flat();
  await Promise.all(clients.map((client) => client.synced));
  const connected = now() - started;
  process.stderr.write("connected\n");
  const taken = [];
  for (const room of documents) {
    for (const client of room) client.watch(room.filter((other) => other !== client), (ms) => taken.push(ms));
  }
  const period = 1000 / task.rate;
  const end = now() + 1000 * task.seconds;
  await Promise.all(clients.map(async (client) => {
    let next = now() + Math.random() * period;
    while (next < end) {
      await pause(Math.max(0, next - now()));
      client.type();
      next += period;
    }
  }));
  const sent = clients.reduce((sum, client) => sum + client.sentAt.length, 0);
  const expected = documents.reduce((sum, room) => sum + room.reduce((all, client) => all + client.sentAt.length, 0) * (room.length - 1), 0);
  const deadline = now() + 20000;
  while (taken.length < expected && now() < deadline) await pause(20);
  const differing = documents.filter((room) => new Set(room.map((client) => client.text.toString())).size > 1).length;
  process.stderr.write("done\n");
  if (task.hold) await pause(1000 * task.hold);
  for (const client of clients) client.close();
  return { ...summary(taken), edits: sent, lost: expected - taken.length, documents_that_differ: differing, connect_ms: Math.round(connected) };
}

const result = await (task.mode === "pair" ? pair() : rooms());
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
