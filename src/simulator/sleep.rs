//! Sleep records: the night, naps, what was refused or deleted, and the night that is still going on.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    collections::SLEEP,
    life::{Life, View, written},
    night::{Sleep, sleeps},
    scores::{first_look, is_revised, readiness},
};

/// What the service writes as the lowest pulse where it saw none.
const NO_LOWEST_PULSE: i64 = 255;

/// The records that count on `day`, by when they began.
pub(super) fn records(view: &View, day: NaiveDate) -> Vec<Value> {
    let mut sleeps = sleeps(&view.life, day);
    sleeps.sort_by_key(|sleep| sleep.start);
    let periods = sleeps.iter().enumerate().filter_map(|(place, sleep)| {
        let period = place + usize::from(place > 2);
        let midnight = view.life.midnight(day);
        if sleep.end <= view.now {
            Some(record(view, sleep, period))
        } else {
            let is_going_on = sleep.index == 0 && view.now >= (midnight + TimeDelta::minutes(5)).max(sleep.start);
            is_going_on.then(|| going_on(view, sleep, period))
        }
    });
    periods.collect()
}

/// A night of which the end is not known yet.
fn going_on(view: &View, sleep: &Sleep, period: usize) -> Value {
    json!({
        "id": view.life.id(SLEEP, sleep.day, sleep.index),
        "bedtime_end": null,
        "bedtime_start": local(&view.life, sleep.start),
        "day": sleep.day,
        "low_battery_alert": false,
        "period": period,
        "time_in_bed": (view.now - sleep.start).num_seconds(),
        "type": sleep.kind,
        "total_sleep_duration": null,
        "sleep_algorithm_version": "v2",
    })
}

fn record(view: &View, sleep: &Sleep, period: usize) -> Value {
    let life = &view.life;
    let is_night = sleep.index == 0;
    let revised = is_revised(sleep.end, view.now);
    let sleep = &if is_night && !revised { first_look(sleep) } else { *sleep };
    let delta = is_night.then_some(0);
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
        "sleep_analysis_reason": reason(sleep, is_night, revised),
        "sleep_score_delta": delta,
        "time_in_bed": sleep.in_bed(),
        "total_sleep_duration": sleep.total(),
        "type": sleep.kind,
    });
    add_heart(&mut record, life, sleep);
    add_phases(&mut record, sleep);
    record
}

fn add_heart(record: &mut Value, life: &Life, sleep: &Sleep) {
    let pulses: Vec<f64> = (0..sleep.samples()).filter_map(|sample| sleep.pulse(sample)).collect();
    let lowest = pulses.iter().copied().reduce(f64::min);
    record["average_heart_rate"] = json!(average(&pulses).unwrap_or(sleep.average));
    record["average_hrv"] = json!(sleep.has_pulse.then(|| sleep.hrv.round() as i64));
    record["lowest_heart_rate"] = json!(lowest.map_or(NO_LOWEST_PULSE, |pulse| pulse as i64));
    record["heart_rate"] = json!(samples(life, sleep, |sample| sleep.pulse(sample)));
    record["hrv"] = json!(samples(life, sleep, |sample| sleep.variability(sample)));
}

fn add_phases(record: &mut Value, sleep: &Sleep) {
    let phases = phases(sleep);
    let middles = phases.chars().skip(5).step_by(10).chain(phases.chars().last());
    let coarse: String = middles.take(five_minutes(sleep)).collect();
    record["app_sleep_phase_5_min"] = json!(coarse);
    record["sleep_phase_5_min"] = json!(coarse);
    record["sleep_phase_30_sec"] = json!(phases);
}

fn reason(sleep: &Sleep, is_night: bool, revised: bool) -> &'static str {
    match (is_night, revised) {
        (true, false) => "background_sleep_analysis",
        (true, true) if sleep.noise.of("edited").chance(0.05) => "bedtime_edit",
        (true, true) => "background_created_foreground_updated",
        (false, _) => "foreground_sleep_analysis",
    }
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

fn five_minutes(sleep: &Sleep) -> usize {
    usize::try_from(sleep.in_bed().div_euclid(300) + i64::from(sleep.in_bed() % 300 > 0)).unwrap_or(0)
}

/// The phases in half minutes, as digits: 1 deep, 2 light, 3 REM, 4 awake. They add up to the durations.
fn phases(sleep: &Sleep) -> String {
    let epochs = |seconds: i64| seconds / 30;
    let cycles = (sleep.total() / 5400).max(1);
    let all = (sleep.in_bed() + 29) / 30;
    let first_awake = epochs(sleep.latency).min(all - epochs(sleep.total()));
    let awake = all - epochs(sleep.total()) - first_awake;
    let mut text = "4".repeat(length(first_awake));
    for cycle in 0..cycles {
        let early = (cycles - cycle) * 2 - 1;
        let part = |epochs: i64, weight: i64, weights: i64, before: i64| {
            epochs * (before + weight) / weights - epochs * before / weights
        };
        let (squares, late) = (cycles * cycles, cycle * 2 + 1);
        let deep = part(epochs(sleep.deep), early, squares, squares - (cycles - cycle) * (cycles - cycle));
        let rem = part(epochs(sleep.rem), late, squares, cycle * cycle);
        let light = part(epochs(sleep.light), 1, cycles, cycle);
        for (digit, epochs) in [("2", light / 2), ("1", deep), ("2", light - light / 2), ("3", rem)] {
            text.push_str(&digit.repeat(length(epochs)));
        }
        text.push_str(&"4".repeat(length(part(awake, 1, cycles, cycle))));
    }
    text
}

fn length(epochs: i64) -> usize {
    usize::try_from(epochs).unwrap_or(0)
}

/// How much the person moved in each half minute, as digits: 1 not, 2 restless, 3 tossing, 4 active.
fn movement(sleep: &Sleep) -> String {
    let noise = sleep.noise.of("movement");
    let digit = |epoch: i64| match noise.at(epoch).unit() {
        ..0.82 => '1',
        ..0.95 => '2',
        ..0.99 => '3',
        _ => '4',
    };
    (0..=sleep.in_bed() / 30).map(digit).collect()
}
