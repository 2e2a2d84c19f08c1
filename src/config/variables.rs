//! The environment variables: one table that help, README and the search for misspelt names read.

/// A variable as a user meets it.
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What holds where it is not set; empty: nothing.
    pub default: &'static str,
    /// What it is for.
    pub help: &'static str,
}

const fn variable(name: &'static str, default: &'static str, help: &'static str) -> Variable {
    Variable { name, default, help }
}

/// Every variable.
pub const VARIABLES: &[Variable] = &[
    variable("OURA_CLIENT_ID", "", "the OAuth application's id (or OURA_CLIENT_ID_FILE)"),
    variable("OURA_CLIENT_ID_FILE", "", "file that holds it instead"),
    variable("OURA_CLIENT_SECRET", "", "the OAuth application's secret (or OURA_CLIENT_SECRET_FILE)"),
    variable("OURA_CLIENT_SECRET_FILE", "", "file that holds it instead"),
    variable(
        "OURA_REDIRECT_URI",
        "http://localhost:10058/callback",
        "where the browser comes back to; Oura compares it byte for byte with the registered one",
    ),
    variable("OURA_SCOPES", "all", "what is asked for at the sign-in, by name, separated by blanks or commas"),
    variable(
        "OURA_STATE_DIR",
        "~/.local/state/oura-exporter",
        "where tokens are kept, and what was sent: a whole path; below $XDG_STATE_HOME if that is set",
    ),
    variable("OURA_ACCESS_TOKEN", "", "access token of one account, without a sign-in and so without renewal"),
    variable(
        "OURA_ACCESS_TOKEN_FILE",
        "",
        "file that holds it instead, for container secrets; read again when it changes",
    ),
    variable(
        "OURA_ACCOUNT",
        "default",
        "the name of the account of OURA_ACCESS_TOKEN, the label account of all its series",
    ),
    variable("OURA_LISTEN_ADDRESS", "127.0.0.1:10058", "where the page is served; 0.0.0.0:10058 means all interfaces"),
    variable(
        "OURA_ALLOWED_HOSTS",
        "",
        "names by which the page may be asked for, besides localhost: behind a proxy that passes the name on, say; beyond \
         loopback any name will do as long as this is not set",
    ),
    variable(
        "OURA_WEB_EXTERNAL_URL",
        "",
        "where a proxy shows the page, https://lan.example/oura/ say: its path is answered like none, and its name, too",
    ),
    variable("OURA_WEB_SIGN_IN", "true", "false: people sign in by oura-exporter login only, not on the page"),
    variable("OURA_POLL_INTERVAL", "5m", "how often Oura is asked; below 60s works and warns"),
    variable("OURA_STALE_AFTER", "36h", "how long the values of a failing collection stay"),
    variable("OURA_COLLECTIONS", "all but tag", "which collections are asked for, by name, separated by commas"),
    variable("OURA_SANDBOX", "false", "true: Oura's sandbox with made-up data, which takes any token"),
    variable("OURA_API_URL", "https://api.ouraring.com", "where the API is, for proxies and tests"),
    variable("OURA_AUTHORIZE_URL", "https://cloud.ouraring.com/oauth/authorize", "where one consents, legacy portal"),
    variable(
        "OURA_TOKEN_URL",
        "https://api.ouraring.com/oauth/token",
        "where tokens are given, legacy portal; asked first",
    ),
    variable(
        "OURA_FALLBACK_AUTHORIZE_URL",
        "https://moi.ouraring.com/oauth/v2/ext/oauth-authorize",
        "where one consents, new portal",
    ),
    variable(
        "OURA_FALLBACK_TOKEN_URL",
        "https://moi.ouraring.com/oauth/v2/ext/oauth-token",
        "where tokens are given, new portal; asked when the legacy one refuses",
    ),
    variable("OURA_SAMPLES", "true", "false: no /metrics/samples, the record of every document at its own time"),
    variable("OURA_REMOTE_WRITE_URL", "", "where the record is sent as it is learnt"),
    variable("OURA_REMOTE_WRITE_USERNAME", "", "who may write there, with a password"),
    variable("OURA_REMOTE_WRITE_PASSWORD", "", "the password (or OURA_REMOTE_WRITE_PASSWORD_FILE)"),
    variable("OURA_REMOTE_WRITE_PASSWORD_FILE", "", "file that holds it instead"),
    variable("OURA_REMOTE_WRITE_BEARER_TOKEN", "", "the token, where there is one instead of user and password"),
    variable("OURA_REMOTE_WRITE_BEARER_TOKEN_FILE", "", "file that holds it instead"),
    variable("OURA_JOB", "oura", "the label job of what is brought in or sent, as your scrapes have it"),
    variable("OURA_INSTANCE", "localhost:10058", "and the label instance"),
    variable("OURA_LOG", "info", "error, warn, info, debug or trace"),
    variable("OURA_LOG_FORMAT", "text", "text, or json for machines"),
];

/// The section of `--help` about them.
pub fn help() -> String {
    let mut help = "Environment:\n".to_owned();
    for variable in VARIABLES {
        let default = format!("[default: {}]", variable.default);
        let default = (!variable.default.is_empty()).then_some(default.as_str());
        help += &format!("  {}\n{}", variable.name, indented(variable.help.split(' ').chain(default)));
    }
    help + "\nA flag wins over its variable. Blanks around a value do not count.\n"
}

/// Words in lines that fit a terminal of 80 columns, below a name.
fn indented<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    const INDENT: &str = "          ";
    const WIDTH: usize = 80;
    let (mut lines, mut line) = (String::new(), INDENT.to_owned());
    for word in words {
        if line.len() + 1 + word.len() > WIDTH {
            lines += &format!("{}\n", line.trim_end());
            line = INDENT.to_owned();
        }
        line += &format!("{word} ");
    }
    lines + line.trim_end() + "\n"
}

/// The README's table of them.
pub fn markdown() -> String {
    let row = |variable: &Variable| {
        let default = match variable.default {
            words if words.is_empty() || words.starts_with("all") => words.to_owned(),
            value => format!("`{value}`"),
        };
        let help: Vec<_> = variable.help.split(' ').map(as_code).collect();
        format!("| `{}` | {default} | {} |\n", variable.name, help.join(" ")).replace("|  |", "| |")
    };
    let rows: String = VARIABLES.iter().map(row).collect();
    format!("| variable | default | |\n| --- | --- | --- |\n{rows}")
}

/// A word as Markdown has it: names of variables and paths are code.
fn as_code(word: &str) -> String {
    let is_around = |c: char| matches!(c, '(' | ')' | ',' | ';' | ':');
    let bare = word.trim_matches(is_around);
    let is_code = ["OURA_", "$", "/"].iter().any(|start| bare.starts_with(start));
    if is_code { word.replacen(bare, &format!("`{bare}`"), 1) } else { word.to_owned() }
}

/// What a variable that does not exist was probably meant to be.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    const FAR: usize = 3;
    let near = VARIABLES.iter().map(|variable| (strsim::damerau_levenshtein(name, variable.name), variable.name));
    near.filter(|(distance, _)| *distance > 0 && *distance < FAR).min().map(|(_, name)| name)
}
