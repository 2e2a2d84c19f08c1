/** Draws boards as pictures: `node draw.mjs --prometheus URL --out DIR [--board oura-today] [--width 1280] [--theme dark]
 * [--account alice] [--range 365d] [--scale 0.6] [--name NAME]`. Needs chromium; see README.md. */

import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { build } from "esbuild";
import { placed } from "./layout.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const BOARDS = join(HERE, "../../dashboards");
/** Milliseconds that a browser gives the page to ask and to draw. */
const PATIENCE = "40000";

const { values: wanted } = parseArgs({
  options: {
    prometheus: { type: "string" },
    out: { type: "string" },
    board: { type: "string", multiple: true },
    width: { type: "string", default: "1280" },
    theme: { type: "string", default: "dark" },
    account: { type: "string", default: "alice" },
    range: { type: "string" },
    scale: { type: "string", default: "1" },
    name: { type: "string" },
  },
});

/** The script of the page, and its style. */
async function bundled() {
  const { outputFiles } = await build({
    entryPoints: [join(HERE, "page.jsx")],
    bundle: true,
    minify: true,
    write: false,
    outdir: "out",
    define: { "process.env.NODE_ENV": '"production"', global: "window" },
    loader: { ".svg": "text", ".png": "dataurl", ".ttf": "dataurl" },
    logLevel: "error",
  });
  return Object.fromEntries(outputFiles.map(({ path, text }) => [path.endsWith(".css") ? "/page.css" : "/page.js", text]));
}

const PAGE = '<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="/page.css"><div id="root"></div><script src="/page.js"></script>';
/** A browser's window is never as narrow as a telephone: the page is in a frame. */
const framed = (query, width, height) =>
  `<!doctype html><body style="margin:0"><iframe style="border:0" width="${width}" height="${height}" src="/?${query}"></iframe>`;

async function passedOn(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  const answer = await fetch(wanted.prometheus + request.url, { method: "POST", body: Buffer.concat(chunks), headers });
  response.writeHead(answer.status, { "content-type": "application/json" }).end(await answer.text());
}

function answer(files, request, response) {
  const { pathname, search, searchParams } = new URL(request.url, "http://localhost");
  if (pathname.startsWith("/api/")) return passedOn(request, response);
  if (pathname.startsWith("/board/")) return response.end(readFileSync(join(BOARDS, `${pathname.slice(7)}.json`)));
  const isScript = pathname.endsWith(".js");
  const type = isScript ? "text/javascript" : pathname.endsWith(".css") ? "text/css" : "text/html";
  const frame = () => framed(search.slice(1), searchParams.get("width"), searchParams.get("height"));
  return response.writeHead(200, { "content-type": type }).end(files[pathname] ?? (pathname === "/frame" ? frame() : PAGE));
}

async function draw(port, board) {
  const width = Number(wanted.width);
  const { height } = placed(JSON.parse(readFileSync(join(BOARDS, `${board}.json`))), width);
  const { account, theme, range } = wanted;
  const now = Math.floor(Date.now() / 1000);
  const query = new URLSearchParams({ board, account, theme, now, width, height, ...(range && { range }) });
  const file = join(wanted.out, `${wanted.name ?? `${board}-${width}-${theme}`}.png`);
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", `--window-size=${width},${height}`];
  const ways = [`--force-device-scale-factor=${wanted.scale}`, `--virtual-time-budget=${PATIENCE}`, `--screenshot=${file}`, `http://127.0.0.1:${port}/frame?${query}`];
  await promisify(execFile)("chromium", [...flags, ...ways], { timeout: 180_000 });
  console.log(`${file}: ${width} x ${height}`);
}

const files = await bundled();
const server = createServer((request, response) => {
  Promise.resolve(answer(files, request, response)).catch((error) => response.writeHead(502).end(String(error)));
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const all = readdirSync(BOARDS)
  .filter((file) => file.endsWith(".json"))
  .map((file) => file.replace(/\.json$/, ""));
mkdirSync(wanted.out, { recursive: true });
for (const board of wanted.board ?? all) await draw(server.address().port, board);
server.close();
server.closeAllConnections();
