//! The configuration: from the environment through envy, flags before variables, every mistake reported at once.

mod parse;
mod variables;

use std::{ffi::OsString, fmt, time::Duration};

use chrono::TimeDelta;
use secrecy::SecretString;
use serde::Deserialize;
use tracing::Level;

use self::parse::Setting;
pub use self::variables::{VARIABLES, help};
use crate::documents::{KINDS, Kind};

const PREFIX: &str = "OURA_";
/// The port is 10058 as long as nobody else claims it in Prometheus' list.
const LISTEN_ADDRESS: &str = "127.0.0.1:10058";
const POLL_INTERVAL: Duration = Duration::from_secs(300);
const STALE_AFTER: TimeDelta = TimeDelta::hours(36);
const API_URL: &str = "https://api.ouraring.com";
/// Polling faster than this is of little use and warned of: the ring syncs every few minutes at best.
const FAST: Duration = Duration::from_secs(60);
/// The collection that Oura has replaced; it is asked for by name only.
const DEPRECATED: &str = "tag";

/// What the program needs to run.
#[derive(Debug)]
pub struct Config {
    /// Where the page is served (`OURA_LISTEN_ADDRESS`).
    pub listen_address: String,
    /// How often Oura is asked (`OURA_POLL_INTERVAL`).
    pub poll_interval: Duration,
    /// How long the values of a failing collection stay (`OURA_STALE_AFTER`).
    pub stale_after: TimeDelta,
    /// What is asked for (`OURA_COLLECTIONS`).
    pub collections: Vec<&'static Kind>,
    /// Where the API is (`OURA_API_URL`).
    pub api_url: String,
    /// Whether its sandbox is asked (`OURA_SANDBOX`).
    pub sandbox: bool,
    /// Whose data are shown.
    pub accounts: Vec<AccountConfig>,
    /// How it logs.
    pub log: LogConfig,
    /// What is odd but no mistake; to be logged.
    pub warnings: Vec<String>,
}

/// An account that is a token.
#[derive(Debug)]
pub struct AccountConfig {
    /// Its name (`OURA_ACCOUNT`).
    pub name: String,
    /// Its access token (`OURA_ACCESS_TOKEN`).
    pub token: SecretString,
}

/// How the program logs.
#[derive(Clone, Copy, Debug)]
pub struct LogConfig {
    /// The least level that is logged (`OURA_LOG`).
    pub level: Level,
    /// JSON instead of text (`OURA_LOG_FORMAT`).
    pub json: bool,
}

/// The flags that win over the variables.
#[derive(Debug, Default)]
pub struct Flags {
    /// `--web.listen-address`
    pub listen_address: Option<String>,
    /// `--log.level`
    pub log_level: Option<String>,
    /// `--log.format`
    pub log_format: Option<String>,
}

/// Everything that is wrong with the configuration.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<String>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Mistakes {}

/// The variables as texts; what they mean is settled after all of them are known.
#[derive(Default, Deserialize)]
struct Environment {
    access_token: Option<String>,
    access_token_file: Option<String>,
    account: Option<String>,
    listen_address: Option<String>,
    poll_interval: Option<String>,
    stale_after: Option<String>,
    collections: Option<String>,
    sandbox: Option<String>,
    api_url: Option<String>,
    log: Option<String>,
    log_format: Option<String>,
}

/// Collects mistakes, so that all are reported at once.
#[derive(Default)]
struct Reader {
    mistakes: Vec<String>,
}

impl Reader {
    fn take<T>(&mut self, setting: Option<Setting>, read: impl Fn(&Setting) -> Result<T, String>) -> Option<T> {
        match read(&setting?) {
            Ok(value) => Some(value),
            Err(mistake) => {
                self.mistakes.push(mistake);
                None
            }
        }
    }

    fn token(&mut self, direct: Option<Setting>, file: Option<Setting>) -> Option<SecretString> {
        if direct.is_some() && file.is_some() {
            self.mistakes.push("OURA_ACCESS_TOKEN, OURA_ACCESS_TOKEN_FILE: both are set; unset one".to_owned());
            return None;
        }
        self.take(direct, Setting::secret).or_else(|| self.take(file, Setting::secret_file))
    }
}

fn setting(name: &'static str, text: Option<String>) -> Option<Setting> {
    text.map(|text| Setting { name, text })
}

/// A flag, or the variable that it wins over.
fn either(flag: &'static str, text: Option<String>, name: &'static str, variable: Option<String>) -> Option<Setting> {
    setting(flag, text).or_else(|| setting(name, variable))
}

impl Config {
    /// Reads `variables`, over which `flags` win.
    ///
    /// # Errors
    /// All mistakes, each with the variable's name, the cause and the next step.
    pub fn from_environment(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        flags: Flags,
    ) -> Result<Self, Mistakes> {
        let mut reader = Reader::default();
        let (variables, warnings) = own_variables(variables, &mut reader);
        let env = envy::prefixed(PREFIX).from_iter(variables).unwrap_or_default();
        let config = Self::read(env, flags, warnings, &mut reader);
        if reader.mistakes.is_empty() { Ok(config) } else { Err(Mistakes(reader.mistakes)) }
    }

    fn read(env: Environment, flags: Flags, warnings: Vec<String>, reader: &mut Reader) -> Self {
        let address = either("--web.listen-address", flags.listen_address, "OURA_LISTEN_ADDRESS", env.listen_address);
        let level = either("--log.level", flags.log_level, "OURA_LOG", env.log);
        let format = either("--log.format", flags.log_format, "OURA_LOG_FORMAT", env.log_format);
        let interval = reader.take(setting("OURA_POLL_INTERVAL", env.poll_interval), Setting::duration);
        let stale_after = reader.take(setting("OURA_STALE_AFTER", env.stale_after), Setting::time_delta);
        let collections = reader.take(setting("OURA_COLLECTIONS", env.collections), Setting::collections);
        let api_url = reader.take(setting("OURA_API_URL", env.api_url), Setting::url);
        let sandbox = reader.take(setting("OURA_SANDBOX", env.sandbox), Setting::flag);
        let name = reader.take(setting("OURA_ACCOUNT", env.account), Setting::account);
        let token = setting("OURA_ACCESS_TOKEN", env.access_token);
        let token = reader.token(token, setting("OURA_ACCESS_TOKEN_FILE", env.access_token_file));
        let account = |token| AccountConfig { name: name.unwrap_or_else(|| "default".to_owned()), token };
        let log = LogConfig {
            level: reader.take(level, Setting::level).unwrap_or(Level::INFO),
            json: reader.take(format, Setting::is_json).unwrap_or(false),
        };
        let mut config = Self {
            listen_address: reader.take(address, Setting::address).unwrap_or_else(|| LISTEN_ADDRESS.to_owned()),
            poll_interval: interval.unwrap_or(POLL_INTERVAL),
            stale_after: stale_after.unwrap_or(STALE_AFTER),
            collections: collections.unwrap_or_else(all_but_deprecated),
            api_url: api_url.unwrap_or_else(|| API_URL.to_owned()),
            sandbox: sandbox.unwrap_or(false),
            accounts: token.map(account).into_iter().collect(),
            log,
            warnings,
        };
        config.leave_out_what_the_sandbox_lacks();
        if config.poll_interval < FAST {
            config.warnings.push("OURA_POLL_INTERVAL: below 60s; the ring does not sync that often".to_owned());
        }
        config
    }

    fn leave_out_what_the_sandbox_lacks(&mut self) {
        if self.sandbox {
            self.collections.retain(|kind| kind.name != "personal_info");
        }
    }
}

fn all_but_deprecated() -> Vec<&'static Kind> {
    KINDS.iter().filter(|kind| kind.name != DEPRECATED).collect()
}

/// Our variables that say something, and warnings of those that are probably misspelt.
fn own_variables(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    reader: &mut Reader,
) -> (Vec<(String, String)>, Vec<String>) {
    let mut own = Vec::new();
    let mut warnings = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        let Ok(value) = value.into_string() else {
            reader.mistakes.push(format!("{name}: the value is not UTF-8; write it anew"));
            continue;
        };
        let known = VARIABLES.iter().any(|variable| variable.name == name);
        if let Some(meant) = variables::meant(name).filter(|_| !known) {
            warnings.push(format!("{name}: there is no such variable; did you mean {meant}?"));
        }
        if known && !value.trim().is_empty() {
            own.push((name.to_owned(), value));
        }
    }
    (own, warnings)
}
