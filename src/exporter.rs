//! The exporter put together: transport, board, poller and page, until somebody asks it to stop.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use futures_util::future::join_all;
use prometheus::core::Collector;
use tokio::{net::TcpListener, sync::watch, time::timeout};
use tracing::{debug, info, warn};

use crate::{
    auth::{Authority, Keeper, TokenSource},
    clock::Clock,
    config::Config,
    hosts::Hosts,
    http,
    latest::{AccountState, Board, Page},
    oura::{Client, Patience, Transport},
    poll::{Account, Poller},
    remote_write::{Live, LiveStats, Receiver},
    samples::{JournalIn, SampleStats, Samples},
    server::Server,
    status::ApiStats,
};

/// How long a remote write that is under way at the stop may take.
const SENDING_GRACE: Duration = Duration::from_millis(1_000);
/// How long a renewal that is under way at the stop may take.
const RENEWAL_GRACE: Duration = Duration::from_millis(1_500);
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
    pub accounts: Vec<Account>,
    /// What sends the record on, where it is sent.
    pub live: Option<Live>,
}

impl Exporter {
    /// The exporter of `config`, which is to serve at `address`.
    ///
    /// # Errors
    /// Where it cannot be put together.
    pub fn new(config: Config, address: SocketAddr, clock: Clock, patience: Patience) -> anyhow::Result<Self> {
        let stats = ApiStats::new()?;
        stats.expect(&config.collections);
        let kinds: Arc<[_]> = config.collections.clone().into();
        let (interval, stale_after) = (config.poll_interval, config.stale_after);
        let (samples, live, collectors) = record(&config, &clock)?;
        let served = samples.clone().filter(|_| config.samples.served);
        let hosts = Hosts::new(address, &config.listen_address, config.allowed_hosts.clone());
        let accounts = accounts(config, &stats, &clock, patience)?;
        let states = accounts.iter().map(|account| AccountState::new(&account.name, &kinds)).collect();
        let board = Arc::new(Board::new(states, clock.clone(), stale_after));
        let page = Page::new(Arc::clone(&board), stats.clone(), collectors)?;
        let poller = Poller { board: Arc::clone(&board), kinds, interval, patience, clock, stats, samples };
        let server = Arc::new(Server { board, page, samples: served, hosts });
        Ok(Self { server, poller, accounts, live })
    }

    /// Polls, sends, and serves on `listener` until `shutdown` resolves.
    ///
    /// # Errors
    /// Where a part of it ends by a defect.
    pub async fn run(self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Self { server, poller, accounts, live } = self;
        let (stop_sending, stopped) = watch::channel(false);
        let sending = live.map(|live| tokio::spawn(live.run(stopped)));
        tell_where(listener.local_addr()?);
        let clients: Vec<_> = accounts.iter().map(|account| Arc::clone(&account.client)).collect();
        let samples = poller.samples.clone();
        let ended = tokio::select! {
            () = serve(server, listener, shutdown) => Ok(()),
            ended = poller.run(accounts) => ended.context("polling ended by a defect"),
        };
        stop_sending.send_replace(true);
        if let Some(sending) = sending
            && timeout(SENDING_GRACE, sending).await.is_err()
        {
            debug!("a remote write is still under way; what is not settled is sent again");
        }
        if let Some(samples) = samples {
            samples.close();
        }
        let settled = join_all(clients.iter().map(|client| client.source().settle()));
        if timeout(RENEWAL_GRACE, settled).await.is_err() {
            warn!("a renewal of a sign-in is still under way; if it is lost, sign in again");
        }
        ended
    }
}

/// Serves on `listener` until `shutdown` resolves.
pub async fn serve(server: Arc<Server>, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let answer = move |request| {
        let server = Arc::clone(&server);
        async move { server.answer(&request) }
    };
    http::serve(listener, answer, shutdown).await;
}

/// Polls the configured accounts and serves the page on `listener` until `shutdown` resolves.
///
/// # Errors
/// Where the exporter cannot be put together, or a part of it ends by a defect.
pub async fn run(
    config: Config,
    listener: TcpListener,
    clock: Clock,
    patience: Patience,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    Exporter::new(config, listener.local_addr()?, clock, patience)?.run(listener, shutdown).await
}

/// Says where the page is, and who can read it there.
fn tell_where(address: SocketAddr) {
    info!("serving http://{address}/metrics");
    if !address.ip().to_canonical().is_loopback() {
        warn!(
            "{address} is open beyond this machine: whoever reaches it reads the health data, without a password; let only \
             Prometheus reach it, or set OURA_LISTEN_ADDRESS=127.0.0.1:{}",
            address.port()
        );
    }
}

/// The record, if anybody wants it; what sends it on; and what they tell of themselves.
type Kept = (Option<Arc<Samples>>, Option<Live>, Vec<Box<dyn Collector>>);

fn record(config: &Config, clock: &Clock) -> anyhow::Result<Kept> {
    let wanted = &config.samples;
    if !wanted.served && wanted.remote_write_url.is_none() {
        return Ok((None, None, vec![]));
    }
    let state = config.sign_in.store.as_ref().map(|store| store.directory().to_owned());
    let journals = if wanted.is_made_up { JournalIn::Nowhere } else { JournalIn::State(state.clone()) };
    let stats = SampleStats::new()?;
    let samples = Arc::new(Samples::new(journals, stats.clone()));
    let mut collectors: Vec<Box<dyn Collector>> = vec![Box::new(stats)];
    let Some(url) = &wanted.remote_write_url else { return Ok((Some(samples), None, collectors)) };
    let live = Live {
        samples: Arc::clone(&samples),
        receiver: Receiver::new(url, wanted.access.clone(), RECEIVER_TIMEOUT).context(NO_HTTPS)?,
        target: wanted.target.clone(),
        state,
        clock: clock.clone(),
        stats: LiveStats::new()?,
    };
    collectors.push(Box::new(live.stats.clone()));
    Ok((Some(samples), Some(live), collectors))
}

/// The accounts of the configuration, each with its way to Oura.
///
/// # Errors
/// Where the system has no certificate authorities to trust.
pub fn accounts(config: Config, stats: &ApiStats, clock: &Clock, patience: Patience) -> anyhow::Result<Vec<Account>> {
    let transport = Transport::new(&config.api_url, config.sandbox, patience, clock.clone(), stats.clone());
    let transport = Arc::new(transport.context(NO_HTTPS)?);
    let account = |(name, source)| {
        let client = Arc::new(Client::new(Arc::clone(&transport), source));
        Account { name, client }
    };
    let kept = kept(&config, clock)?;
    let fixed = config.accounts.into_iter().map(|account| (account.name, TokenSource::Fixed(account.token)));
    Ok(fixed.chain(kept).map(account).collect())
}

/// Those whose tokens a sign-in gave.
fn kept(config: &Config, clock: &Clock) -> anyhow::Result<Vec<(String, TokenSource)>> {
    let sign_in = &config.sign_in;
    let (Some(store), Some(application)) = (&sign_in.store, &sign_in.application) else { return Ok(vec![]) };
    let authority = Authority::new(sign_in.legacy.clone(), sign_in.new.clone(), application.clone());
    let authority = Arc::new(authority.context(NO_HTTPS)?);
    let keeper = |name: &String| Keeper::new(name, store.clone(), Arc::clone(&authority), clock.clone());
    let source = |name: &String| (name.clone(), TokenSource::Kept(keeper(name)));
    Ok(config.signed_in.iter().map(source).collect())
}
