//! `login`, `logout` and `accounts`: who is signed in, and how they come and go.

use std::io::{self, Write as _};

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use reqwest::Url;
use secrecy::SecretString;

use crate::{
    auth::{self, Authority, Listing, OAuthError, Store, TokenSource, Tokens},
    clock::Clock,
    config::{self, Config, SignIn},
    documents::Kind,
    oura::{Client, Patience, Transport},
    status::ApiStats,
};

/// Signs a person in.
#[derive(Clone, PartialEq, Eq, clap::Args)]
pub(super) struct Login {
    /// The name of the account; a second person is a second name
    #[arg(long, default_value = "default", value_parser = config::account_name)]
    account: String,
    /// Prints the page's address and takes the one that the browser ends at from standard input
    #[arg(long)]
    no_browser: bool,
}

/// Signs a person out.
#[derive(Clone, PartialEq, Eq, clap::Args)]
pub(super) struct Logout {
    /// The name of the account
    #[arg(long, value_parser = config::account_name)]
    account: String,
}

impl Login {
    pub(super) async fn run(&self, sign_in: &SignIn, config: &Config) -> anyhow::Result<()> {
        let store = store(sign_in)?;
        store.check()?;
        // Found out before anybody consents: whether what comes of it can be stored.
        drop(auth::lock(store, &self.account).await?);
        let authority = authority(sign_in)?;
        let login = auth::Login::begin(&authority).await?;
        let tokens = if self.no_browser {
            println!("Open this address in a browser, on whichever device, and consent:\n\n{}\n", login.url);
            println!("Then paste the address that the browser was sent to (it need not load), and press Enter:");
            login.by_paste().await?
        } else {
            login.by_browser(open).await?
        };
        auth::keep(store, &self.account, tokens.clone()).await?;
        println!("\nSigned in as account {}. Tokens are in {}.", self.account, store.directory().display());
        if tokens.refresh.is_none() {
            println!(
                "Oura gave no refresh token: this sign-in ends with its first token, and then needs another login."
            );
        }
        tell_scopes(config, &tokens);
        try_out(config, tokens.access).await
    }
}

fn open(url: &Url) {
    println!("The browser opens Oura's page. If it does not, open this address on this machine:\n\n{url}\n");
    if webbrowser::open(url.as_str()).is_err() {
        println!("(No browser could be opened. On a machine without one: oura-exporter login --no-browser)");
    }
}

/// What the account may read now, and what it takes to read the rest.
fn tell_scopes(config: &Config, tokens: &Tokens) {
    let Some(granted) = &tokens.scopes else {
        println!("Oura did not say which scopes were granted; `oura-exporter check` finds out.");
        return;
    };
    let is_granted = |kind: &&&'static Kind| granted.iter().any(|scope| scope == kind.scope);
    let (may, may_not): (Vec<&&Kind>, Vec<&&Kind>) = config.collections.iter().partition(is_granted);
    let names: Vec<_> = may.iter().map(|kind| kind.name).collect();
    println!("It may read: {}.", names.join(", "));
    for kind in may_not {
        println!("It may not read {}: the scope {} was not granted.", kind.name, kind.scope);
    }
    if names.len() < config.collections.len() {
        println!(
            "Tick the missing scopes in your application at Oura, then run this again and tick them at the consent."
        );
    }
}

/// Calls the API once, so that a token that opens nothing is noticed now.
async fn try_out(config: &Config, token: SecretString) -> anyhow::Result<()> {
    let stats = ApiStats::new()?;
    let transport = Transport::new(&config.api_url, false, Patience::default(), Clock::system(), stats)?;
    let client = Client::new(transport.into(), TokenSource::Fixed(token));
    match client.single("personal_info").await {
        Ok(_) => println!("Oura's API answers. All is well."),
        Err(error) => println!("Oura's API does not answer as it should yet: {error}. Run: oura-exporter check"),
    }
    Ok(())
}

impl Logout {
    pub(super) async fn run(&self, sign_in: &SignIn) -> anyhow::Result<()> {
        let store = store(sign_in)?;
        let _lock = auth::lock(store, &self.account).await.context("nothing is forgotten yet")?;
        let Some(tokens) = store.read(&self.account)? else {
            bail!("account {} is not signed in; `oura-exporter accounts` shows who is", self.account);
        };
        match authority(sign_in)?.revoke(&tokens).await {
            Ok(()) => println!("Oura has taken the sign-in of account {} back.", self.account),
            Err(error @ OAuthError::Unreachable(_)) => {
                return Err(error).context("nothing is forgotten yet; try again when Oura can be reached");
            }
            Err(error) => println!("Oura does not confirm ({error}); revoke the application in the Oura app, too."),
        }
        store.remove(&self.account)?;
        println!("Account {} is forgotten here.", self.account);
        Ok(())
    }
}

/// The table of those who are signed in.
pub(super) fn accounts(sign_in: &SignIn) -> anyhow::Result<()> {
    let store = store(sign_in)?;
    let Listing { accounts: names, warnings } = store.list()?;
    let mut out = io::stdout().lock();
    for warning in warnings {
        writeln!(out, "{warning}")?;
    }
    if names.is_empty() {
        writeln!(out, "Nobody is signed in. Run: oura-exporter login")?;
        return Ok(());
    }
    writeln!(out, "{:16} {:17} {:17} {:17} SCOPES", "ACCOUNT", "SIGNED IN SINCE", "LAST SUCCESS", "TOKEN EXPIRES")?;
    let mut bad = 0;
    for name in names {
        match store.read(&name) {
            Ok(Some(tokens)) => writeln!(out, "{}", row(&name, &tokens))?,
            Ok(None) => {}
            Err(error) => {
                bad += 1;
                writeln!(out, "{name:16} {error}")?;
            }
        }
    }
    anyhow::ensure!(bad == 0, "{bad} of the accounts cannot be used");
    Ok(())
}

fn row(name: &str, tokens: &Tokens) -> String {
    let time = |time: DateTime<Utc>| time.format("%Y-%m-%d %H:%MZ").to_string();
    let expires = match tokens.expires_at {
        Some(end) if tokens.has_expired(Utc::now()) => format!("expired {}", end.format("%m-%d %H:%M")),
        Some(end) => time(end),
        None => "unknown".to_owned(),
    };
    let scopes = tokens.scopes.as_ref().map_or_else(|| "unknown".to_owned(), |scopes| scopes.join(" "));
    format!("{name:16} {:17} {:17} {expires:17} {scopes}", time(tokens.signed_in_at), time(tokens.issued_at))
}

fn store(sign_in: &SignIn) -> anyhow::Result<&Store> {
    sign_in.store.as_ref().context("no place for tokens: neither HOME nor OURA_STATE_DIR is set; set OURA_STATE_DIR")
}

fn authority(sign_in: &SignIn) -> anyhow::Result<Authority> {
    let application = sign_in.application.clone().context(
        "OURA_CLIENT_ID, OURA_CLIENT_SECRET: not set; register an application at Oura and set both (the README shows how)",
    )?;
    Ok(Authority::new(sign_in.legacy.clone(), sign_in.new.clone(), application)?)
}
