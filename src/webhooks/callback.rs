//! The callback: what Oura asks to know that it is meant, and the events that it brings; nothing else is answered.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Body,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
};
use secrecy::SecretString;
use serde_json::json;
use tokio::time::timeout;
use tracing::warn;

use super::{
    inbox::{Inbox, Taken},
    signature::{self, SIGNATURE, TIMESTAMP, Unproven},
    stats::{Outcome, WebhookStats},
};
use crate::{clock::Clock, http::Answer};

/// The largest event that is read, in bytes; a real one has 250.
const LARGEST: usize = 16 * 1024;
/// How long an event may take to come; Oura waits ten seconds for the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest challenge that is given back.
const LONGEST_CHALLENGE: usize = 1024;

/// What answers on the listener of webhooks.
pub struct Callback {
    /// Where it is: the path of the public URL.
    pub(super) path: String,
    /// What signs the events: the application's secret.
    pub(super) secret: SecretString,
    /// What Oura proves with that it asks on our behalf.
    pub(super) token: SecretString,
    pub(super) inbox: Arc<Inbox>,
    pub(super) stats: WebhookStats,
    pub(super) clock: Clock,
    /// What the log was told of; each once, or whoever finds the address could fill it.
    pub(super) told: Mutex<Vec<Outcome>>,
}

impl Callback {
    /// Answers a request; an event is taken, and what follows from it comes afterwards.
    pub async fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: Body<Error: std::error::Error + Send + Sync + 'static>,
    {
        if request.uri().path() != self.path {
            return empty(StatusCode::NOT_FOUND);
        }
        match *request.method() {
            Method::GET => self.verification(request.uri().query().unwrap_or_default()),
            Method::POST => {
                let (outcome, status) = self.event(request).await;
                self.stats.event(outcome);
                self.tell(outcome);
                empty(status)
            }
            _ => {
                let mut answer = empty(StatusCode::METHOD_NOT_ALLOWED);
                answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
                answer
            }
        }
    }

    /// Says what somebody can do about events that are not taken.
    fn tell(&self, outcome: Outcome) {
        let words = match outcome {
            Outcome::Forged => {
                "a request without a good signature came to the callback of webhooks; if events do not arrive, compare \
                 OURA_CLIENT_SECRET with the application's page at Oura, and see that the proxy changes nothing"
            }
            Outcome::Late => {
                "an event of another time came to the callback of webhooks; if events do not arrive, set this machine's \
                 clock"
            }
            Outcome::UnknownUser => {
                "Oura tells of somebody who has no account here; sign them in, or have them revoke the application in \
                 the Oura app"
            }
            _ => return,
        };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.contains(&outcome) {
            told.push(outcome);
            warn!("{words}");
        }
    }

    /// Gives the challenge back to whoever knows our token.
    fn verification(&self, query: &str) -> Answer {
        let value = |wanted: &str| form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == wanted);
        let (token, challenge) = (value("verification_token"), value("challenge"));
        let is_ours = token.is_some_and(|(_, token)| signature::is_secret(&self.token, &token));
        let challenge = challenge.map(|(_, challenge)| challenge).filter(|text| text.len() <= LONGEST_CHALLENGE);
        let Some(challenge) = challenge.filter(|_| is_ours) else {
            self.stats.event(Outcome::Refused);
            return empty(StatusCode::FORBIDDEN);
        };
        self.stats.event(Outcome::Verified);
        let mut answer = Response::new(Full::new(Bytes::from(json!({ "challenge": challenge }).to_string())));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer
    }

    async fn event<B>(&self, request: Request<B>) -> (Outcome, StatusCode)
    where
        B: Body<Error: std::error::Error + Send + Sync + 'static>,
    {
        let (head, body) = request.into_parts();
        let body = match timeout(PATIENCE, Limited::new(body, LARGEST).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                return (Outcome::TooLarge, StatusCode::PAYLOAD_TOO_LARGE);
            }
            Ok(Err(_)) => return (Outcome::Unreadable, StatusCode::BAD_REQUEST),
            Err(_) => return (Outcome::Slow, StatusCode::REQUEST_TIMEOUT),
        };
        let headers = [TIMESTAMP, SIGNATURE].map(|name| header(&head.headers, name));
        match signature::judge(&self.secret, headers, &body, self.clock.now()) {
            Ok(()) => {}
            Err(Unproven::Forged) => return (Outcome::Forged, StatusCode::UNAUTHORIZED),
            Err(Unproven::Late) => return (Outcome::Late, StatusCode::UNAUTHORIZED),
        }
        match self.inbox.take(&body).await {
            Taken::Accepted => (Outcome::Accepted, StatusCode::OK),
            Taken::Duplicate => (Outcome::Duplicate, StatusCode::OK),
            // Another answer would be asked for again and again, or, 410, end the subscription.
            Taken::Ignored => (Outcome::Ignored, StatusCode::OK),
            Taken::NotYet => (Outcome::UnknownUser, StatusCode::INTERNAL_SERVER_ERROR),
            Taken::Nobody => (Outcome::UnknownUser, StatusCode::NOT_FOUND),
            Taken::Unreadable => (Outcome::Unreadable, StatusCode::BAD_REQUEST),
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}
