//! When the next collection is asked: one after the other, unless one takes long.

use std::time::Duration;

use tokio::time::Instant;

use crate::documents::Pace;

/// When each collection is due, by its place in the list.
#[derive(Debug)]
pub(super) struct Schedule {
    places: Vec<Place>,
    last: Option<(usize, Instant)>,
    stagger: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Due(Instant),
    /// It is being asked; since when it is due again all the same, where something happened that its answer may not know.
    Running(Option<Instant>),
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Ask the collection in this place.
    Start(usize),
    /// Look again then.
    At(Instant),
    /// All are under way.
    AllRunning,
}

impl Schedule {
    /// All of `count` collections are due at `now`; each waits for the one before it, at most for `stagger`.
    pub(super) fn new(count: usize, now: Instant, stagger: Duration) -> Self {
        Self { places: vec![Place::Due(now); count], last: None, stagger }
    }

    /// What is to be done at `now`: of what is due, that of which a collection's `patience` ends first.
    pub(super) fn next(&self, now: Instant, patience: impl Fn(usize) -> Duration) -> Next {
        let waiting = self.places.iter().enumerate().filter_map(|(place, state)| match state {
            Place::Due(due) => Some((*due, place)),
            Place::Running(_) => None,
        });
        let is_due = waiting.clone().filter(|(due, _)| *due <= now);
        let first = is_due.min_by_key(|(due, place)| (*due + patience(*place), *place)).or_else(|| waiting.min());
        let Some((due, place)) = first else { return Next::AllRunning };
        let before = self.last.filter(|(last, _)| matches!(self.places[*last], Place::Running(_)));
        let turn = before.map_or(due, |(_, start)| due.max(start + self.stagger));
        if turn <= now { Next::Start(place) } else { Next::At(turn) }
    }

    /// When the collection in `place` was, or is, due; none while it is being asked.
    pub(super) fn due(&self, place: usize) -> Option<Instant> {
        match self.places[place] {
            Place::Due(due) => Some(due),
            Place::Running(_) => None,
        }
    }

    /// The collection in `place` is being asked.
    pub(super) fn started(&mut self, place: usize, now: Instant) {
        self.places[place] = Place::Running(None);
        self.last = Some((place, now));
    }

    /// The collection in `place` is due now, unless it is being asked.
    pub(super) fn hasten(&mut self, place: usize, now: Instant) {
        if let Place::Due(due) = &mut self.places[place] {
            *due = now.min(*due);
        }
    }

    /// The collection in `place` is due now; if it is being asked, also once that has ended, as it may answer of before.
    pub(super) fn ask_afresh(&mut self, place: usize, now: Instant) {
        self.hasten(place, now);
        if let Place::Running(again) = &mut self.places[place] {
            *again = Some(again.map_or(now, |before| now.min(before)));
        }
    }

    /// Whether the collection in `place` is being asked.
    pub(super) fn is_running(&self, place: usize) -> bool {
        matches!(self.places[place], Place::Running(_))
    }

    /// The collection in `place` has answered or failed and is due again then.
    pub(super) fn ended(&mut self, place: usize, due: Instant) {
        let again = if let Place::Running(again) = self.places[place] { again } else { None };
        self.places[place] = Place::Due(again.map_or(due, |again| due.min(again)));
    }
}

/// How long after its last start a collection is asked again.
pub(super) fn every(pace: Pace, interval: Duration) -> Duration {
    const MINUTE: Duration = Duration::from_secs(60);
    interval.max(match pace {
        Pace::Poll => Duration::ZERO,
        Pace::Quarter => 15 * MINUTE,
        Pace::HalfHour => 30 * MINUTE,
        Pace::Hour => 60 * MINUTE,
        Pace::QuarterDay => 360 * MINUTE,
    })
}

/// The waits after failures of a collection that was never read: at a boot the network is often late by less than a minute,
/// and until then there is nothing to show.
const AT_THE_START: [Duration; 3] = [Duration::from_secs(15), Duration::from_secs(30), Duration::from_secs(60)];

/// How long after its last start a collection is asked again that was never read and failed `failures` times, because Oura
/// could not be reached or was in trouble.
pub(super) fn after_first_failures(failures: u32, interval: Duration) -> Duration {
    let first = AT_THE_START.get(failures.saturating_sub(1) as usize);
    let usual = after_failures(failures.saturating_sub(AT_THE_START.len() as u32), interval);
    first.map_or(usual, |wait| usual.min(*wait))
}

/// How long after its last start a collection that failed `failures` times in a row is asked again: with the next poll,
/// also if it is a slow one, so that whatever passes is over a poll later; where polls follow each other fast, later each
/// time.
pub(super) fn after_failures(failures: u32, interval: Duration) -> Duration {
    const LONGEST: Duration = Duration::from_secs(5 * 60);
    let growing = interval.saturating_mul(1 << failures.saturating_sub(1).min(16));
    growing.min(LONGEST.max(interval))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::{KINDS, Kind, Query};

    const STAGGER: Duration = Duration::from_millis(500);

    fn next(schedule: &Schedule, now: Instant) -> Next {
        schedule.next(now, |_| Duration::ZERO)
    }

    #[test]
    fn one_after_the_other_and_past_one_that_hangs() {
        let start = Instant::now();
        let mut schedule = Schedule::new(3, start, STAGGER);
        assert_eq!(next(&schedule, start), Next::Start(0));
        schedule.started(0, start);
        assert_eq!(next(&schedule, start), Next::At(start + STAGGER), "the second waits for the first");
        assert_eq!(next(&schedule, start + STAGGER), Next::Start(1), "but not for ever");
        schedule.started(1, start + STAGGER);
        schedule.ended(1, start + Duration::from_secs(300));
        assert_eq!(
            next(&schedule, start + STAGGER),
            Next::Start(2),
            "the first still hangs, and is not waited for again"
        );
        schedule.ended(0, start + Duration::from_secs(60));
        schedule.started(2, start + STAGGER);
        schedule.ended(2, start + Duration::from_secs(300));
        assert_eq!(next(&schedule, start + STAGGER), Next::At(start + Duration::from_secs(60)));
    }

    #[test]
    fn failures_are_asked_again_with_the_next_poll_and_later_each_time_where_polls_are_fast() {
        let minutes = |every: u64, failures| after_failures(failures, Duration::from_secs(every * 60)).as_secs() / 60;
        assert_eq!([1, 2, 3, 99].map(|failures| minutes(1, failures)), [1, 2, 4, 5]);
        assert_eq!([1, 2, 99].map(|failures| minutes(5, failures)), [5; 3], "with the next poll");
        assert_eq!([1, 9].map(|failures| minutes(60, failures)), [60; 2]);
    }

    #[test]
    fn what_was_never_read_is_asked_again_within_the_minute() {
        let seconds = |interval: u64| {
            [1, 2, 3, 4, 5, 6].map(|failures| after_first_failures(failures, Duration::from_secs(interval)).as_secs())
        };
        assert_eq!(seconds(300), [15, 30, 60, 300, 300, 300]);
        assert_eq!(seconds(3600), [15, 30, 60, 3600, 3600, 3600]);
        assert_eq!(seconds(20), [15, 20, 20, 20, 40, 80], "never later than usual");
    }

    #[test]
    fn what_is_hastened_is_asked_once_and_news_ask_again_what_is_under_way() {
        let start = Instant::now();
        let mut schedule = Schedule::new(2, start, STAGGER);
        schedule.started(0, start);
        schedule.ended(0, start + Duration::from_secs(21_600));
        schedule.started(1, start);
        let later = start + Duration::from_secs(60);
        schedule.hasten(0, later);
        schedule.hasten(1, later);
        assert_eq!(next(&schedule, later), Next::Start(0));
        schedule.started(0, later);
        assert_eq!(next(&schedule, later), Next::AllRunning);
        schedule.ask_afresh(1, later);
        schedule.ended(1, later + Duration::from_secs(21_600));
        assert_eq!(next(&schedule, later + STAGGER), Next::Start(1), "what it answered may be of before the news");
        schedule.started(1, later + STAGGER);
        schedule.ended(1, later + Duration::from_secs(21_600));
        schedule.ended(0, later + Duration::from_secs(300));
        assert_eq!(next(&schedule, later + STAGGER), Next::At(later + Duration::from_secs(300)), "once");
    }

    #[test]
    fn of_what_is_due_the_least_patient_comes_first_and_nothing_before_it_is_due() {
        let start = Instant::now();
        let mut schedule = Schedule::new(3, start, STAGGER);
        let minute = Duration::from_secs(60);
        for (place, due) in [(0, start), (1, start + minute), (2, start + 2 * minute)] {
            schedule.started(place, start);
            schedule.ended(place, due);
        }
        let patience = |place| if place == 0 { 10 * minute } else { Duration::ZERO };
        assert_eq!(schedule.next(start, patience), Next::Start(0), "alone");
        assert_eq!(schedule.next(start + minute, patience), Next::Start(1));
        schedule.started(1, start + minute);
        schedule.ended(1, start + 20 * minute);
        assert_eq!(schedule.next(start + 9 * minute, patience), Next::Start(2));
        assert_eq!(schedule.next(start + 20 * minute, patience), Next::Start(2), "whose patience ended first");
        schedule.started(2, start + 20 * minute);
        schedule.ended(2, start + 40 * minute);
        assert_eq!(schedule.next(start + 20 * minute, patience), Next::Start(0), "patience has an end");
    }

    #[test]
    fn all_under_way() {
        let mut schedule = Schedule::new(1, Instant::now(), STAGGER);
        schedule.started(0, Instant::now());
        assert_eq!(next(&schedule, Instant::now()), Next::AllRunning);
    }

    #[test]
    fn a_usual_account_costs_less_than_three_thousand_requests_a_day() {
        let day = Duration::from_secs(24 * 3600);
        let interval = Duration::from_secs(300);
        let polls = |kind: &Kind| u32::try_from(day.as_secs() / every(kind.pace, interval).as_secs()).unwrap();
        let requests = |kind: &&Kind| match kind.query {
            Query::Newest { .. } => 2 * polls(kind),
            // Read whole, the heart rate takes three requests instead of one, once an hour.
            Query::LastDay => polls(kind) + 2 * 24,
            _ => polls(kind),
        };
        let all: u32 = KINDS.iter().filter(|kind| kind.name != "tag").map(|kind| requests(&kind)).sum();
        assert!(all < 3000, "{all}");
    }
}
