//! A panel says what it shows, with a unit, thresholds and colours that Grafana knows.

use serde_json::Value;

use super::board::{assert_none, list, name, panels, problem, repeated, shown, text};

/// Panels that come with Grafana.
const PANEL_TYPES: &[&str] = &[
    "barchart",
    "bargauge",
    "gauge",
    "heatmap",
    "histogram",
    "piechart",
    "row",
    "stat",
    "state-timeline",
    "status-history",
    "table",
    "timeseries",
    "xychart",
];

/// Grafana's ids of the units that fit our metrics; others are written `suffix:unit`, times of day `time:format`.
const UNITS: &[&str] = &[
    "bytes",
    "celsius",
    "dateTimeAsIso",
    "dateTimeFromNow",
    "dtdhms",
    "dtdurations",
    "dthms",
    "h",
    "joule",
    "lengthm",
    "locale",
    "m",
    "massg",
    "none",
    "percent",
    "percentunit",
    "reqps",
    "s",
    "short",
    "velocityms",
];

/// What begins a unit that is written out.
const WRITTEN_OUT: &[&str] = &["suffix:", "time:"];

/// Grafana's colours by name: they fit the dark theme and the light one.
const HUES: &[&str] = &["blue", "green", "orange", "purple", "red", "yellow"];
const SHADES: &[&str] = &["", "dark-", "light-", "semi-dark-", "super-light-"];
const OTHER_COLORS: &[&str] = &["text", "transparent"];

#[test]
fn panels_say_what_they_show() {
    assert_none(|dashboard| {
        let rows = panels(dashboard).into_iter().filter(|panel| text(panel, "title").is_empty());
        let untitled = rows.map(|panel| format!("{}: no title", name(panel)));
        untitled.chain(shown(dashboard).into_iter().flat_map(unclear)).collect()
    });
}

fn unclear(panel: &Value) -> Vec<String> {
    let targets = list(panel, "targets");
    let references = targets.iter().map(|target| text(target, "refId"));
    let (who, kind, description) = (name(panel), text(panel, "type"), text(panel, "description").trim());
    let checks = [
        problem(description.is_empty(), &who, "no description"),
        problem(!description.contains("From "), &who, "the description does not say what it is from"),
        problem(!PANEL_TYPES.contains(&kind), &who, &format!("type {kind:?} does not come with Grafana")),
        problem(targets.is_empty(), &who, "no targets"),
        problem(targets.iter().any(|target| text(target, "expr").trim().is_empty()), &who, "a target without expr"),
        problem(references.clone().any(str::is_empty), &who, "a target without refId"),
        problem(!repeated(references).is_empty(), &who, "a refId comes twice"),
    ];
    checks.into_iter().flatten().collect()
}

#[test]
fn units_are_grafanas() {
    let written_out = |unit: &str| {
        let rest = WRITTEN_OUT.iter().find_map(|begin| unit.strip_prefix(begin));
        rest.is_some_and(|rest| !rest.is_empty() && rest.trim() == rest) // Grafana puts a blank before a suffix itself
    };
    let fits = |unit: &str| UNITS.contains(&unit) || written_out(unit);
    assert_none(|dashboard| {
        let unfit = |panel| units(panel).into_iter().filter(|unit| !fits(unit)).map(move |unit| (panel, unit));
        let told = |(panel, unit)| format!("{}: unknown unit {unit:?}", name(panel));
        shown(dashboard).into_iter().flat_map(unfit).map(told).collect()
    });
}

/// The units of a panel: the usual one, which it must have, and those of single fields.
fn units(panel: &Value) -> Vec<&str> {
    let config = &panel["fieldConfig"];
    let single = properties(panel).filter(|property| text(property, "id") == "unit");
    [text(&config["defaults"], "unit")].into_iter().chain(single.map(|property| text(property, "value"))).collect()
}

/// The properties of single fields.
fn properties(panel: &Value) -> impl Iterator<Item = &Value> {
    list(&panel["fieldConfig"], "overrides").iter().flat_map(|field| list(field, "properties"))
}

/// The thresholds of a panel and of its single fields.
fn thresholds(panel: &Value) -> Vec<&Value> {
    let single = properties(panel).filter(|property| text(property, "id") == "thresholds");
    let usual = &panel["fieldConfig"]["defaults"]["thresholds"];
    [usual].into_iter().chain(single.map(|property| &property["value"])).collect()
}

#[test]
fn thresholds_have_a_floor_and_rise() {
    let values = |thresholds: &Value| list(thresholds, "steps").iter().map(|s| s["value"].clone()).collect::<Vec<_>>();
    assert_none(|dashboard| {
        let unfit = |panel: &&Value| {
            let unfit = |values: &[Value]| {
                let rising = values.iter().skip(1).map(Value::as_f64).is_sorted();
                values.first() != Some(&Value::Null) || values.iter().skip(1).any(Value::is_null) || !rising
            };
            thresholds(panel).into_iter().any(|thresholds| unfit(&values(thresholds)))
        };
        let told = |panel| format!("{}: the first threshold's value is not null, or they do not rise", name(panel));
        shown(dashboard).into_iter().filter(unfit).map(told).collect()
    });
}

#[test]
fn colors_have_names() {
    let is_color = |color: &str| {
        let hue = |hue: &str| SHADES.iter().any(|shade| color.strip_prefix(shade) == Some(hue));
        OTHER_COLORS.contains(&color) || HUES.iter().any(|name| hue(name))
    };
    assert_none(|dashboard| {
        let mut found = vec![];
        colors(&dashboard.json, &mut found);
        let unnamed = found.into_iter().filter(|color| !is_color(color));
        unnamed.map(|color| format!("color {color:?}: fits one theme at best, take one by name")).collect()
    });
}

/// All colours below `json`.
fn colors<'a>(json: &'a Value, found: &mut Vec<&'a str>) {
    match json {
        Value::Array(items) => items.iter().for_each(|item| colors(item, found)),
        Value::Object(fields) => {
            let named = ["color", "fixedColor", "iconColor"].iter().filter_map(|key| fields.get(*key)?.as_str());
            found.extend(named);
            fields.values().for_each(|field| colors(field, found));
        }
        _ => {}
    }
}
