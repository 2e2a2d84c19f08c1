//! The paths of the page: where the browser comes back to after a sign-in, and what a proxy adds, must hide none of them.

use reqwest::Url;

use super::{Asked, Config, ExternalUrl};

/// What the page has of its own.
const OWN: &[&str] = &[
    "/metrics",
    "/metrics/samples",
    "/metrics/exporter",
    "/sd",
    "/sd/samples",
    "/-/healthy",
    "/-/ready",
    "/sign-in",
    "/sign-in-paste",
    "/sign-in-state",
    "/sign-out",
];
const EXTERNAL: &str = "OURA_WEB_EXTERNAL_URL (--web.external-url)";

impl Config {
    /// Which settings would hide a part of the page, and good ones.
    pub(super) fn shadowed(&self) -> impl Iterator<Item = String> {
        let external = hidden(&self.external_url).map(|own| {
            format!(
                "{EXTERNAL}: its path hides {own} of this page; write another path, such as \
                     https://lan.example/oura/"
            )
        });
        let redirect = Url::parse(&self.sign_in.redirect_uri).ok().filter(|_| self.sign_in.on_the_page);
        let redirect = redirect.filter(|_| external.is_none()).and_then(|url| shadows(&url, &self.external_url));
        external.into_iter().chain(redirect)
    }
}

/// Whether the page has something of its own at `path`.
pub fn is_own(path: &str) -> bool {
    path == "/" || OWN.contains(&path)
}

/// Which path of the page a proxy's path is taken for.
fn hidden(external: &ExternalUrl) -> Option<&'static str> {
    OWN.iter().find(|own| external.asked(own) != Asked::Path(own)).copied()
}

/// What is wrong with coming back to `url`. A proxy may take away what its path begins with, so that its end alone counts.
fn shadows(url: &Url, external: &ExternalUrl) -> Option<String> {
    let Asked::Path(path) = external.asked(url.path()) else { return Some(mistake(url, external, "/")) };
    let own = OWN.iter().find(|own| path.ends_with(*own)).copied();
    own.or((path == "/").then_some("/")).map(|own| mistake(url, external, own))
}

fn mistake(url: &Url, external: &ExternalUrl, own: &str) -> String {
    let mut good = url.clone();
    good.set_path(&format!("{}callback", external.root()));
    good.set_query(None);
    format!(
        "OURA_REDIRECT_URI: its path is that of {own}, a part of the page itself; register {good} at Oura and set it \
         (or OURA_WEB_SIGN_IN=false, if nobody signs in on the page)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Accounts, Flags};

    fn mistakes(variables: &[(&str, &str)]) -> String {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let read = Config::from_environment(variables, Flags::default(), Accounts::NotNeeded);
        read.err().map(|mistakes| mistakes.mistakes.join("\n")).unwrap_or_default()
    }

    #[test]
    fn a_redirect_uri_that_hides_a_part_of_the_page_is_refused_with_a_good_one() {
        for path in ["/metrics", "/", "", "/sign-in", "/-/ready", "/oura/metrics/samples", "/x/sign-out", "/-/healthy"]
        {
            let uri = format!("http://localhost:10058{path}");
            let said = mistakes(&[("OURA_REDIRECT_URI", &uri)]);
            assert!(said.starts_with("OURA_REDIRECT_URI: "), "{path}: {said}");
            assert!(said.contains("register http://localhost:10058/callback at Oura"), "{path}: {said}");
            assert_eq!(mistakes(&[("OURA_REDIRECT_URI", &uri), ("OURA_WEB_SIGN_IN", "false")]), "", "{path}");
        }
        for path in ["/callback", "/callback/", "/oura/callback", "/sign-in/callback", "/my-metrics", "/metrics/x"] {
            assert_eq!(mistakes(&[("OURA_REDIRECT_URI", &format!("http://localhost:10058{path}"))]), "", "{path}");
        }
    }

    #[test]
    fn a_path_of_a_proxy_that_hides_a_part_of_the_page_is_refused() {
        for url in ["https://x/metrics", "/metrics/", "https://x/-/", "/sign-in", "https://x/-/ready"] {
            let said = mistakes(&[("OURA_WEB_EXTERNAL_URL", url)]);
            assert!(said.contains("hides /") && said.contains("https://lan.example/oura/"), "{url}: {said}");
        }
        for root in ["https://x/oura", "https://x/oura/"] {
            let said = mistakes(&[("OURA_WEB_EXTERNAL_URL", "https://x/oura/"), ("OURA_REDIRECT_URI", root)]);
            assert!(said.contains("register https://x/oura/callback at Oura"), "{root}: {said}");
        }
        for url in ["https://x/oura/", "/my/metrics", "https://x/metrics-of-anna/", "https://x"] {
            assert_eq!(mistakes(&[("OURA_WEB_EXTERNAL_URL", url)]), "", "{url}");
        }
    }
}
