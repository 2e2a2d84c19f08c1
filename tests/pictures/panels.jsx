/** Draws a panel: numbers, levels and lines with Grafana's own components; rows of cells, tables and scatters after Grafana's, which
 * are not published. */

import React from "react";
import { dateTime, dateTimeFormat } from "@grafana/data";
import { BarGauge, BigValue, TimeSeries } from "@grafana/ui";
import { cell, last, shown, words } from "./fields.mjs";
import { filled } from "./ask.mjs";

const FONT = { font: "11px Inter, sans-serif" };
const AXIS = 22;
/** How wide a letter of that font is at most, and how high a line of words. */
const LETTER = 6.6;
const WORDS = 24;

function Numbers({ panel, frames, theme, data, width, height }) {
  const { colorMode, graphMode, orientation, textMode } = panel.options;
  const isRow = orientation === "auto" ? width > height : orientation === "vertical";
  const [wide, high] = isRow ? [width / frames.length, height] : [width, height / frames.length];
  const timeRange = { from: dateTime(data.from), to: dateTime(data.to), raw: { from: "", to: "" } };
  return (
    <div style={{ display: "flex", flexDirection: isRow ? "row" : "column" }}>
      {frames.map((frame, place) => {
        const [x, y] = frame.fields;
        const isNamed = frames.length > 1 || panel.targets[0].legendFormat !== "";
        const mode = textMode === "auto" ? (isNamed ? "value_and_name" : "value") : textMode;
        const sparkline = graphMode === "none" || y.values.length < 2 ? undefined : { x, y, timeRange };
        return (
          <BigValue
            key={place}
            {...{ theme, colorMode, graphMode, sparkline }}
            textMode={mode}
            justifyMode="auto"
            count={frames.length}
            wideLayout={panel.options.wideLayout}
            text={panel.options.text}
            width={wide}
            height={high}
            value={{ ...y.display(last(y)), title: frame.name }}
          />
        );
      })}
    </div>
  );
}

function Levels({ panel, frames, theme, width, height }) {
  const high = height / frames.length;
  const values = frames.map((frame) => last(frame.fields[1]));
  const longest = (texts) => texts.reduce((one, other) => (other.length > one.length ? other : one), "");
  const alignmentFactors = {
    title: `${longest(frames.map(({ name }) => name))}     `,
    text: longest(frames.map((frame, place) => words(frame.fields[1].display(values[place])))),
  };
  return frames.map((frame, place) => {
    const { config, display } = frame.fields[1];
    const [min, max] = [config.min ?? Math.min(0, ...values), config.max ?? Math.max(...values)];
    const percent = (values[place] - min) / (max - min || 1);
    return (
      <BarGauge
        key={place}
        {...{ theme, display, alignmentFactors, width }}
        text={panel.options.text}
        height={high - 4}
        itemSpacing={4}
        orientation="horizontal"
        displayMode="gradient"
        field={{ ...config, min, max }}
        value={{ ...display(values[place]), title: frame.name, percent }}
        showUnfilled
        valueDisplayMode="color"
      />
    );
  });
}

function Lines({ panel, board, frames, data, width, height }) {
  const { legend } = panel.options;
  const [from, to] = [dateTime(data.from), dateTime(data.to)];
  return (
    <TimeSeries
      {...{ frames, width, height }}
      timeRange={{ from, to, raw: { from, to } }}
      timeZone={board.timezone}
      legend={legend}
      options={panel.options}
    />
  );
}

/** The words of what the cells have, in their colours. */
function Words({ frames }) {
  const of = ({ fields: [, y] }) => [...new Set(y.values)].filter((value) => value !== null).sort().map((value) => y.display(value));
  return (
    <div style={{ display: "flex", gap: 12, fontSize: 12, height: WORDS, alignItems: "end" }}>
      {frames.flatMap(of).map((display) => (
        <span key={display.text} style={{ whiteSpace: "nowrap" }}>
          <span style={{ color: display.color }}>▬</span> {words(display)}
        </span>
      ))}
    </div>
  );
}

/** A row for each series, a cell for each of its points. */
function Cells(props) {
  const { panel, frames, width, height } = props;
  if (!panel.options.legend?.showLegend) return <Grid {...props} />;
  return (
    <>
      <Grid {...{ ...props, width, height: height - WORDS }} />
      <Words frames={frames} />
    </>
  );
}

/** What fits into so many pixels of a name. */
function short(name, space) {
  const most = Math.floor(space / LETTER);
  return name.length > most ? `${name.slice(0, most - 1)}…` : name;
}

function Grid({ panel, board, frames, theme, data: { from, to }, width, height }) {
  const left = Math.min(150, width * 0.4);
  const high = (height - AXIS) / frames.length;
  const x = (time) => left + ((time - from) / (to - from)) * (width - left);
  const isTold = panel.options.showValue !== "never";
  const isOfDays = /[dw]$/.test(panel.interval ?? "");
  const dated = (time) => dateTimeFormat(time, { format: isOfDays ? "MM/DD" : "HH:mm", timeZone: board.timezone });
  return (
    <svg width={width} height={height} style={FONT}>
      {frames.map((frame, row) => (
        <g key={row}>
          <text x={left - 6} y={row * high + high / 2 + 4} textAnchor="end" fill={theme.colors.text.secondary}>
            {short(frame.name, left - 6)}
          </text>
          {stretches(panel, frame).map(([begin, end, value], place) => {
            const display = frame.fields[1].display(value);
            const [start, stop] = [Math.max(x(begin), left), Math.min(x(end), width)];
            const wide = Math.max(stop - start - (isOfDays ? 1 : 0), 0.5);
            const text = words(display);
            return (
              <g key={place}>
                <rect x={start} y={row * high + 1} width={wide} height={high - 2} fill={display.color} fillOpacity={0.8} />
                {isTold && wide > text.length * LETTER + 4 && high > 11 && (
                  <text x={start + wide / 2} y={row * high + high / 2 + 4} textAnchor="middle" fill="#fff">
                    {text}
                  </text>
                )}
              </g>
            );
          })}
        </g>
      ))}
      {[0, 1, 2, 3, 4].map((tick) => {
        const time = from + ((to - from) * tick) / 5;
        return (
          <text key={tick} x={x(time)} y={height - 6} fill={theme.colors.text.secondary}>
            {dated(time)}
          </text>
        );
      })}
    </svg>
  );
}

/** From when to when a series has which value; values that follow each other are one where the panel merges them. */
function stretches(panel, { fields: [times, { values }] }) {
  const { interval } = times.config;
  const all = [];
  values.forEach((value, place) => {
    const begin = times.values[place];
    const before = all.at(-1);
    if (value === null) return;
    if (panel.options.mergeValues && before && before[1] === begin && before[2] === value) before[1] = begin + interval;
    else all.push([begin, begin + interval, value]);
  });
  return all;
}

/** The rows of a table: one for each set of labels, and of events one for each time. */
function rows(panel, frames) {
  const rows = new Map();
  for (const { fields, labels, refId } of frames) {
    const own = Object.fromEntries(Object.entries(labels).filter(([name]) => !["account", "__name__"].includes(name)));
    fields[1].values.forEach((value, place) => {
      if (value === null) return;
      const time = panel.targets[0].instant ? {} : { Time: fields[0].values[place] };
      const key = JSON.stringify([own, time]);
      const column = panel.targets.length === 1 ? "Value" : `Value #${refId}`;
      rows.set(key, { ...own, ...time, ...rows.get(key), [column]: value });
    });
  }
  return [...rows.values()];
}

function sorted(panel, rows, headings) {
  const [by] = panel.options.sortBy ?? [];
  const column = by && Object.keys(headings).find((column) => headings[column] === by.displayName);
  const sign = by?.desc ? -1 : 1;
  return column ? [...rows].sort((one, other) => sign * (one[column] - other[column])) : rows;
}

function Columns({ panel, board, choice, theme, frames, width, height }) {
  const { renameByName, excludeByName } = panel.transformations.find(({ id }) => id === "organize").options;
  const headings = { Time: "Time", ...renameByName };
  const all = sorted(panel, rows(panel, frames), headings);
  const isThere = (column) => !excludeByName?.[column] && all.some((row) => row[column] !== undefined);
  const known = Object.keys(renameByName);
  const labels = all.flatMap(Object.keys).filter((column) => column !== "Time" && !known.includes(column));
  const columns = ["Time", ...new Set(labels), ...known].filter(isThere);
  const said = (column, value) => {
    if (value === undefined) return { text: "" };
    if (column === "Time") return { text: dateTimeFormat(value, { format: "YYYY-MM-DD HH:mm", timeZone: board.timezone }) };
    if (typeof value === "string") return { text: filled(value, choice).replace(/^tag_(generic_|sleep_)?/, "") };
    return cell(panel, board, choice, theme, filled(headings[column], choice), value);
  };
  const space = { textAlign: "left", padding: "3px 6px" };
  return (
    <div style={{ width, height, overflow: "hidden" }}>
      <table style={{ width: "100%", fontSize: 12 }}>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column} style={space}>
                {filled(headings[column] ?? column, choice)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {all.map((row, place) => (
            <tr key={place} style={{ borderTop: `1px solid ${theme.colors.border.weak}` }}>
              {columns.map((column) => {
                const { text, color } = said(column, row[column]);
                return (
                  <td key={column} style={{ ...space, color }}>
                    {text}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Scatter({ frames, theme, width, height }) {
  const [first, second] = frames;
  if (!second) return null;
  const of = new Map(first.fields[0].values.map((time, place) => [time, first.fields[1].values[place]]));
  const pairs = second.fields[0].values.map((time, place) => [of.get(time), second.fields[1].values[place]]);
  const points = pairs.filter(([x, y]) => x != null && y != null);
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [low, high] = [Math.min(...xs), Math.max(...xs)];
  const [least, most] = [Math.min(...ys), Math.max(...ys)];
  const fill = theme.colors.text.secondary;
  const left = (x) => 30 + ((x - low) / (high - low || 1)) * (width - 40);
  const top = (y) => height - 30 - ((y - least) / (most - least || 1)) * (height - 45);
  const blue = theme.visualization.getColorByName("blue");
  return (
    <svg width={width} height={height} style={FONT}>
      {points.map(([x, y], place) => (
        <circle key={place} cx={left(x)} cy={top(y)} r={2.5} fill={blue} fillOpacity={0.7} />
      ))}
      <text x={30} y={height - 4} fill={fill}>{`${low.toFixed(1)} … ${high.toFixed(1)} ${first.name}`}</text>
      <text x={2} y={12} fill={fill}>{`${most.toFixed(0)} ${second.name}`}</text>
      <text x={2} y={height - 26} fill={fill}>
        {least.toFixed(0)}
      </text>
    </svg>
  );
}

const KINDS = {
  stat: Numbers,
  bargauge: Levels,
  timeseries: Lines,
  "state-timeline": Cells,
  "status-history": Cells,
  table: Columns,
  xychart: Scatter,
};

/** What a panel shows of its answers. */
export function Drawn(props) {
  const { panel, board, choice, theme, data, height } = props;
  const frames = shown(panel, board, choice, theme, data.frames);
  const { noValue } = panel.fieldConfig.defaults;
  if (frames.length === 0) {
    const style = { textAlign: "center", paddingTop: height / 2 - 10, color: theme.colors.text.secondary };
    return <div style={style}>{noValue}</div>;
  }
  const Kind = KINDS[panel.type];
  return <Kind {...props} frames={frames} />;
}
