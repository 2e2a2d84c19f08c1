//! How long a day's values stood on the page: from when they first showed until the next day's did.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::zones::Zones;
use crate::documents::{Appears, PastView};

/// The longest time for which a value is written without a newer one: a day, and two hours for a late riser.
pub(super) const LONGEST_HOLD: TimeDelta = TimeDelta::hours(26);

/// When each day's night was over.
pub(super) type Mornings = BTreeMap<NaiveDate, DateTime<Utc>>;

/// From when until when a view was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) from: DateTime<Utc>,
    pub(super) until: DateTime<Utc>,
}

/// When a view first showed on the page.
pub(super) fn appeared(view: &PastView, appears: Appears, mornings: &Mornings, zones: &Zones) -> Option<DateTime<Utc>> {
    let day_end = || Some(zones.midnight(view.day.succ_opt()?));
    match (view.ended, appears) {
        (_, Appears::Never) => None,
        (Some(ended), _) => Some(ended),
        (None, Appears::Morning) => mornings.get(&view.day).copied().or_else(day_end),
        (None, Appears::DayStart) => Some(zones.midnight(view.day)),
        (None, Appears::DayEnd) => day_end(),
    }
}

/// For how long each was shown that appeared then; they are in the order of their days, and the page shows the newest
/// day. One that a newer day forestalled was never shown.
pub(super) fn holds(appeared: &[DateTime<Utc>]) -> Vec<Option<Hold>> {
    let mut next: Option<DateTime<Utc>> = None;
    let hold = |from: &DateTime<Utc>| {
        let longest = *from + LONGEST_HOLD;
        let until = next.map_or(longest, |next| next.min(longest));
        next = Some(next.map_or(*from, |next| next.min(*from)));
        (*from < until).then_some(Hold { from: *from, until })
    };
    let mut holds: Vec<_> = appeared.iter().rev().map(hold).collect();
    holds.reverse();
    holds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_holds_until_the_next_ones_and_not_for_ever() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let shown = holds(&[
            at("2026-11-01T06:00:00Z"),
            at("2026-11-02T07:00:00Z"),
            at("2026-11-04T06:00:00Z"),
            at("2026-11-04T05:00:00Z"),
        ]);
        let hold = |from: &str, until: &str| Some(Hold { from: at(from), until: at(until) });
        assert_eq!(shown[0], hold("2026-11-01T06:00:00Z", "2026-11-02T07:00:00Z"));
        assert_eq!(shown[1], hold("2026-11-02T07:00:00Z", "2026-11-03T09:00:00Z"), "26 hours, then nothing");
        assert_eq!(shown[2], None, "the next day's came first");
        assert_eq!(shown[3], hold("2026-11-04T05:00:00Z", "2026-11-05T07:00:00Z"));
    }
}
