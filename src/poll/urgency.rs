//! What is urgent of an account, how long the rest waits where the request budget does not suffice, and what all of it needs.

use std::{sync::Arc, time::Duration};

use chrono::Timelike as _;

use super::follower::Follower;
use crate::{oura::Stretch, state::CollectionState};

/// How long what was read before lets others go first, at least; what is asked for more seldom, for another one of its
/// intervals. Beyond, it goes before them: nobody is starved.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// What tells of a night, and is waited for in the morning.
const OF_THE_NIGHT: [&str; 3] = ["daily_readiness", "daily_sleep", "sleep"];
/// The hours of the wearer's clock in which a night ends.
const MORNING: std::ops::Range<u32> = 4..12;
/// How many days old the newest night may be for the next one to be expected.
const WORN_LATELY: i64 = 3;
/// The window of the request budget.
const WINDOW: Duration = Duration::from_secs(300);
/// How much the requests of a collection's last turn count against those of its turns before.
const WEIGHT: f64 = 0.1;

/// How urgent a collection's turn is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Nothing is known of it yet.
    First,
    /// Somebody waits for what is new in it: the night of this morning, or what was announced.
    Fresh,
    /// It was read before.
    Repeat,
}

impl Follower {
    /// How long after it is due the turn of the collection in `place` still lets others go first.
    pub(super) fn patience(&self, place: usize) -> Duration {
        match self.urgency(place) {
            Urgency::First | Urgency::Fresh => Duration::ZERO,
            Urgency::Repeat => {
                let watch = self.state.collections[place].watch;
                watch.map_or(PATIENCE, |watch| watch.interval.max(PATIENCE))
            }
        }
    }

    /// How urgent the turn of the collection in `place` is.
    pub(super) fn urgency(&self, place: usize) -> Urgency {
        let collection = &self.state.collections[place];
        if collection.up.is_none() {
            Urgency::First
        } else if self.kept[place].is_awaited || self.lacks_this_night(collection) {
            Urgency::Fresh
        } else {
            Urgency::Repeat
        }
    }

    /// Whether it is morning where the wearer is, and the collection does not tell of this night yet.
    fn lacks_this_night(&self, collection: &CollectionState) -> bool {
        if !OF_THE_NIGHT.contains(&collection.kind.name) {
            return false;
        }
        let zone = self.state.zone();
        let local = self.poller.clock.now().with_timezone(&zone);
        let day = collection.shown.as_ref().and_then(|shown| shown.date.day(zone));
        MORNING.contains(&local.hour())
            && day.is_some_and(|day| (1..=WORN_LATELY).contains(&(local.date_naive() - day).num_days()))
    }

    /// How long it is between two turns of the collection in `place`, so that all accounts fit into the budget.
    pub(super) fn interval(&self, place: usize) -> Duration {
        self.stretched(place, self.pace(place))
    }

    /// `usual`, as much longer as the budget makes intervals like that of the collection in `place`.
    pub(super) fn stretched(&self, place: usize, usual: Duration) -> Duration {
        stretched_by(self.need.stretch(), self.urgency(place), usual)
    }

    /// Takes note of what a turn of the collection in `place` has cost.
    pub(super) fn note_cost(&mut self, place: usize) {
        let asked = f64::from(self.client.requests(self.poller.kinds[place].name));
        let cost = &mut self.kept[place].cost;
        *cost += WEIGHT * (asked - *cost);
    }

    /// Says what the account needs of the budget, and has its collections be due, and overdue, by what that makes of their
    /// intervals.
    pub(super) fn note_need(&mut self) {
        let (mut fresh, mut usual, told) = (0.0, 0.0, self.told_collections());
        // Each is looked up once: of thousands of accounts this happens hundreds of times a second.
        let places: Vec<_> =
            (0..self.kept.len()).map(|place| (self.urgency(place), self.pace_where(place, told.as_deref()))).collect();
        for (place, (urgency, pace)) in places.iter().enumerate() {
            let often = WINDOW.as_secs_f64() / pace.as_secs_f64();
            // What may not be read is hardly ever asked for.
            let is_shut = self.state.collections[place].permitted == Some(false);
            let need = if is_shut { 0.0 } else { self.kept[place].cost * often };
            *(if *urgency == Urgency::Repeat { &mut usual } else { &mut fresh }) += need;
        }
        self.need.set(fresh, usual);
        let stretch = self.need.stretch();
        let intervals: Vec<_> = places.iter().map(|(urgency, pace)| stretched_by(stretch, *urgency, *pace)).collect();
        self.note_intervals(&intervals);
    }

    /// Has the collections be due, and overdue, by these intervals.
    pub(super) fn note_intervals(&mut self, intervals: &[Duration]) {
        let is_new = |(collection, interval): (&CollectionState, &Duration)| {
            collection.watch.is_some_and(|watch| watch.interval != *interval)
        };
        if self.state.collections.iter().zip(intervals).any(is_new) {
            let (before, now) = (Arc::clone(&self.state), self.poller.clock.now());
            for (collection, interval) in Arc::make_mut(&mut self.state).collections.iter_mut().zip(intervals) {
                collection.is_asked_every(*interval, now);
            }
            self.state = self.poller.snapshot.replace(&before, Arc::clone(&self.state));
        }
    }
}

/// `usual`, as much longer as `stretch` makes intervals of what is so urgent.
fn stretched_by(stretch: Stretch, urgency: Urgency, usual: Duration) -> Duration {
    let by = if urgency == Urgency::Repeat { stretch.usual } else { stretch.fresh };
    if by > 1.0 { usual.mul_f64(by) } else { usual }
}
