//! The dashboards are one set: they lead to each other, take the same variables and mark the same events.

use std::collections::BTreeSet;

use serde_json::Value;

use super::board::{Dashboard, annotations, assert_none, dashboards, list, panels, problem, text, variables};

/// The tag by which they find each other.
const TAG: &str = "oura";

const UIDS: &[&str] = &["oura-activity", "oura-exporter", "oura-recovery", "oura-sleep", "oura-today"];

/// The one about the exporter, where all wearers are side by side.
const ALL_WEARERS: &str = "oura-exporter";

/// What is marked on all of them.
const EVENTS: &[&str] = &["Workouts", "Tags", "Rest mode"];

#[test]
fn all_are_there() {
    let found: Vec<_> = dashboards().into_iter().map(|dashboard| dashboard.stem).collect();
    assert_eq!(found, UIDS);
}

#[test]
fn titles_differ() {
    let dashboards = dashboards();
    let titles: BTreeSet<_> = dashboards.iter().map(|dashboard| text(&dashboard.json, "title")).collect();
    assert_eq!(titles.len(), dashboards.len(), "{titles:?}");
}

#[test]
fn each_leads_to_the_others() {
    assert_none(|dashboard| {
        let json = &dashboard.json;
        let tagged = |json: &Value| list(json, "tags").iter().any(|tag| tag == TAG);
        let leads = |link: &Value| {
            let keeps = link["keepTime"] == true && link["includeVars"] == true;
            text(link, "type") == "dashboards" && tagged(link) && keeps
        };
        let checks = [
            problem(!tagged(json), "tags", "lack oura: the others do not find it"),
            problem(!list(json, "links").iter().any(leads), "links", "none by tag oura that keeps time and variables"),
        ];
        checks.into_iter().flatten().collect()
    });
}

#[test]
fn the_reader_chooses_the_wearers() {
    assert_none(|dashboard| {
        let Some(account) = variables(dashboard).iter().find(|variable| text(variable, "name") == "account") else {
            return vec!["variables: no account".into()];
        };
        let query = text(&account["query"], "query");
        let (begins, ends) = (query.starts_with("label_values("), query.ends_with(", account)"));
        let checks = [
            problem(account["multi"] != true, "variable account", "not multi"),
            problem(account["includeAll"] != true, "variable account", "no All"),
            problem(text(account, "allValue") != ".+", "variable account", "All is not .+"),
            problem(account["refresh"] != 2, "variable account", "is not read anew when the time range changes"),
            problem(!(begins && ends), "variable account", "not the values of the label account"),
            problem(!query.contains("oura_(up|") && !query.contains("oura_up"), "variable account", "not from oura_up"),
        ];
        checks.into_iter().flatten().collect()
    });
}

#[test]
fn each_wearer_has_rows_of_their_own() {
    assert_none(|dashboard| {
        let rows = panels(dashboard).into_iter().filter(|panel| text(panel, "type") == "row");
        let (told, wanted) = if dashboard.stem == ALL_WEARERS {
            ("repeated, but here all wearers are side by side", "")
        } else {
            ("not repeated by account", "account")
        };
        let unfit = rows.filter(|row| text(row, "repeat") != wanted);
        unfit.map(|row| format!("row {:?}: {told}", text(row, "title"))).collect()
    });
}

#[test]
fn workouts_tags_and_rest_mode_are_marked() {
    assert_none(|dashboard| {
        let lacks = |event: &&&str| annotations(dashboard).iter().all(|mark| text(mark, "name") != **event);
        let lacking = EVENTS.iter().filter(lacks).map(|event| format!("annotations: no {event}"));
        lacking.chain(annotations(dashboard).iter().filter_map(unmarked)).collect()
    });
}

fn unmarked(mark: &Value) -> Option<String> {
    let who = format!("annotation {}", text(mark, "name"));
    let says = !text(mark, "expr").is_empty() && !text(mark, "titleFormat").is_empty();
    problem(mark["enable"] != true || !says, &who, "is off, or has no expr or titleFormat")
}

/// The name of a dashboard and its titles, for what refers to them.
pub(crate) fn titles(dashboard: &Dashboard) -> BTreeSet<&str> {
    panels(dashboard).into_iter().map(|panel| text(panel, "title")).collect()
}
