//! What time it is: the machine's own, or a moment that tests and the simulator choose.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

/// A source of "now" that everything which judges age or day asks.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    From(DateTime<Utc>, Instant),
    Still(DateTime<Utc>),
    Driven(Arc<Mutex<Hand>>),
}

/// What a driven clock shows, and how far it was moved on, whatever it was set to.
#[derive(Debug)]
struct Hand {
    now: DateTime<Utc>,
    passed: TimeDelta,
}

/// Drives a clock by hand.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<Hand>>);

impl ManualClock {
    /// Moves the clock on.
    pub fn advance(&self, by: TimeDelta) {
        let mut hand = locked(&self.0);
        hand.now += by;
        hand.passed += by;
    }

    /// Sets the clock back, as whoever puts right one that was ahead; no time passes.
    pub fn set_back(&self, by: TimeDelta) {
        locked(&self.0).now -= by;
    }
}

fn locked(hand: &Mutex<Hand>) -> MutexGuard<'_, Hand> {
    hand.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clock {
    /// The machine's clock.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that shows `moment` now and runs on from there.
    pub fn at(moment: DateTime<Utc>) -> Self {
        Self(Source::From(moment, Instant::now()))
    }

    /// A clock that shows `moment` for ever.
    pub const fn still_at(moment: DateTime<Utc>) -> Self {
        Self(Source::Still(moment))
    }

    /// A clock that shows `moment` until its hand is moved.
    pub fn driven_from(moment: DateTime<Utc>) -> (Self, ManualClock) {
        let hand = Arc::new(Mutex::new(Hand { now: moment, passed: TimeDelta::zero() }));
        (Self(Source::Driven(Arc::clone(&hand))), ManualClock(hand))
    }

    /// The instant by which waits are measured: it goes on whatever a clock is set to, and a hand moves it on as well.
    pub fn instant(&self) -> Instant {
        let moved = match &self.0 {
            Source::Driven(hand) => locked(hand).passed.to_std().unwrap_or_default(),
            _ => Duration::ZERO,
        };
        Instant::now() + moved
    }

    /// The moment it shows.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Source::System => Utc::now(),
            Source::From(moment, start) => *moment + start.elapsed(),
            Source::Still(moment) => *moment,
            Source::Driven(hand) => locked(hand).now,
        }
    }
}

#[cfg(feature = "demo")]
impl From<Clock> for oura_simulator::TimeSource {
    fn from(clock: Clock) -> Self {
        Self::new(move || clock.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hand_moves_the_time_and_what_waits_by_it_and_the_instants_go_on_by_themselves() {
        let start = "2026-11-22T12:00:00Z".parse().unwrap();
        let (clock, hand) = Clock::driven_from(start);
        let begun = Instant::now();
        let before = clock.instant();
        hand.advance(TimeDelta::hours(1));
        assert_eq!(clock.now(), start + TimeDelta::hours(1));
        let moved = clock.instant() - before;
        let hour = Duration::from_secs(3600);
        assert!((hour..=hour + begun.elapsed()).contains(&moved), "{moved:?}");
        let before = clock.instant();
        hand.set_back(TimeDelta::days(2));
        assert_eq!(clock.now(), start + TimeDelta::hours(1) - TimeDelta::days(2));
        assert!(clock.instant() >= before, "instants never go back");
    }
}
