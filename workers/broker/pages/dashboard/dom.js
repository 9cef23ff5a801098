// Elements of the page. Text is always set as text, never as markup.
export const byId = (id) => document.getElementById(id);

export function element(tag, { text, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  return fill(made, text, attributes, children);
}

export function shape(tag, { text, ...attributes } = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  return fill(made, text, attributes, children);
}

function fill(made, text, attributes, children) {
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** `work`, limited to one call per `milliseconds`; calls in between are combined into one at the end. */
export function throttled(milliseconds, work) {
  let timer = null;
  let isAsked = false;
  const run = () => {
    timer = null;
    if (!isAsked) return;
    isAsked = false;
    timer = setTimeout(run, milliseconds);
    work();
  };
  return () => {
    isAsked = true;
    if (timer === null) run();
  };
}

/** Changes a text only where it differs, so that nothing else is disturbed. */
export function setText(shown, text) {
  if (shown.textContent !== text) shown.textContent = text;
}

/** A time in Unix seconds: of today the time of day, else with the date. */
export function moment(time, withSeconds = false) {
  const at = new Date(time * 1000);
  const clock = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: withSeconds ? "2-digit" : undefined });
  return at.toDateString() === new Date().toDateString() ? clock : `${at.toLocaleDateString()} ${clock}`;
}

export function duration(seconds) {
  seconds = Math.max(0, seconds); // a clock may have been set back
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

export function bytes(count) {
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (count < 1024 || unit === "GiB") return `${count < 10 && unit !== "B" ? count.toFixed(1) : Math.round(count)} ${unit}`;
    count /= 1024;
  }
  return "";
}
