//! Why Oura gave no tokens, as data: what is decided by it never reads its words.

use std::fmt;

use serde_json::Value;

use super::discreet::harmless;

/// What is told where Oura gives no reason.
const NO_REASON: &str = "no reason given";
/// What to do where Oura does not know the application.
const CHECK_APPLICATION: &str = "check OURA_CLIENT_ID and OURA_CLIENT_SECRET against your application at Oura";

/// Why Oura gave no tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OAuthError {
    /// Oura understood and refuses.
    #[error("Oura refuses {0}")]
    Refused(Refusal),
    /// Oura is busy or in trouble: the status.
    #[error("Oura's sign-in answered {0}")]
    Unavailable(u16),
    /// No answer: the cause, without the URL.
    #[error("no answer from Oura's sign-in: {0}")]
    Unreachable(String),
    /// A success that holds no pair of tokens.
    #[error("Oura's sign-in answered without a working token: {0}")]
    Unusable(UnusableReply),
}

/// A refusal as RFC 6749 has it, or as Oura's variations of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// 400 or 401.
    pub status: u16,
    /// What is refused; none if Oura does not say.
    pub code: Option<ErrorCode>,
    /// Oura's own words without secrets, e-mail addresses and control characters; empty if there are none.
    pub description: String,
}

/// The error codes of RFC 6749, section 5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request lacks something; Oura's legacy server also says so of an application that it does not know.
    InvalidRequest,
    /// The application is unknown, or its secret is wrong.
    InvalidClient,
    /// The code or the refresh token is spent, revoked, too old, or somebody else's.
    InvalidGrant,
    /// The application may not ask in this way.
    UnauthorizedClient,
    /// The server does not know this way.
    UnsupportedGrantType,
    /// A scope that there is not.
    InvalidScope,
    /// One that is not in the RFC; it stands in the description.
    Other,
}

/// Why a success is no pair of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableReply {
    /// Not the JSON of a token reply.
    #[error("it is not JSON with an access token")]
    NoReply,
    /// The access token is empty, or nothing that a request could carry.
    #[error("its access token is empty or missing")]
    NoAccessToken,
    /// `expires_in` is 0 or less.
    #[error("its token has already expired, by its expires_in")]
    Ended,
}

impl ErrorCode {
    /// The code of an `error` or a `title`, which is the same with blanks and capitals.
    fn of(text: &str) -> Self {
        match text.trim().to_ascii_lowercase().replace(' ', "_").as_str() {
            "invalid_request" => Self::InvalidRequest,
            "invalid_client" => Self::InvalidClient,
            "invalid_grant" => Self::InvalidGrant,
            "unauthorized_client" => Self::UnauthorizedClient,
            "unsupported_grant_type" => Self::UnsupportedGrantType,
            "invalid_scope" => Self::InvalidScope,
            _ => Self::Other,
        }
    }
}

impl Refusal {
    /// What an error reply says, as far as it says anything: RFC 6749's fields or RFC 7807's, never a whole page. What
    /// was sent as one of `secrets` is struck out wherever it is sent back.
    pub(super) fn read(status: u16, body: &[u8], secrets: &[&str]) -> Self {
        let reply = serde_json::from_slice::<Value>(body).unwrap_or_default();
        let text = |key: &str| reply[key].as_str().filter(|text| !text.trim().is_empty());
        let texts = ["error", "title", "error_description", "detail"].into_iter().filter_map(text);
        let mut texts: Vec<_> = texts.map(|text| harmless(text, secrets)).filter(|text| !text.is_empty()).collect();
        texts.dedup();
        Self { status, code: text("error").or_else(|| text("title")).map(ErrorCode::of), description: texts.join(", ") }
    }

    /// Whether Oura does not know the application, or not by this secret.
    fn is_of_the_application(&self) -> bool {
        self.status == 401 || matches!(self.code, Some(ErrorCode::InvalidClient | ErrorCode::UnauthorizedClient))
    }

    /// Whether Oura knows the application and refuses what it brings.
    pub(super) fn is_of_the_grant(&self) -> bool {
        self.code == Some(ErrorCode::InvalidGrant)
    }

    /// Whether it says more than that something is wrong: the legacy server tells applications of the new portal no more.
    pub(super) fn is_telling(&self) -> bool {
        !matches!(self.code, None | Some(ErrorCode::InvalidRequest))
    }

    /// What to check where it is the application that keeps a renewal from working: the requests themselves are sound,
    /// so that an invalid one is of an unknown application, too.
    pub(super) fn advice_at_renewal(&self) -> Option<&'static str> {
        let is_of_the_application = self.is_of_the_application() || self.code == Some(ErrorCode::InvalidRequest);
        is_of_the_application.then_some(CHECK_APPLICATION)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let description = if self.description.is_empty() { NO_REASON } else { &self.description };
        write!(f, "({}): {description}", self.status)
    }
}

impl OAuthError {
    /// What the person who signs in can do about it.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Self::Refused(refusal) if refusal.is_of_the_application() => CHECK_APPLICATION,
            Self::Refused(_) => "start again and finish within ten minutes; a code works once",
            Self::Unavailable(_) | Self::Unreachable(_) | Self::Unusable(_) => "start again in a few minutes",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        Refusal::read(status, body.as_bytes(), &["s3cret"])
    }

    #[test]
    fn a_description_decides_nothing() {
        for description in [
            "The refresh token was issued to another client",
            "client has been invalid_client for long",
            "invalid_request of an unauthorized_client",
        ] {
            let body = format!(r#"{{"error":"invalid_grant","error_description":"{description}"}}"#);
            let refusal = refusal(400, &body);
            assert!(refusal.is_of_the_grant() && refusal.is_telling(), "{description}");
            assert_eq!(refusal.advice_at_renewal(), None, "{description}");
            assert!(OAuthError::Refused(refusal).advice().contains("start again"), "{description}");
        }
        let other = refusal(400, r#"{"error":"slow_down","error_description":"invalid_grant"}"#);
        assert_eq!((other.code, other.is_of_the_grant()), (Some(ErrorCode::Other), false));
        assert_eq!(other.to_string(), "(400): slow_down, invalid_grant");
    }

    #[test]
    fn the_application_is_to_blame_by_status_or_code() {
        for (status, body) in [
            (401, ""),
            (401, "<html>"),
            (400, r#"{"error":"invalid_client"}"#),
            (400, r#"{"error":"unauthorized_client"}"#),
            (400, r#"{"title":"Invalid Client","status":400}"#),
        ] {
            let refusal = refusal(status, body);
            assert!(refusal.advice_at_renewal().is_some_and(|advice| advice.contains("OURA_CLIENT_SECRET")), "{body}");
            assert!(OAuthError::Refused(refusal).advice().contains("OURA_CLIENT_SECRET"), "{body}");
        }
    }

    #[test]
    fn what_is_no_json_or_says_nothing_has_no_reason() {
        for body in ["", "<h1>Bad Request</h1>", "[]", r#"{"error":{"code":1}}"#, r#"{"error":" \u0007 "}"#, "null"] {
            let refusal = refusal(400, body);
            assert_eq!(refusal.to_string(), "(400): no reason given", "{body}");
            assert!(!refusal.is_telling() || refusal.code == Some(ErrorCode::Other), "{body}");
        }
        let told = refusal(400, r#"{"error":"invalid_grant","detail":"s3cret of anna@example.com \u202e spent"}"#);
        assert_eq!(told.description, "invalid_grant, [removed] of [removed] spent");
    }
}
