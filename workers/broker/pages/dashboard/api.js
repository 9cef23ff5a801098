// The node's API, with the token of this tab.
import { parse } from "./json.js";

const PREFIX = "/api/v1";
const KEY = "peatnode-token";

export const token = () => sessionStorage.getItem(KEY) ?? "";
export const setToken = (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY));

export class ApiError extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

let ahead = 0;

/** The time of the node in Unix seconds: its clock and that of the browser's machine may differ. */
export const now = () => Date.now() / 1000 + ahead;

function readClock(answer) {
  const difference = Date.parse(answer.headers.get("Date") ?? "") / 1000 - Date.now() / 1000;
  if (!Number.isNaN(difference)) ahead = Math.abs(difference) < 2 ? 0 : difference; // the header has whole seconds
}

function headers(extra = {}) {
  return token() ? { ...extra, Authorization: `Bearer ${token()}` } : extra;
}

/** The JSON of a response. Throws ApiError with the detail of the node's problem. */
export async function ask(path, options = {}) {
  const answer = await fetch(PREFIX + path, { ...options, headers: headers(options.headers), cache: "no-store" });
  readClock(answer);
  const read = path.startsWith("/documents") ? parse : JSON.parse; // only documents have 64-bit integers, and a thousand peers are much text
  const body = await answer.text().then(read).catch(() => ({}));
  if (!answer.ok && !(answer.status === 503 && path === "/ready")) {
    throw new ApiError(answer.status, body.detail ?? body.error ?? answer.statusText);
  }
  return body;
}

/** Calls `opened()`, then `onEvent(event)` for each event until the stream ends. */
export async function follow(path, signal, opened, onEvent) {
  const answer = await fetch(PREFIX + path, { headers: headers({ Accept: "text/event-stream" }), signal, cache: "no-store" });
  if (!answer.ok) throw new ApiError(answer.status, answer.statusText);
  opened();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const data = block.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim()).join("\n");
      if (data) onEvent(JSON.parse(data));
    }
  }
}

/** The address that Yjs clients connect to. */
export function yjsAddress() {
  return (location.protocol === "https:" ? "wss://" : "ws://") + location.host + PREFIX + "/yjs";
}

export const documentPath = (collection, id) => `/documents/${encodeURIComponent(collection)}/${encodeURIComponent(id)}`;

/** The subprotocols that carry the token: a browser cannot set headers of a WebSocket. */
export function protocols() {
  if (!token()) return [];
  const text = btoa(String.fromCharCode(...new TextEncoder().encode(token())));
  return ["peat", `bearer.${text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`];
}
