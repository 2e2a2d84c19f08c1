//! The environment: which of it is ours, and values that are not what whoever wrote them meant.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

use super::{Reader, nearest::nearest, network, settings::VARIABLES};

const PREFIX: &str = "OURA_";
/// What editors put before a file's text; in an environment file it becomes a part of the first name or value.
const BYTE_ORDER_MARK: char = '\u{feff}';
/// What opens and closes a quotation, as a shell or a word processor writes it.
const QUOTES: &[(char, char)] =
    &[('"', '"'), ('\'', '\''), ('\u{201c}', '\u{201d}'), ('\u{201e}', '\u{201c}'), ('\u{2018}', '\u{2019}')];
/// A password may begin with a quotation mark.
const PASSWORD: &str = "OURA_REMOTE_WRITE_PASSWORD";

/// The variables as texts; what they mean is settled after all of them are known.
pub(super) struct Environment {
    /// What is set, by name.
    pub(super) given: BTreeMap<String, String>,
    pub(super) places: Places,
}

/// The places that the system names for a user's state.
#[derive(Default)]
pub(super) struct Places {
    pub(super) state_home: Option<PathBuf>,
    pub(super) home: Option<PathBuf>,
}

impl Environment {
    /// Our variables, and the system's places; what is wrong or odd about them goes to `reader`.
    pub(super) fn read(variables: impl IntoIterator<Item = (OsString, OsString)>, reader: &mut Reader) -> Self {
        let variables: Vec<_> = variables.into_iter().collect();
        let places = places(&variables);
        network::judge(&variables, reader);
        let own = own_variables(variables, reader);
        let given: BTreeMap<String, String> = envy::prefixed(PREFIX).from_iter(own).unwrap_or_else(|error| {
            reader.mistakes.push(format!("the environment cannot be read: {error}"));
            BTreeMap::new()
        });
        // envy takes the prefix away, and the capitals.
        let given =
            given.into_iter().map(|(name, value)| (format!("{PREFIX}{}", name.to_uppercase()), value)).collect();
        Self { given, places }
    }
}

/// Where the system wants a user's state to be.
fn places(variables: &[(OsString, OsString)]) -> Places {
    let path = |name: &str| {
        let (_, value) = variables.iter().find(|(known, value)| known == name && !value.is_empty())?;
        Some(PathBuf::from(value))
    };
    Places { state_home: path("XDG_STATE_HOME"), home: path("HOME") }
}

/// Our variables that say something, each as it is meant.
fn own_variables(variables: Vec<(OsString, OsString)>, reader: &mut Reader) -> Vec<(String, String)> {
    let mut own = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| is_meant_for_us(name)) else { continue };
        let Ok(value) = value.into_string() else {
            reader.mistakes.push(format!("{name}: the value is not UTF-8; write it again"));
            continue;
        };
        if !VARIABLES.iter().any(|variable| variable.name == name) {
            if !is_of_a_cluster(name, &value) {
                reader.warnings.push(unknown(name));
            }
            continue;
        }
        match as_meant(name, &value) {
            Ok("") => {}
            Ok(value) => own.push((name.to_owned(), value.to_owned())),
            Err(cause) => reader.mistakes.push(format!("{name}: {cause}")),
        }
    }
    own
}

/// Whether the name begins like ours, as far as a person would see.
fn is_meant_for_us(name: &str) -> bool {
    let seen = name.trim_start_matches(|c: char| c == BYTE_ORDER_MARK || c.is_whitespace());
    seen.get(..PREFIX.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(PREFIX))
}

fn unknown(name: &str) -> String {
    let shown = name.replace(BYTE_ORDER_MARK, "");
    if shown != name {
        return format!(
            "{shown}: the name begins with a byte order mark, so it is not read; save the file that sets it as UTF-8 \
             without one"
        );
    }
    match nearest(&shown, VARIABLES.iter().map(|variable| variable.name)) {
        Some(meant) => format!("{shown}: there is no such variable; did you mean {meant}?"),
        None => format!("{shown}: there is no such variable; oura-exporter --help lists them all"),
    }
}

/// Whether Kubernetes, or Docker's old links, set this for a service whose name begins with ours.
fn is_of_a_cluster(name: &str, value: &str) -> bool {
    let is_address = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let is_port_of = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && is_address)
        || name.split_once("_PORT_").is_some_and(|(_, port)| is_port_of(port))
}

/// The value without the blanks around it; what is wrong where a shell or an editor has left its marks in it.
fn as_meant<'a>(name: &str, value: &'a str) -> Result<&'a str, &'static str> {
    let value = value.trim();
    if value.contains(BYTE_ORDER_MARK) {
        return Err(MARKED);
    }
    if is_quoted(value) || (name != PASSWORD && value.starts_with(is_quote) | value.ends_with(is_quote)) {
        return Err(
            "the value is in quotation marks, which a shell removes and an environment file does not; write it without \
             them",
        );
    }
    if value.chars().any(char::is_control) {
        return Err("the value contains a line break or another control character; write it again on one line");
    }
    Ok(value)
}

/// What is said of a text with a byte order mark.
pub(super) const MARKED: &str =
    "the value begins with a byte order mark, which is invisible; save the file as UTF-8 without one";

/// Whether editors have put a byte order mark into the text.
pub(super) fn is_marked(text: &str) -> bool {
    text.contains(BYTE_ORDER_MARK)
}

/// Whether the whole text is in quotation marks.
pub(super) fn is_quoted(text: &str) -> bool {
    QUOTES.iter().any(|&(open, close)| text.len() > 1 && text.starts_with(open) && text.ends_with(close))
}

fn is_quote(c: char) -> bool {
    QUOTES.iter().any(|&(open, close)| c == open || c == close)
}
