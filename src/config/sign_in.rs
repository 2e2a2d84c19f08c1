//! The part of the configuration that concerns sign-in: the application, Oura's addresses, and where tokens are kept.

use std::path::PathBuf;

use super::{
    Reader,
    environment::{Environment, Places},
    parse::{Setting, setting},
};
use crate::auth::{Application, Endpoints, Store};

const REDIRECT_URI: &str = "http://localhost:10058/callback";
const LEGACY_AUTHORIZE: &str = "https://cloud.ouraring.com/oauth/authorize";
const LEGACY_TOKEN: &str = "https://api.ouraring.com/oauth/token";
const NEW_AUTHORIZE: &str = "https://moi.ouraring.com/oauth/v2/ext/oauth-authorize";
const NEW_TOKEN: &str = "https://moi.ouraring.com/oauth/v2/ext/oauth-token";
/// The directory below the platform's for state.
const OWN_DIRECTORY: &str = "oura-exporter";

/// What a sign-in needs.
#[derive(Debug)]
pub struct SignIn {
    /// Where tokens are kept (`OURA_STATE_DIR`); none where the system names no place for it.
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
    pub(super) fn read(env: &mut Environment, places: &Places, reader: &mut Reader) -> Self {
        let is_set = |direct: &Option<String>, file: &Option<String>| direct.is_some() || file.is_some();
        let is_half =
            is_set(&env.client_id, &env.client_id_file) != is_set(&env.client_secret, &env.client_secret_file);
        let id = (
            setting("OURA_CLIENT_ID", env.client_id.take()),
            setting("OURA_CLIENT_ID_FILE", env.client_id_file.take()),
        );
        let id = reader.secret(id.0, id.1);
        let secret = setting("OURA_CLIENT_SECRET", env.client_secret.take());
        let secret = reader.secret(secret, setting("OURA_CLIENT_SECRET_FILE", env.client_secret_file.take()));
        if is_half {
            let mistake = "OURA_CLIENT_ID, OURA_CLIENT_SECRET: one is set without the other; set both";
            reader.mistakes.push(mistake.to_owned());
        }
        let redirect_uri = reader.take(setting("OURA_REDIRECT_URI", env.redirect_uri.take()), Setting::redirect_uri);
        let redirect_uri = redirect_uri.unwrap_or_else(|| REDIRECT_URI.to_owned());
        let on_the_page =
            reader.take(setting("OURA_WEB_SIGN_IN", env.web_sign_in.take()), Setting::flag).unwrap_or(true);
        let scopes = reader.take(setting("OURA_SCOPES", env.scopes.take()), Setting::scopes).unwrap_or_default();
        let application = id.zip(secret);
        let application = application.map(|(client_id, client_secret)| Application {
            client_id,
            client_secret,
            redirect_uri: redirect_uri.clone(),
            scopes,
        });
        let directory = reader.take(setting("OURA_STATE_DIR", env.state_dir.take()), Setting::directory);
        let directory = directory.or_else(|| places.state());
        let mut url = |name, text: Option<String>, default: &str| {
            reader.take(setting(name, text), Setting::endpoint).unwrap_or_else(|| default.to_owned())
        };
        let legacy = Endpoints {
            authorize: url("OURA_AUTHORIZE_URL", env.authorize_url.take(), LEGACY_AUTHORIZE),
            token: url("OURA_TOKEN_URL", env.token_url.take(), LEGACY_TOKEN),
        };
        let new = Endpoints {
            authorize: url("OURA_FALLBACK_AUTHORIZE_URL", env.fallback_authorize_url.take(), NEW_AUTHORIZE),
            token: url("OURA_FALLBACK_TOKEN_URL", env.fallback_token_url.take(), NEW_TOKEN),
        };
        Self { store: directory.map(Store::new), application, redirect_uri, on_the_page, legacy, new }
    }
}
