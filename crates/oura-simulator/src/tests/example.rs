//! Collections after an example: documents for every day, found like any other.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;

use super::{Bench, NOON, running_from};
use crate::{Example, ExampleError, Settings};

const WATER: &str =
    r#"{"id":"any","day":"2020-02-29","score":80,"litres":2.1,"timestamp":"2020-02-29T08:00:00+00:00"}"#;

async fn bench() -> Bench {
    let example = Example::new("daily_hydration", "daily", WATER).unwrap();
    Bench::of(Settings { clock: running_from(NOON), examples: vec![example], ..Settings::default() }).await
}

#[tokio::test]
async fn a_collection_after_an_example_has_a_document_each_day_up_to_today() {
    let bench = bench().await;
    let now: DateTime<Utc> = NOON.parse().unwrap();
    for (person, days, first) in [("alice", 3, "2026-08-17"), ("bob", 60, "2026-06-21"), ("alice", 1, "2026-08-19")] {
        let path = format!("daily_hydration?start_date={first}&end_date=2026-08-25");
        let documents = bench.data(person, &path).await;
        let first: NaiveDate = first.parse().unwrap();
        let expected: Vec<String> = first.iter_days().take(days).map(|day| day.to_string()).collect();
        let found: Vec<&str> = documents.iter().filter_map(|document| document["day"].as_str()).collect();
        assert_eq!(found, expected, "{person}");
        assert_eq!(found.last(), Some(&now.date_naive().to_string().as_str()));
        for document in &documents {
            assert_eq!((&document["score"], &document["litres"]), (&Value::from(80), &Value::from(2.1)));
            assert_eq!(document["timestamp"], format!("{}T08:00:00+00:00", document["day"].as_str().unwrap()));
            let path = format!("daily_hydration/{}", document["id"].as_str().unwrap());
            assert_eq!(bench.get(person, &path).await, (200, document.clone()));
        }
        let ids: BTreeSet<&str> = documents.iter().filter_map(|document| document["id"].as_str()).collect();
        assert_eq!(ids.len(), days);
        let versions = bench.simulator.versions(person, "daily_hydration", first);
        assert_eq!(versions.last().map(|version| &version.documents[..]), Some(&documents[..1]));
    }
    assert_eq!(bench.get("alice", "daily_hydration/nothing").await.0, 404);
    assert_eq!(Bench::at(NOON).await.get("alice", "daily_hydration").await.0, 404, "without its example");
}

#[test]
fn what_is_no_example_is_refused() {
    let refused = |name, document: &str| Example::new(name, "daily", document).unwrap_err();
    assert!(matches!(refused("daily_water", "score: 80"), ExampleError::NoJson("daily_water", _)));
    for odd in ["{}", r#"{"score":80}"#, "[]", r#"{"day":"today"}"#, r#"{"day":20261122}"#] {
        assert!(matches!(refused("daily_water", odd), ExampleError::NoDay("daily_water")), "{odd}");
    }
    assert!(matches!(refused("daily_sleep", WATER), ExampleError::Modelled("daily_sleep")));
}
