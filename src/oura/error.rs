//! What can go wrong with a request, as far as the answer itself tells.

use std::{
    error::Error,
    io::{self, ErrorKind},
    iter::successors,
    time::Duration,
};

use chrono::{DateTime, Utc};

use crate::{
    auth::{NoToken, OAuthError},
    http_client::causes,
    problem::{Problem, Reason},
};

/// Why a request gave no documents. No variant holds what the answer said: it may be private.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// 401: the token, or the scope of this collection.
    #[error("Oura answered 401, the token or its scope is not enough")]
    Unauthorized,
    /// There is no token to ask with.
    #[error(transparent)]
    NoToken(#[from] NoToken),
    /// 403: the membership, or the permission for this collection.
    #[error("Oura answered 403, the membership or a permission is missing")]
    Forbidden,
    /// 429, or an earlier 429 whose time is not over.
    #[error("Oura has asked for a pause until {}", until.format("%Y-%m-%d %H:%M:%S UTC"))]
    RateLimited {
        /// When requests are welcome again.
        until: DateTime<Utc>,
    },
    /// 5xx, or what says that the moment was bad and not the request: 408 and 425.
    #[error("Oura's server answered {0}")]
    Server(u16),
    /// Any other status that is no success.
    #[error("Oura rejected the request with {status}{}", explained(*.status))]
    Rejected {
        /// The status.
        status: u16,
    },
    /// No answer in time.
    #[error("no answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// No connection, or one that broke.
    #[error("cannot reach Oura: {0}")]
    Network(String),
    /// A success whose body is not what the API promises.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
    /// The same page again, or pages without end.
    #[error("paging does not end: a next_token came twice, or too many came")]
    EndlessPages,
}

impl ApiError {
    /// Whether the same request may well succeed a moment later.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::Server(_) | Self::Timeout(_) | Self::Network(_))
    }

    /// What the HTTP client reports.
    pub(super) fn of_transport(error: reqwest::Error, timeout: Duration) -> Self {
        if layers(&error).any(is_timeout) {
            return Self::Timeout(timeout);
        }
        if !error.is_decode() {
            return Self::Network(causes(error));
        }
        // Whatever fails in a body counts as decoding, even where nothing is compressed.
        if layers(&error).any(is_broken_off) { Self::broken_off() } else { Self::badly_packed() }
    }

    /// The connection failed under the body, or the body ended before what it holds did.
    pub(super) fn broken_off() -> Self {
        Self::Network("the answer broke off before its end".to_owned())
    }

    /// What the body holds cannot be unpacked.
    pub(super) fn badly_packed() -> Self {
        Self::Unreadable("its compression is broken".to_owned())
    }

    /// What the JSON parser reports: where and of which kind, but not the value it may quote.
    pub(super) fn of_json(error: &serde_json::Error) -> Self {
        let kind = match error.classify() {
            serde_json::error::Category::Eof => "the JSON is cut off",
            serde_json::error::Category::Data => "the JSON has a different shape from the documented one",
            _ => "it is not JSON",
        };
        Self::Unreadable(format!("{kind} (line {}, column {})", error.line(), error.column()))
    }
}

/// An error and all that it holds; an I/O error is skipped by its own `source`, which is that of what it holds.
fn layers<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |layer| {
        let error: &'a (dyn Error + 'static) = *layer;
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        held.map_or_else(|| error.source(), |held| Some(held as &(dyn Error + 'static)))
    })
}

fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout)
}

/// Whether the connection failed under the body, or the body ended before what it holds did.
fn is_broken_off(error: &(dyn Error + 'static)) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    error.is::<hyper::Error>()
        || matches!(
            kind,
            Some(
                ErrorKind::UnexpectedEof
                    | ErrorKind::ConnectionReset
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::BrokenPipe
                    | ErrorKind::TimedOut
            )
        )
}

/// What little known statuses mean.
const fn explained(status: u16) -> &'static str {
    match status {
        300..400 => ", a redirect: is OURA_API_URL right?",
        426 => ": the Oura app on the phone is too old for these data; update it",
        _ => "",
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        let reason = match &error {
            ApiError::Unauthorized | ApiError::NoToken(NoToken::SignIn(_)) => Reason::Token,
            ApiError::NoToken(NoToken::Later(OAuthError::Unreachable(_))) => Reason::Network,
            ApiError::NoToken(NoToken::Later(OAuthError::Unusable(_))) => Reason::Unreadable,
            ApiError::NoToken(NoToken::Later(_)) => Reason::Server,
            ApiError::NoToken(NoToken::State(_) | NoToken::Defect(_)) => Reason::State,
            ApiError::Forbidden => Reason::Membership,
            ApiError::RateLimited { .. } => Reason::RateLimit,
            ApiError::Server(_) => Reason::Server,
            ApiError::Rejected { .. } => Reason::Request,
            ApiError::Timeout(_) => Reason::Timeout,
            ApiError::Network(_) => Reason::Network,
            ApiError::Unreadable(_) => Reason::Unreadable,
            ApiError::EndlessPages => Reason::Paging,
        };
        Self { reason, what: error.to_string() }
    }
}
