//! What a person or the app notes down: workouts, sessions, tags, rest mode; and who they and their rings are.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    collections::{ENHANCED_TAG, REST_MODE, RING, SESSION, TAG, WORKOUT},
    doings::{Moment, Workout, moment, workouts},
    life::{View, shifted, written},
};

/// How long after a workout its record arrives.
const WORKOUT_LAG: TimeDelta = TimeDelta::minutes(15);
/// How many days an illness keeps the rest mode on.
const REST_DAYS: i64 = 5;

/// The workouts of `day`, not always in the order in which they began.
pub(super) fn workout(view: &View, day: NaiveDate) -> Vec<Value> {
    let done = workouts(&view.life, day).into_iter().filter(|workout| workout.end + WORKOUT_LAG <= view.now);
    done.map(|workout| workout_document(view, &workout)).collect()
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
    json!({
        "id": life.id(WORKOUT, workout.day, workout.index),
        "activity": workout.activity,
        "calories": (kilocalories * 1000.0).round() / 1000.0,
        "day": workout.day,
        "distance": (is_far && !noise.of("no distance").chance(0.4)).then_some((metres * 100.0).round() / 100.0),
        "end_datetime": time(workout.end),
        "intensity": if effort < 55.0 { "easy" } else if effort < 82.0 { "moderate" } else { "hard" },
        "label": (!is_found && noise.of("label").chance(0.05)).then_some("with friends"),
        "source": if is_found { "confirmed" } else { noise.of("source").pick(&["manual", "workout_heart_rate", "live_oura_heart_rate"]) },
        "start_datetime": time(workout.start),
    })
}

/// The session of `day`, if there was one.
pub(super) fn session(view: &View, day: NaiveDate) -> Vec<Value> {
    let done = moment(&view.life, day).filter(|moment| moment.end <= view.now);
    done.map(|moment| session_document(view, &moment)).into_iter().collect()
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

/// When the wearer set the day's tag, if they set one.
fn tagged(view: &View, day: NaiveDate) -> Option<DateTime<Utc>> {
    let (life, noise) = (&view.life, view.life.chance("tag", day));
    let is_set = life.is_shown(day) || noise.chance(0.45);
    let at = life.at(day, noise.of("at").between(560.0, 1260.0));
    (is_set && day >= life.first && at <= view.now && at < life.midnight(shifted(day, 1))).then_some(at)
}

/// The tag of `day`: of the list, the wearer's own with a name and a comment, or of no kind at all.
pub(super) fn enhanced_tag(view: &View, day: NaiveDate) -> Vec<Value> {
    let Some(at) = tagged(view, day) else { return Vec::new() };
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
    let end = at + TimeDelta::minutes(90);
    let has_end = noise.of("ends").chance(0.2) && end <= view.now;
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
    let Some(at) = tagged(view, day).filter(|_| noise.chance(0.6)) else { return Vec::new() };
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
    let (life, noise) = (&view.life, view.life.chance("rest mode", day));
    let is_ill = life.falls_ill(day);
    let start = life.at(day, 545.0);
    if !is_ill && !noise.chance(0.02) || day < life.first || view.now < start {
        return Vec::new();
    }
    let last = if is_ill { shifted(day, REST_DAYS - 1) } else { day };
    let end = life.at(last, if is_ill { 1180.0 } else { 551.0 });
    let is_over = end <= view.now;
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
