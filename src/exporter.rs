//! The exporter put together: transport, board, poller and page, until somebody asks it to stop.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use futures_util::future::join_all;
use tokio::{net::TcpListener, sync::watch, time::timeout};
use tracing::{debug, info, warn};

use crate::{
    auth::{Authority, Keeper, TokenSource},
    clock::Clock,
    config::Config,
    history::{LIVE_DEPTH, Live, LiveStats, PAGE_DEPTH, Receiver, Recent},
    hosts::Hosts,
    http,
    latest::{AccountState, Board, Page},
    oura::{Client, Patience, Transport},
    poll::{Account, Poller},
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
    let stats = ApiStats::new()?;
    stats.expect(&config.collections);
    let kinds: Arc<[_]> = config.collections.clone().into();
    let (interval, stale_after) = (config.poll_interval, config.stale_after);
    let (recent, live) = history(&config, &clock)?;
    let stats_of_live = live.as_ref().map(|live| live.stats.clone());
    let samples = recent.clone().filter(|_| config.history.samples);
    let address = listener.local_addr()?;
    let hosts = Hosts::new(address, &config.listen_address, config.allowed_hosts.clone());
    let accounts = accounts(config, &stats, &clock, patience)?;
    let states = accounts.iter().map(|account| AccountState::new(&account.name, &kinds)).collect();
    let board = Arc::new(Board::new(states, clock.clone(), stale_after));
    let page = Page::new(Arc::clone(&board), stats.clone(), stats_of_live)?;
    let poller = Poller { board: Arc::clone(&board), kinds, interval, patience, clock, stats, samples: recent };
    let server = Arc::new(Server { board, page, samples, hosts });
    let (stop_sending, stopped) = watch::channel(false);
    let sending = live.map(|live| tokio::spawn(live.run(stopped)));
    tell_where(address);
    let answer = move |request| {
        let server = Arc::clone(&server);
        async move { server.answer(&request) }
    };
    let clients: Vec<_> = accounts.iter().map(|account| Arc::clone(&account.client)).collect();
    let ended = tokio::select! {
        () = http::serve(listener, answer, shutdown) => Ok(()),
        ended = poller.run(accounts) => ended.context("polling ended by a defect"),
    };
    stop_sending.send_replace(true);
    if let Some(sending) = sending
        && timeout(SENDING_GRACE, sending).await.is_err()
    {
        debug!("a remote write is still under way; what is not settled is sent again");
    }
    let settled = join_all(clients.iter().map(|client| client.source().settle()));
    if timeout(RENEWAL_GRACE, settled).await.is_err() {
        warn!("a renewal of a sign-in is still under way; if it is lost, sign in again");
    }
    ended
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

/// What keeps the samples of the last days, if anybody wants them, and what sends them on.
fn history(config: &Config, clock: &Clock) -> anyhow::Result<(Option<Arc<Recent>>, Option<Live>)> {
    let history = &config.history;
    let Some(url) = &history.remote_write_url else {
        return Ok((history.samples.then(|| Arc::new(Recent::new(PAGE_DEPTH))), None));
    };
    let recent = Arc::new(Recent::new(LIVE_DEPTH));
    let live = Live {
        recent: Arc::clone(&recent),
        receiver: Receiver::new(url, history.access.clone(), RECEIVER_TIMEOUT).context(NO_HTTPS)?,
        target: history.target.clone(),
        state: config.sign_in.store.as_ref().map(|store| store.directory().to_owned()),
        clock: clock.clone(),
        stats: LiveStats::new()?,
    };
    Ok((Some(recent), Some(live)))
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
