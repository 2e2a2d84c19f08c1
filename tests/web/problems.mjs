/** What Grafana's published types find wrong with dashboards. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const OPTIONS = {
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  types: [],
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
};

/** The parts of a dashboard, each with a name for people and its type. */
function parts({ panels = [], ...board }) {
  const all = panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);
  const shown = all.map((panel) => ({
    name: `panel ${panel.id} "${panel.title}"`,
    type: panel.type === "row" ? "Row" : `Panel<${JSON.stringify(panel.type)}>`,
    json: panel,
  }));
  return [{ name: "dashboard", type: "Board", json: board }, ...shown];
}

/** A program in which each part must satisfy its type, and where each part ends in it. */
function program(dashboard) {
  let text = 'import type { Board, Panel, Row } from "./contract";\n';
  const ends = parts(dashboard).map(({ name, type, json }) => {
    text += `(${JSON.stringify(json, null, 1)}) satisfies ${type};\n`;
    return { name, end: text.length };
  });
  return { text, ends };
}

/** What TypeScript has to say about these programs, given by path. */
function compile(programs) {
  const host = ts.createCompilerHost(OPTIONS);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (path) => programs.has(path) || fileExists(path);
  host.getSourceFile = (path, ...rest) =>
    programs.has(path)
      ? ts.createSourceFile(path, programs.get(path).text, OPTIONS.target)
      : getSourceFile(path, ...rest);
  return ts.getPreEmitDiagnostics(ts.createProgram([...programs.keys()], OPTIONS, host));
}

/** The innermost reason of a message, which is the one that helps. */
function reason(message) {
  return ts.flattenDiagnosticMessageText(message, "\n").split("\n").at(-1).trim();
}

/** A problem in words: the part of the dashboard, the line in it, and the reason. */
function inWords({ file, start = 0, messageText }, ends) {
  const part = ends.find(({ end }) => start < end)?.name ?? "dashboard";
  const line = file?.text.slice(start).split("\n")[0].trim().slice(0, 60);
  return `${part}: at ${line}: ${reason(messageText)}`;
}

/** The problems of each of these dashboards, given and told by name; a problem without a dashboard throws. */
export function problems(dashboards) {
  const programs = new Map(
    Object.entries(dashboards).map(([name, json]) => [join(HERE, `${name}.ts`), { name, ...program(json) }]),
  );
  const found = Object.fromEntries(Object.keys(dashboards).map((name) => [name, []]));
  for (const diagnostic of compile(programs)) {
    const at = programs.get(diagnostic.file?.fileName);
    if (!at) throw new Error(`${diagnostic.file?.fileName}: ${reason(diagnostic.messageText)}`);
    found[at.name].push(inWords(diagnostic, at.ends));
  }
  return found;
}
