//! The slower documents of a day: blood oxygen, stress, resilience, bedtime advice, vessels and fitness.

use std::ops::Range;

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    analysis::{self, judged},
    collections::{RESILIENCE, SLEEP_TIME, SPO2, STRESS, VASCULAR_AGE, VO2_MAX},
    night::main_night,
    person_timeline::{Life, View, shifted},
    syncs::morning,
};

/// The service counts stress in quarters of an hour.
const QUARTER_SECONDS: i64 = 900;
/// For how many minutes after getting up stress is counted.
const AWAKE_MINUTES: i64 = 900;
/// When the age of the vessels is known, in minutes after midnight.
const VESSELS_AT: f64 = 480.0;
/// Before so many days the documents of vascular age had no identifier.
const NO_ID_BEFORE: i64 = -700;

/// Blood oxygen of the night before `day`.
pub(super) fn daily_spo2(view: &View, day: NaiveDate) -> Vec<Value> {
    let Some(night) = judged(view, day) else { return Vec::new() };
    let noise = night.noise.of("spo2");
    let is_measured = oxygen_at(&view.life, day).is_none_or(|at| view.synced >= at);
    let is_blank = noise.of("blank").chance(0.006) && !view.life.is_shown(day);
    let average = if is_blank { 0.0 } else { (noise.between(94.6, 98.4) * 1000.0).round() / 1000.0 };
    let disturbance = (!is_blank).then(|| 1 + (noise.of("disturbance").unit().powi(3) * 25.0) as i64);
    vec![json!({
        "id": view.life.id(SPO2, day, 0),
        "breathing_disturbance_index": disturbance.filter(|_| is_measured),
        "day": day,
        "spo2_percentage": is_measured.then(|| json!({ "average": average })),
    })]
}

/// When the blood oxygen of the night before `day` is known, where that is not at once.
fn oxygen_at(life: &Life, day: NaiveDate) -> Option<DateTime<Utc>> {
    let noise = life.chance("oxygen", day);
    let is_slow = noise.chance(0.1) && !life.is_shown(day);
    is_slow.then(|| life.at(day, noise.of("at").between(640.0, 1600.0)))
}

/// After which moments the blood oxygen of `day` may be another.
pub(super) fn spo2_moments(life: &Life, day: NaiveDate) -> Vec<DateTime<Utc>> {
    analysis::moments(life, day).into_iter().chain(oxygen_at(life, day)).collect()
}

/// Stress and recovery of `day` so far, from getting up on.
pub(super) fn daily_stress(view: &View, day: NaiveDate) -> Vec<Value> {
    let night = main_night(&view.life, day).filter(|night| night.end <= view.synced);
    let Some(night) = night else { return Vec::new() };
    let (life, noise) = (&view.life, view.life.chance("stress", day));
    let awake = ((view.synced - night.end).num_minutes() as f64 / AWAKE_MINUTES as f64).min(1.0);
    let blank = if noise.of("blank").chance(0.004) { 0.0 } else { 1.0 };
    let quarters = |most: f64| (most * awake * blank).max(0.0) as i64 * QUARTER_SECONDS;
    let stress = quarters(6.0 + 20.0 * life.strain(day) + 6.0 * noise.of("high").bell());
    let more = stress_revised_at(life, day).filter(|at| view.opened >= *at).map_or(0, |_| QUARTER_SECONDS);
    let recovery = quarters(8.0 - 6.0 * life.strain(day) + 18.0 * noise.of("low").bell()) + more;
    let summary = match stress - recovery {
        _ if stress == 0 && recovery == 0 => None,
        ..=-3600 => Some("restored"),
        7200.. => Some("stressful"),
        _ => Some("normal"),
    };
    let (is_summed_up, is_measured) = match stress_waits(life, day) {
        Some((until, is_all)) if view.synced < until => (false, !is_all),
        _ => (true, true),
    };
    vec![json!({
        "id": life.id(STRESS, day, 0),
        "day": day,
        "day_summary": summary.filter(|_| is_summed_up),
        "recovery_high": is_measured.then_some(recovery),
        "stress_high": is_measured.then_some(stress),
    })]
}

/// Until when the service does not say what the day was like, on some days; and whether it says nothing at all till then.
fn stress_waits(life: &Life, day: NaiveDate) -> Option<(DateTime<Utc>, bool)> {
    let noise = life.chance("stress waits", day);
    let waits = noise.chance(0.16) && !life.is_shown(day);
    waits.then(|| (life.at(day, noise.of("until").between(900.0, 1900.0)), noise.of("all").chance(0.3)))
}

/// When the service finds that there was more recovery on `day`, if it does.
fn stress_revised_at(life: &Life, day: NaiveDate) -> Option<DateTime<Utc>> {
    let noise = life.chance("stress revised", day);
    noise.chance(0.06).then(|| morning(life, shifted(day, noise.of("days").whole(1, 4)))).flatten()
}

/// After which moments the stress of `day` may be another, but for the time in which it is counted.
pub(super) fn stress_moments(life: &Life, day: NaiveDate) -> Vec<DateTime<Utc>> {
    let waits = stress_waits(life, day).map(|(until, _)| until);
    waits.into_iter().chain(stress_revised_at(life, day)).collect()
}

/// The time in which the stress of `day` is counted.
pub(super) fn stress_running(life: &Life, day: NaiveDate) -> Option<Range<DateTime<Utc>>> {
    main_night(life, day).map(|night| night.end..night.end + TimeDelta::minutes(AWAKE_MINUTES))
}

/// Resilience as of `day`.
pub(super) fn daily_resilience(view: &View, day: NaiveDate) -> Vec<Value> {
    if judged(view, day).is_none() {
        return Vec::new();
    }
    let (life, noise) = (&view.life, view.life.chance("resilience", day));
    let more = resilience_revised_at(life, day).filter(|at| view.opened >= *at).map_or(0.0, |_| 1.3);
    let recent = (0..14).map(|back| life.strain(shifted(day, -back))).sum::<f64>() / 14.0;
    let points = |name: &str, most: f64| {
        let points = most - 45.0 * recent + 7.0 * noise.of(name).bell();
        (points.clamp(14.0, 72.0) * 10.0).round() / 10.0
    };
    let (sleep, daytime, stress) = (points("sleep", 66.0), points("daytime", 48.0 + more), points("stress", 58.0));
    let level = match (sleep + daytime + stress) / 3.0 {
        ..39.0 => "limited",
        ..46.0 => "adequate",
        ..57.0 => "solid",
        ..60.0 => "strong",
        _ => "exceptional",
    };
    vec![json!({
        "id": life.id(RESILIENCE, day, 0),
        "contributors": { "sleep_recovery": sleep, "daytime_recovery": daytime, "stress": stress },
        "day": day,
        "level": level,
    })]
}

/// When the resilience of `day` is revised, if it is.
fn resilience_revised_at(life: &Life, day: NaiveDate) -> Option<DateTime<Utc>> {
    let noise = life.chance("resilience revised", day);
    noise.chance(0.08).then(|| morning(life, shifted(day, noise.of("days").whole(1, 4)))).flatten()
}

/// After which moments the resilience of `day` may be another.
pub(super) fn resilience_moments(life: &Life, day: NaiveDate) -> Vec<DateTime<Utc>> {
    analysis::moments(life, day).into_iter().chain(resilience_revised_at(life, day)).collect()
}

/// When to go to bed, which the service seldom says.
pub(super) fn sleep_time(view: &View, day: NaiveDate) -> Vec<Value> {
    let Some(night) = judged(view, day) else { return Vec::new() };
    let (life, noise) = (&view.life, night.noise.of("advice"));
    let zone = life.local(night.end).offset().local_minus_utc();
    let start = (life.person.bedtime_minutes as i64 * 60).div_euclid(QUARTER_SECONDS) * QUARTER_SECONDS;
    let window = json!({ "day_tz": zone, "start_offset": start, "end_offset": start + 3 * QUARTER_SECONDS });
    let is_found = noise.chance(0.1);
    let advice = ["improve_efficiency", "earlier_bedtime", "earlier_wake_up_time"];
    vec![json!({
        "id": life.id(SLEEP_TIME, day, 0),
        "day": day,
        "optimal_bedtime": is_found.then_some(window),
        "recommendation": if is_found { "follow_optimal_bedtime" } else { noise.of("which").pick(&advice) },
        "status": if is_found { "optimal_found" } else { "only_recommended_found" },
    })]
}

/// The age of the vessels, once a week.
pub(super) fn daily_cardiovascular_age(view: &View, day: NaiveDate) -> Vec<Value> {
    let (life, noise) = (&view.life, view.life.chance("vessels", day));
    if !is_weekly(day, 2) || day < life.first || view.synced < life.at(day, VESSELS_AT) {
        return Vec::new();
    }
    let mut document = json!({
        "day": day,
        "vascular_age": life.person.age - 3 + noise.of("age").whole(-1, 1) + (life.strain(day) * 2.0) as i64,
    });
    if day >= shifted(life.anchor, NO_ID_BEFORE) {
        document["id"] = json!(life.id(VASCULAR_AGE, day, 0));
        document["pulse_wave_velocity"] = json!((noise.of("wave").between(6.4, 7.9) * 100.0).round() / 100.0);
    }
    vec![document]
}

/// After which moment the age of the vessels may be known.
pub(super) fn vessels_moments(life: &Life, day: NaiveDate) -> Vec<DateTime<Utc>> {
    vec![life.at(day, VESSELS_AT)]
}

/// After which moment the fitness may be known.
pub(super) fn vo2_moments(life: &Life, day: NaiveDate) -> Vec<DateTime<Utc>> {
    vec![life.midnight(day)]
}

/// The oxygen that the person can use, once a week.
pub(super) fn vo2_max(view: &View, day: NaiveDate) -> Vec<Value> {
    let life = &view.life;
    let known_at = life.at(day, 0.0);
    if !is_weekly(day, 5) || day < life.first || view.synced < known_at {
        return Vec::new();
    }
    let trained = f64::from(day.year() - 2020) * 0.3 + life.season(day);
    let value = life.person.vo2_max + trained + life.chance("vo2", day).bell() * 1.5;
    vec![json!({
        "id": life.id(VO2_MAX, day, 0),
        "day": day,
        "timestamp": super::person_timeline::written(life.local(known_at)),
        "vo2_max": value.round() as i64,
    })]
}

fn is_weekly(day: NaiveDate, phase: i32) -> bool {
    day.num_days_from_ce().rem_euclid(7) == phase
}
