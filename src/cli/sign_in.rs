//! `login`, `logout` and `accounts`: who is signed in, and how they come and go.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write as _},
};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use reqwest::Url;

use super::examine::{examine, marked, words};
use crate::{
    auth::{self, Authority, Listing, OAuthError, Store, TokenSource, Tokens},
    clock::Clock,
    config::{self, Config, SignIn},
    latest::{AccountState, CollectionState, Mark, missing_scope},
    oura::{Client, Patience, Transport},
    poll::Account,
    samples,
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
        try_out(config, &self.account, tokens).await
    }
}

fn open(url: &Url) {
    println!("The browser opens Oura's page. If it does not, open this address on this machine:\n\n{url}\n");
    if webbrowser::open(url.as_str()).is_err() {
        println!("(No browser could be opened. On a machine without one: oura-exporter login --no-browser)");
    }
}

/// Asks every collection once, and says which the account may read, and what it takes to read the rest.
async fn try_out(config: &Config, name: &str, tokens: Tokens) -> anyhow::Result<()> {
    let grant = tokens.grant();
    if grant.scopes.is_none() {
        println!("Oura did not say which scopes were granted; each collection is asked instead.");
    }
    let transport =
        Transport::new(&config.api_url, config.sandbox, Patience::default(), Clock::system(), ApiStats::new()?)?;
    let client = Client::new(transport.into(), TokenSource::Fixed(tokens.access));
    let account = Account { name: name.to_owned(), client: client.into() };
    let state = examine(&account, &config.collections, Some(grant)).await;
    tell_collections(&state);
    tell_unasked(&state, config);
    let (is_well, summary) = state.summary();
    println!("{summary}{}", if is_well { "" } else { " To look again, run: oura-exporter check" });
    Ok(())
}

/// What the account may read now, and what is to be said of the rest, once for those of which the same is to be said.
fn tell_collections(state: &AccountState) {
    let names = |collections: &[&CollectionState]| {
        collections.iter().map(|collection| collection.kind.name).collect::<Vec<_>>().join(", ")
    };
    let well = marked(state, Mark::Well);
    if !well.is_empty() {
        println!("It may read: {}.", names(&well));
    }
    let mut others = BTreeMap::<_, Vec<_>>::new();
    for collection in [marked(state, Mark::NotGranted), marked(state, Mark::Bad)].concat() {
        others.entry(words(state, collection)).or_default().push(collection);
    }
    for (words, collections) in others {
        println!("It cannot read {}: {words}.", names(&collections));
    }
}

/// Scopes that are missing because they were not even asked for.
fn tell_unasked(state: &AccountState, config: &Config) {
    let asked = config.sign_in.application.as_ref().map_or(&[][..], |application| &application.scopes);
    let missing = |collection: &CollectionState| missing_scope(collection.kind, state.grant.as_ref());
    let not_granted = marked(state, Mark::NotGranted).into_iter().map(missing);
    let unasked: BTreeSet<_> = not_granted.filter(|scope| !asked.iter().any(|asked| asked == scope)).collect();
    if !asked.is_empty() && !unasked.is_empty() {
        let unasked = Vec::from_iter(unasked).join(" ");
        println!("OURA_SCOPES does not ask for: {unasked}. Add what you want to see before the next sign-in.");
    }
}

impl Logout {
    pub(super) async fn run(&self, sign_in: &SignIn) -> anyhow::Result<()> {
        let store = store(sign_in)?;
        // Before the lock, which makes the directory: who is not signed in leaves nothing behind.
        self.signed_in(store)?;
        let _lock = auth::lock(store, &self.account).await.context("nothing is forgotten yet")?;
        let tokens = self.signed_in(store)?;
        match authority(sign_in)?.revoke(&tokens).await {
            Ok(()) => println!("Oura has taken the sign-in of account {} back.", self.account),
            Err(error @ OAuthError::Unreachable(_)) => {
                return Err(error).context("nothing is forgotten yet; try again when Oura can be reached");
            }
            Err(error) => println!("Oura does not confirm ({error}); revoke the application in the Oura app, too."),
        }
        store.remove(&self.account)?;
        samples::forget_journals(store.directory(), &self.account).with_context(|| {
            let directory = store.directory().join("samples");
            format!(
                "the sign-in is forgotten, but what was told of the account is not: remove it from {}",
                directory.display()
            )
        })?;
        println!("Account {} is forgotten here.", self.account);
        Ok(())
    }

    fn signed_in(&self, store: &Store) -> anyhow::Result<Tokens> {
        store.read(&self.account)?.with_context(|| {
            format!("account {} is not signed in; `oura-exporter accounts` shows who is", self.account)
        })
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
    sign_in.store.as_ref().context(config::NO_PLACE_FOR_TOKENS)
}

fn authority(sign_in: &SignIn) -> anyhow::Result<Authority> {
    let application = sign_in.application.clone().context(
        "OURA_CLIENT_ID, OURA_CLIENT_SECRET: not set; register an application at Oura and set both (the README shows how)",
    )?;
    Ok(Authority::new(sign_in.legacy.clone(), sign_in.new.clone(), application)?)
}
