//! Sleep records: the night, naps, what was refused or deleted, and the night that is still going on.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use serde_json::{Value, json};

use super::{
    analysis::{Look, Night, is_blank, is_found_in_background, nap_kind, night},
    collections::SLEEP,
    night::{Sleep, sleeps},
    person_timeline::{Life, View, shifted, written},
    scores::readiness,
    stages::{half_minutes, movement, of_the_app, of_the_old_algorithm},
    syncs::{Sync, first},
};

/// What the service wrote for long as the lowest pulse where it saw none.
const NO_LOWEST_PULSE: i64 = 255;
/// The first year in which it writes something else.
const OTHER_SENTINELS_SINCE: i32 = 2026;
/// The share of records without a type.
const UNTYPED: f64 = 0.006;
/// Before so many days some records had no stages in half minutes.
const NO_HALF_MINUTES_BEFORE: i64 = -400;
/// Before so many days some records had only the stages of the older algorithm.
const ONLY_OLD_BEFORE: i64 = -800;

/// The records that count on `day`, by when they began.
pub(super) fn records(view: &View, day: NaiveDate) -> Vec<Value> {
    let mut sleeps = sleeps(&view.life, day);
    sleeps.sort_by_key(|sleep| sleep.start);
    let periods = sleeps.iter().enumerate().filter_map(|(place, sleep)| {
        let period = place + usize::from(place > 2);
        if sleep.index > 0 {
            let kind = nap_kind(view, sleep)?;
            return Some(record(view, &Sleep { kind, ..*sleep }, Look::Opened, period));
        }
        Some(match night(view, day)? {
            Night::Running(sleep, until) => going_on(view, &sleep, until, period),
            Night::Found(sleep, look) => record(view, &sleep, look, period),
        })
    });
    periods.collect()
}

/// A night of which the end is not known yet.
fn going_on(view: &View, sleep: &Sleep, until: DateTime<Utc>, period: usize) -> Value {
    json!({
        "id": view.life.id(SLEEP, sleep.day, sleep.index),
        "bedtime_end": null,
        "bedtime_start": local(&view.life, sleep.start),
        "day": sleep.day,
        "low_battery_alert": false,
        "period": period,
        "time_in_bed": (until - sleep.start).num_seconds(),
        "type": sleep.kind,
        "total_sleep_duration": null,
        "sleep_algorithm_version": "v2",
    })
}

fn record(view: &View, sleep: &Sleep, look: Look, period: usize) -> Value {
    let life = &view.life;
    let is_night = sleep.index == 0;
    let delta = is_night.then_some(0);
    let is_typed = life.is_shown(sleep.day) || !sleep.noise.of("type").chance(UNTYPED);
    let mut record = json!({
        "id": life.id(SLEEP, sleep.day, sleep.index),
        "average_breath": sleep.breath,
        "awake_time": sleep.awake(),
        "bedtime_end": local(life, sleep.end),
        "bedtime_start": local(life, sleep.start),
        "day": sleep.day,
        "deep_sleep_duration": sleep.deep,
        "efficiency": sleep.efficiency(),
        "latency": sleep.latency,
        "light_sleep_duration": sleep.light,
        "low_battery_alert": sleep.noise.of("battery").chance(0.02),
        "movement_30_sec": movement(sleep),
        "period": period,
        "readiness": is_night.then(|| readiness(life, sleep)),
        "readiness_score_delta": delta,
        "rem_sleep_duration": sleep.rem,
        "restless_periods": sleep.restless,
        "ring_id": null,
        "sleep_algorithm_version": "v2",
        "sleep_analysis_reason": reason(life, sleep, look),
        "sleep_score_delta": delta,
        "time_in_bed": sleep.in_bed(),
        "total_sleep_duration": sleep.total(),
        "type": is_typed.then_some(sleep.kind),
    });
    add_heart(&mut record, life, sleep);
    add_phases(&mut record, life, sleep);
    if is_blank(life, sleep) {
        blank(&mut record);
    }
    record
}

/// Leaves of a record only what the specification requires, and its type.
fn blank(record: &mut Value) {
    const KEPT: [&str; 8] =
        ["id", "bedtime_end", "bedtime_start", "day", "low_battery_alert", "period", "time_in_bed", "type"];
    let members = record.as_object_mut().into_iter().flatten();
    members.filter(|(name, _)| !KEPT.contains(&name.as_str())).for_each(|(_, value)| *value = Value::Null);
}

fn add_heart(record: &mut Value, life: &Life, sleep: &Sleep) {
    let pulses: Vec<f64> = (0..sleep.samples()).filter_map(|sample| sleep.pulse(sample)).collect();
    let lowest = pulses.iter().copied().reduce(f64::min);
    let is_new = sleep.day.year() >= OTHER_SENTINELS_SINCE;
    let without_average = if is_new { 0.0 } else { sleep.average };
    let without_lowest = (!is_new || sleep.noise.of("sentinel").chance(0.2)).then_some(NO_LOWEST_PULSE);
    record["average_heart_rate"] = json!(average(&pulses).unwrap_or(without_average));
    record["average_hrv"] = json!(sleep.has_pulse.then(|| sleep.hrv.round() as i64));
    record["lowest_heart_rate"] = json!(lowest.map(|pulse| pulse as i64).or(without_lowest));
    record["heart_rate"] = json!(samples(life, sleep, |sample| sleep.pulse(sample)));
    record["hrv"] = json!(samples(life, sleep, |sample| sleep.variability(sample)));
}

fn add_phases(record: &mut Value, life: &Life, sleep: &Sleep) {
    let half_minutes = half_minutes(sleep);
    let app = of_the_app(sleep, &half_minutes);
    let noise = sleep.noise.of("strings");
    let is_before = |days: i64| sleep.day < shifted(life.anchor, days);
    let has_only_old = is_before(ONLY_OLD_BEFORE) && noise.chance(0.5);
    let has_no_half_minutes = is_before(NO_HALF_MINUTES_BEFORE) && noise.of("fine").chance(0.3);
    record["sleep_phase_5_min"] = json!(of_the_old_algorithm(sleep, &app));
    record["app_sleep_phase_5_min"] = json!((!has_only_old).then_some(app));
    record["sleep_phase_30_sec"] = json!((!has_only_old && !has_no_half_minutes).then_some(half_minutes));
}

fn reason(life: &Life, sleep: &Sleep, look: Look) -> &'static str {
    match look {
        Look::Edited => "bedtime_edit",
        Look::Cut | Look::Background => "background_sleep_analysis",
        Look::Opened if sleep.index == 0 && was_found_before_the_app(life, sleep) => {
            "background_created_foreground_updated"
        }
        Look::Opened => "foreground_sleep_analysis",
    }
}

/// Whether the ring synced between the end of the night and the next time that the app was opened.
fn was_found_before_the_app(life: &Life, night: &Sleep) -> bool {
    let sync = is_found_in_background(life, night.day).then(|| first(life, night.end, Sync::has_ring)).flatten();
    sync.is_some_and(|sync| !sync.is_opened())
}

fn local(life: &Life, moment: DateTime<Utc>) -> String {
    written(life.local(moment))
}

/// The mean in eighths.
fn average(pulses: &[f64]) -> Option<f64> {
    (!pulses.is_empty()).then(|| (pulses.iter().sum::<f64>() / pulses.len() as f64 * 8.0).round() / 8.0)
}

fn samples(life: &Life, sleep: &Sleep, sample: impl Fn(i64) -> Option<f64>) -> Option<Value> {
    let items: Vec<Option<f64>> = (0..sleep.samples()).map(sample).collect();
    let timestamp = life.local(sleep.start).format("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string();
    sleep.has_pulse.then(|| json!({ "interval": 300.0, "items": items, "timestamp": timestamp }))
}
