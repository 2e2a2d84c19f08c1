//! What time it is at the simulated Oura: the machine's own, or whatever a test says.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};

/// Tells the simulator what time it is, each time it asks.
#[derive(Clone)]
pub struct TimeSource(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl TimeSource {
    /// Asks `now`.
    pub fn new(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The machine's clock.
    pub fn system() -> Self {
        Self::new(Utc::now)
    }

    /// One moment for ever.
    pub fn still_at(moment: DateTime<Utc>) -> Self {
        Self::new(move || moment)
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        (self.0)()
    }
}

impl fmt::Debug for TimeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TimeSource").field(&self.now()).finish()
    }
}
