//! The part of the configuration that concerns sign-in: the application, Oura's addresses, and where tokens are kept.

use std::{mem::take, path::PathBuf};

use secrecy::SecretString;

use super::{Reader, draft::Draft, environment::Places};
#[cfg(feature = "postgres")]
use crate::auth::Table;
use crate::auth::{Application, Endpoints, Store};

/// The directory below the platform's for state.
const OWN_DIRECTORY: &str = "oura-exporter";

/// What a sign-in needs.
#[derive(Debug)]
pub struct SignIn {
    /// Where tokens are kept (`OURA_STATE_DIR`, `OURA_TOKEN_STORE`); none where the system names no place for it.
    pub store: Option<Store>,
    /// The OAuth application (`OURA_CLIENT_ID`, `OURA_CLIENT_SECRET`); none if it is not set.
    pub application: Option<Application>,
    /// Where the browser comes back to, whether there is an application or not (`OURA_REDIRECT_URI`).
    pub redirect_uri: String,
    /// Whether people sign in on the page, too (`OURA_WEB_SIGN_IN`).
    pub on_the_page: bool,
    /// The legacy portal's addresses (`OURA_AUTHORIZE_URL`, `OURA_TOKEN_URL`).
    pub legacy: Endpoints,
    /// The new portal's (`OURA_FALLBACK_AUTHORIZE_URL`, `OURA_FALLBACK_TOKEN_URL`).
    pub new: Endpoints,
}

impl Places {
    fn state(&self) -> Option<PathBuf> {
        let home = || Some(self.home.as_ref()?.join(".local/state"));
        let state = self.state_home.clone().filter(|path| path.is_absolute()).or_else(home)?;
        Some(state.join(OWN_DIRECTORY))
    }
}

impl SignIn {
    pub(super) fn of(draft: &mut Draft, places: &Places, reader: &mut Reader) -> Self {
        let (id, secret) = (take(&mut draft.client_id), take(&mut draft.client_secret));
        if id.is_set() != secret.is_set() {
            let mistake = "OURA_CLIENT_ID, OURA_CLIENT_SECRET: one is set without the other; set both";
            reader.mistakes.push(mistake.to_owned());
        }
        let redirect_uri = take(&mut draft.redirect_uri);
        let application = id.into_value().zip(secret.into_value()).map(|(client_id, client_secret)| Application {
            client_id,
            client_secret,
            redirect_uri: redirect_uri.clone(),
            scopes: take(&mut draft.scopes),
        });
        let store = store(draft, places, reader);
        let (legacy, new) = (take(&mut draft.legacy), take(&mut draft.new));
        let on_the_page = draft.web_sign_in;
        Self { store, application, redirect_uri, on_the_page, legacy, new }
    }
}

/// Where tokens are kept: in a database if one is named, else in the state directory.
fn store(draft: &mut Draft, places: &Places, reader: &mut Reader) -> Option<Store> {
    let directory = draft.state_dir.take().or_else(|| places.state());
    if !draft.token_store.is_set() {
        return directory.map(Store::new);
    }
    let name = draft.token_store.given_by();
    // What is wrong with it was said where it was read.
    let url = take(&mut draft.token_store).into_value()?;
    let Some(directory) = directory else {
        let mistake = "the record of this machine needs a directory besides; set OURA_STATE_DIR to one";
        reader.mistakes.push(format!("{name}: {mistake}"));
        return None;
    };
    in_table(directory, &url, name, reader)
}

#[cfg(feature = "postgres")]
fn in_table(directory: PathBuf, url: &SecretString, name: &str, reader: &mut Reader) -> Option<Store> {
    match Table::of(url) {
        Ok(table) => {
            if table.is_open() {
                let warning = "sslmode=disable: anyone who listens on the network can read the tokens of all accounts";
                reader.warnings.push(format!("{name}: {warning}"));
            }
            Some(Store::in_table(directory, table))
        }
        Err(mistake) => {
            reader.mistakes.push(format!("{name}: {mistake}"));
            None
        }
    }
}

#[cfg(not(feature = "postgres"))]
fn in_table(_directory: PathBuf, _url: &SecretString, name: &str, reader: &mut Reader) -> Option<Store> {
    let mistake = "this oura-exporter was built without PostgreSQL; build it with the feature postgres, or unset it";
    reader.mistakes.push(format!("{name}: {mistake}"));
    None
}
