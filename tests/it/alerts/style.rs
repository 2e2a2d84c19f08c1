//! Each rule is written as agreed: names, labels, levels, texts, links, and metrics that somebody makes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use super::{alerts, groups, rules, test_files, text};
use crate::common::servers::{file, yaml};
use oura_exporter::{auth::TOKEN_STORE, catalogue, remote_write::LIVE, status::OWN, webhooks::WEBHOOKS};
use serde_json::Value;

const SEVERITIES: [&str; 3] = ["critical", "warning", "info"];
const BOARDS: [&str; 5] = ["oura-today", "oura-sleep", "oura-recovery", "oura-activity", "oura-exporter"];
const LONGEST_NAME: usize = 40;
const MOST_RULES: usize = 20;

/// Whether it speaks of a wearer's day.
fn is_of_a_day(alert: &Value) -> bool {
    text(alert, "expr").contains(":held")
}

/// Fails with everything that `problems` finds, each with its alert.
fn assert_none(problems: impl Fn(&Value) -> Vec<String>) {
    let alerts = alerts();
    assert!(!alerts.is_empty(), "no alerts");
    let named = |alert| problems(alert).into_iter().map(move |problem| format!("{}: {problem}", text(alert, "alert")));
    let found: Vec<_> = alerts.iter().flat_map(named).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// The messages whose check fails.
fn failing<const N: usize>(checks: [(bool, &str); N]) -> Vec<String> {
    checks.into_iter().filter(|(is_good, _)| !is_good).map(|(_, message)| message.to_owned()).collect()
}

#[test]
fn every_alert_has_tests_in_which_it_fires_and_is_silent() {
    let list = |json: &Value, key: &str| json[key].as_array().cloned().unwrap_or_default();
    let files = test_files().into_iter().map(|stem| yaml(&format!("alerts/{stem}.test.yml")));
    let tests = files.flat_map(|file| list(&file, "tests"));
    let (mut fires, mut is_silent) = (BTreeMap::<_, usize>::new(), BTreeMap::<_, usize>::new());
    for case in tests.flat_map(|test| list(&test, "alert_rule_test")) {
        let counts = if list(&case, "exp_alerts").is_empty() { &mut is_silent } else { &mut fires };
        *counts.entry(text(&case, "alertname").to_owned()).or_default() += 1;
    }
    assert_none(|alert| {
        let name = text(alert, "alert");
        failing([
            (fires.contains_key(name), "no test in which it fires"),
            (is_silent.get(name).is_some_and(|count| *count >= 2), "not silent in a test before and after"),
        ])
    });
}

#[test]
fn names_groups_and_labels_are_as_agreed() {
    for group in groups() {
        assert!(group["rules"].as_array().is_some_and(|rules| rules.len() <= MOST_RULES), "{}", group["name"]);
        assert!(text(&group, "name").len() <= LONGEST_NAME, "{}", group["name"]);
    }
    assert_none(|alert| {
        let (name, levels) = (text(alert, "alert"), levels(alert));
        let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric());
        let labels: Vec<_> = alert["labels"].as_object().into_iter().flat_map(serde_json::Map::keys).collect();
        let agreed =
            if is_of_a_day(alert) { vec!["info", "warning"] } else { vec![text(&alert["labels"], "severity")] };
        let lasts = !text(alert, "keep_firing_for").is_empty() || text(alert, "expr").matches("[1d]").count() == 2;
        failing([
            (name.starts_with("Oura") && name.len() <= LONGEST_NAME && is_plain, "the name is not Oura… in CamelCase"),
            (levels.iter().all(|level| SEVERITIES.contains(&level.as_str())), "no severity of ours"),
            (
                labels.is_empty() == is_of_a_day(alert),
                "the level of a day is what was recorded, every other one a label",
            ),
            (labels.iter().all(|label| *label == "severity"), "a label that is not agreed"),
            (levels == agreed, "not the levels info and warning for a day, or one level"),
            (lasts, "nothing keeps it from being told twice"),
            (!text(alert, "expr").contains("job=") && !text(alert, "expr").contains("job!"), "it names a job"),
        ])
    });
}

/// The levels of an alert: of a day's those with which it is recorded.
fn levels(alert: &Value) -> Vec<String> {
    let Some((before, _)) = text(alert, "expr").split_once(":held") else {
        return vec![text(&alert["labels"], "severity").to_owned()];
    };
    let name = before.rsplit(['(', ' ']).next().map(|name| format!("{name}:now"));
    let recorded = rules().into_iter().filter(|rule| rule["record"].as_str() == name.as_deref());
    recorded.map(|rule| text(&rule["labels"], "severity").to_owned()).collect()
}

#[test]
fn annotations_tell_a_person_what_to_do() {
    assert_none(|alert| {
        let annotations = &alert["annotations"];
        let keys: Vec<_> = annotations.as_object().into_iter().flat_map(serde_json::Map::keys).collect();
        let (summary, description) = (text(annotations, "summary"), text(annotations, "description"));
        let link = text(annotations, "dashboard_url").strip_prefix("{{ with $externalLabels.grafana }}{{ . }}/d/");
        let (board, query) = link.and_then(|link| link.strip_suffix("{{ end }}")?.split_once('?')).unwrap_or_default();
        let board = if board.is_empty() { link.unwrap_or_default().trim_end_matches("{{ end }}") } else { board };
        let names_a_person = summary.contains("$labels.account");
        let anchor = text(alert, "alert").to_lowercase();
        let runbook = format!("{{{{ with $externalLabels.runbooks }}}}{{{{ . }}}}#{anchor}{{{{ end }}}}");
        let has_number = summary.contains("{{ $value") || summary.contains("($value") || !is_of_a_day(alert);
        let has_usual = names_a_person && summary.contains(":mean30d{account=%q}") || !is_of_a_day(alert);
        failing([
            (keys == ["dashboard_url", "description", "runbook_url", "summary"], "not exactly the four annotations"),
            (summary.contains("{{") && summary.ends_with('.'), "the summary does not say whose or which"),
            (has_number, "the summary has no number"),
            (has_usual, "the summary does not say whose, and what is usual for them"),
            (description.contains("$labels."), "the description does not say whose or which"),
            (
                description.ends_with('.') && description.len() > 2 * summary.len() / 3,
                "the description says too little",
            ),
            (BOARDS.contains(&board), "no dashboard of ours"),
            (!names_a_person || query == "var-account={{ $labels.account | urlquery }}", "a link without the account"),
            (text(annotations, "runbook_url") == runbook, "the runbook is not the heading in docs/alerts.md"),
        ])
    });
}

#[test]
fn the_documentation_explains_every_alert() {
    let pages = fs::read_to_string(file("docs/alerts.md")).expect("docs/alerts.md");
    let headings: BTreeSet<_> = pages.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let known: BTreeSet<_> = alerts().iter().map(|alert| text(alert, "alert").to_owned()).collect();
    assert_none(|alert| {
        failing([(headings.contains(text(alert, "alert")), "docs/alerts.md has no heading ### for it")])
    });
    let gone: Vec<_> = headings.iter().filter(|name| name.starts_with("Oura") && !known.contains(**name)).collect();
    assert!(gone.is_empty(), "no rules: {gone:?}");
}

#[test]
fn every_metric_is_in_the_catalogue_and_every_recorded_series_is_recorded() {
    let known = known();
    let queries = rules().into_iter().flat_map(|rule| {
        let texts = [&rule["labels"], &rule["annotations"]].into_iter().filter_map(Value::as_object);
        let texts = texts.flat_map(serde_json::Map::values).chain([&rule["expr"]]);
        let parts: Vec<_> = texts.cloned().collect();
        parts.into_iter().filter_map(|part| Some(part.as_str()?.to_owned()))
    });
    let named = queries.flat_map(|query| series(&query));
    let unknown: BTreeSet<_> = named.filter(|name| !known.contains(name)).collect();
    assert!(unknown.is_empty(), "nobody makes {unknown:?}");
}

/// All that can be asked for: the exporter's metrics, those of the record, and what the rules record.
fn known() -> BTreeSet<String> {
    let board = catalogue::of_the_page().into_iter().map(|entry| entry.definition.name.to_owned());
    let sampled = catalogue::of_the_samples().into_iter().map(|entry| entry.definition.name.to_owned());
    let own = OWN.iter().chain(LIVE).chain(WEBHOOKS).chain(TOKEN_STORE).map(|own| own.name.to_owned());
    let recorded = rules().into_iter().filter_map(|rule| rule["record"].as_str().map(str::to_owned));
    board.chain(sampled).chain(own).chain(recorded).collect()
}

/// The names of ours in a query or text; `oura_sample_` alone begins a pattern.
fn series(query: &str) -> BTreeSet<String> {
    let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    let ours = words.filter(|word| word.starts_with("oura_") || word.contains(":oura_"));
    ours.filter(|word| *word != "oura_sample_").map(str::to_owned).collect()
}
