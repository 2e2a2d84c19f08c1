//! What time it is: the machine's own, or a moment that tests and the simulator choose.

use std::sync::{Arc, Mutex, PoisonError};

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
    Driven(Arc<Mutex<DateTime<Utc>>>, DateTime<Utc>, Instant),
}

/// Drives a clock by hand.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<DateTime<Utc>>>);

impl ManualClock {
    /// Moves the clock on.
    pub fn advance(&self, by: TimeDelta) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += by;
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
        let shared = Arc::new(Mutex::new(moment));
        (Self(Source::Driven(Arc::clone(&shared), moment, Instant::now())), ManualClock(shared))
    }

    /// The same as an instant, which nobody sets: waits are measured by it.
    pub fn instant(&self) -> Instant {
        match &self.0 {
            Source::Driven(_, first, start) => *start + (self.now() - *first).to_std().unwrap_or_default(),
            _ => Instant::now(),
        }
    }

    /// The moment it shows.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Source::System => Utc::now(),
            Source::From(moment, start) => *moment + start.elapsed(),
            Source::Still(moment) => *moment,
            Source::Driven(moment, ..) => *moment.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}
