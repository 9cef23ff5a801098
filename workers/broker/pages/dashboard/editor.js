// Edits one document as a Yjs client: each field is a key of the root map, named by its JSON Pointer.
import { WebsocketProvider, Y } from "./yjs.js";
import { ask, documentPath, protocols, yjsAddress } from "./api.js";
import { byId, element } from "./dom.js";
import { parse, stringify } from "./json.js";

const ARRAY = "array";
const TEXT = "text";

const kindOf = (leaf) => (leaf !== null && typeof leaf === "object" && Object.keys(leaf).length === 1 ? leaf.type : undefined);
const pointer = (name) => `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
const fieldName = (key) => key.slice(1).replaceAll("/", " › ").replaceAll("~1", "/").replaceAll("~0", "~");

/** Changes only the part of `shared` that differs from `text`, so that concurrent edits around it survive. */
function replaceText(shared, text) {
  const old = shared.toString();
  let start = 0;
  while (start < old.length && start < text.length && old[start] === text[start]) start += 1;
  let end = 0;
  while (end < old.length - start && end < text.length - start && old[old.length - 1 - end] === text[text.length - 1 - end]) end += 1;
  shared.doc.transact(() => {
    if (old.length - end > start) shared.delete(start, old.length - end - start);
    if (text.length - end > start) shared.insert(start, text.slice(start, text.length - end));
  });
}

const WRITABLE = "Live: changes are saved as you type.";
const READ_ONLY = "Live, read-only: this token does not allow writes.";
const DISCONNECTED = "Not connected: changes are kept in this tab and sent after reconnecting.";
const MESSAGE_AUTH = 2;

export class Editor {
  constructor(collection, id, onClosed) {
    this.name = `${collection}/${id}`;
    this.collection = collection;
    this.id = id;
    this.fields = new Map();
    this.isReadOnly = false;
    this.doc = new Y.Doc();
    this.root = this.doc.getMap("root");
    this.provider = new WebsocketProvider(yjsAddress(), `${encodeURIComponent(collection)}/${encodeURIComponent(id)}`, this.doc, {
      disableBc: true,
      protocols: protocols(),
    });
    this.provider.messageHandlers[MESSAGE_AUTH] = () => this.forbid();
    this.provider.on("status", ({ status }) => showState(status !== "connected" ? DISCONNECTED : this.isReadOnly ? READ_ONLY : WRITABLE));
    this.provider.on("closed", ({ reason }) => {
      this.forbid();
      showState(reason || "The node closed this document.");
      onClosed();
    });
    this.provider.awareness.setLocalStateField("user", { name: "dashboard" });
    this.provider.awareness.on("change", () => this.showOthers());
    this.doc.on("update", () => this.redraw());
    byId("add-form").hidden = false;
    byId("add-set").disabled = false;
    byId("others").textContent = "";
    this.redraw();
  }

  close() {
    this.provider.destroy();
    this.doc.destroy();
    byId("fields").replaceChildren();
    showState("");
  }

  /** Makes the document read-only. */
  forbid() {
    this.isReadOnly = true;
    byId("add-set").disabled = true;
    for (const { row } of this.fields.values()) lock(row);
    showState(READ_ONLY);
  }

  showOthers() {
    const others = this.provider.awareness.getStates().size - 1;
    byId("others").textContent = others < 1 ? "" : others === 1 ? "One other client has this document open." : `${others} other clients have this document open.`;
  }

  add(name, kind) {
    const key = pointer(name);
    if (this.root.has(key)) showState(`The field ${name} already exists.`);
    else this.root.set(key, kind === "value" ? "" : { type: kind });
    this.fields.get(key)?.input.focus();
  }

  async remove() {
    await ask(documentPath(this.collection, this.id), { method: "DELETE" });
  }

  redraw() {
    const keys = [...this.root.keys()].filter((key) => key.startsWith("/")).sort();
    const parent = byId("fields");
    for (const [key, field] of this.fields) {
      if (!keys.includes(key) || field.kind !== kindOf(this.root.get(key))) {
        field.row.remove();
        this.fields.delete(key);
      }
    }
    keys.forEach((key, index) => {
      if (!this.fields.has(key)) this.fields.set(key, this.field(key));
      const { row } = this.fields.get(key);
      if (parent.children[index] !== row) parent.insertBefore(row, parent.children[index] ?? null);
      this.fields.get(key).show();
    });
    byId("no-fields").hidden = keys.length > 0;
    const foreign = [...this.doc.share.keys()].filter((key) => key !== "root" && !key.startsWith("/"));
    byId("foreign").textContent = foreign.length ? `This document has other Yjs types, which are not shown: ${foreign.join(", ")}.` : "";
  }

  field(key) {
    const kind = kindOf(this.root.get(key));
    const made = kind === TEXT ? this.textField(key) : kind === ARRAY ? this.arrayField(key) : this.valueField(key);
    const id = `field-${key}`;
    made.input.id = id;
    const remove = element("button", { type: "button", text: "Remove", "aria-label": `Remove ${fieldName(key)}`, onclick: () => this.root.delete(key) });
    const row = element("div", { class: "field" }, element("label", { for: id, text: fieldName(key) }), made.input, remove);
    if (this.isReadOnly) lock(row);
    return { ...made, kind, row };
  }

  textField(key) {
    const shared = this.doc.getText(key);
    const input = element("textarea", { dir: "auto", spellcheck: "false", oninput: () => replaceText(shared, input.value) });
    const show = () => {
      const text = shared.toString();
      if (input.value === text) return;
      const { selectionStart, selectionEnd } = input;
      const grown = text.length - input.value.length;
      const before = text.startsWith(input.value.slice(0, selectionStart));
      input.value = text;
      if (document.activeElement === input) input.setSelectionRange(selectionStart + (before ? 0 : grown), selectionEnd + (before ? 0 : grown));
    };
    return { input, show };
  }

  valueField(key) {
    const write = () => {
      const value = asValue(input.value);
      if (stringify(value) !== stringify(this.root.get(key))) this.root.set(key, value);
    };
    const input = element("input", { dir: "auto", autocomplete: "off", spellcheck: "false", oninput: write });
    const show = () => {
      const text = asText(this.root.get(key));
      if (stringify(asValue(input.value)) !== stringify(this.root.get(key)) || input.value === "") input.value = text;
    };
    return { input, show };
  }

  arrayField(key) {
    const shared = this.doc.getArray(key);
    const write = () => {
      let items;
      try {
        items = parse(input.value);
        if (!Array.isArray(items)) throw new Error();
      } catch {
        input.classList.add("invalid");
        showState(`${fieldName(key)} must be a JSON array; it is saved when it is one.`);
        return;
      }
      input.classList.remove("invalid");
      replaceItems(shared, items);
    };
    const input = element("textarea", { class: "short", rows: 1, spellcheck: "false", onchange: write });
    const show = () => {
      if (document.activeElement !== input) input.value = stringify(shared.toJSON());
    };
    return { input, show };
  }
}

function replaceItems(shared, items) {
  const old = shared.toJSON().map((item) => stringify(item));
  const target = items.map((item) => stringify(item));
  let start = 0;
  while (start < old.length && start < target.length && old[start] === target[start]) start += 1;
  let end = 0;
  while (end < old.length - start && end < target.length - start && old[old.length - 1 - end] === target[target.length - 1 - end]) end += 1;
  shared.doc.transact(() => {
    if (old.length - end > start) shared.delete(start, old.length - end - start);
    if (items.length - end > start) shared.insert(start, items.slice(start, items.length - end));
  });
}

/** The value of an input: JSON for a number, true, false, null, a quoted string or {}; otherwise text. */
function asValue(text) {
  if (/^(-?\d|true$|false$|null$|")/.test(text) || text === "{}") {
    try {
      return parse(text);
    } catch {
      return text;
    }
  }
  return text;
}

function asText(value) {
  // an input holds one line: text of several lines is shown as JSON, which keeps its line breaks
  return typeof value === "string" && asValue(value) === value && !/[\r\n]/.test(value) ? value : stringify(value);
}

function lock(row) {
  for (const part of row.querySelectorAll("input, textarea")) part.readOnly = true;
  for (const part of row.querySelectorAll("button")) part.disabled = true;
}

function showState(text) {
  byId("editor-state").textContent = text;
}
