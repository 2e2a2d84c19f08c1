//! The scores of a night: sleep and readiness, each the mean of its contributors.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Map, Value, json};

use super::{
    analysis::{self, judged, napped},
    collections::{READINESS, SLEEP_SCORE},
    night::Sleep,
    noise::Noise,
    person_timeline::{Life, View, shifted},
    syncs::morning,
};

/// For how many days a wearer's sleep has been judged for regularity.
const REGULARITY_SINCE: i64 = -730;

/// A contributor: its name, its points from 1 to 100, and what it weighs.
type Contributor = (&'static str, Option<f64>, f64);

/// The score of the night before `day`, once it is judged; naps that count change it.
pub(super) fn daily_sleep(view: &View, day: NaiveDate) -> Vec<Value> {
    let Some(night) = judged(view, day) else { return Vec::new() };
    let contributors = sleep_contributors(&view.life, &night, napped(view, day));
    vec![json!({
        "id": view.life.id(SLEEP_SCORE, day, 0),
        "contributors": shown(&contributors),
        "day": day,
        "score": score(&contributors),
        "timestamp": timestamp(&view.life, day),
    })]
}

/// How ready the person is on `day`, once the night is judged; the service thinks it over in the days after.
pub(super) fn daily_readiness(view: &View, day: NaiveDate) -> Vec<Value> {
    let Some(night) = judged(view, day) else { return Vec::new() };
    let mut contributors = readiness_contributors(&view.life, &night);
    for (number, _) in (1..).zip(revisions(&view.life, day)).filter(|(_, at)| view.opened >= *at) {
        reconsider(&mut contributors, night.noise.of("reconsidered").at(number));
    }
    let mut document = readiness_of(&view.life, &night, &contributors);
    document["id"] = json!(view.life.id(READINESS, day, 0));
    document["day"] = json!(day);
    document["timestamp"] = json!(timestamp(&view.life, day));
    vec![document]
}

/// After which moments the readiness of `day` may be another.
pub(super) fn readiness_moments(life: &Life, day: NaiveDate) -> Vec<DateTime<Utc>> {
    analysis::moments(life, day).into_iter().chain(revisions(life, day)).collect()
}

/// When the readiness of `day` is revised: never, once or twice on the eight mornings after.
fn revisions(life: &Life, day: NaiveDate) -> Vec<DateTime<Utc>> {
    let noise = life.chance("readiness revised", day);
    let count = match noise.unit() {
        ..0.30 => 0,
        ..0.72 => 1,
        _ => 2,
    };
    (0..count).filter_map(|number| morning(life, shifted(day, 4 * number + noise.at(number).whole(1, 4)))).collect()
}

/// Other points for regularity, and now and then for something that weighs more.
fn reconsider(contributors: &mut [Contributor], noise: Noise) {
    let also = noise.of("also").chance(0.25).then(|| noise.of("which").pick(&["hrv_balance", "activity_balance"]));
    for (name, points, _) in contributors {
        let (most, here) = if *name == "sleep_regularity" { (9, noise) } else { (22, noise.of("more")) };
        if *name == "sleep_regularity" || Some(*name) == also {
            let by = here.of("by").whole(1, most) * if here.of("up").chance(0.5) { 1 } else { -1 };
            *points = points.map(|points| points + by as f64);
        }
    }
}

/// The timestamp of a score: midnight in UTC, of `day` or now and then of the day before.
fn timestamp(life: &Life, day: NaiveDate) -> String {
    let is_off = life.chance("timestamp", day).chance(0.02) && !life.is_shown(day);
    format!("{}T00:00:00+00:00", if is_off { shifted(day, -1) } else { day })
}

/// Readiness as it stands in a sleep record: contributors, score and temperatures.
pub(super) fn readiness(life: &Life, night: &Sleep) -> Value {
    readiness_of(life, night, &readiness_contributors(life, night))
}

fn readiness_of(life: &Life, night: &Sleep, contributors: &[Contributor]) -> Value {
    let mut shown = shown(contributors);
    if night.day < shifted(life.anchor, REGULARITY_SINCE) {
        shown.remove("sleep_regularity");
    }
    let noise = night.noise.of("temperature");
    let deviation = (!noise.of("null").chance(0.014)).then(|| rounded(deviation(life, night.day)));
    let trend = (0..3).map(|back| self::deviation(life, shifted(night.day, -back))).sum::<f64>() / 3.0;
    json!({
        "contributors": shown,
        "score": score(contributors),
        "temperature_deviation": deviation,
        "temperature_trend_deviation": (!noise.of("no trend").chance(0.04)).then(|| rounded(trend)),
    })
}

/// How far the skin was from its usual temperature, in degrees Celsius.
fn deviation(life: &Life, day: NaiveDate) -> f64 {
    life.fever(day).unwrap_or(0.0) + 0.6 * life.chance("temperature", day).bell()
}

fn rounded(degrees: f64) -> f64 {
    (degrees * 100.0).round() / 100.0
}

/// The points of a night, with so many seconds of naps beside it.
fn sleep_contributors(life: &Life, night: &Sleep, napped: i64) -> [Contributor; 7] {
    let minutes = |seconds: i64| seconds as f64 / 60.0;
    let middle = minutes((night.start + (night.end - night.start) / 2 - life.midnight(night.day)).num_seconds());
    [
        ("deep_sleep", along(minutes(night.deep), &[(20.0, 20.0), (45.0, 50.0), (75.0, 82.0), (105.0, 98.0)]), 0.1),
        (
            "efficiency",
            along(night.efficiency() as f64, &[(60.0, 10.0), (75.0, 45.0), (85.0, 80.0), (92.0, 98.0)]),
            0.1,
        ),
        ("latency", along(minutes(night.latency), &[(1.0, 60.0), (9.0, 96.0), (15.0, 88.0), (40.0, 35.0)]), 0.1),
        ("rem_sleep", along(minutes(night.rem), &[(30.0, 20.0), (60.0, 52.0), (95.0, 84.0), (125.0, 98.0)]), 0.1),
        (
            "restfulness",
            along(night.restless as f64, &[(150.0, 96.0), (230.0, 78.0), (320.0, 52.0), (420.0, 20.0)]),
            0.15,
        ),
        ("timing", along(middle, &[(30.0, 72.0), (150.0, 100.0), (240.0, 84.0), (420.0, 22.0)]), 0.1),
        (
            "total_sleep",
            along(minutes(night.total() + napped), &[(200.0, 5.0), (330.0, 42.0), (420.0, 78.0), (490.0, 97.0)]),
            0.35,
        ),
    ]
}

fn readiness_contributors(life: &Life, night: &Sleep) -> [Contributor; 9] {
    let (noise, person, day) = (night.noise.of("readiness"), life.person, night.day);
    let recent = (1..8).map(|back| life.strain(shifted(day, -back))).sum::<f64>() / 7.0;
    let sport = |name: &str| {
        along(noise.of(name).bell() * 36.0 - 14.0 * life.strain(day) - 4.0, &[(-40.0, 40.0), (0.0, 82.0), (20.0, 98.0)])
    };
    let or_null =
        |name: &str, share: f64, points: Option<f64>| points.filter(|_| !noise.of(name).of("null").chance(share));
    let warmth = along(deviation(life, day).abs(), &[(0.0, 98.0), (0.35, 78.0), (0.7, 42.0), (1.5, 4.0)]);
    let slow = night.lowest - person.lowest_pulse;
    let variability = along(night.hrv / person.hrv_milliseconds, &[(0.4, 8.0), (0.8, 58.0), (1.0, 80.0), (1.25, 98.0)]);
    let regularity = 84.0 - 30.0 * recent - 40.0 * life.jet_lag(day) + 8.0 * noise.of("regular").bell();
    [
        ("activity_balance", or_null("activity_balance", 0.0014, sport("balance")), 0.1),
        ("body_temperature", or_null("body_temperature", 0.0028, warmth), 0.2),
        ("hrv_balance", or_null("hrv_balance", 0.227, variability), 0.15),
        ("previous_day_activity", or_null("previous_day_activity", 0.0037, sport("yesterday")), 0.1),
        (
            "previous_night",
            or_null("previous_night", 0.0037, score(&sleep_contributors(life, night, 0)).map(f64::from)),
            0.15,
        ),
        ("recovery_index", Some(80.0 - slow * 4.5 + 40.0 * noise.of("index").bell()), 0.1),
        ("resting_heart_rate", along(slow, &[(-3.0, 98.0), (0.0, 82.0), (4.0, 50.0), (10.0, 4.0)]), 0.2),
        ("sleep_balance", Some(84.0 - 60.0 * recent + 16.0 * noise.of("debt").bell()), 0.1),
        ("sleep_regularity", Some(regularity), 0.05),
    ]
}

/// The points at `value` on a line through `corners`, level beyond its ends.
pub(super) fn along(value: f64, corners: &[(f64, f64)]) -> Option<f64> {
    let (&first, &last) = (corners.first()?, corners.last()?);
    let leg = corners.windows(2).find_map(|leg| match leg {
        [from, to] if (from.0..to.0).contains(&value) => {
            Some(from.1 + (to.1 - from.1) * (value - from.0) / (to.0 - from.0))
        }
        _ => None,
    });
    leg.or(Some(if value < first.0 { first.1 } else { last.1 }))
}

/// What the contributors add up to, from 1 to 100.
pub(super) fn score(contributors: &[Contributor]) -> Option<i32> {
    let known = || contributors.iter().filter_map(|(_, points, weight)| points.map(|points| (points, weight)));
    let weights: f64 = known().map(|(_, weight)| weight).sum();
    let points: f64 = known().map(|(points, weight)| f64::from(whole(points)) * weight).sum();
    (weights > 0.0).then(|| whole(points / weights))
}

/// The contributors by name, as whole points.
pub(super) fn shown(contributors: &[Contributor]) -> Map<String, Value> {
    contributors.iter().map(|(name, points, _)| ((*name).to_owned(), json!(points.map(whole)))).collect()
}

fn whole(points: f64) -> i32 {
    (points.round() as i32).clamp(1, 100)
}
