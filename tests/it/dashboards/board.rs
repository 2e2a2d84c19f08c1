//! The dashboards as they lie in `dashboards/`, and what is within them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::Value;

pub(crate) struct Dashboard {
    pub(crate) stem: String,
    pub(crate) json: Value,
}

/// The dashboards, by file name; what is not JSON fails at once.
pub(crate) fn dashboards() -> Vec<Dashboard> {
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
pub(crate) fn assert_none(problems: impl Fn(&Dashboard) -> Vec<String>) {
    let dashboards = dashboards();
    let named = |d| problems(d).into_iter().map(move |problem| format!("{}.json: {problem}", d.stem));
    let found: Vec<_> = dashboards.iter().flat_map(named).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// One problem if `bad`.
pub(crate) fn problem(bad: bool, who: &str, cause: &str) -> Option<String> {
    bad.then(|| format!("{who}: {cause}"))
}

/// The values that come more than once.
pub(crate) fn repeated<T: Ord>(values: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    let mut counts = BTreeMap::new();
    values.into_iter().for_each(|value| *counts.entry(value).or_insert(0) += 1);
    counts.into_iter().filter_map(|(value, count)| (count > 1).then_some(value)).collect()
}

pub(crate) fn list<'a>(json: &'a Value, key: &str) -> &'a [Value] {
    json[key].as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn text<'a>(json: &'a Value, key: &str) -> &'a str {
    json[key].as_str().unwrap_or_default()
}

pub(crate) fn variables(dashboard: &Dashboard) -> &[Value] {
    list(&dashboard.json["templating"], "list")
}

pub(crate) fn annotations(dashboard: &Dashboard) -> &[Value] {
    list(&dashboard.json["annotations"], "list")
}

/// All panels, also those within collapsed rows.
pub(crate) fn panels(dashboard: &Dashboard) -> Vec<&Value> {
    list(&dashboard.json, "panels").iter().flat_map(|panel| [panel].into_iter().chain(list(panel, "panels"))).collect()
}

/// The panels that show something.
pub(crate) fn shown(dashboard: &Dashboard) -> Vec<&Value> {
    panels(dashboard).into_iter().filter(|panel| text(panel, "type") != "row").collect()
}

pub(crate) fn name(panel: &Value) -> String {
    format!("panel {} \"{}\"", panel["id"], text(panel, "title"))
}

/// All that asks a data source, with its name.
pub(crate) fn readers(dashboard: &Dashboard) -> Vec<(String, &Value)> {
    let queries = variables(dashboard).iter().filter(|variable| text(variable, "type") == "query");
    let variables = queries.map(|variable| (format!("variable {}", text(variable, "name")), variable));
    let marks = annotations(dashboard).iter().map(|mark| (format!("annotation {}", text(mark, "name")), mark));
    let panels = shown(dashboard).into_iter().flat_map(|panel| {
        let target = move |target| (format!("{}, target {}", name(panel), text(target, "refId")), target);
        [(name(panel), panel)].into_iter().chain(list(panel, "targets").iter().map(target))
    });
    variables.chain(marks).chain(panels).collect()
}

/// All PromQL, each with what asks it; variables ask for label values instead.
pub(crate) fn expressions(dashboard: &Dashboard) -> Vec<(String, &str)> {
    let expression = |(who, reader): (String, _)| Some((who, Value::pointer(reader, "/expr")?.as_str()?));
    readers(dashboard).into_iter().filter_map(expression).collect()
}
