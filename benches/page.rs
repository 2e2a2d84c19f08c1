//! What a poll and a scrape cost: reading answers, making the page of two people, and sending it again unchanged.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use chrono::TimeDelta;
use divan::{Bencher, black_box, counter::BytesCount};
use hyper::{
    Request,
    header::{ACCEPT_ENCODING, HOST},
};
use oura_exporter::{
    auth::TokenSource,
    clock::Clock,
    config::ExternalUrl,
    documents::{KINDS, Kind, kind},
    hosts::Hosts,
    http,
    observation::Known,
    oura::{Client, ClientOptions, Transport},
    page::{Others, Page},
    poll::{Account, Poller},
    server::Server,
    simulator::{Settings, Simulator, Wearer},
    state::{AccountState, Snapshot},
    status::ApiStats,
};
use serde_json::value::RawValue;
use tokio::{runtime::Runtime, time::sleep};

/// Noon UTC of a Sunday.
const NOON: &str = "2026-11-22T12:00:00Z";
/// What a poll asks for at that time: the answers of a few days, and a whole day of heart rates.
const ANSWERS: [(&str, [(&str, &str); 2]); 3] = [
    ("daily_activity", [("start_date", "2026-11-18"), ("end_date", "2026-11-25")]),
    ("sleep", [("start_date", "2026-11-18"), ("end_date", "2026-11-25")]),
    ("heartrate", [("start_datetime", "2026-11-21T12:00:00Z"), ("end_datetime", "2026-11-22T12:00:00Z")]),
];

static SERVER: LazyLock<Server> = LazyLock::new(|| on_runtime(server()));

fn on_runtime<T>(made: impl Future<Output = anyhow::Result<T>>) -> T {
    Runtime::new().expect("a runtime").block_on(made).expect("what is to be measured")
}

fn clock() -> Clock {
    Clock::at(NOON.parse().expect("a moment"))
}

async fn simulator() -> std::io::Result<Simulator> {
    Simulator::start(Settings { clock: clock().into(), ..Settings::default() }).await
}

/// Everybody's way to their data.
fn clients(simulator: &Simulator, stats: &ApiStats) -> anyhow::Result<Vec<Account>> {
    let transport = Transport::new(&simulator.url(), false, ClientOptions::default(), clock(), stats.clone())?;
    let transport = Arc::new(transport);
    let account = |Wearer { name, token }| {
        let client = Arc::new(Client::new(Arc::clone(&transport), TokenSource::Fixed(token.into())));
        Account { name: name.to_owned(), client }
    };
    Ok(simulator.people().into_iter().map(account).collect())
}

/// A server whose snapshot shows what everybody's first poll finds.
async fn server() -> anyhow::Result<Server> {
    let (simulator, stats) = (simulator().await?, ApiStats::new()?);
    let accounts = clients(&simulator, &stats)?;
    let kinds: Arc<[_]> = KINDS.iter().collect();
    let states = accounts.iter().map(|account| AccountState::new(&account.name, &kinds));
    let snapshot = Arc::new(Snapshot::new(states, clock(), TimeDelta::hours(36)));
    let page = Page::new(Arc::clone(&snapshot), stats.clone(), Others::default())?;
    let poller = Poller {
        snapshot: Arc::clone(&snapshot),
        kinds,
        interval: Duration::from_secs(300),
        client_options: ClientOptions::default(),
        clock: clock(),
        stats,
        samples: None,
        inbox: None,
    };
    let polling = tokio::spawn(poller.run(accounts));
    while snapshot.ready().is_err() {
        sleep(Duration::from_millis(10)).await;
    }
    polling.abort();
    let hosts = Hosts::new(([127, 0, 0, 1], 10058).into(), "localhost:10058", vec![]);
    let external = ExternalUrl::default();
    let (home, sign_in, web, has_basic_auth) = (String::new(), None, None, false);
    Ok(Server {
        snapshot,
        page,
        samples: None,
        record: None,
        hosts,
        external,
        home,
        sign_in,
        health: None,
        web,
        has_basic_auth,
    })
}

/// What one person's cloud answers, with the fields that the exporter asks for.
async fn documents(kind: &'static Kind, window: [(&'static str, &str); 2]) -> anyhow::Result<Vec<Box<RawValue>>> {
    let simulator = simulator().await?;
    let account = clients(&simulator, &ApiStats::new()?)?.swap_remove(0);
    let mut query: Vec<_> = window.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    query.extend(kind.fields(false).map(|fields| ("fields", fields.join(","))));
    Ok(account.client.documents(kind.name, &query).await?)
}

/// Reading an answer's documents, as each poll does.
#[divan::bench(args = ANSWERS.map(|(name, _)| name))]
fn read(bencher: Bencher<'_, '_>, name: &str) {
    let (_, window) = ANSWERS.into_iter().find(|answer| answer.0 == name).expect("one of them");
    let kind = kind(name).expect("a kind");
    let documents = on_runtime(documents(kind, window));
    let read = |documents: &[Box<RawValue>]| kind.read(documents, &Known::default(), clock().now(), None);
    assert!(read(&documents).shown.is_some(), "{name} shows nothing");
    let bytes: usize = documents.iter().map(|document| document.get().len()).sum();
    bencher.counter(BytesCount::new(bytes)).bench(|| read(black_box(&documents)));
}

/// A scrape after news: the page of two people, encoded and compressed anew.
#[divan::bench]
fn make(bencher: Bencher<'_, '_>) {
    let news = || drop(SERVER.snapshot.post(SERVER.snapshot.accounts().swap_remove(0)));
    let bytes = SERVER.page.current().expect("a page").plain().len();
    bencher.counter(BytesCount::new(bytes)).with_inputs(news).bench_values(|()| SERVER.page.current());
}

/// The part of it that compresses.
#[divan::bench]
fn gzip(bencher: Bencher<'_, '_>) {
    let page = SERVER.page.current().expect("a page").plain();
    bencher.counter(BytesCount::of_slice(&page)).bench(|| http::gzip(black_box(&page)));
}

/// A scrape without news.
#[divan::bench(args = ["identity", "gzip"])]
fn answer(bencher: Bencher<'_, '_>, coding: &str) {
    let server = &*SERVER;
    let request = Request::get("/metrics")
        .header(HOST, "localhost:10058")
        .header(ACCEPT_ENCODING, coding)
        .body(())
        .expect("a request");
    bencher.bench(|| server.answer(black_box(&request)));
}

fn main() {
    divan::main();
}
