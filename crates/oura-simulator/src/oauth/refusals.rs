//! Why somebody is refused at a token URL, and the words in which each portal says so.

use serde_json::json;

use super::applications::Portal;
use crate::replies::Reply;

/// Why a token URL refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The request does not say what it wants, or not all of it.
    Incomplete,
    /// The grant type is another than the two.
    OtherGrantType,
    /// The application is the other portal's.
    OtherPortal,
    /// No such application, or not its secret.
    UnknownClient,
    /// No such code at this portal.
    NoSuchCode,
    /// The code was used before.
    CodeUsed,
    /// The code is too old.
    CodeExpired,
    /// The redirect URI is another than at the sign-in.
    OtherRedirect,
    /// The verifier does not fit the challenge.
    Unproven,
    /// No such refresh token at this portal.
    NoSuchToken,
    /// The refresh token was used before, or revoked.
    TokenUsed,
}

impl Refusal {
    /// What the portal answers; a refresh is told some things with another status than the exchange of a code.
    pub(super) fn reply(self, portal: Portal, is_refresh: bool) -> Reply {
        let (status, error, description) = match self {
            Self::OtherPortal | Self::UnknownClient if portal == Portal::New => return unknown_client(),
            Self::OtherPortal if is_refresh => (400, "invalid_request", "Invalid request"),
            Self::UnknownClient if is_refresh => (400, "invalid_request", "Invalid client_id"),
            Self::OtherPortal | Self::UnknownClient => (401, "invalid_client", "Invalid client_id"),
            Self::Incomplete => (400, "invalid_request", "A required parameter is missing"),
            Self::OtherGrantType => {
                (400, "unsupported_grant_type", "grant_type must be authorization_code or refresh_token")
            }
            Self::OtherRedirect if portal == Portal::Legacy => {
                (400, "invalid_redirect_uri", "The redirect_uri does not match that of the authorization")
            }
            Self::OtherRedirect => (400, "invalid_grant", "Redirect URI mismatch"),
            Self::NoSuchCode => (400, "invalid_grant", "The authorization code is invalid"),
            Self::CodeUsed => (400, "invalid_grant", "The authorization code was already used"),
            Self::CodeExpired => (400, "invalid_grant", "The authorization code has expired"),
            Self::Unproven => (400, "invalid_grant", "The code_verifier does not match the code_challenge"),
            Self::NoSuchToken => (400, "invalid_grant", "The refresh token is invalid"),
            Self::TokenUsed if portal == Portal::Legacy => return used_or_revoked(),
            Self::TokenUsed => (400, "invalid_grant", "The refresh token was already used or revoked"),
        };
        Reply::json(status, &json!({ "error": error, "error_description": description }))
    }
}

/// The new portal's bare answer to a client that it does not know.
pub(super) fn unknown_client() -> Reply {
    Reply::json(401, &json!({ "error": "invalid_client" })).with("www-authenticate", "Basic".to_owned())
}

/// The legacy portal's answer in both shapes of an error at once.
fn used_or_revoked() -> Reply {
    let detail = "The refresh token was already used or revoked";
    let body = json!({
        "status": 400,
        "title": "Token Already Used Or Revoked",
        "detail": detail,
        "error": "invalid_grant",
        "error_description": detail,
    });
    Reply::json(400, &body)
}
