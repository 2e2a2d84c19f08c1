//! What the documents of a day ever were, against what the routes answer at any moment.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::Value;

use super::{Bench, running_from, set_by_hand};
use crate::{
    COLLECTIONS, Kind, Settings, Simulator, TimeSource, Version, noise::Noise, person_timeline::View, syncs::syncs,
};

const START: &str = "2026-09-20T00:00:00Z";
const DAYS: i64 = 50;
const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

/// A simulator of real life, at a moment.
async fn real(clock: TimeSource, seed: u64) -> Bench {
    Bench::of(Settings { clock, seed, full_days: Some(0), has_traveller: true, ..Settings::default() }).await
}

async fn ledger(seed: u64) -> Simulator {
    real(running_from(START), seed).await.simulator
}

fn day_of(document: &Value) -> &str {
    document["day"].as_str().or(document["start_day"].as_str()).unwrap_or_default()
}

/// What the route says of `day`.
async fn answered(bench: &Bench, person: &str, collection: &str, kind: Kind, day: NaiveDate) -> Vec<Value> {
    match kind {
        Kind::Single => vec![bench.get(person, collection).await.1],
        Kind::List => bench.data(person, collection).await,
        Kind::Series => Vec::new(),
        Kind::Dates => {
            let (first, last) = (day - TimeDelta::days(2), day + TimeDelta::days(2));
            let mut data = bench.data(person, &format!("{collection}?start_date={first}&end_date={last}")).await;
            data.retain(|document| day_of(document) == day.to_string());
            data
        }
    }
}

/// The documents that the ledger has for `now`.
fn at(versions: &[Version], now: DateTime<Utc>) -> Vec<Value> {
    let version = versions.iter().rfind(|version| version.readable_from <= now);
    version.map(|version| version.documents.clone()).unwrap_or_default()
}

fn by_id(mut documents: Vec<Value>) -> Vec<Value> {
    documents.sort_by_key(|document| document["id"].to_string());
    documents
}

/// Random moments, and moments at and right before a change, in order: whose, of which collection, of which day.
fn questions(ledger: &Simulator, seed: u64) -> Vec<(DateTime<Utc>, usize, usize, NaiveDate)> {
    let start: DateTime<Utc> = START.parse().unwrap();
    let mut questions = Vec::new();
    for number in 0..450 {
        let noise = Noise::new(seed).at(number);
        let person = noise.of("person").whole(0, 2) as usize;
        let collection = noise.of("collection").whole(0, COLLECTIONS.len() as i64 - 1) as usize;
        let moment = start + TimeDelta::seconds(noise.of("moment").whole(0, DAYS * 86_400));
        let day = moment.date_naive() - TimeDelta::days(noise.of("back").whole(-1, 10));
        let moment = match number % 4 {
            0 | 1 => moment,
            edge => {
                let versions = ledger.versions(PEOPLE[person], COLLECTIONS[collection].name, day);
                let place = noise.of("edge").whole(0, versions.len().max(1) as i64 - 1) as usize;
                let change = versions.get(place).map_or(moment, |version| version.readable_from);
                change - TimeDelta::seconds(edge - 2)
            }
        };
        questions.push((moment.max(start), person, collection, day));
    }
    questions.sort();
    questions
}

#[tokio::test]
async fn at_any_moment_the_route_answers_with_the_version_of_that_moment() {
    for seed in [1, 2] {
        let ledger = ledger(seed).await;
        let (clock, hand) = set_by_hand(START);
        let bench = real(clock, seed).await;
        let mut asked = BTreeMap::<&str, usize>::new();
        for (moment, person, collection, day) in questions(&ledger, seed) {
            *hand.lock().unwrap() = moment;
            let (person, collection) = (PEOPLE[person], &COLLECTIONS[collection]);
            if collection.kind == Kind::Series {
                continue;
            }
            let versions = ledger.versions(person, collection.name, day);
            let answer = answered(&bench, person, collection.name, collection.kind, day).await;
            let expected = at(&versions, moment);
            assert_eq!(by_id(answer), by_id(expected), "{person}'s {} of {day} at {moment}", collection.name);
            *asked.entry(collection.name).or_default() += versions.len();
        }
        let all = COLLECTIONS.iter().filter(|collection| collection.kind != Kind::Series).count();
        assert_eq!(asked.len(), all, "{asked:?}");
    }
}

#[tokio::test]
async fn no_sync_brings_anything_that_the_versions_lack() {
    let ledger = ledger(1).await;
    let first: NaiveDate = "2026-08-01".parse().unwrap();
    for life in &ledger.cloud.lives {
        let all = first.iter_days().take(80).flat_map(|day| syncs(life, day));
        let views: Vec<View> = all.map(|sync| View::at(*life, sync.at)).collect();
        for day in first.iter_days().skip(5).take(40) {
            let begin = life.midnight(day) - TimeDelta::days(1);
            let near = || views.iter().filter(|view| (begin..begin + TimeDelta::days(17)).contains(&view.now));
            for collection in COLLECTIONS.iter().filter(|collection| collection.kind == Kind::Dates) {
                let is_dense = ["daily_activity", "sleep"].contains(&collection.name);
                let versions = ledger.versions(life.person.name, collection.name, day);
                for view in near().step_by(if is_dense { 29 } else { 3 }) {
                    let documents = collection.documents(view, day);
                    assert_eq!(documents, at(&versions, view.now), "{} of {day} at {}", collection.name, view.now);
                }
            }
        }
    }
}

#[tokio::test]
async fn versions_come_one_after_the_other_and_differ() {
    let ledger = ledger(1).await;
    let mut count = 0;
    for person in PEOPLE {
        for collection in COLLECTIONS.iter().filter(|collection| collection.kind == Kind::Dates) {
            for shift in 0..DAYS {
                let day: NaiveDate = "2026-09-20".parse().unwrap();
                let versions = ledger.versions(person, collection.name, day + TimeDelta::days(shift));
                for pair in versions.windows(2) {
                    assert!(pair[0].readable_from < pair[1].readable_from);
                    assert_ne!(pair[0].documents, pair[1].documents);
                }
                count += versions.len();
            }
        }
    }
    assert!(count > 4_500, "{count}");
}

#[tokio::test]
async fn rows_come_with_the_syncs() {
    let ledger = ledger(1).await;
    let (clock, hand) = set_by_hand(START);
    let bench = real(clock, 1).await;
    for day in ["2026-09-29", "2026-10-03", "2026-11-05"] {
        for (person, collection) in [("alice", "heartrate"), ("bob", "ring_battery_level")] {
            let versions = ledger.versions(person, collection, day.parse().unwrap());
            assert!(!versions.is_empty(), "{person} {day}");
            for version in versions.iter().step_by(7) {
                *hand.lock().unwrap() = version.readable_from;
                let rows = &version.documents;
                let time = |row: &Value| row["timestamp"].as_str().unwrap().to_owned();
                let window = format!("start_datetime={}&end_datetime={}", time(&rows[0]), time(rows.last().unwrap()));
                let (_, answer) = bench.get(person, &format!("{collection}?{window}")).await;
                assert_eq!(answer["data"].as_array().unwrap()[..], rows[..rows.len().min(1000)]);
                let syncs = ledger.syncs(person, version.readable_from, version.readable_from);
                assert_eq!(syncs, [version.readable_from]);
                assert!(time(rows.last().unwrap()).parse::<DateTime<Utc>>().unwrap() <= version.readable_from);
            }
        }
    }
}

#[tokio::test]
async fn nobody_and_nothing_have_no_versions() {
    let ledger = ledger(1).await;
    let day = "2026-09-20".parse().unwrap();
    assert_eq!(ledger.versions("dave", "sleep", day), []);
    assert_eq!(ledger.versions("alice", "meal", day), []);
    assert_eq!(ledger.versions("alice", "daily_sleep", "2011-01-01".parse().unwrap()), [], "before the first day");
    assert_eq!(ledger.versions("alice", "personal_info", day).len(), 1);
}
