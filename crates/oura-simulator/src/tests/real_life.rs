//! Real life: how often documents are late, revised, cut, empty or odd, as captures of real accounts have it.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::Value;

use super::Bench;
use crate::{Settings, Simulator, TimeSource, Version};

const PEOPLE: [&str; 2] = ["alice", "bob"];

async fn real() -> Simulator {
    let clock = TimeSource::still_at("2026-12-31T12:00:00Z".parse().unwrap());
    Bench::of(Settings { clock, full_days: Some(0), ..Settings::default() }).await.simulator
}

fn days(first: &str, count: i64) -> impl Iterator<Item = NaiveDate> {
    let first: NaiveDate = first.parse().unwrap();
    (0..count).map(move |shift| first + TimeDelta::days(shift))
}

/// The versions of every day of half a year of both people that has any.
fn half_a_year(simulator: &Simulator, collection: &str) -> Vec<(NaiveDate, Vec<Version>)> {
    let of = |person| days("2026-04-01", 180).map(move |day| (day, simulator.versions(person, collection, day)));
    PEOPLE.into_iter().flat_map(of).filter(|(_, versions)| !versions.is_empty()).collect()
}

fn days_after(day: NaiveDate, moment: DateTime<Utc>) -> i64 {
    (moment.date_naive() - day).num_days()
}

fn number(document: &Value, field: &str) -> i64 {
    document[field].as_i64().unwrap_or_else(|| panic!("{field} of {document}"))
}

fn time(document: &Value, field: &str) -> DateTime<Utc> {
    document[field].as_str().unwrap().parse().unwrap()
}

/// What share of `all` these are, in percent.
fn percent(part: usize, all: usize) -> usize {
    part * 100 / all
}

#[tokio::test]
async fn phones_sync_often_seldom_or_not_for_days() {
    let simulator = real().await;
    for (person, up) in [("alice", 4), ("bob", 10)] {
        let of = |day: NaiveDate| {
            let begin = day.and_hms_opt(up, 0, 0).unwrap().and_utc();
            simulator.syncs(person, begin, begin + TimeDelta::hours(16)).len()
        };
        let counts: Vec<usize> = days("2026-01-01", 300).map(of).collect();
        let often = counts.iter().filter(|count| **count > 15).count();
        let seldom = counts.iter().filter(|count| (1..5).contains(*count)).count();
        let never = counts.iter().filter(|count| **count == 0).count();
        assert!(often > 170 && seldom > 25 && (8..60).contains(&never), "{often} {seldom} {never}");
        let longest = counts.split(|count| *count > 0).map(<[usize]>::len).max().unwrap();
        assert!((2..6).contains(&longest), "{longest} days");
    }
}

#[tokio::test]
async fn activity_is_padded_beyond_the_sync_and_grows() {
    let simulator = real().await;
    let (mut cut, mut blocks, mut unsure, mut never) = (0, 0, 0, 0);
    for (day, versions) in half_a_year(&simulator, "daily_activity") {
        let mut before: Option<&Value> = None;
        for version in &versions {
            let document = &version.documents[0];
            let classes = document["class_5_min"].as_str().unwrap();
            let minutes = document["met"]["items"].as_array().unwrap();
            assert_eq!(minutes.len(), 1440, "{day}");
            let begin = time(document, "timestamp");
            assert!(begin + TimeDelta::minutes(classes.len() as i64 * 5) <= version.readable_from, "{day}");
            cut += usize::from(classes.len() < 288);
            let beyond: Vec<_> = minutes[classes.len() * 5..].iter().filter(|met| **met != 0.9).collect();
            assert!(beyond.windows(2).all(|pair| pair[0] == pair[1]), "a block of one value");
            blocks += usize::from(!beyond.is_empty());
            let times = ["non_wear", "resting", "sedentary"].map(|name| number(document, &format!("{name}_time")));
            let moving = ["low", "medium", "high"].map(|name| number(document, &format!("{name}_activity_time")));
            assert_eq!(times.iter().chain(&moving).sum::<i64>(), classes.len() as i64 * 300);
            if let Some(before) = before.replace(document) {
                let old = before["class_5_min"].as_str().unwrap();
                let sure = old.len().saturating_sub(2);
                assert_eq!(classes[..sure], old[..sure], "{day}");
                unsure += usize::from(!classes.starts_with(old));
                assert_eq!(minutes[..old.len() * 5], before["met"]["items"].as_array().unwrap()[..old.len() * 5]);
            }
        }
        never += usize::from(before.unwrap()["class_5_min"].as_str().unwrap().len() < 288);
    }
    assert!(cut > 4_000 && blocks > 5 && unsure > 800 && (3..25).contains(&never), "{cut} {blocks} {unsure} {never}");
}

#[tokio::test]
async fn most_activity_is_revised_days_later_and_evenings_come_the_next_morning() {
    let simulator = real().await;
    let (mut revised, mut most, mut evenings, mut late) = (0, 0, 0, 0);
    let all = half_a_year(&simulator, "daily_activity");
    for (day, versions) in &all {
        let [.., before, last] = &versions[..] else { continue };
        let after = days_after(*day, last.readable_from);
        assert!(after <= 9, "{day}: {after} days");
        if after > 1 && before.documents[0]["class_5_min"] == last.documents[0]["class_5_min"] {
            revised += 1;
            most = most.max(number(&last.documents[0], "steps") - number(&before.documents[0], "steps"));
        }
        let is_whole = |version: &&Version| version.documents[0]["class_5_min"].as_str().unwrap().len() == 288;
        let whole = versions.iter().find(is_whole).map(|version| days_after(*day, version.readable_from));
        evenings += usize::from(whole >= Some(1));
        late += usize::from(whole > Some(1));
    }
    assert!(percent(revised, all.len()) > 75 && most > 4_000, "{revised} of {}, {most} steps", all.len());
    assert!(percent(evenings, all.len()) > 90 && (8..80).contains(&late), "{evenings} {late}");
}

#[tokio::test]
async fn most_readiness_is_revised_and_a_quarter_of_the_scores() {
    let simulator = real().await;
    let all = half_a_year(&simulator, "daily_readiness");
    let (mut revisions, mut scores, mut last) = (0, 0, 0);
    for (day, versions) in &all {
        let settled = |version: &&Version| days_after(*day, version.readable_from) >= 1;
        let first = versions.iter().rfind(|version| !settled(version)).unwrap_or(&versions[0]);
        let after: Vec<&Version> = versions.iter().filter(settled).collect();
        revisions += after.len();
        let score = |version: &Version| number(&version.documents[0], "score");
        let changed = after.last().map_or(0, |version| (score(version) - score(first)).abs());
        scores += usize::from((1..=3).contains(&changed));
        last = last.max(after.last().map_or(0, |version| days_after(*day, version.readable_from)));
    }
    let (revisions, scores) = (percent(revisions, all.len()), percent(scores, all.len()));
    assert!((75..135).contains(&revisions), "{revisions} % of the documents, as often as they were revised");
    assert!((17..33).contains(&scores), "{scores} % of the scores");
    assert!((7..=9).contains(&last), "{last} days");
}

#[tokio::test]
async fn nights_are_cut_late_empty_and_edited() {
    let simulator = real().await;
    let mut count = BTreeMap::<&str, usize>::new();
    for person in PEOPLE {
        for day in days("2025-10-01", 365) {
            let versions = simulator.versions(person, "sleep", day);
            let judged = !simulator.versions(person, "daily_sleep", day).is_empty();
            for (trap, is_there) in traps(day, &versions, judged) {
                *count.entry(trap).or_default() += usize::from(is_there);
            }
        }
    }
    assert!(count.values().all(|count| *count >= 3), "{count:?}");
    assert!((40..100).contains(&count["days late"]) && count["short"] < 25 && count["untyped"] < 25, "{count:?}");
}

/// Which traps the records of a day have had.
fn traps(day: NaiveDate, versions: &[Version], judged: bool) -> Vec<(&'static str, bool)> {
    let records = || versions.iter().flat_map(|version| &version.documents);
    let last = versions.last().map_or(&[][..], |version| &version.documents);
    let is = |record: &Value, kind: &str| record["type"] == kind;
    let grew = |kind: &str| {
        let longest = |version: &Version| version.documents.iter().map(|record| number(record, "time_in_bed")).max();
        versions.windows(2).any(|pair| {
            let [before, after] = [&pair[0], &pair[1]];
            before.documents.iter().any(|record| is(record, kind) && record["bedtime_end"].is_string())
                && longest(before).is_some_and(|before| longest(after) > Some(before + 3_600))
                && before.documents[0]["id"] == after.documents[0]["id"]
        })
    };
    let found = versions.iter().find(|version| version.documents.iter().any(|record| is(record, "long_sleep")));
    let retyped = |from: &str, to: &str| {
        records()
            .any(|record| is(record, from) && last.iter().any(|other| other["id"] == record["id"] && is(other, to)))
    };
    let has_no_pulse = |record: &Value| record["average_heart_rate"] == 0.0;
    vec![
        ("cut as long_sleep", grew("long_sleep")),
        ("cut as sleep", grew("sleep")),
        ("running", records().any(|record| record["bedtime_end"].is_null())),
        ("days late", found.is_some_and(|version| days_after(day, version.readable_from) > 0)),
        ("short", judged && last.iter().all(|record| !is(record, "long_sleep") && !record["type"].is_null())),
        ("empty", last.iter().any(|record| is(record, "long_sleep") && record["total_sleep_duration"].is_null())),
        ("untyped", last.iter().any(|record| record["type"].is_null())),
        ("edited", last.iter().any(|record| record["sleep_analysis_reason"] == "bedtime_edit")),
        ("nap found as rest", retyped("rest", "sleep")),
        ("nap deleted", retyped("sleep", "deleted")),
        ("pulse 0 and null", last.iter().any(|record| has_no_pulse(record) && record["lowest_heart_rate"].is_null())),
        ("pulse 255", last.iter().any(|record| record["lowest_heart_rate"] == 255)),
        ("night without pulse", last.iter().any(|record| is(record, "long_sleep") && has_no_pulse(record))),
    ]
}

#[tokio::test]
async fn stages_agree_by_the_second_nearly_or_hardly() {
    let simulator = real().await;
    let (mut slots, mut app, mut old) = (0, 0, 0);
    for (day, versions) in half_a_year(&simulator, "sleep") {
        for record in versions.iter().flat_map(|version| &version.documents) {
            let Some(fine) = record["sleep_phase_30_sec"].as_str() else { continue };
            for (stage, field) in [('1', "deep"), ('2', "light"), ('3', "rem")] {
                let seconds = fine.chars().filter(|other| *other == stage).count() as i64 * 30;
                assert_eq!(seconds, number(record, &format!("{field}_sleep_duration")), "{day}");
            }
            let [of_app, of_old] = ["app_sleep_phase_5_min", "sleep_phase_5_min"].map(|field| record[field].as_str());
            let (of_app, of_old) = (of_app.unwrap().as_bytes(), of_old.unwrap().as_bytes());
            assert_eq!(of_app.len(), of_old.len());
            for (slot, whole) in fine.as_bytes().chunks_exact(10).enumerate() {
                slots += 1;
                app += usize::from(whole[5] == of_app[slot]);
                old += usize::from(of_app[slot] != of_old[slot]);
            }
        }
    }
    assert!((96..99).contains(&percent(app, slots)), "{app} of {slots}");
    assert!((15..19).contains(&percent(old, slots)), "{old} of {slots}");
    let long_ago = days("2022-06-01", 200).flat_map(|day| simulator.versions("alice", "sleep", day));
    let long_ago: Vec<Value> = long_ago.flat_map(|version| version.documents).collect();
    let lacks = |record: &Value, field: &str| record[field].is_null() && record["sleep_phase_5_min"].is_string();
    assert!(long_ago.iter().any(|record| lacks(record, "app_sleep_phase_5_min")), "only the oldest");
    let is_between = |record: &&Value| lacks(record, "sleep_phase_30_sec") && !lacks(record, "app_sleep_phase_5_min");
    assert!(long_ago.iter().any(|record| is_between(&record)), "the app's, not the fine ones");
}

#[tokio::test]
async fn some_values_are_null_first() {
    let simulator = real().await;
    for (collection, field) in [("daily_spo2", "spo2_percentage"), ("daily_stress", "stress_high")] {
        let all = half_a_year(&simulator, collection);
        let waits = |versions: &[Version]| {
            let [first, .., last] = versions else { return false };
            first.documents[0][field].is_null() && !last.documents[0][field].is_null()
        };
        let waiting = all.iter().filter(|(_, versions)| waits(versions)).count();
        assert!((2..15).contains(&percent(waiting, all.len())), "{collection}: {waiting} of {}", all.len());
    }
}

#[tokio::test]
async fn one_second_may_have_two_rows_of_different_source() {
    let simulator = real().await;
    let mut count = 0;
    for day in days("2026-08-01", 20) {
        let versions = simulator.versions("alice", "heartrate", day);
        let rows = versions.last().map_or(&[][..], |version| &version.documents);
        let is_twice = |pair: &&[Value]| pair[0]["timestamp"] == pair[1]["timestamp"];
        count += rows.windows(2).filter(is_twice).filter(|pair| pair[0]["source"] != pair[1]["source"]).count();
    }
    assert!((10..120).contains(&count), "{count} in 20 days");
}
