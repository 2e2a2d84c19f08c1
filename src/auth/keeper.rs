//! Keeping an account signed in: a good access token at any time, renewed once for all, never lost.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use tokio::{sync::Mutex, task};
use tracing::{info, warn};

use super::{
    authority::{Authority, AuthorityError},
    source::{Grant, is_same},
    store::{Edition, Store},
    tokens::Tokens,
};
use crate::clock::Clock;

/// After a renewal that failed in passing, the next try waits that long.
const PAUSE: TimeDelta = TimeDelta::minutes(1);

/// Where the tokens of a signed-in account come from. What it does goes on when the asker goes away: between Oura's answer
/// and the sync of the file nothing but the end of the process may come.
pub struct Keeper(Arc<Inner>);

struct Inner {
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
    /// The pair could not be stored and is only here.
    is_unsaved: bool,
    /// The pair that Oura will not renew, and why; a new login replaces it.
    refused: Option<(Tokens, NoToken)>,
    /// What a person was last told.
    told: Option<NoToken>,
    /// Until when no renewal is tried, and why the last one failed.
    failed: Option<(DateTime<Utc>, NoToken)>,
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
        Self(Arc::new(Inner { account: account.to_owned(), store, authority, clock, state: Mutex::default() }))
    }

    /// An access token that is good as far as we know; renewed before, if it is time.
    ///
    /// # Errors
    /// Where there is none, and whether a person has to do something about it.
    pub async fn access_token(&self) -> Result<SecretString, NoToken> {
        let inner = Arc::clone(&self.0);
        ended(tokio::spawn(async move { inner.access_token().await }).await)
    }

    /// Oura has refused `token` everywhere: renews the pair, unless somebody has done so already.
    ///
    /// # Errors
    /// Where there is no other token, and whether a person has to do something about it.
    pub async fn replace(&self, token: &SecretString) -> Result<SecretString, NoToken> {
        let (inner, token) = (Arc::clone(&self.0), token.clone());
        ended(tokio::spawn(async move { inner.replace(&token).await }).await)
    }

    /// Whether a person must sign in again, although the present access token may still work for a while.
    pub async fn needs_sign_in(&self) -> bool {
        self.0.state.lock().await.refusal().is_some()
    }

    /// When the present access token ends.
    pub async fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.0.state.lock().await.tokens.as_ref()?.expires_at
    }

    /// What the present pair's sign-in granted.
    pub async fn grant(&self) -> Option<Grant> {
        self.0.state.lock().await.tokens.as_ref().map(Tokens::grant)
    }

    /// Waits for what is under way: a renewal that was begun must not be cut off.
    pub async fn settle(&self) {
        drop(self.0.state.lock().await);
    }
}

fn ended<T>(result: Result<Result<T, NoToken>, task::JoinError>) -> Result<T, NoToken> {
    result.unwrap_or_else(|error| Err(NoToken::Later(error.to_string())))
}

impl Inner {
    async fn access_token(&self) -> Result<SecretString, NoToken> {
        let mut state = self.state.lock().await;
        let now = self.clock.now();
        let mut tokens = self.newest(&mut state);
        if state.is_unsaved {
            tokens = self.save(&mut state).await;
        }
        let renewed = match &tokens {
            Ok(tokens) if tokens.is_due(now) => self.renew(&mut state, tokens).await,
            tokens => tokens.clone(),
        };
        self.tell(&mut state, &renewed);
        match (renewed, tokens) {
            // Renewal begins long before the end, so a failure of it is no failure yet.
            (Err(_), Ok(tokens)) if !tokens.has_expired(now) => Ok(tokens.access),
            (renewed, _) => renewed.map(|tokens| tokens.access),
        }
    }

    async fn replace(&self, token: &SecretString) -> Result<SecretString, NoToken> {
        let mut state = self.state.lock().await;
        let tokens = self.newest(&mut state)?;
        if !is_same(&tokens.access, token) {
            return Ok(tokens.access);
        }
        let renewed = self.renew(&mut state, &tokens).await;
        self.tell(&mut state, &renewed);
        renewed.map(|tokens| tokens.access)
    }

    /// Logs once why the pair is not renewed: a person may have to mend it, and there is time as long as it works.
    fn tell(&self, state: &mut State, result: &Result<Tokens, NoToken>) {
        let account = &self.account;
        match result {
            Ok(_) if matches!(state.told, Some(NoToken::Later(_))) => state.told = None,
            Err(problem) if state.told.as_ref() != Some(problem) => {
                match problem {
                    NoToken::SignIn(_) => warn!(account, "{problem}; run: oura-exporter login --account {account}"),
                    NoToken::Later(_) => warn!(account, "the sign-in is not renewed yet: {problem}"),
                }
                state.told = Some(problem.clone());
            }
            _ => {}
        }
    }

    /// The tokens as the store has them now: another process may have replaced them.
    fn newest(&self, state: &mut State) -> Result<Tokens, NoToken> {
        let edition = self.store.edition(&self.account);
        if edition != state.edition {
            state.told = None;
        }
        if edition != state.edition || state.tokens.is_none() {
            state.tokens = self.store.read(&self.account).map_err(|error| NoToken::SignIn(error.to_string()))?;
            state.edition = edition;
            state.is_unsaved = false;
            state.failed = None;
        }
        state.tokens.clone().ok_or_else(|| NoToken::SignIn(format!("account {} is not signed in", self.account)))
    }

    /// Renews `old` under the lock that other processes see, and stores the new pair before anything uses it. Oura is
    /// not even asked while there is no place to store what it would give.
    async fn renew(&self, state: &mut State, old: &Tokens) -> Result<Tokens, NoToken> {
        if let Some(problem) = state.refusal() {
            return Err(problem);
        }
        let now = self.clock.now();
        if let Some((_, problem)) = state.failed.as_ref().filter(|(until, _)| now < *until) {
            return Err(problem.clone());
        }
        let _lock = self.locked().await?;
        let stored = self.newest_under_lock(state)?;
        if !stored.is_same(old) {
            return Ok(stored);
        }
        self.store.check().map_err(|error| NoToken::Later(error.to_string()))?;
        match self.authority.refresh(&stored, now).await {
            Ok(new) => {
                self.keep(state, new.clone()).await;
                Ok(new)
            }
            // Without a word it may come from a guard before Oura; while the token holds there is time to ask again.
            Err(error @ AuthorityError::Refused { .. }) if !error.is_wordless() || stored.has_expired(now) => {
                let problem = NoToken::SignIn(error.of_renewal());
                state.refused = Some((stored, problem.clone()));
                Err(problem)
            }
            Err(error) => {
                let problem = NoToken::Later(error.to_string());
                state.failed = Some((now + PAUSE, problem.clone()));
                Err(problem)
            }
        }
    }

    /// Stores the pair that could not be stored before, unless another process has stored a newer one meanwhile. It
    /// works without that, too.
    async fn save(&self, state: &mut State) -> Result<Tokens, NoToken> {
        let lock = self.locked().await;
        let tokens = self.newest(state)?;
        if lock.is_ok() && state.is_unsaved {
            self.keep(state, tokens.clone()).await;
        }
        Ok(tokens)
    }

    fn newest_under_lock(&self, state: &mut State) -> Result<Tokens, NoToken> {
        if !state.is_unsaved {
            state.tokens = None;
        }
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
    async fn keep(&self, state: &mut State, new: Tokens) {
        let (store, account, tokens) = (self.store.clone(), self.account.clone(), new.clone());
        let written = task::spawn_blocking(move || store.write(&account, &tokens)).await;
        state.tokens = Some(new);
        state.edition = self.store.edition(&self.account);
        let problem = match written {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        match &problem {
            None => info!(account = self.account, "the sign-in is renewed"),
            Some(problem) => warn!(account = self.account, "the renewed sign-in is only in memory: {problem}"),
        }
        state.is_unsaved = problem.is_some();
    }
}

impl State {
    /// Why Oura will not renew the present pair, if it has said so.
    fn refusal(&self) -> Option<NoToken> {
        let (refused, problem) = self.refused.as_ref()?;
        self.tokens.as_ref().filter(|tokens| refused.is_same(tokens)).map(|_| problem.clone())
    }
}
