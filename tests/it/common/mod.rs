//! An exporter in this process against a simulator in this process, and its page as a reader sees it.

pub(crate) mod backfill;
pub(crate) mod browser;
pub(crate) mod certificates;
pub(crate) mod door;
pub(crate) mod needs;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
pub(crate) mod proxy;
pub(crate) mod samples;
pub(crate) mod scene;
pub(crate) mod servers;
pub(crate) mod signed_in;
pub(crate) mod stores;
pub(crate) mod truth;

use std::{collections::BTreeMap, ffi::OsString, process::Stdio, time::Duration};

use chrono::{DateTime, NaiveDate, Utc};
use oura_exporter::{
    clock::Clock,
    config::{AccountConfig, Accounts, Config, Flags},
    documents::{self, KINDS},
    exporter,
    oura::ClientOptions,
    simulator::{Settings, Simulator},
    tls,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpListener,
    process::{Child, Command},
    sync::{oneshot, watch},
    task::JoinHandle,
    time::timeout,
};

/// Read for its effect alone: cargo notes that it was, and builds the tests anew when it changes, which it does not for the
/// paths that `env!("CARGO_…")` gives them. Set in .cargo/config.toml.
const _: Option<&str> = option_env!("EXPORTER_CHECKOUT");

/// Noon UTC of a Sunday: alice (Helsinki) has been up for hours, bob (New York) wakes up.
pub(crate) const NOON: &str = "2026-11-22T12:00:00Z";

/// How long a condition may take to come true before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn moment(text: &str) -> DateTime<Utc> {
    text.parse().expect("a moment")
}

pub(crate) fn day(text: &str) -> NaiveDate {
    text.parse().expect("a day")
}

/// The value of `oura_document_day_timestamp_seconds` for that day.
pub(crate) fn day_seconds(text: &str) -> Option<f64> {
    Some(day(text).and_hms_opt(0, 0, 0).expect("midnight").and_utc().timestamp() as f64)
}

pub(crate) async fn simulator_at(now: &str) -> Simulator {
    simulator_with(Clock::at(moment(now))).await
}

pub(crate) async fn simulator_with(clock: Clock) -> Simulator {
    Simulator::start(settings(clock)).await.expect("a free port on loopback")
}

/// A simulator that has documents of every kind.
pub(crate) fn settings(clock: Clock) -> Settings {
    Settings { clock: clock.into(), examples: documents::examples().expect("examples"), ..Settings::default() }
}

/// How many collections are asked for unless somebody chooses others.
pub(crate) fn usual_collections() -> usize {
    KINDS.iter().filter(|kind| kind.name != "tag").count()
}

/// Waits until `condition` gives a value.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut condition: impl FnMut() -> F) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < deadline {
        if let Some(value) = condition().await {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not in {PATIENCE:?}: {what}");
}

/// Sends a signal with the shell's own `kill`: the program of that name is not on every machine.
pub(crate) async fn signal(name: &str, pid: &str) {
    let mut shell = Command::new("sh");
    shell.args(["-c", "kill -s \"$0\" \"$1\"", name, pid]);
    assert!(shell.status().await.expect("a shell").success(), "no signal {name} to {pid}");
}

/// How an exporter is to be started.
pub(crate) struct Plan {
    pub(crate) now: DateTime<Utc>,
    pub(crate) people: &'static [&'static str],
    pub(crate) client_options: ClientOptions,
    pub(crate) variables: Vec<(&'static str, String)>,
    pub(crate) clock: Box<dyn FnOnce(DateTime<Utc>) -> Clock + Send>,
    pub(crate) interval: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        let (timeout, wait) = (Duration::from_secs(2), Duration::from_millis(5));
        let client_options = ClientOptions { timeout, retries: 2, wait, stagger: Duration::from_millis(500) };
        Self {
            now: moment(NOON),
            people: &["alice"],
            client_options,
            variables: vec![],
            clock: Box::new(Clock::at),
            interval: Duration::from_secs(300),
        }
    }
}

impl Plan {
    pub(crate) fn set(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    /// Polls again at once, so that a test sees the second poll; no budget is in its way.
    pub(crate) fn often(self) -> Self {
        Self { interval: Duration::from_millis(100), ..self }.set("OURA_REQUEST_BUDGET", "1000000")
    }

    pub(crate) fn at(self, now: &str) -> Self {
        self.at_moment(moment(now))
    }

    pub(crate) fn at_moment(self, now: DateTime<Utc>) -> Self {
        Self { now, ..self }
    }

    /// With a clock that stands still.
    pub(crate) fn still(self) -> Self {
        Self { clock: Box::new(Clock::still_at), ..self }
    }

    /// By a clock of the test's own.
    pub(crate) fn by(self, clock: Clock) -> Self {
        Self { clock: Box::new(|_| clock), ..self }
    }

    /// Starts an exporter on the data of `simulator`.
    pub(crate) async fn start(self, simulator: &Simulator) -> Exporter {
        let mut variables = self.variables;
        variables.push(("OURA_API_URL", simulator.url()));
        let variables = variables.into_iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let mut config =
            Config::from_environment(variables, Flags::default(), Accounts::NotNeeded).expect("a good configuration");
        config.poll_interval = self.interval;
        let wearers = simulator.people().into_iter().filter(|wearer| self.people.contains(&wearer.name));
        config.accounts =
            wearers.map(|wearer| AccountConfig { name: wearer.name.to_owned(), token: wearer.token.into() }).collect();
        Exporter::start(config, (self.clock)(self.now), self.client_options).await
    }

    /// Starts an exporter and waits for the end of its first poll.
    pub(crate) async fn ready(self, simulator: &Simulator) -> Exporter {
        let exporter = self.start(simulator).await;
        exporter.ready().await;
        exporter
    }
}

/// A running exporter.
pub(crate) struct Exporter {
    pub(crate) url: String,
    running: JoinHandle<anyhow::Result<()>>,
    stop: oneshot::Sender<()>,
}

impl Exporter {
    /// Starts one on a free port.
    pub(crate) async fn start(config: Config, clock: Clock, client_options: ClientOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tls::choose_provider();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let running = tokio::spawn(exporter::run(config, listener, clock, client_options, shutdown));
        Self { url, running, stop }
    }

    /// Its host and port.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("{}{path}", self.url)).await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a body"))
    }

    pub(crate) async fn ready(&self) {
        eventually("the first poll ends", async || (self.get("/-/ready").await.0 == 200).then_some(())).await;
    }

    pub(crate) async fn page(&self) -> Page {
        let (status, text) = self.get("/metrics").await;
        assert_eq!(status, 200, "{text}");
        Page::parse(&text)
    }

    /// Waits until the page shows what `condition` looks for.
    pub(crate) async fn page_where(&self, what: &str, condition: impl Fn(&Page) -> bool) -> Page {
        eventually(what, async || Some(self.page().await).filter(|page| condition(page))).await
    }

    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.running.await.expect("no panic").expect("a good end");
    }
}

/// A page as a reader sees it: series and their values.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) text: String,
    series: BTreeMap<String, f64>,
}

impl Page {
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let sample = |line: &str| {
            let (series, value) = line.rsplit_once(' ').expect("a sample");
            (series.to_owned(), value.parse().expect("a number"))
        };
        Self { text: text.to_owned(), series: lines.map(sample).collect() }
    }

    /// The value of a series written as on the page, without the account if it is alice's.
    pub(crate) fn get(&self, series: &str) -> Option<f64> {
        let with_account = match series.split_once('{') {
            Some((name, labels)) => format!("{name}{{account=\"alice\",{labels}"),
            None => format!("{series}{{account=\"alice\"}}"),
        };
        self.series.get(series).or_else(|| self.series.get(&with_account)).copied()
    }

    /// Every series whose name begins like that.
    pub(crate) fn starting_with(&self, prefix: &str) -> Vec<&str> {
        self.series.keys().filter(|series| series.starts_with(prefix)).map(String::as_str).collect()
    }

    pub(crate) fn collection(&self, metric: &str, collection: &str) -> Option<f64> {
        self.get(&format!("{metric}{{collection=\"{collection}\"}}"))
    }

    /// Whether the collection's last attempt succeeded.
    pub(crate) fn is_up(&self, collection: &str) -> Option<f64> {
        self.collection("oura_collection_up", collection)
    }

    /// The day that the collection shows.
    pub(crate) fn day(&self, collection: &str) -> Option<f64> {
        self.collection("oura_document_day_timestamp_seconds", collection)
    }

    /// How often the collection failed for that reason.
    pub(crate) fn errors(&self, collection: &str, reason: &str) -> f64 {
        self.get(&format!("oura_api_errors_total{{collection=\"{collection}\",reason=\"{reason}\"}}")).unwrap_or(0.0)
    }
}

/// The program itself, running and logging.
pub(crate) struct Program {
    pub(crate) child: Child,
    pub(crate) address: String,
    /// What it has logged so far.
    told: watch::Receiver<String>,
    log: JoinHandle<()>,
}

impl Program {
    /// Starts `command` on a free port; returns when it says on which.
    pub(crate) async fn start(command: &mut Command) -> Self {
        Self::start_at("127.0.0.1:0", command).await
    }

    /// Starts `command` on that address; returns when it says which one it is in full.
    pub(crate) async fn start_at(address: &str, command: &mut Command) -> Self {
        tls::choose_provider();
        command.args(["--web.listen-address", address]).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let mut log = String::new();
        let address = loop {
            let line = lines.next_line().await.expect("a log").unwrap_or_else(|| panic!("it ended: {log}"));
            log += &format!("{line}\n");
            if let Some((_, url)) = line.split_once("serving http").and_then(|(_, url)| url.split_once("://")) {
                break url.trim_end_matches("/metrics").to_owned();
            }
        };
        let (tell, told) = watch::channel(log);
        let log = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                tell.send_modify(|log| *log += &format!("{line}\n"));
            }
        });
        Self { child, address, told, log }
    }

    /// Waits until it has logged that.
    pub(crate) async fn said(&self, words: &str) {
        let mut told = self.told.clone();
        let said = timeout(PATIENCE, told.wait_for(|log| log.contains(words))).await;
        let said = matches!(said, Ok(Ok(_)));
        assert!(said, "not said: {words}: {}", *self.told.borrow());
    }

    pub(crate) async fn get(&self, path: &str) -> Option<String> {
        reqwest::get(format!("http://{}{path}", self.address)).await.ok()?.text().await.ok()
    }

    pub(crate) async fn ready(&self) {
        eventually("it is ready", async || self.get("/-/ready").await.filter(|text| text == "ready\n")).await;
    }

    /// Asks it to end, and gives its exit code and log.
    pub(crate) async fn terminate(mut self) -> (Option<i32>, String) {
        let pid = self.child.id().expect("it runs").to_string();
        signal("TERM", &pid).await;
        let ended = timeout(Duration::from_secs(5), self.child.wait()).await.expect("it stops within 5 s");
        self.log.await.expect("a log");
        (ended.expect("an end").code(), self.told.borrow().clone())
    }
}
