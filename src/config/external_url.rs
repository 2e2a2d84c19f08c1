//! Where browsers find the page behind a proxy: its path there is answered like no path at all, and its name is known.

use reqwest::Url;

use super::parse::Setting;

const EXAMPLE: &str = "https://lan.example/oura/";

/// The URL under which a proxy shows the page to the outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalUrl {
    /// The name there; none where only a path is known.
    host: Option<String>,
    /// How the proxy is spoken to; none where only a path is known.
    scheme: Option<&'static str>,
    /// The path without the slash at its end; empty for none.
    path: String,
}

/// A path as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked<'a> {
    /// This path of ours.
    Path(&'a str),
    /// The external path without its slash, from which no relative link would lead here.
    NeedsSlash,
}

impl ExternalUrl {
    /// The name by which the proxy is asked.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// How the proxy is spoken to: `https` or `http`.
    pub const fn scheme(&self) -> Option<&'static str> {
        self.scheme
    }

    /// The external path, with the slash at its end.
    pub fn root(&self) -> String {
        format!("{}/", self.path)
    }

    /// What a request asks for, whether its proxy leaves the external path in place or takes it away.
    pub fn asked<'a>(&self, path: &'a str) -> Asked<'a> {
        match path.strip_prefix(&self.path) {
            Some("") if !self.path.is_empty() => Asked::NeedsSlash,
            Some(rest) if rest.starts_with('/') => Asked::Path(rest),
            _ => Asked::Path(path),
        }
    }
}

impl Setting {
    /// A URL that a proxy shows, or its path alone.
    pub(super) fn external_url(&self) -> Result<ExternalUrl, String> {
        let is_path = self.text.starts_with('/') && !self.text.starts_with("//");
        let url = if is_path {
            Url::parse(&format!("http://localhost{}", self.text)).map_err(|_| self.not_external())?
        } else {
            self.address_like(EXAMPLE)?
        };
        if url.query().is_some() || url.fragment().is_some() || url.path().contains("//") {
            return Err(self.not_external());
        }
        let host = url.host_str().map(|host| host.trim_matches(['[', ']']).trim_end_matches('.').to_owned());
        let host = host.filter(|_| !is_path);
        let scheme = host.as_ref().map(|_| if url.scheme() == "https" { "https" } else { "http" });
        Ok(ExternalUrl { host, scheme, path: url.path().trim_end_matches('/').to_owned() })
    }

    fn not_external(&self) -> String {
        format!("{}: has more than a name and a path, so links cannot be appended to it; write {EXAMPLE}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ExternalUrl, String> {
        Setting { name: "OURA_WEB_EXTERNAL_URL", text: text.to_owned() }.external_url()
    }

    #[test]
    fn a_path_is_answered_with_and_without_itself() {
        for text in ["https://lan.example/oura/", "https://lan.example/oura", "/oura/", "/oura"] {
            let url = read(text).unwrap();
            assert_eq!(url.root(), "/oura/", "{text}");
            assert_eq!(url.asked("/oura/metrics"), Asked::Path("/metrics"), "{text}");
            assert_eq!((url.asked("/oura/"), url.asked("/oura")), (Asked::Path("/"), Asked::NeedsSlash), "{text}");
            for other in ["/", "/metrics", "/ouranos", "/oura-exporter/", "/x/oura/"] {
                assert_eq!(url.asked(other), Asked::Path(other), "{text}");
            }
        }
        assert_eq!(read("https://LAN.example./a/b//").unwrap_err(), read("/a//b").unwrap_err());
        assert_eq!(read("https://LAN.example./a/b/").unwrap().host(), Some("lan.example"));
        assert_eq!((read("/oura").unwrap().host(), read("http://[fd00::1]/").unwrap().host()), (None, Some("fd00::1")));
        let schemes = ["/oura", "http://oura.lan/", "https://oura.lan/oura"].map(|text| read(text).unwrap().scheme());
        assert_eq!(schemes, [None, Some("http"), Some("https")]);
    }

    #[test]
    fn without_a_path_everything_is_asked_for_as_it_is() {
        for url in [ExternalUrl::default(), read("https://oura.lan").unwrap(), read("http://oura.lan:8080/").unwrap()] {
            for path in ["/", "/metrics", "/nope", "//", "*"] {
                assert_eq!(url.asked(path), Asked::Path(path));
            }
            assert_eq!(url.root(), "/");
        }
    }

    #[test]
    fn what_is_no_such_url_is_told_with_an_example() {
        for text in [
            "oura",
            "oura.lan/oura",
            "ftp://oura.lan/",
            "//oura.lan/",
            "/oura?x",
            "/oura#x",
            "https://anna:x@oura.lan/",
        ] {
            let mistake = read(text).unwrap_err();
            assert!(mistake.starts_with("OURA_WEB_EXTERNAL_URL: ") && mistake.contains(EXAMPLE), "{mistake}");
            assert!(!mistake.contains("anna"), "{mistake}");
        }
    }
}
