//! Texts into values, each with an error that names the setting, the cause and the next step.

use std::{
    fs, io,
    net::{IpAddr, Ipv6Addr},
    path::PathBuf,
    time::Duration,
};

use chrono::TimeDelta;
use secrecy::SecretString;
use tracing::Level;

use super::{
    environment::{MARKED, is_marked, is_quoted},
    nearest::nearest,
};
use crate::{
    auth,
    documents::{KINDS, Kind},
    shard::{NoShard, Shard},
};

/// The longest duration that makes sense anywhere here.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
/// The largest file that holds a secret, in bytes.
const LARGEST_SECRET: u64 = 65_536;
/// Faster polling would exceed Oura's limit.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
/// Less than one account needs in five minutes, or more than anybody could ask, is a mistake.
pub(super) const LEAST_BUDGET: u32 = 10;
const MOST_BUDGET: u32 = 1_000_000;
/// A scope that Oura knows and no collection needs.
const UNUSED_SCOPE: &str = "email";
const NO_ADDRESS: &str = "is not an address with a port; write 127.0.0.1:10058";
const NO_HOST: &str =
    "is not a list of names alone, without http://, port or *; write oura.lan, or several with commas";

/// A setting's text and the name under which the user knows it.
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) text: String,
}

/// The setting, if it says something; spaces around it are nobody's intention.
pub(super) fn setting(name: &'static str, text: Option<String>) -> Option<Setting> {
    text.map(|text| Setting { name, text: text.trim().to_owned() })
}

impl Setting {
    fn mistake(&self, cause: &str) -> String {
        format!("{}: \"{}\" {cause}", self.name, self.text)
    }

    pub(super) fn duration(&self) -> Result<Duration, String> {
        match humantime::parse_duration(&self.text) {
            Ok(duration) if duration.is_zero() => Err(self.mistake("is zero; write 5m")),
            Ok(duration) if duration > LONGEST => Err(self.mistake("is longer than a year; write 36h")),
            Ok(duration) => Ok(duration),
            Err(_) if self.text.parse::<f64>().is_ok() => {
                Err(self.mistake(&format!("has no unit; write {}s for seconds, or 5m", self.text)))
            }
            Err(_) => Err(self.mistake("is not a duration; write 5m")),
        }
    }

    pub(super) fn interval(&self) -> Result<Duration, String> {
        self.duration().and_then(|interval| match interval {
            interval if interval < SHORTEST_INTERVAL => Err(self.mistake("is too often; write 5m")),
            interval => Ok(interval),
        })
    }

    pub(super) fn budget(&self) -> Result<u32, String> {
        match self.text.parse::<u64>() {
            Ok(budget) if budget < u64::from(LEAST_BUDGET) => {
                Err(self.mistake(&format!("is less than one account needs, which is {LEAST_BUDGET}; write 4000")))
            }
            Ok(budget) => u32::try_from(budget)
                .ok()
                .filter(|budget| *budget <= MOST_BUDGET)
                .ok_or_else(|| self.mistake(&format!("is more than {MOST_BUDGET}; write 4000"))),
            Err(_) => Err(self.mistake("is not a number of requests in digits; write 4000")),
        }
    }

    pub(super) fn time_delta(&self) -> Result<TimeDelta, String> {
        self.duration().and_then(|duration| TimeDelta::from_std(duration).map_err(|_| self.mistake("is too long")))
    }

    /// Where to listen; an address of IPv6 is in brackets afterwards, whether it was before or not.
    pub(super) fn address(&self) -> Result<String, String> {
        let parts = self.text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        let is_name = |host: &str| host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
        match parts {
            Some(("", port)) => Ok(format!("0.0.0.0:{port}")),
            Some((host, port)) if is_name(host) => Ok(format!("{host}:{port}")),
            Some((host, port)) => {
                let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
                let address: Result<Ipv6Addr, _> = bare.parse();
                address.map(|address| format!("[{address}]:{port}")).map_err(|_| self.mistake(NO_ADDRESS))
            }
            None => Err(self.mistake(NO_ADDRESS)),
        }
    }

    /// Names of hosts, separated by commas or spaces, in lower case.
    pub(super) fn hosts(&self) -> Result<Vec<String>, String> {
        let names = self.names().map(|name| name.trim_end_matches('.').to_ascii_lowercase());
        names.map(|name| if is_host(&name) { Ok(name) } else { Err(self.mistake(NO_HOST)) }).collect()
    }

    /// A whole path.
    pub(super) fn directory(&self) -> Result<PathBuf, String> {
        self.not_for_a_shell()?;
        let path = PathBuf::from(&self.text);
        if path.is_absolute() {
            return Ok(path);
        }
        Err(self
            .mistake("is a relative path, which depends on where the program is started; write /var/lib/oura-exporter"))
    }

    /// A path; a relative one is so to where the program is started, as in the exporter-toolkit.
    pub(super) fn file(&self) -> Result<PathBuf, String> {
        self.not_for_a_shell()?;
        Ok(PathBuf::from(&self.text))
    }

    /// Files are opened as they are named: `~` and `$HOME` are a shell's.
    fn not_for_a_shell(&self) -> Result<(), String> {
        if self.text.starts_with(['~', '$']) {
            return Err(self.mistake(
                "begins with something that only a shell expands; write the full path, such as \
                                     /home/anna/oura",
            ));
        }
        Ok(())
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.text.split([',', ' ', '\t']).filter(|name| !name.is_empty())
    }

    pub(super) fn flag(&self) -> Result<bool, String> {
        match self.text.as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(self.mistake("is neither true nor false; write true")),
        }
    }

    pub(super) fn shard(&self) -> Result<Shard, String> {
        self.text.parse().map_err(|no_shard: NoShard| self.mistake(&no_shard.to_string()))
    }

    pub(super) fn level(&self) -> Result<Level, String> {
        self.text.parse().map_err(|_| self.mistake("is not a level; write error, warn, info, debug or trace"))
    }

    pub(super) fn is_json(&self) -> Result<bool, String> {
        match self.text.as_str() {
            "text" | "logfmt" => Ok(false),
            "json" => Ok(true),
            _ => Err(self.mistake("is not a format; write text or json")),
        }
    }

    pub(super) fn collections(&self) -> Result<Vec<&'static Kind>, String> {
        let known: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
        let names = self.known_names("collection", &known)?;
        Ok(KINDS.iter().filter(|kind| names.contains(&kind.name)).collect())
    }

    /// Scopes of Oura's, each once and in the order given.
    pub(super) fn scopes(&self) -> Result<Vec<String>, String> {
        let mut known: Vec<_> = KINDS.iter().map(|kind| kind.scope).chain([UNUSED_SCOPE]).collect();
        known.sort_unstable();
        known.dedup();
        Ok(self.known_names("scope", &known)?.into_iter().map(str::to_owned).collect())
    }

    fn known_names(&self, what: &str, known: &[&'static str]) -> Result<Vec<&'static str>, String> {
        let (mut names, mut unknown) = (Vec::new(), Vec::new());
        for name in self.names() {
            match known.iter().find(|known| **known == name) {
                Some(name) if names.contains(name) => {}
                Some(name) => names.push(*name),
                None => unknown.push(suggestion(what, name, known)),
            }
        }
        if !unknown.is_empty() {
            return Err(format!("{}: {}", self.name, unknown.join("; ")));
        }
        if names.is_empty() {
            return Err(self.mistake(&format!("names no {what}; leave it unset for all")));
        }
        Ok(names)
    }

    pub(super) fn account(&self) -> Result<String, String> {
        let name = &self.text;
        // It may be an e-mail address, so it is not repeated.
        auth::is_name(name).then(|| name.to_owned()).ok_or_else(|| {
            format!(
                "{}: a name has up to 64 letters, digits, dots, dashes and underscores (not an e-mail address); write \
                 anna",
                self.name
            )
        })
    }

    pub(super) fn secret(&self) -> Result<SecretString, String> {
        let fits = !self.text.is_empty() && self.text.chars().all(|c| c.is_ascii_graphic());
        fits.then(|| self.text.clone().into()).ok_or_else(|| {
            let (what, next) = match self.name.contains("TOKEN_STORE") {
                true => ("the URL of a database", "write postgres://USER:PASSWORD@HOST/DATABASE"),
                false => ("a token", "copy it again"),
            };
            format!("{}: not {what}: it is empty, or has spaces or line breaks in it; {next}", self.name)
        })
    }

    pub(super) fn secret_file(&self) -> Result<SecretString, String> {
        self.not_for_a_shell()?;
        let text = read_small(&self.text).map_err(|error| match self.text.contains('/') {
            true => self.mistake(&format!("cannot be read ({error}); check path and permissions")),
            // It is not repeated: the likeliest mistake is the token itself in place of the path.
            false => format!("{}: there is no such file ({error}); write a full path, not the token", self.name),
        })?;
        if is_marked(&text) {
            return Err(format!("{}: in the file, {MARKED}", self.name));
        }
        let text = text.trim();
        // A password that is in quotation marks itself can be given in a file.
        if is_quoted(text) && !self.name.contains("PASSWORD") {
            return Err(format!("{}: what the file holds is in quotation marks; leave them out", self.name));
        }
        Setting { name: self.name, text: text.to_owned() }.secret()
    }
}

fn is_host(name: &str) -> bool {
    let is_label =
        |label: &str| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    name.parse::<IpAddr>().is_ok() || name.split('.').all(is_label)
}

fn suggestion(what: &str, name: &str, known: &[&'static str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(known) => format!("\"{name}\" is not a {what}; did you mean {known}?"),
        None => format!("\"{name}\" is not a {what}; choose from {}", known.join(", ")),
    }
}

/// The text of a file that holds a secret. What is no file or far too long, a device say, is not read.
fn read_small(path: &str) -> io::Result<String> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() || metadata.len() > LARGEST_SECRET {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file, or is larger than 64 kB"));
    }
    fs::read_to_string(path)
}
