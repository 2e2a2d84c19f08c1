//! The few time zones that the people of the simulator live in and travel to.

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, TimeDelta, Utc, Weekday};

/// A place with its rule of daylight saving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    /// Two hours ahead of UTC, three in summer (from the last Sunday of March to the last of October, at 01:00 UTC).
    Helsinki,
    /// Five hours behind, four in summer (second Sunday of March to the first of November, at 02:00 local time).
    NewYork,
    /// Eight hours behind, seven in summer (on the days on which New York changes, at 02:00 local time).
    LosAngeles,
    /// Nine hours ahead, always.
    Tokyo,
    /// Thirteen hours ahead: only visited in its summer.
    Auckland,
}

impl Zone {
    /// The offset that clocks show there at `moment`.
    pub(super) fn offset(self, moment: DateTime<Utc>) -> FixedOffset {
        let hours = match self {
            Self::Helsinki => 2 + i32::from(in_summer(moment, (last_sunday(3), 1), (last_sunday(10), 1))),
            Self::NewYork => -5 + i32::from(in_summer(moment, (nth_sunday(3, 2), 7), (nth_sunday(11, 1), 6))),
            Self::LosAngeles => -8 + i32::from(in_summer(moment, (nth_sunday(3, 2), 10), (nth_sunday(11, 1), 9))),
            Self::Tokyo => 9,
            Self::Auckland => 13,
        };
        FixedOffset::east_opt(hours * 3600).expect("less than a day from UTC")
    }

    /// The moment at which the clocks there show midnight at the beginning of `day`.
    pub(super) fn midnight(self, day: NaiveDate) -> DateTime<Utc> {
        let midnight = day.and_time(chrono::NaiveTime::MIN);
        midnight.and_utc() - TimeDelta::seconds(self.offset(midnight.and_utc()).local_minus_utc().into())
    }
}

/// Whether `moment` is between two changes, each a Sunday of its year and an hour of UTC.
fn in_summer(
    moment: DateTime<Utc>,
    (begin, begin_hour): (impl Fn(i32) -> NaiveDate, u32),
    (end, end_hour): (impl Fn(i32) -> NaiveDate, u32),
) -> bool {
    let at = |day: NaiveDate, hour: u32| day.and_time(chrono::NaiveTime::MIN).and_utc() + TimeDelta::hours(hour.into());
    moment >= at(begin(moment.year()), begin_hour) && moment < at(end(moment.year()), end_hour)
}

fn nth_sunday(month: u32, nth: u8) -> impl Fn(i32) -> NaiveDate {
    move |year| NaiveDate::from_weekday_of_month_opt(year, month, Weekday::Sun, nth).unwrap_or_default()
}

fn last_sunday(month: u32) -> impl Fn(i32) -> NaiveDate {
    move |year| {
        let fifth = NaiveDate::from_weekday_of_month_opt(year, month, Weekday::Sun, 5);
        fifth.unwrap_or_else(|| nth_sunday(month, 4)(year))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_change_when_they_do_in_the_world() {
        let hours = |zone: Zone, moment: &str| zone.offset(moment.parse().unwrap()).local_minus_utc() / 3600;
        assert_eq!(hours(Zone::Helsinki, "2024-10-27T00:59:59Z"), 3);
        assert_eq!(hours(Zone::Helsinki, "2024-10-27T01:00:00Z"), 2);
        assert_eq!(hours(Zone::NewYork, "2026-03-08T06:59:59Z"), -5);
        assert_eq!(hours(Zone::NewYork, "2026-03-08T07:00:00Z"), -4);
        assert_eq!(hours(Zone::NewYork, "2026-11-01T06:00:00Z"), -5);
        assert_eq!(hours(Zone::LosAngeles, "2026-03-08T09:59:59Z"), -8);
        assert_eq!(hours(Zone::LosAngeles, "2026-03-08T10:00:00Z"), -7);
        assert_eq!(hours(Zone::LosAngeles, "2026-11-01T09:00:00Z"), -8);
    }
}
