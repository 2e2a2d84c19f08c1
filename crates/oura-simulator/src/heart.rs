//! The rows of heart rate: five minutes apart asleep, five seconds in sport, irregular in between.

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Timelike, Utc};
use serde_json::{Value, json};

use super::{
    noise::Noise,
    person_timeline::{View, shifted},
    schedule::{Doing, Span, doing, spans},
};

/// How often there are two rows of one second and of the same source.
const TWICE: f64 = 0.0004;
/// How often there are two rows of one second and of different sources.
const TWO_SOURCES: f64 = 0.002;
/// How many rows a day comes to, about.
const ROWS_A_DAY: f64 = 1160.0;
/// How many of them are of the night.
const NIGHT_ROWS: f64 = 95.0;
/// Which share of a day is spent awake, without long gaps between the rows.
const AWAKE_SHARE: f64 = 0.57;

/// The rows of the person's `day`, oldest first, as far as they have arrived.
pub(super) fn rows(view: &View, day: NaiveDate) -> Vec<Value> {
    let life = &view.life;
    if day < life.first {
        return Vec::new();
    }
    let (spans, noise) = (spans(life, day), life.chance("heart", day));
    let end = life.midnight(shifted(day, 1)).min(view.synced);
    let pause = pause(&spans, (life.midnight(shifted(day, 1)) - life.midnight(day)).num_seconds() as f64);
    let mut rows = Vec::new();
    let mut at = life.midnight(day) + TimeDelta::seconds(noise.whole(1, 40));
    for number in 0.. {
        if at >= end {
            break;
        }
        let here = noise.at(number);
        let doing = doing(&spans, at);
        if let Some((bpm, source)) = beat(&doing, at, here) {
            rows.push(row(at, bpm, source));
            let again = here.of("again").unit();
            if again < TWICE {
                rows.push(row(at, bpm + 1, source));
            } else if again < TWICE + TWO_SOURCES {
                rows.push(row(at, bpm - 2, if source == "live" { "awake" } else { "live" }));
            }
        }
        at += step(&doing, at, pause, here);
    }
    rows
}

/// The usual gap between two rows of somebody awake for which the day comes to about the same number of rows, in seconds.
fn pause(spans: &[Span], day_seconds: f64) -> f64 {
    let seconds = |span: &Span| (span.end - span.start).num_seconds() as f64;
    let dense = |span: &&Span| matches!(span.doing, Doing::Sport(_) | Doing::Resting(_));
    let dense_rows = spans.iter().filter(dense).map(seconds).sum::<f64>() / 5.0;
    let sparse_rows = (ROWS_A_DAY * day_seconds / 86_400.0 - NIGHT_ROWS - dense_rows).max(420.0);
    day_seconds * AWAKE_SHARE / sparse_rows
}

/// How long until the next row.
fn step(doing: &Doing, at: DateTime<Utc>, pause: f64, noise: Noise) -> TimeDelta {
    match doing {
        Doing::Asleep(sleep) => TimeDelta::seconds(300 - (at - sleep.start).num_seconds().rem_euclid(300)),
        Doing::Charging => TimeDelta::seconds(300),
        Doing::Sport(_) | Doing::Resting(_) => TimeDelta::seconds(5),
        Doing::Awake if noise.of("gap").chance(0.004) => TimeDelta::seconds(noise.of("long").whole(900, 3530)),
        Doing::Awake => {
            let stretch = noise.of("stretch").unit().powi(3) * 4.0;
            TimeDelta::seconds(((pause - 11.0).max(1.0) * stretch) as i64 + noise.of("pause").whole(4, 19))
        }
    }
}

/// Beats a minute and where they come from; nothing where the ring saw none.
fn beat(doing: &Doing, at: DateTime<Utc>, noise: Noise) -> Option<(i64, &'static str)> {
    let (bpm, source) = match doing {
        Doing::Charging => return None,
        Doing::Asleep(sleep) => {
            let source = if sleep.kind == "long_sleep" { "sleep" } else { "rest" };
            (sleep.pulse((at - sleep.start).num_seconds() / 300)?, source)
        }
        Doing::Sport(sport) => {
            let into = (at - sport.start).num_seconds() as f64 / (sport.end - sport.start).num_seconds().max(1) as f64;
            let warm = (into * 8.0).min(1.0) * 0.3 + 0.7;
            let wave = (at.timestamp() as f64 / 90.0).sin() * 7.0;
            (sport.pulse * warm + wave + noise.bell() * 5.0, "workout")
        }
        Doing::Resting(rest) => (66.0 + rest.noise.of("level").bell() * 6.0 + noise.bell() * 4.0, "session"),
        Doing::Awake => {
            let day_long = (f64::from(at.hour()) / 24.0 * std::f64::consts::TAU).sin() * 3.0;
            let source = if noise.of("live").chance(0.004) { "live" } else { "awake" };
            (79.0 + day_long + noise.bell() * 30.0, source)
        }
    };
    Some((bpm.round().clamp(38.0, 203.0) as i64, source))
}

fn row(at: DateTime<Utc>, bpm: i64, source: &str) -> Value {
    let mut row = json!({
        "timestamp": at.to_rfc3339_opts(SecondsFormat::Millis, true),
        "bpm": bpm,
        "source": source,
        "producer_timestamp": (at + TimeDelta::seconds(2)).to_rfc3339_opts(SecondsFormat::Millis, true),
    });
    if at.timestamp() % 16 != 0 {
        row["timestamp_unix"] = json!(at.timestamp_millis());
    }
    row
}
