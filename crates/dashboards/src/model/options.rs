//! What each kind of panel has of its own.

use serde::Serialize;

use super::Matcher;

/// What a kind of panel has of its own.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct Options {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legend: Option<Legend>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tooltip: Option<Tooltip>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reduce_options: Option<Reduce>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orientation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color_mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graph_mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub justify_mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<TextSizes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wide_layout: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_unfilled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_value: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row_height: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub col_width: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merge_values: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub align_value: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_header: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell_height: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort_by: Option<Vec<SortBy>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mapping: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<Vec<XySeries>>,
}

/// Which of a series' values is shown.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct Reduce {
    pub calcs: Vec<&'static str>,
    pub fields: &'static str,
    pub values: bool,
}

/// How large names and values are, in pixels; else each is as large as there is room.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct TextSizes {
    pub title_size: u8,
    pub value_size: u8,
}

/// The legend of a panel.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct Legend {
    pub display_mode: &'static str,
    pub placement: &'static str,
    pub show_legend: bool,
    pub calcs: Vec<&'static str>,
}

/// What is told where the pointer stands.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct Tooltip {
    pub mode: &'static str,
    pub sort: &'static str,
}

/// By what a table is sorted at first.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct SortBy {
    pub display_name: &'static str,
    pub desc: bool,
}

/// Points of one field over another.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct XySeries {
    pub x: FieldOf,
    pub y: FieldOf,
}

/// A field by its name.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "Grafana's own words")]
pub struct FieldOf {
    pub matcher: Matcher,
}
