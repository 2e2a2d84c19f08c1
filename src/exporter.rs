//! The exporter put together: transport, snapshot, poller and page, until somebody asks it to stop.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use hyper::{Request, body::Incoming};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};
use tracing::{debug, info, warn};

use crate::{
    auth::{Announced, OAuthClient, Running, Store, StoreHealth, StoreStats, TokenFile, TokenManager, TokenSource},
    clock::Clock,
    config::{self, AccountConfig, Config},
    hosts::Hosts,
    http::{self, InTheOpen},
    oura::{Client, ClientOptions, Transport},
    page::{Others, Page},
    poll::{Account, Directory, Poller, Roster},
    remote_write::{Live, LiveStats, Receiver},
    samples::{JournalIn, SampleStats, Samples},
    server::Server,
    sign_in::{Guard, SignInPages, Way},
    state::{AccountState, Snapshot},
    status::ApiStats,
    web_config::{self, WebConfig},
    webhooks::Webhooks,
};

/// How long a remote write that is under way at the stop may take.
const SENDING_GRACE: Duration = Duration::from_millis(1_000);
/// How long a remote-write receiver is waited for.
pub(crate) const RECEIVER_TIMEOUT: Duration = Duration::from_secs(30);
pub(crate) const NO_HTTPS: &str =
    "no HTTPS client: the system has no CA certificates; install the package ca-certificates";

/// An exporter that is put together and does not run yet.
pub struct Exporter {
    /// What answers requests.
    pub server: Arc<Server>,
    /// What asks Oura.
    pub poller: Poller,
    /// Whom it asks for.
    pub accounts: Roster,
    /// What sends the record on, where it is sent.
    pub live: Option<Live>,
    /// What Oura tells by itself, where it does.
    pub webhooks: Option<Webhooks>,
    /// Says in the state directory that it runs, and where: `login` finds it by that.
    pub announced: Option<Announced>,
}

impl Exporter {
    /// The exporter of `config`, which is to serve at `address`.
    ///
    /// # Errors
    /// Where it cannot be put together.
    pub fn new(
        config: Config,
        address: SocketAddr,
        clock: Clock,
        client_options: ClientOptions,
    ) -> anyhow::Result<Self> {
        let (stats, shard) = (own_stats(&config)?, config.shard);
        let kinds: Arc<[_]> = config.collections.clone().into();
        let (interval, stale_after) = (config.poll_interval, config.stale_after);
        let (samples, live, mut others) = record(&config, &clock)?;
        let webhooks = webhooks(&config, &clock, &mut others)?;
        if let Some(store) = config.sign_in.store.clone().filter(Store::is_shared) {
            others.collectors.push(Box::new(StoreStats::of(store)?));
        }
        let inbox = webhooks.as_ref().map(|webhooks| Arc::clone(&webhooks.inbox));
        let served = samples.clone().filter(|_| config.samples.served);
        let hosts = Hosts::new(address, &config.listen_address, config.allowed_hosts.clone());
        let external = config.external_url.clone();
        let hosts = hosts.behind(external.host());
        let web = config.web.clone();
        let has_basic_auth = web.as_ref().is_some_and(|web| web.has_basic_auth());
        let redirect_uri = config.sign_in.redirect_uri.clone();
        let transport = transport(&config, &stats, &clock, client_options)?;
        let webhooks = webhooks.map(|webhooks| webhooks.paid_by(transport.payer()));
        let oauth_client = oauth_client(&config, &transport)?;
        let guard = guard(&config, address);
        let store = config.sign_in.store.clone().filter(|_| oauth_client.is_some());
        let health = store.map(|store| Arc::new(StoreHealth::of(store)));
        let way = way(&config, oauth_client.as_ref(), &transport, guard);
        let home = home(address, web.as_deref());
        let announced = config.sign_in.store.as_ref().and_then(|store| announced(store, &home, way.shut(), guard));
        let accounts = roster(config, oauth_client, health.as_deref(), &transport, &clock);
        let states = accounts.names().map(|name| AccountState::new(name, &kinds));
        let snapshot = Arc::new(Snapshot::new(states, clock.clone(), stale_after));
        let page = Page::new(Arc::clone(&snapshot), stats.clone(), others)?;
        let is_encrypted = web.as_ref().is_some_and(|web| web.is_encrypted());
        let sign_in = SignInPages::new(way, &redirect_uri, Arc::clone(&snapshot), accounts.look(), clock.clone());
        let sign_in = sign_in.below(external.root()).with_store_health(health.clone()).of_shard(shard);
        let sign_in = sign_in.at(address.port(), is_encrypted);
        let record = samples.clone();
        let poller =
            Poller { snapshot: Arc::clone(&snapshot), kinds, interval, client_options, clock, stats, samples, inbox };
        let (sign_in, samples) = (Some(Arc::new(sign_in)), served);
        let server =
            Server { snapshot, page, samples, record, hosts, external, home, sign_in, health, web, has_basic_auth };
        Ok(Self { server: Arc::new(server), poller, accounts, live, webhooks, announced })
    }

    /// Polls, sends, and serves on `listener` until `shutdown` resolves.
    ///
    /// # Errors
    /// Where a part of it ends by a defect.
    pub async fn run(self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Self { server, poller, accounts, live, webhooks, announced: _announced } = self;
        let (stop_sending, stopped) = watch::channel(false);
        let (hang_up, hung_up) = watch::channel(());
        let listening = match webhooks {
            Some(webhooks) => Some(listen(webhooks, hung_up).await?),
            None => None,
        };
        let sending = live.map(|live| tokio::spawn(live.run(stopped)));
        tell_where(listener.local_addr()?, server.web.as_deref());
        if server.snapshot.is_empty() && server.sign_in.as_ref().is_some_and(|sign_in| sign_in.is_open()) {
            info!("nobody has signed in; open {}", server.home);
        }
        let samples = poller.samples.clone();
        let ended = tokio::select! {
            () = serve(server, listener, shutdown) => Ok(()),
            ended = poller.run(accounts) => ended.context("polling stopped because of a defect"),
        };
        drop(hang_up);
        stop_sending.send_replace(true);
        if let Some(sending) = sending
            && timeout(SENDING_GRACE, sending).await.is_err()
        {
            debug!("a remote write is still under way; what is not settled is sent again");
        }
        if let Some(samples) = samples {
            samples.close();
        }
        if let Some(listening) = listening {
            // It drains by itself within seconds, and a defect in it is nobody else's.
            let _ended = listening.await;
        }
        ended
    }
}

/// Serves on `listener` until `shutdown` resolves, by the web configuration where there is one.
pub async fn serve(server: Arc<Server>, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let encryption = server.web.clone().and_then(web_config::encryption);
    let answer = move |request: Request<Incoming>| {
        let server = Arc::clone(&server);
        async move {
            if request.extensions().get::<InTheOpen>().is_some() {
                return server.receive_in_the_open(&request).await;
            }
            let Some(web) = server.web.clone() else { return server.receive(request).await };
            let settings = web.settings().await;
            let mut answer = match web.admit(&settings, &request).await {
                Ok(()) => server.receive(request).await,
                Err(refusal) => *refusal,
            };
            settings.tell(&mut answer);
            answer
        }
    };
    http::serve_over(encryption, listener, answer, shutdown).await;
}

/// Answers at the callback of webhooks until `hung_up` ends, and keeps the subscriptions, for which Oura asks the callback.
async fn listen(webhooks: Webhooks, mut hung_up: watch::Receiver<()>) -> anyhow::Result<JoinHandle<()>> {
    let Webhooks { listen_address, callback, keeper, .. } = webhooks;
    let listener = TcpListener::bind(&listen_address).await.with_context(|| {
        format!("cannot listen on {listen_address} for webhooks; stop what listens there or set OURA_WEBHOOK_LISTEN")
    })?;
    info!("webhooks are answered at {}", listener.local_addr()?);
    let answer = move |request: Request<Incoming>| {
        let callback = Arc::clone(&callback);
        async move { callback.answer(request).await }
    };
    let keeping = tokio::spawn(keeper.run());
    Ok(tokio::spawn(async move {
        // An error says that nobody holds the other end any more, which is the stop.
        let stop = async move { while hung_up.changed().await.is_ok() {} };
        http::serve(listener, answer, stop).await;
        keeping.abort();
    }))
}

/// Polls the configured accounts and serves the page on `listener` until `shutdown` resolves.
///
/// # Errors
/// Where the exporter cannot be put together, or a part of it ends by a defect.
pub async fn run(
    config: Config,
    listener: TcpListener,
    clock: Clock,
    client_options: ClientOptions,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    Exporter::new(config, listener.local_addr()?, clock, client_options)?.run(listener, shutdown).await
}

/// The exporter's own metrics; where others show a part of the accounts, which part this one shows.
fn own_stats(config: &Config) -> anyhow::Result<ApiStats> {
    let (stats, shard) = (ApiStats::new()?, config.shard);
    stats.expect(&config.collections);
    if !shard.is_one_of_several() {
        return Ok(stats);
    }
    stats.is_shard(shard);
    info!("this is shard {shard} (OURA_SHARD): it shows its part of the accounts");
    for AccountConfig { name, .. } in config.accounts.iter().filter(|account| !shard.has(&account.name)) {
        info!(account = name, "the account of OURA_ACCESS_TOKEN is shown by shard {}", shard.of(name));
    }
    Ok(stats)
}

/// Says where the page is, and who can read it there.
fn tell_where(address: SocketAddr, web: Option<&WebConfig>) {
    let is_encrypted = web.is_some_and(WebConfig::is_encrypted);
    info!("serving {}://{address}/metrics", if is_encrypted { "https" } else { "http" });
    if address.ip().to_canonical().is_loopback() {
        return;
    }
    if !web.is_some_and(WebConfig::is_closed) {
        warn!(
            "{address} is open beyond this machine: anyone who reaches it can read the health data without a password; \
             let only Prometheus reach it, set a password with OURA_WEB_CONFIG_FILE, or set \
             OURA_LISTEN_ADDRESS=127.0.0.1:{}",
            address.port()
        );
    } else if !is_encrypted {
        warn!(
            "{address} is open beyond this machine and not encrypted: anyone who listens on the network can read the \
             password and the health data; set tls_server_config in the web configuration, or put a TLS proxy in \
             front"
        );
    }
}

/// The record, if anybody wants it; what sends it on; and what they tell of themselves.
type Kept = (Option<Arc<Samples>>, Option<Live>, Others);

fn record(config: &Config, clock: &Clock) -> anyhow::Result<Kept> {
    let wanted = &config.samples;
    if !wanted.served && wanted.remote_write_url.is_none() {
        return Ok((None, None, Others::default()));
    }
    let store = config.sign_in.store.clone();
    let state = store.as_ref().map(|store| store.directory().to_owned());
    let journals = if wanted.is_made_up { JournalIn::Nowhere } else { JournalIn::State(store) };
    let stats = SampleStats::new()?;
    let samples = Arc::new(Samples::new(journals, stats.clone()));
    let mut others = Others { by_account: stats.by_account(), ..Others::default() };
    let Some(url) = &wanted.remote_write_url else { return Ok((Some(samples), None, others)) };
    let live = Live {
        samples: Arc::clone(&samples),
        receiver: Receiver::new(url, wanted.access.clone(), RECEIVER_TIMEOUT).context(NO_HTTPS)?,
        target: wanted.target.clone(),
        state,
        shard: config.shard,
        clock: clock.clone(),
        stats: LiveStats::new()?,
    };
    others.collectors.push(Box::new(live.stats.clone()));
    Ok((Some(samples), Some(live), others))
}

/// What Oura tells by itself, where it does; what it tells of itself goes to `others`.
fn webhooks(config: &Config, clock: &Clock, others: &mut Others) -> anyhow::Result<Option<Webhooks>> {
    let Some(place) = config.webhooks.clone() else { return Ok(None) };
    let webhooks = Webhooks::new(place, &config.api_url, &config.collections, clock)?;
    others.collectors.push(Box::new(webhooks.stats.clone()));
    Ok(Some(webhooks))
}

/// Says in the state directory that an exporter runs, whose page is at `home`. Where that cannot be said, `login` finds the
/// port taken and asks what to do.
fn announced(store: &Store, home: &str, shut: Option<&str>, guard: Guard) -> Option<Announced> {
    let running = Running { page: home.to_owned(), shut: shut.map(str::to_owned), renews: guard.is_trusted };
    store.announce(&running).inspect_err(|error| debug!(%error, "cannot store that an exporter is running")).ok()
}

/// What may be done by whoever reaches the page at `address`.
fn guard(config: &Config, address: SocketAddr) -> Guard {
    let has_basic_auth = config.web.as_ref().is_some_and(|web| web.has_basic_auth());
    let is_shown_elsewhere = config.external_url.host().is_some() || !config.allowed_hosts.is_empty();
    Guard::new(address, has_basic_auth, is_shown_elsewhere)
}

/// The address of the landing page, as a browser on this machine asks for it.
fn home(address: SocketAddr, web: Option<&WebConfig>) -> String {
    let scheme = if web.is_some_and(WebConfig::is_encrypted) { "https" } else { "http" };
    let ip = address.ip().to_canonical();
    let is_localhost = ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST || ip.is_unspecified();
    let host = if is_localhost { "localhost".to_owned() } else { bracketed(ip) };
    format!("{scheme}://{host}:{}/", address.port())
}

fn bracketed(ip: IpAddr) -> String {
    if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() }
}

/// How people sign in on the page, on which `guard` says what they may do.
fn way(config: &Config, oauth_client: Option<&Arc<OAuthClient>>, transport: &Arc<Transport>, guard: Guard) -> Way {
    let sign_in = &config.sign_in;
    match (&sign_in.store, oauth_client) {
        (None, _) if config.samples.is_made_up => {
            Way::Shut("nobody can sign in at the demo unless it was started with oura-exporter demo --sign-in")
        }
        _ if !sign_in.on_the_page => Way::Shut(
            "signing in on this page is turned off (OURA_WEB_SIGN_IN=false); run: oura-exporter login --no-browser",
        ),
        (None, _) => Way::Shut("nobody can sign in here, because there is no place for tokens; set OURA_STATE_DIR"),
        (Some(_), None) => Way::Unregistered,
        (Some(store), Some(oauth_client)) => Way::Open {
            oauth_client: Arc::clone(oauth_client),
            store: store.clone(),
            transport: Arc::clone(transport),
            taken: config.accounts.iter().map(|account| account.name.clone()).collect(),
            guard,
        },
    }
}

/// The accounts of the configuration, each with its way to Oura.
///
/// # Errors
/// Where the system has no certificate authorities to trust.
pub fn accounts(
    config: Config,
    stats: &ApiStats,
    clock: &Clock,
    client_options: ClientOptions,
) -> anyhow::Result<Vec<Account>> {
    let transport = transport(&config, stats, clock, client_options)?;
    let oauth_client = oauth_client(&config, &transport)?;
    Ok(accounts_by(config, &transport, oauth_client.as_ref(), clock))
}

/// The same, and those who sign in while the exporter runs.
fn roster(
    config: Config,
    oauth_client: Option<Arc<OAuthClient>>,
    health: Option<&StoreHealth>,
    transport: &Arc<Transport>,
    clock: &Clock,
) -> Roster {
    let trouble = health.and_then(StoreHealth::trouble).map(|trouble| trouble.to_string());
    let directory = config.sign_in.store.clone().zip(oauth_client.clone()).map(|(store, oauth_client)| Directory {
        store,
        oauth_client,
        transport: Arc::clone(transport),
        clock: clock.clone(),
        taken: config.accounts.iter().map(|account| account.name.clone()).collect(),
        shard: config.shard,
        told: config.warnings.iter().cloned().chain(trouble).collect(),
        signed_in: Arc::default(),
        seen: None,
        refused: BTreeMap::new(),
    });
    Roster::new(accounts_by(config, transport, oauth_client.as_ref(), clock), directory)
}

fn transport(
    config: &Config,
    stats: &ApiStats,
    clock: &Clock,
    client_options: ClientOptions,
) -> anyhow::Result<Arc<Transport>> {
    let transport = Transport::new(&config.api_url, config.sandbox, client_options, clock.clone(), stats.clone());
    Ok(Arc::new(transport.context(NO_HTTPS)?.within(config.request_budget)))
}

/// Who renews tokens, where there is an application in whose name.
fn oauth_client(config: &Config, transport: &Arc<Transport>) -> anyhow::Result<Option<Arc<OAuthClient>>> {
    let sign_in = &config.sign_in;
    let Some(application) = &sign_in.application else { return Ok(None) };
    let oauth_client = OAuthClient::new(sign_in.legacy.clone(), sign_in.new.clone(), application.clone());
    Ok(Some(Arc::new(oauth_client.context(NO_HTTPS)?.counted_by(transport.counter()))))
}

fn accounts_by(
    config: Config,
    transport: &Arc<Transport>,
    oauth_client: Option<&Arc<OAuthClient>>,
    clock: &Clock,
) -> Vec<Account> {
    let mut accounts = Vec::new();
    let mut add = |name: String, source| {
        let client = Arc::new(Client::new(Arc::clone(transport), source));
        accounts.push(Account { name, client });
    };
    for account in config.accounts.into_iter().filter(|account| config.shard.has(&account.name)) {
        let source = match &config.token_file {
            Some(path) => TokenSource::File(TokenFile::new(path.clone(), account.token, config::access_token_in)),
            None => TokenSource::Fixed(account.token),
        };
        add(account.name, source);
    }
    if let (Some(store), Some(oauth_client)) = (&config.sign_in.store, oauth_client) {
        for name in config.signed_in {
            let token_manager = TokenManager::new(&name, store.clone(), Arc::clone(oauth_client), clock.clone());
            add(name, TokenSource::Kept(token_manager.of(None)));
        }
    }
    accounts
}
