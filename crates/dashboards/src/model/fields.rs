//! How the values of a panel look: units, colours, words, links, and what a kind of panel has for each field.

use serde::Serialize;

use super::{Map, words};

/// How the values of a panel look.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct FieldConfig {
    pub defaults: Defaults,
    pub overrides: Vec<Override>,
}

/// How values look where no override says otherwise.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct Defaults {
    pub unit: String,
    pub color: Color,
    pub thresholds: Thresholds,
    pub no_value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mappings: Vec<Mapping>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<DataLink>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom: Option<Custom>,
}

/// A link from a value.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct DataLink {
    pub title: &'static str,
    pub url: &'static str,
    pub target_blank: bool,
    /// The click on the value itself follows the link.
    pub one_click: bool,
}

/// A colour, or a way to choose one.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct Color {
    pub mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed_color: Option<&'static str>,
}

impl Color {
    /// Grafana's palette, a colour for each series.
    pub const PALETTE: Self = Self { mode: "palette-classic", fixed_color: None };
    /// As the thresholds have it.
    pub const THRESHOLDS: Self = Self { mode: "thresholds", fixed_color: None };

    /// This one.
    pub const fn fixed(color: &'static str) -> Self {
        Self { mode: "fixed", fixed_color: Some(color) }
    }
}

/// From which value on which colour.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct Thresholds {
    pub mode: &'static str,
    pub steps: Vec<Step>,
}

/// From this value on this colour; the first has none.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct Step {
    pub value: Option<f64>,
    pub color: &'static str,
}

/// Text for a value.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", content = "options", rename_all = "lowercase")]
#[expect(missing_docs, reason = "Grafana's own words")]
pub enum Mapping {
    Value(Map<Text>),
    Regex { pattern: &'static str, result: Text },
    Range { from: Option<f64>, to: Option<f64>, result: Text },
}

/// What is shown instead of a value.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct Text {
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<&'static str>,
    pub index: u32,
}

/// How single fields differ from the others.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct Override {
    pub matcher: Matcher,
    pub properties: Vec<Property>,
}

/// Which fields are meant.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct Matcher {
    pub id: &'static str,
    pub options: String,
}

/// What is different.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "id", content = "value", rename_all = "camelCase")]
#[expect(missing_docs, reason = "Grafana's own words")]
pub enum Property {
    Color(Color),
    Unit(String),
    Decimals(u8),
    Thresholds(Thresholds),
    Mappings(Vec<Mapping>),
    NoValue(String),
    Min(f64),
    Max(f64),
    Links(Vec<DataLink>),
    #[serde(rename = "custom.drawStyle")]
    DrawStyle(DrawStyle),
    #[serde(rename = "custom.lineInterpolation")]
    Interpolation(Interpolation),
    #[serde(rename = "custom.lineWidth")]
    LineWidth(u8),
    #[serde(rename = "custom.lineStyle")]
    LineStyle(LineStyle),
    #[serde(rename = "custom.pointSize")]
    PointSize(u8),
    #[serde(rename = "custom.showPoints")]
    ShowPoints(ShowPoints),
    #[serde(rename = "custom.fillBelowTo")]
    FillBelowTo(&'static str),
    #[serde(rename = "custom.fillOpacity")]
    FillOpacity(u8),
    #[serde(rename = "custom.hideFrom")]
    HideFrom(HideFrom),
    #[serde(rename = "custom.axisPlacement")]
    AxisPlacement(&'static str),
    #[serde(rename = "custom.cellOptions")]
    CellOptions(CellOptions),
    #[serde(rename = "custom.width")]
    Width(u32),
}

words!(
    /// How a series is drawn.
    DrawStyle {
        /// A bar for each value.
        Bars = "bars",
        /// A line through the values.
        Line = "line",
        /// A point for each value.
        Points = "points",
    }
);

words!(
    /// How a line goes from one value to the next.
    Interpolation {
        /// Straight.
        Linear = "linear",
        /// Level until the next.
        StepAfter = "stepAfter",
    }
);

words!(
    /// Whether each value of a line has a point.
    ShowPoints {
        /// It has.
        Always = "always",
        /// Where there is room.
        Auto = "auto",
        /// It has not.
        Never = "never",
    }
);

/// A line that is not drawn through.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct LineStyle {
    pub fill: &'static str,
    pub dash: [u8; 2],
}

/// Where a series does not show.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct HideFrom {
    pub legend: bool,
    pub tooltip: bool,
    pub viz: bool,
}

/// How a cell of a table is drawn.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct CellOptions {
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// What a kind of panel has of its own for each field.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct Custom {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draw_style: Option<DrawStyle>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line_interpolation: Option<Interpolation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line_width: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fill_opacity: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_points: Option<ShowPoints>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub point_size: Option<PointSize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_nulls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stacking: Option<Stacking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bar_alignment: Option<i8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bar_width_factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub axis_border_show: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub axis_label: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub axis_placement: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub align: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell_options: Option<CellOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inspect: Option<bool>,
}

/// How large points are: a number for lines, an object for one value over another.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
pub enum PointSize {
    /// In pixels.
    Pixels(u8),
    /// In pixels, as the chart of two values wants it.
    Fixed {
        /// In pixels.
        fixed: u8,
    },
}

/// Whether series stand on each other.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct Stacking {
    pub mode: &'static str,
    pub group: &'static str,
}
