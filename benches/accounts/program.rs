//! The program itself with so many accounts: it asks a simulator in this process for all of them, and is looked at from
//! outside.

use std::{
    collections::HashMap,
    fs,
    io::{self, BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use flate2::read::GzDecoder;
use oura_exporter::{
    auth::{self, Store, Tokens},
    simulator::{Portal, Settings, Simulator},
    tls,
};
use tokio::runtime::Runtime;

use super::resident;

/// The most that ten thousand accounts may take, in bytes.
const MOST_RESIDENT: f64 = 500e6;
/// So many accounts it is that may take that much.
const ALL: usize = 10_000;
/// How many requests the program may make in five minutes, thirty times the usual: enough to read ten thousand accounts, of
/// twenty requests each, in less than nine minutes. However large it is, only so many turns are under way at once.
const BUDGET: &str = "120000";
/// The page is kept for a second: a scrape after that makes it.
const KEPT: Duration = Duration::from_millis(1_200);
/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// A program that runs, and what it asks.
struct Running {
    child: Child,
    url: String,
    runtime: Runtime,
    http: reqwest::Client,
    simulator: Simulator,
    store: Store,
    state: tempfile::TempDir,
}

/// Has the program follow each of these numbers of accounts, and prints what it takes.
pub(super) fn table(counts: &[usize], has_record: bool) {
    tls::choose_provider();
    println!(
        "| accounts | record | requests | all read after | CPU until then | resident | first page | with it | \
         scrape after one came | with it | page | gzipped | files |"
    );
    println!("|{}", " ---: |".repeat(13));
    for count in counts {
        row(*count, has_record);
    }
}

fn row(count: usize, has_record: bool) {
    let started = Instant::now();
    let running = Running::start(count, has_record);
    running.await_ready();
    let (pid, took) = (running.pid(), started.elapsed().as_secs_f64());
    let (requests, reading, read) = (running.simulator.request_count(), cpu(&pid), resident(&pid));
    let (first, page) = running.scrape();
    let with_page = resident(&pid);
    let mut later = ["late-1", "late-2", "late-3"].map(|account| running.scrape_after(account));
    later.sort_by(f64::total_cmp);
    let [_, later, _] = later;
    let at_the_end = resident(&pid);
    let mut plain = GzDecoder::new(&page[..]);
    let plain = io::copy(&mut plain, &mut io::sink()).expect("gzip");
    println!(
        "| {count} | {has_record} | {requests} | {took:.0} s | {reading:.1} s | {:.1} MB | {:.1} ms | {:.1} MB | {:.1} ms | \
         {:.1} MB | {:.2} MB | {:.2} MB | {:.2} MB |",
        read / 1e6,
        first * 1e3,
        with_page / 1e6,
        later * 1e3,
        at_the_end / 1e6,
        plain as f64 / 1e6,
        page.len() as f64 / 1e6,
        size(running.state.path()) as f64 / 1e6
    );
    assert!(has_record || count > ALL || at_the_end < MOST_RESIDENT, "{count} accounts take {at_the_end} bytes");
}

impl Running {
    /// Signs in so many accounts and starts the program, which may ask as often as it likes.
    fn start(count: usize, has_record: bool) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let settings = Settings { application_limit: None, ..Settings::default() };
        let simulator = runtime.block_on(Simulator::start(settings)).expect("a free port");
        let state = tempfile::tempdir().expect("a directory");
        let store = Store::new(state.path());
        for number in 0..count {
            sign_in(&simulator, &store, &format!("subject-{number:05}"));
        }
        let applications = simulator.applications();
        let application = applications.into_iter().find(|application| application.portal == Portal::New);
        let application = application.expect("one of each portal");
        let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
        command.env_clear().env("OURA_API_URL", simulator.url()).env("OURA_STATE_DIR", state.path());
        command.env("OURA_CLIENT_ID", application.client_id).env("OURA_CLIENT_SECRET", application.client_secret);
        command.env("OURA_SAMPLES", has_record.to_string());
        // What is measured is what was read: nothing is asked again meanwhile.
        command.env("OURA_REQUEST_BUDGET", BUDGET).env("OURA_POLL_INTERVAL", "24h");
        command.args(["--web.listen-address", "127.0.0.1:0"]).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let url = address(&mut child);
        let http = reqwest::Client::builder().no_gzip().build().expect("a client");
        Self { child, url, runtime, http, simulator, store, state }
    }

    fn pid(&self) -> String {
        self.child.id().to_string()
    }

    fn sign_in(&self, account: &str) {
        sign_in(&self.simulator, &self.store, account);
    }

    /// Waits until every account was read once.
    fn await_ready(&self) {
        self.await_ok("/-/ready");
    }

    /// The seconds of CPU that the program takes for a page after somebody has signed in.
    fn scrape_after(&self, account: &str) -> f64 {
        self.sign_in(account);
        self.await_ok(&format!("/metrics?account={account}"));
        self.await_ready();
        self.scrape().0
    }

    fn await_ok(&self, path: &str) {
        let begun = Instant::now();
        while self.status(path) != 200 {
            assert!(begun.elapsed() < PATIENCE, "{path} is not answered with 200");
            sleep(Duration::from_secs(1));
        }
    }

    fn status(&self, path: &str) -> u16 {
        let asked = self.http.get(format!("{}{path}", self.url)).timeout(Duration::from_secs(60));
        self.runtime.block_on(async { asked.send().await.map_or(0, |answer| answer.status().as_u16()) })
    }

    /// The seconds of CPU that the program takes for a page, and the page, gzipped.
    fn scrape(&self) -> (f64, Vec<u8>) {
        sleep(KEPT);
        let before = self.spent();
        let page = self.runtime.block_on(async {
            let asked = self.http.get(format!("{}/metrics", self.url)).header("Accept-Encoding", "gzip").send();
            asked.await.expect("an answer").bytes().await.expect("a page")
        });
        // A thread that has ended meanwhile is none that answered: those live on for seconds.
        let spent = self.spent();
        let since = |(thread, spent): (&String, &f64)| spent - before.get(thread).copied().unwrap_or_default();
        (spent.iter().map(since).sum(), page.to_vec())
    }

    /// The seconds on the CPU of each of the program's threads.
    fn spent(&self) -> HashMap<String, f64> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("it runs");
        let spent = |thread: fs::DirEntry| {
            let said = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            let nanoseconds: f64 = said.split(' ').next()?.parse().ok()?;
            Some((thread.file_name().to_string_lossy().into_owned(), nanoseconds / 1e9))
        };
        threads.filter_map(|thread| spent(thread.ok()?)).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_before = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Stores the tokens of somebody who has signed in.
fn sign_in(simulator: &Simulator, store: &Store, account: &str) {
    let now = Utc::now();
    let granted = simulator.authorizations().grant(Portal::New, "alice", &[]);
    let tokens = Tokens {
        access: granted.access_token.into(),
        refresh: Some(granted.refresh_token.into()),
        issued_at: now,
        expires_at: Some(now + TimeDelta::hours(20)),
        scopes: None,
        portal: auth::Portal::New,
        signed_in_at: now,
        person: None,
    };
    store.write(account, &tokens).expect("it is stored");
}

/// Where the program says that it serves; the rest of its log goes nowhere.
fn address(child: &mut Child) -> String {
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("serving http://")).expect("it serves");
    thread::spawn(move || lines.for_each(drop));
    let (_, url) = line.split_once("serving ").expect("an address");
    url.trim_end_matches("/metrics").to_owned()
}

/// The seconds of CPU that a process has taken so far, by Linux' clock of a hundred ticks a second.
fn cpu(process: &str) -> f64 {
    let said = fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    let (_, after_its_name) = said.rsplit_once(") ").expect("a name");
    after_its_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// The bytes that a directory's files take.
pub(super) fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.map(|path| if path.is_dir() { size(&path) } else { path.metadata().map_or(0, |file| file.len()) }).sum()
}
