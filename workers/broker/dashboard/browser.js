// Collections and documents, and the one that is open.
import { ask, documentPath } from "./api.js";
import { byId, element } from "./dom.js";
import { Editor } from "./editor.js";

const PAGE = 50;
let collection = "";
let cursor = null;
let editor = null;

export async function drawCollections() {
  const { collections } = await ask("/documents");
  byId("collections").replaceChildren(
    ...collections.map(({ name, count }) =>
      element("li", {}, element("button", { type: "button", text: `${name} (${count})`, "aria-current": String(name === collection), onclick: () => showCollection(name) })),
    ),
  );
}

async function showCollection(name) {
  collection = name;
  cursor = null;
  byId("documents").replaceChildren();
  await Promise.all([drawCollections(), showMore()]);
}

export async function showMore() {
  const after = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
  const page = await ask(`/documents/${encodeURIComponent(collection)}?limit=${PAGE}${after}`);
  cursor = page.next_cursor;
  byId("documents").append(...page.documents.map(({ _id }) => listed(_id)));
  byId("documents-note").textContent = `${collection}: ${page.total ?? page.count} documents`;
  byId("more").hidden = !cursor;
}

function listed(id) {
  const isOpen = editor !== null && editor.name === `${collection}/${id}`;
  return element("li", { "data-id": id }, element("button", { type: "button", text: id, "aria-current": String(isOpen), onclick: () => openDocument(collection, id) }));
}

export async function openDocument(inCollection, id) {
  editor?.close();
  editor = new Editor(inCollection, id, () => drawCollections());
  byId("document-title").textContent = `${inCollection}/${id}`;
  byId("add-form").hidden = false;
  byId("json-panel").hidden = false;
  for (const button of byId("documents").querySelectorAll("button")) button.setAttribute("aria-current", String(button.textContent === id));
  await showFacts();
}

async function showFacts() {
  try {
    const found = await ask(documentPath(editor.collection, editor.id));
    byId("document-facts").textContent = `incarnation ${found.incarnation}, fingerprint ${found.fingerprint.slice(0, 12)}…`;
    byId("json").textContent = JSON.stringify(found.document, null, 2);
  } catch (error) {
    if (error.status !== 404) throw error;
    byId("document-facts").textContent = "This document does not exist; the first field that you add makes it.";
    byId("json").textContent = "";
  }
}

/** A change somewhere in the mesh has reached this node. */
export async function changeSeen(event) {
  if (event.action !== "updated") await drawCollections();
  if (event.collection === collection) {
    const known = byId("documents").querySelector(`[data-id="${CSS.escape(event.doc_id)}"]`);
    if (event.action === "deleted") known?.remove();
    else if (!known && !cursor) byId("documents").append(listed(event.doc_id));
  }
  if (editor?.name === `${event.collection}/${event.doc_id}`) await showFacts();
}

export function connectBrowser(complain) {
  const guarded = (work) => (event) => {
    event?.preventDefault();
    work().catch(complain);
  };
  byId("more").addEventListener("click", guarded(showMore));
  byId("open-form").addEventListener("submit", guarded(async () => {
    const [inCollection, ...rest] = byId("open-name").value.split("/");
    await showCollection(inCollection).catch(() => {});
    await openDocument(inCollection, rest.join("/"));
  }));
  byId("add-form").addEventListener("submit", guarded(async () => {
    editor.add(byId("add-name").value, byId("add-kind").value);
    byId("add-name").value = "";
  }));
  byId("delete").addEventListener("click", guarded(async () => {
    if (confirm(`Delete ${editor.name} on every node?`)) await editor.remove();
  }));
}
