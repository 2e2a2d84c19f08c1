//! The URL of a database: which server it names, and how the way there is kept secret.

use std::{fs, net::IpAddr, str::FromStr as _};

use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

use super::tls::Tls;

/// What an URL is to look like.
const FORM: &str =
    "write postgres://USER:PASSWORD@HOST:PORT/DATABASE, and in a password %40 for @, %2F for / and so on";
/// The options that are passed on as they are.
const PASSED: &[&str] = &["application_name", "connect_timeout", "options", "target_session_attrs"];
/// The options of libpq's that say nothing of importance here, with the values that may stay.
const INDIFFERENT: &[(&str, &str)] = &[("channel_binding", "prefer"), ("gssencmode", "prefer")];
/// A file of certificates is smaller, in bytes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// A database as its URL names it. It holds the password, so it shows itself to nobody.
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) tls: Option<Tls>,
    /// Host, port and database, as a person is told.
    pub(super) place: String,
    /// Whether tokens cross a network in the open.
    pub(super) is_open: bool,
}

/// How the way there is kept secret.
struct Secrecy {
    mode: Option<String>,
    authorities: Option<String>,
}

impl Address {
    /// What `url` names.
    ///
    /// # Errors
    /// What is wrong with it, without a word of it that may be secret.
    pub(super) fn of(url: &SecretString) -> Result<Self, String> {
        let text = url.expose_secret();
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(format!("not the URL of a database, which begins with postgres://; {FORM}"));
        }
        let unread = || format!("the URL cannot be read; {FORM}");
        let mut url = Url::parse(text).map_err(|_| unread())?;
        if url.fragment().is_some() {
            return Err(format!("the URL has a # in it; {FORM}"));
        }
        let secrecy = options(&mut url)?;
        // Its own words might repeat a part of the URL.
        let mut config = Config::from_str(url.as_str()).map_err(|_| unread())?;
        let host = match config.get_hosts() {
            [Host::Tcp(host)] if !host.is_empty() => host.clone(),
            _ => return Err(format!("the URL does not name one host; {FORM}")),
        };
        let database = config
            .get_dbname()
            .filter(|name| !name.is_empty())
            .ok_or_else(|| format!("the URL names no database; {FORM}"))?;
        if config.get_user().is_none_or(str::is_empty) {
            return Err(format!("the URL names no user; {FORM}"));
        }
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let place = format!("{host}:{port}/{database}");
        let tls = secrecy.tls(is_of_this_machine(&host))?;
        config.ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable });
        let is_open = tls.is_none() && !is_of_this_machine(&host);
        Ok(Self { config, tls, place, is_open })
    }
}

/// Takes the options that are dealt with here out of the URL, and refuses those that nobody would heed.
fn options(url: &mut Url) -> Result<Secrecy, String> {
    let (mut secrecy, mut passed) = (Secrecy { mode: None, authorities: None }, vec![]);
    for (name, value) in url.query_pairs() {
        match name.as_ref() {
            "sslmode" => secrecy.mode = Some(value.into_owned()),
            "sslrootcert" => secrecy.authorities = Some(value.into_owned()),
            name if PASSED.contains(&name) => passed.push((name.to_owned(), value.into_owned())),
            name if INDIFFERENT.contains(&(name, &value)) => {}
            // What is no name may be the end of a password.
            name if name.chars().all(|c| c.is_ascii_lowercase() || c == '_') => {
                return Err(format!("the URL has the option {name}, which is not supported; leave it out"));
            }
            _ => return Err(format!("the URL has a ? where no options begin; {FORM}")),
        }
    }
    url.set_query(None);
    if !passed.is_empty() {
        url.query_pairs_mut().extend_pairs(passed);
    }
    Ok(secrecy)
}

impl Secrecy {
    /// What makes the way secret: where the server is elsewhere, it is unless the URL says otherwise, and whose certificate
    /// the server shows is always verified.
    fn tls(self, is_of_this_machine: bool) -> Result<Option<Tls>, String> {
        let is_wanted = match self.mode.as_deref() {
            None => !is_of_this_machine || self.authorities.is_some(),
            Some("disable") => false,
            Some("require" | "verify-ca" | "verify-full") => true,
            Some("allow" | "prefer") => {
                return Err("sslmode in the URL leaves open whether tokens are encrypted on their way; write \
                            sslmode=verify-full, or sslmode=disable where nobody listens on the network"
                    .to_owned());
            }
            Some(_) => return Err("sslmode in the URL is neither verify-full nor disable".to_owned()),
        };
        if !is_wanted {
            return Ok(None);
        }
        let Some(path) = self.authorities.filter(|path| path != "system") else {
            let system = Tls::of_system();
            return system.map(Some).map_err(|_| {
                "the system has no CA certificates; install the package ca-certificates, or add sslrootcert=FILE to the URL"
                    .to_owned()
            });
        };
        let metadata = fs::metadata(&path);
        let text = metadata.and_then(|metadata| match metadata.len() {
            0..=LARGEST if metadata.is_file() => fs::read(&path),
            _ => Err(std::io::Error::other("it is not a file, or larger than 16 MB")),
        });
        let text = text.map_err(|error| format!("sslrootcert in the URL: {path} cannot be read ({error})"))?;
        let tls =
            Tls::of(&text).ok_or_else(|| format!("sslrootcert in the URL: {path} contains no PEM certificate"))?;
        Ok(Some(tls))
    }
}

fn is_of_this_machine(host: &str) -> bool {
    host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Result<Address, String> {
        Address::of(&SecretString::from(url))
    }

    #[test]
    fn tokens_cross_no_network_in_the_open_unless_the_url_says_so() {
        for (url, is_secret, is_open) in [
            ("postgres://oura:pw@db.example/oura", true, false),
            ("postgresql://oura:pw@10.0.0.7:5433/oura?sslmode=require", true, false),
            ("postgres://oura:pw@db.example/oura?sslmode=verify-full&channel_binding=prefer", true, false),
            ("postgres://oura:pw@db.example/oura?sslmode=disable", false, true),
            ("postgres://oura:pw@localhost/oura", false, false),
            ("postgres://oura:pw@127.0.0.1/oura?connect_timeout=3", false, false),
            ("postgres://oura:pw@[::1]:5432/oura", false, false),
            ("postgres://oura:pw@localhost/oura?sslmode=verify-ca", true, false),
        ] {
            let address = address(url).unwrap_or_else(|mistake| panic!("{url}: {mistake}"));
            assert_eq!((address.tls.is_some(), address.is_open), (is_secret, is_open), "{url}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_its_password() {
        for (url, cause) in [
            ("mysql://oura:hush@h/d", "begins with postgres://"),
            ("hush", "begins with postgres://"),
            ("postgres://oura:hush@h", "names no database"),
            ("postgres://oura:hush@h/", "names no database"),
            ("postgres://h/d", "names no user"),
            ("postgres:///d", "does not name one host"),
            ("postgres://:hush@h/d", "names no user"),
            ("postgres://oura:hush@h,i/d", "does not name one host"),
            ("postgres://oura:hush@h/d?sslmode=prefer", "write sslmode=verify-full"),
            ("postgres://oura:hush@h/d?sslmode=hush", "sslmode"),
            ("postgres://oura:hush@h/d?sslkey=a", "the option sslkey"),
            ("postgres://oura:hush@h/d?channel_binding=require", "the option channel_binding"),
            ("postgres://oura:hu#sh@h/d", "%40"),
            ("postgres://oura:hu/sh@h/d", "%2F"),
            ("postgres://oura:1?hush@h/d", "%2F"),
            ("postgres://oura:hush@h/d?sslrootcert=/nowhere", "/nowhere cannot be read"),
            ("postgres://oura:hush@h/d?sslrootcert=/dev/null", "/dev/null cannot be read"),
            ("postgres://oura:hush@h/d?sslrootcert=Cargo.toml", "Cargo.toml contains no PEM certificate"),
        ] {
            let said = address(url).err().unwrap_or_else(|| panic!("{url} is taken"));
            assert!(said.contains(cause), "{url}: {said}");
            assert!(!said.contains("hush") && !said.contains("hu#sh"), "{said}");
        }
    }
}
