//! One account at Oura: its token, its rate limit, and whether Oura still knows it.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use tokio::{
    sync::{Mutex, Semaphore},
    time::{Instant, timeout},
};

use super::{
    ApiError, Need, Room,
    rate_limiter::RateLimiter,
    room::LARGE,
    transport::{Get, Transport},
};
use crate::{
    auth::{TokenSource, is_same},
    problem::{Problem, Reason},
};

/// How long the answer to "does Oura still know this account" holds: the collections of one poll ask together.
const STANDING_HOLDS: Duration = Duration::from_secs(20);
/// How long is waited for it: others wait for it too.
const STANDING_TIMEOUT: Duration = Duration::from_secs(10);
/// The collection that is open to any token.
const OPEN_TO_ALL: &str = "personal_info";

/// One account at Oura.
pub struct Client {
    pub(super) transport: Arc<Transport>,
    source: TokenSource,
    rate_limiter: RateLimiter,
    account_status: Mutex<Option<Asked>>,
}

/// A turn that the budget has room for, until it is dropped.
pub struct Turn {
    client: Arc<Client>,
    is_paid: bool,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.client.rate_limiter.end(self.is_paid);
    }
}

/// An answer to how the account stands, which was asked with this token.
struct Asked {
    at: Instant,
    token: SecretString,
    account_status: Result<AccountStatus, ApiError>,
}

/// How an account stands with Oura, apart from any one collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountStatus {
    /// The token is good and the membership runs.
    Good,
    /// The token is refused everywhere.
    TokenRefused,
    /// The token is good and everything is forbidden: the membership has lapsed.
    MembershipLapsed,
}

/// What a refusal (401 or 403) of one collection means, given how the account stands. Whether it is for want of the scope
/// takes more than one collection to say: see [`Problem::of_scope`].
impl From<AccountStatus> for Problem {
    fn from(account_status: AccountStatus) -> Self {
        let (reason, what) = match account_status {
            AccountStatus::TokenRefused => (Reason::Token, "Oura no longer accepts the access token"),
            AccountStatus::MembershipLapsed => (Reason::Membership, "the Oura membership has lapsed"),
            AccountStatus::Good => (Reason::Refused, "Oura refuses it, although the token is good"),
        };
        Self { reason, what: what.to_owned() }
    }
}

impl Client {
    /// The account that the tokens of `source` open.
    pub fn new(transport: Arc<Transport>, source: TokenSource) -> Self {
        let rate_limiter = RateLimiter::new(Arc::clone(&transport.budget), transport.clock.clone());
        Self { transport, source, rate_limiter, account_status: Mutex::default() }
    }

    /// Where its tokens come from.
    pub const fn source(&self) -> &TokenSource {
        &self.source
    }

    /// Until when Oura last asked for no requests; none if it never did.
    pub fn rate_limited_until(&self) -> Option<DateTime<Utc>> {
        self.rate_limiter.until()
    }

    /// Waits until the budget has room for another turn, which was due then: of those that wait, whoever was due first comes first.
    pub async fn begin(self: &Arc<Self>, due: Instant) -> Turn {
        let is_paid = self.rate_limiter.begin(due).await;
        Turn { client: Arc::clone(self), is_paid }
    }

    /// How many requests a collection has made since the last call.
    pub fn requests(&self, collection: &str) -> u32 {
        self.rate_limiter.requests(collection)
    }

    /// What it is to need of the budget.
    pub fn need(&self) -> Need {
        self.rate_limiter.budget.need()
    }

    /// Waits until the next request may pass the rate limit.
    pub async fn reopened(&self) {
        if let Some(opens) = self.rate_limiter.opens() {
            self.transport.clock.sleep_until(opens).await;
        }
    }

    /// When the next request may pass the rate limit.
    pub fn passes_at(&self) -> Option<Instant> {
        self.rate_limiter.opens()
    }

    /// How the account stands, given that `collection` was refused with `refusal`. Askers at the same time share one
    /// request and its answer, good or bad.
    ///
    /// # Errors
    /// Where the question itself fails, so that nothing can be said.
    pub async fn account_status(&self, collection: &str, refusal: &ApiError) -> Result<AccountStatus, ApiError> {
        let is_open = collection == OPEN_TO_ALL;
        if is_open && *refusal == ApiError::Forbidden {
            return Ok(AccountStatus::MembershipLapsed);
        }
        let mut known = self.account_status.lock().await;
        let token = self.source.token().await?;
        match &*known {
            Some(asked) if asked.at.elapsed() < STANDING_HOLDS && is_same(&asked.token, &token) => {
                asked.account_status.clone()
            }
            _ => {
                let account_status = self.ask_elsewhere(is_open, &token).await;
                *known = Some(Asked { at: Instant::now(), token, account_status: account_status.clone() });
                account_status
            }
        }
    }

    /// Gets another token than the one that was refused everywhere.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn renew(&self) -> Result<(), ApiError> {
        let known = self.account_status.lock().await;
        let Some(refused) = known.as_ref().map(|asked| asked.token.clone()) else { return Ok(()) };
        drop(known);
        self.source.replace(&refused).await?;
        Ok(())
    }

    /// Asks what is open to any token; if that was what refused, or the sandbox lacks it, a second route decides.
    async fn ask_elsewhere(&self, open_refused: bool, token: &SecretString) -> Result<AccountStatus, ApiError> {
        let path = if open_refused || self.transport.is_sandbox() { "daily_sleep" } else { OPEN_TO_ALL };
        // Small enough to need no place among the large answers: whoever asks may hold it.
        let get = Get { collection: path, path, query: &[], largest: LARGE };
        let room = Room::default();
        let asked = timeout(STANDING_TIMEOUT, self.transport.send_once(&get, token, &self.rate_limiter, &room)).await;
        match asked.unwrap_or(Err(ApiError::Timeout(STANDING_TIMEOUT))) {
            Err(ApiError::Unauthorized) => Ok(AccountStatus::TokenRefused),
            Err(ApiError::Forbidden) => Ok(AccountStatus::MembershipLapsed),
            Ok(_) => Ok(AccountStatus::Good),
            Err(error) => Err(error),
        }
    }

    /// The places of large answers, which all accounts share.
    pub(super) fn large(&self) -> &Arc<Semaphore> {
        &self.transport.large
    }

    pub(super) async fn send(&self, get: &Get<'_>, room: &Room) -> Result<Vec<u8>, ApiError> {
        let token = self.source.token().await?;
        match self.transport.send(get, &token, &self.rate_limiter, room).await {
            Err(ApiError::Unauthorized) => {
                let newer = self.source.token().await?;
                if is_same(&newer, &token) {
                    return Err(ApiError::Unauthorized);
                }
                // It was renewed while the request was under way: the refusal is of the old one.
                self.transport.send(get, &newer, &self.rate_limiter, room).await
            }
            answer => {
                if answer.is_ok() {
                    self.source.accepted();
                }
                answer
            }
        }
    }
}
