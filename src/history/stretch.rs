//! The time of a backfill, cut into months.

use chrono::{DateTime, Datelike as _, Days as Count, Months, NaiveDate, NaiveTime, Utc};

use super::ask::MARGIN;
use crate::documents::Days;

/// A part of the time, within one month of UTC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) first: NaiveDate,
    pub(super) from: DateTime<Utc>,
    pub(super) until: DateTime<Utc>,
    /// The day to go on with where this is not done: west of UTC, a day begins when UTC's has been for hours.
    pub(super) go_on_from: NaiveDate,
}

impl Stretch {
    pub(super) fn days(self) -> u64 {
        (self.until.date_naive() - self.first).num_days().unsigned_abs()
    }
}

/// The months that have a part of the days, from the first one's earliest beginning on earth; `end` is the end of all.
pub(super) fn stretches((first, last): Days, end: DateTime<Utc>) -> Vec<Stretch> {
    let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
    let end = end.min(midnight(last + MARGIN));
    let mut stretches = Vec::new();
    let mut day = first - Count::new(1);
    while midnight(day) < end {
        let next = (day + Months::new(1)).with_day(1).unwrap_or(day);
        let go_on_from = (day - Count::new(1)).max(first);
        stretches.push(Stretch { first: day, from: midnight(day), until: midnight(next).min(end), go_on_from });
        day = next;
    }
    stretches
}
