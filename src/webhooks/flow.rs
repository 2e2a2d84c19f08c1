//! Whether events flow for an account: how long they usually keep away, and when that is too long.

use std::collections::VecDeque;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

/// However often events came so far, a night without any is usual.
const LEAST: TimeDelta = TimeDelta::hours(12);
/// However seldom they came, a day and a half without any is silence.
const MOST: TimeDelta = TimeDelta::hours(36);
/// What is usual is told by so many days.
const DAYS: usize = 7;

/// When events came.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    /// Since when they are awaited.
    since: DateTime<Utc>,
    last: Option<DateTime<Utc>>,
    /// The longest time without one, by the day on which it ended.
    longest: VecDeque<(NaiveDate, TimeDelta)>,
}

impl Flow {
    pub(super) const fn new(since: DateTime<Utc>) -> Self {
        Self { since, last: None, longest: VecDeque::new() }
    }

    /// Takes note of an event.
    pub(super) fn event(&mut self, now: DateTime<Utc>) {
        let gap = self.last.map_or(TimeDelta::zero(), |last| now - last);
        let today = now.date_naive();
        match self.longest.back_mut() {
            Some((day, longest)) if *day == today => *longest = gap.max(*longest),
            _ => self.longest.push_back((today, gap)),
        }
        if self.longest.len() > DAYS {
            self.longest.pop_front();
        }
        self.last = Some(now);
    }

    /// When the last one came.
    pub(super) const fn last(&self) -> Option<DateTime<Utc>> {
        self.last
    }

    /// How long they may keep away: half as long again as the longest time of late.
    fn usual(&self) -> TimeDelta {
        let longest = self.longest.iter().map(|(_, gap)| *gap).max().unwrap_or_default();
        (longest + longest / 2).clamp(LEAST, MOST)
    }

    /// Whether they flow, so that polls may be few.
    pub(super) fn is_on(&self, now: DateTime<Utc>) -> bool {
        self.last.is_some_and(|last| now - last <= self.usual())
    }

    /// Whether they have kept away for too long; before the first one, for as long as is ever allowed.
    pub(super) fn is_silent(&self, now: DateTime<Utc>) -> bool {
        match self.last {
            Some(_) => !self.is_on(now),
            None => now - self.since > MOST,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> DateTime<Utc> {
        "2026-11-22T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::hours(hours)
    }

    fn after(events: &[i64]) -> Flow {
        let mut flow = Flow::new(at(0));
        events.iter().for_each(|hour| flow.event(at(*hour)));
        flow
    }

    #[test]
    fn what_is_usual_is_half_as_long_again_as_the_longest_time_of_late() {
        for (events, usual) in [
            (&[][..], 12),
            (&[1][..], 12),
            (&[1, 2, 3, 11][..], 12),
            (&[0, 10, 20][..], 15),
            (&[0, 20, 21][..], 30),
            (&[0, 30, 31][..], 36),
            (&[0, 20, 44, 68, 92, 116, 140, 164, 168, 169, 178][..], 36),
        ] {
            assert_eq!(after(events).usual(), TimeDelta::hours(usual), "{events:?}");
        }
        let mut calm = after(&[0, 20]);
        (21..400).for_each(|hour| calm.event(at(hour)));
        assert_eq!(calm.usual(), LEAST, "a long time is forgotten after a week");
    }

    #[test]
    fn silence_begins_where_the_flow_ends_and_ends_with_the_next_event() {
        let mut flow = after(&[0, 10, 20]);
        for (hour, is_on) in [(20, true), (35, true), (36, false), (500, false)] {
            assert_eq!((flow.is_on(at(hour)), flow.is_silent(at(hour))), (is_on, !is_on), "{hour}");
        }
        flow.event(at(500));
        assert!(flow.is_on(at(501)) && !flow.is_silent(at(501)));
        let never = after(&[]);
        assert!(!never.is_on(at(1)) && !never.is_silent(at(36)) && never.is_silent(at(37)));
    }
}
