// Two pages of the dashboard in headless Chromium, driven line by line: {"page", "code"} is run with `page` and `expect`
// (a wait for a condition) in scope; the answer is {"ok"} or {"error"}. {"open": url, ...options of a context} opens one.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(`${process.argv[2]}/package.json`);
const { chromium } = require("playwright-core");
const browser = await chromium.launch({ executablePath: process.argv[3], args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const pages = [];
const AsyncFunction = (async () => {}).constructor;

async function open({ open: url, ...options }) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20000);
  page.complaints = [];
  page.foreign = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && page.complaints.push(`${message.text()} ${message.location().url}`));
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("request", (request) => new URL(request.url()).origin === new URL(url).origin || page.foreign.push(request.url()));
  page.on("dialog", (dialog) => dialog.accept());
  await page.goto(url);
  return pages.push(page) - 1;
}

async function run({ page, code }) {
  return new AsyncFunction("page", code)(pages[page]);
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const answer = await (request.open ? open(request) : run(request)).then((ok) => ({ ok: ok ?? null }), (error) => ({ error: String(error?.stack ?? error) }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
process.exit(0);
