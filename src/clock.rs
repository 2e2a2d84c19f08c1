//! What time it is: the machine's own, or a moment that tests and the simulator choose.

use chrono::{DateTime, Utc};
use tokio::time::Instant;

/// A source of "now" that everything which judges age or day asks.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Set>);

#[derive(Clone, Debug)]
struct Set {
    moment: DateTime<Utc>,
    since: Instant,
}

impl Clock {
    /// The machine's clock.
    pub const fn system() -> Self {
        Self(None)
    }

    /// A clock that shows `moment` now and runs on from there.
    pub fn at(moment: DateTime<Utc>) -> Self {
        Self(Some(Set { moment, since: Instant::now() }))
    }

    /// The moment it shows.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            None => Utc::now(),
            Some(set) => set.moment + set.since.elapsed(),
        }
    }
}
