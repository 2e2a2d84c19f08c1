//! The data: the same for the same seed, consistent in themselves, and appearing as a day goes by.

use std::collections::BTreeSet;

use chrono::DateTime;
use serde_json::Value;

use super::{Bench, NOON, running_from};
use crate::{COLLECTIONS, Kind, Settings};

const LAST_QUARTER: &str = "start_date=2026-05-19&end_date=2026-08-21";

#[tokio::test]
async fn the_same_seed_gives_the_same_data() {
    let (one, other) = (Bench::at(NOON).await, Bench::at(NOON).await);
    for collection in COLLECTIONS.iter().filter(|collection| collection.kind == Kind::Dates) {
        let path = format!("{}?start_date=2026-07-01&end_date=2026-08-18", collection.name);
        assert_eq!(one.data("alice", &path).await, other.data("alice", &path).await, "{path}");
        assert_ne!(one.data("alice", &path).await, one.data("bob", &path).await, "{path}");
    }
}

#[tokio::test]
async fn durations_of_a_night_add_up() {
    let bench = Bench::at(NOON).await;
    for person in ["alice", "bob"] {
        let mut nights = bench.data(person, &format!("sleep?{LAST_QUARTER}")).await;
        nights.retain(|night| !night["total_sleep_duration"].is_null());
        assert!(nights.len() > 120, "{}", nights.len());
        for night in nights {
            let seconds = |field: &str| night[field].as_i64().unwrap();
            let phases = night["sleep_phase_30_sec"].as_str().unwrap();
            let count = |phase: char| phases.chars().filter(|&other| other == phase).count() as i64 * 30;
            let parts = ["deep_sleep_duration", "light_sleep_duration", "rem_sleep_duration"].map(seconds);
            assert_eq!(parts.iter().sum::<i64>(), seconds("total_sleep_duration"));
            assert_eq!(parts, [count('1'), count('2'), count('3')]);
            assert_eq!(seconds("total_sleep_duration") + seconds("awake_time"), seconds("time_in_bed"));
            assert_eq!(night["sleep_phase_5_min"].as_str().unwrap().len() as i64, (seconds("time_in_bed") + 299) / 300);
            assert!(parts.iter().all(|seconds| *seconds >= 0) && seconds("awake_time") >= 0, "{night}");
            let is_night = night["type"] == "long_sleep";
            assert!(!is_night || (48..95).contains(&seconds("efficiency")), "{night}");
            assert!(!is_night || night["lowest_heart_rate"].as_i64() < Some(80) || night["hrv"].is_null(), "{night}");
        }
    }
}

#[tokio::test]
async fn activity_adds_up_to_a_day() {
    let bench = Bench::at(NOON).await;
    let days = bench.data("alice", &format!("daily_activity?{LAST_QUARTER}")).await;
    let times = [
        "non_wear_time",
        "resting_time",
        "sedentary_time",
        "low_activity_time",
        "medium_activity_time",
        "high_activity_time",
    ];
    let (today, past) = days.split_last().unwrap();
    let slots = |day: &Value| day["class_5_min"].as_str().unwrap().len();
    for day in &days {
        assert_eq!(times.iter().map(|time| day[time].as_i64().unwrap()).sum::<i64>(), slots(day) as i64 * 300);
        assert_eq!(day["met"]["items"].as_array().unwrap().len(), 1440);
    }
    let whole: Vec<&Value> = past.iter().filter(|day| slots(day) == 288).collect();
    assert!(whole.len() < past.len() && whole.len() + 6 > past.len(), "{} of {} days", whole.len(), past.len());
    for day in whole {
        let (steps, calories) = (day["steps"].as_i64().unwrap(), day["total_calories"].as_i64().unwrap());
        assert!(steps < 42_000 && (1_300..5_800).contains(&calories), "{steps} steps, {calories} kcal");
    }
    assert_eq!(today["day"], "2026-08-19");
    assert!(today["score"].is_number());
    assert!((13 * 12 + 4..=13 * 12 + 6).contains(&slots(today)), "from four in the morning to the last sync");
    let padding = &today["met"]["items"].as_array().unwrap()[slots(today) * 5..];
    assert!(padding.iter().all(|met| *met == 0.9), "what is not synced is padded");
    let early = Bench::at("2026-08-19T06:00:00Z").await.data("alice", "daily_activity?end_date=2026-08-20").await;
    assert_eq!((&early[0]["day"], &early[0]["score"]), (&today["day"], &Value::Null), "no score before ten");
    assert!(early[0]["steps"].as_i64() < today["steps"].as_i64());
}

#[tokio::test]
async fn a_night_runs_then_is_found_then_revised() {
    let night = async |moment: &str| {
        let bench = Bench::at(moment).await;
        let nights = bench.data("alice", "sleep?start_date=2026-08-17&end_date=2026-08-21").await;
        let night = nights.into_iter().find(|night| night["day"] == "2026-08-19" && night["type"] == "long_sleep");
        (night.unwrap_or_default(), bench.each("alice", "daily_sleep", "score").await.len(), bench)
    };
    let (before, _, _) = night("2026-08-18T19:00:00Z").await;
    assert!(before.is_null());
    let (running, scores, _) = night("2026-08-19T00:30:00Z").await;
    assert_eq!((&running["bedtime_end"], scores), (&Value::Null, 1));
    let (revised, scores, _) = night(NOON).await;
    assert_eq!((&revised["id"], scores), (&running["id"], 2));
    let end = DateTime::parse_from_rfc3339(revised["bedtime_end"].as_str().unwrap()).unwrap();
    let (found, _, bench) = night(&(end + chrono::TimeDelta::minutes(20)).to_utc().to_rfc3339()).await;
    assert_eq!(found["sleep_analysis_reason"], "background_sleep_analysis");
    assert_eq!(found["id"], revised["id"]);
    assert!(found["total_sleep_duration"].as_i64() < revised["total_sleep_duration"].as_i64());
    let first = bench.data("alice", "daily_sleep").await.pop().unwrap();
    let later = Bench::at(NOON).await.data("alice", "daily_sleep").await.pop().unwrap();
    assert_eq!(first["id"], later["id"]);
    assert_ne!(first["score"], later["score"]);
}

#[tokio::test]
async fn a_quarter_has_every_trap() {
    let bench = Bench::at(NOON).await;
    let nights = [
        bench.data("alice", &format!("sleep?{LAST_QUARTER}")).await,
        bench.data("bob", &format!("sleep?{LAST_QUARTER}")).await,
    ]
    .concat();
    for kind in ["long_sleep", "sleep", "late_nap", "rest", "deleted"] {
        assert!(nights.iter().any(|night| night["type"] == kind), "no {kind}");
    }
    let unseen = nights.iter().find(|night| night["lowest_heart_rate"] == 255).unwrap();
    assert!(unseen["hrv"].is_null() && unseen["average_heart_rate"].is_number());
    for person in ["alice", "bob"] {
        let scores = bench.data(person, "daily_sleep?start_date=2026-07-08&end_date=2026-08-19").await;
        assert!(scores.iter().any(|day| day["score"].as_i64() < Some(60)), "{person} had no bad week in six weeks");
    }
    let readiness = bench.data("alice", "daily_readiness?start_date=2025-08-19&end_date=2026-08-19").await;
    let warmest = readiness.iter().filter_map(|day| day["temperature_deviation"].as_f64()).fold(0.0, f64::max);
    assert!(warmest > 1.2, "no illness: {warmest}");
    assert!(readiness.len() < 365, "the ring was never forgotten");
    assert!(readiness.iter().any(|day| day["contributors"]["hrv_balance"].is_null()));
    let old = bench.data("alice", "daily_cardiovascular_age?start_date=2023-01-01&end_date=2023-03-01").await;
    assert!(!old.is_empty() && old.iter().all(|document| document.get("id").is_none()));
    let old = bench.data("alice", "daily_readiness?start_date=2023-01-01&end_date=2023-03-01").await;
    assert!(old.iter().all(|document| document["contributors"].get("sleep_regularity").is_none()));
}

#[tokio::test]
async fn stretches_of_sleep_do_not_overlap_even_when_travelling() {
    let time = |night: &Value, field: &str| DateTime::parse_from_rfc3339(night[field].as_str().unwrap()).unwrap();
    for (seed, person) in [(1, "alice"), (1, "bob"), (2, "alice"), (3, "bob"), (1, "carol"), (4, "carol")] {
        let clock = running_from(NOON);
        let bench = Bench::of(Settings { clock, seed, has_traveller: true, ..Settings::default() }).await;
        let nights = bench.data(person, "sleep?start_date=2025-08-01&end_date=2026-08-21").await;
        for pair in nights.windows(2) {
            assert!(time(&pair[0], "bedtime_end") <= time(&pair[1], "bedtime_start"), "{person}: {pair:#?}");
        }

        let offsets: BTreeSet<i32> =
            nights.iter().map(|night| time(night, "bedtime_start").offset().local_minus_utc() / 3600).collect();
        // New York in March is where Los Angeles never is; its summer time is another.
        let others = if person == "carol" { 3 } else { 1 };
        assert_eq!(offsets.len(), 2 + others, "summer, winter and the journeys: {offsets:?}");
    }
}

#[tokio::test]
async fn rest_mode_is_open_while_it_lasts() {
    let periods = Bench::at(NOON).await.data("alice", "rest_mode_period?start_date=2026-01-01").await;
    assert!(periods.iter().any(|period| period["start_day"] == period["end_day"]));
    let illness = periods.iter().find(|period| period["episodes"][0].is_object()).unwrap();
    let start = DateTime::parse_from_rfc3339(illness["start_time"].as_str().unwrap()).unwrap();
    let bench = Bench::at(&(start + chrono::TimeDelta::days(2)).to_utc().to_rfc3339()).await;
    let open = bench.data("alice", "rest_mode_period?start_date=2026-01-01").await.pop().unwrap();
    assert_eq!((&open["id"], &open["end_day"]), (&illness["id"], &Value::Null));
}

#[tokio::test]
async fn in_auckland_the_day_is_ahead_of_utc() {
    let bench = Bench::at("2026-11-10T21:30:00Z").await;
    assert_eq!(bench.each("bob", "daily_readiness", "day").await, ["2026-11-10", "2026-11-11"]);
    assert_eq!(bench.data("bob", "daily_activity?start_date=2026-11-11&end_date=2026-11-12").await.len(), 1);
}

#[tokio::test]
async fn a_demo_is_full_at_any_time_of_any_day() {
    for hour in 0..24_u64 {
        let moment = format!("2026-{:02}-{:02}T{hour:02}:10:00Z", hour % 12 + 1, hour + 1);
        let bench = Bench::seeded(&moment, hour).await;
        let now: DateTime<chrono::Utc> = moment.parse().unwrap();
        let day = |back: i64| (now - chrono::TimeDelta::days(back)).format("%Y-%m-%d").to_string();
        for collection in COLLECTIONS.iter().filter(|collection| collection.kind == Kind::Dates) {
            let back = match collection.name {
                "rest_mode_period" | "tag" => continue,
                "vO2_max" | "daily_cardiovascular_age" => 30,
                _ => 2,
            };
            let path = format!("{}?start_date={}&end_date={}", collection.name, day(back), day(-2));
            for person in ["alice", "bob"] {
                assert!(!bench.data(person, &path).await.is_empty(), "{person} has no {} at {now}", collection.name);
            }
        }
    }
}
