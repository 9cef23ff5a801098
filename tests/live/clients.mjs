// Yjs clients, driven line by line: each request is a JSON object with an `op`, each answer {"number", "ok" | "error"}.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.argv[2]}/package.json`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const Y = await load("yjs");
const { WebsocketProvider } = await load("y-websocket");
const WebSocket = require("ws");

const clients = new Map();

function open({ name, url, room, protocols, token, state, tab }) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  class Polyfill extends WebSocket {
    constructor(address, names) {
      super(address, names, { headers });
    }
  }
  const doc = new Y.Doc();
  if (state) Y.applyUpdate(doc, Buffer.from(state, "base64"));
  const provider = new WebsocketProvider(url, room, doc, { WebSocketPolyfill: Polyfill, protocols, disableBc: !tab });
  const seen = { closes: [], closed: null, connections: 0, warnings: [] };
  provider.on("connection-close", (event) => event && seen.closes.push([event.code, event.reason]));
  provider.on("closed", (event) => (seen.closed = event));
  provider.on("status", ({ status }) => (seen.connections += status === "connected" ? 1 : 0));
  provider.messageHandlers[2] = () => seen.warnings.push("denied");
  clients.set(name, { doc, provider, awareness: provider.awareness, seen });
}

const compiled = new Map();
function evaluate({ name, code }) {
  if (!compiled.has(code)) {
    const body = /[;\n]/.test(code) ? code : `return ${code};`;
    compiled.set(code, new Function("Y", "doc", "provider", "awareness", "seen", body));
  }
  const { doc, provider, awareness, seen } = clients.get(name);
  return compiled.get(code)(Y, doc, provider, awareness, seen);
}

async function wait(request) {
  const deadline = Date.now() + 1000 * request.seconds;
  for (;;) {
    const value = evaluate(request);
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`not within ${request.seconds} s: ${request.code}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function close({ name }) {
  const { provider, doc } = clients.get(name);
  provider.destroy();
  doc.destroy();
  clients.delete(name);
}

const operations = { open, run: evaluate, wait, close };
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  Promise.resolve()
    .then(() => operations[request.op](request))
    .then((ok) => ({ number: request.number, ok: ok ?? null }))
    .catch((error) => ({ number: request.number, error: String(error?.stack ?? error) }))
    .then((answer) => process.stdout.write(`${JSON.stringify(answer)}\n`));
}
process.exit(0);
