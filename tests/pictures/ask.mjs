/** Asks a Prometheus what a panel asks, and makes Grafana's data frames of the answers. */

import { FieldType, createDataFrame } from "@grafana/data";

const UNITS = { s: 1, m: 60, h: 3600, d: 86400, w: 604800, y: 31536000 };
/** Seconds between points that Grafana takes. */
const STEPS = [15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800, 2592000];
/** Where days may be missing between two points, a gap is drawn. */
const GAP = 1.5;

const seconds = (span) => parseInt(span, 10) * UNITS[span.slice(-1)];

/** Text with what the reader has chosen. */
export function filled(text, { account, variables }) {
  const chosen = text.replaceAll("${account}", account).replaceAll("$account", account);
  return variables.reduce(
    (text, { name, options: [first] }) =>
      text.replaceAll(`\${${name}:text}`, first.text).replaceAll(`\${${name}}`, first.value).replaceAll(`$${name}`, first.value),
    chosen,
  );
}

async function ask(path, query) {
  const answer = await fetch(`/api/v1/${path}`, { method: "POST", body: new URLSearchParams(query) });
  const { status, error, data } = await answer.json();
  if (status !== "success") throw new Error(`${query.query}: ${error}`);
  return data.result;
}

function legend(format, labels) {
  if (format) return format.replace(/\{\{(\w+)\}\}/g, (_, label) => labels[label] ?? "");
  return Object.entries(labels)
    .filter(([name]) => name !== "__name__")
    .map(([name, value]) => `${name}="${value}"`)
    .join(", ");
}

/** Points with a null where some are missing. */
function withGaps(points, step) {
  const times = [];
  const values = [];
  points.forEach(([time, value], place) => {
    const before = place > 0 ? points[place - 1][0] : time;
    if (time - before > step * GAP) {
      times.push((before + step) * 1000);
      values.push(null);
    }
    times.push(time * 1000);
    values.push(Number(value));
  });
  return { times, values };
}

function frame(target, series, step, choice) {
  const { times, values } = withGaps(target.instant ? [series.value] : series.values, step);
  const name = legend(filled(target.legendFormat, choice), series.metric);
  const config = { displayNameFromDS: name };
  const fields = [
    { name: "Time", type: FieldType.time, values: times, config: { interval: step * 1000 } },
    { name: "Value", type: FieldType.number, values, labels: series.metric, config },
  ];
  return Object.assign(createDataFrame({ refId: target.refId, name, fields }), { labels: series.metric });
}

/** What a panel of that width gets, and from when to when it shows it, in milliseconds. */
export async function answered(panel, board, choice, width, now) {
  const range = seconds(choice.range ?? panel.timeFrom ?? board.time.from.replace("now-", ""));
  const least = Math.max(seconds(panel.interval ?? "15s"), range / Math.min(panel.maxDataPoints ?? width, 11000));
  const step = STEPS.find((step) => step >= least) ?? least;
  // Grafana begins steps at midnights of the board's zone.
  const ahead = board.timezone === "utc" ? 0 : -new Date(now * 1000).getTimezoneOffset() * 60;
  const aligned = (time) => Math.floor((time + ahead) / step) * step - ahead;
  const frames = [];
  for (const target of panel.targets) {
    const expr = filled(target.expr, choice).replaceAll("${__to:date:seconds}", now);
    const query = expr.replaceAll("$__rate_interval", "15m").replaceAll("$__interval", `${step}s`);
    const series = target.instant
      ? await ask("query", { query, time: now })
      : await ask("query_range", { query, start: aligned(now - range), end: aligned(now), step });
    frames.push(...series.map((one) => frame(target, one, step, choice)));
  }
  return { frames, from: (now - range) * 1000, to: now * 1000 };
}
