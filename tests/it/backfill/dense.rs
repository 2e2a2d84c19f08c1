//! What has a value a minute or a second: each at its own time as the documents have it, and nothing that Oura made up.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use oura_exporter::{
    clock::Clock,
    simulator::{Scope, Settings, Simulator},
};
use serde_json::{Value, json};

use super::{
    documents::{Documents, Parts, assert_same_points},
    tell,
};
use crate::{
    common::{backfill::Run, moment},
    receiving::receiver::{Behaviour, Receiver},
    record::expected::local,
};

const SAMPLED: &str = "daily_activity,heartrate,sleep,session,ring_battery_level";

/// A service at which it is always `at`.
async fn service(at: DateTime<Utc>) -> Simulator {
    oura_exporter::tls::choose_provider();
    let settings = Settings { clock: Clock::still_at(at).into(), full_days: Some(0), ..Settings::default() };
    Simulator::start(settings).await.expect("a free port")
}

/// What a backfill sends at that time, and what it must tell; the documents as well.
async fn told(
    simulator: &Simulator,
    person: &'static str,
    collections: &'static str,
    days: (NaiveDate, NaiveDate),
    at: DateTime<Utc>,
) -> (Parts, Parts, Documents) {
    let receiver = Receiver::with(Behaviour::default(), Clock::still_at(at)).await;
    let run = Run { person, collections, days, clock: Clock::still_at(at), state: None };
    run.send(simulator, &receiver.url()).await;
    let kept = receiver.kept();
    kept.assert_proper(person);
    let documents = Documents::of(simulator, person, collections, days, at).await;
    (Parts::of(&kept.samples, at), documents.parts(), documents)
}

/// Minutes that Oura filled with 0.9, beyond what the ring has synced of a day.
fn padding(day: &Value) -> Vec<i64> {
    let begin = local(&day["met"]["timestamp"]).expect("a time").timestamp_millis();
    let known = day["class_5_min"].as_str().unwrap_or_default().len() * 5;
    let items = day["met"]["items"].as_array().expect("minutes");
    (known..items.len()).map(|minute| begin + minute as i64 * 60_000).collect()
}

#[tokio::test]
async fn a_half_synced_day_is_told_as_far_as_the_ring_has_synced_and_no_further() {
    let (mut padded, mut told_in_all, mut half_synced) = (0, 0, 0);
    for (person, hour) in [("alice", 7), ("alice", 11), ("alice", 20), ("bob", 3), ("bob", 15), ("bob", 22)] {
        let at = moment("2026-09-14T00:40:00Z") + TimeDelta::days(hour % 5) + TimeDelta::hours(hour);
        let (simulator, today) = (service(at).await, at.date_naive());
        let days = (today - TimeDelta::days(2), today + TimeDelta::days(1));
        let (told, expected, documents) = told(&simulator, person, SAMPLED, days, at).await;
        assert_same_points(&told.dense, &expected.dense, &format!("{person} at {at}"));
        let met = &told.dense["oura_sample_met"];
        for day in documents.collection("daily_activity") {
            let padding = padding(day);
            half_synced += usize::from(!padding.is_empty());
            padded += padding.iter().filter(|minute| met.contains_key(*minute)).count();
        }
        told_in_all += met.len();
    }
    tell(&format!("{half_synced} half-synced days, {told_in_all} minutes told, of which {padded} were padding"));
    assert!(half_synced >= 6, "{half_synced} half-synced days");
    assert_eq!(padded, 0);
}

#[tokio::test]
async fn nights_naps_and_sessions_of_two_weeks_stand_second_by_second() {
    let at = moment("2026-09-20T09:00:00Z");
    let simulator = service(at).await;
    let days = (at.date_naive() - TimeDelta::days(14), at.date_naive());
    for person in ["alice", "bob"] {
        let (told, expected, documents) = told(&simulator, person, SAMPLED, days, at).await;
        assert_same_points(&told.dense, &expected.dense, person);
        assert_eq!(told.dense.len(), 10 + sources(&expected), "{:?}", told.dense.keys());
        let nights = documents.collection("sleep").iter().filter(|period| period["type"] == "long_sleep").count();
        assert!(nights >= 12, "{nights} nights");
    }
}

/// How many sources of heart rate there are.
fn sources(parts: &Parts) -> usize {
    parts.dense.keys().filter(|series| series.starts_with("oura_sample_heart_rate_bpm")).count()
}

#[tokio::test]
async fn stages_are_read_from_the_finest_string_that_a_night_has() {
    let at = moment("2026-09-20T09:00:00Z");
    let simulator = service(at).await;
    let mut kinds = [0; 3];
    for before in [10, 500, 900] {
        let last = at.date_naive() - TimeDelta::days(before);
        let (told, expected, documents) =
            told(&simulator, "alice", "sleep", (last - TimeDelta::days(25), last), at).await;
        assert_same_points(&told.dense, &expected.dense, &format!("stages of {before} days ago"));
        for night in documents.collection("sleep") {
            let has = |name: &str| night[name].is_string();
            let finest = ["sleep_phase_30_sec", "app_sleep_phase_5_min", "sleep_phase_5_min"].into_iter().position(has);
            finest.into_iter().for_each(|finest| kinds[finest] += 1);
        }
    }
    assert!(kinds.iter().all(|nights| *nights > 3), "nights by their finest string: {kinds:?}");
}

#[tokio::test]
async fn rows_of_one_second_and_several_sources_are_several_series() {
    let at = moment("2026-09-20T09:00:00Z");
    let simulator = service(at).await;
    let second = moment("2026-09-19T12:00:07Z");
    simulator.faults().edit(Scope::collection("heartrate"), move |rows| {
        let sources = [(71, "awake"), (73, "live"), (75, "workout"), (70, "awake")];
        rows.extend(sources.map(|(bpm, source)| {
            json!({"bpm": bpm, "source": source, "timestamp": second.to_rfc3339(), "timestamp_unix": second.timestamp_millis()})
        }));
        rows.sort_by_key(|row| local(&row["timestamp"]));
    });
    let days = (at.date_naive() - TimeDelta::days(6), at.date_naive());
    let (told, expected, _) = told(&simulator, "alice", "heartrate", days, at).await;
    assert_same_points(&told.dense, &expected.dense, "heart rate");
    let at_once = |time: i64| {
        let series = |source| told.dense.get(&format!("oura_sample_heart_rate_bpm{{source=\"{source}\"}}"))?.get(&time);
        ["awake", "live", "workout"].map(series)
    };
    assert_eq!(at_once(second.timestamp_millis()), [Some(&70.0), Some(&73.0), Some(&75.0)], "of one source the last");
    let awake = told.dense["oura_sample_heart_rate_bpm{source=\"awake\"}"].keys();
    let twice = awake.filter(|time| at_once(**time)[1].is_some()).count();
    assert!(twice > 3, "{twice} seconds with two sources");
}
