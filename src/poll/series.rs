//! The rows of a time series that are kept between polls, so that a poll asks only for what is new.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{documents::Time, observation::CLOCK_TOLERANCE};

/// How far back of its newest sample a series is read whole, and kept unless more is wanted.
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
pub(super) struct Series {
    rows: BTreeMap<DateTime<Utc>, Box<RawValue>>,
    timeless: Vec<Box<RawValue>>,
    whole: DateTime<Utc>,
    /// How far back of its newest sample it is kept.
    depth: TimeDelta,
}

#[derive(Deserialize)]
struct Stamp {
    timestamp: Time,
}

/// When a row was taken, if it says so, and of a year in which it can have been.
pub(super) fn time(row: &RawValue) -> Option<DateTime<Utc>> {
    serde_json::from_str::<Stamp>(row.get()).ok().map(|stamp| stamp.timestamp.to_utc())
}

/// The rows of a time series that is not kept, by the same rule: of two of one time, the last.
pub(super) fn distinct(rows: Vec<Box<RawValue>>) -> Vec<Box<RawValue>> {
    let (mut dated, mut timeless) = (BTreeMap::new(), vec![]);
    for row in rows {
        match time(&row) {
            Some(time) => drop(dated.insert(time, row)),
            None => timeless.push(row),
        }
    }
    dated.into_values().chain(timeless).collect()
}

impl Series {
    /// An empty series that is being read whole at `now`, and kept so far back.
    pub(super) fn new(now: DateTime<Utc>, depth: TimeDelta) -> Self {
        Self { rows: BTreeMap::new(), timeless: vec![], whole: now, depth }
    }

    /// Forgets what was from `start` on, which is being read whole at `now`; all of it where nothing is known.
    pub(super) fn begin_anew(&mut self, start: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        self.whole = now;
        match start {
            Some(start) => drop(self.rows.split_off(&start)),
            None => self.rows.clear(),
        }
    }

    /// Its newest sample.
    pub(super) fn newest(&self) -> Option<DateTime<Utc>> {
        self.rows.keys().next_back().copied()
    }

    /// Its newest sample, unless it is time to read it whole again.
    pub(super) fn continues_from(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.newest().filter(|_| now - self.whole < WHOLE_EVERY)
    }

    /// Adds rows; one of the same time replaces the one before, and one from the future is no sample.
    pub(super) fn add(&mut self, rows: Vec<Box<RawValue>>, now: DateTime<Utc>) {
        self.timeless.clear();
        for row in rows {
            match time(&row) {
                Some(time) if time > now + CLOCK_TOLERANCE => {}
                Some(time) => drop(self.rows.insert(time, row)),
                None => self.timeless.push(row),
            }
        }
        if let Some(newest) = self.rows.keys().next_back() {
            self.rows = self.rows.split_off(&(*newest - self.depth));
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
        let mut series = Series::new(now, KEPT);
        series.add(vec![row(now - TimeDelta::hours(20), 50), row(now, 60)], now);
        let odd = RawValue::from_string(r#"{"bpm":1}"#.to_owned()).unwrap();
        let (later, never) = (now + TimeDelta::hours(5), now + TimeDelta::days(900));
        series.add(vec![row(now, 61), row(later, 70), row(never, 99), odd], later);
        let texts: Vec<_> = series.documents().iter().map(|row| row.get().to_owned()).collect();
        assert_eq!(texts.len(), 3, "{texts:?}");
        assert!(texts[0].ends_with("61}") && texts[1].ends_with("70}") && texts[2] == r#"{"bpm":1}"#);
        assert_eq!(series.continues_from(now + TimeDelta::minutes(59)), Some(later));
        assert_eq!(series.continues_from(now + TimeDelta::hours(1)), None);
    }
}
