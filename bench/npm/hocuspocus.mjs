// node hocuspocus.mjs FOLDER PORT
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.argv[2]}/package.json`);
const { Server } = await import(pathToFileURL(require.resolve("@hocuspocus/server")).href);
await new Server({ port: Number(process.argv[3]), address: "127.0.0.1", quiet: true, stopOnSignals: false }).listen();
