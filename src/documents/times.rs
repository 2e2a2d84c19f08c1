//! Days and times as documents bear them: none outside the years in which a ring can have been worn.

use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike as _, FixedOffset, NaiveDate, NaiveDateTime, Utc};
use serde::Deserialize;

use crate::observation::SeenOffset;

/// The years of which a document can truthfully tell. One outside makes its document unreadable, so that no arithmetic on dates
/// has to fear the ends of the calendar, and no value is dated to a year in which there was no Oura.
const YEARS: RangeInclusive<i32> = 2010..=2099;

/// Why a day or a time is none. Nobody reads it: a document that cannot be read is told by the field alone.
const OUTSIDE: &str = "outside the years 2010 to 2099";

/// A day of the wearer's own calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "NaiveDate")]
pub(super) struct Day(NaiveDate);

impl Day {
    /// Its date.
    pub(super) const fn date(self) -> NaiveDate {
        self.0
    }
}

impl TryFrom<NaiveDate> for Day {
    type Error = &'static str;

    fn try_from(date: NaiveDate) -> Result<Self, Self::Error> {
        if YEARS.contains(&date.year()) { Ok(Self(date)) } else { Err(OUTSIDE) }
    }
}

/// An instant, with the offset from UTC at which Oura writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "DateTime<FixedOffset>")]
pub(crate) struct Time(DateTime<FixedOffset>);

impl Time {
    /// The instant.
    pub(crate) fn to_utc(self) -> DateTime<Utc> {
        self.0.to_utc()
    }

    /// What the wearer's clock showed.
    pub(super) fn by_the_clock(self) -> NaiveDateTime {
        self.0.naive_local()
    }
}

impl TryFrom<DateTime<FixedOffset>> for Time {
    type Error = &'static str;

    fn try_from(time: DateTime<FixedOffset>) -> Result<Self, Self::Error> {
        // By UTC: at the ends of the calendar the local year cannot be had.
        if YEARS.contains(&time.to_utc().year()) { Ok(Self(time)) } else { Err(OUTSIDE) }
    }
}

impl From<Time> for SeenOffset {
    fn from(time: Time) -> Self {
        Self::from(time.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_outside_the_years_of_a_ring_are_none() {
        let is_day = |text: &str| serde_json::from_str::<Day>(&format!("\"{text}\"")).is_ok();
        for (text, is_good) in [
            ("2010-01-01", true),
            ("2099-12-31", true),
            ("2009-12-31", false),
            ("2100-01-01", false),
            ("-262143-01-01", false),
            ("+262142-12-31", false),
        ] {
            assert_eq!(is_day(text), is_good, "{text}");
        }
        let is_time = |text: &str| serde_json::from_str::<Time>(&format!("\"{text}\"")).is_ok();
        for (text, is_good) in [
            ("2010-01-01T00:00:00Z", true),
            ("2099-12-31T23:59:59.999+00:00", true),
            ("2010-01-01T00:00:00+02:00", false),
            ("2099-12-31T23:59:59-02:00", false),
            ("1970-01-01T00:00:00Z", false),
            ("-262143-01-01T00:00:00Z", false),
            ("-262143-01-01T00:00:00+23:59", false),
            ("+262142-12-31T23:59:59-23:59", false),
        ] {
            assert_eq!(is_time(text), is_good, "{text}");
        }
    }
}
