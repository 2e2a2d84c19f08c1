/** What Grafana's published types say of a dashboard's JSON, as strictly as they can be read. */

import type * as grafana from "@grafana/schema";
import type * as raw from "@grafana/schema/dist/esm/raw/dashboard/x/Dashboard_types.gen";
import type * as bargauge from "@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen";
import type * as gauge from "@grafana/schema/dist/esm/raw/composable/gauge/panelcfg/x/GaugePanelCfg_types.gen";
import type * as stat from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type * as statetimeline from "@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen";
import type * as statushistory from "@grafana/schema/dist/esm/raw/composable/statushistory/panelcfg/x/StatusHistoryPanelCfg_types.gen";
import type * as table from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type * as xychart from "@grafana/schema/dist/esm/raw/composable/xychart/panelcfg/x/XYChartPanelCfg_types.gen";
import type * as timeseries from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

/** JSON has the values of enums where the types have their names. */
type Json<T> = T extends string
  ? `${T}`
  : T extends (infer Item)[]
    ? Json<Item>[]
    : T extends object
      ? { [Key in keyof T]: Json<T[Key]> }
      : T;

/** A kind of panel: its options, and its options for a field. */
interface Kind<Options, Custom> {
  options: Options;
  custom: Custom;
}

/** The kinds of panels that the dashboards may use; a new one is added here. */
interface Kinds {
  bargauge: Kind<bargauge.Options, never>;
  gauge: Kind<gauge.Options, never>;
  stat: Kind<stat.Options, never>;
  "state-timeline": Kind<statetimeline.Options, statetimeline.FieldConfig>;
  "status-history": Kind<statushistory.Options, statushistory.FieldConfig>;
  table: Kind<table.Options, table.FieldConfig>;
  timeseries: Kind<timeseries.Options, timeseries.FieldConfig>;
  xychart: Kind<xychart.Options, xychart.FieldConfig>;
}

type Field<Custom> = Omit<raw.FieldConfig, "custom"> & { custom?: Partial<Custom> };

/** A property of an override: its id and a value of the property's own type. */
type Property<Custom> =
  | { [Key in keyof raw.FieldConfig & string]: { id: Key; value: raw.FieldConfig[Key] } }[keyof raw.FieldConfig & string]
  | { [Key in keyof Custom & string]: { id: `custom.${Key}`; value: Custom[Key] } }[keyof Custom & string];

interface Fields<Custom> {
  defaults: Field<Custom>;
  overrides: { matcher: raw.MatcherConfig; properties: Property<Custom>[] }[];
}

/** A query to Prometheus; its types are not published with the others. */
interface Target {
  refId: string;
  datasource: raw.DataSourceRef;
  expr: string;
  legendFormat?: string;
  editorMode?: "code" | "builder";
  format?: "time_series" | "table" | "heatmap";
  instant: boolean;
  range: boolean;
  interval?: string;
}

type Shown<K extends keyof Kinds> = Omit<raw.Panel, "type" | "options" | "fieldConfig" | "targets"> & {
  type: K;
  options: Partial<Kinds[K]["options"]>;
  fieldConfig: Fields<Kinds[K]["custom"]>;
  targets: Target[];
};

/** Events out of a Prometheus query. */
type Annotation = raw.AnnotationQuery & {
  expr: string;
  step: string;
  titleFormat: string;
  textFormat: string;
  tagKeys: string;
  useValueForTime: boolean;
};

type Variable = raw.VariableModel & { definition?: string };

/** A panel of the kind K. */
export type Panel<K extends keyof Kinds> = Json<Shown<K>>;

/** A row. */
export type Row = Json<raw.RowPanel>;

/** A dashboard without its panels. */
export type Board = Json<
  Omit<grafana.Dashboard, "panels" | "annotations" | "templating"> & {
    /** What the import checks: Grafana writes it when it exports, and its types leave it out. */
    __requires: { type: "grafana" | "panel" | "datasource"; id: string; name: string; version: string }[];
    annotations: { list: Annotation[] };
    templating: { list: Variable[] };
  }
>;
