//! What can be made to go wrong at the token URLs.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::simulator::replies::Reply;

/// Where the token URL sends a client that follows redirects; nothing is there but the record of the request.
const ELSEWHERE: &str = "/oauth/elsewhere";

/// A way in which a token URL fails. Those that spoil a good answer wait for one: a refusal does not use them up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenFault {
    /// This status, with an error in JSON, or in HTML from 500 on; nothing is spent.
    Status(u16),
    /// This status without a body; nothing is spent.
    EmptyBody(u16),
    /// This status with a page of HTML; nothing is spent.
    Html(u16),
    /// The request is taken and never answered; nothing is spent.
    Hang,
    /// A good answer is made, what it costs is spent, and the connection is closed without it: the pair is lost.
    DropAfterRotating,
    /// The answer is made, what it costs is spent, and it is sent so much later.
    Delay(Duration),
    /// A good answer without `expires_in`.
    NoExpiresIn,
    /// A good answer without `refresh_token`; a refresh token that bought it can be used again.
    NoRefreshToken,
    /// A good answer with this `expires_in`; a refresh token that bought it can be used again.
    ExpiresIn(i64),
    /// A good answer with this `access_token`, which opens nothing; a refresh token that bought it can be used again.
    AccessToken(&'static str),
    /// 400 or 401 with this error and this description; nothing is spent.
    Refusal(u16, &'static str, String),
    /// A good answer with `scope` as a list.
    ScopeAsList,
    /// A good answer without `scope`.
    NoScope,
    /// 429 with the five headers of the rate limit; nothing is spent.
    RateLimited {
        /// What Retry-After says.
        retry_after_seconds: u64,
    },
    /// 307 to `/oauth/elsewhere`, where only a client goes that would show its secret to anybody; nothing is spent.
    Redirect,
    /// The fault, for the next so many requests that it meets; then as if it had not been set.
    Times(u32, Box<TokenFault>),
}

/// The faults that are switched on, the latest last.
#[derive(Debug, Default)]
pub(super) struct TokenFaults(Vec<TokenFault>);

impl TokenFaults {
    /// One more, which wins over those before it.
    pub(super) fn set(&mut self, fault: TokenFault) {
        self.0.push(fault);
    }

    /// The fault that the next request meets.
    pub(super) fn current(&mut self) -> Option<TokenFault> {
        self.0.retain(|fault| fault.left().is_some());
        self.0.last()?.left().cloned()
    }

    /// Counts the current fault as met.
    pub(super) fn spend(&mut self) {
        let mut fault = self.0.last_mut();
        while let Some(TokenFault::Times(left, inner)) = fault {
            *left = left.saturating_sub(1);
            fault = Some(inner);
        }
    }
}

impl TokenFault {
    /// Whether it waits for a good answer to spoil.
    pub(super) const fn spoils(&self) -> bool {
        matches!(
            self,
            Self::DropAfterRotating
                | Self::NoExpiresIn
                | Self::NoRefreshToken
                | Self::ExpiresIn(_)
                | Self::AccessToken(_)
                | Self::ScopeAsList
                | Self::NoScope
        )
    }

    /// Whether what bought the answer that it spoils can be used again.
    pub(super) const fn keeps(&self) -> bool {
        matches!(self, Self::NoRefreshToken | Self::ExpiresIn(_) | Self::AccessToken(_))
    }

    /// A good answer, spoilt.
    pub(super) fn spoil(&self, answer: &mut Value) {
        let missing = match self {
            Self::NoExpiresIn => "expires_in",
            Self::NoRefreshToken => "refresh_token",
            Self::NoScope => "scope",
            Self::ExpiresIn(seconds) => {
                answer["expires_in"] = json!(seconds);
                return;
            }
            Self::AccessToken(token) => {
                answer["access_token"] = json!(token);
                return;
            }
            Self::ScopeAsList => {
                let scopes: Vec<&str> = answer["scope"].as_str().unwrap_or_default().split_whitespace().collect();
                answer["scope"] = json!(scopes);
                return;
            }
            _ => return,
        };
        if let Some(members) = answer.as_object_mut() {
            members.remove(missing);
        }
    }

    /// The answer that it gives in place of the real one.
    pub(super) fn reply(&self, now: DateTime<Utc>) -> Reply {
        match self {
            Self::EmptyBody(status) => Reply::empty(*status),
            Self::Html(status) => Reply::html(*status),
            Self::RateLimited { retry_after_seconds } => Reply::limited(now, *retry_after_seconds),
            Self::Redirect => Reply::empty(307).with("location", ELSEWHERE.to_owned()),
            Self::Status(status @ ..500) => {
                Reply::json(*status, &json!({ "error": "invalid_request", "error_description": "Invalid request" }))
            }
            Self::Status(status) => Reply::of_status(*status),
            Self::Refusal(status, error, description) => {
                Reply::json(*status, &json!({ "error": error, "error_description": description }))
            }
            _ => Reply::of_status(500),
        }
    }

    /// The fault itself, without the counting, unless it is used up.
    fn left(&self) -> Option<&Self> {
        match self {
            Self::Times(0, _) => None,
            Self::Times(_, inner) => inner.left(),
            fault => Some(fault),
        }
    }
}
