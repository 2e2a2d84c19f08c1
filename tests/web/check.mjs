/** Checks each dashboard (`dashboards/*.json`, or the files named) against the types that Grafana publishes. */

import { readFileSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { problems } from "./problems.mjs";

const FOLDER = fileURLToPath(new URL("../../dashboards", import.meta.url));

const named = process.argv.slice(2);
const all = readdirSync(FOLDER).filter((file) => file.endsWith(".json")).map((file) => join(FOLDER, file));
const files = named.length > 0 ? named : all;
const dashboards = files.map((file) => [basename(file), JSON.parse(readFileSync(file, "utf8"))]);

const found = Object.entries(problems(Object.fromEntries(dashboards))).flatMap(([name, list]) =>
  list.map((problem) => `${name}: ${problem}`),
);
found.forEach((problem) => console.error(problem));
console.log(`${files.length} dashboards, ${found.length} problems`);
process.exitCode = found.length > 0 || files.length === 0 ? 1 : 0;
