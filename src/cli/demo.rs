//! `demo`: the same program against an Oura Cloud of its own, with two people who do not exist.

use anyhow::Context as _;
use tempfile::TempDir;
use tracing::{info, warn};

use super::{ServeFlags, serve};
use crate::{
    auth::{Application, Endpoints, Store},
    config::{AccountConfig, Config},
    documents,
    simulator::{Portal, Settings, Simulator, Wearer},
};

/// Serves made-up data.
#[derive(Clone, PartialEq, Eq, clap::Args)]
pub(super) struct Demo {
    /// Start without accounts: the two people sign in on the exporter's page and consent on the simulator's
    #[arg(long)]
    sign_in: bool,
    #[command(flatten)]
    pub(super) flags: ServeFlags,
}

impl Demo {
    pub(super) async fn run(&self, mut config: Config) -> anyhow::Result<()> {
        let settings = Settings { examples: documents::examples()?, ..Settings::default() };
        let simulator = Simulator::start(settings).await.context("cannot start the simulator")?;
        config.api_url = simulator.url();
        config.sandbox = false;
        config.token_file = None;
        config.signed_in = vec![];
        config.samples.is_made_up = true;
        if config.samples.remote_write_url.take().is_some() {
            warn!("OURA_REMOTE_WRITE_URL is ignored: made-up data does not belong in a real database");
        }
        // The tokens of made-up people go with them.
        let tokens = tempfile::tempdir().context("no directory for the tokens; set TMPDIR to a writable one")?;
        if self.sign_in {
            open_to_sign_ins(&mut config, &simulator, &tokens)?;
            let people: Vec<_> = simulator.people().into_iter().map(|wearer| wearer.name).collect();
            info!("demo: nobody is signed in; open the page and sign in as {}, who do not exist", people.join(" or "));
        } else {
            // Whoever is signed in here has nothing to do with it.
            config.sign_in.store = None;
            config.accounts = simulator.people().into_iter().map(account).collect();
            info!("demo: two people who do not exist, from an Oura Cloud on this machine");
        }
        serve(config).await
    }
}

fn account(wearer: Wearer) -> AccountConfig {
    AccountConfig { name: wearer.name.to_owned(), token: wearer.token.into() }
}

/// Has people sign in with an application of the simulator's, whose redirect URI is the exporter's own.
fn open_to_sign_ins(config: &mut Config, simulator: &Simulator, tokens: &TempDir) -> anyhow::Result<()> {
    let port = config.listen_address.rsplit(':').next().unwrap_or_default();
    let redirect_uri = format!("http://localhost:{port}/callback");
    simulator.authorizations().register_redirect(&redirect_uri);
    let mut applications = simulator.applications().into_iter();
    let registered = applications.find(|application| application.portal == Portal::New);
    let registered = registered.context("the simulator has no application of the new portal")?;
    let url = simulator.url();
    let endpoints = |authorize: &str, token: &str| Endpoints {
        authorize: format!("{url}{authorize}"),
        token: format!("{url}{token}"),
    };
    config.accounts = vec![];
    config.sign_in.store = Some(Store::new(tokens.path()));
    config.sign_in.legacy = endpoints("/oauth/authorize", "/oauth/token");
    config.sign_in.new = endpoints("/oauth/v2/ext/oauth-authorize", "/oauth/v2/ext/oauth-token");
    config.sign_in.redirect_uri.clone_from(&redirect_uri);
    config.sign_in.on_the_page = true;
    config.sign_in.application = Some(Application {
        client_id: registered.client_id.into(),
        client_secret: registered.client_secret.into(),
        redirect_uri,
        scopes: vec![],
    });
    Ok(())
}
