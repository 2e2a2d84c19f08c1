//! The web configuration as it is written: YAML in the toolkit's format, every mistake named at once.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    str::FromStr as _,
    sync::Arc,
};

use hyper::header::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::{
    Settings,
    basic_auth::BasicAuth,
    encryption::{self, Encryption},
    files::Versions,
    health::HealthPass,
    rate_limit::RateLimit,
};

/// The headers that may be set, and the values that some of them are limited to.
const HEADERS: &[(&str, &[&str])] = &[
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];
/// From this cost on, a check takes more than a second on a small machine.
const SLOW: u32 = 14;
const COSTS: std::ops::RangeInclusive<u32> = 4..=31;

#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    tls_server_config: Option<encryption::Section>,
    http_server_config: Option<Http>,
    basic_auth_users: Option<BTreeMap<String, Option<String>>>,
    rate_limit: Option<Rate>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Http {
    http2: Option<String>,
    headers: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Rate {
    interval: Option<String>,
    burst: Option<String>,
}

/// Collects what is wrong and what is odd about the file, and which files it is made of.
pub(super) struct FileReader<'a> {
    path: &'a Path,
    versions: Versions,
    mistakes: Vec<String>,
    warnings: Vec<String>,
}

impl FileReader<'_> {
    pub(super) fn mistake(&mut self, setting: &str, cause: &str) {
        self.mistakes.push(format!("{}: {setting}: {cause}", self.path.display()));
    }

    pub(super) fn warning(&mut self, setting: &str, cause: &str) {
        self.warnings.push(format!("{}: {setting}: {cause}", self.path.display()));
    }

    pub(super) fn has_mistakes(&self) -> bool {
        !self.mistakes.is_empty()
    }

    pub(super) fn flag(&mut self, setting: &str, text: &str) -> Option<bool> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => {
                self.mistake(setting, &format!("\"{text}\" is neither true nor false; write true"));
                None
            }
        }
    }

    /// What stands in the file itself, or in the one that it names, as `setting` and `setting_file`.
    pub(super) fn text_or_file(
        &mut self,
        setting: &str,
        text: Option<&str>,
        file: Option<&str>,
        is_needed: bool,
    ) -> Option<Vec<u8>> {
        let is_set = |value: &&str| !value.is_empty();
        match (text.filter(is_set), file.filter(is_set)) {
            (Some(text), None) if !text.contains("-----BEGIN") && text.trim().lines().count() == 1 => {
                self.mistake(setting, &format!("is not PEM text; did you mean {setting}_file, which names a file?"));
                None
            }
            (Some(text), None) => Some(text.as_bytes().to_vec()),
            (None, Some(file)) => {
                let path = beside(self.path, file);
                let read = self.versions.read(&path);
                let cause = |error| format!("{} cannot be read ({error}); check path and permissions", path.display());
                read.map_err(|error| self.mistake(&format!("{setting}_file"), &cause(error))).ok()
            }
            (Some(_), Some(_)) => {
                self.mistake(setting, &format!("{setting}_file is set as well; leave one of them out"));
                None
            }
            (None, None) => {
                if is_needed {
                    self.mistake(&format!("{setting}_file"), "is missing; name the PEM file");
                }
                None
            }
        }
    }
}

/// A path as the file has it: what is relative is so to the file, as the toolkit has it.
fn beside(file: &Path, path: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

/// Reads the file and those that it names.
///
/// # Errors
/// All mistakes.
pub(super) fn read(path: &Path) -> Result<Settings, Vec<String>> {
    let mut reader = FileReader { path, versions: Versions::default(), mistakes: vec![], warnings: vec![] };
    let said = |error| vec![format!("{}: cannot be read ({error}); check path and permissions", path.display())];
    let bytes = reader.versions.read(path).map_err(said)?;
    let file = parse(&bytes, &mut reader);
    let settings = settings(file, &bytes, &mut reader);
    let FileReader { versions, mistakes, warnings, .. } = reader;
    match settings {
        Some(settings) if mistakes.is_empty() => Ok(Settings { versions, warnings, ..settings }),
        _ => Err(mistakes),
    }
}

/// The file, as far as it can be read. No value of it is repeated: some are secrets.
fn parse(bytes: &[u8], reader: &mut FileReader<'_>) -> File {
    let Ok(text) = std::str::from_utf8(bytes) else {
        reader.mistakes.push(format!("{}: is not UTF-8; save it again", reader.path.display()));
        return File::default();
    };
    let mut unknown = Vec::new();
    let options = serde_saphyr::options! { with_snippet: false };
    let file = serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| {
        serde_ignored::deserialize(yaml, |path| unknown.push(path.to_string().replace("?.", "").replace(".?", "")))
    });
    for setting in unknown {
        reader.mistake(&setting, "there is no such setting; the exporter-toolkit's web-configuration.md lists all");
    }
    file.unwrap_or_else(|error| {
        reader.mistakes.push(format!("{}: {error}", reader.path.display()));
        Some(File::default())
    })
    .unwrap_or_default()
}

fn settings(file: File, bytes: &[u8], reader: &mut FileReader<'_>) -> Option<Settings> {
    let section = file.tls_server_config.filter(|section| *section != encryption::Section::default());
    let encryption = section.map(|section| section.read(reader));
    let http = file.http_server_config.unwrap_or_default();
    http.http2.as_deref().map(|text| reader.flag("http_server_config.http2", text));
    let headers = headers(http.headers.unwrap_or_default(), reader);
    let basic_auth = users(file.basic_auth_users.unwrap_or_default(), reader);
    let rate_limit = file.rate_limit.and_then(|rate| rate.read(reader));
    // What could not be read has named why.
    let encryption = match encryption {
        Some(encryption) => Some(encryption?),
        None => None,
    };
    let (encryption, needs_client_certificate, identity) = match encryption {
        Some(Encryption { config, needs_client_certificate, identity }) => {
            (Some(config), needs_client_certificate, Some(identity))
        }
        None => (None, false, None),
    };
    let health = HealthPass::new(bytes, identity);
    let (versions, warnings) = (Versions::default(), vec![]);
    Some(Settings { encryption, needs_client_certificate, basic_auth, headers, rate_limit, health, versions, warnings })
}

fn headers(headers: BTreeMap<String, Option<String>>, reader: &mut FileReader<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let mut taken = Vec::new();
    for (name, value) in headers {
        let setting = format!("http_server_config.headers.{name}");
        let value = value.unwrap_or_default();
        let Some((_, choice)) = HEADERS.iter().find(|(known, _)| *known == name) else {
            let all: Vec<_> = HEADERS.iter().map(|(name, _)| *name).collect();
            reader.mistake(&setting, &format!("cannot be set; choose from {}", all.join(", ")));
            continue;
        };
        if value.is_empty() {
            continue;
        }
        if !choice.is_empty() && !choice.contains(&value.as_str()) {
            reader.mistake(&setting, &format!("\"{value}\" is not a valid value; write {}", choice.join(" or ")));
            continue;
        }
        match (HeaderName::from_str(&name), HeaderValue::from_str(&value)) {
            (Ok(name), Ok(value)) => taken.push((name, value)),
            _ => reader.mistake(&setting, "the value cannot be in a header; write it in ASCII on one line"),
        }
    }
    taken
}

fn users(users: BTreeMap<String, Option<String>>, reader: &mut FileReader<'_>) -> Option<BasicAuth> {
    let mut hashes = BTreeMap::<String, Arc<str>>::new();
    for (number, (name, hash)) in (1..).zip(users) {
        // The name may be an e-mail address, so that it is told by its place in the alphabet instead.
        let setting = format!("basic_auth_users, entry {number} in alphabetical order");
        let hash = hash.unwrap_or_default();
        match bcrypt::HashParts::from_str(&hash).map(|parts| parts.get_cost()) {
            _ if name.contains(':') => reader.mistake(&setting, "a name must not contain a colon; choose another"),
            Ok(cost) if !COSTS.contains(&cost) => {
                reader.mistake(&setting, "the cost is not within 4 to 31; hash it again")
            }
            Ok(cost) => {
                if cost > SLOW {
                    reader.warning(&setting, &format!("with cost {cost} a check takes seconds; 10 is usual"));
                }
                hashes.insert(name, hash.into());
            }
            Err(_) => {
                let cause = "is not a bcrypt hash; make one with: htpasswd -nBC 10 \"\" | tr -d ':\\n'";
                reader.mistake(&setting, cause);
            }
        }
    }
    if hashes.is_empty() {
        return None;
    }
    let basic_auth = BasicAuth::new(hashes);
    basic_auth.map_err(|error| reader.mistake("basic_auth_users", &format!("no random numbers: {error}"))).ok()
}

impl Rate {
    fn read(&self, reader: &mut FileReader<'_>) -> Option<RateLimit> {
        let interval = self.interval.as_deref().filter(|text| !text.is_empty()).unwrap_or("0s");
        let interval = match (interval, humantime::parse_duration(interval)) {
            ("0", _) => return None,
            (_, Ok(interval)) if interval.is_zero() => return None,
            (_, Ok(interval)) => interval,
            (text, Err(_)) => {
                reader.mistake("rate_limit.interval", &format!("\"{text}\" is not a duration; write 1s or 100ms"));
                return None;
            }
        };
        match self.burst.as_deref().unwrap_or("0").parse() {
            Ok(0) => reader.mistake("rate_limit.burst", "is 0 or missing, so nothing would be answered; write 10"),
            Ok(burst) => return Some(RateLimit::new(interval, burst)),
            Err(_) => reader.mistake("rate_limit.burst", "is not a number of requests; write 10"),
        }
        None
    }
}
