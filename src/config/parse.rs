//! Texts into values, each with an error that names the setting, the cause and the next step.

use std::{fs, time::Duration};

use chrono::TimeDelta;
use secrecy::SecretString;
use tracing::Level;

use crate::{
    auth,
    documents::{KINDS, Kind, kind},
};

/// The longest duration that makes sense anywhere here.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
/// Faster polling would exceed Oura's limit.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// A setting's text and the name under which the user knows it.
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) text: String,
}

impl Setting {
    fn mistake(&self, cause: &str) -> String {
        format!("{}: \"{}\" {cause}", self.name, self.text)
    }

    pub(super) fn duration(&self) -> Result<Duration, String> {
        match humantime::parse_duration(self.text.trim()) {
            Ok(duration) if duration.is_zero() => Err(self.mistake("is no time at all; write 5m")),
            Ok(duration) if duration > LONGEST => Err(self.mistake("is longer than a year; write 36h")),
            Ok(duration) => Ok(duration),
            Err(_) => Err(self.mistake("is not a duration; write 5m")),
        }
    }

    pub(super) fn interval(&self) -> Result<Duration, String> {
        self.duration().and_then(|interval| match interval {
            interval if interval < SHORTEST_INTERVAL => Err(self.mistake("is too often; write 5m")),
            interval => Ok(interval),
        })
    }

    pub(super) fn time_delta(&self) -> Result<TimeDelta, String> {
        self.duration().and_then(|duration| TimeDelta::from_std(duration).map_err(|_| self.mistake("is too long")))
    }

    pub(super) fn address(&self) -> Result<String, String> {
        let text = self.text.trim();
        let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        match parts {
            Some(("", port)) => Ok(format!("0.0.0.0:{port}")),
            Some(_) => Ok(text.to_owned()),
            None => Err(self.mistake("is not an address with a port; write 127.0.0.1:10058")),
        }
    }

    pub(super) fn flag(&self) -> Result<bool, String> {
        match self.text.trim() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(self.mistake("is neither true nor false; write true")),
        }
    }

    pub(super) fn url(&self) -> Result<String, String> {
        self.address_like("https://api.ouraring.com")
    }

    pub(super) fn receiver(&self) -> Result<String, String> {
        self.address_like("http://localhost:9090/api/v1/write")
    }

    fn address_like(&self, example: &str) -> Result<String, String> {
        let plain = |url: &reqwest::Url| {
            matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
        };
        // The text may hold a password, so it is not repeated.
        reqwest::Url::parse(self.text.trim())
            .ok()
            .filter(plain)
            .map(String::from)
            .ok_or_else(|| format!("{}: not an http or https URL without a password; write {example}", self.name))
    }

    pub(super) fn level(&self) -> Result<Level, String> {
        self.text.trim().parse().map_err(|_| self.mistake("is not a level; write error, warn, info, debug or trace"))
    }

    pub(super) fn is_json(&self) -> Result<bool, String> {
        match self.text.trim() {
            "text" | "logfmt" => Ok(false),
            "json" => Ok(true),
            _ => Err(self.mistake("is not a format; write text or json")),
        }
    }

    pub(super) fn collections(&self) -> Result<Vec<&'static Kind>, String> {
        let names: Vec<_> = self.text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        let unknown: Vec<_> = names.iter().filter(|name| kind(name).is_none()).map(|name| suggestion(name)).collect();
        if !unknown.is_empty() {
            return Err(format!("{}: {}", self.name, unknown.join("; ")));
        }
        if names.is_empty() {
            return Err(self.mistake("names no collection; leave it unset for all"));
        }
        Ok(KINDS.iter().filter(|kind| names.contains(&kind.name)).collect())
    }

    pub(super) fn account(&self) -> Result<String, String> {
        let name = self.text.trim();
        // It may be an e-mail address, so it is not repeated.
        auth::is_name(name).then(|| name.to_owned()).ok_or_else(|| {
            format!(
                "{}: a name is up to 64 letters, digits, dots, dashes and underscores (no e-mail); write anna",
                self.name
            )
        })
    }

    pub(super) fn secret(&self) -> Result<SecretString, String> {
        let text = self.text.trim();
        let fits = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
        fits.then(|| text.to_owned().into()).ok_or_else(|| {
            format!("{}: not a token, it is empty or has blanks or line breaks within; copy it anew", self.name)
        })
    }

    pub(super) fn secret_file(&self) -> Result<SecretString, String> {
        let path = self.text.trim();
        let text = fs::read_to_string(path).map_err(|error| match path.contains('/') {
            true => self.mistake(&format!("cannot be read ({error}); check path and rights")),
            // It is not repeated: the likeliest mistake is the token itself in place of the path.
            false => format!("{}: there is no such file ({error}); write a whole path, not the token", self.name),
        })?;
        Setting { name: self.name, text }.secret()
    }
}

fn suggestion(name: &str) -> String {
    let near =
        KINDS.iter().map(|kind| (strsim::damerau_levenshtein(&name.to_lowercase(), &kind.name.to_lowercase()), kind));
    match near.min_by_key(|(distance, _)| *distance) {
        Some((distance, kind)) if distance < 4 => format!("\"{name}\" is no collection; did you mean {}?", kind.name),
        _ => {
            let all: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
            format!("\"{name}\" is no collection; choose from {}", all.join(", "))
        }
    }
}
