//! What the sign-in pages answer: its pages with what a browser may do with them, and where it sends the browser on.

use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION, REFERRER_POLICY, RETRY_AFTER,
    },
};

use super::{attempts::LIFE, pages::HtmlPage};
use crate::http;

/// Sends the browser on, so that what it has sent is in no history.
pub(super) fn see(place: &str) -> http::Answer {
    let mut answer = answer(StatusCode::SEE_OTHER, &HtmlPage { html: String::new(), script: None });
    if let Ok(place) = HeaderValue::from_str(place) {
        answer.headers_mut().insert(LOCATION, place);
    }
    answer
}

/// Sends the browser from the path `from` to the page of an attempt, wherever a proxy shows both.
pub(super) fn see_attempt(id: &str, from: &str) -> http::Answer {
    let up = "../".repeat(from.matches('/').count().saturating_sub(1));
    see(&format!("{up}sign-in?attempt={id}"))
}

pub(super) fn too_many(page: &HtmlPage) -> http::Answer {
    let mut answer = answer(StatusCode::TOO_MANY_REQUESTS, page);
    answer.headers_mut().insert(RETRY_AFTER, LIFE.num_seconds().into());
    answer
}

pub(super) fn answer(status: StatusCode, page: &HtmlPage) -> http::Answer {
    let mut answer = Response::new(Full::new(page.html.clone().into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Under `no-referrer` browsers send no Origin with a form.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    if let Ok(policy) = HeaderValue::from_str(&page.policy()) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    answer
}
