//! The rows of the ring's battery: one about every half an hour, falling, and rising on the charger.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};

use super::{
    person_timeline::{Life, View, shifted},
    schedule::charging,
};

/// How much of the charge an hour of wearing costs, in percent.
const COST: f64 = 0.6;
/// How much an hour on the charger gives, in percent.
const GAIN: f64 = 62.0;
const HALF_AN_HOUR: i64 = 1800;

/// The rows of the person's `day`, oldest first, as far as they have arrived.
pub(super) fn rows(view: &View, day: NaiveDate) -> Vec<Value> {
    let life = &view.life;
    if day < life.first {
        return Vec::new();
    }
    let (begin, end) = (life.midnight(day), life.midnight(shifted(day, 1)));
    let slots = begin.timestamp().div_euclid(HALF_AN_HOUR)..=end.timestamp().div_euclid(HALF_AN_HOUR);
    let moments = slots.filter_map(|slot| {
        let seconds = slot * HALF_AN_HOUR + life.noise.of("battery").at(slot).whole(0, 240);
        DateTime::from_timestamp(seconds, 0)
    });
    let known = moments.filter(|at| (begin..end).contains(at) && *at <= view.synced);
    known.map(|at| row(life, day, at)).collect()
}

fn row(life: &Life, day: NaiveDate, at: DateTime<Utc>) -> Value {
    let (level, is_on_charger) = level(life, day, at);
    // Now and then the service does not say; not of everybody at once, so that a demo is full.
    let is_told = (at.timestamp() / HALF_AN_HOUR + life.person.name.len() as i64) % 7 != 0;
    json!({
        "timestamp": at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        "timestamp_unix": at.timestamp_millis(),
        "level": level as i64,
        "charging": is_told.then_some(is_on_charger && level < 100.0),
        "in_charger": is_told.then_some(is_on_charger),
    })
}

/// The charge in percent, and whether the ring is on its charger.
fn level(life: &Life, day: NaiveDate, at: DateTime<Utc>) -> (f64, bool) {
    let hours = |from: DateTime<Utc>, to: DateTime<Utc>| (to - from).num_seconds().max(0) as f64 / 3600.0;
    let mut spells = (-9..=1).filter_map(|shift| charging(life, shifted(day, shift)));
    let mut charge = 80.0;
    let mut since = life.midnight(shifted(day, -9));
    loop {
        match spells.next() {
            Some((from, to)) if from <= at => {
                charge = (charge - COST * hours(since, from)).max(1.0);
                if at < to {
                    return ((charge + GAIN * hours(from, at)).min(100.0), true);
                }
                charge = (charge + GAIN * hours(from, to)).min(100.0);
                since = to;
            }
            _ => return ((charge - COST * hours(since, at)).max(1.0), false),
        }
    }
}
