//! What time it is: the machine's own, or a moment that tests and the simulator choose.

use chrono::{DateTime, Utc};
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

    /// The moment it shows.
    pub fn now(&self) -> DateTime<Utc> {
        match self.0 {
            Source::System => Utc::now(),
            Source::From(moment, start) => moment + start.elapsed(),
            Source::Still(moment) => moment,
        }
    }
}
