//! What the service answers: JSON, errors in its several shapes, and pages of HTML from the edge.

use std::io::Write as _;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use flate2::{Compression, write::GzEncoder};
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{ACCEPT_ENCODING, HeaderMap},
};
use serde_json::{Value, json};

/// An answer as it goes out.
pub(super) type Answer = Response<Full<Bytes>>;

/// What a token's rate limit says it is.
const RATE_LIMIT: u32 = 5000;
/// For how long the rate limit counts, in seconds.
pub(super) const RATE_WINDOW_SECONDS: u32 = 300;

/// Whose rate limit a 429 speaks of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tier {
    /// The token's own.
    Token,
    /// That of the application, which is so high.
    Application(u32),
}

/// An answer before it is encoded.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    /// The body as it is when compressed, where that was made before.
    gzipped: Option<Bytes>,
    /// Only the first half of the compressed body is sent.
    cut_when_compressed: bool,
}

impl Reply {
    fn of(status: u16, content_type: &'static str, body: Vec<u8>) -> Self {
        let body = body.into();
        Self { status, content_type, headers: Vec::new(), body, gzipped: None, cut_when_compressed: false }
    }

    /// An answer of JSON.
    pub(super) fn json(status: u16, value: &Value) -> Self {
        Self::of(status, "application/json", value.to_string().into_bytes())
    }

    /// An error with a sentence about it.
    pub(super) fn detail(status: u16, detail: &str) -> Self {
        Self::json(status, &json!({ "detail": detail }))
    }

    /// An error in the longer shape that sign-in and permissions use.
    pub(super) fn problem(status: u16, title: &str, detail: &str) -> Self {
        Self::json(status, &json!({ "status": status, "title": title, "detail": detail }))
    }

    /// A page as the servers in front of the service make it.
    pub(super) fn html(status: u16) -> Self {
        let title = if status == 200 { "Just a moment..." } else { "ERROR: The request could not be satisfied" };
        let body = format!(
            "<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{status}</h1></body></html>\n"
        );
        Self::page(status, body)
    }

    /// A page of HTML.
    pub(super) fn page(status: u16, html: String) -> Self {
        Self::of(status, "text/html", html.into_bytes())
    }

    /// An answer without a body.
    pub(super) fn empty(status: u16) -> Self {
        Self::of(status, "text/plain", Vec::new())
    }

    /// The answer to a method that the route does not know.
    pub(super) fn method_not_allowed(allowed: &str) -> Self {
        Self::detail(405, "Method Not Allowed").with("allow", allowed.to_owned())
    }

    /// 429 with the five headers of the rate limit.
    pub(super) fn limited(now: DateTime<Utc>, seconds: u64, tier: Tier) -> Self {
        let (limit, tier) = match tier {
            Tier::Token => (RATE_LIMIT, "token"),
            Tier::Application(limit) => (limit, "application"),
        };
        let reset = now.timestamp().saturating_add_unsigned(seconds);
        Self::of_status(429)
            .with("retry-after", seconds.to_string())
            .with("x-ratelimit-limit", limit.to_string())
            .with("x-ratelimit-window", RATE_WINDOW_SECONDS.to_string())
            .with("x-ratelimit-reset", reset.to_string())
            .with("x-ratelimit-tier", tier.to_owned())
    }

    /// The body that comes with a status that no request of its own caused.
    pub(super) fn of_status(status: u16) -> Self {
        match status {
            401 => Self::problem(401, "Unauthorized", "The access token is expired, malformed or revoked."),
            500.. => Self::html(status),
            _ => {
                let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
                Self::detail(status, reason.unwrap_or("Unknown"))
            }
        }
    }

    /// The same with one more header.
    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same, compressed already for all who ask again.
    pub(super) fn compressed(self) -> Self {
        Self { gzipped: Some(gzip(&self.body)), ..self }
    }

    /// The same with only the first half of its body.
    pub(super) fn cut(mut self) -> Self {
        self.body.truncate(self.body.len() / 2);
        self.gzipped = None;
        self
    }

    /// The same with only the first half of what compression makes of its body.
    pub(super) fn cut_when_compressed(self) -> Self {
        Self { cut_when_compressed: true, ..self }
    }

    /// The answer as it goes out to a client that sent `asked`, and how long its body is then, in bytes.
    pub(super) fn encode(self, asked: &HeaderMap, trace: u64) -> (Answer, usize) {
        let compressed = accepts_gzip(asked) && !self.body.is_empty();
        let gzipped = || self.gzipped.unwrap_or_else(|| gzip(&self.body));
        let mut body = if compressed { gzipped() } else { self.body };
        if self.cut_when_compressed {
            body.truncate(body.len() / 2);
        }
        let length = body.len();
        let mut answer = Response::builder()
            .status(StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
            .header("content-type", self.content_type)
            .header("cache-control", "no-cache")
            .header("x-trace-id", format!("{trace:032x}"));
        if compressed {
            answer = answer.header("content-encoding", "gzip").header("vary", "accept-encoding");
        }
        for (name, value) in self.headers {
            answer = answer.header(name, value);
        }
        let answer = answer.body(Full::new(body)).expect("names and values of our own are valid");
        (answer, length)
    }
}

/// Whether the client takes gzip, by its Accept-Encoding.
fn accepts_gzip(asked: &HeaderMap) -> bool {
    let codings = asked.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    codings.flat_map(|value| value.split(',')).any(|coding| coding.trim().eq_ignore_ascii_case("gzip"))
}

/// `body` as one gzip member.
fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.expect("memory takes everything").into()
}
