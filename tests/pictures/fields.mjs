/** How values look: a panel's defaults and overrides put on its frames. Grafana does that with its own code; what belongs to kinds of
 * panels (`custom.*`), which are not published, is put in place here. */

import { FieldType, Registry, applyFieldOverrides, getDisplayProcessor, getFieldDisplayName } from "@grafana/data";
import { filled } from "./ask.mjs";

const STANDARD = ["unit", "decimals", "min", "max", "noValue", "mappings", "thresholds", "color", "displayName", "links"];
const CUSTOM = "custom.";

const registry = new Registry(() =>
  STANDARD.map((id) => ({
    id,
    path: id,
    name: id,
    process: (value) => value,
    override: (value) => value,
    shouldApply: () => true,
    settings: {},
  })),
);

/** A panel's looks with what the reader has chosen. */
export function looks(panel, choice) {
  return JSON.parse(filled(JSON.stringify(panel.fieldConfig), choice));
}

function customized(panel, frames) {
  const { defaults, overrides } = panel.fieldConfig;
  for (const frame of frames) {
    for (const field of frame.fields.filter(({ type }) => type === FieldType.number)) {
      const name = getFieldDisplayName(field, frame, frames);
      const own = overrides.filter(({ matcher }) => [name, frame.name].includes(matcher.options));
      const custom = { axisPlacement: "auto", hideFrom: { legend: false, tooltip: false, viz: false }, ...defaults.custom };
      for (const { id, value } of own.flatMap(({ properties }) => properties).filter(({ id }) => id.startsWith(CUSTOM))) {
        custom[id.slice(CUSTOM.length)] = value;
      }
      field.config.custom = custom;
    }
  }
  return frames;
}

/** The frames as a panel shows them. */
export function shown(panel, board, choice, theme, frames) {
  const applied = applyFieldOverrides({
    data: frames,
    fieldConfig: looks(panel, choice),
    replaceVariables: (text) => text,
    theme,
    timeZone: board.timezone,
    fieldConfigRegistry: registry,
  });
  applied.forEach((frame, place) => Object.assign(frame, { labels: frames[place].labels }));
  return customized(panel, applied);
}

/** A value of a table's column in words. */
export function cell(panel, board, choice, theme, heading, value) {
  const { defaults, overrides } = looks(panel, choice);
  const own = overrides.filter(({ matcher }) => matcher.options === heading).flatMap(({ properties }) => properties);
  const config = own.reduce((config, { id, value }) => ({ ...config, [id]: value }), { ...defaults });
  const field = { type: FieldType.number, config, values: [value] };
  const display = getDisplayProcessor({ field, theme, timeZone: board.timezone })(value);
  return { text: words(display), color: config.mappings?.length ? display.color : undefined };
}

/** What is written of a value. */
export function words({ prefix = "", text, suffix = "" }) {
  return prefix + text + suffix;
}

/** The last value that there is. */
export function last(field) {
  return [...field.values].reverse().find((value) => value !== null);
}
