//! Why there is no good access token, as data, and which of these causes a person has been told of.

use std::{collections::HashSet, io, mem};

use chrono::{DateTime, Utc};

use super::{
    oauth_error::{ErrorCode, OAuthError, Refusal},
    store_error::StoreError,
    table_error::TableTrouble,
};

/// Why there is no good access token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// No token is left that works: a person must sign in again, unless a later renewal is not refused.
    #[error("{0}")]
    SignIn(SignInNeeded),
    /// Oura, or the way there, is in trouble.
    #[error("{0}")]
    Later(OAuthError),
    /// The state directory is in trouble: its disk, its rights, or somebody who holds the lock.
    #[error("{0}")]
    State(StoreError),
    /// A defect of ours.
    #[error("a task of the sign-in stopped because of a defect, report it: {0}")]
    Defect(String),
}

/// Why a person must sign in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInNeeded {
    /// There is no token file.
    #[error("nobody is signed in as this account")]
    Nobody,
    /// Somebody else has signed in, or may have: what was begun for the one before ends.
    #[error("a different person may have signed in as this account meanwhile")]
    AnotherPerson,
    /// Oura gave no refresh token.
    #[error("there is no refresh token")]
    NoRefreshToken,
    /// The token of the environment is refused everywhere.
    #[error("Oura no longer accepts the access token")]
    Fixed,
    /// Oura refuses to renew.
    #[error("Oura refuses {refusal}{}{}", advised(.refusal), tried_again(.again.as_ref()))]
    Refused {
        /// In which words.
        refusal: Refusal,
        /// When it is tried again; none: never with this pair.
        again: Option<DateTime<Utc>>,
    },
    /// Oura's API refuses even a new token.
    #[error("Oura's API refuses the token, although it was renewed a short while ago; the next renewal is {}", time(.again))]
    NewToken {
        /// When it is renewed again.
        again: DateTime<Utc>,
    },
}

fn advised(refusal: &Refusal) -> String {
    refusal.advice_at_renewal().map(|advice| format!("; {advice}")).unwrap_or_default()
}

fn tried_again(again: Option<&DateTime<Utc>>) -> String {
    again.map(|again| format!("; tried again {}", time(again))).unwrap_or_default()
}

/// A moment as people are told of it.
pub(super) fn time(moment: &DateTime<Utc>) -> String {
    format!("at {}", moment.format("%Y-%m-%d %H:%M UTC"))
}

/// What makes two troubles the same one, whatever their words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cause {
    Nobody,
    AnotherPerson,
    NoRefreshToken,
    Fixed,
    Refused(Option<ErrorCode>),
    NewToken,
    Unavailable,
    Unreachable,
    Unusable,
    Gone,
    Locked,
    System(io::ErrorKind),
    Unfit,
    Table(mem::Discriminant<TableTrouble>),
    Defect,
}

impl From<&NoToken> for Cause {
    fn from(problem: &NoToken) -> Self {
        match problem {
            NoToken::SignIn(SignInNeeded::Nobody) => Self::Nobody,
            NoToken::SignIn(SignInNeeded::AnotherPerson) => Self::AnotherPerson,
            NoToken::SignIn(SignInNeeded::NoRefreshToken) => Self::NoRefreshToken,
            NoToken::SignIn(SignInNeeded::Fixed) => Self::Fixed,
            NoToken::SignIn(SignInNeeded::Refused { refusal, .. }) => Self::Refused(refusal.code),
            NoToken::SignIn(SignInNeeded::NewToken { .. }) => Self::NewToken,
            NoToken::Later(OAuthError::Unavailable(_)) => Self::Unavailable,
            NoToken::Later(OAuthError::Unreachable(_)) => Self::Unreachable,
            NoToken::Later(OAuthError::Unusable(_)) => Self::Unusable,
            NoToken::Later(OAuthError::Refused(refusal)) => Self::Refused(refusal.code),
            NoToken::State(error) => error.into(),
            NoToken::Defect(_) => Self::Defect,
        }
    }
}

impl From<&StoreError> for Cause {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::System { kind, .. } => Self::System(*kind),
            StoreError::Gone { .. } => Self::Gone,
            StoreError::Locked { .. } => Self::Locked,
            StoreError::Unfit { .. } => Self::Unfit,
            StoreError::Table(error) => Self::Table(mem::discriminant(&error.trouble)),
        }
    }
}

/// The causes of a trouble that a person has been told of, each with whether the person was called upon.
#[derive(Debug, Default)]
pub(super) struct ToldCauses(HashSet<(Cause, bool)>);

impl ToldCauses {
    /// Whether it is news that the trouble comes from this cause, or that a person must act upon it.
    pub(super) fn is_news(&mut self, cause: Cause, calls: bool) -> bool {
        !(calls && self.0.iter().any(|(_, called)| *called)) && self.0.insert((cause, calls))
    }

    /// The trouble is over; whether anybody had been told.
    pub(super) fn end(&mut self) -> bool {
        let was_told = !self.0.is_empty();
        self.0.clear();
        was_told
    }
}
