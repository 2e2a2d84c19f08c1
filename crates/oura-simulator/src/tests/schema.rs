//! Every document against the official specification.

use serde_json::{Value, json};

use super::{Bench, NOON, got};
use crate::{COLLECTIONS, Kind};

/// Where real documents are known to differ from the specification: collection, field.
const DEVIATIONS: [(&str, &str); 3] =
    [("sleep", "bedtime_end"), ("heartrate", "timestamp_unix"), ("daily_cardiovascular_age", "id")];

#[tokio::test]
async fn documents_are_as_the_specification_says() {
    let Some(file) = std::env::var_os("OURA_OPENAPI") else {
        println!("skipped: documents_are_as_the_specification_says, as OURA_OPENAPI names no file");
        return;
    };
    let specification: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    for moment in [NOON, "2026-08-19T00:30:00Z", "2026-04-09T12:00:00Z", "2026-11-12T12:00:00Z"] {
        let bench = Bench::at(moment).await;
        for person in ["alice", "bob"] {
            for collection in COLLECTIONS {
                let schema = schema(&specification, collection.name, collection.kind);
                let validator = jsonschema::validator_for(&schema).unwrap();
                assert!(!validator.is_valid(&json!({})), "the schema of {} asks for nothing", collection.name);
                for document in last_sixty_days(&bench, person, collection.name, collection.kind, moment).await {
                    let document = patched(collection.name, document);
                    let errors: Vec<String> = validator
                        .iter_errors(&document)
                        .map(|error| format!("{}: {error}", error.instance_path()))
                        .collect();
                    assert!(errors.is_empty(), "{} of {person}: {errors:?}\n{document}", collection.name);
                }
            }
        }
    }
}

#[test]
fn fields_are_those_of_the_specification() {
    let Some(file) = std::env::var_os("OURA_OPENAPI") else {
        println!("skipped: fields_are_those_of_the_specification, as OURA_OPENAPI names no file");
        return;
    };
    let specification: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    for collection in COLLECTIONS.iter().filter(|collection| !collection.fields.is_empty()) {
        let name = model(&specification, collection.name, collection.kind);
        let properties = specification["components"]["schemas"][name]["properties"].as_object().unwrap();
        let mut fields = collection.fields.to_vec();
        fields.sort_unstable();
        let mut expected: Vec<&str> = properties.keys().map(String::as_str).collect();
        expected.sort_unstable();
        assert_eq!(fields, expected, "{}", collection.name);
    }
}

/// The name of the schema that a document of the collection has.
fn model<'a>(specification: &'a Value, collection: &str, kind: Kind) -> &'a str {
    let path = format!("/v2/usercollection/{collection}");
    let answer = &specification["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
    let typed = if kind == Kind::Single { answer } else { &answer["anyOf"][0] };
    let name = typed["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
    if kind == Kind::Single {
        return name;
    }
    let items = &specification["components"]["schemas"][name]["properties"]["data"]["items"];
    items["$ref"].as_str().unwrap().rsplit('/').next().unwrap()
}

fn schema(specification: &Value, collection: &str, kind: Kind) -> Value {
    let name = model(specification, collection, kind);
    json!({ "$ref": format!("#/components/schemas/{name}"), "components": specification["components"] })
}

async fn last_sixty_days(bench: &Bench, person: &str, collection: &str, kind: Kind, now: &str) -> Vec<Value> {
    let now: chrono::DateTime<chrono::Utc> = now.parse().unwrap();
    let day = |back: i64| (now - chrono::TimeDelta::days(back)).format("%Y-%m-%d").to_string();
    match kind {
        Kind::Single => vec![bench.get(person, collection).await.1],
        Kind::List => bench.data(person, collection).await,
        Kind::Dates => {
            let window = format!("{collection}?start_date={}&end_date={}", day(60), day(-2));
            let sandbox = bench.request(&format!("sandbox/usercollection/{window}")).bearer_auth("any");
            let made_up = got(sandbox).await.1["data"].as_array().unwrap().clone();
            [bench.data(person, &window).await, made_up].concat()
        }
        Kind::Series => {
            let mut rows = Vec::new();
            for back in [60, 41, 22, 3, 2, 1] {
                let window = format!("start_datetime={}&end_datetime={}", day(back), day(back - 1));
                rows.extend(bench.data(person, &format!("{collection}?{window}")).await);
            }
            rows
        }
    }
}

/// The document with its known deviations put right.
fn patched(collection: &str, mut document: Value) -> Value {
    for (_, field) in DEVIATIONS.iter().filter(|(other, _)| *other == collection) {
        if document.get(field).is_none_or(Value::is_null) {
            document[*field] = if *field == "timestamp_unix" { json!(0) } else { json!("known to be missing") };
        }
    }
    document
}
