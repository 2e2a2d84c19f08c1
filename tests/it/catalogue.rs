//! The catalogue of metrics against itself, the documentation, the official specification and the demo's own page.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
};

use crate::common::{Plan, moment, simulator_at, simulator_with};
use chrono::{TimeDelta, Utc};
use oura_exporter::{
    catalogue,
    clock::Clock,
    config::markdown,
    documents::{KINDS, Kind, Query, examples},
    observation::{Known, Observation},
    simulator::{self, COLLECTIONS, Scope},
    webhooks::{self, Change},
};
use serde_json::{Map, Value, json, value::RawValue};

/// Metrics that are numbers of their own kind and so end without a unit.
const WITHOUT_UNIT: &[&str] = &[
    "oura_up",
    "oura_vo2_max",
    "oura_rest_mode",
    "oura_account_authorized",
    "oura_collection_up",
    "oura_collection_permitted",
    "oura_spo2_breathing_disturbance_index",
    "oura_activity_average_met",
    "oura_ring_charging",
    "oura_ring_in_charger",
    "oura_night_low_battery",
    "oura_night_settled",
    // Days, as a person counts them: a base unit would be 86,400 times as much.
    "oura_document_age_days",
    "oura_night_average_breaths_per_minute",
    "oura_pulse_wave_velocity_meters_per_second",
];
/// Base units, and the nouns that counts end with.
const ENDINGS: &[&str] = &[
    "_seconds",
    "_celsius",
    "_meters",
    "_joules",
    "_grams",
    "_ratio",
    "_bpm",
    "_score",
    "_years",
    "_info",
    "_steps",
    "_alerts",
    "_periods",
    "_naps",
    "_workouts",
    "_sessions",
    "_tags",
    "_state",
    "_level",
    "_source",
    "_recommendation",
    "_status",
];

#[test]
fn no_two_metrics_have_one_name() {
    let mut seen = BTreeSet::new();
    let twice: Vec<_> =
        catalogue::of_the_page().iter().map(|e| e.definition.name).filter(|n| !seen.insert(*n)).collect();
    assert_eq!(twice, Vec::<&str>::new());
}

#[test]
fn every_name_ends_with_a_base_unit() {
    let odd: Vec<_> = catalogue::of_the_page()
        .iter()
        .map(|entry| entry.definition.name)
        .filter(|name| !WITHOUT_UNIT.contains(name) && !ENDINGS.iter().any(|ending| name.ends_with(ending)))
        .collect();
    assert_eq!(odd, Vec::<&str>::new());
}

#[test]
fn help_names_the_source_and_ends_like_a_sentence() {
    for entry in catalogue::of_the_page() {
        let (name, help) = (entry.definition.name, entry.definition.help);
        assert!(help.ends_with('.'), "{name}: {help}");
        if let Some(collection) = entry.collection {
            assert!(help.contains(&format!("from {collection}")), "{name}: {help}");
        }
    }
}

#[test]
fn no_label_has_a_name_that_prometheus_uses_itself() {
    for entry in catalogue::of_the_page() {
        for label in entry.labels() {
            assert!(
                !["type", "job", "instance", "le", "quantile"].contains(&label),
                "{}: {label}",
                entry.definition.name
            );
        }
    }
}

#[test]
fn metrics_md_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("METRICS.md");
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, catalogue::markdown()).expect("METRICS.md can be written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, catalogue::markdown(), "rewrite it with the UPDATE_DOCS line in CONTRIBUTING.md");
}

#[test]
fn the_documents_give_every_reason_and_its_advice_in_the_programs_words() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/troubleshooting.md");
    let page = fs::read_to_string(&path).expect("docs/troubleshooting.md");
    let (_, rest) = page.split_once("<!-- the reasons").expect("where the reasons begin");
    let (_, rest) = rest.split_once("-->\n").expect("the end of that comment");
    let (written, _) = rest.split_once("<!-- end of the reasons -->").expect("where they end");
    let made = catalogue::reasons_markdown();
    if env::var_os("UPDATE_DOCS").is_some() {
        let at = page.len() - rest.len();
        let updated = format!("{}{made}{}", &page[..at], &rest[written.len()..]);
        fs::write(&path, updated).expect("docs/troubleshooting.md can be written");
        return;
    }
    assert_eq!(written, made, "rewrite it with the UPDATE_DOCS line in CONTRIBUTING.md");
}

#[test]
fn the_documents_have_the_table_of_variables() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let page = fs::read_to_string(&path).expect("docs/configuration.md");
    let start = page.find("| variable, and the flag that wins over it |").expect("the page has the table");
    let end = start + page[start..].find("\n\n").expect("it ends") + 1;
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, page[..start].to_owned() + &markdown() + &page[end..]).expect("it can be written");
    } else {
        assert_eq!(page[start..end], markdown(), "rewrite it with the UPDATE_DOCS line in CONTRIBUTING.md");
    }
}

/// A kind that the simulator has no model of has an example instead, and no other kind has one.
#[test]
fn the_simulator_has_every_kind() {
    let modelled: BTreeSet<_> = COLLECTIONS.iter().map(|collection| collection.name).collect();
    let known: BTreeSet<_> = KINDS.iter().filter(|kind| kind.example.is_none()).map(|kind| kind.name).collect();
    assert_eq!(known, modelled);
    examples().expect("documents can be made like each of them");
}

/// An example stands in for what people's lives and the specification say of the other kinds.
#[test]
fn every_metric_of_an_example_has_a_value_and_every_state_of_it_is_known() {
    for (kind, example) in KINDS.iter().filter_map(|kind| Some((kind, kind.example?))) {
        let fields: Value = serde_json::from_str(example).expect("JSON");
        for field in kind.fields(true).unwrap_or_default() {
            assert!(fields.get(field).is_some(), "{}.{field} is asked for, and the example lacks it", kind.name);
        }
        let document = RawValue::from_string(example.to_owned()).expect("JSON");
        let read = kind.read(&[document], &Known::default(), Utc::now(), None);
        assert_eq!(read.unreadable.count, 0, "{} fails at {}", kind.name, read.unreadable.field);
        let values = read.shown.expect("values").observations;
        for definition in kind.definitions() {
            assert!(values.iter().any(|value| value.name == definition.name), "{} has no value", definition.name);
        }
        let is_unknown = |value: &&Observation| {
            value.value != 0.0 && value.labels.iter().any(|(_, state)| state.as_ref() == "unknown")
        };
        assert_eq!(values.iter().find(is_unknown).map(|value| value.name), None, "{}", kind.name);
    }
}

/// Every metric is on alice's or bob's page on one of these days, so that none is written in vain.
#[tokio::test]
async fn every_metric_is_shown_by_some_day_of_the_simulator() {
    let mut missing: BTreeSet<_> = catalogue::of_the_page().iter().map(|entry| entry.definition.name).collect();
    // Nothing goes wrong here, and nobody signs in.
    missing.remove("oura_api_rate_limited_until_timestamp_seconds");
    missing.remove("oura_token_expiry_timestamp_seconds");
    for now in [crate::common::NOON, "2026-11-10T18:00:00Z", "2026-10-20T18:00:00Z", "2026-09-05T18:00:00Z"] {
        let simulator = simulator_at(now).await;
        // Oura hardly ever finds an optimal bedtime, and neither does the simulator.
        simulator.faults().edit(Scope::collection("sleep_time"), |documents| {
            let found = json!({"day_tz": 7200, "start_offset": -10_800, "end_offset": -6_300});
            documents.iter_mut().for_each(|document| document["optimal_bedtime"] = found.clone());
        });
        let all: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
        let plan = Plan { people: &["alice", "bob"], ..Plan::default() };
        let page = plan.set("OURA_COLLECTIONS", &all.join(",")).at(now).ready(&simulator).await.page().await;
        missing.retain(|name| page.starting_with(&format!("{name}{{")).is_empty());
    }
    assert_eq!(missing, BTreeSet::new());
}

/// The official specification, where the variable says it is; without it the test is named and left out.
fn specification(test: &str) -> Option<Value> {
    let Some(path) = env::var_os("OURA_OPENAPI") else {
        crate::common::needs::left_out(test, "needs OURA_OPENAPI, the path of Oura's OpenAPI file");
        return None;
    };
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(serde_json::from_str(&text).expect("the specification is JSON"))
}

#[test]
fn events_are_known_by_the_names_of_the_specification() {
    let ours: BTreeSet<_> = webhooks::DATA_TYPES.iter().copied().collect();
    assert_eq!(ours, simulator::DATA_TYPES.iter().copied().collect(), "the simulator has the same");
    let named: BTreeSet<_> = KINDS.iter().filter_map(webhooks::data_type).collect();
    assert_eq!(named, ours, "each is a collection's, whatever its case");
    let Some(spec) = specification("events_are_known_by_the_names_of_the_specification") else { return };
    let words = |schema: &str| -> BTreeSet<String> {
        let words = spec["components"]["schemas"][schema]["enum"].as_array().expect("a list of words");
        words.iter().filter_map(|word| Some(word.as_str()?.to_owned())).collect()
    };
    assert_eq!(words("ExtApiV2DataType"), ours.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(words("WebhookOperation"), Change::ALL.iter().map(|change| change.word().to_owned()).collect());
}

fn resolve<'a>(spec: &'a Value, schema: &'a Value) -> &'a Value {
    let options = schema["anyOf"].as_array().map(Vec::as_slice).unwrap_or_default();
    let inner = options.iter().find(|option| option.get("$ref").is_some()).unwrap_or(schema);
    match inner["$ref"].as_str() {
        Some(reference) => &spec["components"]["schemas"][reference.rsplit('/').next().unwrap_or_default()],
        None => inner,
    }
}

/// The fields of one document of each kind, but of those that are newer than the specification and so have an example.
fn specified(spec: &Value) -> impl Iterator<Item = (&'static Kind, &Map<String, Value>)> {
    KINDS.iter().filter_map(move |kind| {
        let path = spec["paths"].get(format!("/v2/usercollection/{}", kind.name));
        assert!(path.is_some() || kind.example.is_some(), "{} has neither specification nor example", kind.name);
        let answer = &path?["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        let envelope = resolve(spec, answer);
        let schema = if kind.query == Query::Single {
            envelope
        } else {
            resolve(spec, &envelope["properties"]["data"]["items"])
        };
        Some((kind, schema["properties"].as_object().unwrap_or_else(|| panic!("{}", kind.name))))
    })
}

#[test]
fn the_specification_has_every_field_that_is_asked_for() {
    let Some(spec) = specification("the_specification_has_every_field_that_is_asked_for") else { return };
    for (kind, properties) in specified(&spec) {
        for field in kind.fields(true).unwrap_or_default() {
            assert!(properties.contains_key(field), "{}.{field}", kind.name);
        }
    }
}

#[test]
fn the_states_are_those_of_the_specification() {
    let Some(spec) = specification("the_states_are_those_of_the_specification") else { return };
    let enums: BTreeMap<Vec<&str>, &str> = spec["components"]["schemas"]
        .as_object()
        .expect("schemas")
        .iter()
        .filter_map(|(name, schema)| {
            Some((schema["enum"].as_array()?.iter().filter_map(Value::as_str).collect(), name.as_str()))
        })
        .collect();
    for (kind, properties) in specified(&spec) {
        let of_kind: Vec<_> = properties.values().map(|property| resolve(&spec, property)).collect();
        for definition in kind.definitions().iter().filter(|d| d.is_state_set || d.name.ends_with("_info")) {
            for (label, values) in definition.labels.iter().filter(|(_, values)| !values.is_empty()) {
                let place = format!("{} {label}", definition.name);
                assert!(enums.contains_key(values), "{place}: {values:?} is no enum of the specification");
                let listed = |schema: &&Value| {
                    schema["enum"]
                        .as_array()
                        .is_some_and(|e| e.iter().filter_map(Value::as_str).eq(values.iter().copied()))
                };
                assert!(of_kind.iter().any(listed), "{place}: not an enum of {}", kind.name);
            }
        }
    }
}

#[test]
fn every_collection_of_the_specification_is_a_kind() {
    let Some(spec) = specification("every_collection_of_the_specification_is_a_kind") else { return };
    let paths = spec["paths"].as_object().expect("paths").keys();
    let names: BTreeSet<_> =
        paths.filter_map(|path| path.strip_prefix("/v2/usercollection/")).filter(|name| !name.contains('/')).collect();
    let known: BTreeSet<_> = specified(&spec).map(|(kind, _)| kind.name).collect();
    assert_eq!(known, names);
}

/// The demo is worth looking at on whichever day it is run.
#[tokio::test]
async fn the_demo_shows_85_families_on_any_day_at_any_hour() {
    let mut poor = Vec::new();
    for number in 0..30 {
        let now = moment(crate::common::NOON) + TimeDelta::hours(number * 299);
        let simulator = simulator_with(Clock::still_at(now)).await;
        let plan = Plan { people: &["alice", "bob"], ..Plan::default() };
        let page = plan.at_moment(now).ready(&simulator).await.page().await;
        let families = page.text.lines().filter(|line| line.starts_with("# TYPE oura_")).count();
        if families < 85 {
            let names: Vec<_> = catalogue::of_the_page().iter().map(|entry| entry.definition.name).collect();
            let missing: Vec<_> =
                names.into_iter().filter(|name| !page.text.contains(&format!("# TYPE {name} "))).collect();
            poor.push((now, families, missing));
        }
    }
    assert!(poor.is_empty(), "{poor:#?}");
}
