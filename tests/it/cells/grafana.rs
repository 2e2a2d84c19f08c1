//! How Grafana turns a board, a reader's clock and a time range into queries, as its own sources have it.

use chrono::{DateTime, Datelike as _, FixedOffset, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

/// When clocks are put forward by an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Summer {
    Never,
    /// From 01:00 UTC on the last Sunday of March to that of October.
    European,
    /// From 02:00 on the second Sunday of March to 02:00 on the first of November, by their own clocks.
    American,
}

/// Where somebody reads a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Zone {
    pub(crate) name: &'static str,
    /// Hours ahead of UTC in winter.
    hours: i64,
    summer: Summer,
}

pub(crate) const UTC: Zone = Zone { name: "UTC", hours: 0, summer: Summer::Never };

/// Readers all around the world.
pub(crate) const READERS: [Zone; 6] = [
    Zone { name: "Pago Pago", hours: -11, summer: Summer::Never },
    Zone { name: "Los Angeles", hours: -8, summer: Summer::American },
    Zone { name: "London", hours: 0, summer: Summer::European },
    Zone { name: "Berlin", hours: 1, summer: Summer::European },
    Zone { name: "Tokyo", hours: 9, summer: Summer::Never },
    Zone { name: "Kiritimati", hours: 14, summer: Summer::Never },
];

/// The Sunday of a month that is on this day or after it.
fn sunday_from(year: i32, month: u32, day: u32) -> NaiveDateTime {
    let day = NaiveDate::from_ymd_opt(year, month, day).expect("a day");
    let later = 7 - i64::from(day.weekday().number_from_monday());
    (day + TimeDelta::days(later)).and_time(NaiveTime::MIN)
}

impl Zone {
    /// What the clock there is ahead of UTC.
    fn ahead(self, moment: DateTime<Utc>) -> TimeDelta {
        let (winter, now) = (TimeDelta::hours(self.hours), moment.naive_utc());
        let (two, hour) = (TimeDelta::hours(2), TimeDelta::hours(1));
        let summer = match self.summer {
            Summer::Never => return winter,
            Summer::European => sunday_from(now.year(), 3, 25) + hour..sunday_from(now.year(), 10, 25) + hour,
            Summer::American => {
                sunday_from(now.year(), 3, 8) + two - winter..sunday_from(now.year(), 11, 1) + hour - winter
            }
        };
        if summer.contains(&now) { winter + hour } else { winter }
    }

    /// The moment by the clock there.
    pub(crate) fn local(self, moment: DateTime<Utc>) -> DateTime<FixedOffset> {
        let seconds = i32::try_from(self.ahead(moment).num_seconds()).expect("hours");
        moment.with_timezone(&FixedOffset::east_opt(seconds).expect("an offset"))
    }

    /// The moment at which the clock there shows this.
    pub(crate) fn moment(self, local: NaiveDateTime) -> DateTime<Utc> {
        let guess = local.and_utc() - self.ahead(local.and_utc() - TimeDelta::hours(self.hours));
        local.and_utc() - self.ahead(guess)
    }
}

/// A time range as the reader chose it.
#[derive(Clone, Debug)]
pub(crate) enum Span {
    /// In Grafana's words, such as `now-30d` and `now/d`.
    Relative(&'static str, &'static str),
    /// By the clock of the board.
    Absolute(NaiveDateTime, NaiveDateTime),
}

/// Somebody who looks at a board.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// Whose clock the board shows: the reader's own, unless it has one.
    pub(crate) zone: Zone,
    pub(crate) now: DateTime<Utc>,
    pub(crate) span: Span,
    /// How wide a panel is: Grafana asks for no more points.
    pub(crate) width: i64,
}

/// What Prometheus is asked, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Times {
    At(i64),
    Range { start: i64, end: i64, step: i64 },
}

/// The interval at which a data source is taken to be scraped.
const SCRAPED_EVERY: i64 = 15_000;
/// Prometheus answers with no more points than this.
const MOST_POINTS: i64 = 11_000;

/// Up to which interval, in milliseconds, Grafana rounds to which one; from a second on.
const ROUNDED: &[(i64, i64)] = &[
    (1_500, 1_000),
    (3_500, 2_000),
    (7_500, 5_000),
    (12_500, 10_000),
    (17_500, 15_000),
    (25_000, 20_000),
    (45_000, 30_000),
    (90_000, 60_000),
    (210_000, 120_000),
    (450_000, 300_000),
    (750_000, 600_000),
    (1_050_000, 900_000),
    (1_500_000, 1_200_000),
    (2_700_000, 1_800_000),
    (5_400_000, 3_600_000),
    (9_000_000, 7_200_000),
    (16_200_000, 10_800_000),
    (32_400_000, 21_600_000),
    (86_400_000, 43_200_000),
    (604_800_000, 86_400_000),
    (1_814_400_000, 604_800_000),
    (3_628_799_999, 2_592_000_000),
];

fn rounded(interval: i64) -> i64 {
    ROUNDED.iter().find(|(up_to, _)| interval <= *up_to).map_or(31_536_000_000, |(_, rounded)| *rounded)
}

/// Milliseconds of a span such as `1d`.
pub(crate) fn milliseconds(span: &str) -> i64 {
    let (number, unit) = span.split_at(span.find(|c: char| c.is_ascii_alphabetic()).expect("a unit"));
    let unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        "y" => 31_536_000_000,
        other => panic!("an unknown unit: {other}"),
    };
    number.parse::<i64>().expect("a number") * unit
}

impl Look {
    /// A local time as `now-30d`, `now/d` and the like say it; what is rounded to a unit goes to its end if it `is_end`.
    fn relative(&self, words: &str, is_end: bool) -> DateTime<Utc> {
        let rest = words.strip_prefix("now").expect("now");
        let (back, unit) = rest.split_once('/').map_or((rest, None), |(back, unit)| (back, Some(unit)));
        let local = self.zone.local(self.now).naive_local();
        let back = back.strip_prefix('-').map_or(local, |back| earlier(local, back));
        let Some(unit) = unit else { return self.zone.moment(back) };
        let day = back.date();
        let (first, months) = match unit {
            "d" => (day, None),
            "w" => (day - TimeDelta::days(i64::from(day.weekday().num_days_from_monday())), None),
            "M" => (day.with_day(1).expect("a day"), Some(1)),
            "y" => (day.with_ordinal(1).expect("a day"), Some(12)),
            other => panic!("an unknown unit: {other}"),
        };
        let days = if unit == "w" { 7 } else { 1 };
        let next = months.map_or(first + TimeDelta::days(days), |months| first + Months::new(months));
        let moment = |day: NaiveDate| self.zone.moment(day.and_time(NaiveTime::MIN));
        if is_end { moment(next) - TimeDelta::milliseconds(1) } else { moment(first) }
    }

    /// From when to when.
    pub(crate) fn range(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        match &self.span {
            Span::Relative(from, to) => (self.relative(from, false), self.relative(to, true)),
            Span::Absolute(from, to) => (self.zone.moment(*from), self.zone.moment(*to)),
        }
    }

    /// From one point to the next, for a panel with this minimum.
    fn step(&self, from: i64, to: i64, least: Option<&str>) -> i64 {
        let least = least.map_or(SCRAPED_EVERY, milliseconds);
        rounded((to - from) / self.width).max(least).max(rounded((to - from) / MOST_POINTS))
    }

    /// What is asked for a panel with this minimum interval and this range of its own.
    pub(crate) fn times(&self, is_instant: bool, least: Option<&str>, time_from: Option<&str>) -> (Times, i64) {
        let (from, to) = self.range();
        // A range of a panel's own counts back from the end of the board's, if that is relative.
        let own = time_from.filter(|_| matches!(self.span, Span::Relative(..)));
        let to = to.timestamp_millis();
        let from = own.map_or(from.timestamp_millis(), |own| self.now.timestamp_millis() - milliseconds(own));
        let step = self.step(from, to, least);
        // The offset is the one at the end of the range, also for days on the other side of a clock change.
        let ahead = self.zone.ahead(DateTime::from_timestamp_millis(to).expect("a time")).num_milliseconds();
        let aligned = |time: i64| (time + ahead).div_euclid(step) * step - ahead;
        let times =
            if is_instant { Times::At(to) } else { Times::Range { start: aligned(from), end: aligned(to), step } };
        (times, step)
    }

    /// The day that Grafana writes under a point.
    pub(crate) fn day(&self, time: i64) -> NaiveDate {
        self.zone.local(DateTime::from_timestamp_millis(time).expect("a time")).date_naive()
    }
}

/// So much earlier by the same clock.
fn earlier(local: NaiveDateTime, back: &str) -> NaiveDateTime {
    let (number, unit) = back.split_at(back.len() - 1);
    let months = match unit {
        "M" => 1,
        "y" => 12,
        _ => return local - TimeDelta::milliseconds(milliseconds(back)),
    };
    local - Months::new(number.parse::<u32>().expect("a number") * months)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> DateTime<Utc> {
        text.parse().expect("a moment")
    }

    fn local(zone: Zone, text: &str) -> String {
        zone.local(moment(text)).to_rfc3339()
    }

    #[test]
    fn clocks_change_when_they_do() {
        let [_, angeles, london, berlin, ..] = READERS;
        assert_eq!(local(angeles, "2026-03-08T09:59:59Z"), "2026-03-08T01:59:59-08:00");
        assert_eq!(local(angeles, "2026-03-08T10:00:00Z"), "2026-03-08T03:00:00-07:00");
        assert_eq!(local(angeles, "2025-11-02T08:59:59Z"), "2025-11-02T01:59:59-07:00");
        assert_eq!(local(angeles, "2025-11-02T09:00:00Z"), "2025-11-02T01:00:00-08:00");
        assert_eq!(local(berlin, "2026-03-29T01:00:00Z"), "2026-03-29T03:00:00+02:00");
        assert_eq!(local(london, "2025-10-26T00:59:59Z"), "2025-10-26T01:59:59+01:00");
        assert_eq!(local(london, "2025-10-26T01:00:00Z"), "2025-10-26T01:00:00+00:00");
        for zone in READERS {
            let noon = moment("2026-07-01T12:00:00Z");
            assert_eq!(zone.moment(zone.local(noon).naive_local()), noon, "{}", zone.name);
        }
    }

    fn range(zone: Zone, span: Span, least: Option<&str>) -> (String, String, i64) {
        let look = Look { zone, now: moment("2026-04-10T17:20:00Z"), span, width: 1_000 };
        let (Times::Range { start, end, step }, _) = look.times(false, least, None) else { panic!("a range") };
        let text = |time| DateTime::<Utc>::from_timestamp_millis(time).expect("a time").to_rfc3339();
        (text(start), text(end), step)
    }

    /// As Grafana was seen to do it: in Berlin the days before the change stand at 23:00 of the day before.
    #[test]
    fn ranges_are_aligned_to_the_steps_of_the_boards_clock() {
        let month = Span::Relative("now-30d", "now");
        let of_days = |zone| range(zone, month.clone(), Some("1d"));
        let utc = ("2026-03-11T00:00:00+00:00".to_owned(), "2026-04-10T00:00:00+00:00".to_owned(), 86_400_000);
        assert_eq!(of_days(UTC), utc);
        let (start, end, _) = of_days(READERS[3]);
        assert_eq!((start.as_str(), end.as_str()), ("2026-03-10T22:00:00+00:00", "2026-04-09T22:00:00+00:00"));
        let (_, _, step) = range(UTC, Span::Relative("now-2d", "now"), None);
        assert_eq!(step, 120_000, "173 seconds are rounded to two minutes");
    }

    #[test]
    fn words_for_times_are_read_by_the_boards_clock() {
        let berlin = READERS[3];
        let ends = |from, to| {
            let look = Look {
                zone: berlin,
                now: moment("2026-04-10T23:30:00Z"),
                span: Span::Relative(from, to),
                width: 1_000,
            };
            let (from, to) = look.range();
            (from.to_rfc3339(), to.to_rfc3339())
        };
        let texts = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(ends("now/d", "now/d"), texts("2026-04-10T22:00:00+00:00", "2026-04-11T21:59:59.999+00:00"));
        assert_eq!(ends("now-1M/M", "now-1M/M"), texts("2026-02-28T23:00:00+00:00", "2026-03-31T21:59:59.999+00:00"));
        assert_eq!(ends("now-1y", "now/w"), texts("2025-04-10T23:30:00+00:00", "2026-04-12T21:59:59.999+00:00"));
        assert_eq!(ends("now-30d", "now"), texts("2026-03-12T00:30:00+00:00", "2026-04-10T23:30:00+00:00"));
    }
}
