//! Oura's authorization servers: the legacy one and the new one, asked in that order, and their lenient replies.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{StatusCode, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use tracing::debug;

use super::tokens::{Portal, Tokens};
use crate::{
    oura::{
        USER_AGENT,
        body::{self, BodyError, KILOBYTE},
    },
    tls,
};

const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer that is read; tokens have at most some kilobytes.
const LARGEST_ANSWER: usize = 64 * KILOBYTE;
/// What is told where Oura gives no reason.
const NO_REASON: &str = "no reason given";
/// What a scope is called at the new portal: this before its name.
const NEW_PREFIX: &str = "extapi:";
/// What to do where Oura does not know the application.
const CHECK_APPLICATION: &str = "check OURA_CLIENT_ID and OURA_CLIENT_SECRET against your application at Oura";
/// Every scope that some collection needs; `email` is none of them, nothing here reads it.
const ALL_SCOPES: &[&str] = &[
    "personal",
    "daily",
    "heartrate",
    "workout",
    "tag",
    "session",
    "spo2",
    "ring_configuration",
    "stress",
    "heart_health",
];

/// An OAuth application: what identifies this exporter to Oura.
#[derive(Clone, Debug)]
pub struct Application {
    /// Its id.
    pub client_id: SecretString,
    /// Its secret.
    pub client_secret: SecretString,
    /// Where the browser is sent back to; compared by Oura byte for byte.
    pub redirect_uri: String,
    /// What is asked for; empty: all.
    pub scopes: Vec<String>,
}

/// The URLs of one portal.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// Where a person consents.
    pub authorize: String,
    /// Where tokens are given.
    pub token: String,
}

/// Why Oura gave no tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// Oura understood and refuses: asking again is of no use.
    #[error("Oura refuses ({status}): {reason}")]
    Refused {
        /// 400 or 401.
        status: u16,
        /// Oura's error code and description, without secrets.
        reason: String,
    },
    /// Oura is busy or in trouble.
    #[error("Oura's sign-in answered {0}")]
    Unavailable(u16),
    /// No answer.
    #[error("no answer from Oura's sign-in: {0}")]
    Unreachable(String),
    /// A success that holds no access token.
    #[error("Oura's sign-in gave an answer without a token")]
    NoToken,
}

impl AuthorityError {
    /// What the person who signs in can do about it.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            _ if self.is_of_the_application() => CHECK_APPLICATION,
            Self::Refused { .. } => "begin anew and finish within ten minutes; a code works once",
            Self::Unavailable(_) | Self::Unreachable(_) | Self::NoToken => "begin anew in a few minutes",
        }
    }

    /// What is wrong with a renewal, and what to check where it is the application that Oura refuses.
    pub(super) fn of_renewal(&self) -> String {
        if self.is_of_the_application() { format!("{self}; {CHECK_APPLICATION}") } else { self.to_string() }
    }

    /// Whether Oura does not know the application, or not by this secret.
    fn is_of_the_application(&self) -> bool {
        matches!(self, Self::Refused { status, reason } if *status == 401 || reason.contains("client"))
    }

    /// Whether Oura knows the application and refuses what it brings.
    fn is_of_the_grant(&self) -> bool {
        matches!(self, Self::Refused { reason, .. } if reason.contains("invalid_grant"))
    }

    /// Whether it is a refusal that gives no reason at all.
    pub(super) fn is_wordless(&self) -> bool {
        matches!(self, Self::Refused { reason, .. } if reason == NO_REASON)
    }

    /// Whether it says more than that something is wrong: the legacy server tells applications of the new portal no more.
    fn is_telling(&self) -> bool {
        let Self::Refused { reason, .. } = self else { return true };
        !reason.starts_with("invalid_request") && !reason.eq_ignore_ascii_case("invalid request") && reason != NO_REASON
    }
}

/// Both authorization servers.
#[derive(Clone, Debug)]
pub struct Authority {
    http: reqwest::Client,
    legacy: Endpoints,
    new: Endpoints,
    application: Application,
}

/// A code that a person's consent gave.
pub struct Code {
    /// The code itself.
    pub code: SecretString,
    /// The secret half of the PKCE challenge.
    pub verifier: SecretString,
}

impl Authority {
    /// The servers at `legacy` and `new`, asked on behalf of `application`.
    ///
    /// # Errors
    /// Where the system has no certificate authorities to trust.
    pub fn new(legacy: Endpoints, new: Endpoints, application: Application) -> Result<Self, reqwest::Error> {
        tls::choose_provider();
        // A redirect would carry the secret elsewhere, and a repeated refresh would spend the token twice.
        let http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()?;
        Ok(Self { http, legacy, new, application })
    }

    /// The application it speaks for.
    pub fn application(&self) -> &Application {
        &self.application
    }

    /// The page on which a person consents.
    ///
    /// # Errors
    /// Where the configured URL is none.
    pub fn consent_url(&self, portal: Portal, state: &str, challenge: &str) -> Result<reqwest::Url, AuthorityError> {
        let asked = &self.application.scopes;
        let names = ALL_SCOPES.iter().map(|scope| (*scope).to_owned());
        let names: Vec<_> = if asked.is_empty() { names.collect() } else { asked.clone() };
        let prefix = if portal == Portal::New { NEW_PREFIX } else { "" };
        let scope = names.iter().map(|name| format!("{prefix}{name}")).collect::<Vec<_>>().join(" ");
        let parameters = [
            ("response_type", "code"),
            ("client_id", self.application.client_id.expose_secret()),
            ("redirect_uri", &self.application.redirect_uri),
            ("scope", &scope),
            ("state", state),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256"),
        ];
        let url = reqwest::Url::parse_with_params(&self.endpoints(portal).authorize, parameters);
        url.map_err(|error| AuthorityError::Unreachable(error.to_string()))
    }

    /// Why the portal rejects this request instead of showing its consent page: it does not know the application or the
    /// redirect URI. None if it shows the page.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn rejects(&self, url: reqwest::Url) -> Result<Option<String>, AuthorityError> {
        let place = url.host_str().unwrap_or_default().to_owned();
        let status = self.http.get(url).send().await.map_err(unreachable)?.status();
        // Anything else may be a guard against programs, which lets browsers pass.
        let rejected = matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED);
        Ok(rejected.then(|| format!("{place} answered {}", status.as_u16())))
    }

    /// Tokens for a code: from the legacy server, or from the new one if that refuses.
    ///
    /// # Errors
    /// The more telling refusal if both refuse; otherwise what kept one of them from answering.
    pub async fn exchange(&self, code: &Code, now: DateTime<Utc>) -> Result<Tokens, AuthorityError> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.code.expose_secret()),
            ("redirect_uri", &self.application.redirect_uri),
            ("code_verifier", code.verifier.expose_secret()),
        ];
        let (portal, reply) = self.either(&form).await?;
        Ok(reply.tokens(portal, now, None))
    }

    /// The next pair for the pair before, whose refresh token is spent by asking.
    ///
    /// # Errors
    /// `Refused` if the person must sign in again; otherwise nothing is lost.
    pub async fn refresh(&self, before: &Tokens, now: DateTime<Utc>) -> Result<Tokens, AuthorityError> {
        let Some(token) = &before.refresh else {
            let reason = "there is no refresh token".to_owned();
            return Err(AuthorityError::Refused { status: 400, reason });
        };
        let form = [("grant_type", "refresh_token"), ("refresh_token", token.expose_secret())];
        let reply = self.ask(before.portal, &form).await?;
        Ok(reply.tokens(before.portal, now, Some(before)))
    }

    /// Tells Oura to forget the access token.
    ///
    /// # Errors
    /// Where Oura does not confirm it.
    pub async fn revoke(&self, tokens: &Tokens) -> Result<(), AuthorityError> {
        let url = match tokens.portal {
            Portal::Legacy => replaced(&self.legacy.token, "token", "revoke"),
            Portal::New => replaced(&self.new.token, "token", "revoke"),
        };
        let access = tokens.access.expose_secret();
        let form = [("access_token", access), ("token", access)];
        let answer = self.http.post(url).form(&self.identified(&form)).send().await;
        match answer.map_err(unreachable)?.status() {
            status if status.is_success() || status == StatusCode::UNAUTHORIZED => Ok(()),
            status => Err(AuthorityError::Unavailable(status.as_u16())),
        }
    }

    async fn either(&self, form: &[(&str, &str)]) -> Result<(Portal, Reply), AuthorityError> {
        match self.ask(Portal::Legacy, form).await {
            Err(legacy @ AuthorityError::Refused { .. }) => match self.ask(Portal::New, form).await {
                Ok(reply) => Ok((Portal::New, reply)),
                // The portal that knows the application says more about the code.
                Err(new) if new.is_of_the_grant() && !legacy.is_of_the_grant() => Err(new),
                Err(AuthorityError::Refused { .. }) if legacy.is_telling() => Err(legacy),
                Err(new) => Err(new),
            },
            legacy => Ok((Portal::Legacy, legacy?)),
        }
    }

    async fn ask(&self, portal: Portal, form: &[(&str, &str)]) -> Result<Reply, AuthorityError> {
        let request = self.http.post(&self.endpoints(portal).token).form(&self.identified(form));
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let body = body::whole(answer, LARGEST_ANSWER).await.map_err(unread)?;
        debug!(?portal, %status, "asked for tokens");
        match status {
            status if status.is_success() => Reply::read(&body),
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => {
                Err(AuthorityError::Refused { status: status.as_u16(), reason: reason(&body) })
            }
            status => Err(AuthorityError::Unavailable(status.as_u16())),
        }
    }

    fn identified<'a>(&'a self, form: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let application = &self.application;
        let identity = [
            ("client_id", application.client_id.expose_secret()),
            ("client_secret", application.client_secret.expose_secret()),
        ];
        form.iter().copied().chain(identity).collect()
    }

    fn endpoints(&self, portal: Portal) -> &Endpoints {
        match portal {
            Portal::Legacy => &self.legacy,
            Portal::New => &self.new,
        }
    }
}

/// A token reply, of which Oura leaves out or changes nearly everything at times.
#[derive(Deserialize)]
struct Reply {
    access_token: String,
    expires_in: Option<Value>,
    refresh_token: Option<Value>,
    scope: Option<Value>,
}

/// What the body of a token reply comes to, apart from any request: the pair, or the words of a refusal.
#[doc(hidden)]
pub fn read_reply(body: &[u8], now: DateTime<Utc>, before: Option<&Tokens>) -> Result<Tokens, String> {
    let reply = Reply::read(body).map_err(|_| reason(body))?;
    Ok(reply.tokens(Portal::New, now, before))
}

impl Reply {
    fn read(body: &[u8]) -> Result<Self, AuthorityError> {
        serde_json::from_slice(body).map_err(|_| AuthorityError::NoToken)
    }

    /// The pair; what the reply does not say stays as it was `before`.
    fn tokens(self, portal: Portal, now: DateTime<Utc>, before: Option<&Tokens>) -> Tokens {
        let refresh = self.refresh_token.as_ref().and_then(Value::as_str).filter(|token| !token.is_empty());
        let life = self.expires_in.as_ref().and_then(number).and_then(TimeDelta::try_seconds);
        Tokens {
            access: self.access_token.into(),
            refresh: refresh.map(SecretString::from).or_else(|| before?.refresh.clone()),
            issued_at: now,
            expires_at: life.and_then(|life| now.checked_add_signed(life)),
            scopes: self.scope.as_ref().and_then(scopes).or_else(|| before?.scopes.clone()),
            portal,
            signed_in_at: before.map_or(now, |before| before.signed_in_at),
        }
    }
}

fn number(value: &Value) -> Option<i64> {
    value.as_f64().map(|number| number as i64).or_else(|| value.as_str()?.trim().parse().ok())
}

/// The granted scopes, from a text with blanks between them or from a list, without prefixes.
fn scopes(value: &Value) -> Option<Vec<String>> {
    let names: Vec<&str> = match value {
        Value::String(text) => text.split_whitespace().collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    Some(names.into_iter().map(|name| name.strip_prefix(NEW_PREFIX).unwrap_or(name).to_owned()).collect())
}

/// What an error reply says, as far as it says anything: RFC 6749's fields or RFC 7807's, never a whole page.
fn reason(body: &[u8]) -> String {
    let Ok(reply) = serde_json::from_slice::<Value>(body) else { return NO_REASON.to_owned() };
    let texts = ["error", "title", "error_description", "detail"].iter().filter_map(|key| reply[*key].as_str());
    let mut texts: Vec<_> = texts.map(harmless).collect();
    texts.dedup();
    let text = texts.join(", ");
    if text.is_empty() { NO_REASON.to_owned() } else { text }
}

/// A text of Oura's without words that might be a token or a code.
fn harmless(text: &str) -> String {
    const LONGEST_WORD: usize = 28;
    const MOST_WORDS: usize = 30;
    let word = |word: &str| {
        let secret = word.len() > LONGEST_WORD || word.starts_with("_0X") || word.starts_with("_1X");
        if secret { "[removed]".to_owned() } else { word.chars().filter(|c| !c.is_control()).collect() }
    };
    text.split_whitespace().take(MOST_WORDS).map(word).collect::<Vec<_>>().join(" ")
}

fn unread(error: BodyError) -> AuthorityError {
    match error {
        BodyError::TooLarge(most) => {
            AuthorityError::Unreachable(format!("what it says is larger than {}", body::size(most)))
        }
        BodyError::Broken(error) => unreachable(error),
    }
}

fn unreachable(error: reqwest::Error) -> AuthorityError {
    AuthorityError::Unreachable(crate::oura::causes(error))
}

/// `url` with the last `old` in its path replaced.
fn replaced(url: &str, old: &str, new: &str) -> String {
    url.rfind(old).map_or_else(|| url.to_owned(), |at| format!("{}{new}{}", &url[..at], &url[at + old.len()..]))
}
