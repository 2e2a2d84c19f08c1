//! A remote-write receiver: one request to it, and what its answer means.

use std::time::Duration;

use reqwest::{
    Client, RequestBuilder, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, de::DeserializeOwned};

use super::{Batch, wire};
use crate::http_client::{
    self,
    body::{self, LARGEST_REPLY},
    causes,
};

/// How one gets in; secrets show in no log.
#[derive(Clone, Debug, Default)]
pub enum Credentials {
    /// Whoever knows the address may write.
    #[default]
    Open,
    /// User and password.
    Basic(String, SecretString),
    /// A bearer token.
    Bearer(SecretString),
}

/// Where samples are sent to.
#[derive(Clone, Debug)]
pub struct Receiver {
    http: Client,
    url: String,
    access: Credentials,
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All of it was taken.
    Taken,
    /// Something in it never will be.
    Refused(WriteRefusal),
    /// The request is too large.
    TooLarge,
    /// Not now; perhaps after that wait.
    Later(Option<Duration>, String),
    /// Nothing that we send this way will be.
    Denied(String),
}

/// Why a sample was refused. The receiver's own words may quote values, so they are not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WriteRefusal {
    /// Older than the receiver takes any sample.
    TooOld,
    /// Older than the newest of its series.
    OutOfOrder,
    /// Another value is there at that time.
    Duplicate,
    /// Some other cause.
    Other,
}

impl WriteRefusal {
    /// Whether a receiver with a longer out-of-order window would have taken the sample.
    pub(crate) const fn depends_on_window(self) -> bool {
        matches!(self, Self::TooOld | Self::OutOfOrder)
    }

    /// In words, with what to do about it.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::TooOld => "too old for the receiver; in Prometheus, raise storage.tsdb.out_of_order_time_window",
            Self::OutOfOrder => {
                "older than the newest of their series; in Prometheus, set storage.tsdb.out_of_order_time_window"
            }
            Self::Duplicate => "the receiver already has another value at that time, and keeps it",
            Self::Other => "the receiver says that they are wrong; its log says why",
        }
    }

    /// What the receivers are known to say. Prometheus 2 says "too old sample" with a 500, as if it were a passing fault.
    fn of(text: &str) -> Option<Self> {
        let known = [
            ("too old sample", Self::TooOld),
            ("out of bounds", Self::TooOld),
            ("too far in the past", Self::TooOld),
            ("sample-timestamp-too-old", Self::TooOld),
            ("out of order", Self::OutOfOrder),
            ("out-of-order", Self::OutOfOrder),
            ("duplicate sample", Self::Duplicate),
            ("sample-duplicate", Self::Duplicate),
        ];
        let text = text.to_ascii_lowercase();
        known.into_iter().find(|(words, _)| text.contains(words)).map(|(_, refusal)| refusal)
    }
}

impl Receiver {
    /// The receiver at `url`, which is waited for so long.
    ///
    /// # Errors
    /// Where the system has no certificate authorities to trust.
    pub fn new(url: &str, access: Credentials, timeout: Duration) -> Result<Self, reqwest::Error> {
        let http = http_client::to(url).timeout(timeout).build()?;
        Ok(Self { http, url: url.to_owned(), access })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it says that it is Prometheus itself.
    pub async fn is_prometheus(&self) -> bool {
        let about: Option<Told<Build>> = self.told("buildinfo").await;
        about.is_some_and(|about| about.data.is_prometheus())
    }

    /// How long this Prometheus keeps what it has, in days and in its words, if it says so by time alone.
    pub async fn retention(&self) -> Option<(i64, String)> {
        let state: Told<State> = self.told("runtimeinfo").await?;
        let words = state.data.storage_retention?;
        let days = humantime::parse_duration(&words).ok()?.as_secs() / (24 * 3600);
        Some((i64::try_from(days).ok()?, words))
    }

    /// What the server says of itself.
    async fn told<T: DeserializeOwned>(&self, what: &str) -> Option<T> {
        let (root, _) = self.url.split_once("/api/v1/write")?;
        let answer = self.admitted(self.http.get(format!("{root}/api/v1/status/{what}"))).send().await.ok()?;
        serde_json::from_slice(&body::whole(answer, LARGEST_REPLY).await.ok()?).ok()
    }

    /// Sends one request.
    pub(super) async fn post(&self, batch: &Batch) -> Verdict {
        let request = self.http.post(&self.url).body(wire::body(batch));
        let request = request.header(CONTENT_ENCODING, "snappy").header(CONTENT_TYPE, "application/x-protobuf");
        let request = self.admitted(request.header("x-prometheus-remote-write-version", "0.1.0"));
        match request.send().await {
            Ok(answer) => verdict(answer).await,
            Err(error) if error.is_timeout() => Verdict::Later(None, "no answer in time".to_owned()),
            Err(error) => Verdict::Later(None, causes(error)),
        }
    }

    fn admitted(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.access {
            Credentials::Open => request,
            Credentials::Basic(user, password) => request.basic_auth(user, Some(password.expose_secret())),
            Credentials::Bearer(token) => request.bearer_auth(token.expose_secret()),
        }
    }
}

/// The envelope of what a server says of itself.
#[derive(Deserialize)]
struct Told<T> {
    data: T,
}

/// What it says of its state.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    storage_retention: Option<String>,
}

/// What it says of its build.

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Build {
    go_version: Option<String>,
    application: Option<String>,
}

impl Build {
    /// Others that have this route leave out Go's version or name themselves.
    fn is_prometheus(&self) -> bool {
        self.go_version.is_some() && self.application.is_none()
    }
}

async fn verdict(answer: Response) -> Verdict {
    let status = answer.status();
    if status.is_success() {
        return Verdict::Taken;
    }
    let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let refusal = WriteRefusal::of(&String::from_utf8_lossy(&body::beginning(answer, LARGEST_REPLY).await));
    let words = format!("the receiver answered {}", status.as_u16());
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
            Verdict::Later(after.map(Duration::from_secs), words)
        }
        StatusCode::PAYLOAD_TOO_LARGE => Verdict::TooLarge,
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT => {
            Verdict::Refused(refusal.unwrap_or(WriteRefusal::Other))
        }
        status if status.is_server_error() => {
            refusal.map_or(Verdict::Later(after.map(Duration::from_secs), words), Verdict::Refused)
        }
        _ => Verdict::Denied(words),
    }
}
