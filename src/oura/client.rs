//! One account at Oura: its token, its rate limit, and whether Oura still knows it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use tokio::sync::Mutex;

use super::{
    ApiError,
    gate::Gate,
    transport::{Get, Transport},
};

/// How long the answer to "does Oura still know this account" holds: the collections of one poll ask together.
const STANDING_HOLDS: Duration = Duration::from_secs(20);

/// One account at Oura.
pub struct Client {
    transport: Arc<Transport>,
    token: SecretString,
    gate: Gate,
    standing: Mutex<Option<(Instant, Standing)>>,
}

/// How an account stands with Oura, apart from any one collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The token is good and the membership runs.
    Good,
    /// The token is refused everywhere.
    TokenRefused,
    /// The token is good and everything is forbidden: the membership has lapsed.
    MembershipLapsed,
}

impl Client {
    /// The account that `token` opens.
    pub fn new(transport: Arc<Transport>, token: SecretString) -> Self {
        Self { transport, token, gate: Gate::default(), standing: Mutex::default() }
    }

    /// Until when Oura last asked for no requests; none if it never did.
    pub fn rate_limited_until(&self) -> Option<DateTime<Utc>> {
        self.gate.until()
    }

    /// How the account stands, asked of a route other than `collection`, which was refused: `personal_info` is open to
    /// any token. Askers at the same time share one request.
    ///
    /// # Errors
    /// Where the question itself fails, so that nothing can be said.
    pub async fn standing(&self, collection: &str) -> Result<Standing, ApiError> {
        let mut known = self.standing.lock().await;
        if let Some((asked, standing)) = *known
            && asked.elapsed() < STANDING_HOLDS
        {
            return Ok(standing);
        }
        let elsewhere = self.transport.is_sandbox() || collection == "personal_info";
        let path = if elsewhere { "ring_configuration" } else { "personal_info" };
        let standing = match self.send(&Get { collection: path, path, query: &[] }).await {
            Err(ApiError::Unauthorized) => Standing::TokenRefused,
            Err(ApiError::Forbidden) => Standing::MembershipLapsed,
            Ok(_) => Standing::Good,
            Err(error) => return Err(error),
        };
        *known = Some((Instant::now(), standing));
        Ok(standing)
    }

    pub(super) async fn send(&self, get: &Get<'_>) -> Result<Bytes, ApiError> {
        self.transport.send(get, &self.token, &self.gate).await
    }
}
