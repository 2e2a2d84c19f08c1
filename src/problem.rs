//! Why a collection cannot be trusted, in words for a person and in a closed list for a label.

use crate::{
    auth::{NoToken, OAuthError},
    documents::Unreadable,
    oura::{ApiError, Standing},
};

/// What is wrong with a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its place in the closed list.
    pub reason: Reason,
    /// What happened, in words.
    pub what: String,
}

/// Why a collection fails: the closed list behind the label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The access token is refused everywhere.
    Token,
    /// The token is good, but not for this collection.
    Scope,
    /// The membership has lapsed.
    Membership,
    /// Too many requests.
    RateLimit,
    /// A status of 500 or more.
    Server,
    /// No answer in time.
    Timeout,
    /// No connection.
    Network,
    /// An answer that is no JSON, or cut off.
    Unreadable,
    /// A document of another shape than this build knows.
    Document,
    /// Pages without end.
    Paging,
    /// A request that Oura rejects.
    Request,
    /// The directory with the tokens: its disk, its rights, or a lock that another process holds.
    State,
}

impl Reason {
    /// The closed list.
    pub const ALL: &'static [Self] = &[
        Self::Token,
        Self::Scope,
        Self::Membership,
        Self::RateLimit,
        Self::Server,
        Self::Timeout,
        Self::Network,
        Self::Unreadable,
        Self::Document,
        Self::Paging,
        Self::Request,
        Self::State,
    ];

    /// The label's value.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Scope => "scope",
            Self::Membership => "membership",
            Self::RateLimit => "rate_limit",
            Self::Server => "server",
            Self::Timeout => "timeout",
            Self::Network => "network",
            Self::Unreadable => "unreadable",
            Self::Document => "document",
            Self::Paging => "paging",
            Self::Request => "request",
            Self::State => "state",
        }
    }

    /// What a person can do about it.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Token => {
                "put a new token into OURA_ACCESS_TOKEN and start again, or sign in with oura-exporter login"
            }
            Self::Scope => "tick the scope in the Oura application, authorize it anew and use the new token",
            Self::Membership => "renew the Oura membership; it is asked again every hour",
            Self::RateLimit => "nothing to do, it goes on by itself; if it comes often, raise OURA_POLL_INTERVAL",
            Self::Server | Self::Timeout => "nothing to do, it is asked again at the next poll",
            Self::Network => "check the network and OURA_API_URL; it is asked again at the next poll",
            Self::Unreadable | Self::Paging => "it is asked again at the next poll; if it stays, report it",
            Self::Document => "if it stays, report it with the field's name",
            Self::Request => "look for a newer version of this exporter, or report it",
            Self::State => "mend that in OURA_STATE_DIR; it is tried again by itself",
        }
    }

    /// Whether it is the whole account's and not one collection's, so that it is told once.
    pub const fn is_of_the_account(self) -> bool {
        matches!(self, Self::Token | Self::Membership | Self::RateLimit | Self::Network | Self::State)
    }
}

impl Problem {
    /// Documents of which none could be read.
    pub fn of_documents(unreadable: &[Unreadable]) -> Self {
        let field = unreadable.first().map_or("", |document| document.field.as_str());
        Self { reason: Reason::Document, what: format!("no document can be read, the first fails at `{field}`") }
    }

    /// What a refusal (401 or 403) of one collection means, given how the account stands.
    pub fn of_refusal(standing: Standing, scope: &str) -> Self {
        let (reason, what) = match standing {
            Standing::TokenRefused => (Reason::Token, "Oura no longer accepts the access token".to_owned()),
            Standing::MembershipLapsed => (Reason::Membership, "the Oura membership has lapsed".to_owned()),
            Standing::Good => (Reason::Scope, format!("the token lacks the scope {scope}")),
        };
        Self { reason, what }
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
