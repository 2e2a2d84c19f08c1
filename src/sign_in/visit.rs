//! Who visits the sign-in pages, and where Oura sends that browser back to.

use std::net::{IpAddr, Ipv4Addr};

use hyper::{
    Request, Version,
    header::{HOST, ORIGIN},
};
use reqwest::Url;

use crate::http::Peer;

/// Where Oura sends the browser, as far as one can tell from where it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WayBack {
    /// To this page.
    Here,
    /// To that address of the machine that the browser runs on.
    ThisMachine(String),
    /// To that address.
    Elsewhere(String),
}

impl WayBack {
    /// That of a browser that asked for `host`, by a redirect URI to a page that speaks TLS or not.
    pub(super) fn of(host: &str, uri: &str, is_encrypted: bool) -> Self {
        let (asked, redirect) = (Url::parse(&format!("http://{host}/")).ok(), Url::parse(uri).ok());
        let leads_here = asked.zip(redirect.as_ref()).is_some_and(|(asked, redirect)| place(&asked) == place(redirect));
        let is_loopback = redirect.is_some_and(|redirect| place(&redirect).0 == LOOPBACK);
        // A proxy may speak TLS for an exporter that does not; one that does answers in the open only its own machine.
        let is_shut = is_encrypted && uri.starts_with("http:") && !is_loopback;
        match (leads_here && !is_shut, is_loopback) {
            (true, _) => Self::Here,
            (false, true) => Self::ThisMachine(uri.to_owned()),
            (false, false) => Self::Elsewhere(uri.to_owned()),
        }
    }
}

/// What loopback is called, whichever of its names it has.
const LOOPBACK: &str = "localhost";

/// The name and the port of an address.
fn place(url: &Url) -> (String, Option<u16>) {
    let name = url.host_str().unwrap_or_default();
    let is_loopback = matches!(name, "localhost" | "127.0.0.1" | "[::1]");
    (if is_loopback { LOOPBACK } else { name }.to_owned(), url.port())
}

/// Whether a browser on this machine comes back to the exporter at `port`.
pub(super) fn comes_back_to(uri: &str, port: u16) -> bool {
    Url::parse(uri).is_ok_and(|uri| place(&uri).0 == LOOPBACK && uri.port_or_known_default() == Some(port))
}

/// What proxies add to a request, and no browser sends by itself.
const OF_PROXIES: [&str; 6] =
    ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];

/// What is to be known of whoever asks.
pub(super) struct Visit {
    pub(super) peer: IpAddr,
    pub(super) host: String,
    pub(super) origin: String,
    /// By what one can tell that the request has come through a proxy, if one can.
    pub(super) proxy: Option<&'static str>,
}

impl Visit {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let text =
            |name| request.headers().get(name).and_then(|text| text.to_str().ok()).unwrap_or_default().to_owned();
        let peer = request.extensions().get().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Peer(address)| *address);
        let (host, origin) = (text(HOST), text(ORIGIN));
        let proxy = sign_of_a_proxy(request, &host, &origin);
        Self { peer, host, origin, proxy }
    }
}

/// A proxy that says nothing of itself asks by another name than the browser did, or by a version of HTTP that no browser
/// speaks.
fn sign_of_a_proxy<B>(request: &Request<B>, host: &str, origin: &str) -> Option<&'static str> {
    if let Some(header) = OF_PROXIES.into_iter().find(|header| request.headers().contains_key(*header)) {
        return Some(header);
    }
    if request.version() < Version::HTTP_11 {
        return Some("HTTP/1.0");
    }
    let asked = origin.split_once("://").map(|(_, asked)| asked);
    asked.is_some_and(|asked| !asked.eq_ignore_ascii_case(host)).then_some("an Origin other than the Host")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_is_known_by_the_name_that_the_browser_asked_for() {
        const USUAL: &str = "http://localhost:10058/callback";
        let here = WayBack::Here;
        for (host, uri, is_encrypted, way_back) in [
            ("localhost:10058", USUAL, false, here.clone()),
            ("127.0.0.1:10058", USUAL, true, here.clone()),
            ("[::1]:10058", USUAL, true, here.clone()),
            ("ring.lan:10058", USUAL, false, WayBack::ThisMachine(USUAL.to_owned())),
            ("localhost:8080", USUAL, true, WayBack::ThisMachine(USUAL.to_owned())),
            ("ring.lan", "https://ring.lan/callback", true, here),
            ("ring.lan", "http://ring.lan/callback", true, WayBack::Elsewhere("http://ring.lan/callback".to_owned())),
            (
                "localhost",
                "https://ring.lan/callback",
                false,
                WayBack::Elsewhere("https://ring.lan/callback".to_owned()),
            ),
            ("", USUAL, false, WayBack::ThisMachine(USUAL.to_owned())),
        ] {
            assert_eq!(WayBack::of(host, uri, is_encrypted), way_back, "{host} {uri} {is_encrypted}");
        }
    }

    #[test]
    fn a_proxy_is_told_by_what_it_adds_by_its_version_or_by_another_name() {
        let of = |version: Version, headers: &[(&str, &str)]| {
            let request = Request::post("/sign-out").version(version);
            let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            Visit::of(&request.body(()).expect("a request")).proxy
        };
        let own = [("host", "localhost:10058"), ("origin", "http://LOCALHOST:10058")];
        assert_eq!(of(Version::HTTP_11, &own), None);
        assert_eq!(of(Version::HTTP_11, &own[..1]), None, "a page that is only read");
        assert_eq!(of(Version::HTTP_10, &own), Some("HTTP/1.0"));
        for header in ["X-Forwarded-For", "Via", "forwarded", "X-Real-IP"] {
            let sign = of(Version::HTTP_11, &[own[0], own[1], (header, "192.0.2.7")]);
            assert_eq!(sign.map(str::to_owned), Some(header.to_ascii_lowercase()));
        }
        for origin in ["https://ring.example", "http://localhost:8080", "https://localhost"] {
            assert!(of(Version::HTTP_11, &[own[0], ("origin", origin)]).is_some(), "{origin}");
        }
    }
}
