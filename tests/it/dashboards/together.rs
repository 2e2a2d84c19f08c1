//! The dashboards are one set: they lead to each other, take the same variables and mark the same events.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::board::{Dashboard, annotations, assert_none, dashboards, list, panels, problem, shown, text, variables};

/// The tag by which they find each other.
const TAG: &str = "oura";

const UIDS: &[&str] =
    &["oura-activity", "oura-effects", "oura-events", "oura-exporter", "oura-recovery", "oura-sleep", "oura-today"];

/// Those where all wearers are side by side.
const ALL_WEARERS: &[&str] = &["oura-events", "oura-exporter"];
/// Those that show one wearer at a time.
const ONE_WEARER: &[&str] = &["oura-effects", "oura-today"];

/// What is marked on all of them.
const EVENTS: &[&str] = &["Workouts", "Tags", "Rest mode", "Alerts"];

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
        let several = !ONE_WEARER.contains(&dashboard.stem.as_str());
        let all = if several { ".+" } else { "" };
        let (begins, ends) = (query.starts_with("label_values("), query.ends_with(", account)"));
        let checks = [
            problem(
                account["multi"] != several,
                "variable account",
                "several wearers where there is room for one, or one",
            ),
            problem(account["includeAll"] != several, "variable account", "All where there is room for one, or no All"),
            problem(text(account, "allValue") != all, "variable account", "All is not .+"),
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
        let stem = dashboard.stem.as_str();
        let (told, wanted) = if ALL_WEARERS.contains(&stem) || ONE_WEARER.contains(&stem) {
            ("repeated, but here is one wearer, or all are side by side", "")
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

/// How far from Greenwich people live, in hours.
const ZONES: std::ops::RangeInclusive<i64> = -11..=14;
/// When a night may begin on the evening before its day, and end on it, in hours from the wearer's midnight.
const NIGHT: (i64, i64) = (-3, 10);

#[test]
fn a_click_on_a_day_opens_its_night() {
    assert_none(|dashboard| {
        let of_days = |panel: &&Value| {
            let drawn = ["timeseries", "state-timeline"].contains(&text(panel, "type"));
            dashboard.json["timezone"] == "utc" && drawn && text(panel, "interval") == "1d"
        };
        let leads = |panel: &Value| {
            let links = list(&panel["fieldConfig"]["defaults"], "links").iter().map(|link| text(link, "url"));
            let mut windows = links.filter_map(|url| {
                let rest = url.strip_prefix("/d/oura-today?time=${__value.time}&time.window=")?;
                let (window, rest) = rest.split_once('&')?;
                rest.contains("var-account=${__field.labels.account}").then(|| window.parse::<i64>().ok())?
            });
            // Half of the window lies before the 00:00 UTC at which the day is drawn, and half after it.
            let holds = |window: i64, zone: i64| {
                let half = window / 2 / 3_600_000;
                -half <= NIGHT.0 - zone && NIGHT.1 - zone <= half
            };
            windows.any(|window| ZONES.into_iter().all(|zone| holds(window, zone)))
        };
        let shown = shown(dashboard);
        let unfit = shown.into_iter().filter(of_days).filter(|panel| !leads(panel));
        unfit.map(|panel| format!("{:?}: no link to the night of the day", text(panel, "title"))).collect()
    });
}

/// What a panel asks, without what it is called.
fn asked(panel: &Value) -> Vec<&str> {
    list(panel, "targets").iter().map(|target| text(target, "expr")).collect()
}

#[test]
fn no_panel_is_on_two_boards() {
    let dashboards = dashboards();
    let mut boards = BTreeMap::<_, BTreeSet<_>>::new();
    for board in &dashboards {
        for panel in shown(board) {
            boards.entry(asked(panel)).or_default().insert((&board.stem, text(panel, "title")));
        }
    }
    let on_two = |of: &&BTreeSet<(&String, &str)>| of.iter().map(|(stem, _)| stem).collect::<BTreeSet<_>>().len() > 1;
    let found: Vec<_> = boards.values().filter(on_two).collect();
    assert!(found.is_empty(), "asked twice: {found:?}");
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
