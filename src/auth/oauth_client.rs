//! Oura's authorization servers: the legacy one and the new one, asked in that order, and their lenient replies.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use tracing::debug;

use super::{
    oauth_error::{OAuthError, Refusal, UnusableReply},
    tokens::{Portal, Tokens, is_sendable},
};
use crate::http_client::{
    self,
    body::{self, BodyError, KILOBYTE},
};

/// How long a request may take in all.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer that is read; tokens have at most some kilobytes.
const LARGEST_ANSWER: usize = 64 * KILOBYTE;
/// What a scope is called at the new portal: this before its name.
const NEW_PREFIX: &str = "extapi:";
/// What is sent to a token URL and may be shown.
const PUBLIC: [&str; 2] = ["grant_type", "redirect_uri"];
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
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// Where a person consents.
    pub authorize: String,
    /// Where tokens are given.
    pub token: String,
}

/// Is told the URL of each request for tokens.
type Count = dyn Fn(&str) + Send + Sync;

#[derive(Clone, Default)]
struct Counter(Option<Arc<Count>>);

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "counted" } else { "not counted" })
    }
}

/// Both authorization servers.
#[derive(Clone, Debug)]
pub struct OAuthClient {
    http: reqwest::Client,
    legacy: Endpoints,
    new: Endpoints,
    application: Application,
    counter: Counter,
}

/// A code that a person's consent gave.
pub struct Code {
    /// The code itself.
    pub code: SecretString,
    /// The secret half of the PKCE challenge.
    pub verifier: SecretString,
}

impl OAuthClient {
    /// The servers at `legacy` and `new`, asked on behalf of `application`.
    ///
    /// # Errors
    /// Where the system has no certificate authorities to trust.
    pub fn new(legacy: Endpoints, new: Endpoints, application: Application) -> Result<Self, reqwest::Error> {
        // A repeated refresh would spend the token twice.
        let http = http_client::anywhere().timeout(TIMEOUT).retry(reqwest::retry::never()).build()?;
        Ok(Self { http, legacy, new, application, counter: Counter::default() })
    }

    /// The same, which tells `counter` the URL of each request for tokens: some are where the API is, and count there.
    #[must_use]
    pub fn counted_by(self, counter: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { counter: Counter(Some(Arc::new(counter))), ..self }
    }

    fn count(&self, url: &str) {
        if let Some(counter) = &self.counter.0 {
            counter(url);
        }
    }

    /// The application it speaks for.
    pub fn application(&self) -> &Application {
        &self.application
    }

    /// The page on which a person consents.
    ///
    /// # Errors
    /// Where the configured URL is none.
    pub fn consent_url(&self, portal: Portal, state: &str, challenge: &str) -> Result<reqwest::Url, OAuthError> {
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
        url.map_err(|error| OAuthError::Unreachable(error.to_string()))
    }

    /// Why the portal rejects this request instead of showing its consent page: it does not know the application or the
    /// redirect URI. None if it shows the page.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn rejects(&self, url: reqwest::Url) -> Result<Option<String>, OAuthError> {
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
    pub async fn exchange(&self, code: &Code, now: DateTime<Utc>) -> Result<Tokens, OAuthError> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.code.expose_secret()),
            ("redirect_uri", &self.application.redirect_uri),
            ("code_verifier", code.verifier.expose_secret()),
        ];
        let (portal, reply) = self.either(&form).await?;
        reply.tokens(portal, now, None).map_err(OAuthError::Unusable)
    }

    /// The next pair for the pair before, whose refresh token is spent by asking.
    ///
    /// # Errors
    /// Where Oura refuses, or gives no pair: the pair before stays the one to ask with.
    pub async fn refresh(&self, before: &Tokens, now: DateTime<Utc>) -> Result<Tokens, OAuthError> {
        let token = before.refresh.as_ref().map_or("", |token| token.expose_secret());
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        let reply = self.ask(before.portal, &form, &[before.access.expose_secret()]).await?;
        reply.tokens(before.portal, now, Some(before)).map_err(OAuthError::Unusable)
    }

    /// Tells Oura to forget the access token.
    ///
    /// # Errors
    /// Where Oura does not confirm it.
    pub async fn revoke(&self, tokens: &Tokens) -> Result<(), OAuthError> {
        let url = match tokens.portal {
            Portal::Legacy => replaced(&self.legacy.token, "token", "revoke"),
            Portal::New => replaced(&self.new.token, "token", "revoke"),
        };
        self.count(&url);
        let access = tokens.access.expose_secret();
        let form = [("access_token", access), ("token", access)];
        let answer = self.http.post(url).form(&self.identified(&form)).send().await;
        match answer.map_err(unreachable)?.status() {
            status if status.is_success() || status == StatusCode::UNAUTHORIZED => Ok(()),
            status => Err(OAuthError::Unavailable(status.as_u16())),
        }
    }

    async fn either(&self, form: &[(&str, &str)]) -> Result<(Portal, Reply), OAuthError> {
        match self.ask(Portal::Legacy, form, &[]).await {
            Err(OAuthError::Refused(legacy)) => match self.ask(Portal::New, form, &[]).await {
                Ok(reply) => Ok((Portal::New, reply)),
                // The portal that knows the application says more about the code.
                Err(OAuthError::Refused(new)) if new.is_of_the_grant() && !legacy.is_of_the_grant() => {
                    Err(OAuthError::Refused(new))
                }
                Err(OAuthError::Refused(_)) if legacy.is_telling() => Err(OAuthError::Refused(legacy)),
                Err(new) => Err(new),
            },
            legacy => Ok((Portal::Legacy, legacy?)),
        }
    }

    async fn ask(&self, portal: Portal, form: &[(&str, &str)], others: &[&str]) -> Result<Reply, OAuthError> {
        self.count(&self.endpoints(portal).token);
        let request = self.http.post(&self.endpoints(portal).token).form(&self.identified(form));
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let body = body::whole(answer, LARGEST_ANSWER).await.map_err(unread)?;
        debug!(?portal, %status, "asked for tokens");
        match status {
            status if status.is_success() => Reply::read(&body),
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => {
                let secrets = self.identified(form).into_iter().filter(|(name, _)| !PUBLIC.contains(name));
                let application = &self.application;
                let (id, secret) = (application.client_id.expose_secret(), application.client_secret.expose_secret());
                let basic = STANDARD.encode(format!("{id}:{secret}"));
                let secrets: Vec<_> =
                    secrets.map(|(_, value)| value).chain(others.iter().copied()).chain([basic.as_str()]).collect();
                Err(OAuthError::Refused(Refusal::read(status.as_u16(), &body, &secrets)))
            }
            status => Err(OAuthError::Unavailable(status.as_u16())),
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

/// What the body of a token reply comes to, apart from any request: the pair, or the refusal that it is instead.
#[doc(hidden)]
pub fn read_reply(body: &[u8], now: DateTime<Utc>, before: Option<&Tokens>) -> Result<Tokens, OAuthError> {
    let refused = |_| OAuthError::Refused(Refusal::read(400, body, &[]));
    Reply::read(body).map_err(refused)?.tokens(Portal::New, now, before).map_err(OAuthError::Unusable)
}

impl Reply {
    fn read(body: &[u8]) -> Result<Self, OAuthError> {
        // A pair that Oura has given is not to be lost to a byte order mark before it.
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        serde_json::from_slice(body).map_err(|_| OAuthError::Unusable(UnusableReply::NoReply))
    }

    /// The pair; what the reply does not say stays as it was `before`.
    fn tokens(self, portal: Portal, now: DateTime<Utc>, before: Option<&Tokens>) -> Result<Tokens, UnusableReply> {
        let access = self.access_token.trim();
        if !is_sendable(access) {
            return Err(UnusableReply::NoAccessToken);
        }
        let seconds = self.expires_in.as_ref().and_then(number);
        if seconds.is_some_and(|seconds| seconds <= 0) {
            return Err(UnusableReply::Ended);
        }
        let refresh =
            self.refresh_token.as_ref().and_then(Value::as_str).map(str::trim).filter(|token| !token.is_empty());
        let life = seconds.and_then(TimeDelta::try_seconds);
        Ok(Tokens {
            access: access.to_owned().into(),
            refresh: refresh.map(SecretString::from).or_else(|| before?.refresh.clone()),
            issued_at: now,
            expires_at: life.and_then(|life| now.checked_add_signed(life)),
            scopes: self.scope.as_ref().and_then(scopes).or_else(|| before?.scopes.clone()),
            portal,
            signed_in_at: before.map_or(now, |before| before.signed_in_at),
            person: before.and_then(|before| before.person.clone()),
        })
    }
}

/// A number, or a text that is one; less than a second is none.
fn number(value: &Value) -> Option<i64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    number.is_finite().then_some(number as i64)
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

fn unread(error: BodyError) -> OAuthError {
    match error {
        BodyError::TooLarge(most) => {
            OAuthError::Unreachable(format!("what it says is larger than {}", body::size(most)))
        }
        BodyError::Broken(error) => unreachable(error),
    }
}

fn unreachable(error: reqwest::Error) -> OAuthError {
    OAuthError::Unreachable(http_client::causes(error))
}

/// `url` with the last `old` in its path replaced.
fn replaced(url: &str, old: &str, new: &str) -> String {
    url.rfind(old).map_or_else(|| url.to_owned(), |at| format!("{}{new}{}", &url[..at], &url[at + old.len()..]))
}
