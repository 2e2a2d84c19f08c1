//! How far an account has come, whatever becomes of the others: where the same command goes on with it.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::observation::DateRange;

/// The place of an account.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Place {
    /// All days before this were brought in.
    pub(super) first: NaiveDate,
    /// Of the month that begins there, everything before this was sent, in milliseconds since 1970; none: nothing.
    pub(super) before: Option<i64>,
    /// The last day that was asked for, if it was brought in too; the days from `first` on were not over then.
    pub(super) through: Option<NaiveDate>,
    /// The first day of which a collection was left out.
    pub(super) missing: Option<NaiveDate>,
}

impl Place {
    /// At that day, with nothing of it.
    pub(super) const fn at(first: NaiveDate) -> Self {
        Self { first, before: None, through: None, missing: None }
    }

    /// With all of `days` but what is told later than on the day `until`.
    pub(super) fn after(days: DateRange, until: NaiveDate, missing: Option<NaiveDate>) -> Self {
        Self { missing, ..Self::at(days.last.succ_opt().unwrap_or(days.last).min(until)) }
    }

    /// Whether all was brought in that there was.
    pub(super) const fn is_at_end(&self) -> bool {
        self.through.is_some()
    }

    /// At the end of all, which was `last`: of the days from `unfinished` on there will be more. Where a collection was left
    /// out, it goes on there.
    pub(super) fn at_end(last: NaiveDate, unfinished: NaiveDate, missing: Option<NaiveDate>) -> Self {
        let first = last.succ_opt().unwrap_or(last).min(unfinished);
        let again = |missing| Self { missing: Some(missing), ..Self::at(missing) };
        missing.map_or(Self { through: Some(last), ..Self::at(first) }, again)
    }

    /// Whether it is back where a collection was left out, and what was brought in since is brought in again.
    pub(super) fn is_again(&self) -> bool {
        self.missing.is_some_and(|missing| self.first <= missing)
    }

    /// What is left to be brought in of `days`, of those until `last`.
    pub(super) fn rest(&self, days: DateRange, last: NaiveDate) -> Option<DateRange> {
        let is_left = self.through != Some(last) && days.last >= self.first;
        is_left.then(|| DateRange { first: days.first.max(self.first), last: days.last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn days(first: &str, last: &str) -> DateRange {
        DateRange { first: day(first), last: day(last) }
    }

    #[test]
    fn what_is_left_begins_at_the_place() {
        let (place, last) = (Place::at(day("2026-03-01")), day("2026-04-10"));
        assert_eq!(place.rest(days("2026-02-01", "2026-02-28"), last), None);
        for month in [days("2026-03-01", "2026-03-31"), days("2026-04-01", "2026-04-10")] {
            assert_eq!(place.rest(month, last), Some(month));
        }
    }

    #[test]
    fn what_came_to_its_end_goes_on_only_where_there_are_more_days_and_with_those_that_were_not_over() {
        let (last, today) = (day("2026-04-11"), day("2026-04-10"));
        let (place, april) = (Place::at_end(last, today, None), days("2026-04-01", "2026-04-11"));
        assert_eq!(place.rest(april, last), None);
        let later = days("2026-04-01", "2026-04-15");
        assert_eq!(place.rest(later, later.last), Some(days("2026-04-10", "2026-04-15")));
        let past = Place::at_end(day("2026-02-10"), today, None);
        assert_eq!(past.rest(days("2026-02-01", "2026-02-28"), later.last), Some(days("2026-02-11", "2026-02-28")));
    }

    #[test]
    fn what_is_told_later_of_a_month_that_is_done_is_brought_in_later() {
        let march = days("2026-03-01", "2026-03-31");
        assert_eq!(Place::after(march, day("2026-04-20"), None), Place::at(day("2026-04-01")));
        // Until the evening of its last day.
        let place = Place::after(march, day("2026-03-31"), None);
        assert_eq!(place.rest(march, day("2026-04-01")), Some(days("2026-03-31", "2026-03-31")));
        let missing = Some(day("2026-02-01"));
        let place = Place::after(march, day("2026-03-30"), missing);
        assert_eq!((place.first, place.missing), (day("2026-03-30"), missing));
    }

    #[test]
    fn where_a_collection_was_left_out_it_goes_on_there() {
        let last = day("2026-04-11");
        let place = Place::at_end(last, last, Some(day("2026-02-01")));
        assert!(place.is_again() && !Place { missing: place.missing, ..Place::at(last) }.is_again());
        assert_eq!(place.rest(days("2026-02-01", "2026-02-28"), last), Some(days("2026-02-01", "2026-02-28")));
    }
}
