//! The rate limit: once Oura says 429, the account asks nothing until the time is over, or nobody does; and each request is
//! paid for out of the budget that all accounts share.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use chrono::{DateTime, Utc};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

use super::{
    ApiError,
    budget::{Budget, Pause, Rank},
};
use crate::clock::Clock;

/// The wait where a 429 names none: Oura counts requests over five minutes.
const UNNAMED: Duration = Duration::from_secs(300);
/// No wait is shorter or longer: a header beyond that is a mistake.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Whom a 429 speaks for, and the word for all accounts of the application.
const TIER: &str = "x-ratelimit-tier";
const APPLICATION: &str = "application";

/// Until when an account asks nothing, and what it asks.
pub(super) struct RateLimiter {
    pub(super) budget: Arc<Budget>,
    clock: Clock,
    account: Mutex<Account>,
}

#[derive(Debug, Default)]
struct Account {
    closed: Option<Pause>,
    /// How many turns are under way, and for how many requests of theirs was waited already.
    turns: u32,
    paid: u32,
    /// How many requests each collection has made since somebody looked.
    requests: BTreeMap<&'static str, u32>,
}

impl RateLimiter {
    /// The rate limit of an account that shares `budget`.
    pub(super) fn new(budget: Arc<Budget>, clock: Clock) -> Self {
        Self { budget, clock, account: Mutex::default() }
    }

    /// Waits until a turn may begin, of which the first request is paid for then. Where the account itself may not ask, it begins at
    /// once: whoever asks is told why. Whether it was paid for.
    pub(super) async fn begin(&self, due: Instant) -> bool {
        let is_closed = self.refusal(self.account().closed).is_some();
        let is_paid = !is_closed && self.budget.begin(due).await.is_ok();
        let mut account = self.account();
        account.paid += u32::from(is_paid);
        account.turns += 1;
        is_paid
    }

    /// A turn has ended, and gives back what it paid and did not need.
    pub(super) fn end(&self, is_paid: bool) {
        let mut account = self.account();
        account.turns = account.turns.saturating_sub(1);
        let unused = account.paid.saturating_sub(account.turns);
        account.paid -= unused;
        if unused > 0 {
            self.budget.give_back(unused);
        }
        drop(account);
        if is_paid {
            self.budget.end();
        }
    }

    /// Lets a request of `collection` pass once the budget has room, or says until when it may not.
    ///
    /// # Errors
    /// `RateLimited` while a wait that Oura has asked for lasts.
    pub(super) async fn pass(&self, collection: &'static str) -> Result<(), ApiError> {
        self.may_ask()?;
        let is_paid = {
            let mut account = self.account();
            let is_paid = account.paid > 0;
            account.paid -= u32::from(is_paid);
            is_paid
        };
        if !is_paid {
            self.budget.take(Rank::UnderWay).await?;
            // Another request may have been refused meanwhile.
            self.may_ask().inspect_err(|_| self.budget.give_back(1))?;
        }
        *self.account().requests.entry(collection).or_default() += 1;
        Ok(())
    }

    fn may_ask(&self) -> Result<(), ApiError> {
        let closed = self.account().closed;
        let refusal = self.refusal(closed).or_else(|| self.refusal(self.budget.paused()));
        refusal.map_or(Ok(()), Err)
    }

    fn refusal(&self, pause: Option<Pause>) -> Option<ApiError> {
        let Pause { until, .. } = pause.filter(|pause| pause.opens > self.clock.instant())?;
        Some(ApiError::RateLimited { until })
    }

    /// How many requests `collection` has made since the last call.
    pub(super) fn requests(&self, collection: &str) -> u32 {
        self.account().requests.remove(collection).unwrap_or_default()
    }

    /// Until when requests were last asked to wait; none if they never were.
    pub(super) fn until(&self) -> Option<DateTime<Utc>> {
        self.last().map(|pause| pause.until)
    }

    /// When the next request may pass.
    pub(super) fn opens(&self) -> Option<Instant> {
        self.last().map(|pause| pause.opens)
    }

    fn last(&self) -> Option<Pause> {
        let closed = self.account().closed;
        closed.into_iter().chain(self.budget.paused()).max_by_key(|pause| pause.opens)
    }

    /// Closes it for as long as the headers of a 429 say, or longer if it already is; for all accounts if they say so.
    pub(super) fn close(&self, headers: &HeaderMap) -> ApiError {
        let now = self.clock.now();
        let wait = wait(headers, now);
        let new = Pause { opens: self.clock.instant() + wait, until: now + wait };
        if is_of_application(headers) {
            let Pause { until, .. } = self.budget.pause(new);
            return ApiError::RateLimited { until };
        }
        let mut account = self.account();
        let closed = account.closed.filter(|before| before.opens > new.opens).unwrap_or(new);
        account.closed = Some(closed);
        ApiError::RateLimited { until: closed.until }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a 429 speaks for all accounts.
fn is_of_application(headers: &HeaderMap) -> bool {
    let tier = headers.get(TIER).and_then(|tier| tier.to_str().ok());
    tier.is_some_and(|tier| tier.trim().eq_ignore_ascii_case(APPLICATION))
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
    use crate::status::ApiStats;

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

    fn limiters() -> [RateLimiter; 2] {
        let (clock, stats) = (Clock::system(), ApiStats::new().unwrap());
        let budget = Arc::new(Budget::new(4000, clock.clone(), stats));
        [(); 2].map(|()| RateLimiter::new(Arc::clone(&budget), clock.clone()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_and_shorter_wait_does_not_open_the_gate_early() {
        let [rate_limiter, other] = limiters();
        assert_eq!(rate_limiter.pass("sleep").await, Ok(()));
        rate_limiter.close(&headers(&[("retry-after", "300".into())]));
        rate_limiter.close(&headers(&[("retry-after", "10".into())]));
        tokio::time::advance(Duration::from_secs(299)).await;
        assert!(rate_limiter.pass("sleep").await.is_err());
        assert_eq!(other.pass("sleep").await, Ok(()), "another account's");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(rate_limiter.pass("sleep").await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_tier_of_the_application_closes_it_for_all() {
        for (tier, is_for_all) in [
            ("application", true),
            (" Application ", true),
            ("token", false),
            ("user", false),
            ("", false),
            ("applications", false),
        ] {
            let [one, other] = limiters();
            one.close(&headers(&[("retry-after", "60".into()), ("x-ratelimit-tier", tier.into())]));
            assert!(one.pass("sleep").await.is_err(), "{tier}");
            assert_eq!(other.pass("sleep").await.is_err(), is_for_all, "{tier}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_pays_for_its_first_request_and_gives_back_what_it_did_not_ask() {
        let [one, other] = limiters();
        for _ in 0..1_000 {
            one.begin(Instant::now()).await;
            one.end(true);
        }
        let begun = Instant::now();
        for _ in 0..100 {
            other.begin(Instant::now()).await;
            other.pass("sleep").await.unwrap();
            other.end(true);
        }
        assert_eq!(begun.elapsed(), Duration::ZERO, "nothing of the burst was used before");
        assert_eq!([other.requests("sleep"), other.requests("sleep"), one.requests("sleep")], [100, 0, 0]);
        other.pass("sleep").await.unwrap();
        assert!(begun.elapsed() > Duration::ZERO, "and all of it now");
    }
}
