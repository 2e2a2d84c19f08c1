//! The one way to make an HTTP client: who it says it is, what it trusts, what it follows, and its errors in words.

pub(crate) mod body;

use std::error::Error as _;

use reqwest::{Client, ClientBuilder, redirect};

use crate::tls;

/// The name that every request bears: Oura answers 403 to requests without one.
pub const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// A client for servers anywhere: no redirect is followed, as it would carry secrets elsewhere.
pub(crate) fn anywhere() -> ClientBuilder {
    tls::choose_provider();
    Client::builder().user_agent(USER_AGENT).redirect(redirect::Policy::none())
}

/// A client for the server at `url`; no proxy is asked for one on this machine.
pub(crate) fn to(url: &str) -> ClientBuilder {
    if is_loopback(url) { anywhere().no_proxy() } else { anywhere() }
}

/// A client for an exporter on this machine, which needs neither proxy nor authorities.
pub(crate) fn to_this_machine() -> ClientBuilder {
    anywhere().no_proxy().tls_certs_only([])
}

/// Whether `url` leads to this machine, where no proxy has a part.
pub(crate) fn is_loopback(url: &str) -> bool {
    let url = reqwest::Url::parse(url).ok();
    let host = url.as_ref().and_then(reqwest::Url::host_str).unwrap_or_default();
    host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// What the HTTP client reports, with its causes and without the URL.
pub(crate) fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
