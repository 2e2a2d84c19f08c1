//! What the exporter answers over HTTP: the page, its health, and a landing page for people.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use chrono::TimeDelta;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderValue, LOCATION, REFRESH, VARY},
    http::uri::Authority,
};
use tracing::error;

use crate::{
    auth::{self, StoreHealth},
    config::{Asked, ExternalUrl},
    discovery::{self, EXPORTER, METRICS, SAMPLE_TARGETS, SAMPLES, TARGETS, Target, Way},
    hosts::{Hosts, WrongHost},
    http::{self, Answer, NOT_TLS, accepts_gzip, accepts_open_metrics},
    landing,
    page::{Encoded, Page},
    samples::{Format, LOOK_BACK, Samples, USUAL_WINDOW},
    sign_in::SignInPages,
    state::{AccountState, Snapshot},
    web_config::WebConfig,
};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const METRICS_TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// What is answered here.
const PATHS: &[&str] = &["/", METRICS, EXPORTER, SAMPLES, TARGETS, SAMPLE_TARGETS, "/-/healthy", "/-/ready"];
const NOT_SERVED: &str = "not served; unset OURA_SAMPLES and restart the exporter\n";

/// What answers are made from.
pub struct Server {
    /// The accounts, for the landing page and readiness.
    pub snapshot: Arc<Snapshot>,
    /// The page.
    pub page: Page,
    /// The samples with their own time, where they are served.
    pub samples: Option<Arc<Samples>>,
    /// The same ones, wherever they are kept: the landing page draws them.
    pub record: Option<Arc<Samples>>,
    /// The names by which it may be asked for.
    pub hosts: Hosts,
    /// Who is admitted, and how the page is encrypted, where a web configuration says so.
    pub web: Option<Arc<WebConfig>>,
    /// Whether everybody who asks has given a password.
    pub has_basic_auth: bool,
    /// Where a proxy shows it.
    pub external: ExternalUrl,
    /// The address of the landing page.
    pub home: String,
    /// Where people sign in, if they do.
    pub sign_in: Option<Arc<SignInPages>>,
    /// Whether what comes of it can be kept.
    pub health: Option<Arc<StoreHealth>>,
}

impl Server {
    /// Takes the path of the proxy off what is asked for; an answer only where the browser has to ask anew.
    pub fn enter(&self, uri: &mut Uri) -> Option<Answer> {
        let rest = match self.external.asked(uri.path()) {
            Asked::Path(rest) if rest.len() == uri.path().len() => return None,
            Asked::Path(rest) => rest.to_owned(),
            Asked::NeedsSlash => return Some(moved(&self.external.root())),
        };
        let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = format!("{rest}{query}").parse().ok();
        if let Ok(entered) = Uri::from_parts(parts) {
            *uri = entered;
        }
        None
    }

    /// Answers a request as it comes from a proxy, or not; on the sign-in pages, that may take as long as Oura takes.
    pub async fn receive(&self, mut request: Request<Incoming>) -> Answer {
        if let Some(moved) = self.enter(request.uri_mut()) {
            return moved;
        }
        match &self.sign_in {
            Some(sign_in) if sign_in.has(request.uri().path()) && self.hosts.judge(&request).is_ok() => {
                sign_in.answer(request).await
            }
            _ => self.answer(&request),
        }
    }

    /// Answers a request of this machine that is not encrypted, where all others are: Oura takes no redirect URI but
    /// `http://localhost` for a browser here. The state in it is known to nobody but who began the sign-in.
    pub async fn receive_in_the_open<B>(&self, request: &Request<B>) -> Answer {
        match &self.sign_in {
            Some(sign_in)
                if sign_in.is_open()
                    && sign_in.comes_back_in_the_open(request.uri().path())
                    && *request.method() == Method::GET
                    && self.hosts.judge(request).is_ok() =>
            {
                sign_in.finish_in_the_open(request.uri().query().unwrap_or_default()).await
            }
            _ => text(StatusCode::BAD_REQUEST, NOT_TLS),
        }
    }

    /// Answers one request that needs nobody but this exporter.
    pub fn answer<B>(&self, request: &Request<B>) -> Answer {
        if let Err(wrong) = self.hosts.judge(request) {
            let status = match wrong {
                WrongHost::Missing => StatusCode::BAD_REQUEST,
                WrongHost::Misdirected(_) => StatusCode::MISDIRECTED_REQUEST,
            };
            return text(status, format!("{wrong}\n"));
        }
        if !PATHS.contains(&request.uri().path()) {
            return text(StatusCode::NOT_FOUND, "not found; see / for what is here\n");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        if let Some(mistake) = discovery::misplaced(request.uri().path(), request.uri().query().unwrap_or_default()) {
            return text(StatusCode::BAD_REQUEST, mistake);
        }
        match request.uri().path() {
            METRICS => self.metrics(request),
            EXPORTER => encoded(request, self.page.of_the_exporter().map(Arc::new)),
            SAMPLES => self.samples(request),
            TARGETS => self.targets(request),
            SAMPLE_TARGETS => self.sample_targets(request),
            "/-/healthy" => text(StatusCode::OK, "healthy\n"),
            "/-/ready" => self.ready(),
            _ => self.landing(request.uri().query().unwrap_or_default()),
        }
    }

    fn metrics<B>(&self, request: &Request<B>) -> Answer {
        let named = match discovery::named(request.uri().query().unwrap_or_default()) {
            Ok(None) => return encoded(request, self.page.current()),
            Ok(Some(named)) => named,
            Err(mistake) => return text(StatusCode::BAD_REQUEST, mistake),
        };
        match self.page.of(named.iter().map(String::as_str)).transpose() {
            Some(page) => encoded(request, page.map(Arc::new)),
            None => nobody(&named),
        }
    }

    /// The targets that make up the page: one for each account, and one for what is no account's.
    fn targets<B>(&self, request: &Request<B>) -> Answer {
        let way = self.way(request);
        let mut targets = way.to_each(METRICS, self.snapshot.names().iter().map(AsRef::as_ref));
        targets.push(way.to_the_exporter());
        listed(request, &targets)
    }

    fn sample_targets<B>(&self, request: &Request<B>) -> Answer {
        if self.samples.is_none() {
            return text(StatusCode::NOT_FOUND, NOT_SERVED);
        }
        listed(request, &self.way(request).to_each(SAMPLES, self.snapshot.names().iter().map(AsRef::as_ref)))
    }

    /// How whoever asks has come here.
    fn way<B>(&self, request: &Request<B>) -> Way {
        let is_encrypted = self.web.as_ref().is_some_and(|web| web.is_encrypted());
        let asked = request.uri().authority().map(Authority::as_str);
        let host = || request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let own = || self.home.split("://").nth(1).map(|rest| rest.trim_end_matches('/'));
        let authority = asked.or_else(host).or_else(own).unwrap_or_default();
        Way::of(authority, is_encrypted, &self.external)
    }

    fn samples<B>(&self, request: &Request<B>) -> Answer {
        let Some(samples) = &self.samples else {
            return text(StatusCode::NOT_FOUND, NOT_SERVED);
        };
        let query = request.uri().query().unwrap_or_default();
        let window = match window(query) {
            Ok(window) => window,
            Err(mistake) => return text(StatusCode::BAD_REQUEST, mistake),
        };
        let named = match discovery::named(query) {
            Ok(named) => named,
            Err(mistake) => return text(StatusCode::BAD_REQUEST, mistake),
        };
        if let Some(named) = named.as_ref().filter(|named| !named.iter().any(|name| self.snapshot.has(name))) {
            return nobody(named);
        }
        let format = if accepts_open_metrics(request.headers()) { Format::OpenMetrics } else { Format::Plain };
        let gzip = accepts_gzip(request.headers());
        let page = samples.page(named.as_ref(), format, gzip, window, self.snapshot.now());
        coded(gzip, "accept, accept-encoding", body(HeaderValue::from_static(format.content_type()), page))
    }

    fn ready(&self) -> Answer {
        if self.snapshot.is_empty() {
            if let Some(trouble) = self.health.as_ref().and_then(|health| health.trouble()) {
                let words = format!("nobody has signed in, and nobody can: {trouble}\n");
                return text(StatusCode::SERVICE_UNAVAILABLE, words);
            }
            if self.sign_in.as_ref().is_some_and(|sign_in| sign_in.is_of_one_of_several()) {
                // There may be nobody for it, and its part of the work is done.
                return text(StatusCode::OK, "ready\n");
            }
            let is_open = self.sign_in.as_ref().is_some_and(|sign_in| sign_in.is_open());
            let todo = if is_open { format!("open {}", self.home) } else { "run: oura-exporter login".to_owned() };
            let words = format!("nobody has signed in; {todo}\n");
            return text(StatusCode::SERVICE_UNAVAILABLE, words);
        }
        match self.snapshot.ready() {
            Ok(()) => text(StatusCode::OK, "ready\n"),
            Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
        }
    }

    fn list(&self, is_still: bool) -> String {
        let posted = self.snapshot.posted();
        let accounts = posted.iter().map(|posted| (posted.state.name.as_str(), posted.state.needs_sign_in()));
        landing::list(accounts, self.snapshot.now(), is_still)
    }

    fn landing(&self, query: &str) -> Answer {
        if let Some(page) = self.sign_in.as_ref().and_then(|sign_in| sign_in.front_page()) {
            return page;
        }
        let named = match discovery::named(query) {
            Ok(named) => named,
            Err(mistake) => return text(StatusCode::BAD_REQUEST, mistake),
        };
        let is_still = form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == landing::STILL);
        let now = self.snapshot.now();
        let shown = |accounts: &[AccountState]| landing::page(accounts, self.record.as_deref(), now, is_still);
        let html = match named {
            Some(named) => {
                let found: Vec<_> = named.iter().filter_map(|name| self.snapshot.account(name)).collect();
                if found.is_empty() {
                    return nobody(&named);
                }
                shown(&found[..found.len().min(landing::MOST_SHOWN)])
            }
            None if self.snapshot.len() > landing::MOST_SHOWN => self.list(is_still),
            None => shown(&self.snapshot.accounts()),
        };
        let mut answer = body(HTML, html);
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if !is_still {
            answer.headers_mut().insert(REFRESH, HeaderValue::from_static(landing::REFRESH));
        }
        answer
    }
}

/// A page as it was encoded, or was not.
fn encoded<B>(request: &Request<B>, page: Result<Arc<Encoded>, prometheus::Error>) -> Answer {
    let page = match page {
        Ok(page) => page,
        Err(error) => {
            error!(%error, "the page cannot be encoded");
            return text(StatusCode::INTERNAL_SERVER_ERROR, "the page cannot be encoded; see the log\n");
        }
    };
    let gzip = accepts_gzip(request.headers());
    coded(gzip, "accept-encoding", body(METRICS_TEXT, if gzip { page.gzipped() } else { page.plain() }))
}

/// A list of targets.
fn listed<B>(request: &Request<B>, targets: &[Target]) -> Answer {
    let json = serde_json::to_vec(targets).expect("a list of words");
    let gzip = accepts_gzip(request.headers());
    coded(gzip, "accept-encoding, host", body(JSON, if gzip { http::gzip(&json) } else { json.into() }))
}

/// What is said where none of the accounts is there that were asked for. A name is repeated only if it can be one.
fn nobody(named: &BTreeSet<String>) -> Answer {
    let name = named.first().filter(|name| named.len() == 1 && auth::is_name(name));
    let whom = name.map_or_else(|| "of these names".to_owned(), |name| format!("named {name}"));
    text(StatusCode::NOT_FOUND, format!("this exporter has no account {whom}; see {TARGETS} for those that it has\n"))
}

/// How far back samples are wanted, by when they were learnt: `learnt=48h`, fourteen days at most.
fn window(query: &str) -> Result<TimeDelta, String> {
    let learnt = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "learnt");
    let Some((_, learnt)) = learnt else { return Ok(USUAL_WINDOW) };
    let window = humantime::parse_duration(&learnt).ok().and_then(|window| TimeDelta::from_std(window).ok());
    let window = window.filter(|window| (TimeDelta::seconds(1)..=LOOK_BACK).contains(window));
    window.ok_or_else(|| "learnt is not a duration of at most 14d; write learnt=48h\n".to_owned())
}

/// An answer that depends on what the client takes.
fn coded(gzip: bool, depends_on: &'static str, mut answer: Answer) -> Answer {
    answer.headers_mut().insert(VARY, HeaderValue::from_static(depends_on));
    if gzip {
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

/// Sends a browser on to where relative links lead here.
fn moved(to: &str) -> Answer {
    let mut answer = text(StatusCode::PERMANENT_REDIRECT, format!("see {to}\n"));
    if let Ok(to) = HeaderValue::from_str(to) {
        answer.headers_mut().insert(LOCATION, to);
    }
    answer
}

fn text(status: StatusCode, words: impl Into<Bytes>) -> Answer {
    let mut answer = body(TEXT, words);
    *answer.status_mut() = status;
    answer
}

fn body(kind: HeaderValue, bytes: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(bytes.into()));
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}
