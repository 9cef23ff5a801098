// What a page does whose editor goes offline and comes back with an old copy. Bundled for the browser as `offline`.
import * as Y from "yjs";
import { IndexeddbPersistence, clearDocument } from "y-indexeddb";
import { WebsocketProvider } from "y-websocket";

const pause = () => new Promise((resolve) => setTimeout(resolve, 5));

async function until(condition, seconds = 5) {
  const deadline = Date.now() + 1000 * seconds;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${condition}`);
    await pause();
  }
}

/** Whether the page's node has what an editor has written online. */
async function hasArrived(room) {
  const answer = await fetch(`/api/v1/documents/${room}`);
  return answer.ok && (await answer.json()).document.old === true;
}

/** A transaction that ends after all earlier ones. */
export const stored = (persistence = window.page.persistence) =>
  new Promise((resolve) => {
    persistence.db.transaction(["updates"], "readwrite").oncomplete = resolve;
  });

/** Edits a document, goes offline, and edits its copy in IndexedDB. */
export async function edit(url, room) {
  const doc = new Y.Doc();
  const persistence = new IndexeddbPersistence(room, doc);
  const provider = new WebsocketProvider(url, room, doc, { disableBc: true });
  await persistence.whenSynced;
  await until(() => provider.synced);
  doc.getText("t").insert(0, "written online");
  doc.getMap("root").set("/old", true);
  await until(() => hasArrived(room));
  provider.destroy();
  doc.getText("t").insert(0, "written offline, ");
  doc.getMap("root").set("/offline", true);
  await stored(persistence);
}

/** The ways in which a page puts a copy and a connection together. Each resolves when the document holds the copy. */
const ORDERS = {
  async copy_first(page) {
    await page.persist(page.doc).whenSynced;
    page.connect();
  },
  async together(page) {
    const persistence = page.persist(page.doc);
    page.connect();
    await persistence.whenSynced;
  },
  async connection_first(page) {
    await until(() => page.connect().synced);
    await page.persist(page.doc).whenSynced;
  },
  async by_hand(page) {
    await until(() => page.connect().synced);
    const copy = new Y.Doc();
    await page.persist(copy).whenSynced;
    Y.applyUpdate(page.doc, Y.encodeStateAsUpdate(copy));
  },
};

/** Opens a document again. Returns the code with which the node closes the connection; null if it stays open. */
export async function open(order, url, room) {
  const doc = new Y.Doc();
  let provider = null;
  let code = null;
  const connect = () => {
    if (provider === null) {
      provider = new WebsocketProvider(url, room, doc, { disableBc: true });
      provider.on("connection-close", (event) => (code = event?.code ?? code));
    }
    return provider;
  };
  const persist = (of) => new IndexeddbPersistence(room, of);
  await ORDERS[order]({ doc, connect, persist });
  if (!doc.getMap("root").has("/offline")) throw new Error("the copy is gone");
  await until(() => code !== null, 2).catch(() => {});
  provider.destroy();
  return code;
}

/** Lets each page that is loaded from now on run the code of the documentation. */
export function document(code, url, room) {
  sessionStorage.document = JSON.stringify([code, url, room]);
  sessionStorage.loads = 0;
}

function run(code, url, room) {
  sessionStorage.loads = Number(sessionStorage.loads) + 1;
  const names = ["Y", "IndexeddbPersistence", "clearDocument", "WebsocketProvider", "url", "room"];
  const body = `${code}\nreturn { doc, provider, persistence };`;
  const compiled = new Function(...names, body);
  return compiled(Y, IndexeddbPersistence, clearDocument, WebsocketProvider, url, room);
}

if (sessionStorage.document) window.page = run(...JSON.parse(sessionStorage.document));
