//! The exporter put together: transport, board, poller and page, until somebody asks it to stop.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tracing::info;

use crate::{
    clock::Clock,
    config::Config,
    http,
    latest::{AccountState, Board, Page},
    oura::{Client, Patience, Transport},
    poll::{Account, Poller},
    server::Server,
    status::ApiStats,
};

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
    let transport = Transport::new(&config.api_url, config.sandbox, patience, clock.clone(), stats.clone())
        .context("no HTTPS client: the system has no CA certificates; install the package ca-certificates")?;
    let transport = Arc::new(transport);
    let kinds: Arc<[_]> = config.collections.into();
    let states = config.accounts.iter().map(|account| AccountState::new(&account.name, &kinds)).collect();
    let board = Arc::new(Board::new(states, clock.clone(), config.stale_after));
    let page = Page::new(Arc::clone(&board), stats.clone())?;
    let accounts = config.accounts.into_iter().map(|account| {
        let client = Arc::new(Client::new(Arc::clone(&transport), account.token));
        Account { name: account.name, client }
    });
    let poller = Poller { board: Arc::clone(&board), kinds, interval: config.poll_interval, patience, clock, stats };
    let server = Arc::new(Server { board, page });
    info!("serving http://{}/metrics", listener.local_addr()?);
    let answer = move |request| {
        let server = Arc::clone(&server);
        async move { server.answer(&request) }
    };
    tokio::select! {
        () = http::serve(listener, answer, shutdown) => Ok(()),
        ended = poller.run(accounts.collect()) => ended.context("polling ended by a defect"),
    }
}
