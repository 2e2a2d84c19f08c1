//! Oura's routes for subscriptions: one private send, and a line for each.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use futures_util::future::BoxFuture;
use reqwest::{
    Method, RequestBuilder, StatusCode, Url,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{event::Change, secret::Token};
use crate::{
    auth::Application,
    http_client::{
        self,
        body::{self, MEGABYTE},
    },
};

/// How long is waited for an answer: Oura asks our callback first, and waits up to ten seconds for it.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest list that is read, in bytes.
const LARGEST: usize = MEGABYTE;

/// Why Oura does not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It does not know the application.
    #[error(
        "Oura does not accept OURA_CLIENT_ID and OURA_CLIENT_SECRET for webhooks (status {0}); compare both with the \
         application's page at Oura"
    )]
    Application(u16),
    /// Somebody has a subscription to the same already.
    #[error("there is a subscription of that kind already")]
    Exists,
    /// It knows no such subscription.
    #[error("Oura knows no such subscription")]
    Unknown,
    /// It could not verify the callback, most likely.
    #[error(
        "Oura refuses it (status {0}), most likely because the callback could not be verified; run: oura-exporter check"
    )]
    Rejected(u16),
    /// It does not answer so.
    #[error("Oura answers with status {0}; see that OURA_API_URL leads to Oura's API")]
    Unexpected(u16),
    /// Too much was asked of it.
    #[error("Oura asks for a pause (status 429)")]
    RateLimited(Option<Duration>),
    /// It is in trouble.
    #[error("Oura is in trouble (status {0})")]
    Server(u16),
    /// It cannot be reached.
    #[error("Oura cannot be reached: {0}")]
    Unreachable(String),
    /// Its answer makes no sense.
    #[error("Oura's answer about webhooks cannot be read")]
    Unreadable,
}

/// A subscription as Oura lists it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Subscription {
    /// Oura's name for it.
    pub id: String,
    /// Where its events go.
    pub callback_url: String,
    /// Of which documents.
    pub data_type: String,
    /// What happens to them.
    pub event_type: String,
    /// When it ends, without a zone.
    expiration_time: Option<String>,
}

impl Subscription {
    /// When it ends; none where that cannot be read.
    pub fn ends_at(&self) -> Option<DateTime<Utc>> {
        let text = self.expiration_time.as_deref()?;
        let with_zone = text.parse::<DateTime<Utc>>().ok();
        with_zone.or_else(|| text.parse::<NaiveDateTime>().ok().map(|naive| naive.and_utc()))
    }

    /// Where its events go, without what may be secret of it.
    pub fn shown_url(&self) -> String {
        match Url::parse(&self.callback_url) {
            Ok(url) => format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path()),
            Err(_) => "an address that cannot be read".to_owned(),
        }
    }
}

/// What a subscription is of.
pub(super) type Pair = (&'static str, Change);

/// What each request waits for, by its URL.
type Pay = Box<dyn Fn(&str) -> BoxFuture<'static, ()> + Send + Sync>;

/// The routes.
pub struct Api {
    http: reqwest::Client,
    url: String,
    application: Application,
    pay: Option<Pay>,
}

impl Api {
    /// Those of the API at `url`, asked on behalf of `application`.
    ///
    /// # Errors
    /// Where the system has no certificate authorities to trust.
    pub fn new(url: &str, application: Application) -> Result<Self, reqwest::Error> {
        let http = http_client::to(url).timeout(TIMEOUT).build()?;
        let url = format!("{}/v2/webhook/subscription", url.trim_end_matches('/'));
        Ok(Self { http, url, application, pay: None })
    }

    /// The same, where each request waits for what `pay` gives: Oura's limit holds for these as for all others.
    pub(super) fn paid_by(self, pay: impl Fn(&str) -> BoxFuture<'static, ()> + Send + Sync + 'static) -> Self {
        Self { pay: Some(Box::new(pay)), ..self }
    }

    /// Where they are listed and made.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// All subscriptions of the application, whoever made them.
    ///
    /// # Errors
    /// Where Oura does not say.
    pub async fn list(&self) -> Result<Vec<Subscription>, Refused> {
        let body = self.send(Method::GET, "", None).await?;
        let values: Vec<Value> = serde_json::from_slice(&body).map_err(|_| Refused::Unreadable)?;
        // One that cannot be read is none of ours.
        Ok(values.into_iter().filter_map(|value| serde_json::from_value(value).ok()).collect())
    }

    /// Makes one, and gives it as Oura lists it.
    pub(super) async fn make(
        &self,
        (data_type, change): Pair,
        url: &str,
        token: &Token,
    ) -> Result<Subscription, Refused> {
        let body = json!({
            "callback_url": url, "verification_token": token.expose_secret(), "event_type": change.word(),
            "data_type": data_type,
        });
        self.one(Method::POST, "", Some(&body)).await
    }

    /// Changes where one goes, and by which token it is verified.
    pub(super) async fn mend(&self, id: &str, pair: Pair, url: &str, token: &Token) -> Result<Subscription, Refused> {
        let (data_type, change) = pair;
        let body = json!({
            "callback_url": url, "verification_token": token.expose_secret(), "event_type": change.word(),
            "data_type": data_type,
        });
        self.one(Method::PUT, &format!("/{id}"), Some(&body)).await
    }

    /// Has one last longer.
    pub(super) async fn renew(&self, id: &str) -> Result<Subscription, Refused> {
        self.one(Method::PUT, &format!("/renew/{id}"), None).await
    }

    /// Ends one.
    ///
    /// # Errors
    /// Where Oura does not do it.
    pub async fn remove(&self, id: &str) -> Result<(), Refused> {
        self.send(Method::DELETE, &format!("/{id}"), None).await.map(drop)
    }

    async fn one(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Subscription, Refused> {
        let answer = self.send(method, path, body).await?;
        serde_json::from_slice(&answer).map_err(|_| Refused::Unreadable)
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Vec<u8>, Refused> {
        if let Some(pay) = &self.pay {
            pay(&self.url).await;
        }
        let request = self.http.request(method, format!("{}{path}", self.url));
        let request = self.signed(request);
        // Whatever names a callback has Oura ask it.
        let is_verified = body.is_some();
        let request = match body {
            Some(body) => request.header(CONTENT_TYPE, "application/json").body(body.to_string()),
            None => request,
        };
        let answer = request.send().await.map_err(|error| Refused::Unreachable(http_client::causes(error)))?;
        let status = answer.status();
        if status.is_success() {
            return body::whole(answer, LARGEST).await.map_err(|_| Refused::Unreadable);
        }
        let wait = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        Err(refused(status, !path.is_empty(), is_verified, wait.map(Duration::from_secs)))
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        let Application { client_id, client_secret, .. } = &self.application;
        request
            .header("x-client-id", client_id.expose_secret())
            .header("x-client-secret", client_secret.expose_secret())
    }
}

/// What a status means at a route of one subscription, or of all.
fn refused(status: StatusCode, is_of_one: bool, is_verified: bool, wait: Option<Duration>) -> Refused {
    let code = status.as_u16();
    match status {
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND if is_of_one => Refused::Unknown,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Refused::Application(code),
        StatusCode::CONFLICT => Refused::Exists,
        StatusCode::TOO_MANY_REQUESTS => Refused::RateLimited(wait),
        _ if status.is_server_error() => Refused::Server(code),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Refused::Unexpected(code),
        _ if is_verified => Refused::Rejected(code),
        _ => Refused::Unexpected(code),
    }
}
