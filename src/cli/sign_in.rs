//! `login`, `logout` and `accounts`: who is signed in, and how they come and go.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    io::{self, Write as _},
    sync::Arc,
};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use reqwest::Url;

use super::{
    beside::{self, Way},
    examine::{examine, marked, words},
    naming::{self, Rename},
};
use crate::{
    auth::{self, Doubt, Listing, OAuthClient, Replaces, Revoked, Store, TokenSource, Tokens},
    clock::Clock,
    config::{self, Config, SignIn},
    oura::{Client, ClientOptions, Transport},
    poll::Account,
    samples,
    shard::Shard,
    sign_in::Completion,
    state::{AccountState, CollectionState, Mark, missing_scope},
    status::ApiStats,
};

/// Signs a person in.
#[derive(Clone, PartialEq, Eq, clap::Args)]
pub(super) struct Login {
    /// The name of the account; if it is not given, the command asks for it. Each person needs a name of their own
    #[arg(long, value_parser = config::account_name)]
    account: Option<String>,
    /// Print the sign-in URL, and read the address that the browser ended at from standard input
    #[arg(long)]
    no_browser: bool,
    /// Allow the account to change to another person, or one person to have two accounts
    #[arg(long)]
    replace_person: bool,
}

/// Shows who is signed in.
#[derive(Clone, PartialEq, Eq, clap::Args)]
pub(super) struct Accounts {
    #[command(subcommand)]
    command: Option<AccountsCommand>,
}

#[derive(Clone, PartialEq, Eq, clap::Subcommand)]
enum AccountsCommand {
    /// Rename an account, while the exporter is stopped; its tokens and journal move along
    Rename(Rename),
}

impl Accounts {
    pub(super) async fn run(&self, sign_in: &SignIn, shard: Shard) -> anyhow::Result<()> {
        match &self.command {
            Some(AccountsCommand::Rename(rename)) => rename.run(store(sign_in)?).await,
            None => accounts(sign_in, shard),
        }
    }
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
        let oauth_client = oauth_client(sign_in)?;
        let name = match &self.account {
            Some(name) => name.clone(),
            None => naming::ask(store).await?,
        };
        // Found out before anybody consents: whether what comes of it can be stored.
        auth::can_keep(store, &name).await?;
        let (way, transport) = (self.way(store, &name, &sign_in.redirect_uri).await?, transport(config)?);
        let tokens = match way {
            Way::Page(page) => beside::hand_over(store, &name, page).await?,
            Way::Browser => self.sign_in(store, &name, &oauth_client, &transport, true).await?,
            Way::Paste => self.sign_in(store, &name, &oauth_client, &transport, false).await?,
        };
        println!("\nSigned in as account {name}. Tokens are in {}.", store.place());
        if config.shard.is_one_of_several() {
            println!("Shard {} shows it (OURA_SHARD).", config.shard.of(&name));
        }
        if tokens.refresh.is_none() {
            println!(
                "Oura gave no refresh token: this sign-in ends with its first token, and then needs another login."
            );
        }
        try_out(config, transport, &name, tokens).await
    }

    /// How the answer of Oura's gets here.
    async fn way(&self, store: &Store, name: &str, redirect_uri: &str) -> anyhow::Result<Way> {
        if self.no_browser {
            return Ok(Way::Paste);
        }
        if self.replace_person {
            // The page asks for that only where it is closed to strangers, so that it is not left to it.
            let is_taken = beside::is_taken(redirect_uri).await;
            return Ok(if is_taken { Way::Paste } else { Way::Browser });
        }
        beside::way(store, name, redirect_uri).await
    }

    /// Has a person consent, and stores what comes of it.
    async fn sign_in(
        &self,
        store: &Store,
        name: &str,
        oauth_client: &Arc<OAuthClient>,
        transport: &Arc<Transport>,
        has_browser: bool,
    ) -> anyhow::Result<Tokens> {
        let login = Arc::new(auth::Login::begin(oauth_client).await?);
        let complete = async |answer| {
            let completion = Completion {
                login: Arc::clone(&login),
                store: store.clone(),
                transport: Arc::clone(transport),
                account: name.to_owned(),
                replaces: if self.replace_person { Replaces::Anybody } else { Replaces::SamePerson },
            };
            completion.by(answer).await
        };
        let (tokens, doubts) = if !has_browser {
            println!("Open this address in a browser, on any device, and consent:\n\n{}\n", login.url);
            println!(
                "Then paste the address that the browser was sent to (it does not have to load), and press \
                      Enter:"
            );
            auth::Login::by_paste(&complete).await?
        } else {
            login.by_browser(|url| open(url, &oauth_client.application().redirect_uri), &complete).await?
        };
        for doubt in doubts {
            println!("\nWarning: {doubt}.");
        }
        Ok(tokens)
    }
}

/// Opens the consent page; where this machine has no browser, says how one elsewhere does it.
fn open(url: &Url, redirect_uri: &str) {
    println!("The browser opens Oura's page. If it does not, open this address on this machine:\n\n{url}\n");
    // A system without a screen may still say that it has opened one.
    let has_screen =
        ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| env::var_os(name).is_some_and(|screen| !screen.is_empty()));
    let is_elsewhere = env::var_os("SSH_CONNECTION").is_some() || (cfg!(target_os = "linux") && !has_screen);
    if webbrowser::open(url.as_str()).is_err() || is_elsewhere {
        let port = Url::parse(redirect_uri).ok().and_then(|uri| uri.port_or_known_default()).unwrap_or_default();
        println!(
            "No browser here? Open it on any device, and paste the address at which it ends (it does not have to \
             load) here.\n\
             Or let your own computer's browser return here by itself; on that computer, first run: \
             ssh -L {port}:localhost:{port} {}\n",
            this_machine()
        );
    }
}

/// This machine as ssh elsewhere calls it: as the one that reached it did, if one did.
fn this_machine() -> String {
    let user = env::var("USER").unwrap_or_else(|_| "YOU".to_owned());
    let reached = env::var("SSH_CONNECTION").ok().and_then(|ends| ends.split(' ').nth(2).map(str::to_owned));
    format!("{user}@{}", reached.unwrap_or_else(|| "THIS-MACHINE".to_owned()))
}

/// Asks every collection once, and says which the account may read, and what it takes to read the rest.
async fn try_out(config: &Config, transport: Arc<Transport>, name: &str, tokens: Tokens) -> anyhow::Result<()> {
    let grant = tokens.grant();
    if grant.scopes.is_none() {
        println!("Oura did not say which scopes were granted; each collection is tried instead.");
    }
    let client = Client::new(transport, TokenSource::Fixed(tokens.access));
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
        auth::signed_in(store, &self.account)?;
        match auth::log_out(store, oauth_client(sign_in)?.as_ref(), &self.account).await? {
            Revoked::Confirmed => println!("Access for {} is revoked at Oura.", self.account),
            Revoked::NotConfirmed(error) => {
                println!("Oura does not confirm ({error}); revoke the application in the Oura app, too.");
            }
        }
        samples::forget_journals(store.directory(), &self.account).with_context(|| {
            let directory = store.directory().join("samples");
            format!("the sign-in is forgotten, but the account's record is not: remove it from {}", directory.display())
        })?;
        println!("Account {} is forgotten here.", self.account);
        Ok(())
    }
}

/// The table of those who are signed in, in all shards.
fn accounts(sign_in: &SignIn, shard: Shard) -> anyhow::Result<()> {
    let store = store(sign_in)?;
    let Listing { accounts: names, warnings, .. } = store.list()?;
    let mut out = io::stdout().lock();
    for warning in warnings {
        writeln!(out, "{warning}")?;
    }
    if names.is_empty() {
        writeln!(out, "Nobody is signed in. Run: oura-exporter login")?;
        return Ok(());
    }
    let of = |shown: String| if shard.is_one_of_several() { format!("{shown:9} ") } else { String::new() };
    let (account, since, last, expires) = ("ACCOUNT", "SIGNED IN SINCE", "TOKEN ISSUED", "TOKEN EXPIRES");
    writeln!(out, "{account:16} {}{since:17} {last:17} {expires:17} SCOPES", of("SHARD".to_owned()))?;
    let mut bad = 0;
    for name in names {
        match store.read(&name) {
            Ok(Some(tokens)) => writeln!(out, "{name:16} {}{}", of(shard.of(&name).to_string()), row(&tokens))?,
            Ok(None) => {}
            Err(error) => {
                bad += 1;
                writeln!(out, "{name:16} {error}")?;
            }
        }
    }
    for line in of_persons(store) {
        writeln!(out, "{line}")?;
    }
    anyhow::ensure!(bad == 0, "{bad} of the accounts cannot be used");
    Ok(())
}

/// What is said of accounts that are one person's, and of those of which nobody knows whose they are.
pub(super) fn of_persons(store: &Store) -> impl Iterator<Item = String> {
    let unsaid = store.unsaid().into_iter().map(|name| format!("Account {name}: {}", Doubt::Unsaid));
    store.namesakes().into_iter().map(|names| auth::one_person(&names)).chain(unsaid)
}

fn row(tokens: &Tokens) -> String {
    let time = |time: DateTime<Utc>| time.format("%Y-%m-%d %H:%MZ").to_string();
    let expires = match tokens.expires_at {
        Some(end) if tokens.has_expired(Utc::now()) => format!("expired {}", end.format("%m-%d %H:%M")),
        Some(end) => time(end),
        None => "unknown".to_owned(),
    };
    let scopes = tokens.scopes.as_ref().map_or_else(|| "unknown".to_owned(), |scopes| scopes.join(" "));
    format!("{:17} {:17} {expires:17} {scopes}", time(tokens.signed_in_at), time(tokens.issued_at))
}

fn transport(config: &Config) -> anyhow::Result<Arc<Transport>> {
    let (client_options, clock) = (ClientOptions::default(), Clock::system());
    let transport = Transport::new(&config.api_url, config.sandbox, client_options, clock, ApiStats::new()?)?;
    Ok(Arc::new(transport.within(config.request_budget)))
}

fn store(sign_in: &SignIn) -> anyhow::Result<&Store> {
    sign_in.store.as_ref().context(config::NO_PLACE_FOR_TOKENS)
}

fn oauth_client(sign_in: &SignIn) -> anyhow::Result<Arc<OAuthClient>> {
    let application = sign_in.application.clone().context(
        "OURA_CLIENT_ID, OURA_CLIENT_SECRET: not set; register an application at Oura and set both (the README shows how)",
    )?;
    Ok(Arc::new(OAuthClient::new(sign_in.legacy.clone(), sign_in.new.clone(), application)?))
}
