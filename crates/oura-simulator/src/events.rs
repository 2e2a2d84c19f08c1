//! What a person or the app notes down: workouts, sessions, tags, rest mode; and who they and their rings are.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    collections::{ENHANCED_TAG, REST_MODE, RING, SESSION, TAG, WORKOUT},
    person_timeline::{Life, View, shifted, written},
    schedule::{Moment, Workout, moment, workouts},
};

/// How long after a workout its record arrives.
const WORKOUT_LAG: TimeDelta = TimeDelta::minutes(15);
/// How long what a tag says lasts, where that is told.
const TAGGED_FOR: TimeDelta = TimeDelta::minutes(90);
/// When the rest mode begins, in minutes after midnight.
const REST_FROM: f64 = 545.0;
/// How many days an illness keeps the rest mode on.
const REST_DAYS: i64 = 5;

/// The workouts of `day`, not always in the order in which they began.
pub(super) fn workout(view: &View, day: NaiveDate) -> Vec<Value> {
    let done = workouts(&view.life, day).into_iter().filter(|workout| is_known(view, workout));
    done.map(|workout| workout_document(view, &workout)).collect()
}

fn is_known(view: &View, workout: &Workout) -> bool {
    if workout.is_entered() { view.heard >= workout.end } else { view.synced >= workout.end + WORKOUT_LAG }
}

/// After which moments the workouts of `day` may be others.
pub(super) fn workout_moments(life: &Life, day: NaiveDate) -> Vec<DateTime<Utc>> {
    workouts(life, day).iter().flat_map(|workout| [workout.end, workout.end + WORKOUT_LAG]).collect()
}

fn workout_document(view: &View, workout: &Workout) -> Value {
    let (noise, life) = (workout.noise, &view.life);
    let hours = (workout.end - workout.start).num_seconds() as f64 / 3600.0;
    let is_utc = noise.of("utc").chance(0.1);
    let time = |moment: DateTime<Utc>| written(if is_utc { moment.fixed_offset() } else { life.local(moment) });
    let effort = workout.pulse - life.person.lowest_pulse;
    let (speed, is_far) = match workout.activity {
        "running" => (10.4, true),
        "cycling" => (22.0, true),
        "walking" => (5.1, true),
        _ => (0.0, false),
    };
    let kilocalories = effort * hours * life.person.weight_kilograms / 9.0;
    let metres = hours * speed * 1000.0 * noise.of("speed").between(0.9, 1.1);
    let is_found = workout.index == 0;
    // What the ring found is only a guess until the person has seen it in the app.
    let is_confirmed = !is_found || view.opened >= workout.end;
    json!({
        "id": life.id(WORKOUT, workout.day, workout.index),
        "activity": workout.activity,
        "calories": (kilocalories * 1000.0).round() / 1000.0,
        "day": workout.day,
        "distance": (is_far && !noise.of("no distance").chance(0.4)).then_some((metres * 100.0).round() / 100.0),
        "end_datetime": time(workout.end),
        "intensity": if effort < 55.0 { "easy" } else if effort < 82.0 { "moderate" } else { "hard" },
        "label": (!is_found && noise.of("label").chance(0.05)).then_some("with friends"),
        "source": if is_confirmed { workout.source() } else { "autodetected" },
        "start_datetime": time(workout.start),
    })
}

/// The session of `day`, if there was one.
pub(super) fn session(view: &View, day: NaiveDate) -> Vec<Value> {
    let done = moment(&view.life, day).filter(|moment| moment.end <= view.synced);
    done.map(|moment| session_document(view, &moment)).into_iter().collect()
}

/// After which moment the session of `day` may be known.
pub(super) fn session_moments(life: &Life, day: NaiveDate) -> Vec<DateTime<Utc>> {
    moment(life, day).map(|moment| moment.end).into_iter().collect()
}

fn session_document(view: &View, session: &Moment) -> Value {
    let (noise, life) = (session.noise, &view.life);
    let start = life.local(session.start);
    let count = (session.end - session.start).num_seconds() / 5;
    let series = |name: &str, level: f64, spread: f64, blind: i64| {
        let noise = noise.of(name);
        let items: Vec<Option<f64>> = (0..count)
            .map(|item| (item >= blind).then(|| (level + spread * noise.at(item).bell()).round().abs()))
            .collect();
        let timestamp = start.format("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string();
        json!({ "interval": 5.0, "items": items, "timestamp": timestamp })
    };
    let is_seen = session.kind != "breathing";
    let blind = if session.kind == "body_status" { 12 } else { noise.of("blind").whole(1, 4) };
    let mood = noise.of("mood").chance(0.6).then(|| noise.of("feels").pick(&["same", "good", "great", "worse"]));
    json!({
        "id": life.id(SESSION, session.day, 0),
        "day": session.day,
        "end_datetime": written(life.local(session.end)),
        "heart_rate": is_seen.then(|| series("pulse", life.person.lowest_pulse + 11.0, 7.0, blind)),
        "heart_rate_variability": is_seen.then(|| series("variability", life.person.hrv_milliseconds * 1.2, 30.0, blind + 3)),
        "mood": mood,
        "motion_count": series("motion", 1.0, 3.0, 0),
        "start_datetime": written(start),
        "type": session.kind,
    })
}

/// When the person sets the day's tag, if they set one.
pub(super) fn tagged(life: &Life, day: NaiveDate) -> Option<DateTime<Utc>> {
    let noise = life.chance("tag", day);
    let is_set = life.is_shown(day) || noise.chance(0.45);
    let at = life.at(day, noise.of("at").between(560.0, 1260.0));
    (is_set && day >= life.first && at < life.midnight(shifted(day, 1))).then_some(at)
}

/// When the day's tag was set, if the service has heard of it.
fn known_tag(view: &View, day: NaiveDate) -> Option<DateTime<Utc>> {
    tagged(&view.life, day).filter(|at| *at <= view.heard)
}

/// After which moments the tag of `day` may be another.
pub(super) fn tag_moments(life: &Life, day: NaiveDate) -> Vec<DateTime<Utc>> {
    tagged(life, day).into_iter().flat_map(|at| [at, at + TAGGED_FOR]).collect()
}

/// The tag of `day`: of the list, the wearer's own with a name and a comment, or of no kind at all.
pub(super) fn enhanced_tag(view: &View, day: NaiveDate) -> Vec<Value> {
    let Some(at) = known_tag(view, day) else { return Vec::new() };
    let (life, noise) = (&view.life, view.life.chance("enhanced", day));
    const CODES: [&str; 6] = [
        "tag_generic_fasting",
        "tag_generic_nocaffeine",
        "tag_sleep_alcohol",
        "tag_generic_sauna",
        "tag_generic_late_meal",
        "tag_sleep_caffeine",
    ];
    let (code, name, comment) = match noise.unit() {
        ..0.15 => (Some("custom"), Some("Choir"), Some("two hours; new song")),
        ..0.25 => (None, None, Some("slept at a friend's place")),
        _ => (Some(noise.of("code").pick(&CODES)), None, noise.of("said").chance(0.5).then_some("")),
    };
    let end = at + TAGGED_FOR;
    let has_end = noise.of("ends").chance(0.2) && end <= view.heard;
    vec![json!({
        "id": life.id(ENHANCED_TAG, day, 0),
        "tag_type_code": code,
        "start_time": written(life.local(at)),
        "end_time": has_end.then(|| written(life.local(end))),
        "start_day": day,
        "end_day": has_end.then(|| life.day(end)),
        "comment": comment,
        "custom_name": name,
    })]
}

/// The tag of `day` as the service wrote it before there were enhanced tags.
pub(super) fn tag(view: &View, day: NaiveDate) -> Vec<Value> {
    let noise = view.life.chance("old tag", day);
    let Some(at) = known_tag(view, day).filter(|_| noise.chance(0.6)) else { return Vec::new() };
    vec![json!({
        "id": view.life.id(TAG, day, 0),
        "day": day,
        "text": noise.of("said").chance(0.5).then_some("a glass of wine"),
        "timestamp": written(view.life.local(at)),
        "tags": ["tag_sleep_alcohol"],
    })]
}

/// A rest mode that began on `day`: through an illness, or switched on and off by mistake.
pub(super) fn rest_mode_period(view: &View, day: NaiveDate) -> Vec<Value> {
    let life = &view.life;
    let Some((start, end, last)) = rest(life, day).filter(|(start, ..)| *start <= view.heard) else {
        return Vec::new();
    };
    let (is_ill, is_over) = (last > day, end <= view.heard);
    let noted = json!([{ "tags": ["tag_generic_fever"], "timestamp": written(life.local(start)) }]);
    vec![json!({
        "id": life.id(REST_MODE, day, 0),
        "end_day": is_over.then_some(last),
        "end_time": is_over.then(|| written(life.local(end))),
        "episodes": if is_ill { noted } else { json!([]) },
        "start_day": day,
        "start_time": written(life.local(start)),
    })]
}

/// When the rest mode of `day` begins and ends, and on which day.
fn rest(life: &Life, day: NaiveDate) -> Option<(DateTime<Utc>, DateTime<Utc>, NaiveDate)> {
    let is_ill = life.falls_ill(day);
    if !is_ill && !life.chance("rest mode", day).chance(0.02) || day < life.first {
        return None;
    }
    let last = if is_ill { shifted(day, REST_DAYS - 1) } else { day };
    Some((life.at(day, REST_FROM), life.at(last, if is_ill { 1180.0 } else { 551.0 }), last))
}

/// After which moments the rest mode of `day` may be another.
pub(super) fn rest_mode_moments(life: &Life, day: NaiveDate) -> Vec<DateTime<Utc>> {
    rest(life, day).into_iter().flat_map(|(start, end, _)| [start, end]).collect()
}

/// Every ring that the person paired, the oldest first, whatever the day.
pub(super) fn ring_configuration(view: &View, _: NaiveDate) -> Vec<Value> {
    let rings = (0..).zip(view.life.person.rings).map(|(index, ring)| {
        json!({
            "id": view.life.id(RING, NaiveDate::default(), index),
            "color": ring.color,
            "design": ring.design,
            "firmware_version": ring.firmware_version,
            "hardware_type": ring.hardware_type,
            "set_up_at": ring.set_up_at,
            "size": ring.size,
        })
    });
    rings.collect()
}

/// Who the person is.
pub(super) fn personal_info(view: &View, _: NaiveDate) -> Vec<Value> {
    let person = view.life.person;
    vec![json!({
        "id": view.life.id(0, NaiveDate::default(), 0),
        "age": person.age,
        "weight": person.weight_kilograms,
        "height": person.height_metres,
        "biological_sex": person.sex,
        "email": person.email,
    })]
}
