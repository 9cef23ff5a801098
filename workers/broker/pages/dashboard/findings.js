// What the node finds wrong, with advice: the findings of GET /api/v1/ready.
import { byId, element } from "./dom.js";

const KINDS = { error: "bad", degraded: "warn", notice: "note" };

/** All findings as {kind: "bad" | "warn" | "note", where, what, advice}. A check that fails has at least its own message. */
export function findingsOf(ready) {
  const found = ready.findings.map(({ severity, where, message, advice }) => ({ kind: KINDS[severity] ?? "warn", where, what: message, advice }));
  if (ready.ready || found.some(({ kind }) => kind === "bad")) return found;
  const failing = ready.checks.filter((check) => !check.ready);
  return [...failing.map(({ name, message }) => ({ kind: "bad", where: name, what: message, advice: "" })), ...found];
}

/** The pill beside the name of the node: [kind, text]. */
export function verdict(ready, findings) {
  if (!ready.ready) return ["bad", "not ready"];
  if (findings.some(({ kind }) => kind === "bad")) return ["bad", "has problems"];
  if (findings.some(({ kind }) => kind === "warn")) return ["warn", "has problems"];
  return ["ok", "healthy"];
}

export function drawFindings(findings) {
  const panel = byId("problems-panel");
  panel.hidden = findings.length === 0;
  const worst = ["bad", "warn", "note"].find((kind) => findings.some((finding) => finding.kind === kind)) ?? "note";
  panel.className = `worst-${worst}`;
  byId("problems-title").textContent = worst === "note" ? "Notices" : "Problems";
  const list = byId("problems");
  findings.forEach((finding, index) => {
    const shown = JSON.stringify(finding);
    if (list.children[index]?.dataset.shown === shown) return;
    const { kind, where, what, advice } = finding;
    const parts = [element("span", { class: "where", text: where }), element("strong", {}, ...marked(what))];
    if (advice) parts.push(element("span", { class: "advice" }, ...marked(advice)));
    const item = element("li", { class: kind, "data-shown": shown }, ...parts);
    if (list.children[index]) list.children[index].replaceWith(item);
    else list.append(item);
  });
  while (list.children.length > findings.length) list.lastChild.remove();
  announce(findings);
}

/** Text with commands between backticks. */
const marked = (text) => text.split("`").map((part, index) => (index % 2 ? element("code", { text: part }) : part));

/** Tells screen readers of a finding once, and not again whenever a number in it has changed. */
function announce(findings) {
  const said = byId("problems-said");
  const wording = findings.map(({ what }) => what.replaceAll(/\d+/g, "#")).join("\n");
  if (said.dataset.wording === wording) return;
  said.dataset.wording = wording;
  said.textContent = findings.map(({ what }) => what).join(" ");
}
