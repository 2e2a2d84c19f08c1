//! A day's activity, from four in the morning to four, as far as the ring has told of it.

use std::ops::Range;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    collections::ACTIVITY,
    noise::Noise,
    person_timeline::{Life, View, shifted, written},
    schedule::{Doing, Span, Workout, doing, spans, workouts},
    scores::{along, score, shown},
    syncs::morning,
};

/// When an activity day begins, in minutes after midnight.
const BEGINS: f64 = 240.0;
/// When the running day gets its score, in minutes after midnight.
const SCORED: f64 = 600.0;
/// Minutes in a slot of `class_5_min`.
const SLOT: i64 = 5;
/// How many classes a slot may have.
const CLASSES: usize = 6;
/// Slots in a day.
const SLOTS: i64 = 288;
/// How many of the last slots that the ring told of may still change.
const UNSURE_SLOTS: i64 = 2;
/// What a minute has that the ring has not told of yet.
const PADDING: f64 = 0.9;
/// One day in so many has no document at all.
const MISSING: f64 = 0.01;
/// The share of days of which the ring never tells the end.
const LOST: f64 = 0.02;
/// The share of days that are revised.
const REVISED: f64 = 0.93;

/// A day as it really was, whatever the service has heard of it.
pub(super) struct Day {
    life: Life,
    day: NaiveDate,
    noise: Noise,
    begin: DateTime<Utc>,
    /// From when on the ring never told of the day, if that was so.
    lost: Option<DateTime<Utc>>,
    /// The class of each slot: 0 not worn, 1 rest, 2 inactive, 3 low, 4 medium, 5 high.
    classes: Vec<u8>,
    /// What each slot came to.
    efforts: Vec<Effort>,
    /// The metabolic equivalents of each minute, as the service writes them.
    mets: Vec<Value>,
    /// Workouts that the person entered.
    entered: Vec<Workout>,
    /// When the service revises the sums of the day, if it does.
    revised: Option<DateTime<Utc>>,
}

/// What some minutes came to.
#[derive(Clone, Copy, Default)]
struct Effort {
    mets: f64,
    /// Metabolic equivalents above rest.
    above_rest: f64,
    /// The same, of minutes of moving only.
    moving: f64,
    /// Metabolic equivalents, at least those of rest.
    burnt: f64,
    /// Steps of a person of average drive.
    steps: f64,
}

/// What the known part of a day came to.
struct Tally {
    classes: Vec<u8>,
    slots: [i64; CLASSES],
    above_rest: [f64; CLASSES],
    all: Effort,
    /// What the service found out about the day afterwards.
    more: More,
}

/// What a revision adds to a day.
#[derive(Clone, Copy, Default)]
struct More {
    steps: i64,
    kilocalories: i64,
    points: f64,
}

/// The activity of `day`, as far as it is known.
pub(super) fn daily_activity(view: &View, day: NaiveDate) -> Vec<Value> {
    if view.synced < view.life.at(day, BEGINS) {
        return Vec::new();
    }
    Day::new(&view.life, day).map(|whole| whole.documents(view)).unwrap_or_default()
}

/// The time in which the activity of `day` is counted, and until its last slots are sure.
pub(super) fn running(life: &Life, day: NaiveDate) -> Option<Range<DateTime<Utc>>> {
    let begin = life.at(day, BEGINS);
    Some(begin..begin + TimeDelta::minutes((SLOTS + UNSURE_SLOTS) * SLOT))
}

/// After which moments the activity of `day` may be another, but for the time in which it is counted.
pub(super) fn moments(life: &Life, day: NaiveDate) -> Vec<DateTime<Utc>> {
    revised_at(life, day).into_iter().collect()
}

/// When the service revises the activity of `day`, if it does: on the second to eighth morning after.
fn revised_at(life: &Life, day: NaiveDate) -> Option<DateTime<Utc>> {
    let noise = life.chance("activity revised", day);
    noise.chance(REVISED).then(|| morning(life, shifted(day, noise.of("days").whole(2, 8)))).flatten()
}

impl Day {
    /// The day, if the service ever has a document of it.
    pub(super) fn new(life: &Life, day: NaiveDate) -> Option<Self> {
        let noise = life.chance("activity", day);
        if noise.of("missing").chance(MISSING) && !life.is_shown(day) || day < life.first {
            return None;
        }
        let begin = life.at(day, BEGINS);
        let spans: Vec<Span> = spans(life, day).into_iter().chain(spans(life, shifted(day, 1))).collect();
        let slot = |slot: i64| begin + TimeDelta::minutes(slot * SLOT);
        let classes: Vec<u8> =
            (0..SLOTS).map(|number| class(&doing(&spans, slot(number)), life, noise.at(number), number)).collect();
        let (minutes, effort) = (classes.iter().flat_map(|&class| (0..SLOT).map(move |_| class)), noise.of("met"));
        let mets: Vec<f64> = (0..).zip(minutes).map(|(minute, class)| met(class, effort.at(minute))).collect();
        let is_lost = noise.of("lost").chance(LOST) && !life.is_shown(day);
        let last = if noise.of("early").chance(0.4) { 160 } else { noise.of("last").whole(600, 1200) };
        Some(Self {
            life: *life,
            day,
            noise,
            begin,
            lost: is_lost.then(|| begin + TimeDelta::minutes(last)),
            classes,
            efforts: mets.chunks(SLOT as usize).map(Effort::of).collect(),
            mets: mets.into_iter().map(Value::from).collect(),
            entered: workouts(life, day).into_iter().filter(Workout::is_entered).collect(),
            revised: revised_at(life, day),
        })
    }

    /// The document of the day as the service has it, if it has heard of the day at all.
    pub(super) fn documents(&self, view: &View) -> Vec<Value> {
        let told = self.lost.map_or(view.synced, |lost| view.synced.min(lost));
        let slots = (told - self.begin).num_minutes().div_euclid(SLOT);
        let known = slots.clamp(0, SLOTS);
        if known < 1 {
            return Vec::new();
        }
        let minutes = usize::try_from(known * SLOT).unwrap_or(0);
        let is_revised = self.revised.is_some_and(|at| view.opened >= at);
        let more = if is_revised { self.more() } else { More::default() };
        let mut document = document(self, view, &Tally::new(self.classes(known, slots), &self.efforts, more));
        document["met"] = json!({
            "interval": 60.0,
            "items": self.items(view, minutes),
            "timestamp": self.life.local(self.begin).format("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string(),
        });
        vec![document]
    }

    /// The classes of the known slots; the last of those that the ring told of are often taken for something else.
    fn classes(&self, known: i64, told: i64) -> Vec<u8> {
        let mut classes: Vec<u8> = self.classes.iter().copied().take(usize::try_from(known).unwrap_or(0)).collect();
        for (number, class) in (0..).zip(&mut classes).filter(|(number, _)| number + UNSURE_SLOTS >= told) {
            if self.noise.of("unsure").at(number).chance(0.3) {
                *class = if *class == 2 { 1 } else { 2 };
            }
        }
        classes
    }

    /// What each minute of the whole day says: as it was, as it was entered, or nothing.
    fn items(&self, view: &View, known: usize) -> Vec<Value> {
        let mut items = self.mets[..known].to_vec();
        items.resize(self.mets.len(), Value::from(PADDING));
        for workout in self.entered.iter().filter(|workout| view.heard >= workout.end) {
            let minute = |moment: DateTime<Utc>| usize::try_from((moment - self.begin).num_minutes()).unwrap_or(0);
            let met = if workout.pulse < self.life.person.lowest_pulse + 60.0 { 3.5 } else { 6.0 };
            let end = minute(workout.end).min(items.len());
            let start = minute(workout.start).max(known).min(end);
            items[start..end].fill(Value::from(met));
        }
        items
    }

    /// What the revision of the day adds.
    fn more(&self) -> More {
        let noise = self.noise.of("more");
        let less = if noise.of("less").chance(0.25) { -0.4 } else { 1.0 };
        More {
            steps: (noise.unit().powi(4) * 7200.0) as i64,
            kilocalories: (noise.of("calories").unit().powi(3) * 1300.0 * less) as i64,
            points: (noise.of("points").unit().powi(2) * 40.0 * less).round(),
        }
    }
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

impl Effort {
    /// What these minutes with so many metabolic equivalents came to.
    fn of(mets: &[f64]) -> Self {
        mets.iter().fold(Self::default(), |sum, &mets| {
            let above_rest = (mets - 1.0).max(0.0);
            let moving = if mets >= 1.5 { mets - 1.0 } else { 0.0 };
            let steps = match mets {
                ..1.5 => 0.0,
                ..3.0 => 13.0,
                ..6.0 => 88.0,
                _ => 118.0,
            };
            sum.plus(&Self { mets, above_rest, moving, burnt: mets.max(0.9), steps })
        })
    }

    fn plus(&self, other: &Self) -> Self {
        Self {
            mets: self.mets + other.mets,
            above_rest: self.above_rest + other.above_rest,
            moving: self.moving + other.moving,
            burnt: self.burnt + other.burnt,
            steps: self.steps + other.steps,
        }
    }
}

impl Tally {
    /// What slots of these classes came to, the first of these efforts.
    fn new(classes: Vec<u8>, efforts: &[Effort], more: More) -> Self {
        let (mut slots, mut above_rest, mut all) = ([0; CLASSES], [0.0; CLASSES], Effort::default());
        for (class, effort) in classes.iter().zip(efforts) {
            slots[usize::from(*class)] += 1;
            above_rest[usize::from(*class)] += effort.above_rest;
            all = all.plus(effort);
        }
        Self { classes, slots, above_rest, all, more }
    }

    /// Seconds spent in this class.
    fn seconds(&self, class: usize) -> i64 {
        self.slots[class] * SLOT * 60
    }

    /// Metabolic equivalents above rest that the minutes of this class add up to.
    fn met_minutes(&self, class: usize) -> i64 {
        self.above_rest[class].round() as i64
    }

    /// Kilocalories burnt by moving, and in all.
    fn calories(&self, kilograms: f64) -> (i64, i64) {
        let with_more = |mets: f64| ((mets * kilograms / 60.0) as i64 + self.more.kilocalories).max(0);
        (with_more(self.all.moving), with_more(self.all.burnt))
    }

    fn average_met(&self) -> f64 {
        let minutes = self.classes.len() as i64 * SLOT;
        (self.all.mets / minutes as f64 * 32.0).round() / 32.0
    }

    fn steps(&self, drive: f64) -> i64 {
        (self.all.steps * drive) as i64 + self.more.steps
    }

    /// How often there was nearly an hour without moving.
    fn alerts(&self) -> i64 {
        self.classes.chunks(10).filter(|hour| hour.iter().all(|class| *class == 2)).count() as i64
    }
}

fn document(whole: &Day, view: &View, tally: &Tally) -> Value {
    let (life, person, day, noise) = (&whole.life, whole.life.person, whole.day, whole.noise);
    let (active, total) = tally.calories(person.weight_kilograms);
    let (target_calories, target_meters) =
        (400 + noise.of("target").whole(0, 3) * 50, 8000 + noise.of("far").whole(0, 4) * 500);
    let walked = active * 17 + tally.steps(0.12);
    let contributors = contributors(tally, noise, active as f64 / target_calories as f64, life.strain(day));
    let is_scored = view.synced >= life.at(day, SCORED);
    json!({
        "id": life.id(ACTIVITY, day, 0),
        "active_calories": active,
        "average_met_minutes": tally.average_met(),
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
        "timestamp": written(life.local(life.at(day, BEGINS))),
        "total_calories": total,
    })
}

fn contributors(tally: &Tally, noise: Noise, reached: f64, strain: f64) -> [(&'static str, Option<f64>, f64); 6] {
    let sedentary_hours = tally.seconds(2) as f64 / 3600.0;
    let habit = |name: &str| Some(84.0 - 25.0 * strain + 18.0 * noise.of(name).bell() + tally.more.points);
    [
        ("meet_daily_targets", along(reached, &[(0.2, 25.0), (0.7, 62.0), (1.0, 88.0), (1.4, 100.0)]), 0.25),
        ("move_every_hour", Some(100.0 - 6.0 * tally.alerts() as f64), 0.1),
        ("recovery_time", habit("recovery"), 0.15),
        ("stay_active", along(sedentary_hours, &[(5.0, 96.0), (8.0, 80.0), (11.0, 52.0), (15.0, 20.0)]), 0.2),
        ("training_frequency", habit("frequency"), 0.15),
        ("training_volume", habit("volume"), 0.15),
    ]
}
