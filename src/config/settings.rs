//! The settings: one table, a row each with name, flag, default, help and effect. The reader, `--help`, the flags, the
//! documents and the search for misspelt names loop over it.

use super::{
    draft::Draft,
    parse::Setting,
    settings::Unset::{Nothing, Value, Words},
};

/// Where the browser comes back to on the usual port.
pub const USUAL_REDIRECT_URI: &str = "http://localhost:10058/callback";

/// A setting as a user meets it.
pub struct Variable {
    /// The variable's name.
    pub name: &'static str,
    /// The flag that wins over it.
    pub flag: Option<Flag>,
    /// What holds where it is not set.
    pub unset: Unset,
    /// What it is for.
    pub help: &'static str,
    /// What it does.
    pub(super) effect: Effect,
}

/// Puts what a setting says into the draft of the configuration.
pub(super) type Effect = fn(&mut Draft, &Setting) -> Result<(), String>;

/// What holds where a setting is not given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unset {
    /// Nothing.
    Nothing,
    /// This text, which is read as if somebody had written it.
    Value(&'static str),
    /// What these words say.
    Words(&'static str),
}

/// A flag as a user meets it.
#[derive(Clone, Copy)]
pub struct Flag {
    /// Its name, with the dashes.
    pub name: &'static str,
    /// What stands for its value in the help.
    pub value: &'static str,
}

const fn variable(name: &'static str, unset: Unset, help: &'static str, effect: Effect) -> Variable {
    Variable { name, flag: None, unset, help, effect }
}

impl Variable {
    const fn or_flag(self, name: &'static str, value: &'static str) -> Self {
        Self { flag: Some(Flag { name, value }), ..self }
    }
}

/// Every setting, in the order of the documents.
pub const VARIABLES: &[Variable] = &[
    variable("OURA_CLIENT_ID", Nothing, "the OAuth application's id (or OURA_CLIENT_ID_FILE)", |draft, text| {
        draft.client_id.take(text, Setting::secret)
    }),
    variable("OURA_CLIENT_ID_FILE", Nothing, "file that holds it instead", |draft, text| {
        draft.client_id.take(text, Setting::secret_file)
    }),
    variable(
        "OURA_CLIENT_SECRET",
        Nothing,
        "the OAuth application's secret (or OURA_CLIENT_SECRET_FILE)",
        |draft, text| draft.client_secret.take(text, Setting::secret),
    ),
    variable("OURA_CLIENT_SECRET_FILE", Nothing, "file that holds it instead", |draft, text| {
        draft.client_secret.take(text, Setting::secret_file)
    }),
    variable(
        "OURA_REDIRECT_URI",
        Value(USUAL_REDIRECT_URI),
        "where the browser comes back to; Oura compares it byte for byte with the registered one",
        |draft, text| text.redirect_uri().map(|uri| draft.redirect_uri = uri),
    ),
    variable(
        "OURA_SCOPES",
        Words("all"),
        "the scopes that a sign-in asks for, separated by spaces or commas",
        |draft, text| text.scopes().map(|scopes| draft.scopes = scopes),
    ),
    variable(
        "OURA_STATE_DIR",
        Words("~/.local/state/oura-exporter"),
        "directory for tokens and the record's journal, as an absolute path; $XDG_STATE_HOME/oura-exporter if that is set",
        |draft, text| text.directory().map(|directory| draft.state_dir = Some(directory)),
    ),
    variable(
        "OURA_TOKEN_STORE",
        Words("OURA_STATE_DIR"),
        "PostgreSQL database that keeps the tokens of many machines, as postgres://USER:PASSWORD@HOST/DATABASE (or \
         OURA_TOKEN_STORE_FILE)",
        |draft, text| draft.token_store.take(text, Setting::secret),
    ),
    variable("OURA_TOKEN_STORE_FILE", Nothing, "file that holds it instead", |draft, text| {
        draft.token_store.take(text, Setting::secret_file)
    }),
    variable(
        "OURA_SHARD",
        Words("all accounts"),
        "which of several exporters this is, from 0, and how many there are: 0/3, 1/3 and 2/3 share the accounts of one OURA_STATE_DIR or OURA_TOKEN_STORE",
        |draft, text| text.shard().map(|shard| draft.shard = shard),
    ),
    variable(
        "OURA_ACCESS_TOKEN",
        Nothing,
        "access token of one account, used without a sign-in and never renewed",
        |draft, text| draft.access_token.take(text, Setting::secret),
    ),
    variable(
        "OURA_ACCESS_TOKEN_FILE",
        Nothing,
        "file that holds it instead, for container secrets; read again when it changes",
        |draft, text| draft.access_token.take_file(text),
    ),
    variable(
        "OURA_ACCOUNT",
        Value("default"),
        "the name of the account of OURA_ACCESS_TOKEN, the label account of all its series",
        |draft, text| text.account().map(|name| draft.account = name),
    ),
    variable(
        "OURA_LISTEN_ADDRESS",
        Value("127.0.0.1:10058"),
        "where the page is served; 0.0.0.0:10058 means all interfaces",
        |draft, text| text.address().map(|address| draft.listen_address = address),
    )
    .or_flag("--web.listen-address", "ADDRESS"),
    variable(
        "OURA_WEB_CONFIG_FILE",
        Nothing,
        "TLS and basic auth of the page: a file in the format of Prometheus' exporter-toolkit",
        |draft, text| text.file().map(|path| draft.web_config_file = Some((text.name, path))),
    )
    .or_flag("--web.config.file", "FILE"),
    variable(
        "OURA_ALLOWED_HOSTS",
        Nothing,
        "host names that requests may use besides localhost, for example behind a proxy that passes on its own name; on an address beyond \
         loopback any name is allowed until this is set",
        |draft, text| text.hosts().map(|hosts| draft.allowed_hosts = hosts),
    ),
    variable(
        "OURA_WEB_EXTERNAL_URL",
        Nothing,
        "where a proxy shows the page, such as https://lan.example/oura/; requests with and without its path are \
         answered, and its host name is allowed",
        |draft, text| text.external_url().map(|url| draft.external_url = url),
    )
    .or_flag("--web.external-url", "URL"),
    variable(
        "OURA_WEB_SIGN_IN",
        Value("true"),
        "false: people sign in with oura-exporter login --no-browser only, not on the page",
        |draft, text| text.flag().map(|is_on| draft.web_sign_in = is_on),
    ),
    variable(
        "OURA_POLL_INTERVAL",
        Value("5m"),
        "how often Oura is polled; less than 60s works, with a warning",
        |draft, text| text.interval().map(|interval| draft.poll_interval = interval),
    ),
    variable(
        "OURA_REQUEST_BUDGET",
        Words("4000, divided by the number of shards"),
        "how many requests all accounts of this exporter together may make in five minutes, spread over time; Oura allows an \
         application 5000, so that those of all its exporters together stay below that",
        |draft, text| text.budget().map(|budget| draft.request_budget = Some(budget)),
    ),
    variable("OURA_STALE_AFTER", Value("36h"), "how long the values of a failing collection stay", |draft, text| {
        text.time_delta().map(|duration| draft.stale_after = duration)
    }),
    variable(
        "OURA_COLLECTIONS",
        Words("all but tag"),
        "which collections are read, separated by commas",
        |draft, text| text.collections().map(|collections| draft.collections = Some(collections)),
    ),
    variable(
        "OURA_SANDBOX",
        Value("false"),
        "true: Oura's sandbox with made-up data, which takes any token",
        |draft, text| text.flag().map(|is_on| draft.sandbox = is_on),
    ),
    variable(
        "OURA_API_URL",
        Value("https://api.ouraring.com"),
        "URL of Oura's API, for proxies and tests",
        |draft, text| text.base_url().map(|url| draft.api_url = url),
    ),
    variable(
        "OURA_AUTHORIZE_URL",
        Value("https://cloud.ouraring.com/oauth/authorize"),
        "Oura's consent page, legacy portal",
        |draft, text| text.endpoint().map(|url| draft.legacy.authorize = url),
    ),
    variable(
        "OURA_TOKEN_URL",
        Value("https://api.ouraring.com/oauth/token"),
        "Oura's token endpoint, legacy portal; tried first",
        |draft, text| text.endpoint().map(|url| draft.legacy.token = url),
    ),
    variable(
        "OURA_FALLBACK_AUTHORIZE_URL",
        Value("https://moi.ouraring.com/oauth/v2/ext/oauth-authorize"),
        "Oura's consent page, new portal",
        |draft, text| text.endpoint().map(|url| draft.new.authorize = url),
    ),
    variable(
        "OURA_FALLBACK_TOKEN_URL",
        Value("https://moi.ouraring.com/oauth/v2/ext/oauth-token"),
        "Oura's token endpoint, new portal; tried when the legacy one refuses",
        |draft, text| text.endpoint().map(|url| draft.new.token = url),
    ),
    variable(
        "OURA_SAMPLES",
        Value("true"),
        "false: turns off /metrics/samples, the record of every document at its own time",
        |draft, text| text.flag().map(|is_on| draft.samples = is_on),
    ),
    variable(
        "OURA_REMOTE_WRITE_URL",
        Nothing,
        "remote-write receiver to which the record is sent as it is learnt",
        |draft, text| text.receiver().map(|url| draft.remote_write_url = Some(url)),
    ),
    variable(
        "OURA_REMOTE_WRITE_USERNAME",
        Nothing,
        "user name for the receiver, together with a password",
        |draft, text| {
            draft.remote_write_username = Some(text.text.clone());
            Ok(())
        },
    ),
    variable(
        "OURA_REMOTE_WRITE_PASSWORD",
        Nothing,
        "password for the receiver (or OURA_REMOTE_WRITE_PASSWORD_FILE)",
        |draft, text| draft.remote_write_password.take(text, Setting::secret),
    ),
    variable("OURA_REMOTE_WRITE_PASSWORD_FILE", Nothing, "file that holds it instead", |draft, text| {
        draft.remote_write_password.take(text, Setting::secret_file)
    }),
    variable(
        "OURA_REMOTE_WRITE_BEARER_TOKEN",
        Nothing,
        "bearer token for the receiver, instead of user name and password",
        |draft, text| draft.remote_write_bearer_token.take(text, Setting::secret),
    ),
    variable("OURA_REMOTE_WRITE_BEARER_TOKEN_FILE", Nothing, "file that holds it instead", |draft, text| {
        draft.remote_write_bearer_token.take(text, Setting::secret_file)
    }),
    variable(
        "OURA_JOB",
        Value("oura"),
        "the label job of backfilled and sent samples, as in your scrapes",
        |draft, text| {
            draft.job.clone_from(&text.text);
            Ok(())
        },
    ),
    variable("OURA_INSTANCE", Value("localhost:10058"), "the label instance of the same samples", |draft, text| {
        draft.instance.clone_from(&text.text);
        Ok(())
    }),
    variable(
        "OURA_WEBHOOK_URL",
        Nothing,
        "public https address at which Oura tells of news, such as https://oura.example/webhook, so that they are shown \
         within seconds; a proxy passes it on to OURA_WEBHOOK_LISTEN",
        |draft, text| text.callback().map(|url| draft.webhook_url = Some(url)),
    ),
    variable(
        "OURA_WEBHOOK_LISTEN",
        Value("127.0.0.1:10060"),
        "where that address is answered, and nothing else; only with OURA_WEBHOOK_URL",
        |draft, text| text.address().map(|address| draft.webhook_listen = address),
    ),
    variable("OURA_LOG", Value("info"), "error, warn, info, debug or trace", |draft, text| {
        text.level().map(|level| draft.log_level = Some(level))
    })
    .or_flag("--log.level", "LEVEL"),
    variable("OURA_LOG_FORMAT", Value("text"), "text, or json for machines", |draft, text| {
        text.is_json().map(|is_json| draft.log_json = is_json)
    })
    .or_flag("--log.format", "FORMAT"),
];
