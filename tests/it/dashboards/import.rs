//! A dashboard can be imported and provisioned as it is, and reads from the data source that the reader chose.

use serde_json::Value;

use super::board::{assert_none, list, panels, problem, readers, shown, text, variables};

/// What every panel, target, annotation and query variable names as its data source.
const DATASOURCE: &str = "${datasource}";
const SCHEMA_VERSION: u64 = 42;

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

fn elsewhere((who, reader): (String, &Value)) -> Option<String> {
    let source = &reader["datasource"];
    problem(text(source, "uid") != DATASOURCE, &who, &format!("reads from {source}, not from {DATASOURCE}"))
}

#[test]
fn says_what_it_needs_of_a_grafana() {
    assert_none(|dashboard| {
        let needs = |kind: &str, id: &str| {
            list(&dashboard.json, "__requires").iter().any(|need| need["type"] == kind && need["id"] == id)
        };
        let kinds = shown(dashboard).into_iter().map(|panel| ("panel", text(panel, "type")));
        let all = [("grafana", "grafana"), ("datasource", "prometheus")].into_iter().chain(kinds);
        let missing = all.filter(|(kind, id)| !needs(kind, id));
        missing.map(|(kind, id)| format!("__requires: no {kind} {id}, so an import does not miss it")).collect()
    });
}
