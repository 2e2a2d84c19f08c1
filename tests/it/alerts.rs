//! The alert rules: promtool finds nothing wrong, their tests hold and notice every changed threshold, and each rule is
//! written as agreed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    thread,
};

use crate::common::{
    needs::there_are,
    servers::{self, file, promtool, yaml},
};
use oura_exporter::{catalogue, remote_write::LIVE, status::OWN};
use serde_json::Value;

const RULES: &str = "alerts/oura.rules.yml";
const SEVERITIES: &[&str] = &["critical", "warning", "info"];
/// The labels that rules add: the day is that of the document which the alert speaks of.
const LABELS: &[&str] = &["day", "severity"];
const DASHBOARDS: &[&str] = &["oura-today", "oura-sleep", "oura-recovery", "oura-activity", "oura-exporter"];
const LONGEST_NAME: usize = 40;
const MOST_RULES: usize = 20;

/// A change of a rule that a file of tests must notice.
struct Change {
    /// The alert or the recorded series.
    rule: &'static str,
    from: &'static str,
    to: &'static str,
    tests: &'static str,
}

impl Change {
    fn is_of_an_alert(&self) -> bool {
        self.rule.starts_with("Oura")
    }
}

const fn change(rule: &'static str, from: &'static str, to: &'static str, tests: &'static str) -> Change {
    Change { rule, from, to, tests }
}

const CHANGES: &[Change] = &[
    change("account_collection:oura_document_day_timestamp_seconds:today", "- 36 *", "- 38 *", "today"),
    change("account_collection:oura_document_day_timestamp_seconds:today", "- 18 *", "- 20 *", "today"),
    change("account:oura_readiness_score:band_floor30d", ">= 14", ">= 15", "band"),
    change("account:oura_readiness_score:band_floor30d", "- stddev", "- 9 * stddev", "band"),
    change("account:oura_night_lowest_heart_rate_bpm:band_ceiling30d", "+ stddev", "+ 9 * stddev", "band"),
    change("account:oura_document_day_timestamp_seconds:stress_high", ">= 2 *", ">= 3 *", "stress"),
    change("OuraLowReadiness", "< 70", "< 71", "today"),
    change("OuraReadinessBelowOwnBand", "+ 1 >= 3", "+ 1 >= 2", "band"),
    change("OuraShortSleep", "< 6 *", "< 5 *", "today"),
    change("OuraShortSleep", "oura_night_settled[30m])) == 1", "oura_night_settled[30m])) >= 0", "today"),
    change("OuraIllnessSigns", ">= 0.5", ">= 0.4", "band"),
    change("OuraIllnessSigns", "oura_night_settled[30m])) == 1", "oura_night_settled[30m])) >= 0", "band"),
    change("OuraLowSpo2", "< 0.92", "< 0.91", "today"),
    change("OuraHighStressDays", "+ 1 >= 3", "+ 1 >= 2", "stress"),
    change("OuraNoData", "offset 36h", "offset 24h", "data"),
    change("OuraRingBatteryLow", "< 0.2", "< 0.21", "data"),
    change("OuraExporterDown", "for: 10m", "for: 5m", "exporter"),
    change("OuraSignInNeeded", "for: 10m", "for: 5m", "exporter"),
    change("OuraSignInEndsSoon", "< 90 *", "< 150 *", "exporter"),
    change("OuraCollectionFailing", "for: 1h", "for: 30m", "exporter"),
    change(
        "OuraCollectionFailing",
        "max by (account, collection) (oura_collection_last_success_timestamp_seconds)",
        "vector(1) > 2",
        "exporter",
    ),
    change("OuraRateLimited", ">= 3", ">= 2", "exporter"),
    change("OuraHistoryLagging", "- 600", "- 6000", "exporter"),
];

/// The rules of all groups.
fn rules() -> Vec<Value> {
    let rules = yaml(RULES);
    let groups = rules["groups"].as_array().expect("groups");
    groups.iter().flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
}

fn alerts() -> Vec<Value> {
    rules().into_iter().filter(|rule| !rule["alert"].is_null()).collect()
}

fn text<'a>(json: &'a Value, key: &str) -> &'a str {
    json[key].as_str().unwrap_or_default()
}

/// Fails with everything that `problems` finds, each with its alert.
fn assert_none(problems: impl Fn(&Value) -> Vec<String>) {
    let alerts = alerts();
    assert!(!alerts.is_empty(), "{RULES}: no alerts");
    let named = |alert| problems(alert).into_iter().map(move |problem| format!("{}: {problem}", text(alert, "alert")));
    let found: Vec<_> = alerts.iter().flat_map(named).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// The messages whose check fails.
fn failing<const N: usize>(checks: [(bool, &str); N]) -> Vec<String> {
    checks.into_iter().filter(|(is_good, _)| !is_good).map(|(_, message)| message.to_owned()).collect()
}

/// The files of tests, by the part of their name before `.test.yml`.
fn test_files() -> BTreeSet<String> {
    let files = fs::read_dir(file("alerts")).expect("alerts");
    let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.strip_suffix(".test.yml").map(str::to_owned)).collect()
}

fn test_rules(directory: &Path, stem: &str) -> (bool, String) {
    let tests = directory.join(format!("{stem}.test.yml"));
    promtool(&["test", "rules", servers::text(&tests)], "")
}

#[test]
fn promtool_finds_nothing_wrong() {
    if !there_are(&["promtool"], "promtool_finds_nothing_wrong") {
        return;
    }
    let rules = file(RULES);
    let (is_good, said) = promtool(&["check", "rules", "--lint=all", "--lint-fatal", servers::text(&rules)], "");
    assert!(is_good, "{said}");
}

#[test]
fn the_tests_of_the_rules_hold() {
    if !there_are(&["promtool"], "the_tests_of_the_rules_hold") {
        return;
    }
    let failed = |stem: String| Some(test_rules(&file("alerts"), &stem)).filter(|(is_good, _)| !is_good);
    let failed: Vec<_> = test_files().into_iter().filter_map(failed).map(|(_, said)| said).collect();
    assert!(failed.is_empty(), "{}", failed.concat());
}

#[test]
fn a_changed_threshold_fails_a_test() {
    if !there_are(&["promtool"], "a_changed_threshold_fails_a_test") {
        return;
    }
    let files = test_files();
    let together = files.iter().map(|stem| CHANGES.iter().filter(|c| c.tests == stem && c.is_of_an_alert()).collect());
    let alone = CHANGES.iter().filter(|change| !change.is_of_an_alert()).map(|change| vec![change]);
    let runs: Vec<Vec<&'static Change>> = together.chain(alone).collect();
    let halves = runs.chunks(runs.len().div_ceil(2)).map(<[_]>::to_vec);
    let unnoticed = |half: Vec<Vec<_>>| half.iter().flat_map(|changes| unnoticed(changes)).collect::<Vec<_>>();
    let halves: Vec<_> = halves.map(|half| thread::spawn(move || unnoticed(half))).collect();
    let unnoticed: Vec<_> = halves.into_iter().flat_map(|half| half.join().expect("no panic")).collect();
    assert!(unnoticed.is_empty(), "no test fails with\n{}", unnoticed.join("\n"));
}

/// The changes that no test notices. Alerts do not depend on each other, so theirs are tried in one run: each must be named
/// in what fails. What a recorded series changes is seen in some alert, so it is tried alone.
fn unnoticed(changes: &[&Change]) -> Vec<String> {
    let Some(first) = changes.first() else { return vec![] };
    let directory = tempfile::tempdir().expect("a directory");
    let tests = format!("{}.test.yml", first.tests);
    fs::copy(file("alerts").join(&tests), directory.path().join(&tests)).expect("a copy");
    let rules = fs::read_to_string(file(RULES)).expect("the rules");
    let rules = changes.iter().fold(rules, |rules, change| changed(&rules, change));
    fs::write(directory.path().join("oura.rules.yml"), rules).expect("a file");
    let (is_good, said) = test_rules(directory.path(), first.tests);
    assert!(is_good || said.contains("exp:"), "{}: it fails for another reason: {said}", first.rule);
    let is_named = |change: &Change| said.contains(&format!("alertname: {},", change.rule));
    let is_noticed = |change: &Change| !is_good && (is_named(change) || !change.is_of_an_alert());
    let unnoticed = changes.iter().filter(|change| !is_noticed(change));
    unnoticed.map(|change| format!("{}: {:?} instead of {:?}", change.rule, change.to, change.from)).collect()
}

/// The rules with that change, which must be possible in exactly one place of the rule.
fn changed(rules: &str, change: &Change) -> String {
    let begins = |key: &str| rules.find(&format!("- {key}: {}\n", change.rule));
    let start = begins("alert").or_else(|| begins("record")).expect("the rule is there");
    let (before, rest) = rules.split_at(start);
    let (rule, after) = rest.split_at(rest.find("\n      - ").unwrap_or(rest.len()));
    assert_eq!(rule.matches(change.from).count(), 1, "{}: where is {:?}", change.rule, change.from);
    format!("{before}{}{after}", rule.replace(change.from, change.to))
}

#[test]
fn every_alert_has_tests_and_a_change_that_they_notice() {
    let files: Vec<_> = test_files().iter().map(|stem| yaml(&format!("alerts/{stem}.test.yml"))).collect();
    let (mut fires, mut is_silent) = (BTreeMap::<_, usize>::new(), BTreeMap::<_, usize>::new());
    let list = |json: &Value, key: &str| json[key].as_array().cloned().unwrap_or_default();
    let tests = files.iter().flat_map(|file| list(file, "tests"));
    for case in tests.flat_map(|test| list(&test, "alert_rule_test")) {
        let counts = if list(&case, "exp_alerts").is_empty() { &mut is_silent } else { &mut fires };
        *counts.entry(text(&case, "alertname").to_owned()).or_default() += 1;
    }
    assert_none(|alert| {
        let name = text(alert, "alert");
        failing([
            (fires.contains_key(name), "no test in which it fires"),
            (is_silent.get(name).is_some_and(|count| *count >= 2), "not silent in a test before and after"),
            (CHANGES.iter().any(|change| change.rule == name), "no change of it is tried"),
        ])
    });
}

#[test]
fn names_groups_and_labels_are_as_agreed() {
    for group in yaml(RULES)["groups"].as_array().expect("groups") {
        assert!(group["rules"].as_array().is_some_and(|rules| rules.len() <= MOST_RULES), "{}", group["name"]);
        assert!(text(group, "name").len() <= LONGEST_NAME, "{}", group["name"]);
    }
    let names: BTreeSet<_> = alerts().iter().map(|alert| text(alert, "alert").to_owned()).collect();
    assert_eq!(names.len(), alerts().len(), "a name comes twice");
    assert_none(|alert| {
        let name = text(alert, "alert");
        let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric());
        let mut labels = alert["labels"].as_object().into_iter().flat_map(serde_json::Map::keys);
        failing([
            (name.starts_with("Oura") && name.len() <= LONGEST_NAME && is_plain, "the name is not Oura… in CamelCase"),
            (SEVERITIES.contains(&text(&alert["labels"], "severity")), "no severity of ours"),
            (labels.all(|label| LABELS.contains(&label.as_str())), "a label that is not agreed"),
        ])
    });
}

#[test]
fn annotations_tell_a_person_what_to_do() {
    assert_none(|alert| {
        let annotations = &alert["annotations"];
        let keys: Vec<_> = annotations.as_object().into_iter().flat_map(serde_json::Map::keys).collect();
        let (summary, description) = (text(annotations, "summary"), text(annotations, "description"));
        let dashboard = text(annotations, "dashboard_url").strip_prefix("http://localhost:3000/d/");
        let runbook = format!("README.md#{}", text(alert, "alert").to_lowercase());
        let is_sentence = summary.starts_with(char::is_uppercase) && summary.ends_with('.');
        failing([
            (keys == ["dashboard_url", "description", "runbook_url", "summary"], "not exactly the four annotations"),
            (is_sentence && !summary.contains("{{"), "the summary is no sentence that is always the same"),
            (description.contains("{{ $labels."), "the description does not say whose or which"),
            (description.ends_with('.') && description.len() > 2 * summary.len(), "the description says too little"),
            (dashboard.is_some_and(|uid| DASHBOARDS.contains(&uid)), "no dashboard of ours"),
            (text(annotations, "runbook_url") == runbook, "the runbook is not the README's heading"),
        ])
    });
}

#[test]
fn the_readme_explains_every_alert() {
    let readme = fs::read_to_string(file("README.md")).expect("README.md");
    let headings: BTreeSet<_> = readme.lines().filter_map(|line| line.strip_prefix("#### ")).collect();
    assert_none(|alert| failing([(headings.contains(text(alert, "alert")), "README.md has no heading #### for it")]));
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

/// All that can be asked for: the exporter's metrics, those of the history, and what the rules record.
fn known() -> BTreeSet<String> {
    let board = catalogue::of_the_page().into_iter().map(|entry| entry.definition.name.to_owned());
    let own = OWN.iter().chain(LIVE).map(|own| own.name.to_owned());
    let recorded = rules().into_iter().filter_map(|rule| rule["record"].as_str().map(str::to_owned));
    board.chain(own).chain(recorded).collect()
}

/// The names of ours in a query or text.
fn series(query: &str) -> BTreeSet<String> {
    let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    words.filter(|word| word.starts_with("oura_") || word.contains(":oura_")).map(str::to_owned).collect()
}
