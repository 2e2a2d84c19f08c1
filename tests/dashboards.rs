//! Every dashboard can be imported, shows what the exporter has, and says what each panel means.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use oura_exporter::{catalogue, status::OWN};
use serde_json::Value;

/// What every panel, target and query variable names as its data source.
const DATASOURCE: &str = "${datasource}";
const SCHEMA_VERSION: u64 = 42;
const GRID_WIDTH: u64 = 24;

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
];

/// Grafana's ids of the units that fit our metrics; others are written `suffix:unit`.
const UNITS: &[&str] = &[
    "bytes",
    "celsius",
    "dateTimeAsIso",
    "dateTimeFromNow",
    "dtdhms",
    "dtdurations",
    "dthms",
    "joule",
    "lengthm",
    "massg",
    "none",
    "percent",
    "percentunit",
    "reqps",
    "s",
    "short",
    "velocityms",
];

/// What Prometheus makes of the exporter's own metrics: a histogram is several.
fn own_names() -> impl Iterator<Item = String> {
    let parts = ["", "_bucket", "_count", "_sum"];
    OWN.iter().flat_map(move |own| parts.map(|part| format!("{}{part}", own.name)))
}

struct Dashboard {
    stem: String,
    json: Value,
}

/// The dashboards, by file name; what is not JSON fails at once.
fn dashboards() -> Vec<Dashboard> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("dashboards: {error}"));
    let paths: BTreeSet<_> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    let found: Vec<_> = paths.iter().filter(|path| path.extension().is_some_and(|e| e == "json")).map(read).collect();
    assert!(!found.is_empty(), "dashboards: no *.json there");
    found
}

fn read(path: impl AsRef<Path>) -> Dashboard {
    let stem = path.as_ref().file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{stem}.json: {error}"));
    let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{stem}.json: not JSON: {error}"));
    Dashboard { stem, json }
}

/// Fails with everything that `problems` finds, each with its file.
fn assert_none(problems: impl Fn(&Dashboard) -> Vec<String>) {
    let dashboards = dashboards();
    let named = |d| problems(d).into_iter().map(move |problem| format!("{}.json: {problem}", d.stem));
    let found: Vec<_> = dashboards.iter().flat_map(named).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

fn list<'a>(json: &'a Value, key: &str) -> &'a [Value] {
    json[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(json: &'a Value, key: &str) -> &'a str {
    json[key].as_str().unwrap_or_default()
}

fn variables(dashboard: &Dashboard) -> &[Value] {
    list(&dashboard.json["templating"], "list")
}

fn annotations(dashboard: &Dashboard) -> &[Value] {
    list(&dashboard.json["annotations"], "list")
}

/// All panels, also those within collapsed rows.
fn panels(dashboard: &Dashboard) -> Vec<&Value> {
    list(&dashboard.json, "panels").iter().flat_map(|panel| [panel].into_iter().chain(list(panel, "panels"))).collect()
}

/// The panels that show something.
fn shown(dashboard: &Dashboard) -> Vec<&Value> {
    panels(dashboard).into_iter().filter(|panel| text(panel, "type") != "row").collect()
}

fn name(panel: &Value) -> String {
    format!("panel {} \"{}\"", panel["id"], text(panel, "title"))
}

/// One problem if `bad`.
fn problem(bad: bool, who: &str, cause: &str) -> Option<String> {
    bad.then(|| format!("{who}: {cause}"))
}

/// The values that come more than once.
fn repeated<T: Ord>(values: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    let mut counts = BTreeMap::new();
    values.into_iter().for_each(|value| *counts.entry(value).or_insert(0) += 1);
    counts.into_iter().filter_map(|(value, count)| (count > 1).then_some(value)).collect()
}

#[test]
fn can_be_provisioned_as_it_is() {
    assert_none(|dashboard| {
        let json = &dashboard.json;
        let checks = [
            problem(text(json, "uid") != dashboard.stem, "uid", "is not the file's name"),
            problem(!json["id"].is_null(), "id", "belongs to one Grafana, leave it out"),
            problem(json["schemaVersion"] != SCHEMA_VERSION, "schemaVersion", "is not 42"),
            problem(text(json, "title").is_empty(), "title", "is empty"),
            problem(!json["__inputs"].is_null(), "__inputs", "are not resolved when provisioned"),
            problem(panels(dashboard).is_empty(), "panels", "there are none"),
        ];
        checks.into_iter().flatten().collect()
    });
}

#[test]
fn reads_from_the_data_source_that_the_reader_chose() {
    assert_none(|dashboard| {
        let is_choice = |variable: &&Value| text(variable, "type") == "datasource";
        let choices: Vec<_> = variables(dashboard).iter().filter(is_choice).map(|v| text(v, "name")).collect();
        let one = problem(choices != ["datasource"], "variables", "need one of type datasource, named datasource");
        one.into_iter().chain(readers(dashboard).into_iter().filter_map(elsewhere)).collect()
    });
}

/// All that asks a data source, with its name.
fn readers(dashboard: &Dashboard) -> Vec<(String, &Value)> {
    let queries = variables(dashboard).iter().filter(|variable| text(variable, "type") == "query");
    let variables = queries.map(|variable| (format!("variable {}", text(variable, "name")), variable));
    let marks = annotations(dashboard).iter().map(|mark| (format!("annotation {}", text(mark, "name")), mark));
    let panels = shown(dashboard).into_iter().flat_map(|panel| {
        let target = move |target| (format!("{}, target {}", name(panel), text(target, "refId")), target);
        [(name(panel), panel)].into_iter().chain(list(panel, "targets").iter().map(target))
    });
    variables.chain(marks).chain(panels).collect()
}

fn elsewhere((who, reader): (String, &Value)) -> Option<String> {
    let source = &reader["datasource"];
    problem(text(source, "uid") != DATASOURCE, &who, &format!("reads from {source}, not from {DATASOURCE}"))
}

#[test]
fn panels_have_an_id_of_their_own() {
    assert_none(|dashboard| {
        let ids = panels(dashboard).into_iter().map(|panel| panel["id"].as_u64());
        let twice = repeated(ids);
        let unfit = |panel: &&Value| panel["id"].as_u64().is_none_or(|id| id == 0 || twice.contains(&Some(id)));
        let told = |panel| format!("{}: the id is missing or used twice", name(panel));
        panels(dashboard).into_iter().filter(unfit).map(told).collect()
    });
}

#[test]
fn panels_lie_side_by_side() {
    assert_none(|dashboard| {
        let board = list(&dashboard.json, "panels");
        let rows = board.iter().map(|panel| list(panel, "panels"));
        [board].into_iter().chain(rows).flat_map(misplaced).collect()
    });
}

/// What lies outside the grid or on another of these panels.
fn misplaced(panels: &[Value]) -> Vec<String> {
    let outside = panels.iter().filter(|panel| place(panel).is_none());
    let outside = outside.map(|panel| format!("{}: no gridPos within {GRID_WIDTH} columns", name(panel)));
    let pairs = panels.iter().enumerate().flat_map(|(i, a)| panels[i + 1..].iter().map(move |b| (a, b)));
    let overlaps = pairs.filter(|(a, b)| place(a).zip(place(b)).is_some_and(|(a, b)| a.overlaps(&b)));
    outside.chain(overlaps.map(|(a, b)| format!("{}: overlaps {}", name(a), name(b)))).collect()
}

struct Place {
    x: u64,
    y: u64,
    w: u64,
    h: u64,
}

impl Place {
    fn overlaps(&self, other: &Self) -> bool {
        self.x < other.x + other.w
            && other.x < self.x + self.w
            && self.y < other.y + other.h
            && other.y < self.y + self.h
    }
}

fn place(panel: &Value) -> Option<Place> {
    let side = |key: &str| panel["gridPos"][key].as_u64();
    let place = Place { x: side("x")?, y: side("y")?, w: side("w")?, h: side("h")? };
    (place.w > 0 && place.h > 0 && place.x + place.w <= GRID_WIDTH).then_some(place)
}

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
    let (who, kind) = (name(panel), text(panel, "type"));
    let checks = [
        problem(text(panel, "description").trim().is_empty(), &who, "no description"),
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
    let fits = |unit: &str| UNITS.contains(&unit) || unit.strip_prefix("suffix:").is_some_and(|s| !s.trim().is_empty());
    assert_none(|dashboard| {
        let unfit = |panel| units(panel).into_iter().filter(|unit| !fits(unit)).map(move |unit| (panel, unit));
        let told = |(panel, unit)| format!("{}: unknown unit {unit:?}", name(panel));
        shown(dashboard).into_iter().flat_map(unfit).map(told).collect()
    });
}

/// The units of a panel: the usual one, which it must have, and those of single fields.
fn units(panel: &Value) -> Vec<&str> {
    let config = &panel["fieldConfig"];
    let properties = list(config, "overrides").iter().flat_map(|field| list(field, "properties"));
    let single = properties.filter(|property| text(property, "id") == "unit").map(|property| text(property, "value"));
    [text(&config["defaults"], "unit")].into_iter().chain(single).collect()
}

#[test]
fn thresholds_have_a_floor() {
    assert_none(|dashboard| {
        let floorless = |panel: &&Value| {
            let lowest = panel["fieldConfig"]["defaults"]["thresholds"]["steps"].get(0);
            lowest.is_some_and(|step| step.get("value") != Some(&Value::Null))
        };
        let told = |panel| format!("{}: the first threshold's value is not null", name(panel));
        shown(dashboard).into_iter().filter(floorless).map(told).collect()
    });
}

#[test]
fn every_metric_is_in_the_catalogue() {
    let of_the_board = catalogue::of_the_board();
    let known: BTreeSet<_> = of_the_board.iter().map(|e| e.definition.name.to_owned()).chain(own_names()).collect();
    assert_none(|dashboard| {
        let queries = queries(dashboard);
        let named = queries.iter().flat_map(|(who, query)| metrics(query).into_iter().map(move |m| (who, m)));
        let unknown = named.filter(|(_, metric)| !known.contains(metric));
        unknown.map(|(who, metric)| format!("{who}: the exporter has no {metric}")).collect()
    });
}

/// All queries, each with what asks it.
fn queries(dashboard: &Dashboard) -> Vec<(String, &str)> {
    let found = |(who, reader): (String, _)| {
        let places = ["/expr", "/query", "/query/query", "/definition"];
        places.into_iter().filter_map(move |at| Some((who.clone(), Value::pointer(reader, at)?.as_str()?)))
    };
    readers(dashboard).into_iter().flat_map(found).collect()
}

/// The names in a query that begin as ours do, outside of quotes.
fn metrics(query: &str) -> BTreeSet<String> {
    let unquoted: String = query.replace("\\\"", "").split('"').step_by(2).collect::<Vec<_>>().join(" ");
    let words = unquoted.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    words.filter(|word| word.starts_with("oura_")).map(str::to_owned).collect()
}
