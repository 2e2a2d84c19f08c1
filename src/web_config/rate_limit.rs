//! `rate_limit`: how many requests are answered, by a bucket of tokens that fills one by one, as the toolkit has it.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A bucket of tokens.
pub(super) struct RateLimit {
    interval: Duration,
    /// How much time a full bucket is worth, less the token that is asked for.
    slack: Duration,
    /// When the bucket is full again; in the past: it is full.
    full_at: Mutex<Option<Instant>>,
}

impl RateLimit {
    /// A full bucket of `burst` tokens, into which another falls every `interval`.
    pub(super) fn new(interval: Duration, burst: u32) -> Self {
        Self { interval, slack: interval.saturating_mul(burst.saturating_sub(1)), full_at: Mutex::new(None) }
    }

    /// Takes a token for a request at `now`, if there is one.
    pub(super) fn admits(&self, now: Instant) -> bool {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = full_at.map_or(now, |full_at| full_at.max(now));
        let is_there = begin.duration_since(now) <= self.slack;
        if is_there {
            *full_at = Some(begin + self.interval);
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_answered_and_then_one_request_each_interval() {
        let limit = RateLimit::new(Duration::from_secs(10), 3);
        let begin = Instant::now();
        let admitted = |second| limit.admits(begin + Duration::from_secs(second));
        assert_eq!([0, 0, 0, 0, 9].map(admitted), [true, true, true, false, false]);
        assert_eq!([10, 10, 20, 29].map(admitted), [true, false, true, false]);
        assert_eq!([100, 100, 100, 100].map(admitted), [true, true, true, false], "no more than the burst is saved up");
    }
}
