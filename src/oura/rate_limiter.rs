//! The rate limit: once Oura says 429, the whole account asks nothing until the time is over.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use chrono::{DateTime, Utc};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

use super::ApiError;

/// The wait where a 429 names none: Oura counts requests over five minutes.
const UNNAMED: Duration = Duration::from_secs(300);
/// No wait is shorter or longer: a header beyond that is a mistake.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Until when an account asks nothing.
#[derive(Debug, Default)]
pub(super) struct RateLimiter(Mutex<Option<Closed>>);

/// A wait by the monotonic clock, which nobody sets, and by the wall clock, which people read.
#[derive(Clone, Copy, Debug)]
struct Closed {
    opens: Instant,
    until: DateTime<Utc>,
}

impl RateLimiter {
    /// Lets a request pass, or says until when it may not.
    ///
    /// # Errors
    /// `RateLimited` while the wait lasts.
    pub(super) fn pass(&self) -> Result<(), ApiError> {
        match *self.lock() {
            Some(Closed { opens, until }) if opens > Instant::now() => Err(ApiError::RateLimited { until }),
            _ => Ok(()),
        }
    }

    /// Until when requests were last asked to wait; none if they never were.
    pub(super) fn until(&self) -> Option<DateTime<Utc>> {
        self.lock().map(|closed| closed.until)
    }

    /// When the next request may pass.
    pub(super) fn opens(&self) -> Option<Instant> {
        self.lock().map(|closed| closed.opens)
    }

    /// Closes it for as long as the headers of a 429 say, or longer if it already is.
    pub(super) fn close(&self, headers: &HeaderMap, now: DateTime<Utc>) -> ApiError {
        let wait = wait(headers, now);
        let new = Closed { opens: Instant::now() + wait, until: now + wait };
        let mut slot = self.lock();
        let closed = slot.filter(|before| before.opens > new.opens).unwrap_or(new);
        *slot = Some(closed);
        ApiError::RateLimited { until: closed.until }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Closed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `Retry-After` says, in seconds or as a date; without it, the time until `X-RateLimit-Reset`.
fn wait(headers: &HeaderMap, now: DateTime<Utc>) -> Duration {
    let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.trim());
    let date = |name: &str| httpdate::parse_http_date(text(name)?).ok();
    // Dates of Oura's are compared with Oura's own now, if it says it: our clock may be wrong.
    let now = date(DATE.as_str()).unwrap_or_else(|| now.into());
    let until = |time: SystemTime| time.duration_since(now).unwrap_or_default();
    let after = text(RETRY_AFTER.as_str()).and_then(seconds).or_else(|| date(RETRY_AFTER.as_str()).map(until));
    let reset = || {
        let (reset, now) =
            (text("x-ratelimit-reset")?.parse::<u64>().ok()?, now.duration_since(SystemTime::UNIX_EPOCH));
        Some(Duration::from_secs(reset.checked_sub(now.ok()?.as_secs())?))
    };
    after.or_else(reset).unwrap_or(UNNAMED).clamp(SHORTEST, LONGEST)
}

/// A number of seconds, whole or not, in digits; of more than the longest wait, that one.
fn seconds(text: &str) -> Option<Duration> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds: f64 = text.parse().ok().filter(|_| is_number)?;
    Some(Duration::from_secs_f64(seconds.min(LONGEST.as_secs_f64())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn retry_after_counts_and_the_reset_only_without_it() {
        let now = Utc::now();
        let seconds = |pairs: &[(&'static str, String)]| wait(&headers(pairs), now).as_secs();
        let reset = |seconds: i64| ("x-ratelimit-reset", (now.timestamp() + seconds).to_string());
        assert_eq!(seconds(&[("retry-after", "420".into())]), 420);
        assert_eq!(seconds(&[("retry-after", "420".into()), reset(36_000)]), 420, "a clock may be hours wrong");
        assert_eq!(seconds(&[reset(900)]), 900);
        assert_eq!(seconds(&[reset(-50)]), 300);
        assert_eq!(seconds(&[]), 300);
        assert_eq!(seconds(&[("retry-after", "soon".into())]), 300);
        assert_eq!(seconds(&[("retry-after", "0".into())]), 1);
        assert_eq!(seconds(&[("retry-after", u64::MAX.to_string())]), 86_400);
        assert_eq!(seconds(&[("x-ratelimit-reset", (now.timestamp() * 1000).to_string())]), 86_400);
    }

    #[test]
    fn retry_after_is_honoured_in_every_form_in_which_it_is_written() {
        let now: DateTime<Utc> = "2026-11-25T10:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("Wed, 25 Nov 2026 10:20:00 GMT", 1200.0),
            ("Wednesday, 25-Nov-26 10:20:00 GMT", 1200.0),
            ("Wed Nov 25 10:20:00 2026", 1200.0),
            ("Wed, 25 Nov 2026 09:00:00 GMT", 1.0),
            ("Thu, 25 Nov 2027 10:00:00 GMT", 86_400.0),
            ("90.5", 90.5),
            (" 300.0 ", 300.0),
            ("0.2", 1.0),
            ("1e3", 300.0),
            ("-5", 300.0),
            ("inf", 300.0),
            (".", 300.0),
            ("99999999999999999999999999", 86_400.0),
        ] {
            let waited = wait(&headers(&[("retry-after", text.to_owned())]), now);
            assert_eq!(waited.as_secs_f64(), expected, "{text}");
        }
        let by_their_clock = [
            ("date", "Wed, 25 Nov 2026 13:00:00 GMT".to_owned()),
            ("retry-after", "Wed, 25 Nov 2026 13:10:00 GMT".to_owned()),
        ];
        assert_eq!(wait(&headers(&by_their_clock), now).as_secs(), 600, "ours is three hours behind");
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_and_shorter_wait_does_not_open_the_gate_early() {
        let rate_limiter = RateLimiter::default();
        assert_eq!(rate_limiter.pass(), Ok(()));
        rate_limiter.close(&headers(&[("retry-after", "300".into())]), Utc::now());
        rate_limiter.close(&headers(&[("retry-after", "10".into())]), Utc::now());
        tokio::time::advance(Duration::from_secs(299)).await;
        assert!(rate_limiter.pass().is_err());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(rate_limiter.pass(), Ok(()));
    }
}
