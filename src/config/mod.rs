//! The configuration: from the environment through envy, flags before variables, every mistake reported at once.

mod documents;
mod draft;
mod environment;
mod external_url;
mod nearest;
mod network;
mod parse;
mod paths;
mod samples;
mod settings;
mod sign_in;
mod urls;
mod webhooks;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chrono::TimeDelta;
use secrecy::SecretString;
use tracing::Level;

pub use self::{
    documents::{help, markdown},
    external_url::{Asked, ExternalUrl},
    paths::is_own,
    samples::{SamplesConfig, receiver_url},
    settings::{Flag, USUAL_REDIRECT_URI, Unset, VARIABLES, Variable},
    sign_in::SignIn,
    urls::unencrypted,
};
use self::{
    draft::Draft,
    environment::{Environment, Places},
    parse::{LEAST_BUDGET, Setting},
};
use crate::{
    auth::{Listing, Store},
    documents::{KINDS, Kind},
    remote_write::Credentials,
    shard::Shard,
    web_config::WebConfig,
    webhooks::Place,
};

/// Polling faster than this is of little use and warned of: the ring syncs every few minutes at best.
const FAST: Duration = Duration::from_secs(60);
/// What Oura allows an application in five minutes.
const OURAS_LIMIT: u32 = 5000;
/// The collection that Oura has replaced; it is asked for by name only.
const DEPRECATED: &str = "tag";
/// The collection that Oura's sandbox lacks.
const NOT_IN_SANDBOX: &str = "personal_info";
const NO_ACCOUNT: &str = "no account: sign in on the page of a running exporter, or run: oura-exporter login; or set \
                          OURA_ACCESS_TOKEN; or run oura-exporter demo to look at made-up data";
const NO_ACCOUNT_NOR_PLACE: &str = "no account: neither HOME nor OURA_STATE_DIR is set, so nobody can sign in; set \
                                    OURA_STATE_DIR, or set OURA_ACCESS_TOKEN; or run oura-exporter demo to look at \
                                    made-up data";
const NO_APPLICATION: &str = "OURA_CLIENT_ID, OURA_CLIENT_SECRET: not set; register an application at Oura and set \
                              both, as README.md shows";
/// How many requests in five minutes all accounts may make where nothing is set: what Oura allows, less room for others.
const USUAL_BUDGET: u32 = 4000;
/// Where a service keeps its state.
const STATE_OF_SERVICE: &str = "/var/lib/oura-exporter";

/// What is said where nobody can sign in.
pub const NO_PLACE_FOR_TOKENS: &str = "no place for tokens: neither HOME nor OURA_STATE_DIR is set; set OURA_STATE_DIR";

/// What the program needs to run.
#[derive(Debug)]
pub struct Config {
    /// Where the page is served (`OURA_LISTEN_ADDRESS`).
    pub listen_address: String,
    /// The names besides loopback's by which it may be asked for (`OURA_ALLOWED_HOSTS`).
    pub allowed_hosts: Vec<String>,
    /// TLS and basic auth of it (`OURA_WEB_CONFIG_FILE`).
    pub web: Option<Arc<WebConfig>>,
    /// Where a proxy shows the page (`OURA_WEB_EXTERNAL_URL`).
    pub external_url: ExternalUrl,
    /// How often Oura is asked (`OURA_POLL_INTERVAL`).
    pub poll_interval: Duration,
    /// How many requests all accounts together may make in five minutes (`OURA_REQUEST_BUDGET`).
    pub request_budget: u32,
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
    /// Which of them this exporter shows (`OURA_SHARD`).
    pub shard: Shard,
    /// What a sign-in needs.
    pub sign_in: SignIn,
    /// Samples with their own time, and where they go.
    pub samples: SamplesConfig,
    /// Where Oura tells of news, where it does (`OURA_WEBHOOK_URL`, `OURA_WEBHOOK_LISTEN`).
    pub webhooks: Option<Place>,
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

/// What was given by the flags that win over the variables: names, with their dashes, and values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags(Vec<(&'static str, String)>);

impl FromIterator<(&'static str, String)> for Flags {
    fn from_iter<T: IntoIterator<Item = (&'static str, String)>>(given: T) -> Self {
        Self(given.into_iter().collect())
    }
}

impl Flags {
    /// These, and those of `others` that are not among them.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        // Who asks for one gets the first.
        Self([self.0, others.0].concat())
    }

    fn get(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(given, _)| *given == name).map(|(_, value)| value.clone())
    }
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
    /// Reads the file that a setting names, with all its mistakes.
    fn web_config(&mut self, name: &str, path: &Path) -> Option<Arc<WebConfig>> {
        let named = |words: Vec<String>| words.into_iter().map(|words| format!("{name}: {words}"));
        match WebConfig::read(path) {
            Ok(web) => {
                self.warnings.extend(named(web.warnings()));
                Some(Arc::new(web))
            }
            Err(mistakes) => {
                self.mistakes.extend(named(mistakes));
                None
            }
        }
    }
}

/// What is said where there is no account, and where tokens could be.
fn no_account(store: Option<&Store>) -> String {
    if store.is_some() { NO_ACCOUNT.to_owned() } else { NO_ACCOUNT_NOR_PLACE.to_owned() }
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
        let Environment { given, places } = Environment::read(variables, &mut reader);
        let draft = Draft::read(given, &flags, &mut reader);
        let (token_is_set, database_is_named) = (draft.access_token.is_set(), draft.token_store.is_set());
        let mut config = Self::of(draft, &places, &mut reader);
        config.judge(&mut reader);
        let known = if accounts == Accounts::NotNeeded { Some(0) } else { config.find_accounts(accounts, &mut reader) };
        // Of a database that is named wrongly or does not answer, that was said: nobody can tell who is signed in.
        if !token_is_set && known == Some(0) && (config.sign_in.store.is_some() || !database_is_named) {
            reader.mistakes.extend(config.lacks(accounts));
        }
        let Reader { mistakes, warnings } = reader;
        config.warnings.clone_from(&warnings);
        if mistakes.is_empty() { Ok(config) } else { Err(Mistakes { mistakes, warnings }) }
    }

    fn of(mut draft: Draft, places: &Places, reader: &mut Reader) -> Self {
        let sign_in = SignIn::of(&mut draft, places, reader);
        let samples = SamplesConfig::of(&mut draft, reader);
        let webhooks = webhooks::place(&mut draft, &sign_in, reader);
        let account = |token| AccountConfig { name: draft.account.clone(), token };
        Self {
            token_file: draft.access_token.file(),
            accounts: draft.access_token.into_value().map(account).into_iter().collect(),
            allowed_hosts: draft.allowed_hosts,
            listen_address: draft.listen_address,
            external_url: draft.external_url,
            web: draft.web_config_file.and_then(|(name, path)| reader.web_config(name, &path)),
            poll_interval: draft.poll_interval,
            request_budget: draft.request_budget.unwrap_or_else(|| usual_budget(draft.shard)),
            stale_after: draft.stale_after,
            collections_are_named: draft.collections.is_some(),
            collections: draft.collections.unwrap_or_else(all_but_deprecated),
            api_url: draft.api_url,
            sandbox: draft.sandbox,
            signed_in: vec![],
            shard: draft.shard,
            sign_in,
            samples,
            webhooks,
            log: LogConfig { level: draft.log_level.unwrap_or(Level::INFO), json: draft.log_json },
            warnings: vec![],
        }
    }

    /// Who is signed in, and whether that is enough to go by; how many they are in all shards together, if anybody can tell.
    fn find_accounts(&mut self, accounts: Accounts, reader: &mut Reader) -> Option<usize> {
        let stored = self.sign_in.store.as_ref().map_or_else(|| Ok(Listing::default()), Store::list);
        match stored {
            Ok(listing) => {
                self.signed_in = listing.accounts;
                reader.warnings.extend(listing.warnings);
            }
            // The exporter says it, on its page too, and goes on when it is mended. What no waiting mends is a mistake unless a
            // token of the environment does without the store.
            Err(error) if accounts == Accounts::MayCome && (!self.accounts.is_empty() || !error.is_a_mistake()) => {}
            Err(error) => {
                reader.mistakes.push(error.to_string());
                return None;
            }
        }
        let same = self.accounts.iter().find(|account| self.signed_in.contains(&account.name));
        if let Some(account) = same {
            let name = &account.name;
            reader.mistakes.push(format!(
                "OURA_ACCOUNT: {name} is signed in already; unset OURA_ACCESS_TOKEN or choose another name"
            ));
        }
        if !self.signed_in.is_empty() && self.sign_in.application.is_none() {
            let mistake = "OURA_CLIENT_ID, OURA_CLIENT_SECRET: not set, so no sign-in can be renewed; set both";
            reader.mistakes.push(mistake.to_owned());
        }
        let known = self.signed_in.len();
        self.signed_in.retain(|name| self.shard.has(name));
        if accounts == Accounts::Needed && self.signed_in.is_empty() && known > 0 {
            let shard = self.shard;
            reader.mistakes.push(format!(
                "OURA_SHARD: none of the {known} accounts that are signed in is of shard {shard}; unset it to use them all"
            ));
        }
        Some(known)
    }

    /// What it lacks to do without an account.
    fn lacks(&self, accounts: Accounts) -> Vec<String> {
        let SignIn { store, application, on_the_page, .. } = &self.sign_in;
        let mut lacks = vec![];
        match (accounts, store, application) {
            (Accounts::NotNeeded, ..) => {}
            (Accounts::MayCome, None, Some(_)) => lacks.push(NO_PLACE_FOR_TOKENS.to_owned()),
            (Accounts::MayCome, Some(_), application) if application.is_some() || *on_the_page => {}
            (Accounts::MayCome, store, _) => lacks.push(no_account(store.as_ref())),
            (Accounts::Needed, store, application) => {
                lacks.push(no_account(store.as_ref()));
                lacks.extend(application.is_none().then(|| NO_APPLICATION.to_owned()));
                lacks.extend(store.as_ref().and_then(|store| of_the_service(store.directory())));
            }
        }
        lacks
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
        if self.request_budget > OURAS_LIMIT {
            reader.warnings.push(format!(
                "OURA_REQUEST_BUDGET: above {OURAS_LIMIT}, which is all that Oura allows an application unless it has agreed to more; \
                 beyond its limit it answers nothing for minutes"
            ));
        }
        let says_whose = self.collections.iter().any(|kind| kind.name == NOT_IN_SANDBOX);
        if self.webhooks.is_some() && !self.accounts.is_empty() && !says_whose {
            reader.warnings.push(format!(
                "OURA_WEBHOOK_URL: whose token OURA_ACCESS_TOKEN is stays unknown without {NOT_IN_SANDBOX}, so its \
                 events are not taken; add it to OURA_COLLECTIONS"
            ));
        }
        reader.mistakes.extend(self.shadowed());
        reader.warnings.extend(self.unencrypted());
    }
}

impl Config {
    /// What would cross a network that anybody may listen to.
    fn unencrypted(&self) -> impl Iterator<Item = String> {
        let SignIn { legacy, new, .. } = &self.sign_in;
        let of_history = match self.samples.access {
            Credentials::Open => "the health data",
            Credentials::Basic(..) | Credentials::Bearer(_) => "the password or token and the health data",
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

/// What is said where nobody is signed in in `own`, and this machine has a service that keeps its accounts elsewhere.
fn of_the_service(own: &Path) -> Option<String> {
    let is_elsewhere = own != Path::new(STATE_OF_SERVICE) && fs::symlink_metadata(STATE_OF_SERVICE).is_ok();
    is_elsewhere.then(|| {
        format!(
            "nobody is signed in in {}; the service on this machine keeps its accounts in {STATE_OF_SERVICE}: to use \
             them, run this as its user, with the command sudo systemd-run in docs/deployment.md",
            own.display()
        )
    })
}

/// What one of several exporters may ask, so that all of them together ask no more than one alone.
fn usual_budget(shard: Shard) -> u32 {
    (USUAL_BUDGET / shard.count()).max(LEAST_BUDGET)
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
    let name = Setting { name: "--account", text: text.trim().to_owned() }.account();
    // Whoever asks says for what.
    name.map_err(|mistake| mistake.trim_start_matches("--account: ").to_owned())
}

#[cfg(test)]
mod tests;
