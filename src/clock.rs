//! What time it is: the machine's own, or a moment that tests and the simulator choose.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
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
    /// When it began to be driven, where nothing passes but by the hand.
    alone_since: Option<Instant>,
    shown: Mutex<Shown>,
}

/// What it shows, and how far it was moved on, whatever it was set to.
#[derive(Debug)]
struct Shown {
    now: DateTime<Utc>,
    passed: TimeDelta,
    /// Who waits until then, in the order of time, then of their coming.
    sleepers: BTreeMap<(Instant, u64), Arc<Notify>>,
    /// How many have ever waited.
    slept: u64,
}

/// Somebody who waits, until they wait no more.
struct Sleeper<'a> {
    hand: &'a Hand,
    place: (Instant, u64),
    woken: Arc<Notify>,
}

impl Hand {
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn instant(&self, shown: &Shown) -> Instant {
        self.alone_since.unwrap_or_else(Instant::now) + shown.passed.to_std().unwrap_or_default()
    }

    fn advance(&self, by: TimeDelta) {
        let mut shown = self.shown();
        shown.now += by;
        shown.passed += by;
        let waiting = std::mem::take(&mut shown.sleepers);
        let woken = if self.alone_since.is_some() {
            let mut due = waiting;
            // Thousands wait, of whom a move wakes a few.
            shown.sleepers = due.split_off(&(self.instant(&shown), u64::MAX));
            due
        } else {
            // Whoever is not due yet has less to wait by itself.
            waiting
        };
        drop(shown);
        woken.values().for_each(|sleeper| sleeper.notify_one());
    }

    /// Somebody who waits until then; none where that has come.
    fn sleeper(&self, end: Instant) -> Option<(Sleeper<'_>, Duration)> {
        let mut shown = self.shown();
        let left = end.saturating_duration_since(self.instant(&shown));
        if left.is_zero() {
            return None;
        }
        shown.slept += 1;
        let (place, woken) = ((end, shown.slept), Arc::new(Notify::new()));
        shown.sleepers.insert(place, Arc::clone(&woken));
        Some((Sleeper { hand: self, place, woken }, left))
    }

    async fn sleep_until(&self, end: Instant) {
        while let Some((sleeper, left)) = self.sleeper(end) {
            if self.alone_since.is_some() {
                sleeper.woken.notified().await;
            } else {
                tokio::select! {
                    () = sleep(left) => {}
                    () = sleeper.woken.notified() => {}
                }
            }
        }
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.hand.shown().sleepers.remove(&self.place);
    }
}

/// Drives a clock by hand.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Hand>);

impl ManualClock {
    /// Moves the clock on.
    pub fn advance(&self, by: TimeDelta) {
        self.0.advance(by);
    }

    /// Sets the clock back, as whoever puts right one that was ahead; no time passes.
    pub fn set_back(&self, by: TimeDelta) {
        self.0.shown().now -= by;
    }

    /// How far it has to be moved for the first of those who wait by it; none where nobody does.
    pub fn next(&self) -> Option<TimeDelta> {
        let shown = self.0.shown();
        let ((end, _), _) = shown.sleepers.first_key_value()?;
        TimeDelta::from_std(end.saturating_duration_since(self.0.instant(&shown))).ok()
    }

    /// How many have ever waited by it: where that stands still, nothing goes on.
    pub fn slept(&self) -> u64 {
        self.0.shown().slept
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

    /// A clock that shows `moment` until its hand is moved; waits end by themselves as well.
    pub fn driven_from(moment: DateTime<Utc>) -> (Self, ManualClock) {
        Self::driven(moment, None)
    }

    /// A clock that shows `moment` until its hand is moved, and by which no wait ends before.
    pub fn driven_alone_from(moment: DateTime<Utc>) -> (Self, ManualClock) {
        Self::driven(moment, Some(Instant::now()))
    }

    fn driven(now: DateTime<Utc>, alone_since: Option<Instant>) -> (Self, ManualClock) {
        let shown = Shown { now, passed: TimeDelta::zero(), sleepers: BTreeMap::new(), slept: 0 };
        let hand = Arc::new(Hand { alone_since, shown: Mutex::new(shown) });
        (Self(Source::Driven(Arc::clone(&hand))), ManualClock(hand))
    }

    /// The instant by which waits are measured: it goes on whatever a clock is set to, and a hand moves it on as well.
    pub fn instant(&self) -> Instant {
        match &self.0 {
            Source::Driven(hand) => hand.instant(&hand.shown()),
            _ => Instant::now(),
        }
    }

    /// Waits until [`Self::instant`] has come, by itself or because a hand has moved on.
    pub async fn sleep_until(&self, end: Instant) {
        match &self.0 {
            Source::Driven(hand) => hand.sleep_until(end).await,
            _ => sleep_until(end).await,
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

    #[tokio::test(start_paused = true)]
    async fn by_a_hand_alone_each_wait_ends_when_the_hand_has_come_there_and_not_before() {
        let (clock, hand) = Clock::driven_alone_from("2026-11-22T12:00:00Z".parse().unwrap());
        let begin = clock.instant();
        let wait = |seconds| {
            let (clock, end) = (clock.clone(), begin + Duration::from_secs(seconds));
            tokio::spawn(async move { clock.sleep_until(end).await })
        };
        let waiting = [5, 3, 60].map(wait);
        let cancelled = wait(1);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!((clock.instant(), hand.next()), (begin, Some(TimeDelta::seconds(1))), "an hour is nothing here");
        cancelled.abort();
        let finished = async || {
            tokio::time::sleep(Duration::from_secs(1)).await;
            waiting.iter().map(|one| one.is_finished()).collect::<Vec<_>>()
        };
        assert_eq!(finished().await, [false; 3]);
        for (seconds, expected, next) in [
            (2, [false; 3], Some(1)),
            (1, [false, true, false], Some(2)),
            (2, [true, true, false], Some(55)),
            (600, [true; 3], None),
        ] {
            hand.advance(TimeDelta::seconds(seconds));
            assert_eq!(finished().await, expected, "{seconds}");
            assert_eq!(hand.next(), next.map(TimeDelta::seconds), "{seconds}");
        }
        clock.sleep_until(begin).await;
        assert_eq!(hand.slept(), 4, "what has passed is not waited for");
    }
}
