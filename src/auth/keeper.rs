//! Keeping an account signed in: a good access token at any time, renewed once for all, never lost.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{sync::Mutex, task};
use tracing::{info, warn};

use super::{
    authority::{Authority, AuthorityError},
    store::{Edition, Store, StoreError},
    tokens::Tokens,
};
use crate::clock::Clock;

/// After a renewal that failed in passing, the next try waits that long.
const PAUSE: TimeDelta = TimeDelta::minutes(1);

/// Where the tokens of a signed-in account come from.
pub struct Keeper {
    account: String,
    store: Store,
    authority: Arc<Authority>,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tokens: Option<Tokens>,
    edition: Option<Edition>,
    /// The pair of which Oura will not renew; a new login replaces it.
    refused: Option<Tokens>,
    not_before: Option<DateTime<Utc>>,
}

/// Why there is no good access token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// A person must sign in again.
    #[error("{0}")]
    SignIn(String),
    /// It may work a moment later.
    #[error("{0}")]
    Later(String),
}

impl Keeper {
    /// Keeps `account` signed in with the tokens in `store`.
    pub fn new(account: &str, store: Store, authority: Arc<Authority>, clock: Clock) -> Self {
        Self { account: account.to_owned(), store, authority, clock, state: Mutex::default() }
    }

    /// An access token that is good as far as we know; renewed before, if it is time.
    ///
    /// # Errors
    /// Where there is none, and whether a person has to do something about it.
    pub async fn access_token(&self) -> Result<SecretString, NoToken> {
        let mut state = self.state.lock().await;
        let now = self.clock.now();
        let tokens = self.newest(&mut state)?;
        if !tokens.is_due(now) {
            return Ok(tokens.access);
        }
        match self.renew(&mut state, &tokens).await {
            Ok(tokens) => Ok(tokens.access),
            // Renewal begins long before the end, so a failure of it is no failure yet.
            Err(_) if !tokens.has_expired(now) => Ok(tokens.access),
            Err(error) => Err(error),
        }
    }

    /// Oura has refused `token` everywhere: renews the pair, unless somebody has done so already.
    ///
    /// # Errors
    /// Where there is no other token, and whether a person has to do something about it.
    pub async fn replace(&self, token: &SecretString) -> Result<SecretString, NoToken> {
        let mut state = self.state.lock().await;
        let tokens = self.newest(&mut state)?;
        if tokens.access.expose_secret() != token.expose_secret() {
            return Ok(tokens.access);
        }
        self.renew(&mut state, &tokens).await.map(|tokens| tokens.access)
    }

    /// Whether a person must sign in again, although the present access token may still work for a while.
    pub async fn needs_sign_in(&self) -> bool {
        let state = self.state.lock().await;
        state.is_refused()
    }

    /// When the present access token ends.
    pub async fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.state.lock().await.tokens.as_ref()?.expires_at
    }

    /// The tokens as the store has them now: another process may have replaced them.
    fn newest(&self, state: &mut State) -> Result<Tokens, NoToken> {
        let edition = self.store.edition(&self.account);
        if edition != state.edition || state.tokens.is_none() {
            state.tokens = self.store.read(&self.account).map_err(|error| NoToken::SignIn(error.to_string()))?;
            state.edition = edition;
            state.not_before = None;
        }
        state.tokens.clone().ok_or_else(|| NoToken::SignIn(format!("account {} is not signed in", self.account)))
    }

    /// Renews `old` under the lock that other processes see, and stores the new pair before anything uses it.
    async fn renew(&self, state: &mut State, old: &Tokens) -> Result<Tokens, NoToken> {
        if state.is_refused() {
            return Err(NoToken::SignIn("Oura no longer renews the sign-in".to_owned()));
        }
        let now = self.clock.now();
        if state.not_before.is_some_and(|time| now < time) {
            return Err(NoToken::Later("the last renewal failed a moment ago".to_owned()));
        }
        let _lock = self.locked().await?;
        let stored = self.newest_under_lock(state)?;
        if !stored.is_same(old) {
            return Ok(stored);
        }
        match self.authority.refresh(&stored, now).await {
            Ok(new) => self.keep(state, new).await,
            Err(error @ AuthorityError::Refused { .. }) => {
                warn!(account = self.account, "{error}; run: oura-exporter login --account {}", self.account);
                state.refused = Some(stored);
                Err(NoToken::SignIn(error.to_string()))
            }
            Err(error) => {
                state.not_before = Some(now + PAUSE);
                Err(NoToken::Later(error.to_string()))
            }
        }
    }

    fn newest_under_lock(&self, state: &mut State) -> Result<Tokens, NoToken> {
        state.edition = None;
        self.newest(state)
    }

    async fn locked(&self) -> Result<super::store::Lock, NoToken> {
        let (store, account) = (self.store.clone(), self.account.clone());
        let locked = task::spawn_blocking(move || store.lock(&account)).await;
        match locked {
            Ok(Ok(lock)) => Ok(lock),
            Ok(Err(error)) => Err(NoToken::Later(error.to_string())),
            Err(error) => Err(NoToken::Later(error.to_string())),
        }
    }

    /// Stores the pair. If that fails it is kept in memory, where it still works, and stored at the next chance.
    async fn keep(&self, state: &mut State, new: Tokens) -> Result<Tokens, NoToken> {
        let (store, account, tokens) = (self.store.clone(), self.account.clone(), new.clone());
        let written = task::spawn_blocking(move || store.write(&account, &tokens)).await;
        state.tokens = Some(new.clone());
        state.edition = self.store.edition(&self.account);
        match written {
            Ok(Ok(())) => info!(account = self.account, "the sign-in is renewed"),
            Ok(Err(error)) => self.unsaved(&error),
            Err(error) => warn!(account = self.account, %error, "the renewed sign-in is only in memory"),
        }
        Ok(new)
    }

    fn unsaved(&self, error: &StoreError) {
        warn!(account = self.account, "the renewed sign-in is only in memory: {error}");
    }
}

impl State {
    fn is_refused(&self) -> bool {
        self.refused.as_ref().zip(self.tokens.as_ref()).is_some_and(|(refused, tokens)| refused.is_same(tokens))
    }
}
