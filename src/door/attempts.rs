//! The sign-ins that were begun on the page: each is answered once, within ten minutes, by whoever knows its state.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::auth::{Answer, Login, Replaces};

/// How long a person may take: Oura's codes live that long, too.
const LIFE: TimeDelta = TimeDelta::minutes(10);
/// How many are kept: whoever begins more has the oldest forgotten.
const MOST: usize = 64;

/// All that were begun of late.
#[derive(Default)]
pub(super) struct Attempts(Mutex<Vec<Attempt>>);

/// A sign-in that was begun.
#[derive(Clone)]
pub(super) struct Attempt {
    /// Names it in addresses; it opens nothing.
    pub(super) id: String,
    /// The name of the account.
    pub(super) account: String,
    pub(super) login: Arc<Login>,
    /// Whom it may put in the place of the account.
    pub(super) replaces: Replaces,
    begun: DateTime<Utc>,
    pub(super) stage: Stage,
    /// Whether the browser was sent on to Oura: who comes back to the page wants to stay there.
    was_sent: bool,
}

/// How far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nobody has come back from Oura.
    Waiting,
    /// Oura is asked for the tokens.
    Busy,
    /// The tokens of this sign-in are stored.
    Done(DateTime<Utc>),
    /// It has ended without tokens.
    Failed {
        why: String,
        /// Whoever consented is not the person of the account, which may be meant.
        is_wrong_person: bool,
    },
}

/// Why an answer is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotTaken {
    #[error(
        "this answer belongs to another sign-in than those that were begun on this page of late, or to one that is older than \
         ten minutes. If oura-exporter login waits for it in a terminal, paste this page's address there; otherwise begin anew"
    )]
    Unknown,
    #[error("this sign-in has its answer already; each is answered once. Begin anew if it has failed")]
    Answered,
}

impl Attempts {
    /// Adds one, and forgets those whose time is over.
    pub(super) fn add(&self, id: String, account: &str, login: Login, replaces: Replaces, now: DateTime<Utc>) {
        let mut attempts = self.lock();
        attempts.retain(|attempt| attempt.is_alive(now));
        if attempts.len() >= MOST {
            attempts.remove(0);
        }
        let (account, login) = (account.to_owned(), Arc::new(login));
        attempts.push(Attempt { id, account, login, replaces, begun: now, stage: Stage::Waiting, was_sent: false });
    }

    /// The one of that id.
    pub(super) fn get(&self, id: &str, now: DateTime<Utc>) -> Option<Attempt> {
        self.lock().iter().find(|attempt| attempt.id == id && attempt.is_alive(now)).cloned()
    }

    /// Whether the browser is to be sent on to Oura by itself: once.
    pub(super) fn sends(&self, id: &str) -> bool {
        let mut attempts = self.lock();
        let attempt = attempts.iter_mut().find(|attempt| attempt.id == id && attempt.stage == Stage::Waiting);
        attempt.is_some_and(|attempt| !std::mem::replace(&mut attempt.was_sent, true))
    }

    /// Takes an answer for the attempt to which it is. With an `id` a person has pasted it there, and it may be the bare code.
    pub(super) fn take(&self, answer: &Answer, id: Option<&str>, now: DateTime<Utc>) -> Result<Attempt, NotTaken> {
        let is_meant = |attempt: &Attempt| match id {
            Some(id) => attempt.id == id && (answer.is_bare() || answer.is_to(attempt.login.state())),
            None => answer.is_to(attempt.login.state()),
        };
        let mut attempts = self.lock();
        let attempt = attempts.iter_mut().find(|attempt| is_meant(attempt) && attempt.is_alive(now));
        let attempt = attempt.ok_or(NotTaken::Unknown)?;
        if attempt.stage != Stage::Waiting {
            return Err(NotTaken::Answered);
        }
        attempt.stage = Stage::Busy;
        Ok(attempt.clone())
    }

    /// Takes note of how it has ended.
    pub(super) fn end(&self, id: &str, stage: Stage) {
        if let Some(attempt) = self.lock().iter_mut().find(|attempt| attempt.id == id) {
            attempt.stage = stage;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Attempt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt {
    fn is_alive(&self, now: DateTime<Utc>) -> bool {
        now - self.begun < LIFE
    }
}
