//! A day's activity, from four in the morning to four, as far as it has gone.

use chrono::{NaiveDate, TimeDelta};
use serde_json::{Value, json};

use super::{
    collections::ACTIVITY,
    doings::{Doing, Span, doing, spans},
    life::{Life, View, shifted},
    noise::Noise,
    scores::{along, score, shown},
};

/// When an activity day begins, in minutes after midnight.
const BEGINS: f64 = 240.0;
/// When the running day gets its score, in minutes after midnight.
const SCORED: f64 = 600.0;
/// Minutes in a slot of `class_5_min`.
const SLOT: i64 = 5;
/// Slots in a day.
const SLOTS: i64 = 288;
/// One day in so many has no document at all.
const MISSING: f64 = 0.01;

/// What a day came to.
struct Tally<'a> {
    /// The class of each slot: 0 not worn, 1 rest, 2 inactive, 3 low, 4 medium, 5 high.
    classes: &'a [u8],
    /// Metabolic equivalents of each minute.
    mets: &'a [f64],
}

/// The activity of `day`, if it has begun.
pub(super) fn daily_activity(view: &View, day: NaiveDate) -> Vec<Value> {
    let life = &view.life;
    let noise = life.chance("activity", day);
    let begin = life.at(day, BEGINS);
    let gone = ((view.now - begin).num_minutes() / SLOT).min(SLOTS);
    let is_missing = noise.of("missing").chance(MISSING) && !life.is_shown(day);
    if gone < 1 || is_missing || day < life.first {
        return Vec::new();
    }
    let spans: Vec<Span> = spans(life, day).into_iter().chain(spans(life, shifted(day, 1))).collect();
    let slot = |slot: i64| begin + TimeDelta::minutes(slot * SLOT);
    let classes: Vec<u8> =
        (0..gone).map(|number| class(&doing(&spans, slot(number)), life, noise.at(number), number)).collect();
    let (minutes, effort) = (classes.iter().flat_map(|&class| (0..SLOT).map(move |_| class)), noise.of("met"));
    let mets: Vec<f64> = (0..).zip(minutes).map(|(minute, class)| met(class, effort.at(minute))).collect();
    let mut document = document(view, day, noise, &Tally { classes: &classes, mets: &mets });
    document["met"] = json!({
        "interval": 60.0,
        "items": mets,
        "timestamp": life.local(begin).format("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string(),
    });
    vec![document]
}

/// The class of a slot in which this was done.
fn class(doing: &Doing, life: &Life, noise: Noise, slot: i64) -> u8 {
    match doing {
        Doing::Charging => 0,
        Doing::Asleep(_) => 1,
        Doing::Sport(sport) if sport.pulse > life.person.lowest_pulse + 72.0 && noise.chance(0.7) => 5,
        Doing::Sport(_) => 4,
        Doing::Resting(_) => 1,
        Doing::Awake => {
            let evening = if slot > 200 { 0.12 } else { 0.0 };
            match noise.unit() / life.person.drive {
                ..0.028 => 4,
                share if share < 0.30 - evening => 3,
                share if share < 0.90 => 2,
                _ => 1,
            }
        }
    }
}

/// The metabolic equivalents of a minute in a slot of this class.
fn met(class: u8, noise: Noise) -> f64 {
    let (low, high) = match class {
        0 => (0.1, 0.1),
        1 => (0.9, 0.9),
        2 => (1.0, 1.4),
        3 => (1.5, 2.8),
        4 => (3.0, 5.4),
        _ => (6.2, 9.4),
    };
    (noise.between(low, high) * 10.0).round() / 10.0
}

impl Tally<'_> {
    /// Seconds spent in this class.
    fn seconds(&self, class: u8) -> i64 {
        self.classes.iter().filter(|&&other| other == class).count() as i64 * SLOT * 60
    }

    /// Metabolic equivalents above rest that the minutes of this class add up to.
    fn met_minutes(&self, class: u8) -> i64 {
        let minutes =
            (0..).zip(self.mets).filter(|(minute, _)| self.classes.get(minute / SLOT as usize) == Some(&class));
        minutes.map(|(_, met)| (met - 1.0).max(0.0)).sum::<f64>().round() as i64
    }

    /// Kilocalories burnt by moving, and in all.
    fn calories(&self, kilograms: f64) -> (i64, i64) {
        let moving: f64 = self.mets.iter().filter(|met| **met >= 1.5).map(|met| met - 1.0).sum();
        let all: f64 = self.mets.iter().map(|met| met.max(0.9)).sum();
        ((moving * kilograms / 60.0) as i64, (all * kilograms / 60.0) as i64)
    }

    fn steps(&self, drive: f64) -> i64 {
        let a_minute = |met: f64| match met {
            ..1.5 => 0.0,
            ..3.0 => 13.0,
            ..6.0 => 88.0,
            _ => 118.0,
        };
        (self.mets.iter().map(|met| a_minute(*met)).sum::<f64>() * drive) as i64
    }

    /// How often there was nearly an hour without moving.
    fn alerts(&self) -> i64 {
        self.classes.chunks(10).filter(|hour| hour.iter().all(|class| *class == 2)).count() as i64
    }
}

fn document(view: &View, day: NaiveDate, noise: Noise, tally: &Tally) -> Value {
    let (life, person) = (&view.life, view.life.person);
    let (active, total) = tally.calories(person.weight_kilograms);
    let (target_calories, target_meters) =
        (400 + noise.of("target").whole(0, 3) * 50, 8000 + noise.of("far").whole(0, 4) * 500);
    let walked = active * 17 + tally.steps(0.12);
    let contributors = contributors(tally, noise, active as f64 / target_calories as f64, life.strain(day));
    let is_scored = view.now >= life.at(day, SCORED);
    json!({
        "id": life.id(ACTIVITY, day, 0),
        "active_calories": active,
        "average_met_minutes": (tally.mets.iter().sum::<f64>() / tally.mets.len() as f64 * 32.0).round() / 32.0,
        "class_5_min": tally.classes.iter().map(|class| char::from(b'0' + class)).collect::<String>(),
        "contributors": if is_scored { json!(shown(&contributors)) } else { json!({}) },
        "day": day,
        "equivalent_walking_distance": walked,
        "high_activity_met_minutes": tally.met_minutes(5),
        "high_activity_time": tally.seconds(5),
        "inactivity_alerts": tally.alerts(),
        "low_activity_met_minutes": tally.met_minutes(3),
        "low_activity_time": tally.seconds(3),
        "medium_activity_met_minutes": tally.met_minutes(4),
        "medium_activity_time": tally.seconds(4),
        "meters_to_target": target_meters - walked,
        "non_wear_time": tally.seconds(0),
        "resting_time": tally.seconds(1),
        "score": score(&contributors).filter(|_| is_scored),
        "sedentary_met_minutes": tally.met_minutes(2),
        "sedentary_time": tally.seconds(2),
        "steps": tally.steps(person.drive),
        "target_calories": target_calories,
        "target_meters": target_meters,
        "timestamp": super::life::written(life.local(life.at(day, BEGINS))),
        "total_calories": total,
    })
}

fn contributors(tally: &Tally, noise: Noise, reached: f64, strain: f64) -> [(&'static str, Option<f64>, f64); 6] {
    let sedentary_hours = tally.seconds(2) as f64 / 3600.0;
    let habit = |name: &str| Some(84.0 - 25.0 * strain + 18.0 * noise.of(name).bell());
    [
        ("meet_daily_targets", along(reached, &[(0.2, 25.0), (0.7, 62.0), (1.0, 88.0), (1.4, 100.0)]), 0.25),
        ("move_every_hour", Some(100.0 - 6.0 * tally.alerts() as f64), 0.1),
        ("recovery_time", habit("recovery"), 0.15),
        ("stay_active", along(sedentary_hours, &[(5.0, 96.0), (8.0, 80.0), (11.0, 52.0), (15.0, 20.0)]), 0.2),
        ("training_frequency", habit("frequency"), 0.15),
        ("training_volume", habit("volume"), 0.15),
    ]
}
