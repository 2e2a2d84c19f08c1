//! By which names the exporter may be asked for: a page elsewhere that makes its own name lead here (DNS rebinding) must
//! not read health data.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use hyper::{
    Request, Version,
    header::HOST,
    http::uri::{Authority, Port},
};

/// The names that requests may use.
#[derive(Debug)]
pub struct Hosts {
    named: Vec<String>,
    own: Option<String>,
    external: Option<String>,
    is_loopback: bool,
}

/// Why a request is not answered.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongHost {
    /// HTTP/1.1 requires one.
    #[error("the request names no host; send the header Host")]
    Missing,
    /// It asks for somebody else.
    #[error(
        "this exporter does not answer to the name {0}: use localhost, or set OURA_ALLOWED_HOSTS to the name and \
         restart it"
    )]
    Misdirected(Name),
}

/// A name that a request used, as far as it can be one.
#[derive(Debug, PartialEq, Eq)]
pub struct Name(Option<String>);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("that the request gives"))
    }
}

impl Hosts {
    /// What may be asked for on a listener at `listen`: beyond loopback every name, unless some are `named`. The address
    /// as it was `configured` may hold a name, too, which leads here.
    pub fn new(listen: SocketAddr, configured: &str, named: Vec<String>) -> Self {
        let own = name_in(configured.as_bytes());
        Self { named, own, external: None, is_loopback: listen.ip().to_canonical().is_loopback() }
    }

    /// And by the name of the proxy that shows the page, where there is one. It keeps no other name out.
    #[must_use]
    pub fn behind(self, external: Option<&str>) -> Self {
        Self { external: external.map(str::to_owned), ..self }
    }

    /// Judges a request by its target, where that is a whole URL, and by its Host.
    ///
    /// # Errors
    /// Where it asks for another host, or for none in HTTP/1.1.
    pub fn judge<B>(&self, request: &Request<B>) -> Result<(), WrongHost> {
        let target = request.uri().authority().map(|authority| authority.as_str().as_bytes());
        let hosts = request.headers().get_all(HOST).iter().map(hyper::header::HeaderValue::as_bytes);
        let mut hosts = target.into_iter().chain(hosts).peekable();
        if hosts.peek().is_none() && request.version() >= Version::HTTP_11 {
            return Err(WrongHost::Missing);
        }
        hosts.try_for_each(|host| match name_in(host) {
            Some(name) if self.has(&name) => Ok(()),
            name => Err(WrongHost::Misdirected(Name(name))),
        })
    }

    fn has(&self, name: &str) -> bool {
        if let Ok(address) = name.parse::<IpAddr>() {
            // A page can make a name lead anywhere, but no address: probes and scrapes by address are no rebinding.
            return !self.is_loopback || address.to_canonical().is_loopback() || self.is_named(name);
        }
        let is_anybody = !self.is_loopback && self.named.is_empty();
        is_anybody || name == "localhost" || name.ends_with(".localhost") || self.is_named(name)
    }

    fn is_named(&self, name: &str) -> bool {
        self.named.iter().chain(&self.own).chain(&self.external).any(|named| named == name)
    }
}

/// The name or address in a Host, in lower case, without port, brackets and the dot that ends a full name.
pub(crate) fn name_in(host: &[u8]) -> Option<String> {
    let authority = Authority::try_from(host).ok()?;
    let has_port = authority.port().as_ref().map(Port::as_str).is_some_and(|port| !port.is_empty());
    let is_plain = !authority.as_str().contains('@') && (has_port || !authority.as_str().ends_with(':'));
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    let name = name.strip_suffix('.').unwrap_or(name);
    (is_plain && !name.is_empty()).then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: &str = "127.0.0.1:10058";
    const EVERYWHERE: &str = "0.0.0.0:10058";

    fn judged(listen: &str, named: &[&str], host: &str) -> Result<(), WrongHost> {
        let named = named.iter().map(|&name| name.to_owned()).collect();
        let request = Request::builder().uri("/metrics").header(HOST, host).body(()).expect("a request");
        Hosts::new(listen.parse().expect("an address"), listen, named).judge(&request)
    }

    #[test]
    fn on_loopback_only_its_own_names_are_answered() {
        for own in [
            "localhost",
            "LocalHost:10058",
            "localhost.:80",
            "127.0.0.1:10058",
            "127.8.9.1",
            "[::1]:10058",
            "a.localhost",
        ] {
            assert_eq!(judged(LOOPBACK, &[], own), Ok(()), "{own}");
            assert_eq!(judged("[::1]:10058", &[], own), Ok(()), "{own}");
        }
        for other in [
            "evil.example",
            "evil.example:10058",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "notlocalhost",
            "192.168.1.2:10058",
            "[::2]",
            "localhost@evil.example",
            "evil.example@localhost",
            "0x7f.1",
            "",
            "local host",
        ] {
            assert!(matches!(judged(LOOPBACK, &[], other), Err(WrongHost::Misdirected(_))), "{other}");
        }
    }

    #[test]
    fn a_named_host_is_answered_and_no_part_of_its_name() {
        for own in ["oura.lan", "OURA.lan:443", "localhost"] {
            assert_eq!(judged(LOOPBACK, &["oura.lan"], own), Ok(()), "{own}");
        }
        for other in ["lan", "evil.oura.lan", "oura.lan.evil.example"] {
            assert!(judged(LOOPBACK, &["oura.lan"], other).is_err(), "{other}");
        }
    }

    #[test]
    fn beyond_loopback_every_name_is_answered_unless_some_are_named() {
        for any in ["oura.lan", "192.168.1.2:10058", "oura-exporter"] {
            assert_eq!(judged(EVERYWHERE, &[], any), Ok(()), "{any}");
        }
        for own in ["oura-exporter:10058", "10.1.2.3:10058", "localhost:10058", "[fd00::1]:10058"] {
            assert_eq!(judged(EVERYWHERE, &["oura-exporter"], own), Ok(()), "{own}");
        }
        assert!(judged(EVERYWHERE, &["oura-exporter"], "evil.example").is_err());
    }

    #[test]
    fn the_name_of_the_proxy_is_answered_and_keeps_no_other_one_out() {
        let judged = |listen: &str, named: &[&str], host: &str| {
            let named = named.iter().map(|&name| name.to_owned()).collect();
            let request = Request::builder().uri("/").header(HOST, host).body(()).expect("a request");
            let hosts = Hosts::new(listen.parse().expect("an address"), listen, named).behind(Some("lan.example"));
            hosts.judge(&request).is_ok()
        };
        for host in ["lan.example", "LAN.example:443", "localhost:10058"] {
            assert!(judged(LOOPBACK, &[], host) && judged(EVERYWHERE, &["oura.lan"], host), "{host}");
        }
        for other in ["evil.example", "example", "evil.lan.example"] {
            assert!(!judged(LOOPBACK, &[], other) && !judged(EVERYWHERE, &["oura.lan"], other), "{other}");
            assert!(judged(EVERYWHERE, &[], other), "{other}");
        }
    }

    #[test]
    fn every_host_of_a_request_counts_and_only_http_1_0_needs_none() {
        let hosts = Hosts::new(LOOPBACK.parse().expect("an address"), "workstation:10058", vec![]);
        let by_its_name = Request::builder().uri("/metrics").header(HOST, "Workstation").body(()).expect("a request");
        assert_eq!(hosts.judge(&by_its_name), Ok(()), "the name in the listen address leads here");
        let judge = |request: hyper::http::request::Builder| hosts.judge(&request.body(()).expect("a request"));
        let asked = || Request::builder().uri("/metrics");
        assert_eq!(judge(asked().version(Version::HTTP_10)), Ok(()));
        assert_eq!(judge(asked()), Err(WrongHost::Missing));
        assert!(judge(asked().header(HOST, "localhost").header(HOST, "evil.example")).is_err());
        assert!(judge(Request::builder().uri("http://evil.example/metrics").header(HOST, "localhost")).is_err());
        assert!(judge(asked().version(Version::HTTP_10).header(HOST, "evil.example")).is_err());
    }

    #[test]
    fn a_refusal_names_the_variable_and_repeats_no_more_than_a_name() {
        let said = |host| judged(LOOPBACK, &[], host).expect_err("it is refused").to_string();
        assert!(
            said("evil.example").contains("answer to the name evil.example: ")
                && said("x.y").contains("OURA_ALLOWED_HOSTS")
        );
        assert!(said("<script>").contains("answer to the name that the request gives: "));
    }
}
