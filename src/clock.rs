//! What time it is: the machine's own, or a moment that tests and the simulator choose.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

/// A source of "now" that everything which judges age or day asks.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    From(DateTime<Utc>, Instant),
    Still(DateTime<Utc>),
    Driven(Arc<Hand>),
}

/// What a clock shows that is driven by hand, and who waits for it to move.
#[derive(Debug)]
struct Hand {
    shown: Mutex<Shown>,
    moved: Notify,
}

/// What it shows, and how far it was moved on, whatever it was set to.
#[derive(Debug)]
struct Shown {
    now: DateTime<Utc>,
    passed: TimeDelta,
}

impl Hand {
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drives a clock by hand.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Hand>);

impl ManualClock {
    /// Moves the clock on.
    pub fn advance(&self, by: TimeDelta) {
        let mut shown = self.0.shown();
        shown.now += by;
        shown.passed += by;
        drop(shown);
        self.0.moved.notify_waiters();
    }

    /// Sets the clock back, as whoever puts right one that was ahead; no time passes.
    pub fn set_back(&self, by: TimeDelta) {
        self.0.shown().now -= by;
    }
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
        let shown = Mutex::new(Shown { now: moment, passed: TimeDelta::zero() });
        let hand = Arc::new(Hand { shown, moved: Notify::new() });
        (Self(Source::Driven(Arc::clone(&hand))), ManualClock(hand))
    }

    /// The instant by which waits are measured: it goes on whatever a clock is set to, and a hand moves it on as well.
    pub fn instant(&self) -> Instant {
        let moved = match &self.0 {
            Source::Driven(hand) => hand.shown().passed.to_std().unwrap_or_default(),
            _ => Duration::ZERO,
        };
        Instant::now() + moved
    }

    /// Waits until [`Self::instant`] has come, by itself or because a hand has moved on.
    pub async fn sleep_until(&self, end: Instant) {
        loop {
            // Before the look at the time: a hand that moves after it is noticed.
            let moved = match &self.0 {
                Source::Driven(hand) => Some(hand.moved.notified()),
                _ => None,
            };
            let left = end.saturating_duration_since(self.instant());
            match moved {
                _ if left.is_zero() => return,
                None => return sleep(left).await,
                Some(moved) => tokio::select! {
                    () = sleep(left) => {}
                    () = moved => {}
                },
            }
        }
    }

    /// The moment it shows.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Source::System => Utc::now(),
            Source::From(moment, start) => *moment + start.elapsed(),
            Source::Still(moment) => *moment,
            Source::Driven(hand) => hand.shown().now,
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

    #[tokio::test(start_paused = true)]
    async fn who_waits_by_a_clock_is_woken_by_its_hand_and_else_by_time_itself() {
        let (clock, hand) = Clock::driven_from("2026-11-22T12:00:00Z".parse().unwrap());
        let waiting = tokio::spawn({
            let (clock, end) = (clock.clone(), clock.instant() + Duration::from_secs(7200));
            async move { clock.sleep_until(end).await }
        });
        tokio::task::yield_now().await;
        let begun = Instant::now();
        hand.advance(TimeDelta::hours(1));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "half of it is left");
        hand.advance(TimeDelta::hours(1));
        waiting.await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO);
        clock.sleep_until(clock.instant() + Duration::from_secs(5)).await;
        assert_eq!(begun.elapsed().as_secs(), 5);
    }
}
