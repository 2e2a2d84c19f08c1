//! What a person does with a day: sport, moments of rest, the ring on its charger; and what goes on at a moment.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};

use super::{
    night::{Sleep, main_night, sleeps},
    noise::Noise,
    person_timeline::{Life, shifted},
};

/// A stretch of sport.
#[derive(Clone, Copy, Debug)]
pub(super) struct Workout {
    pub(super) day: NaiveDate,
    pub(super) index: u16,
    pub(super) activity: &'static str,
    pub(super) start: DateTime<Utc>,
    pub(super) end: DateTime<Utc>,
    /// Beats a minute on average.
    pub(super) pulse: f64,
    pub(super) noise: Noise,
}

impl Workout {
    /// Where the service has it from, as its documents say in the end.
    pub(super) fn source(&self) -> &'static str {
        let noise = self.noise.of("source");
        let is_found = self.index == 0;
        if is_found { "confirmed" } else { noise.pick(&["manual", "workout_heart_rate", "live_oura_heart_rate"]) }
    }

    /// Whether the person entered it as soon as it was over, often before the ring had told of that time.
    pub(super) fn is_entered(&self) -> bool {
        self.source() == "manual" && self.noise.of("entered").chance(0.5)
    }
}

/// A moment taken for oneself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) day: NaiveDate,
    pub(super) kind: &'static str,
    pub(super) start: DateTime<Utc>,
    pub(super) end: DateTime<Utc>,
    pub(super) noise: Noise,
}

/// What the ring takes a stretch of time for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Doing {
    Asleep(Sleep),
    Sport(Workout),
    Resting(Moment),
    Charging,
    Awake,
}

/// One thing done from a moment to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: DateTime<Utc>,
    pub(super) end: DateTime<Utc>,
    pub(super) doing: Doing,
}

/// After how many days the ring goes on its charger again.
const CHARGED_EVERY_DAYS: i64 = 5;

/// The workouts of `day`: perhaps a walk at noon, perhaps sport after work.
pub(super) fn workouts(life: &Life, day: NaiveDate) -> Vec<Workout> {
    let noise = life.chance("sport", day);
    let mut workouts = Vec::new();
    if day < life.first || life.is_forgotten(day) {
        return workouts;
    }
    if noise.of("walks").chance(0.4) {
        let noise = noise.of("walk");
        workouts.push(workout(life, day, 0, "walking", (725.0, noise.between(14.0, 34.0)), noise));
    }
    let is_ill = life.fever(day).is_some();
    if life.is_shown(day) || !is_ill && noise.of("trains").chance(0.48 * life.person.drive) {
        let activity = if is_ill { "walking" } else { noise.of("which").pick(life.person.sports) };
        let start = if life.is_free(day) { 630.0 } else { 1060.0 } + noise.of("start").between(0.0, 50.0);
        workouts.push(workout(life, day, 1, activity, (start, noise.of("minutes").between(28.0, 72.0)), noise));
    }
    workouts.retain(|workout| workout.end < life.midnight(shifted(day, 1)));
    workouts
}

fn workout(
    life: &Life,
    day: NaiveDate,
    index: u16,
    activity: &'static str,
    (start, minutes): (f64, f64),
    noise: Noise,
) -> Workout {
    let effort = match activity {
        "walking" | "yoga" => 46.0,
        "strength_training" | "swimming" => 66.0,
        _ => 92.0,
    };
    Workout {
        day,
        index,
        activity,
        start: life.at(day, start),
        end: life.at(day, start + minutes),
        pulse: life.person.lowest_pulse + effort + noise.of("effort").bell() * 12.0,
        noise,
    }
}

/// The moment that the person took on `day`, if any.
pub(super) fn moment(life: &Life, day: NaiveDate) -> Option<Moment> {
    const KINDS: [(&str, i64); 5] =
        [("breathing", 277), ("meditation", 605), ("body_status", 180), ("relaxation", 480), ("rest", 540)];
    let noise = life.chance("moment", day);
    let taken = life.is_shown(day) || noise.of("taken").chance(0.3);
    if !taken || day < life.first || life.is_forgotten(day) {
        return None;
    }
    let (kind, seconds) = noise.pick(&KINDS);
    let start = life.at(day, noise.of("when").pick(&[800.0, 1310.0]) + noise.of("start").between(0.0, 3.0));
    let moment = Moment { day, kind, start, end: start + TimeDelta::seconds(seconds), noise };
    (moment.end < life.midnight(shifted(day, 1))).then_some(moment)
}

/// When the ring is on its charger on `day`: an evening hour and a half every few days, or all day when forgotten.
pub(super) fn charging(life: &Life, day: NaiveDate) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    if life.is_forgotten(day) {
        let from = if life.is_forgotten(shifted(day, -1)) { 0.0 } else { -180.0 };
        let to = if life.is_forgotten(shifted(day, 1)) { life.midnight(shifted(day, 1)) } else { life.at(day, 1260.0) };
        return Some((life.at(day, from), to));
    }
    let phase = life.noise.of("charging").whole(0, CHARGED_EVERY_DAYS - 1);
    let is_due = (i64::from(day.num_days_from_ce()) + phase).rem_euclid(CHARGED_EVERY_DAYS) == 0;
    is_due.then(|| (life.at(day, 1200.0), life.at(day, 1288.0)))
}

/// All that the ring could notice on `day`, what counts first where two things overlap.
pub(super) fn spans(life: &Life, day: NaiveDate) -> Vec<Span> {
    let on_charger = charging(life, day).into_iter().chain(charging(life, shifted(day, 1)));
    let asleep = sleeps(life, day).into_iter().chain(main_night(life, shifted(day, 1)));
    let charging = on_charger.map(|(start, end)| Span { start, end, doing: Doing::Charging });
    let asleep = asleep.map(|sleep| Span { start: sleep.start, end: sleep.end, doing: Doing::Asleep(sleep) });
    let sport = workouts(life, day).into_iter();
    let sport = sport.map(|workout| Span { start: workout.start, end: workout.end, doing: Doing::Sport(workout) });
    let resting = moment(life, day).into_iter();
    let resting = resting.map(|moment| Span { start: moment.start, end: moment.end, doing: Doing::Resting(moment) });
    charging.chain(asleep).chain(sport).chain(resting).collect()
}

/// What goes on at `moment`.
pub(super) fn doing(spans: &[Span], moment: DateTime<Utc>) -> Doing {
    spans.iter().find(|span| (span.start..span.end).contains(&moment)).map_or(Doing::Awake, |span| span.doing)
}
