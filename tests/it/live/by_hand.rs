//! An exporter that asks when it is told to, in this process or in one of its own that can be killed.

use std::{env, ffi::OsString, io::BufRead as _, process::Stdio, sync::Arc, thread, time::Duration};

use chrono::{DateTime, Utc};
use http_body_util::BodyExt as _;
use hyper::{
    Request,
    body::Bytes,
    header::{ACCEPT_ENCODING, HOST},
};
use oura_exporter::{
    clock::{Clock, ManualClock},
    config::{Accounts, Config, Flags},
    exporter::Exporter,
    http,
    oura::ClientOptions,
    poll::Followers,
    server::Server,
    simulator::Simulator,
    tls,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::TcpListener,
    process::{Child, ChildStdout, Command},
    sync::{mpsc, watch},
    task::JoinHandle,
};

/// What tells a process of its own when it is and where it serves.
const NOW: &str = "BY_HAND_NOW";
const ADDRESS: &str = "BY_HAND_ADDRESS";
/// What it says when it has asked for everything.
const LOOKED: &str = "looked";

/// Variables of an exporter.
pub(crate) type Variables = Vec<(&'static str, String)>;

/// What `person` of the simulator sets, besides what a test is about.
pub(crate) fn variables(simulator: &Simulator, person: &str) -> Variables {
    let wearer = simulator.people().into_iter().find(|wearer| wearer.name == person).expect("a wearer");
    let [url, account] = [simulator.url(), person.to_owned()];
    vec![("OURA_API_URL", url), ("OURA_ACCESS_TOKEN", wearer.token), ("OURA_ACCOUNT", account)]
}

/// An exporter in this process.
pub(crate) struct ByHand {
    followers: Followers,
    pub(crate) server: Arc<Server>,
    sending: Option<(watch::Sender<bool>, JoinHandle<()>)>,
}

impl ByHand {
    pub(crate) fn start(variables: Variables, address: &str, clock: Clock) -> Self {
        tls::choose_provider();
        let variables = variables.into_iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let mut config =
            Config::from_environment(variables, Flags::default(), Accounts::Needed).expect("a good configuration");
        config.poll_interval = Duration::from_secs(300);
        let client_options = ClientOptions { retries: 0, stagger: Duration::ZERO, ..ClientOptions::default() };
        let address = address.parse().expect("an address");
        let Exporter { server, poller, accounts, live, .. } =
            Exporter::new(config, address, clock, client_options).expect("an exporter");
        let sending = live.map(|live| {
            let (stop, stopped) = watch::channel(false);
            (stop, tokio::spawn(live.run(stopped)))
        });
        Self { followers: poller.by_hand(accounts), server, sending }
    }

    /// Asks for everything that is due.
    pub(crate) async fn look(&mut self) {
        self.followers.catch_up().await;
    }

    /// What it answers to whoever asks for that.
    pub(crate) async fn get(&self, path: &str) -> String {
        String::from_utf8(self.answer(path, "identity").await.into()).expect("UTF-8")
    }

    /// The same, gzipped.
    pub(crate) async fn get_gzipped(&self, path: &str) -> Bytes {
        self.answer(path, "gzip").await
    }

    async fn answer(&self, path: &str, encoding: &str) -> Bytes {
        let request = Request::get(path).header(HOST, "localhost").header(ACCEPT_ENCODING, encoding);
        let answer = self.server.answer(&request.body(()).expect("a request"));
        answer.into_body().collect().await.expect("a body").to_bytes()
    }

    /// Ends at once, as if it was killed.
    pub(crate) async fn kill(self) {
        if let Some((_, sending)) = self.sending {
            sending.abort();
            let _aborted = sending.await;
        }
    }
}

/// An exporter in a process of its own.
pub(crate) struct Process {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts one that serves at `address`.
    pub(crate) fn start(variables: &Variables, address: &str, now: DateTime<Utc>) -> Self {
        let mut command = Command::new(env::current_exe().expect("this program"));
        let (_, module) = module_path!().split_once("::").expect("a module of the tests");
        command.args(["--ignored", "--exact", &format!("{module}::a_process_of_its_own"), "--nocapture"]);
        command.env_clear().envs(variables.iter().cloned()).env(NOW, now.to_rfc3339()).env(ADDRESS, address);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("it starts");
        let said = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, said }
    }

    /// Has it be `now` and ask for everything that is due.
    pub(crate) async fn look(&mut self, now: DateTime<Utc>) {
        self.begin_to_look(now).await;
        loop {
            let line = self.said.next_line().await.expect("it says something").expect("it goes on");
            if line == LOOKED {
                return;
            }
        }
    }

    pub(crate) async fn begin_to_look(&mut self, now: DateTime<Utc>) {
        let stdin = self.child.stdin.as_mut().expect("a pipe");
        stdin.write_all(format!("{}\n", now.to_rfc3339()).as_bytes()).await.expect("it reads");
    }

    /// Kills it.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it was running");
    }

    /// A figure of its memory, in kB.
    pub(crate) fn memory(&self, what: &str) -> u64 {
        let status = format!("/proc/{}/status", self.child.id().expect("it runs"));
        let status = std::fs::read_to_string(status).expect("Linux");
        let line = status.lines().find(|line| line.starts_with(what)).expect("a figure");
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
    }
}

/// The lines of standard input, each a moment.
fn moments() -> mpsc::UnboundedReceiver<DateTime<Utc>> {
    let (send, moments) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let _ended = send.send(line.parse().expect("a moment"));
        }
    });
    moments
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the exporter as a process of its own, which other tests start"]
async fn a_process_of_its_own() {
    let (Ok(now), Ok(address)) = (env::var(NOW), env::var(ADDRESS)) else { return };
    tls::choose_provider();
    let (clock, hand): (Clock, ManualClock) = Clock::driven_from(now.parse().expect("a moment"));
    let listener = TcpListener::bind(&address).await.expect("a free port");
    let own: Vec<_> = oura_exporter::config::VARIABLES.iter().map(|variable| variable.name).collect();
    let variables = own.into_iter().filter_map(|name| Some((name, env::var(name).ok()?))).collect();
    let mut exporter = ByHand::start(variables, &address, clock.clone());
    let server = Arc::clone(&exporter.server);
    let answer = move |request| {
        let server = Arc::clone(&server);
        async move { server.answer(&request) }
    };
    tokio::spawn(http::serve(listener, answer, std::future::pending()));
    let mut moments = moments();
    while let Some(now) = moments.recv().await {
        hand.advance(now - clock.now());
        exporter.look().await;
        println!("{LOOKED}");
    }
}
