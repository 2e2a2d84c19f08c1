//! Where the record puts what a document says: a day's values in the day's place, an event's at its beginning, and both a
//! little later for each minute that went by until they were learnt, so that a revision is a later sample.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

/// A day's place begins this long after 00:00 UTC, so that it lies within the day however a window is closed.
const INTO_THE_DAY: TimeDelta = TimeDelta::minutes(1);
/// Milliseconds in a minute, and in a second.
const MINUTE: i64 = 60_000;
const SECOND: i64 = 1_000;
/// The most by which a sample stands after its place: 59 minutes in milliseconds. As one stands for a minute until it
/// was learnt, that is 6.7 years.
const LATEST: i64 = 59 * MINUTE;

/// What a sample tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A document's `day`, whatever the wearer's zone.
    Day(NaiveDate),
    /// Something that began then.
    Event(DateTime<Utc>),
}

impl Place {
    /// Where it begins, in milliseconds since 1970.
    pub fn begin(self) -> i64 {
        match self {
            Self::Day(day) => (day.and_time(NaiveTime::MIN) + INTO_THE_DAY).and_utc().timestamp_millis(),
            Self::Event(start) => start.timestamp_millis().div_euclid(SECOND) * SECOND,
        }
    }

    /// Its day of UTC.
    pub fn day(self) -> NaiveDate {
        match self {
            Self::Day(day) => day,
            Self::Event(start) => start.date_naive(),
        }
    }

    /// The time of a sample that was learnt at `learnt`: a millisecond after the place's beginning for each whole minute
    /// from then on. None while the place has not come.
    pub fn stamp(self, learnt: DateTime<Utc>) -> Option<i64> {
        let minutes = (learnt.timestamp_millis() - self.begin()).div_euclid(MINUTE);
        (minutes >= 0).then(|| self.begin() + minutes.min(LATEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_days_sample_says_in_its_milliseconds_when_it_was_learnt() {
        let day = Place::Day("2026-11-22".parse().unwrap());
        let stamp = |learnt: &str| day.stamp(at(learnt)).map(|time| DateTime::from_timestamp_millis(time).unwrap());
        assert_eq!(stamp("2026-11-22T00:00:59.999Z"), None, "a morning in Asia waits for its place");
        assert_eq!(stamp("2026-11-22T00:01:00Z"), Some(at("2026-11-22T00:01:00Z")));
        assert_eq!(stamp("2026-11-22T06:53:59Z"), Some(at("2026-11-22T00:01:00.412Z")));
        assert_eq!(stamp("2026-11-27T00:01:00Z"), Some(at("2026-11-22T00:01:07.200Z")), "five days late");
        assert_eq!(stamp("2036-01-01T00:00:00Z"), Some(at("2026-11-22T01:00:00Z")), "and never in the next hour");
    }

    #[test]
    fn an_event_stands_at_its_own_second() {
        let run = Place::Event(at("2026-11-22T17:30:05.700Z"));
        assert_eq!(run.stamp(at("2026-11-22T17:30:00Z")), None);
        assert_eq!(run.stamp(at("2026-11-22T18:30:05Z")), Some(run.begin() + 60));
        assert_eq!(run.begin() % 1000, 0);
    }
}
