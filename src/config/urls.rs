//! Settings that are URLs: what each may hold, and whether secrets would cross a network in the open.

use std::net::IpAddr;

use reqwest::Url;

use super::parse::Setting;

/// Endings of names that lead nowhere but into one's own network.
const PRIVATE_ENDINGS: &[&str] = &[".localhost", ".local", ".internal", ".lan", ".home.arpa", ".test"];

impl Setting {
    /// A URL that paths are put behind.
    pub(super) fn base_url(&self) -> Result<String, String> {
        let url = self.address_like("https://api.ouraring.com")?;
        match url.query() {
            Some(_) => {
                Err(format!("{}: has a query (?...), so paths cannot be appended to it; leave it out", self.name))
            }
            None => Ok(url.into()),
        }
    }

    /// A URL as it is, which may have a query.
    pub(super) fn endpoint(&self) -> Result<String, String> {
        self.address_like("https://api.ouraring.com/oauth/token").map(String::from)
    }

    /// Where remote write goes; some receivers take options in the query.
    pub(super) fn receiver(&self) -> Result<String, String> {
        self.address_like("http://localhost:9090/api/v1/write").map(String::from)
    }

    /// A redirect URI, byte for byte as it is written.
    pub(super) fn redirect_uri(&self) -> Result<String, String> {
        self.address_like("http://localhost:10058/callback")?;
        Ok(self.text.clone())
    }

    /// The text may hold a password, so it is not repeated.
    pub(super) fn address_like(&self, example: &str) -> Result<Url, String> {
        if !["http://", "https://"].iter().any(|scheme| self.text.to_ascii_lowercase().starts_with(scheme)) {
            return Err(format!("{}: does not begin with https:// or http://; write {example}", self.name));
        }
        let url = Url::parse(&self.text).ok();
        let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
        let url = url.ok_or_else(|| {
            format!("{}: not a URL, or one with a user or password in it; write {example}", self.name)
        })?;
        match url.fragment() {
            Some(_) => Err(format!("{}: has a fragment (#...), which is sent to nobody; leave it out", self.name)),
            None => Ok(url),
        }
    }
}

/// What is odd about sending `what` to a URL without encryption, if others may listen on the way.
pub fn unencrypted(name: &str, url: &str, what: &str) -> Option<String> {
    let url = Url::parse(url).ok().filter(|url| url.scheme() == "http" && is_public(url))?;
    let host = url.host_str().unwrap_or_default();
    Some(format!("{name}: {what} would cross the network to {host} unencrypted; write https"))
}

/// Whether the way to its host may lead through networks of others.
fn is_public(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).trim_end_matches('.');
    match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(v4)) => !(v4.is_loopback() || v4.is_private() || v4.is_link_local()),
        Ok(IpAddr::V6(v6)) => !(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()),
        // A name without a dot is known in one's own network only: a container, or this machine.
        Err(_) => host.contains('.') && !PRIVATE_ENDINGS.iter().any(|ending| host.ends_with(ending)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_the_open_are_warned_of_where_others_may_listen() {
        for public in
            ["http://api.ouraring.com", "http://203.0.113.7:8080/x", "http://[2001:db8::1]/", "http://lan.example."]
        {
            let warning = unencrypted("OURA_API_URL", public, "the token").expect(public);
            assert!(warning.starts_with("OURA_API_URL: the token would cross the network to "), "{warning}");
        }
        for private in [
            "https://api.ouraring.com",
            "http://localhost:8080",
            "http://127.8.0.1",
            "http://[::1]:9090",
            "http://[::ffff:127.0.0.1]",
            "http://victoriametrics:8428/api/v1/write",
            "http://192.168.1.2",
            "http://[fd00::2]",
            "http://proxy.lan",
        ] {
            assert_eq!(unencrypted("OURA_API_URL", private, "the token"), None, "{private}");
        }
    }
}
