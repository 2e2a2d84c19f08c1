//! The limit that all accounts of an application share: so many requests in any five minutes, by the simulator's clock.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};

use super::replies::{RATE_WINDOW_SECONDS, Reply, Tier};

/// The requests of the last five minutes, and how many there may be.
#[derive(Debug)]
pub(super) struct ApplicationLimit {
    most: Option<u32>,
    taken: Mutex<VecDeque<DateTime<Utc>>>,
}

impl ApplicationLimit {
    /// At most so many requests; none: without end.
    pub(super) fn new(most: Option<u32>) -> Self {
        Self { most, taken: Mutex::default() }
    }

    /// Counts a request at `now`.
    ///
    /// # Errors
    /// The 429 for a request beyond the limit, which is not counted.
    pub(super) fn take(&self, now: DateTime<Utc>) -> Result<(), Reply> {
        let Some(most) = self.most else { return Ok(()) };
        let window = TimeDelta::seconds(RATE_WINDOW_SECONDS.into());
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while taken.front().is_some_and(|at| now - *at >= window) {
            taken.pop_front();
        }
        // What is of the future was taken before the clock was set back.
        while taken.back().is_some_and(|at| *at > now) {
            taken.pop_back();
        }
        if taken.len() < most as usize {
            taken.push_back(now);
            return Ok(());
        }
        let oldest = taken.front().copied().unwrap_or(now);
        let left = (oldest + window - now).num_seconds() + 1;
        Err(Reply::limited(now, left.unsigned_abs(), Tier::Application(most)))
    }
}
