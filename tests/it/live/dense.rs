//! The dense samples of a document, as the contract has them: each at its own second, and none beyond what is known for good.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::book::Moment;
use crate::record::expected::local;

/// The collections that are rows with a time, and no documents.
pub(crate) const ROWS: &[&str] = &["heartrate", "ring_battery_level"];
/// Slots of five minutes in a day, and how many of the last before a sync may still change.
const SLOTS: usize = 288;
const UNSURE: usize = 2;

/// A series without its account, and its samples by milliseconds since 1970.
type Run = (String, Vec<(i64, f64)>);

/// How far documents say that the ring has synced.
pub(crate) fn synced<'a>(
    collection: &str,
    documents: impl Iterator<Item = &'a Value>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let of = |document: &Value| match collection {
        "daily_activity" => Some(day_begins(document)? + slots(classes(document).len())),
        _ if ROWS.contains(&collection) => time(document),
        _ => None,
    };
    documents.filter_map(of).filter(|synced| *synced <= now).max()
}

/// What a document of `collection` has.
pub(crate) fn samples(collection: &str, document: &Value, moment: &Moment) -> Vec<Run> {
    match collection {
        "daily_activity" => activity(document, moment),
        "sleep" => sleep(document, moment),
        "session" => [
            ("session_heart_rate_bpm", series(&document["heart_rate"], beats)),
            ("session_hrv_seconds", series(&document["heart_rate_variability"], thousandth)),
            ("session_motion", series(&document["motion_count"], Some)),
        ]
        .map(named)
        .into(),
        "heartrate" => vec![heart_rate(document)],
        "ring_battery_level" => {
            let level = document["level"].as_f64().map(|percent| percent / 100.0);
            let at = time(document).zip(level);
            vec![named((
                "ring_battery_ratio",
                at.into_iter().map(|(at, level)| (at.timestamp_millis(), level)).collect(),
            ))]
        }
        _ => vec![],
    }
}

fn named((name, samples): (&str, Vec<(i64, f64)>)) -> Run {
    (format!("oura_sample_{name}"), samples)
}

fn time(row: &Value) -> Option<DateTime<Utc>> {
    local(&row["timestamp"]).map(|time| time.to_utc())
}

fn heart_rate(row: &Value) -> Run {
    let sample = time(row).zip(row["bpm"].as_f64().and_then(beats));
    let sample = sample.map(|(at, bpm)| (at.timestamp_millis(), bpm));
    let source = row["source"].as_str().expect("a source");
    (format!("oura_sample_heart_rate_bpm{{source=\"{source}\"}}"), sample.into_iter().collect())
}

fn day_begins(document: &Value) -> Option<DateTime<Utc>> {
    time(document)
}

pub(crate) fn classes(document: &Value) -> &str {
    document["class_5_min"].as_str().unwrap_or_default()
}

fn slots(count: usize) -> TimeDelta {
    TimeDelta::minutes(5 * i64::try_from(count).expect("a few"))
}

/// How many slots are known for good: the last two are not, until the day is over.
fn settled(document: &Value, moment: &Moment) -> usize {
    let known = classes(document).len();
    let is_over = day_begins(document).is_some_and(|begin| begin + slots(SLOTS) <= moment.now);
    if is_over { known } else { known.saturating_sub(UNSURE) }
}

fn activity(document: &Value, moment: &Moment) -> Vec<Run> {
    let Some(begin) = day_begins(document) else { return vec![] };
    let settled = settled(document, moment);
    let class = |(slot, class): (usize, char)| {
        ((begin + slots(slot)).timestamp_millis(), f64::from(class.to_digit(10).expect("a class")))
    };
    let classes = classes(document).chars().take(settled).enumerate().map(class).collect();
    let end = (begin + slots(settled)).timestamp_millis();
    let mets = series(&document["met"], Some).into_iter().filter(|(time, _)| *time < end).collect();
    [("met", mets), ("activity_class", classes)].map(named).into()
}

fn sleep(document: &Value, moment: &Moment) -> Vec<Run> {
    let kind = document["type"].as_str().unwrap_or_default();
    let is_settled = local(&document["bedtime_end"]).is_some_and(|end| moment.is_settled(end.to_utc()));
    if !is_settled || !["long_sleep", "sleep", "late_nap"].contains(&kind) {
        return vec![];
    }
    let begin = local(&document["bedtime_start"]).expect("a start").timestamp_millis();
    let digits = |field: &str, seconds: i64| -> Vec<(i64, f64)> {
        let digits = document[field].as_str().unwrap_or_default().chars().enumerate();
        let at = |place: usize| begin + 1000 * seconds * i64::try_from(place).expect("a place");
        digits.map(|(place, digit)| (at(place), f64::from(digit.to_digit(10).expect("a digit")))).collect()
    };
    let stages = [("sleep_phase_30_sec", 30), ("app_sleep_phase_5_min", 300), ("sleep_phase_5_min", 300)];
    let stages = stages.map(|(field, seconds)| digits(field, seconds)).into_iter().find(|digits| !digits.is_empty());
    let mut runs =
        vec![named(("sleep_stage", stages.unwrap_or_default())), named(("movement", digits("movement_30_sec", 30)))];
    if kind == "long_sleep" {
        runs.push(named(("night_heart_rate_bpm", series(&document["heart_rate"], beats))));
        runs.push(named(("night_hrv_seconds", series(&document["hrv"], thousandth))));
    }
    runs
}

fn beats(bpm: f64) -> Option<f64> {
    (bpm > 0.0).then_some(bpm)
}

fn thousandth(value: f64) -> Option<f64> {
    Some(value / 1000.0)
}

/// Values at equal distances; null where there is none.
fn series(series: &Value, unit: fn(f64) -> Option<f64>) -> Vec<(i64, f64)> {
    let Some(begin) = time(series) else { return vec![] };
    let interval = series["interval"].as_f64().expect("seconds");
    let items = series["items"].as_array().expect("values").iter().enumerate();
    let at = |place: usize| begin.timestamp_millis() + (place as f64 * interval * 1000.0) as i64;
    items.filter_map(|(place, value)| Some((at(place), unit(value.as_f64()?)?))).collect()
}
