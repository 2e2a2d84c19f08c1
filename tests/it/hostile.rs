//! Clients that mean harm, as many as they like: every scrape is answered and every poll succeeds meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::common::{Page, Program, eventually, simulator_at};
use oura_exporter::simulator::Simulator;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
    runtime::{self, Runtime},
    time::{Instant, sleep},
};

const REQUEST: &str = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// How long a client that was closed waits before it comes again.
const AGAIN: Duration = Duration::from_secs(1);
/// What a poll asks for.
const COLLECTIONS: &str = "daily_sleep,daily_readiness,daily_activity";

/// How clients mean harm.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Silent,
    /// A header of which a byte comes each second.
    Slow,
    /// Asks for a lot and reads nothing of it.
    Deaf,
    /// Asks again and again on one connection, and never ends its last request.
    Half,
}

/// How often clients of each kind connected.
type Connected = Arc<AtomicUsize>;

/// One client of that kind, who comes again whenever it is closed.
async fn client(address: String, kind: Kind, connected: Connected) {
    loop {
        if let Ok(stream) = TcpStream::connect(&address).await {
            connected.fetch_add(1, Ordering::Relaxed);
            let _closed = misbehave(stream, kind).await;
        }
        sleep(AGAIN).await;
    }
}

/// Until the connection is closed.
async fn misbehave(mut stream: TcpStream, kind: Kind) -> std::io::Result<()> {
    match kind {
        Kind::Silent => {}
        Kind::Slow => {
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await?;
            loop {
                stream.write_all(b"x").await?;
                sleep(Duration::from_secs(1)).await;
            }
        }
        Kind::Deaf => {
            stream.write_all(REQUEST.repeat(100).as_bytes()).await?;
            loop {
                // Whether the connection is closed shows only in writing: what comes is never read.
                sleep(Duration::from_secs(1)).await;
                stream.write_all(b"\r\n").await?;
            }
        }
        Kind::Half => stream.write_all((REQUEST.repeat(3) + "GET /metr").as_bytes()).await?,
    }
    let mut answers = [0; 16 * 1024];
    while stream.read(&mut answers).await? > 0 {}
    Ok(())
}

/// Clients on threads of their own, so that scrapes do not wait for them here.
fn crowd(address: &str, count: usize, kinds: &[Kind], connected: &Connected) -> Runtime {
    let crowd = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    for (number, kind) in (0..count as u32).zip(kinds.iter().copied().cycle()) {
        let client = client(address.to_owned(), kind, Arc::clone(connected));
        let its_turn = AGAIN * number / count as u32;
        crowd.spawn(async move {
            sleep(its_turn).await;
            client.await;
        });
    }
    crowd
}

/// The program, which polls each second and may open `files` files.
async fn program(simulator: &Simulator, files: u32) -> Program {
    let mut command = Command::new("sh");
    let run = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
    command.args(["-c", &run, env!("CARGO_BIN_EXE_oura-exporter")]).env_clear();
    command.env("OURA_API_URL", simulator.url()).env("OURA_ACCESS_TOKEN", &simulator.people()[0].token);
    command.env("OURA_POLL_INTERVAL", "1s").env("OURA_COLLECTIONS", COLLECTIONS);
    let program = Program::start(&mut command).await;
    program.ready().await;
    program
}

/// Every client of the storm has its descriptor in this process.
fn allow_open_files(count: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < count) {
        let raised = Rlimit { current: Some(count), maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).expect("so many open files are allowed");
    }
}

/// How many polls succeeded, and how many requests failed.
fn polls(page: &Page) -> (u64, u64) {
    let requests = page.starting_with("oura_api_requests_total");
    let count = |good: bool| {
        let counted = requests.iter().filter(|series| series.contains("code=\"200\"") == good);
        counted.filter_map(|series| page.get(series)).sum::<f64>() as u64
    };
    let kinds = COLLECTIONS.split(',').count() as u64;
    (count(true) / kinds, count(false))
}

/// A client that takes no time to read certificates, which nobody needs here.
fn plain_client() -> reqwest::Client {
    reqwest::Client::builder().tls_certs_only([]).no_proxy().build().expect("a client")
}

/// One scrape. As Prometheus does, it asks once more where the connection that it had kept was closed under its request;
/// one that is opened for it must bring the page.
async fn scrape(client: &reqwest::Client, address: &str) -> Page {
    let url = format!("http://{address}/metrics");
    let answer = match client.get(&url).send().await {
        Ok(answer) => answer,
        Err(_) => plain_client().get(&url).send().await.expect("an answer"),
    };
    assert_eq!(answer.status(), 200);
    Page::parse(&answer.text().await.expect("a whole page"))
}

/// What came of a storm.
struct Outcome {
    /// How long each scrape took.
    scrapes: Vec<Duration>,
    polls: u64,
    connections: usize,
    log: String,
}

/// Has `count` clients of `kinds` mean harm until `is_over`; each scrape meanwhile comes as a new client and as one that
/// keeps its connection.
async fn storm(files: u32, count: usize, kinds: &[Kind], is_over: impl Fn(&Outcome) -> bool) -> Outcome {
    allow_open_files(count as u64 + 256);
    let simulator = simulator_at(crate::common::NOON).await;
    let program = program(&simulator, files).await;
    let connected = Connected::default();
    let crowd = crowd(&program.address, count, kinds, &connected);
    eventually("all have come", async || (connected.load(Ordering::Relaxed) >= count).then_some(())).await;
    let mut outcome = Outcome { scrapes: vec![], polls: 0, connections: 0, log: String::new() };
    let keeps = plain_client();
    let (mut first, started) = (None, Instant::now());
    while !is_over(&outcome) {
        assert!(started.elapsed() < Duration::from_secs(180), "{} polls in all that time", outcome.polls);
        for client in [&keeps, &plain_client()] {
            let begun = Instant::now();
            let page = scrape(client, &program.address).await;
            outcome.scrapes.push(begun.elapsed());
            assert_eq!(page.get("oura_up{account=\"default\"}"), Some(1.0), "{}", page.text);
            let (good, bad) = polls(&page);
            assert_eq!(bad, 0, "{}", page.text);
            outcome.polls = good - *first.get_or_insert(good);
        }
        sleep(Duration::from_millis(50)).await;
    }
    crowd.shutdown_background();
    let (code, log) = program.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    Outcome { connections: connected.load(Ordering::Relaxed), log, ..outcome }
}

const ALL: [Kind; 4] = [Kind::Silent, Kind::Slow, Kind::Deaf, Kind::Half];

fn assert_one_line(outcome: &Outcome, words: &str) {
    assert_eq!(outcome.log.matches("the longest idle ones make room").count(), 1, "{}", outcome.log);
    assert!(outcome.log.contains(words), "{}", outcome.log);
    assert!(!outcome.log.contains("cannot be reached"), "{}", outcome.log);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_hostile_clients_than_there_are_places_harm_neither_scrapes_nor_polls() {
    let outcome = storm(1024, 400, &ALL, |outcome| outcome.scrapes.len() >= 40 && outcome.polls >= 3).await;
    assert_one_line(&outcome, "more than 256 connections at once, most from 127.0.0.1; ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_few_files_may_be_open_the_polls_keep_theirs() {
    for kinds in [&[Kind::Silent][..], &[Kind::Deaf, Kind::Half]] {
        let outcome = storm(80, 100, kinds, |outcome| outcome.scrapes.len() >= 10 && outcome.polls >= 2).await;
        assert_one_line(&outcome, "more than 16 connections at once, most from 127.0.0.1; ");
        assert!(outcome.log.contains("the limit on open files is 80, so at most 16 connections"), "{}", outcome.log);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "2,000 clients for a minute: cargo test --release --test it hostile:: -- --ignored --nocapture"]
async fn two_thousand_for_a_minute() {
    for (count, seconds) in [(0, 10), (2_000, 65)] {
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut outcome = storm(1024, count, &ALL, |_| Instant::now() > end).await;
        outcome.scrapes.sort_unstable();
        let (all, slow) =
            (outcome.scrapes.len(), outcome.scrapes.iter().filter(|took| took.as_millis() >= 100).count());
        println!(
            "{count} clients, {} connections: {all} scrapes, all good, median {:?}, slowest {:?}, {slow} of 100 ms or more; \
             {} polls, all good",
            outcome.connections,
            outcome.scrapes[all / 2],
            outcome.scrapes[all - 1],
            outcome.polls
        );
        if count > 0 {
            assert_one_line(&outcome, "more than 256 connections at once");
        }
    }
}
