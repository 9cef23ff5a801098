// The lists of collections and documents, and the open document.
import { ask, documentPath } from "./api.js";
import { byId, element, throttled } from "./dom.js";
import { Editor } from "./editor.js";
import { stringify } from "./json.js";

const PAGE = 50;
let collection = "";
let cursor = null;
let editor = null;
let showError = () => {};

export async function drawCollections() {
  const { collections, total } = await ask("/documents");
  byId("no-collections").hidden = collections.length > 0;
  const list = byId("collections");
  const focused = list.contains(document.activeElement) ? document.activeElement.parentNode.dataset.name : undefined;
  list.replaceChildren(
    ...collections.map(({ name, count }) => listed(name, name === collection, () => showCollection(name), String(count))),
  );
  if (total > collections.length) list.append(element("li", { class: "note", text: `and ${(total - collections.length).toLocaleString()} more` }));
  itemOf(list, focused)?.firstChild.focus({ preventScroll: true }); // the keyboard focus stays on the collection
}

function itemOf(list, name) {
  return [...list.children].find((item) => item.dataset.name === name);
}

function listed(name, isCurrent, choose, count) {
  const parts = count === undefined ? [] : [element("span", { class: "count", text: count })];
  const button = element("button", { type: "button", "aria-current": String(isCurrent), onclick: () => choose().catch(showError) }, element("span", { text: name }), ...parts);
  return element("li", { "data-name": name }, button);
}

async function showCollection(name) {
  collection = name;
  await redrawLists();
}

/** Reloads both lists, from their first page. */
export async function redrawLists() {
  cursor = null;
  if (collection === "") return;
  const page = await ask(`/documents/${encodeURIComponent(collection)}?limit=${PAGE}`).catch((error) => {
    if (error.status !== 404) throw error;
    return { documents: [], total: 0, next_cursor: null };
  });
  byId("documents").replaceChildren();
  showPage(page);
  await drawCollections();
  const list = byId("collections");
  const [frame, place] = [list, itemOf(list, collection) ?? list].map((part) => part.getBoundingClientRect());
  if (place.top < frame.top || place.bottom > frame.bottom) list.scrollTop += place.top - frame.top - list.clientHeight / 2;
}

async function showMore() {
  showPage(await ask(`/documents/${encodeURIComponent(collection)}?limit=${PAGE}&cursor=${encodeURIComponent(cursor)}`));
}

function showPage(page) {
  cursor = page.next_cursor;
  byId("documents").append(...page.documents.map(({ _id }) => documentItem(_id)));
  byId("documents-title-2").textContent = collection;
  byId("documents-note").textContent = page.total === 1 ? "1 document" : `${page.total.toLocaleString()} documents`;
  byId("documents-list").hidden = false;
  byId("more").hidden = !cursor;
}

function documentItem(id) {
  return listed(id, editor?.name === `${collection}/${id}`, () => openDocument(collection, id));
}

export async function openDocument(inCollection, id) {
  editor?.close();
  editor = new Editor(inCollection, id, () => drawSoon());
  byId("document-title").textContent = `${inCollection}/${id}`;
  byId("document").hidden = false;
  byId("no-document").hidden = true;
  if (inCollection !== collection) await showCollection(inCollection);
  markCurrent();
  await showFacts();
  byId("document-title").focus();
}

function markCurrent() {
  for (const item of byId("documents").children) {
    item.firstChild.setAttribute("aria-current", String(editor?.name === `${collection}/${item.dataset.name}`));
  }
}

async function showFacts() {
  if (editor === null) return;
  const { name } = editor;
  try {
    const found = await ask(documentPath(editor.collection, editor.id));
    if (editor.name !== name) return;
    byId("document-facts").textContent = `incarnation ${found.incarnation}, fingerprint ${found.fingerprint.slice(0, 12)}`;
    byId("json").textContent = stringify(found.document, 2);
    byId("delete").disabled = false;
  } catch (error) {
    if (error.status !== 404) throw error;
    byId("document-facts").textContent = "This document does not exist yet: the first field that you add creates it.";
    byId("json").textContent = "";
    byId("delete").disabled = true;
  }
}

const drawSoon = throttled(1000, () => drawCollections().catch(showError));
const factsSoon = throttled(300, () => showFacts().catch(showError));

/** Handles a change on this node, made here or on a peer. */
export async function changeSeen(event) {
  if (event.action !== "updated") drawSoon();
  if (event.collection === collection && event.action !== "updated") {
    const known = itemOf(byId("documents"), event.doc_id);
    if (event.action === "deleted") known?.remove();
    else if (!known && !cursor) byId("documents").append(documentItem(event.doc_id));
  }
  if (editor?.name === `${event.collection}/${event.doc_id}`) factsSoon();
}

export function connectBrowser(onError) {
  showError = onError;
  const guarded = (work) => (event) => {
    event.preventDefault();
    work().catch(showError);
  };
  byId("more").addEventListener("click", guarded(showMore));
  byId("open-form").addEventListener("submit", guarded(async () => {
    const [inCollection, ...rest] = byId("open-name").value.split("/");
    await openDocument(inCollection, rest.join("/"));
    byId("open-name").value = "";
  }));
  byId("add-form").addEventListener("submit", guarded(async () => {
    editor.add(byId("add-name").value.trim(), byId("add-kind").value);
    byId("add-name").value = "";
  }));
  byId("delete").addEventListener("click", guarded(async () => {
    if (confirm(`Delete ${editor.name} on every node?`)) await editor.remove();
  }));
}
