//! Somebody who is signed in at a simulator, and the program with their tokens.

use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use oura_exporter::{
    auth::{self, Endpoints, OAuthClient, Store, Tokens},
    clock::Clock,
    simulator::{Application, Exchange, Portal, Settings, Simulator},
    tls,
};
use tempfile::TempDir;
use tokio::process::Command;

/// The account's name.
pub(crate) const ANNA: &str = "anna";

/// A simulator, an application, and a directory with the tokens of one account.
pub(crate) struct SignedIn {
    pub(crate) simulator: Simulator,
    pub(crate) application: Application,
    pub(crate) store: Store,
    clock: Clock,
    _directory: TempDir,
}

impl SignedIn {
    /// Anna is signed in with a pair whose access token ends after `life`.
    pub(crate) async fn with(clock: Clock, life: TimeDelta) -> Self {
        tls::choose_provider();
        // A fast machine makes more requests than Oura allows, which is not what is tested of sign-ins.
        let settings = Settings { application_limit: None, ..super::settings(clock.clone()) };
        let simulator = Simulator::start(settings).await.expect("a free port on loopback");
        let application = simulator.applications().into_iter().find(|application| application.portal == Portal::New);
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::new(directory.path().join("tokens"));
        let application = application.expect("one of each portal");
        let scene = Self { simulator, application, store, clock, _directory: directory };
        scene.sign_in(life);
        scene
    }

    /// A fresh pair, as after a new login; where it has ended already, the program renews it first of all.
    pub(crate) fn sign_in(&self, life: TimeDelta) {
        let granted = self.simulator.authorizations().grant(Portal::New, "alice", &[]);
        let now = self.clock.now();
        self.keep(Tokens {
            access: granted.access_token.into(),
            refresh: Some(granted.refresh_token.into()),
            issued_at: now - TimeDelta::seconds(1),
            expires_at: Some(now + life),
            scopes: None,
            portal: auth::Portal::New,
            signed_in_at: now,
            person: None,
        });
    }

    /// Puts a pair in place.
    pub(crate) fn keep(&self, tokens: Tokens) {
        self.store.write(ANNA, &tokens).expect("it is stored");
    }

    /// What the token file says.
    pub(crate) fn stored(&self) -> Tokens {
        self.store.read(ANNA).expect("a readable file").expect("a file")
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.store.directory().join("anna.json")
    }

    /// Both authorization servers, asked as the program asks them.
    pub(crate) fn authority(&self) -> OAuthClient {
        let url = self.simulator.url();
        let endpoints = |path: &str| Endpoints { authorize: url.clone(), token: format!("{url}{path}") };
        let application = auth::Application {
            client_id: self.application.client_id.clone().into(),
            client_secret: self.application.client_secret.clone().into(),
            redirect_uri: String::new(),
            scopes: vec![],
        };
        OAuthClient::new(endpoints("/oauth/token"), endpoints("/oauth/v2/ext/oauth-token"), application)
            .expect("a client")
    }

    /// Renews the stored pair as the program would.
    pub(crate) async fn refresh(&self) -> Result<Tokens, auth::OAuthError> {
        self.authority().refresh(&self.stored(), self.clock.now()).await
    }

    /// Every request to the token URLs from the one with this number on.
    pub(crate) fn exchanges(&self, from: usize) -> Vec<Exchange> {
        self.simulator.authorizations().exchanges().split_off(from)
    }

    /// The program, behind `before`, with its tokens in `state`.
    pub(crate) fn program_in(&self, before: &[&str], state: &Path) -> Command {
        let url = self.simulator.url();
        let words = before.iter().copied().chain([env!("CARGO_BIN_EXE_oura-exporter")]).collect::<Vec<_>>();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env_clear().kill_on_drop(true);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("OURA_API_URL", &url).env("OURA_STATE_DIR", state).env("OURA_POLL_INTERVAL", "1s");
        command.env("OURA_COLLECTIONS", "daily_sleep,daily_readiness,daily_activity");
        command.env("OURA_CLIENT_ID", &self.application.client_id);
        command.env("OURA_CLIENT_SECRET", &self.application.client_secret);
        command.env("OURA_TOKEN_URL", format!("{url}/oauth/token"));
        command.env("OURA_FALLBACK_TOKEN_URL", format!("{url}/oauth/v2/ext/oauth-token"));
        command
    }

    /// The program with the account's tokens.
    pub(crate) fn program(&self) -> Command {
        self.program_in(&[], self.store.directory())
    }
}

/// A pair that is to be renewed at once.
pub(crate) fn ended(tokens: Tokens, now: DateTime<Utc>) -> Tokens {
    Tokens { expires_at: Some(now), ..tokens }
}
