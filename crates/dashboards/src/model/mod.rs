//! What Grafana reads of a dashboard, as far as the boards use it.

mod fields;
mod options;

use serde::Serialize;

pub use self::{
    fields::{
        CellOptions, Color, Custom, DataLink, Defaults, DrawStyle, FieldConfig, HideFrom, Interpolation, LineStyle,
        Mapping, Matcher, Override, PointSize, Property, ShowPoints, Stacking, Step, Text, Thresholds,
    },
    options::{FieldOf, Legend, Options, Reduce, SortBy, TextSizes, Tooltip, XySeries},
};
use crate::meaning::Meaning;

/// Names Grafana's choices by their own words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        pub enum $name { $($(#[$each])* #[serde(rename = $word)] $variant),* }
    };
}
pub(crate) use words;

words!(
    /// The panels that come with Grafana.
    PanelKind {
        /// Bars with a number each.
        BarGauge = "bargauge",
        /// Numbers.
        Stat = "stat",
        /// States one after the other, a row each.
        StateTimeline = "state-timeline",
        /// A grid of cells.
        StatusHistory = "status-history",
        /// A table.
        Table = "table",
        /// Lines, bars and points over time.
        TimeSeries = "timeseries",
        /// Points of one value over another.
        XyChart = "xychart",
        /// A heading under which panels lie.
        Row = "row",
    }
);

/// A dashboard.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dashboard {
    /// What it needs of a Grafana, which says so when it is imported.
    #[serde(rename = "__requires")]
    pub requires: Vec<Requirement>,
    /// Its address, and the name of its file.
    pub uid: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// By which the boards find each other.
    pub tags: Vec<&'static str>,
    /// The version of the format.
    pub schema_version: u32,
    /// Of the dashboard; Grafana counts on from it.
    pub version: u32,
    /// Whether it may be changed in place.
    pub editable: bool,
    /// 1: the cross hair is shared by all panels.
    pub graph_tooltip: u8,
    /// In whose time it is drawn: `utc`, or `browser`.
    pub timezone: &'static str,
    /// The reader's own.
    pub week_start: &'static str,
    /// January.
    pub fiscal_year_start_month: u8,
    /// What it opens on.
    pub time: TimeRange,
    /// How often it asks again.
    pub refresh: &'static str,
    /// Grafana's own.
    pub timepicker: Empty,
    /// Links on top of it.
    pub links: Vec<Link>,
    /// What is marked on all of its panels.
    pub annotations: List<Annotation>,
    /// What the reader chooses on top of it.
    pub templating: List<Variable>,
    /// Its panels, from top to bottom.
    pub panels: Vec<Panel>,
}

/// An object without fields.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Empty {}

/// Grafana's lists within an object.
#[derive(Clone, Debug, Serialize)]
pub struct List<T> {
    /// What is in it.
    pub list: Vec<T>,
}

/// A span of time.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TimeRange {
    /// Such as `now-30d`.
    pub from: &'static str,
    /// Such as `now`.
    pub to: &'static str,
}

/// A part of Grafana that a dashboard needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Requirement {
    /// `grafana`, `panel` or `datasource`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The oldest version that will do; empty: any.
    pub version: &'static str,
}

/// The data source that the reader chose.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DataSource {
    #[serde(rename = "type")]
    kind: &'static str,
    uid: &'static str,
}

impl DataSource {
    /// The one that the variable `datasource` names.
    pub const CHOSEN: Self = Self { kind: "prometheus", uid: "${datasource}" };
}

/// A link on top of a dashboard to those with its tags.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct Link {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub title: &'static str,
    pub tags: Vec<&'static str>,
    pub as_dropdown: bool,
    pub include_vars: bool,
    pub keep_time: bool,
    pub target_blank: bool,
    pub icon: &'static str,
    pub tooltip: &'static str,
    pub url: &'static str,
}

/// Events that are marked on all panels.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct Annotation {
    pub name: &'static str,
    pub datasource: DataSource,
    pub enable: bool,
    pub hide: bool,
    pub icon_color: &'static str,
    pub expr: String,
    pub step: &'static str,
    pub title_format: &'static str,
    pub text_format: &'static str,
    pub tag_keys: &'static str,
    pub use_value_for_time: bool,
}

/// What the reader chooses on top of a dashboard.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct Variable {
    pub name: &'static str,
    pub label: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'static str>,
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datasource: Option<DataSource>,
    pub query: Query,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<&'static str>,
    pub multi: bool,
    pub include_all: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_value: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<Choice>,
    pub options: Vec<Choice>,
    pub hide: u8,
    pub skip_url_sync: bool,
}

/// What a variable asks for, or offers.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Query {
    /// Text, as custom variables and data sources have it.
    Text(String),
    /// A query to the data source.
    #[serde(rename_all = "camelCase")]
    Asked {
        /// Such as `label_values(metric, label)`.
        query: String,
        /// Any name.
        ref_id: &'static str,
    },
}

/// A value that a variable may have.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct Choice {
    pub selected: bool,
    pub text: OneOrMany,
    pub value: OneOrMany,
}

/// A word, or several where more than one may be chosen.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<&'static str>),
}

/// A panel, or the heading of a row.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct Panel {
    pub id: u32,
    #[serde(rename = "type")]
    pub kind: PanelKind,
    pub title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datasource: Option<DataSource>,
    pub grid_pos: GridPos,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collapsed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub panels: Option<Vec<Panel>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_from: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_data_points: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<Vec<Target>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transformations: Vec<Transformation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_config: Option<FieldConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Options>,
}

/// Where a panel lies, of 24 columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct GridPos {
    pub x: u32,
    pub y: u32,
    pub w: u32,
    pub h: u32,
}

words!(
    /// The shape of an answer.
    Format {
        /// Series over time.
        TimeSeries = "time_series",
        /// A table with a column for each label.
        Table = "table",
    }
);

/// A query of a panel, and what it means.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct Target {
    pub ref_id: String,
    pub datasource: DataSource,
    pub expr: String,
    pub legend_format: String,
    pub editor_mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    pub instant: bool,
    pub range: bool,
    /// What each cell must show; not for Grafana.
    #[serde(skip)]
    pub meaning: Meaning,
}

/// What is done with the answers before they are drawn.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "id", content = "options", rename_all = "camelCase")]
#[expect(missing_docs, reason = "Grafana's own words")]
pub enum Transformation {
    JoinByField {
        #[serde(rename = "byField")]
        by_field: &'static str,
        mode: &'static str,
    },
    Organize {
        #[serde(rename = "excludeByName")]
        exclude_by_name: Map<bool>,
        #[serde(rename = "indexByName")]
        index_by_name: Map<u32>,
        #[serde(rename = "renameByName")]
        rename_by_name: Map<String>,
    },
    Merge {},
    SortBy {
        sort: Vec<Sort>,
    },
}

/// By name; in the order of the names, so that the file does not change by itself.
pub type Map<T> = std::collections::BTreeMap<String, T>;

/// The order of a table.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct Sort {
    pub field: &'static str,
    pub desc: bool,
}
