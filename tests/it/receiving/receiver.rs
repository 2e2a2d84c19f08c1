//! A remote-write receiver on loopback: it keeps what it takes, holds senders to the rules, and fails as it is told.

use std::{
    convert::Infallible,
    fmt,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, Response,
    body::{Bytes, Incoming},
    header::{AUTHORIZATION, RETRY_AFTER},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use oura_exporter::clock::Clock;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};

use super::wire::{Parsed, Sent, parse};
use crate::common::samples::Samples;

/// How long the next request may take to come before a test fails.
const PATIENCE: Duration = Duration::from_secs(30);
/// What no sender may repeat of an answer: receivers quote values.
pub(crate) const QUOTED: &str = "lbl=secretive 61.75";

/// What happens to a request instead of being taken.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// This status, and what Retry-After says in seconds.
    Status(u16, Option<u64>),
    /// There is never an answer.
    Hang,
    /// The connection is closed instead of an answer.
    Cut,
    /// The samples are taken, and then the connection is closed instead of an answer.
    CutAfterwards,
}

type Refuses = Arc<dyn Fn(&str, i64) -> bool + Send + Sync>;

/// What a receiver never takes; one such sample rolls back the whole request, as in Prometheus.
#[derive(Clone)]
pub(crate) enum Rule {
    /// Samples of which this is true, with that status and those words.
    Samples(u16, &'static str, Refuses),
    /// Samples older than the newest of their series.
    OutOfOrder,
    /// Requests with more samples than that.
    TooLarge(usize),
    /// Requests without this Authorization header.
    Authorization(String),
}

impl Rule {
    /// Samples before `bound`, with that status.
    pub(crate) fn too_old(status: u16, bound: i64) -> Self {
        Self::Samples(status, "too old sample", Arc::new(move |_, time| time < bound))
    }

    fn refuses(&self, parsed: &Parsed, kept: &Kept, authorization: Option<&str>) -> Option<(u16, &'static str)> {
        let any = |refuses: &dyn Fn(&str, i64) -> bool| parsed.samples().any(|(series, time, _)| refuses(series, time));
        match self {
            Self::Samples(status, words, refuses) => any(&**refuses).then_some((*status, *words)),
            Self::OutOfOrder => any(&|series, time| kept.samples.newest(series).is_some_and(|newest| time < newest))
                .then_some((400, "out of order sample")),
            Self::TooLarge(most) => (parsed.samples().count() > *most).then_some((413, "request too large")),
            Self::Authorization(expected) => {
                (authorization != Some(expected)).then_some((401, "Unauthorized, got Bearer"))
            }
        }
    }
}

/// How it behaves.
#[derive(Clone, Default)]
pub(crate) struct Behaviour {
    pub(crate) rules: Vec<Rule>,
    /// Requests by their number from 0, and what happens to these.
    pub(crate) troubles: Vec<(Range<usize>, Trouble)>,
    /// How long every answer takes once the samples are taken, in milliseconds; a random part of it.
    pub(crate) slow: u64,
    /// What it says of its build.
    pub(crate) build: Option<&'static str>,
}

/// What it has seen.
#[derive(Clone, Default)]
pub(crate) struct Kept {
    pub(crate) samples: Samples,
    /// Where a sender broke a rule of the protocol, or changed its mind about a value.
    pub(crate) violations: Vec<String>,
    /// Requests that came, taken or not.
    pub(crate) requests: usize,
    /// Samples in them, taken or not.
    pub(crate) sent: Sent,
    /// Those that were taken, in the order in which they came.
    pub(crate) arrived: Vec<(String, i64)>,
    pub(crate) authorizations: Vec<Option<String>>,
}

struct Shared {
    behaviour: Mutex<Behaviour>,
    kept: Mutex<Kept>,
    came: watch::Sender<usize>,
    clock: Mutex<Clock>,
}

/// A running receiver; it stops when it is dropped.
pub(crate) struct Receiver {
    pub(crate) root: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Receiver {
    /// One that takes everything, and has the machine's clock.
    pub(crate) async fn start() -> Self {
        Self::with(Behaviour::default(), Clock::system()).await
    }

    pub(crate) async fn that(behaviour: Behaviour) -> Self {
        Self::with(behaviour, Clock::system()).await
    }

    pub(crate) async fn with(behaviour: Behaviour, clock: Clock) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let root = format!("http://{}", listener.local_addr().expect("an address"));
        let (behaviour, kept) = (Mutex::new(behaviour), Mutex::default());
        let shared = Arc::new(Shared { behaviour, kept, came: watch::Sender::new(0), clock: Mutex::new(clock) });
        let server = tokio::spawn(run(listener, Arc::clone(&shared)));
        Self { root, shared, server }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/api/v1/write", self.root)
    }

    /// The same, by another clock: before the first request.
    pub(crate) fn by(self, clock: Clock) -> Self {
        *lock(&self.shared.clock) = clock;
        self
    }

    /// Has it have these already.
    pub(crate) fn has(&self, samples: &[(String, i64, f64)]) {
        let mut kept = lock(&self.shared.kept);
        for (series, time, value) in samples {
            kept.samples.add(series, *time, *value);
        }
    }

    pub(crate) fn set(&self, behaviour: Behaviour) {
        *lock(&self.shared.behaviour) = behaviour;
    }

    pub(crate) fn kept(&self) -> Kept {
        lock(&self.shared.kept).clone()
    }

    /// How many requests came.
    pub(crate) fn requests(&self) -> usize {
        *self.shared.came.borrow()
    }

    /// Waits until so many requests came.
    pub(crate) async fn came(&self, requests: usize) {
        let mut came = self.shared.came.subscribe();
        let waited = timeout(PATIENCE, came.wait_for(|count| *count >= requests)).await;
        assert!(waited.is_ok(), "{requests} requests in {PATIENCE:?}; {} came", self.requests());
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn run(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => drop(connections.spawn(serve(stream, Arc::clone(&shared)))),
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { shared.answer(request).await }
    });
    let _cut = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

type Answer = Result<Response<Full<Bytes>>, Cut>;

/// Has hyper close the connection.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut")
    }
}

impl std::error::Error for Cut {}

fn answer(status: u16, words: &str, retry_after: Option<u64>) -> Answer {
    let mut response = Response::builder().status(status);
    if let Some(seconds) = retry_after {
        response = response.header(RETRY_AFTER, seconds);
    }
    Ok(response.body(Full::new(Bytes::from(words.to_owned()))).expect("a response"))
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let behaviour = lock(&self.behaviour).clone();
        if request.method() == Method::GET {
            return behaviour.build.map_or_else(|| answer(404, "", None), |build| answer(200, build, None));
        }
        let (head, body) = request.into_parts();
        let authorization =
            head.headers.get(AUTHORIZATION).map(|value| value.to_str().expect("a header of text").to_owned());
        let parsed = parse(&head.headers, &body.collect().await.map_err(|_| Cut)?.to_bytes());
        let number = self.note(&parsed, authorization.clone());
        let trouble = behaviour.troubles.iter().find(|(which, _)| which.contains(&number)).map(|(_, trouble)| trouble);
        let answered = match trouble {
            Some(Trouble::Status(status, after)) => answer(*status, QUOTED, *after),
            Some(Trouble::Hang) => {
                self.came.send_replace(number + 1);
                std::future::pending::<Infallible>().await;
                Err(Cut)
            }
            Some(Trouble::Cut) => Err(Cut),
            Some(Trouble::CutAfterwards) => {
                lock(&self.kept).take(&parsed);
                Err(Cut)
            }
            None => self.judge(&behaviour.rules, &parsed, authorization.as_deref()),
        };
        self.came.send_replace(number + 1);
        if behaviour.slow > 0 {
            sleep(Duration::from_millis(fastrand::u64(0..behaviour.slow))).await;
        }
        answered
    }

    /// Notes the request, and gives its number.
    fn note(&self, parsed: &Parsed, authorization: Option<String>) -> usize {
        let mut kept = lock(&self.kept);
        kept.requests += 1;
        kept.sent.note(parsed);
        kept.violations.extend(parsed.violations(lock(&self.clock).now().timestamp_millis()));
        kept.authorizations.push(authorization);
        kept.requests - 1
    }

    fn judge(&self, rules: &[Rule], parsed: &Parsed, authorization: Option<&str>) -> Answer {
        let mut kept = lock(&self.kept);
        let refused = rules.iter().find_map(|rule| rule.refuses(parsed, &kept, authorization));
        if let Some((status, words)) = refused {
            return answer(status, &format!("{words}: {QUOTED}"), None);
        }
        kept.take(parsed);
        answer(204, "", None)
    }
}

impl Kept {
    /// Takes all of it; the first value of a time stays.
    fn take(&mut self, parsed: &Parsed) {
        for (series, time, value) in parsed.samples() {
            self.arrived.push((series.to_owned(), time));
            if let Some(other) = self.samples.add(series, time, value) {
                self.violations.push(format!("{series} at {time}: {value} after {other}"));
            }
        }
    }

    /// Nothing was sent that a sender may not send, and no time has two values.
    pub(crate) fn assert_proper(&self, what: &str) {
        let some: Vec<_> = self.violations.iter().take(5).collect();
        assert!(some.is_empty(), "{what}: {} violations: {some:#?}", self.violations.len());
    }
}
