/** The check finds each of these slips, made one at a time in a good dashboard, and nothing in the good one. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { problems } from "./problems.mjs";

const GOOD = JSON.parse(readFileSync(new URL("../../dashboards/oura-today.json", import.meta.url), "utf8"));

/** Each slip, and what the message must name. */
const SLIPS = {
  "no schemaVersion": ["schemaVersion", (board) => delete board.schemaVersion],
  "nothing said of what it needs": ["__requires", (board) => delete board.__requires],
  "unknown kind of need": ["pannel", (board) => (board.__requires[0].type = "pannel")],
  "schemaVersion as text": ["string", (board) => (board.schemaVersion = "42")],
  "misspelt key of the dashboard": ["tittle", (board) => (board.tittle = "x")],
  "link without keepTime": ["keepTime", (board) => delete board.links[0].keepTime],
  "annotation without colour": ["iconColor", (board) => delete board.annotations.list[0].iconColor],
  "unknown kind of variable": ["qurey", (board) => (board.templating.list[1].type = "qurey")],
  "misspelt key of a variable": ["multy", (board) => (board.templating.list[1].multy = true)],
  "unknown kind of panel": ["stats", (board) => (first(board, "stat").type = "stats")],
  "misspelt key of a panel": ["descripton", (board) => (first(board, "stat").descripton = "x")],
  "place as text": ["string", (board) => (first(board, "stat").gridPos.w = "4")],
  "misspelt option": ["colorMod", (board) => (first(board, "stat").options.colorMod = "value")],
  "unknown value of an option": ["backgroud", (board) => (first(board, "stat").options.colorMode = "backgroud")],
  "target without expr": ["expr", (board) => delete first(board, "stat").targets[0].expr],
  "misspelt key of a field": ["untis", (board) => (defaults(board, "stat").untis = "s")],
  "unknown mode of colour": ["threshold", (board) => (defaults(board, "stat").color.mode = "threshold")],
  "unknown mode of thresholds": ["abs", (board) => (defaults(board, "stat").thresholds.mode = "abs")],
  "unknown kind of mapping": ["valeu", (board) => (words(board)[0].type = "valeu")],
  "misspelt option of a line": ["lineWidht", (board) => (defaults(board, "timeseries").custom.lineWidht = 1)],
  "unknown style of a line": ["liness", (board) => (defaults(board, "timeseries").custom.drawStyle = "liness")],
  "misspelt property of an override": ["custom.lineWidht", (board) => override(board, "custom.lineWidht", 1)],
  "override of the wrong type": ["string", (board) => override(board, "custom.lineWidth", "1")],
};

function first(board, type) {
  return board.panels.find((panel) => panel.type === type);
}

function defaults(board, type) {
  return first(board, type).fieldConfig.defaults;
}

/** The words for values of the first series of states. */
function words(board) {
  return first(board, "state-timeline").fieldConfig.overrides[0].properties[0].value;
}

function override(board, id, value) {
  const field = { matcher: { id: "byName", options: "x" }, properties: [{ id, value }] };
  first(board, "timeseries").fieldConfig.overrides = [field];
}

function withSlip(slip) {
  const board = structuredClone(GOOD);
  slip(board);
  return board;
}

const broken = Object.entries(SLIPS).map(([name, [, slip]]) => [name, withSlip(slip)]);
const found = problems({ good: GOOD, ...Object.fromEntries(broken) });

test("a good dashboard has no problem", () => assert.deepEqual(found.good, []));

for (const [name, [word]] of Object.entries(SLIPS)) {
  test(`found: ${name}`, () => {
    assert.notEqual(found[name].length, 0);
    assert.ok(found[name].some((problem) => problem.includes(word)), found[name].join("\n"));
  });
}
