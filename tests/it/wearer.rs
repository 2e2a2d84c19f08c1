//! What a wearer's own clock says: which day it is for them from the first poll on, how old a document is, when the night
//! began, and since when there are documents at all.

use std::collections::BTreeMap;

use crate::common::{Exporter, Page, Plan, day, moment, simulator_at, truth::local};
use chrono::{NaiveDate, TimeDelta};
use oura_exporter::simulator::{Fault, Scope, Simulator};
use serde_json::{Value, json};

/// The same life by another clock: every time with an offset gets this one, and shows what it showed.
fn moved(value: &mut Value, offset: &str) {
    match value {
        Value::String(text) if text.contains('T') && text.ends_with("-05:00") => {
            let clock = text.len() - offset.len();
            text.replace_range(clock.., offset);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| moved(item, offset)),
        Value::Object(members) => members.values_mut().for_each(|member| moved(member, offset)),
        _ => {}
    }
}

/// Bob's page at that moment, if he lived by that clock; of his days from `day` on there is a nap and nothing else of sleep.
struct Life {
    now: &'static str,
    offset: &'static str,
    day: &'static str,
}

impl Life {
    async fn simulator(&self) -> Simulator {
        let simulator = simulator_at(self.now).await;
        let (offset, day) = (self.offset, self.day);
        simulator.faults().edit(Scope::all(), move |documents| documents.iter_mut().for_each(|one| moved(one, offset)));
        for collection in ["sleep", "daily_sleep", "daily_readiness"] {
            simulator.faults().edit(Scope::collection(collection), move |documents| {
                documents.retain(|document| document["day"].as_str() < Some(day));
            });
        }
        simulator.faults().edit(Scope::collection("sleep"), move |documents| {
            documents.push(json!({
                "id": "a nap", "day": day, "type": "sleep", "total_sleep_duration": 1_500, "time_in_bed": 1_800,
                "bedtime_start": format!("{day}T00:30:00{offset}"), "bedtime_end": format!("{day}T01:00:00{offset}"),
                "period": 0, "low_battery_alert": false,
            }));
        });
        simulator
    }

    async fn exporter(&self, simulator: &Simulator, collections: &str) -> Exporter {
        let plan = Plan { people: &["bob"], ..Plan::default() }.at(self.now).still();
        plan.set("OURA_COLLECTIONS", collections).ready(simulator).await
    }

    fn seconds(&self) -> f64 {
        let zone = local(&json!(format!("2026-11-22T00:00:00{}", self.offset)));
        f64::from(zone.offset().local_minus_utc())
    }
}

fn of_bob(page: &Page, metric: &str, collection: &str) -> Option<f64> {
    page.get(&format!("oura_{metric}{{account=\"bob\",collection=\"{collection}\"}}"))
}

/// The days of which the record has samples of that name.
async fn days_of(exporter: &Exporter, name: &str) -> BTreeMap<NaiveDate, Vec<f64>> {
    let (status, page) = exporter.get("/metrics/samples?learnt=14d").await;
    assert_eq!(status, 200, "{page}");
    let mut days = BTreeMap::<NaiveDate, Vec<f64>>::new();
    for line in page.lines().filter(|line| line.starts_with(&format!("oura_sample_{name}{{"))) {
        let words: Vec<_> = line.rsplitn(3, ' ').collect();
        let time = chrono::DateTime::from_timestamp_millis(words[0].parse().expect("milliseconds")).expect("a time");
        days.entry(time.date_naive()).or_default().push(words[1].parse().expect("a number"));
    }
    days
}

/// Everything; what tells the zone alone; the night alone; and the night with what tells of no zone.
const ASKED: [&str; 4] = [
    "daily_activity,heartrate,daily_readiness,daily_sleep,sleep,daily_stress,workout,enhanced_tag,ring_battery_level",
    "daily_activity,sleep",
    "sleep",
    "heartrate,daily_readiness,daily_sleep,sleep",
];

#[tokio::test]
async fn from_the_first_poll_on_a_day_that_is_not_over_by_the_wearers_clock_is_not_taken_for_over() {
    for (now, offset, day_of_nap, is_over) in [
        // Evenings in the west, when it is tomorrow in Greenwich.
        ("2026-11-23T04:00:00Z", "-05:00", "2026-11-22", false),
        ("2026-11-23T05:30:00Z", "-08:00", "2026-11-22", false),
        ("2026-11-23T10:45:00Z", "-11:00", "2026-11-22", false),
        ("2026-11-23T03:00:00Z", "-11:00", "2026-11-22", false),
        ("2026-11-23T09:20:00Z", "-09:30", "2026-11-22", false),
        // The same nights after midnight there.
        ("2026-11-23T08:00:01Z", "-08:00", "2026-11-22", true),
        ("2026-11-23T11:00:01Z", "-11:00", "2026-11-22", true),
        // Mornings in the east, when it is still yesterday in Greenwich.
        ("2026-11-22T12:00:00Z", "+14:00", "2026-11-22", true),
        ("2026-11-22T19:00:00Z", "+05:45", "2026-11-22", true),
        ("2026-11-22T09:00:00Z", "+14:00", "2026-11-22", false),
    ] {
        for collections in ASKED {
            let life = Life { now, offset, day: day_of_nap };
            let simulator = life.simulator().await;
            let exporter = life.exporter(&simulator, collections).await;
            let page = exporter.page().await;
            let what = format!("{now} at {offset}, asked for {collections}");
            let zone = page.get("oura_wearer_utc_offset_seconds{account=\"bob\"}");
            assert_eq!(zone, Some(life.seconds()), "{what}");
            let shown = if is_over { day(day_of_nap) } else { day(day_of_nap) - TimeDelta::days(1) };
            let midnight = shown.and_hms_opt(0, 0, 0).expect("midnight").and_utc().timestamp();
            assert_eq!(of_bob(&page, "document_day_timestamp_seconds", "sleep"), Some(midnight as f64), "{what}");
            // Of what is over the age is a day, of yesterday's night as well.
            assert_eq!(of_bob(&page, "document_age_days", "sleep"), Some(1.0), "{what}");
            let naps = days_of(&exporter, "day_naps").await;
            assert_eq!(naps.contains_key(&day(day_of_nap)), is_over, "{what}: {naps:?}");
            exporter.stop().await;
        }
    }
}

#[tokio::test]
async fn where_what_tells_the_zone_fails_at_first_the_next_one_tells_it() {
    let life = Life { now: "2026-11-23T05:30:00Z", offset: "-08:00", day: "2026-11-22" };
    for failing in ["daily_activity", "sleep"] {
        let simulator = life.simulator().await;
        simulator.faults().set(Scope::collection(failing), Fault::Status(500));
        let exporter = life.exporter(&simulator, ASKED[0]).await;
        let page = exporter.page().await;
        assert_eq!(page.get("oura_wearer_utc_offset_seconds{account=\"bob\"}"), Some(-28_800.0), "without {failing}");
        let naps = days_of(&exporter, "day_naps").await;
        assert!(!naps.contains_key(&day("2026-11-22")), "without {failing}: {naps:?}");
        exporter.stop().await;
    }
}

#[tokio::test]
async fn a_document_is_as_old_as_the_wearers_clock_has_it() {
    const WEST: [&str; 2] = ["2026-11-22", "2026-11-21"];
    // What he has there so far, who lives in the west.
    const EAST: [&str; 2] = ["2026-11-21", "2026-11-21"];
    for (now, offset, last, ages) in [
        // An hour before midnight there, and an hour after.
        ("2026-11-23T07:00:00Z", "-08:00", WEST, [0.0, 1.0]),
        ("2026-11-23T09:00:00Z", "-08:00", WEST, [1.0, 2.0]),
        ("2026-11-22T09:00:00Z", "+14:00", EAST, [1.0, 1.0]),
        ("2026-11-22T11:00:00Z", "+14:00", EAST, [2.0, 2.0]),
    ] {
        let life = Life { now, offset, day: "2026-11-22" };
        let simulator = life.simulator().await;
        for (collection, last) in ["daily_activity", "daily_stress"].into_iter().zip(last) {
            simulator.faults().edit(Scope::collection(collection), move |documents| {
                documents.retain(|document| document["day"].as_str() <= Some(last));
            });
        }
        let exporter = life.exporter(&simulator, ASKED[0]).await;
        let page = exporter.page().await;
        let found = ["daily_activity", "daily_stress"].map(|collection| of_bob(&page, "document_age_days", collection));
        assert_eq!(found, ages.map(Some), "{now} at {offset}");
        exporter.stop().await;
    }
}

/// A late nap counts for the next day, which has not begun.
#[tokio::test]
async fn what_counts_for_tomorrow_is_a_day_younger_than_new() {
    let simulator = simulator_at("2026-11-22T18:00:00Z").await;
    simulator.faults().edit(Scope::collection("sleep"), |documents| {
        documents.push(json!({
            "id": "a night for tomorrow", "day": "2026-11-23", "type": "long_sleep", "total_sleep_duration": 11_000,
            "time_in_bed": 11_500, "bedtime_start": "2026-11-22T16:00:00+02:00", "period": 0,
            "bedtime_end": "2026-11-22T19:20:00+02:00", "low_battery_alert": false,
        }));
    });
    let page = Plan::default().at("2026-11-22T18:00:00Z").ready(&simulator).await.page().await;
    assert_eq!(page.collection("oura_document_age_days", "sleep"), Some(-1.0));
    assert_eq!(page.get("oura_night_bedtime_start_offset_seconds"), Some(-8.0 * 3600.0));
    assert_eq!(page.get("oura_night_bedtime_end_offset_seconds"), Some(-(4.0 * 3600.0 + 2_400.0)));
}

#[tokio::test]
async fn the_night_begins_and_ends_by_the_clock_that_it_was_written_by() {
    for (start, end, offsets) in [
        // Before midnight and after it; in whole days; over a flight; and when the clocks are changed in the night.
        ("2026-11-21T23:10:00+02:00", "2026-11-22T07:00:30+02:00", [-3_000.0, 25_230.0]),
        ("2026-11-22T00:00:00+02:00", "2026-11-22T08:00:00+02:00", [0.0, 28_800.0]),
        ("2026-11-22T01:00:00.500+02:00", "2026-11-22T08:00:00+02:00", [3_600.5, 28_800.0]),
        ("2026-11-21T20:00:00-08:00", "2026-11-22T05:00:00-05:00", [-14_400.0, 18_000.0]),
        ("2026-11-21T22:00:00+05:45", "2026-11-22T06:00:00+05:45", [-7_200.0, 21_600.0]),
        ("2026-11-21T23:00:00+03:00", "2026-11-22T07:00:00+02:00", [-3_600.0, 25_200.0]),
    ] {
        let simulator = simulator_at(crate::common::NOON).await;
        simulator.faults().edit(Scope::collection("sleep"), move |documents| {
            documents.retain(|document| document["day"] != "2026-11-22");
            documents.push(json!({
                "id": "a night", "day": "2026-11-22", "type": "long_sleep", "total_sleep_duration": 25_000,
                "time_in_bed": 26_000, "bedtime_start": start, "bedtime_end": end, "period": 0,
                "low_battery_alert": false,
            }));
        });
        let exporter = Plan::default().ready(&simulator).await;
        let page = exporter.page().await;
        let name = |end: &str| format!("night_bedtime_{end}_offset_seconds");
        let found = ["start", "end"].map(|end| page.get(&format!("oura_{}", name(end))));
        assert_eq!(found, offsets.map(Some), "{start} to {end}");
        for (end, expected) in ["start", "end"].iter().zip(offsets) {
            let recorded = days_of(&exporter, &name(end)).await;
            assert_eq!(recorded[&day("2026-11-22")], [expected], "{start}");
        }
        exporter.stop().await;
    }
}

/// Whether a document is of that day or a later one.
fn is_of(document: &Value, first: &str) -> bool {
    let day = document["day"].as_str().or(document["start_day"].as_str());
    let time = document["timestamp"].as_str().or(document["set_up_at"].as_str());
    day.or(time).is_none_or(|day| day >= first)
}

/// Periods of rest mode, and what the record must say of days of them.
struct Rest {
    periods: Vec<(&'static str, Option<&'static str>)>,
    on: &'static [&'static str],
}

#[tokio::test]
async fn rest_mode_is_told_of_each_day_from_the_first_document_on_and_of_none_before() {
    let now = "2026-11-22T12:00:00Z";
    for Rest { periods, on } in [
        Rest { periods: vec![], on: &[] },
        Rest { periods: vec![("2026-11-19", Some("2026-11-20"))], on: &["2026-11-19", "2026-11-20"] },
        // It began before there was anything, and is still on.
        Rest {
            periods: vec![("2026-11-01", None)],
            on: &["2026-11-18", "2026-11-19", "2026-11-20", "2026-11-21", "2026-11-22"],
        },
        Rest { periods: vec![("2026-11-01", Some("2026-11-10"))], on: &[] },
        Rest {
            periods: vec![("2026-11-22", None), ("2026-11-10", Some("2026-11-18"))],
            on: &["2026-11-18", "2026-11-22"],
        },
        // What is to come is no fact.
        Rest { periods: vec![("2026-11-23", Some("2026-11-30"))], on: &[] },
    ] {
        let simulator = simulator_at(now).await;
        simulator.faults().edit(Scope::all(), |documents| documents.retain(|document| is_of(document, "2026-11-18")));
        let own: Vec<_> = periods
            .iter()
            .map(|(start, end)| json!({ "id": start, "start_day": start, "end_day": end, "episodes": [] }))
            .collect();
        simulator.faults().edit(Scope::collection("rest_mode_period"), move |documents| *documents = own.clone());
        let exporter = Plan::default().at(now).ready(&simulator).await;
        let expected: BTreeMap<_, _> = day("2026-11-18")
            .iter_days()
            .take(5)
            .map(|day| (day, vec![f64::from(u8::from(on.contains(&day.to_string().as_str())))]))
            .collect();
        assert_eq!(days_of(&exporter, "rest_mode").await, expected, "{periods:?}");
        let is_on = on.contains(&"2026-11-22");
        assert_eq!(exporter.page().await.get("oura_rest_mode"), Some(f64::from(u8::from(is_on))), "{periods:?}");
        exporter.stop().await;
    }
}

#[tokio::test]
async fn of_an_account_without_a_document_rest_mode_says_nothing() {
    let simulator = simulator_at("2026-11-22T12:00:00Z").await;
    simulator.faults().edit(Scope::all(), Vec::clear);
    simulator.faults().edit(Scope::collection("rest_mode_period"), |documents| {
        *documents = vec![json!({ "id": "r", "start_day": "2026-11-01", "end_day": null, "episodes": [] })];
    });
    let exporter = Plan::default().at("2026-11-22T12:00:00Z").ready(&simulator).await;
    assert_eq!(days_of(&exporter, "rest_mode").await, BTreeMap::new());
    assert_eq!(exporter.page().await.get("oura_rest_mode"), Some(1.0), "the page says what holds now");
    exporter.stop().await;
}

/// Rest mode asks for its own days only; whatever is older tells that the account is.
#[tokio::test]
async fn the_first_document_may_be_of_any_collection_and_the_record_of_it_may_come_later() {
    for first in ["daily_activity", "daily_sleep", "sleep", "daily_stress", "sleep_time", "workout"] {
        let now = "2026-11-22T12:00:00Z";
        let (clock, hand) = oura_exporter::clock::Clock::driven_from(moment(now));
        let simulator = crate::common::simulator_with(clock.clone()).await;
        simulator.faults().edit(Scope::all(), |documents| documents.retain(|document| is_of(document, "2026-11-20")));
        let exporter = Plan::default().often().by(clock).ready(&simulator).await;
        let told = days_of(&exporter, "rest_mode").await;
        assert_eq!(told.keys().next(), Some(&day("2026-11-20")), "before {first}");
        // A document of four days earlier comes late.
        simulator.faults().edit(Scope::collection(first), |documents| {
            let mut late = documents.iter().find(|document| document["day"] == "2026-11-21").cloned();
            late.iter_mut().for_each(|late| late["day"] = json!("2026-11-16"));
            documents.extend(late);
        });
        hand.advance(TimeDelta::hours(2));
        let from = async || {
            let told = days_of(&exporter, "rest_mode").await;
            (told.keys().next() == Some(&day("2026-11-16"))).then_some(told)
        };
        let told = crate::common::eventually(first, from).await;
        assert_eq!(told.len(), 7, "{first}: each day from then on");
        exporter.stop().await;
    }
}
