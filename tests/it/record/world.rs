//! Months of a wearer's life at the speed of the machine: the service, the exporter and real stores, step by step.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use oura_exporter::{
    backfill::{Backfill, Destination, Readers, RetryPolicy},
    clock::{Clock, ManualClock},
    exporter::{self, Exporter},
    http,
    oura::ClientOptions,
    poll::Followers,
    remote_write::{Credentials, Receiver},
    samples::Target,
    server::Server,
    simulator::{Fault, Scope, Settings, Simulator},
    status::ApiStats,
};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    task::JoinHandle,
};

use crate::common::{backfill::config, eventually};

/// How far the clock goes at a time, in minutes; each step asks Oura for everything.
const STEP: std::ops::Range<i64> = 61..300;
/// How far it goes between two scrapes that are waited for: with a step more, less than `/metrics/samples` goes back.
const SCRAPED_EVERY: TimeDelta = TimeDelta::hours(6);
const SAMPLES: &str = "/metrics/samples";
/// One in so many scrapes that nobody waits for is answered all the same, at whatever moment it comes. To take the same samples again is what
/// costs a store most, and it would do so ten times a second.
const UNASKED: usize = 8;

/// What a run is like.
pub(crate) struct Course {
    pub(crate) people: &'static [&'static str],
    pub(crate) start: DateTime<Utc>,
    pub(crate) days: i64,
    pub(crate) seed: u64,
    /// When the exporter is started again, in order.
    pub(crate) restarts: Vec<DateTime<Utc>>,
    /// When there is no network.
    pub(crate) outage: Option<Range<DateTime<Utc>>>,
    pub(crate) remote_write_url: Option<String>,
    /// Whether there is somebody who flies.
    pub(crate) has_traveller: bool,
}

/// A service, a clock that is moved by hand, and an exporter.
pub(crate) struct World {
    pub(crate) simulator: Simulator,
    pub(crate) clock: Clock,
    hand: ManualClock,
    course: Course,
    pub(crate) state: TempDir,
    listen: String,
    running: Option<Running>,
    scrapes: Arc<Scrapes>,
    /// When everything was asked for with success, in order.
    pub(crate) looks: Vec<DateTime<Utc>>,
}

/// The scrapes of the samples.
#[derive(Default)]
struct Scrapes {
    /// How many came.
    all: AtomicUsize,
    is_awaited: AtomicBool,
    /// How many had come with the newest that was answered because somebody waits.
    answered: AtomicUsize,
}

impl Scrapes {
    /// Whether the scrape that has come is to be answered with the samples.
    fn admit(&self) -> bool {
        let number = self.all.fetch_add(1, Ordering::SeqCst);
        if self.is_awaited.load(Ordering::SeqCst) {
            self.answered.store(number + 1, Ordering::SeqCst);
            self.is_awaited.store(false, Ordering::SeqCst);
            return true;
        }
        number.is_multiple_of(UNASKED)
    }

    /// Whether what was awaited has been taken: a store begins a scrape when it has the one before.
    fn is_taken(&self) -> bool {
        !self.is_awaited.load(Ordering::SeqCst)
            && self.all.load(Ordering::SeqCst) > self.answered.load(Ordering::SeqCst)
    }
}

struct Running {
    followers: Followers,
    server: Arc<Server>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    sending: Option<(watch::Sender<bool>, JoinHandle<()>)>,
}

impl World {
    pub(crate) async fn new(course: Course) -> Self {
        oura_exporter::tls::choose_provider();
        let (clock, hand) = Clock::driven_from(course.start);
        let settings = Settings {
            clock: clock.clone().into(),
            seed: course.seed,
            full_days: Some(0),
            has_traveller: course.has_traveller,
            ..Settings::default()
        };
        let simulator = Simulator::start(settings).await.expect("a free port");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let listen = listener.local_addr().expect("an address").to_string();
        let mut world = Self {
            simulator,
            clock,
            hand,
            course,
            state: tempfile::tempdir().expect("a directory"),
            listen,
            running: None,
            scrapes: Arc::default(),
            looks: vec![],
        };
        world.start_on(listener);
        world
    }

    /// Where the exporter is.
    pub(crate) fn address(&self) -> &str {
        &self.listen
    }

    /// A receiver of remote write.
    pub(crate) fn receiver(&self, url: &str) -> Destination {
        Destination::Remote(Receiver::new(url, Credentials::Open, Duration::from_secs(10)).expect("a receiver"))
    }

    /// Brings one person's record of `days` in, as it is known now.
    pub(crate) async fn backfill(&self, person: &'static str, days: &[NaiveDate], destination: Destination) {
        let config = config(&self.simulator, &[person], &[]);
        let stats = ApiStats::new().expect("good names");
        let kinds = config.collections.iter().copied().filter(|kind| kind.is_recorded()).collect();
        let accounts = exporter::accounts(config, &stats, &self.clock, ClientOptions::default()).expect("accounts");
        let backfill = Backfill {
            accounts,
            kinds,
            from: days[0],
            to: days.last().copied(),
            target: Target { job: "oura".to_owned(), instance: self.listen.clone() },
            readers: Readers::Owner,
            store: None,
            restart: false,
            clock: self.clock.clone(),
            persistence: RetryPolicy::default(),
        };
        backfill.run(destination, std::future::pending()).await.expect("a good end");
    }

    fn start_on(&mut self, listener: TcpListener) {
        let mut variables = vec![("OURA_STATE_DIR", self.state.path().display().to_string())];
        if let Some(url) = &self.course.remote_write_url {
            variables.push(("OURA_REMOTE_WRITE_URL", url.clone()));
            variables.push(("OURA_INSTANCE", self.listen.clone()));
        }
        let mut config = config(&self.simulator, self.course.people, &variables);
        config.poll_interval = Duration::from_secs(300);
        let client_options = ClientOptions { retries: 0, stagger: Duration::ZERO, ..ClientOptions::default() };
        let Exporter { server, poller, accounts, live, .. } =
            Exporter::new(config, listener.local_addr().expect("an address"), self.clock.clone(), client_options)
                .expect("an exporter");
        let (stop, stopped) = oneshot::channel::<()>();
        let (answering, scrapes) = (Arc::clone(&server), Arc::clone(&self.scrapes));
        let answer = move |request: hyper::Request<hyper::body::Incoming>| {
            let is_answered = request.uri().path() != SAMPLES || scrapes.admit();
            let server = Arc::clone(&answering);
            async move { if is_answered { server.answer(&request) } else { nothing() } }
        };
        let serving = tokio::spawn(http::serve(listener, answer, async move { drop(stopped.await) }));
        let sending = live.map(|live| {
            let (stop, stopped) = watch::channel(false);
            (stop, tokio::spawn(live.run(stopped)))
        });
        self.running = Some(Running { followers: poller.by_hand(accounts), server, stop, serving, sending });
    }

    /// Ends the exporter as a crash would, and starts it again.
    async fn restart(&mut self) {
        let Running { followers, stop, serving, sending, server } = self.running.take().expect("it runs");
        if let Some((_, sending)) = sending {
            sending.abort();
            let _aborted = sending.await;
        }
        drop(stop);
        serving.await.expect("an end");
        drop((followers, server));
        let listener = eventually("its port is free", async || TcpListener::bind(&self.listen).await.ok()).await;
        self.start_on(listener);
    }

    /// Lives through all of it, while somebody scrapes the samples.
    pub(crate) async fn live(&mut self) {
        let mut random = fastrand::Rng::with_seed(self.course.seed);
        let end = self.course.start + TimeDelta::days(self.course.days);
        let mut last_scrape = self.course.start;
        loop {
            let now = self.clock.now();
            self.look(now).await;
            if now - last_scrape >= SCRAPED_EVERY || now >= end {
                self.scraped().await;
                last_scrape = now;
            }
            if now >= end {
                break;
            }
            if self.course.restarts.first().is_some_and(|restart| *restart <= now) {
                self.course.restarts.remove(0);
                self.restart().await;
            }
            self.hand.advance(TimeDelta::minutes(random.i64(STEP)).min(end - now));
        }
        assert!(self.course.restarts.is_empty(), "restarts that never came");
    }

    /// Has the exporter ask for everything that is due now.
    async fn look(&mut self, now: DateTime<Utc>) {
        let is_out = self.course.outage.as_ref().is_some_and(|outage| outage.contains(&now));
        self.simulator.faults().clear();
        if is_out {
            self.simulator.faults().set(Scope::all(), Fault::Drop);
        }
        self.running.as_mut().expect("it runs").followers.catch_up().await;
        if !is_out {
            self.looks.push(now);
        }
        self.simulator.forget_requests();
    }

    /// Waits until what is on the page of samples now has been scraped.
    async fn scraped(&self) {
        self.scrapes.is_awaited.store(true, Ordering::SeqCst);
        eventually("a scrape that began after this", async || self.scrapes.is_taken().then_some(())).await;
    }
}

/// A page without samples.
fn nothing() -> http::Answer {
    let mut page = http::Answer::default();
    page.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"));
    page
}
