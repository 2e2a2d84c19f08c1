//! What can be made to go wrong at the token URLs.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::{
    at_random::chosen,
    noise::Noise,
    replies::{Reply, Tier},
};

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

/// The ways in which a token URL fails at random: those that leave a client some pair.
const WAYS: &[TokenFault] = &[
    TokenFault::Status(400),
    TokenFault::Status(401),
    TokenFault::Status(403),
    TokenFault::Status(500),
    TokenFault::Status(503),
    TokenFault::EmptyBody(400),
    TokenFault::EmptyBody(502),
    TokenFault::Html(403),
    TokenFault::Html(200),
    TokenFault::Hang,
    TokenFault::Delay(Duration::from_secs(5)),
    TokenFault::NoExpiresIn,
    TokenFault::NoRefreshToken,
    TokenFault::NoScope,
    TokenFault::ScopeAsList,
    TokenFault::RateLimited { retry_after_seconds: 60 },
    TokenFault::Redirect,
];

/// The faults that are switched on, the latest last.
#[derive(Debug, Default)]
pub(super) struct TokenFaults {
    set: Vec<TokenFault>,
    random: Option<AtRandom>,
}

/// Faults that meet a share of all requests.
#[derive(Debug)]
struct AtRandom {
    noise: Noise,
    share: f64,
    asked: i64,
}

impl TokenFaults {
    /// One more, which wins over those before it.
    pub(super) fn set(&mut self, fault: TokenFault) {
        self.set.push(fault);
    }

    /// From now on this share of all requests meets a fault, unless one is set.
    pub(super) fn at_random(&mut self, seed: u64, share: f64) {
        self.random = Some(AtRandom { noise: Noise::new(seed).of("token faults at random"), share, asked: 0 });
    }

    /// A request has come: whether it is to meet a fault at random, and which.
    pub(super) fn asked(&mut self) {
        self.set.retain(|fault| fault.left().is_some());
        let Some(random) = self.random.as_mut().filter(|_| self.set.is_empty()) else { return };
        random.asked += 1;
        let here = random.noise.at(random.asked);
        if here.chance(random.share) {
            self.set.push(TokenFault::Times(1, Box::new(chosen(here.of("way"), WAYS))));
        }
    }

    /// The fault that the next request meets.
    pub(super) fn current(&mut self) -> Option<TokenFault> {
        self.set.retain(|fault| fault.left().is_some());
        self.set.last()?.left().cloned()
    }

    /// Counts the current fault as met.
    pub(super) fn spend(&mut self) {
        let mut fault = self.set.last_mut();
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
            Self::RateLimited { retry_after_seconds } => Reply::limited(now, *retry_after_seconds, Tier::Token),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_requests_meets_a_fault_once_and_one_that_is_set_wins() {
        let mut faults = TokenFaults::default();
        faults.at_random(1, 0.3);
        let mut next = || {
            faults.asked();
            let met = faults.current();
            faults.spend();
            met
        };
        let met: Vec<_> = (0..1000).filter_map(|_| next()).collect();
        assert!((250..350).contains(&met.len()), "{}", met.len());
        assert!(WAYS.iter().all(|way| met.contains(way)));
        faults.set(TokenFault::Hang);
        faults.asked();
        assert_eq!(faults.current(), Some(TokenFault::Hang));
    }
}
