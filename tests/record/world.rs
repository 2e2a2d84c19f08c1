//! Months of a wearer's life at the speed of the machine: the service, the exporter and real stores, step by step.

use std::{
    ops::Range,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use oura_exporter::{
    clock::{Clock, ManualClock},
    exporter::Exporter,
    http,
    oura::Patience,
    poll::Followers,
    server::Server,
    simulator::{Fault, Scope, Settings, Simulator},
};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    task::JoinHandle,
};

use crate::common::{backfill::config, eventually};

/// How far the clock goes at a time; each step asks Oura for everything.
pub(crate) const STEP: TimeDelta = TimeDelta::hours(1);
/// So many steps lie between two scrapes that are waited for: less than `/metrics/samples` goes back.
const SCRAPED_EVERY: usize = 10;
const SAMPLES: &str = "/metrics/samples";

/// What a run is like.
pub(crate) struct Course {
    pub(crate) people: &'static [&'static str],
    pub(crate) start: DateTime<Utc>,
    pub(crate) days: i64,
    pub(crate) seed: u64,
    /// After which steps the exporter is started again.
    pub(crate) restarts: Vec<usize>,
    /// When there is no network.
    pub(crate) outage: Option<Range<DateTime<Utc>>>,
    pub(crate) remote_write_url: Option<String>,
}

/// A service, a clock that is moved by hand, and an exporter.
pub(crate) struct World {
    pub(crate) simulator: Simulator,
    pub(crate) clock: Clock,
    hand: ManualClock,
    course: Course,
    state: TempDir,
    listen: String,
    running: Option<Running>,
    scrapes: Arc<AtomicUsize>,
    /// When everything was asked for with success, in order.
    pub(crate) looks: Vec<DateTime<Utc>>,
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
        let settings = Settings { clock: clock.clone(), seed: course.seed, full_days: Some(0), ..Settings::default() };
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

    pub(crate) fn state(&self) -> &Path {
        self.state.path()
    }

    fn start_on(&mut self, listener: TcpListener) {
        let mut variables = vec![("OURA_STATE_DIR", self.state.path().display().to_string())];
        if let Some(url) = &self.course.remote_write_url {
            variables.push(("OURA_REMOTE_WRITE_URL", url.clone()));
            variables.push(("OURA_INSTANCE", self.listen.clone()));
        }
        let mut config = config(&self.simulator, self.course.people, &variables);
        config.poll_interval = Duration::from_secs(300);
        let patience = Patience { retries: 0, stagger: Duration::ZERO, ..Patience::default() };
        let Exporter { server, poller, accounts, live } =
            Exporter::new(config, listener.local_addr().expect("an address"), self.clock.clone(), patience)
                .expect("an exporter");
        let (stop, stopped) = oneshot::channel::<()>();
        let (answering, scrapes) = (Arc::clone(&server), Arc::clone(&self.scrapes));
        let answer = move |request: hyper::Request<hyper::body::Incoming>| {
            if request.uri().path() == SAMPLES {
                scrapes.fetch_add(1, Ordering::SeqCst);
            }
            let server = Arc::clone(&answering);
            async move { server.answer(&request) }
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

    /// Lives through all of it; `scraped` says whether somebody scrapes the samples.
    pub(crate) async fn live(&mut self, scraped: bool) {
        let steps = usize::try_from(self.course.days * 24).expect("a number");
        for step in 0..=steps {
            let now = self.clock.now();
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
            if scraped && (step % SCRAPED_EVERY == 0 || step == steps) {
                self.scraped().await;
            }
            if self.course.restarts.contains(&step) {
                self.restart().await;
            }
            if step < steps {
                self.hand.advance(STEP);
            }
        }
    }

    /// Waits until what is on the page of samples now has been scraped.
    async fn scraped(&self) {
        let before = self.scrapes.load(Ordering::SeqCst);
        eventually("a scrape that began after this", async || {
            (self.scrapes.load(Ordering::SeqCst) >= before + 2).then_some(())
        })
        .await;
    }
}
