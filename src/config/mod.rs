//! The configuration: from the environment through envy, flags before variables, every mistake reported at once.

mod environment;
mod external_url;
mod parse;
mod samples;
mod sign_in;
mod urls;
mod variables;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::TimeDelta;
use secrecy::SecretString;
use tracing::Level;

use self::{
    environment::{Environment, Places},
    parse::{Setting, setting},
};
pub use self::{
    external_url::{Asked, ExternalUrl},
    samples::{SamplesConfig, receiver_url},
    sign_in::SignIn,
    urls::unencrypted,
    variables::{VARIABLES, help, markdown},
};
use crate::{
    auth::{Listing, Store},
    documents::{KINDS, Kind},
    remote_write::Access,
};

/// The port is 10058 as long as nobody else claims it in Prometheus' list.
const LISTEN_ADDRESS: &str = "127.0.0.1:10058";
const POLL_INTERVAL: Duration = Duration::from_secs(300);
const STALE_AFTER: TimeDelta = TimeDelta::hours(36);
const API_URL: &str = "https://api.ouraring.com";
/// Polling faster than this is of little use and warned of: the ring syncs every few minutes at best.
const FAST: Duration = Duration::from_secs(60);
/// The collection that Oura has replaced; it is asked for by name only.
const DEPRECATED: &str = "tag";
/// The collection that Oura's sandbox lacks.
const NOT_IN_SANDBOX: &str = "personal_info";
const NO_ACCOUNT: &str = "no account: sign in with `oura-exporter login`, or set OURA_ACCESS_TOKEN, or run `oura-exporter \
                          demo` to look at made-up data";

/// What is said where nobody can sign in.
pub const NO_PLACE_FOR_TOKENS: &str = "no place for tokens: neither HOME nor OURA_STATE_DIR is set; set OURA_STATE_DIR";

/// What the program needs to run.
#[derive(Debug)]
pub struct Config {
    /// Where the page is served (`OURA_LISTEN_ADDRESS`).
    pub listen_address: String,
    /// The names besides loopback's by which it may be asked for (`OURA_ALLOWED_HOSTS`).
    pub allowed_hosts: Vec<String>,
    /// Where a proxy shows the page (`OURA_WEB_EXTERNAL_URL`).
    pub external_url: ExternalUrl,
    /// How often Oura is asked (`OURA_POLL_INTERVAL`).
    pub poll_interval: Duration,
    /// How long the values of a failing collection stay (`OURA_STALE_AFTER`).
    pub stale_after: TimeDelta,
    /// What is asked for (`OURA_COLLECTIONS`).
    pub collections: Vec<&'static Kind>,
    /// Whether somebody named them, so that each of them counts.
    pub collections_are_named: bool,
    /// Where the API is (`OURA_API_URL`).
    pub api_url: String,
    /// Whether its sandbox is asked (`OURA_SANDBOX`).
    pub sandbox: bool,
    /// Whose data are shown, by a token from the environment.
    pub accounts: Vec<AccountConfig>,
    /// The file that their token is from, to be read again when it changes (`OURA_ACCESS_TOKEN_FILE`).
    pub token_file: Option<PathBuf>,
    /// Whose data are shown, by a sign-in whose tokens are stored.
    pub signed_in: Vec<String>,
    /// What a sign-in needs.
    pub sign_in: SignIn,
    /// Samples with their own time, and where they go.
    pub samples: SamplesConfig,
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
    /// `--web.external-url`
    pub external_url: Option<String>,
    /// `--log.level`
    pub log_level: Option<String>,
    /// `--log.format`
    pub log_format: Option<String>,
}

/// Everything that is wrong with the configuration, and what is odd about it besides.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistakes {
    /// What is wrong.
    pub mistakes: Vec<String>,
    /// What is odd: it may be what makes something wrong.
    pub warnings: Vec<String>,
}

/// Whether the program can do without an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accounts {
    /// It shows somebody's data.
    Needed,
    /// It shows somebody's data, and somebody may sign in while it runs.
    MayCome,
    /// It has others, or needs none.
    NotNeeded,
}

/// Collects mistakes, so that all are reported at once.
#[derive(Default)]
struct Reader {
    mistakes: Vec<String>,
    warnings: Vec<String>,
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

    fn secret(&mut self, direct: Option<Setting>, file: Option<Setting>) -> Option<SecretString> {
        if let (Some(direct), Some(file)) = (&direct, &file) {
            self.mistakes.push(format!("{}, {}: both are set; unset one", direct.name, file.name));
            return None;
        }
        self.take(direct, Setting::secret).or_else(|| self.take(file, Setting::secret_file))
    }
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
        accounts: Accounts,
    ) -> Result<Self, Mistakes> {
        let mut reader = Reader::default();
        let (env, places) = Environment::read(variables, &mut reader);
        let token_is_set = env.access_token.is_some() || env.access_token_file.is_some();
        let mut config = Self::read(env, flags, &places, &mut reader);
        config.judge(&mut reader);
        if accounts != Accounts::NotNeeded {
            config.find_accounts(&mut reader);
        }
        if !token_is_set && config.signed_in.is_empty() {
            reader.mistakes.extend(config.lacks(accounts).map(str::to_owned));
        }
        let Reader { mistakes, warnings } = reader;
        config.warnings.clone_from(&warnings);
        if mistakes.is_empty() { Ok(config) } else { Err(Mistakes { mistakes, warnings }) }
    }

    fn read(mut env: Environment, flags: Flags, places: &Places, reader: &mut Reader) -> Self {
        let sign_in = SignIn::read(&mut env, places, reader);
        let samples = SamplesConfig::read(&mut env, reader);
        let address = either("--web.listen-address", flags.listen_address, "OURA_LISTEN_ADDRESS", env.listen_address);
        let external = either("--web.external-url", flags.external_url, "OURA_WEB_EXTERNAL_URL", env.web_external_url);
        let level = either("--log.level", flags.log_level, "OURA_LOG", env.log);
        let format = either("--log.format", flags.log_format, "OURA_LOG_FORMAT", env.log_format);
        let hosts = reader.take(setting("OURA_ALLOWED_HOSTS", env.allowed_hosts), Setting::hosts);
        let interval = reader.take(setting("OURA_POLL_INTERVAL", env.poll_interval), Setting::interval);
        let stale_after = reader.take(setting("OURA_STALE_AFTER", env.stale_after), Setting::time_delta);
        let collections = reader.take(setting("OURA_COLLECTIONS", env.collections), Setting::collections);
        let api_url = reader.take(setting("OURA_API_URL", env.api_url), Setting::base_url);
        let sandbox = reader.take(setting("OURA_SANDBOX", env.sandbox), Setting::flag);
        let name = reader.take(setting("OURA_ACCOUNT", env.account), Setting::account);
        let token_file = env.access_token_file.as_ref().map(|path| PathBuf::from(path.trim()));
        let token = setting("OURA_ACCESS_TOKEN", env.access_token);
        let token = reader.secret(token, setting("OURA_ACCESS_TOKEN_FILE", env.access_token_file));
        let account = |token| AccountConfig { name: name.unwrap_or_else(|| "default".to_owned()), token };
        let log = LogConfig {
            level: reader.take(level, Setting::level).unwrap_or(Level::INFO),
            json: reader.take(format, Setting::is_json).unwrap_or(false),
        };
        Self {
            allowed_hosts: hosts.unwrap_or_default(),
            listen_address: reader.take(address, Setting::address).unwrap_or_else(|| LISTEN_ADDRESS.to_owned()),
            external_url: reader.take(external, Setting::external_url).unwrap_or_default(),
            poll_interval: interval.unwrap_or(POLL_INTERVAL),
            stale_after: stale_after.unwrap_or(STALE_AFTER),
            collections_are_named: collections.is_some(),
            collections: collections.unwrap_or_else(all_but_deprecated),
            api_url: api_url.unwrap_or_else(|| API_URL.to_owned()),
            sandbox: sandbox.unwrap_or(false),
            accounts: token.map(account).into_iter().collect(),
            token_file,
            signed_in: vec![],
            sign_in,
            samples,
            log,
            warnings: vec![],
        }
    }

    /// Who is signed in, and whether that is enough to go by.
    fn find_accounts(&mut self, reader: &mut Reader) {
        let stored = self.sign_in.store.as_ref().map_or_else(|| Ok(Listing::default()), Store::list);
        match stored {
            Ok(listing) => {
                self.signed_in = listing.accounts;
                reader.warnings.extend(listing.warnings);
            }
            Err(error) => reader.mistakes.push(error.to_string()),
        }
        let same = self.accounts.iter().find(|account| self.signed_in.contains(&account.name));
        if let Some(account) = same {
            let name = &account.name;
            reader.mistakes.push(format!(
                "OURA_ACCOUNT: {name} is signed in already; unset OURA_ACCESS_TOKEN or choose another name"
            ));
        }
        if !self.signed_in.is_empty() && self.sign_in.application.is_none() {
            let mistake = "OURA_CLIENT_ID, OURA_CLIENT_SECRET: not set, so that no sign-in can be renewed; set both";
            reader.mistakes.push(mistake.to_owned());
        }
    }

    /// What it lacks to do without an account.
    fn lacks(&self, accounts: Accounts) -> Option<&'static str> {
        let SignIn { store, application, on_the_page, .. } = &self.sign_in;
        match (accounts, store, application) {
            (Accounts::NotNeeded, ..) => None,
            (Accounts::MayCome, None, Some(_)) => Some(NO_PLACE_FOR_TOKENS),
            (Accounts::MayCome, Some(_), application) if application.is_some() || *on_the_page => None,
            _ => Some(NO_ACCOUNT),
        }
    }

    /// What is wrong or odd about settings that are good each by itself.
    fn judge(&mut self, reader: &mut Reader) {
        if self.sandbox {
            self.collections.retain(|kind| kind.name != NOT_IN_SANDBOX);
        }
        if self.collections.is_empty() {
            reader.mistakes.push(format!("OURA_COLLECTIONS: the sandbox has no {NOT_IN_SANDBOX}; name another"));
        }
        if self.poll_interval < FAST {
            reader.warnings.push("OURA_POLL_INTERVAL: below 60s; the ring does not sync that often".to_owned());
        }
        reader.warnings.extend(self.unencrypted());
    }
}

impl Config {
    /// What would cross a network that anybody may listen to.
    fn unencrypted(&self) -> impl Iterator<Item = String> {
        let SignIn { legacy, new, .. } = &self.sign_in;
        let of_history = match self.samples.access {
            Access::Open => "the health data",
            Access::Basic(..) | Access::Bearer(_) => "the password or token and the health data",
        };
        let urls = [
            ("OURA_API_URL", Some(&self.api_url), "the token"),
            ("OURA_AUTHORIZE_URL", Some(&legacy.authorize), "the sign-in"),
            ("OURA_TOKEN_URL", Some(&legacy.token), "the client secret and the tokens"),
            ("OURA_FALLBACK_AUTHORIZE_URL", Some(&new.authorize), "the sign-in"),
            ("OURA_FALLBACK_TOKEN_URL", Some(&new.token), "the client secret and the tokens"),
            ("OURA_REMOTE_WRITE_URL", self.samples.remote_write_url.as_ref(), of_history),
        ];
        urls.into_iter().filter_map(|(name, url, what)| unencrypted(name, url?, what))
    }
}

fn all_but_deprecated() -> Vec<&'static Kind> {
    KINDS.iter().filter(|kind| kind.name != DEPRECATED).collect()
}

/// Reads the token out of the file that `OURA_ACCESS_TOKEN_FILE` names.
///
/// # Errors
/// Where it holds none, in words.
pub fn access_token_in(path: &Path) -> Result<SecretString, String> {
    Setting { name: "OURA_ACCESS_TOKEN_FILE", text: path.display().to_string() }.secret_file()
}

/// Reads an account's name from a flag.
///
/// # Errors
/// Where it is none, in words.
pub fn account_name(text: &str) -> Result<String, String> {
    Setting { name: "--account", text: text.trim().to_owned() }.account()
}

#[cfg(test)]
mod tests;
