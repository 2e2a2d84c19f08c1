//! What many accounts ask together: spread over time, within a budget, and what is needed most first.

mod backfill;
mod day;
mod pauses;
mod start;
mod stretch;
mod study;

use std::{
    ffi::OsString,
    io::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use http_body_util::BodyExt as _;
use hyper::{Request, header::HOST};
use oura_exporter::{
    clock::{Clock, ManualClock},
    config::{AccountConfig, Accounts, Config, Flags},
    exporter::Exporter,
    oura::ClientOptions,
    server::Server,
    simulator::{Portal, Recorded, Settings, Simulator},
    tls,
    webhooks::Webhooks,
};
use tokio::task::{JoinHandle, yield_now};

use crate::common::{Page, moment};

/// The window in which Oura counts, and in which a budget is given.
const WINDOW: TimeDelta = TimeDelta::minutes(5);

/// So often the runtime comes round without anything new before all is taken for settled. From a request to what follows from
/// its answer it comes round four times.
const ROUNDS: u32 = 8;
/// How long files are waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Tells what a test found, past the test runner.
fn tell(text: &str) {
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// A service whose time is moved by hand, and exporters of many accounts there.
struct Office {
    simulator: Simulator,
    clock: Clock,
    hand: ManualClock,
    /// Each account's name and token.
    accounts: Vec<(String, String)>,
    running: Vec<Running>,
}

struct Running {
    server: Arc<Server>,
    polling: JoinHandle<()>,
}

impl Running {
    /// Ends it in the midst of what it does, as a power cut would.
    async fn kill(mut self) {
        self.polling.abort();
        let _aborted = (&mut self.polling).await;
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        self.running.iter().for_each(|running| running.polling.abort());
    }
}

impl Office {
    /// A service at `now`, where so many sign-ins of each person are.
    async fn new(now: &str, people: &[(&str, usize)], settings: Settings) -> Self {
        tls::choose_provider();
        // Nothing passes by itself, or a slow machine would have more requests in five minutes than a fast one.
        let (clock, hand) = Clock::driven_alone_from(moment(now));
        let settings = Settings { clock: clock.clone().into(), ..settings };
        let simulator = Simulator::start(settings).await.expect("a free port");
        // Nobody renews tokens by hand, and days go by.
        simulator.authorizations().set_token_lifetime(30 * 24 * 3600);
        let grant = |person: &str, number| {
            let token = simulator.authorizations().grant(Portal::New, person, &[]).access_token;
            (format!("{person}{number:04}"), token)
        };
        let accounts = people.iter().flat_map(|(person, count)| (0..*count).map(move |number| grant(person, number)));
        let accounts = accounts.collect();
        Self { simulator, clock, hand, accounts, running: vec![] }
    }

    /// Starts an exporter of all accounts.
    fn open(&mut self, variables: &[(&str, &str)]) {
        let accounts: Vec<_> = (0..self.accounts.len()).collect();
        self.open_for(&accounts, variables);
    }

    /// Starts an exporter of some accounts, by their places.
    fn open_for(&mut self, accounts: &[usize], variables: &[(&str, &str)]) {
        let mut config = self.config(variables, Accounts::NotNeeded);
        let account = |place: &usize| {
            let (name, token) = self.accounts[*place].clone();
            AccountConfig { name, token: token.into() }
        };
        config.accounts = accounts.iter().map(account).collect();
        let running = self.started(config).0;
        self.running.push(running);
    }

    /// The configuration of an exporter that is told this.
    fn config(&self, variables: &[(&str, &str)], accounts: Accounts) -> Config {
        let url = self.simulator.url();
        let variables = variables.iter().copied().chain([("OURA_API_URL", url.as_str()), ("OURA_SAMPLES", "false")]);
        let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Config::from_environment(variables, Flags::default(), accounts).expect("a good configuration")
    }

    /// An exporter that polls, and what Oura tells it by itself, where it does.
    fn started(&self, config: Config) -> (Running, Option<Webhooks>) {
        let address = "127.0.0.1:1".parse().expect("an address");
        let Exporter { server, poller, accounts, webhooks, .. } =
            Exporter::new(config, address, self.clock.clone(), ClientOptions::default()).expect("an exporter");
        let polling = tokio::spawn(async move { poller.run(accounts).await.expect("no defect") });
        (Running { server, polling }, webhooks)
    }

    /// Lets all go on that can go on at this moment.
    async fn settle(&self) {
        let seen = || (self.simulator.request_count(), self.simulator.answer_count(), self.hand.slept());
        let (mut before, mut quiet) = (seen(), 0);
        while quiet < ROUNDS {
            yield_now().await;
            let now = seen();
            quiet = if now == before { quiet + 1 } else { 0 };
            before = now;
        }
    }

    /// Lets time go by until the next wait ends, but neither less nor more than this.
    async fn step(&self, least: TimeDelta, most: TimeDelta) {
        let next = self.hand.next().unwrap_or(most);
        self.hand.advance(next.max(least).min(most));
        self.settle().await;
    }

    /// Lets so much time go by in steps of that length.
    async fn live(&self, time: TimeDelta, step: TimeDelta) {
        let end = self.clock.now() + time;
        self.settle().await;
        while self.clock.now() < end {
            self.hand.advance(step);
            self.settle().await;
        }
    }

    /// Lets time go by in steps of that length until all that was started has been read once.
    async fn until_ready(&self, step: TimeDelta, at_most: TimeDelta) {
        let begun = self.clock.now();
        self.settle().await;
        while !self.is_ready().await {
            assert!(self.clock.now() - begun < at_most, "not all are read after {at_most}");
            self.hand.advance(step);
            self.settle().await;
        }
    }

    /// Waits until everybody is followed. Who is there is read from files before, for which no clock by hand waits: hours would
    /// go by meanwhile.
    async fn until_followed(&self) {
        let begun = Instant::now();
        loop {
            let mut followed = 0.0;
            for running in &self.running {
                let page = Page::parse(&get(running, "/metrics/exporter").await);
                followed += page.get("oura_exporter_accounts").unwrap_or_default();
            }
            if followed >= self.accounts.len() as f64 {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{followed} of {} accounts are followed", self.accounts.len());
            yield_now().await;
        }
    }

    async fn is_ready(&self) -> bool {
        for running in &self.running {
            if get(running, "/-/ready").await != "ready\n" {
                return false;
            }
        }
        true
    }

    /// The page of an exporter, by its place.
    async fn page(&self, exporter: usize) -> Page {
        Page::parse(&get(&self.running[exporter], "/metrics").await)
    }

    /// When an account asked for a collection with success.
    fn asked(&self, account: &str, collection: &str) -> Vec<DateTime<Utc>> {
        let (_, token) = self.accounts.iter().find(|(name, _)| name == account).expect("an account");
        let is_it = |request: &Recorded| {
            request.token.as_ref() == Some(token) && request.path.ends_with(&format!("usercollection/{collection}"))
        };
        self.simulator.requests().iter().filter(|request| is_it(request)).map(|request| request.at).collect()
    }
}

async fn get(running: &Running, path: &str) -> String {
    let request = Request::get(path).header(HOST, "localhost").body(()).expect("a request");
    let answer = running.server.answer(&request);
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    String::from_utf8(body.into()).expect("UTF-8")
}

/// The most requests that began within any stretch of that length; they are in order.
pub(crate) fn most_within(requests: &[Recorded], length: TimeDelta) -> usize {
    let (mut first, mut most) = (0, 0);
    for (last, request) in requests.iter().enumerate() {
        while request.at - requests[first].at >= length {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}
