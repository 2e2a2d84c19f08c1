//! The rate limit: once Oura says 429, the whole account asks nothing until the time is over.

use std::sync::Mutex;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::ApiError;

/// The wait where a 429 names none.
const UNNAMED: TimeDelta = TimeDelta::minutes(10);
/// No wait is longer: a header beyond it is a mistake.
const LONGEST: TimeDelta = TimeDelta::hours(24);

/// Until when an account asks nothing.
#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<Option<DateTime<Utc>>>);

impl Gate {
    /// Lets a request pass, or says until when it may not.
    ///
    /// # Errors
    /// `RateLimited` while the wait lasts.
    pub(super) fn pass(&self, now: DateTime<Utc>) -> Result<(), ApiError> {
        match self.until() {
            Some(until) if until > now => Err(ApiError::RateLimited { until }),
            _ => Ok(()),
        }
    }

    /// Until when requests were last asked to wait; none if they never were.
    pub(super) fn until(&self) -> Option<DateTime<Utc>> {
        *self.lock()
    }

    /// Closes it for as long as the headers of a 429 say.
    pub(super) fn close(&self, headers: &HeaderMap, now: DateTime<Utc>) -> ApiError {
        let until = wait_until(headers, now);
        let mut slot = self.lock();
        let until = slot.map_or(until, |before| before.max(until));
        *slot = Some(until);
        ApiError::RateLimited { until }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<DateTime<Utc>>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The later of `Retry-After` and `X-RateLimit-Reset`, between a second and a day from now.
fn wait_until(headers: &HeaderMap, now: DateTime<Utc>) -> DateTime<Utc> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    let after =
        number(RETRY_AFTER.as_str()).and_then(|seconds| now.checked_add_signed(TimeDelta::try_seconds(seconds)?));
    let reset = number("x-ratelimit-reset").and_then(|epoch| DateTime::from_timestamp(epoch, 0));
    let named = after.into_iter().chain(reset).max().filter(|until| *until > now);
    named.unwrap_or(now + UNNAMED).clamp(now + TimeDelta::seconds(1), now + LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_wait_is_the_later_of_both_headers_within_bounds() {
        let now = Utc::now();
        let wait = |pairs: &[(&'static str, String)]| (wait_until(&headers(pairs), now) - now).num_seconds();
        let reset = |seconds: i64| ("x-ratelimit-reset", (now.timestamp() + seconds).to_string());
        assert_eq!(wait(&[("retry-after", "300".into())]), 300);
        assert!((899..=900).contains(&wait(&[("retry-after", "300".into()), reset(900)])));
        assert_eq!(wait(&[("retry-after", "300".into()), reset(-50)]), 300);
        assert_eq!(wait(&[]), 600);
        assert_eq!(wait(&[("retry-after", "soon".into())]), 600);
        assert_eq!(wait(&[("retry-after", i64::MAX.to_string())]), 600);
        assert_eq!(wait(&[("x-ratelimit-reset", (now.timestamp() * 1000).to_string())]), 86_400);
    }

    #[test]
    fn a_later_and_shorter_wait_does_not_open_the_gate_early() {
        let (gate, now) = (Gate::default(), Utc::now());
        assert_eq!(gate.pass(now), Ok(()));
        gate.close(&headers(&[("retry-after", "300".into())]), now);
        gate.close(&headers(&[("retry-after", "10".into())]), now);
        assert!(gate.pass(now + TimeDelta::seconds(299)).is_err());
        assert_eq!(gate.pass(now + TimeDelta::seconds(300)), Ok(()));
    }
}
