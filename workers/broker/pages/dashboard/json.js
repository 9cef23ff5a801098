// JSON with 64-bit integers. Integers beyond 2^53 are BigInt, which JSON.stringify and JSON.parse do not support.

/** `spaces`: the indentation; 0 writes one line. */
export function stringify(value, spaces = 0, margin = "") {
  if (typeof value === "bigint") return String(value);
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  const inner = margin + " ".repeat(spaces);
  const parts = Array.isArray(value)
    ? value.map((item) => stringify(item, spaces, inner))
    : Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}:${spaces ? " " : ""}${stringify(item, spaces, inner)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  if (!spaces || !parts.length) return open + parts.join(",") + close;
  return `${open}\n${parts.map((part) => inner + part).join(",\n")}\n${margin}${close}`;
}

/** Throws SyntaxError. Browsers that do not pass the source of a number (some before 2025) round it to a double. */
export function parse(text) {
  return JSON.parse(text, (_, value, context) => (typeof value === "number" && !Number.isSafeInteger(value) ? whole(context?.source) ?? value : value));
}

function whole(source) {
  if (!/^-?\d{1,20}$/.test(source ?? "")) return undefined;
  const number = BigInt(source);
  return BigInt.asIntN(64, number) === number ? number : undefined;
}
