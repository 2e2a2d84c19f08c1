//! The way to Oura that all accounts share: one connection pool, one send, and the counting of requests.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use backon::{ExponentialBuilder, Retryable};
use futures_util::future::BoxFuture;
use reqwest::{Response, StatusCode, Url, header::ACCEPT_ENCODING};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use tracing::{debug, trace};

use super::{
    ApiError, Room,
    budget::{Budget, Rank, USUAL_BUDGET},
    packed::{self, GZIP, Packed},
    rate_limiter::RateLimiter,
    room::{LARGE, apart},
};
use crate::{
    clock::Clock,
    http_client::{
        self,
        body::{self, MEGABYTE},
    },
    status::ApiStats,
};

/// The largest page that is read; a month of everything is far below it.
pub(super) const LARGEST_PAGE: usize = 8 * MEGABYTE;
/// How many large answers are in memory at a time.
const LARGE_AT_A_TIME: usize = 1;
/// How long an idle connection is kept: longer than the usual poll interval.
const IDLE: Duration = Duration::from_secs(15 * 60);

/// How long is waited for an answer, and how often is asked again.
#[derive(Clone, Copy, Debug)]
pub struct ClientOptions {
    /// The longest time from request to the last byte of the answer.
    pub timeout: Duration,
    /// How often a request that failed in passing is repeated.
    pub retries: usize,
    /// The first wait before a repetition; the next ones are twice as long each, and all vary at random.
    pub wait: Duration,
    /// How long a collection waits for the one before it. One connection then serves a whole poll, and one that hangs
    /// delays the others by this much, once.
    pub stagger: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            retries: 2,
            wait: Duration::from_secs(1),
            stagger: Duration::from_millis(500),
        }
    }
}

/// The way to Oura.
pub struct Transport {
    http: reqwest::Client,
    url: String,
    sandbox: bool,
    client_options: ClientOptions,
    pub(super) clock: Clock,
    stats: ApiStats,
    /// What all accounts together may ask.
    pub(super) budget: Arc<Budget>,
    /// The places of large answers.
    pub(super) large: Arc<Semaphore>,
}

/// One request: the collection it is counted for, the path below the collections' root, and the parameters.
pub(super) struct Get<'a> {
    pub(super) collection: &'static str,
    pub(super) path: &'a str,
    pub(super) query: &'a [(&'static str, String)],
    /// The largest body that is read.
    pub(super) largest: usize,
}

impl Get<'_> {
    /// Tells what was asked and what came of it: the days, but neither a document's id nor the token of a page.
    fn log(&self, status: Option<u16>, took: Duration, answer: &Result<Vec<u8>, ApiError>) {
        let (collection, window, ms) = (self.collection, self.window(), milliseconds(took));
        match answer {
            Ok(body) => debug!(collection, window, status, ms, bytes = body.len(), "asked"),
            Err(error) => debug!(collection, window, status, ms, "asked in vain: {error}"),
        }
    }

    /// The days that are asked for, in words.
    fn window(&self) -> String {
        let value = |names: [&str; 2]| self.query.iter().find(|(name, _)| names.contains(name));
        // The first ten characters of a date or of a time are the day.
        let day = |names| value(names).map_or("", |(_, text)| text.get(..10).unwrap_or(text));
        let (first, last) = (day(["start_date", "start_datetime"]), day(["end_date", "end_datetime"]));
        match (first, last) {
            ("", "") if value(["latest"; 2]).is_some() => "the newest".to_owned(),
            ("", "") => "all".to_owned(),
            (first, last) => format!("{first} to {last}"),
        }
    }
}

fn too_large(largest: usize) -> ApiError {
    ApiError::Unreadable(format!("it is larger than {}", body::size(largest)))
}

/// The host of a URL, and its port.
fn host(url: &str) -> Option<(String, Option<u16>)> {
    let url = Url::parse(url).ok()?;
    Some((url.host_str()?.to_owned(), url.port()))
}

/// Whether the status says that the same request may succeed a moment later: 408 and 425.
fn is_of_the_moment(status: StatusCode) -> bool {
    matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY)
}

fn milliseconds(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

impl Transport {
    /// The way to the API at `url`, to its sandbox if asked for.
    ///
    /// # Errors
    /// Where the system has no certificate authorities to trust.
    pub fn new(
        url: &str,
        sandbox: bool,
        client_options: ClientOptions,
        clock: Clock,
        stats: ApiStats,
    ) -> Result<Self, reqwest::Error> {
        // What comes gzipped is unpacked here.
        let http = http_client::to(url)
            .no_gzip()
            .timeout(client_options.timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1)
            .build()?;
        let large = Arc::new(Semaphore::new(LARGE_AT_A_TIME));
        let budget = Arc::new(Budget::new(USUAL_BUDGET, clock.clone(), stats.clone()));
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { http, url, sandbox, client_options, clock, stats, budget, large })
    }

    /// The same with another budget than the usual one: so many requests in five minutes.
    #[must_use]
    pub fn within(self, budget: u32) -> Self {
        Self { budget: Arc::new(Budget::new(budget, self.clock.clone(), self.stats.clone())), ..self }
    }

    /// Counts the requests that are made in another way to where the API is: those for tokens.
    pub fn counter(self: &Arc<Self>) -> impl Fn(&str) + Send + Sync + use<> {
        let (transport, own) = (Arc::clone(self), host(&self.url));
        move |url| {
            if own.is_some() && host(url) == own {
                transport.budget.spend();
            }
        }
    }

    /// Has the requests that are made in another way to where the API is, and that can wait, wait for their room in the budget:
    /// before whatever begins that is due from now on.
    pub fn payer(self: &Arc<Self>) -> impl Fn(&str) -> BoxFuture<'static, ()> + Send + Sync + use<> {
        let (transport, own) = (Arc::clone(self), host(&self.url));
        // They are few. By the moment of each, they would wait behind the first turns of thousands of accounts.
        let rank = Rank::Due(self.clock.instant());
        move |url| {
            let (transport, is_own) = (Arc::clone(&transport), own.is_some() && host(url) == own);
            Box::pin(async move {
                if is_own {
                    // What is not under way yet waits for the end of a pause, too.
                    let _taken = transport.budget.take(rank).await;
                }
            })
        }
    }

    /// Whether it leads to Oura's sandbox, which has no `personal_info`.
    pub(super) fn is_sandbox(&self) -> bool {
        self.sandbox
    }

    /// Sends one request, again if it fails in passing, and gives the body of a success.
    pub(super) async fn send(
        &self,
        get: &Get<'_>,
        token: &SecretString,
        rate_limiter: &RateLimiter,
        room: &Room,
    ) -> Result<Vec<u8>, ApiError> {
        let waits = ExponentialBuilder::default()
            .with_min_delay(self.client_options.wait)
            .with_max_times(self.client_options.retries)
            .with_jitter();
        let again = |error: &ApiError, wait: Duration| {
            trace!(collection = get.collection, wait_ms = milliseconds(wait), "asked again after: {error}");
        };
        (|| self.send_once(get, token, rate_limiter, room))
            .retry(waits)
            .when(ApiError::is_transient)
            .notify(again)
            .await
    }

    /// Sends one request, once.
    pub(super) async fn send_once(
        &self,
        get: &Get<'_>,
        token: &SecretString,
        rate_limiter: &RateLimiter,
        room: &Room,
    ) -> Result<Vec<u8>, ApiError> {
        rate_limiter.pass(get.collection).await?;
        let started = Instant::now();
        let root = if self.sandbox { "sandbox/usercollection" } else { "usercollection" };
        let request = self.http.get(format!("{}/v2/{root}/{}", self.url, get.path)).query(get.query);
        let request = request.header(ACCEPT_ENCODING, GZIP);
        let answer = request.bearer_auth(token.expose_secret()).send().await;
        let code = answer.as_ref().ok().map(Response::status);
        let body = match answer {
            Ok(answer) => self.body(answer, get.largest, rate_limiter, room).await,
            Err(error) => Err(self.broken(error)),
        };
        let (code, took) = (code.map(|code| code.as_u16()), started.elapsed());
        self.stats.request(get.collection, code, took);
        get.log(code, took, &body);
        body
    }

    async fn body(
        &self,
        answer: Response,
        largest: usize,
        rate_limiter: &RateLimiter,
        room: &Room,
    ) -> Result<Vec<u8>, ApiError> {
        let status = answer.status();
        match status {
            StatusCode::UNAUTHORIZED => Err(ApiError::Unauthorized),
            StatusCode::FORBIDDEN => Err(ApiError::Forbidden),
            StatusCode::TOO_MANY_REQUESTS => Err(rate_limiter.close(answer.headers())),
            status if status.is_server_error() || is_of_the_moment(status) => Err(ApiError::Server(status.as_u16())),
            status if !status.is_success() => Err(ApiError::Rejected { status: status.as_u16() }),
            _ => self.whole(answer, largest, room).await,
        }
    }

    /// The body of a success, unpacked.
    async fn whole(&self, answer: Response, largest: usize, room: &Room) -> Result<Vec<u8>, ApiError> {
        let is_packed = packed::is_packed(answer.headers());
        let body = self.all(answer, largest, room).await?;
        if is_packed && !body.is_empty() { self.unpacked(Packed::new(body), largest, room).await } else { Ok(body) }
    }

    async fn unpacked(&self, mut packed: Packed, largest: usize, room: &Room) -> Result<Vec<u8>, ApiError> {
        let mut body = Vec::new();
        let mut ended = packed.read(&mut body, largest.min(LARGE))?;
        if !ended && largest > LARGE {
            room.claim(&self.large).await;
            let rest = move || packed.read(&mut body, largest).map(|ended| (ended, body));
            (ended, body) = apart(largest, rest).await?;
        }
        if ended { Ok(body) } else { Err(too_large(largest)) }
    }

    /// A body as it comes; once it shows to be a large one, it waits until no other one is in memory.
    async fn all(&self, mut answer: Response, largest: usize, room: &Room) -> Result<Vec<u8>, ApiError> {
        let mut body = Vec::new();
        let mut ended = self.read(&mut answer, &mut body, largest.min(LARGE)).await?;
        if !ended && largest > LARGE {
            room.claim(&self.large).await;
            ended = self.read(&mut answer, &mut body, largest).await?;
        }
        if ended { Ok(body) } else { Err(too_large(largest)) }
    }

    async fn read(&self, answer: &mut Response, body: &mut Vec<u8>, most: usize) -> Result<bool, ApiError> {
        body::read(answer, body, most).await.map_err(|error| self.broken(error))
    }

    fn broken(&self, error: reqwest::Error) -> ApiError {
        ApiError::of_transport(error, self.client_options.timeout)
    }
}
