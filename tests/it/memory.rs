//! Servers that would fill the memory with little effort: the program's own high-water mark stays under 100 MB.

use std::{
    fs,
    io::Write as _,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::common::{Page, Program};
use chrono::{TimeDelta, Utc};
use flate2::{Compression, write::GzEncoder};
use oura_exporter::auth::{Portal, Store, Tokens};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    process::Command,
    time::{Instant, sleep},
};

/// What the program may take at most, in kB.
const MOST: u64 = 100_000;
/// How long it may take for all that is thrown at it.
const PATIENCE: Duration = Duration::from_secs(300);
/// Both ways of asking for lists, both with samples, a bare document, and one without days.
const COLLECTIONS: &str = "daily_sleep,sleep,workout,heartrate,personal_info,ring_configuration";
const MEGABYTE: usize = 1024 * 1024;

/// What a server answers.
enum Answer {
    /// A list of these documents, and a further page of the same.
    Pages(Arc<String>),
    /// An empty page, and the address of the next one.
    Next(String),
    /// One list of these documents.
    List(Arc<String>),
    /// Bytes that are gzip.
    Gzip(Arc<Vec<u8>>),
    /// A body without end.
    Endless(u16),
    /// Nothing, for ever.
    Silence,
}

/// A server that answers by path, and counts what was asked and how many bodies the program did not read to their end.
struct Hostile {
    address: String,
    asked: Arc<AtomicUsize>,
    broken_off: Arc<AtomicUsize>,
}

impl Hostile {
    async fn start(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let (asked, broken_off, answer) =
            (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default(), Arc::new(answer));
        let server = Self { address, asked: Arc::clone(&asked), broken_off: Arc::clone(&broken_off) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, asked, broken_off) = (Arc::clone(&answer), Arc::clone(&asked), Arc::clone(&broken_off));
                tokio::spawn(async move {
                    if serve(stream, &*answer, &asked).await.is_err() {
                        broken_off.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        server
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Answers one request on its connection.
async fn serve(
    mut stream: TcpStream,
    answer: &(impl Fn(&str) -> Answer + Sync),
    asked: &AtomicUsize,
) -> std::io::Result<()> {
    let (mut head, mut piece) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece).await? {
            0 => return Ok(()),
            length => head.extend_from_slice(&piece[..length]),
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let number = asked.fetch_add(1, Ordering::Relaxed);
    let answer = answer(path);
    let (status, headers) = match &answer {
        Answer::Gzip(_) => (200, "Content-Encoding: gzip\r\n"),
        Answer::Endless(status) => (*status, ""),
        _ => (200, ""),
    };
    let start = format!("HTTP/1.1 {status} x\r\nContent-Type: application/json\r\n{headers}Connection: close\r\n\r\n");
    stream.write_all(start.as_bytes()).await?;
    match answer {
        Answer::Pages(data) => list(&mut stream, &data, &format!("\"{number}\"")).await?,
        Answer::Next(token) => list(&mut stream, "", &format!("\"{token}\"")).await?,
        Answer::List(data) => list(&mut stream, &data, "null").await?,
        Answer::Gzip(body) => stream.write_all(&body).await?,
        Answer::Endless(_) => loop {
            stream.write_all(&[b' '; 64 * 1024]).await?;
        },
        Answer::Silence => sleep(PATIENCE).await,
    }
    stream.shutdown().await?;
    // Whether all of it was read: otherwise the connection is reset.
    while stream.read(&mut piece).await? > 0 {}
    Ok(())
}

async fn list(stream: &mut TcpStream, data: &str, next: &str) -> std::io::Result<()> {
    stream.write_all(b"{\"data\":[").await?;
    stream.write_all(data.as_bytes()).await?;
    stream.write_all(format!("],\"next_token\":{next}}}").as_bytes()).await
}

fn documents(documents: impl IntoIterator<Item = String>) -> Arc<String> {
    Arc::new(documents.into_iter().collect::<Vec<_>>().join(","))
}

fn today() -> String {
    Utc::now().date_naive().to_string()
}

/// Workouts of today, each of another activity.
fn activities(numbers: std::ops::Range<usize>) -> Arc<String> {
    let (day, start) = (today(), Utc::now().to_rfc3339());
    documents(numbers.map(|number| {
        let word: String = format!("{number:05}").bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
        format!(r#"{{"day":"{day}","activity":"sport_{word}","start_datetime":"{start}","calories":10}}"#)
    }))
}

fn gzip(plain: &[&[u8]], times: usize) -> Arc<Vec<u8>> {
    let [begin, middle, end] = plain else { panic!("three parts") };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(begin).expect("memory");
    let block = middle.repeat(64 * 1024);
    for _ in 0..times / (64 * 1024) {
        encoder.write_all(&block).expect("memory");
    }
    encoder.write_all(end).expect("memory");
    Arc::new(encoder.finish().expect("memory"))
}

/// The program's high-water mark in kB.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a mark");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Prints a row of the table, and holds it to the limit.
fn tell(name: &str, peak: u64) {
    eprintln!("{name:<58} | {:>5.1} MB", peak as f64 / 1000.0);
    assert!(peak < MOST, "{name}: {peak} kB");
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < end, "not in {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(100)).await;
    }
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
    command.env_clear().kill_on_drop(true).env("OURA_COLLECTIONS", COLLECTIONS).env("OURA_POLL_INTERVAL", "1h");
    command
}

/// The page after the first poll from a server that answers everything like that, and the log.
async fn polled(name: &str, answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> (Page, String) {
    let hostile = Hostile::start(answer).await;
    let mut command = program();
    command.env("OURA_API_URL", hostile.url()).env("OURA_ACCESS_TOKEN", "ABC").env("OURA_SAMPLES", "true");
    let program = Program::start(&mut command).await;
    until("the first poll ends", async || program.get("/-/ready").await.is_some_and(|text| text == "ready\n")).await;
    let page = Page::parse(&program.get("/metrics").await.expect("a page"));
    program.get("/metrics/samples").await.expect("a page");
    tell(name, peak(program.child.id().expect("it runs")));
    (page, program.terminate().await.1)
}

fn failures(page: &Page, collection: &str, reason: &str) -> f64 {
    let series =
        format!("oura_api_errors_total{{account=\"default\",collection=\"{collection}\",reason=\"{reason}\"}}");
    page.get(&series).unwrap_or(0.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_answers_that_are_huge_once_unpacked() {
    polled("nothing hostile", |_| Answer::List(Arc::default())).await;
    let ones = gzip(&[b"{\"data\":[1", b",1", b"],\"next_token\":null}"], 16_000_000);
    let size = ones.len();
    let (page, log) =
        polled(&format!("gzip of [1,1,1,...], {size} bytes"), move |_| Answer::Gzip(Arc::clone(&ones))).await;
    assert!(size < 64 * 1024, "{size}");
    assert!(log.contains("the answer cannot be read: it is larger than 8 MB"), "{log}");
    assert_eq!(failures(&page, "daily_sleep", "unreadable"), 1.0, "{}", page.text);
    let below = gzip(&[b"{\"data\":[1", b",1", b"],\"next_token\":null}"], 4_000_000);
    let (_, log) = polled("the same just below the limit of a page", move |_| Answer::Gzip(Arc::clone(&below))).await;
    assert!(log.contains("the list has more than "), "{log}");
    let start = format!(
        "{{\"data\":[{{\"day\":\"{}\",\"type\":\"long_sleep\",\"hrv\":{{\"interval\":1,\"timestamp\":\"{}\",\"items\":[1",
        today(),
        Utc::now().to_rfc3339()
    );
    let items = gzip(&[start.as_bytes(), b",1", b"]}}],\"next_token\":null}"], 4_000_000);
    let (_, log) = polled("one document with 4,000,000 values", move |_| Answer::Gzip(Arc::clone(&items))).await;
    assert!(log.contains("fails at its size"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_answers_without_end() {
    let large = documents((0..31).map(|_| format!("{{\"day\":\"{}\",\"x\":\"{}\"}}", today(), "x".repeat(MEGABYTE))));
    let (page, log) = polled("100 pages of 31 MB", move |_| Answer::Pages(Arc::clone(&large))).await;
    assert!(log.contains("it is larger than 8 MB"), "{log}");
    assert_eq!(failures(&page, "workout", "unreadable"), 1.0, "{}", page.text);
    let seven = documents((0..350).map(|_| format!("{{\"day\":\"{}\",\"x\":\"{}\"}}", today(), "x".repeat(20_000))));
    let (_, log) = polled("100 pages of 7 MB", move |_| Answer::Pages(Arc::clone(&seven))).await;
    assert!(log.contains("the list is larger than 32 MB"), "{log}");
    let (page, log) = polled("bodies without end", |_| Answer::Endless(200)).await;
    assert_eq!(failures(&page, "personal_info", "unreadable"), 1.0, "{}", page.text);
    assert!(log.contains("it is larger than 16 kB"), "{log}");
    let token = "x".repeat(7 * MEGABYTE);
    let (_, log) = polled("addresses of the next page of 7 MB", move |_| Answer::Next(token.clone())).await;
    assert!(log.contains("its next_token is longer than 4 kB"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_documents() {
    let bad = documents((0..100_000).map(|_| "{\"day\":1}".to_owned()));
    let (_, log) = polled("a million documents that cannot be read", move |_| Answer::Pages(Arc::clone(&bad))).await;
    assert!(log.contains("the list has more than "), "{log}");
    let bad = documents((0..15_000).map(|_| "{\"day\":1,\"timestamp\":1}".to_owned()));
    let (page, log) =
        polled("15,000 that cannot be read, below the limit", move |_| Answer::List(Arc::clone(&bad))).await;
    assert_eq!(failures(&page, "daily_sleep", "document"), 15_000.0, "{}", page.text);
    assert!(log.contains("no document can be read, the first fails at day"), "{log}");
    let good = documents((0..15_000).map(|_| format!("{{\"day\":\"{}\",\"score\":80}}", today())));
    let (page, _) = polled("15,000 of one day", move |_| Answer::List(Arc::clone(&good))).await;
    assert_eq!(page.get("oura_sleep_score{account=\"default\"}"), Some(80.0), "{}", page.text);
    let now = Utc::now();
    let beats = (0..100_000).map(|number| (now - TimeDelta::milliseconds(number * 100)).to_rfc3339());
    let beats = documents(beats.map(|time| format!("{{\"timestamp\":\"{time}\",\"bpm\":60}}")));
    let (page, _) = polled("100,000 heart beats", move |path| {
        Answer::List(if path.contains("heartrate") { Arc::clone(&beats) } else { Arc::default() })
    })
    .await;
    assert_eq!(page.get("oura_heart_rate_bpm{account=\"default\"}"), Some(60.0), "{}", page.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_activities_are_a_hundred_and_the_others() {
    let pages: Vec<_> = (0..5).map(|page| activities(page * 20_000..(page + 1) * 20_000)).collect();
    let next = AtomicUsize::new(0);
    let (page, log) = polled("100,000 activities", move |path| {
        if !path.contains("/workout") {
            return Answer::List(Arc::default());
        }
        let number = next.fetch_add(1, Ordering::Relaxed);
        let page = pages.get(number).map(Arc::clone).unwrap_or_default();
        if number < 4 { Answer::Pages(page) } else { Answer::List(page) }
    })
    .await;
    assert_eq!(page.starting_with("oura_day_workouts").len(), 101);
    assert_eq!(page.get("oura_day_workouts{account=\"default\",activity=\"other\"}"), Some(99_900.0));
    assert!(page.text.len() < 200_000, "{} bytes", page.text.len());
    assert_eq!(log.matches("more than 100 different words in one label").count(), 1, "{log}");
    assert!(!log.contains("sport_"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_urls_and_receivers_that_never_stop_talking() {
    let hostile = Hostile::start(|_| Answer::Endless(200)).await;
    let directory = tempfile::tempdir().expect("a directory");
    let now = Utc::now();
    let tokens = Tokens {
        access: "ABC".to_owned().into(),
        refresh: Some("DEF".to_owned().into()),
        issued_at: now - TimeDelta::days(2),
        expires_at: Some(now - TimeDelta::days(1)),
        scopes: None,
        portal: Portal::New,
        signed_in_at: now - TimeDelta::days(2),
        person: None,
    };
    Store::new(directory.path().to_owned()).write("anna", &tokens).expect("it is stored");
    let mut command = program();
    command.env("OURA_API_URL", hostile.url()).env("OURA_STATE_DIR", directory.path());
    command.env("OURA_CLIENT_ID", "id").env("OURA_CLIENT_SECRET", "secret");
    command.env("OURA_TOKEN_URL", hostile.url()).env("OURA_FALLBACK_TOKEN_URL", hostile.url());
    let program = Program::start(&mut command).await;
    until("the first poll ends", async || program.get("/-/ready").await.is_some_and(|text| text == "ready\n")).await;
    assert!(hostile.broken_off.load(Ordering::Relaxed) >= 1, "the reply was not read to an end that there is not");
    tell("a token URL whose reply never ends", peak(program.child.id().expect("it runs")));
    let log = program.terminate().await.1;
    assert!(log.contains("what it says is larger than 64 kB"), "{log}");
    receivers().await;
}

/// A receiver that is asked what it is, and one that is sent samples.
async fn receivers() {
    let hostile =
        Hostile::start(|path| if path.contains("/status/") { Answer::Endless(200) } else { Answer::Silence }).await;
    let mut command = program();
    command.env("OURA_API_URL", hostile.url()).env("OURA_ACCESS_TOKEN", "ABC");
    command.args(["backfill", "--from", &today(), "--remote-write", &format!("{}/api/v1/write", hostile.url())]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    until("it goes on to ask Oura", async || hostile.asked.load(Ordering::Relaxed) >= 2).await;
    assert_eq!(
        hostile.broken_off.load(Ordering::Relaxed),
        1,
        "what the receiver says of itself was not read to its end"
    );
    tell("a receiver whose status never ends", peak(child.id().expect("it runs")));
    child.kill().await.expect("it ends");
    let now = Utc::now() - TimeDelta::seconds(90);
    let beat = documents([format!("{{\"timestamp\":\"{}\",\"bpm\":60}}", now.to_rfc3339())]);
    let hostile = Hostile::start(move |path| match path {
        path if path.contains("/api/v1/write") => Answer::Endless(500),
        path if path.contains("heartrate") => Answer::List(Arc::clone(&beat)),
        _ => Answer::List(Arc::default()),
    })
    .await;
    let mut command = program();
    command.env("OURA_API_URL", hostile.url()).env("OURA_ACCESS_TOKEN", "ABC");
    command.env("OURA_REMOTE_WRITE_URL", format!("{}/api/v1/write", hostile.url()));
    let program = Program::start(&mut command).await;
    until("samples are sent", async || hostile.broken_off.load(Ordering::Relaxed) >= 1).await;
    tell("a receiver whose errors never end", peak(program.child.id().expect("it runs")));
}
