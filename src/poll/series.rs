//! The rows of a time series that are kept between polls, so that a poll asks only for what is new.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{documents::Time, observation::CLOCK_TOLERANCE};

/// How far back of its newest sample a series is read whole, and kept.
pub(super) const KEPT: TimeDelta = TimeDelta::hours(24);
/// How far back of the newest sample is asked again: rows of the last sync may come in any order.
pub(super) const OVERLAP: TimeDelta = TimeDelta::hours(1);
/// How often the series is read whole, for rows that came later than the overlap.
const WHOLE_EVERY: TimeDelta = TimeDelta::hours(1);

/// How many rows are kept, and how many bytes of them; of more, the newest. A sample every five seconds for a week is below.
const MOST_ROWS: usize = 125_000;
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Rows by their time.
#[derive(Debug)]
pub(super) struct TimedRows {
    /// By time and source: what two sources say of one second are two rows.
    rows: BTreeMap<(DateTime<Utc>, Option<String>), Box<RawValue>>,
    timeless: Vec<Box<RawValue>>,
    whole: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Stamp<'a> {
    timestamp: Time,
    #[serde(borrow, default)]
    source: Option<&'a RawValue>,
}

fn stamp(row: &RawValue) -> Option<(DateTime<Utc>, Option<String>)> {
    let Stamp { timestamp, source } = serde_json::from_str(row.get()).ok()?;
    Some((timestamp.to_utc(), source.map(|source| source.get().to_owned())))
}

/// When a row was taken, if it says so, and of a year in which it can have been.
pub(super) fn time(row: &RawValue) -> Option<DateTime<Utc>> {
    stamp(row).map(|(time, _)| time)
}

/// The rows of a time series that is not kept, by the same rule: of two of one time and source, the last.
pub(super) fn distinct(rows: Vec<Box<RawValue>>) -> Vec<Box<RawValue>> {
    let (mut dated, mut timeless) = (BTreeMap::new(), vec![]);
    for row in rows {
        match stamp(&row) {
            Some(stamp) => drop(dated.insert(stamp, row)),
            None => timeless.push(row),
        }
    }
    dated.into_values().chain(timeless).collect()
}

impl TimedRows {
    /// An empty series that is being read whole at `now`.
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        Self { rows: BTreeMap::new(), timeless: vec![], whole: now }
    }

    /// Forgets what was from `start` on, which is being read whole at `now`; all of it where nothing is known.
    pub(super) fn begin_anew(&mut self, start: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        self.whole = now;
        match start {
            Some(start) => drop(self.rows.split_off(&(start, None))),
            None => self.rows.clear(),
        }
    }

    /// Its newest sample.
    pub(super) fn newest(&self) -> Option<DateTime<Utc>> {
        self.rows.keys().next_back().map(|(time, _)| *time)
    }

    /// Its newest sample, unless it is time to read it whole again.
    pub(super) fn continues_from(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // Of a clock that was ahead, the last time lies in the future.
        self.newest().filter(|_| (now - self.whole).abs() < WHOLE_EVERY)
    }

    /// Adds rows; one of the same time and source replaces the one before, and one from the future is no sample. What is
    /// added stays until the next time, however old it is: somebody has to see it once.
    pub(super) fn add(&mut self, rows: Vec<Box<RawValue>>, now: DateTime<Utc>) {
        self.timeless.clear();
        if let Some(newest) = self.newest() {
            self.rows = self.rows.split_off(&(newest - KEPT, None));
        }
        for row in rows {
            match stamp(&row) {
                Some((time, _)) if time > now + CLOCK_TOLERANCE => {}
                Some(stamp) => drop(self.rows.insert(stamp, row)),
                None => self.timeless.push(row),
            }
        }
        let mut bytes: usize = self.rows.values().map(|row| row.get().len()).sum();
        while self.rows.len() > MOST_ROWS || bytes > MOST_BYTES {
            bytes -= self.rows.pop_first().map_or(0, |(_, row)| row.get().len());
        }
    }

    /// All rows, those without a time of the last answer too: somebody has to count them.
    pub(super) fn documents(&self) -> Vec<Box<RawValue>> {
        self.rows.values().chain(&self.timeless).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(time: DateTime<Utc>, bpm: u32) -> Box<RawValue> {
        RawValue::from_string(format!(r#"{{"timestamp":"{}","bpm":{bpm}}}"#, time.to_rfc3339())).unwrap()
    }

    #[test]
    fn keeps_a_day_replaces_what_came_again_and_is_read_whole_each_hour() {
        let now = Utc::now();
        let mut series = TimedRows::new(now);
        series.add(vec![row(now - TimeDelta::hours(20), 50), row(now, 60)], now);
        let odd = RawValue::from_string(r#"{"bpm":1}"#.to_owned()).unwrap();
        let (later, never) = (now + TimeDelta::hours(5), now + TimeDelta::days(900));
        series.add(vec![row(now, 61), row(later, 70), row(never, 99), odd], later);
        let endings = |series: &TimedRows| -> Vec<String> {
            series.documents().iter().map(|row| row.get().rsplit('"').next().unwrap_or_default().to_owned()).collect()
        };
        assert_eq!(endings(&series), [":50}", ":61}", ":70}", ":1}"], "what was there is seen once more");
        series.add(vec![], later);
        assert_eq!(endings(&series), [":61}", ":70}"]);
        assert_eq!(series.continues_from(now + TimeDelta::minutes(59)), Some(later));
        assert_eq!(series.continues_from(now + TimeDelta::hours(1)), None);
        assert_eq!(series.continues_from(now - TimeDelta::days(2)), None, "the clock was ahead");
    }
}
