// The reference of the API: renders /openapi.json, with a form to try each route.
"use strict";

let token = "";
let schemas = {};

function element(name, content = [], attributes = {}) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  for (const part of [content].flat()) made.append(part);
  return made;
}

function headers(more = {}) {
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

// A short example of a value that matches the schema.
function example(schema, depth = 0) {
  if (schema.$ref) return example(schemas[schema.$ref.split("/").pop()], depth);
  const choice = schema.oneOf ?? schema.anyOf;
  if (choice) return example(choice[0], depth);
  if ("const" in schema) return schema.const;
  if (schema.enum) return schema.enum[0];
  switch ([schema.type].flat()[0]) {
    case "object":
      return depth > 4 ? {} : Object.fromEntries(
        Object.entries(schema.properties ?? {}).map(([name, below]) => [name, example(below, depth + 1)]));
    case "array": return [example(schema.items ?? {}, depth + 1)];
    case "integer": case "number": return 0;
    case "boolean": return true;
    case "null": return null;
    default: return "…";
  }
}

function contents(content, label) {
  return Object.entries(content ?? {}).map(([type, { schema }]) => element("details", [
    element("summary", `${label}: ${type}`),
    element("pre", JSON.stringify(example(schema), null, 2)),
  ]));
}

function parameterTable(parameters) {
  if (!parameters.length) return [];
  return element("table", [
    element("thead", element("tr", ["Parameter", "In", "Meaning"].map((name) => element("th", name, { scope: "col" })))),
    element("tbody", parameters.map((one) => element("tr", [
      element("td", element("code", one.name)), element("td", one.in), element("td", one.description ?? ""),
    ]))),
  ]);
}

function tryForm(path, method, operation, parameters) {
  const form = element("form");
  const fields = parameters.map((one) => {
    const input = element("input", [], one.required ? { required: "" } : {});
    form.append(element("label", [`${one.name} `, input]));
    return [one, input];
  });
  const types = Object.keys(operation.requestBody?.content ?? {});
  const body = types.length ? element("textarea", "{}", { rows: 4 }) : null;
  if (body) form.append(element("label", [`Body (${types[0]}) `, body]));
  const output = element("pre", [], { role: "status" });
  form.append(element("button", "Send"), output);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    output.textContent = "…";
    try {
      output.textContent = await send(path, method, fields, body?.value, types[0]);
    } catch (error) {
      output.textContent = String(error);
    }
  });
  return element("details", [element("summary", "Try it"), form]);
}

async function send(path, method, fields, body, type) {
  const query = new URLSearchParams();
  const more = type ? { "Content-Type": type } : {};
  for (const [one, input] of fields) {
    if (one.in === "path") path = path.replace(`{${one.name}}`, encodeURIComponent(input.value));
    else if (input.value && one.in === "query") query.append(one.name, input.value);
    else if (input.value) more[one.name] = input.value;
  }
  const url = query.size ? `${path}?${query}` : path;
  const answer = await fetch(url, { method: method.toUpperCase(), headers: headers(more), body });
  const text = await firstPart(answer);
  return `${answer.status} ${answer.statusText}\n${[...answer.headers].map(([k, v]) => `${k}: ${v}`).join("\n")}\n\n${text}`;
}

// The body. A stream does not end, so this reads at most two seconds or 20,000 characters of it.
async function firstPart(answer) {
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  const timer = setTimeout(() => reader.cancel(), 2000);
  for (;;) {
    const { done, value } = await reader.read();
    if (done || text.length > 20000) break;
    text += decoder.decode(value, { stream: true });
  }
  clearTimeout(timer);
  reader.cancel();
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function route(path, method, operation, shared) {
  const parameters = [...shared, ...(operation.parameters ?? [])];
  const responses = Object.entries(operation.responses);
  return element("article", [
    element("h2", [element("span", method, { class: "method" }), " ", element("code", path)]),
    element("p", operation.summary ?? ""),
    parameterTable(parameters),
    ...contents(operation.requestBody?.content, "Body"),
    ...responses.flatMap(([status, one]) => status < 300
      ? [element("p", `${status}: ${one.description}`), ...contents(one.content, "Response")] : []),
    element("p", `Problems: ${responses.map(([status]) => status).filter((status) => status >= 400).join(", ") || "none"}`),
    ...(status101(responses) ? [] : [tryForm(path, method, operation, parameters)]),
  ], { id: operation.operationId });
}

function status101(responses) {
  return responses.some(([status]) => status === "101");
}

function draw(description) {
  schemas = description.components.schemas;
  document.getElementById("about").textContent = `${description.info.description} Version ${description.info.version}.`;
  const all = Object.entries(description.paths).flatMap(([path, item]) => Object.entries(item)
    .filter(([method]) => method !== "parameters")
    .map(([method, operation]) => [path, method, operation, item.parameters ?? []]));
  document.getElementById("contents").replaceChildren(element("ul", all.map(([path, method, operation]) =>
    element("li", element("a", `${method.toUpperCase()} ${path}`, { href: `#${operation.operationId}` })))));
  document.getElementById("routes").replaceChildren(...all.map((one) => route(...one)));
}

async function load() {
  const access = document.getElementById("access");
  const answer = await fetch("/openapi.json", { headers: headers() });
  access.hidden = answer.status !== 401;
  if (answer.ok) draw(await answer.json());
  else document.getElementById("routes").textContent = (await answer.json()).detail;
}

document.getElementById("access").addEventListener("submit", (event) => {
  event.preventDefault();
  token = document.getElementById("token").value;
  load();
});
load();
