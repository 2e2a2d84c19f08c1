//! Days across the date line and the changes of the clock: each document stands on its own day, wherever its wearer was.

use chrono::{NaiveDate, TimeDelta};
use oura_exporter::{
    clock::Clock,
    simulator::{Scope, Settings, Simulator},
};
use serde_json::{Value, json};

use super::{
    DAILY,
    documents::{Documents, Parts},
};
use crate::{
    common::{NOON, backfill::Run, day, moment, samples::Samples, truth::is_night},
    record::expected::local,
};

/// Where no more is needed.
const FEW: &str = "daily_readiness,daily_sleep,enhanced_tag,rest_mode_period";

async fn service(years: u32) -> Simulator {
    oura_exporter::tls::choose_provider();
    let clock = Clock::still_at(moment(NOON));
    let settings =
        Settings { clock: clock.into(), years, full_days: Some(0), has_traveller: true, ..Settings::default() };
    Simulator::start(settings).await.expect("a free port")
}

/// A stretch of somebody's life as a backfill tells it, which is what the documents say, and these.
async fn told_truly(simulator: &Simulator, person: &'static str, first: &str, last: &str) -> (Parts, Documents) {
    told_truly_of(simulator, person, DAILY, first, last).await
}

async fn told_truly_of(
    simulator: &Simulator,
    person: &'static str,
    collections: &'static str,
    first: &str,
    last: &str,
) -> (Parts, Documents) {
    let (days, at) = ((day(first), day(last)), moment(NOON));
    let directory = tempfile::tempdir().expect("a directory");
    let run = Run { person, collections, days, clock: Clock::still_at(at), state: None };
    run.into_files(simulator, directory.path()).await;
    let told = Parts::of(&Samples::of_run(directory.path()), at);
    let documents = Documents::of(simulator, person, collections, days, at).await;
    told.assert_same(&documents.parts(), &format!("{person} from {first} to {last}"));
    (told, documents)
}

/// The offset from UTC, in hours, by which the night of that day was over.
fn hours(documents: &Documents, day: &str) -> i32 {
    let night = documents.collection("sleep").iter().rfind(|period| period["day"] == day && is_night(period));
    let end = night.and_then(|night| local(&night["bedtime_end"])).unwrap_or_else(|| panic!("no night of {day}"));
    end.offset().local_minus_utc() / 3600
}

async fn travelled(person: &'static str, first: &str, last: &str, expected: &[(&str, i32)]) {
    let (told, documents) = told_truly(&service(5).await, person, first, last).await;
    let span = (day(last) - day(first)).num_days() as usize + 1;
    assert!(told.days.len() + 1 >= span, "{} of {span} days", told.days.len());
    for (day, offset) in expected {
        assert_eq!(hours(&documents, day), *offset, "{person} on {day}");
    }
}

#[tokio::test]
async fn over_the_date_line_and_back_each_document_keeps_its_day() {
    travelled(
        "bob",
        "2025-10-27",
        "2025-11-21",
        &[("2025-11-02", -5), ("2025-11-05", 13), ("2025-11-14", 13), ("2025-11-16", -5)],
    )
    .await;
}

#[tokio::test]
async fn a_long_way_east_and_back_each_document_keeps_its_day() {
    travelled("alice", "2026-03-30", "2026-04-18", &[("2026-04-02", 3), ("2026-04-08", 9)]).await;
}

#[tokio::test]
async fn when_the_clocks_change_each_document_keeps_its_day() {
    travelled("alice", "2026-03-24", "2026-04-02", &[("2026-03-28", 2), ("2026-03-29", 3)]).await;
    travelled("alice", "2025-10-21", "2025-10-30", &[("2025-10-25", 3), ("2025-10-26", 2)]).await;
    travelled("bob", "2026-03-03", "2026-03-12", &[("2026-03-07", -5), ("2026-03-08", -4)]).await;
    travelled("bob", "2025-10-28", "2025-11-02", &[("2025-11-01", -4), ("2025-11-02", -5)]).await;
}

#[tokio::test]
async fn where_the_clocks_change_while_one_is_away_each_document_keeps_its_day() {
    travelled("carol", "2026-03-01", "2026-03-20", &[("2026-03-04", -8), ("2026-03-12", -4), ("2026-03-18", -7)]).await;
    travelled("carol", "2025-10-22", "2025-11-12", &[("2025-10-26", -7), ("2025-10-31", 9), ("2025-11-10", -8)]).await;
}

/// The same life by another clock: every time with an offset gets this one, and shows what it showed.
fn moved(value: &mut Value, offset: &str) {
    match value {
        Value::String(text) if text.len() >= 25 && text.contains('T') && local(&json!(text)).is_some() => {
            let clock = text.len() - offset.len();
            if !text.ends_with('Z') {
                text.replace_range(clock.., offset);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| moved(item, offset)),
        Value::Object(members) => members.values_mut().for_each(|member| moved(member, offset)),
        _ => {}
    }
}

#[tokio::test]
async fn at_the_ends_of_the_world_each_document_keeps_its_day() {
    for offset in ["-11:00", "+14:00", "-09:30", "+12:45"] {
        let simulator = service(5).await;
        simulator.faults().edit(Scope::all(), move |documents| documents.iter_mut().for_each(|one| moved(one, offset)));
        let (told, documents) = told_truly(&simulator, "alice", "2026-08-20", "2026-09-10").await;
        assert!(told.days.len() >= 20, "{} days", told.days.len());
        let times = documents.collection("daily_activity").iter().map(|day| day["timestamp"].as_str().expect("a time"));
        assert!(times.clone().count() > 20 && times.clone().all(|time| time.ends_with(&format!("T04:00:00{offset}"))));
    }
}

#[tokio::test]
async fn a_nap_is_no_night_however_long_it_is_and_however_alone() {
    let simulator = service(5).await;
    simulator.faults().edit(Scope::collection("sleep"), |periods| {
        let mut longer = vec![];
        for period in periods.iter_mut().filter(|period| is_night(period)) {
            match period["day"].as_str() {
                // The only sleep of this day is a nap.
                Some("2026-05-12") => period["type"] = json!("sleep"),
                // On this day a nap is longer than the night, and what the wearer took away is longer still.
                Some("2026-05-14") => {
                    longer =
                        [("late_nap", 3), ("deleted", 5), ("rest", 7)].map(|kind| nap_after(period, kind)).to_vec();
                }
                _ => {}
            }
        }
        periods.extend(longer);
    });
    let (told, _) = told_truly(&simulator, "alice", "2026-05-09", "2026-05-17").await;
    let asleep = |day: &str| told.days[&self::day(day)].get("oura_sample_night_total_sleep_seconds");
    assert_eq!(asleep("2026-05-12"), None);
    assert!(asleep("2026-05-13").is_some() && asleep("2026-05-14").is_some_and(|slept| *slept < 40_000.0));
}

/// A period of that type which began so many hours after the night was over, and in which more was slept.
fn nap_after(night: &Value, (kind, hours): (&str, i64)) -> Value {
    let mut nap = night.clone();
    let start = local(&night["bedtime_end"]).expect("a time") + TimeDelta::hours(hours);
    nap["id"] = json!(kind);
    nap["type"] = json!(kind);
    nap["bedtime_start"] = json!(start.to_rfc3339());
    nap["bedtime_end"] = json!((start + TimeDelta::hours(1)).to_rfc3339());
    nap["total_sleep_duration"] = json!(40_000 + hours);
    nap
}

#[tokio::test]
async fn a_tag_counts_on_each_of_its_days_over_the_ends_of_months() {
    for days in [1, 9, 45, 200] {
        let simulator = service(5).await;
        let first = day("2026-02-25");
        simulator.faults().edit(Scope::collection("enhanced_tag"), move |tags| {
            let last = first + TimeDelta::days(days - 1);
            tags.push(
                json!({"id": "long", "tag_type_code": "tag_generic_travel", "start_time": "2026-02-25T08:00:00+02:00",
                             "end_time": null, "start_day": first, "end_day": last, "comment": null}),
            );
        });
        let (told, _) = told_truly_of(&simulator, "alice", FEW, "2026-02-20", "2026-05-03").await;
        let travelled =
            |day: &NaiveDate| told.days[day].contains_key("oura_sample_day_tags{tag=\"tag_generic_travel\"}");
        let travelled = told.days.keys().filter(|day| travelled(day)).count() as i64;
        assert_eq!(travelled, days.min((day("2026-05-03") - first).num_days() + 1));
    }
}

#[tokio::test]
async fn rest_mode_says_nothing_of_the_time_before_the_first_document() {
    let simulator = service(1).await;
    let (told, _) = told_truly_of(&simulator, "alice", FEW, "2025-10-01", "2025-12-20").await;
    let first = *told.days.keys().next().expect("a day");
    assert!(first > day("2025-11-15"), "the first day is {first}");
    assert!(told.days.values().all(|values| values.contains_key("oura_sample_rest_mode")));
}
