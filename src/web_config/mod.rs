//! TLS and basic auth of the page, by a file in the format of Prometheus' exporter-toolkit: what is in force, and when it
//! changes.

mod basic_auth;
mod client_certificate;
mod encryption;
mod file;
mod files;
mod health;
mod rate_limit;
mod tls_names;

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use hyper::{
    Request, StatusCode,
    header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
};
use rustls::ServerConfig;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

pub use self::health::HealthPass;
use self::{
    basic_auth::{BasicAuth, Turns, credentials},
    files::Versions,
    rate_limit::RateLimit,
};
use crate::http::{Answer, Encryption, Peer};

/// How often the files are looked at, at most, while somebody asks.
const LOOK: Duration = Duration::from_secs(1);
/// The exporter's only protocol: the toolkit's `http2` says what may be used, not what must.
const PROTOCOL: &[u8] = b"http/1.1";

/// What one reading of the files came to.
pub struct Settings {
    /// How the page is encrypted; none: it is not.
    pub encryption: Option<Arc<ServerConfig>>,
    /// Whether only clients with a certificate of their own get through.
    needs_client_certificate: bool,
    basic_auth: Option<BasicAuth>,
    headers: Vec<(HeaderName, HeaderValue)>,
    rate_limit: Option<RateLimit>,
    health: HealthPass,
    versions: Versions,
    warnings: Vec<String>,
}

/// What is in force, renewed when the files change.
pub struct WebConfig {
    path: PathBuf,
    current: ArcSwap<Settings>,
    last_look: Mutex<LastLook>,
    turns: Turns,
}

struct LastLook {
    at: Instant,
    /// The files as they were when they could not be taken over, so that each such trouble is told once.
    refused: Option<Versions>,
}

impl fmt::Debug for WebConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebConfig").field("path", &self.path).finish_non_exhaustive()
    }
}

impl WebConfig {
    /// Reads the file and those that it names.
    ///
    /// # Errors
    /// All mistakes in it, each with the setting's place in the file, the cause and the next step.
    pub fn read(path: &Path) -> Result<Self, Vec<String>> {
        let current = ArcSwap::from_pointee(file::read(path)?);
        let last_look = Mutex::new(LastLook { at: Instant::now(), refused: None });
        Ok(Self { path: path.to_owned(), current, last_look, turns: Turns::default() })
    }

    /// What is odd about the file.
    pub fn warnings(&self) -> Vec<String> {
        self.current.load().warnings.clone()
    }

    /// Whether the page is encrypted. This and basic auth are switched on and off by a start only.
    pub fn is_encrypted(&self) -> bool {
        self.current.load().encryption.is_some()
    }

    /// Whether a user and a password are asked for.
    pub fn has_basic_auth(&self) -> bool {
        self.current.load().basic_auth.is_some()
    }

    /// Whether not everybody who reaches the port can read the page.
    pub fn is_closed(&self) -> bool {
        self.has_basic_auth() || self.current.load().needs_client_certificate
    }

    /// What lets the health check on this machine in.
    pub fn health(&self) -> HealthPass {
        self.current.load().health.clone()
    }

    /// What is in force, after a look at the files if the last one is a while ago.
    pub async fn settings(self: &Arc<Self>) -> Arc<Settings> {
        if self.is_due() {
            let config = Arc::clone(self);
            // A panic there would be logged by the runtime; what was in force stays so.
            let _looked = spawn_blocking(move || config.look()).await;
        }
        self.current.load_full()
    }

    fn is_due(&self) -> bool {
        let mut last_look = self.last_look.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last_look.at.elapsed() >= LOOK;
        if is_due {
            last_look.at = Instant::now();
        }
        is_due
    }

    /// Takes over what has changed in the files; where that is not possible, what was in force stays so.
    fn look(&self) {
        let versions = self.current.load().versions.now();
        if versions == self.current.load().versions {
            return;
        }
        let mut last_look = self.last_look.lock().unwrap_or_else(PoisonError::into_inner);
        if last_look.refused.as_ref() == Some(&versions) {
            return;
        }
        match file::read(&self.path).and_then(|new| self.judge(new)) {
            Ok(new) => {
                info!("the web configuration has changed, and is now in use");
                for warning in &new.warnings {
                    warn!("{warning}");
                }
                self.current.store(Arc::new(new.after(&self.current.load())));
                last_look.refused = None;
            }
            Err(mistakes) => {
                for mistake in mistakes {
                    warn!("the web configuration has changed, but the previous one stays in force: {mistake}");
                }
                last_look.refused = Some(versions);
            }
        }
    }

    /// A file that is being written, or is lost, looks like one that asks for no password.
    fn judge(&self, new: Settings) -> Result<Settings, Vec<String>> {
        let is_same = new.encryption.is_some() == self.is_encrypted()
            && new.basic_auth.is_some() == self.has_basic_auth()
            && new.needs_client_certificate == self.current.load().needs_client_certificate;
        if is_same {
            return Ok(new);
        }
        let path = self.path.display();
        Err(vec![format!(
            "{path}: TLS, client certificates and basic auth are switched on and off only at startup; restart the \
             exporter"
        )])
    }

    /// Judges whether a request is to be answered.
    ///
    /// # Errors
    /// The answer that it gets instead.
    pub async fn admit<B: Sync>(&self, settings: &Settings, request: &Request<B>) -> Result<(), Box<Answer>> {
        if settings.health.admits(request.uri().path(), request.headers()) {
            return Ok(());
        }
        if settings.rate_limit.as_ref().is_some_and(|limit| !limit.admits(Instant::now())) {
            return Err(too_many());
        }
        let Some(basic_auth) = &settings.basic_auth else { return Ok(()) };
        let peer = request.extensions().get().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Peer(address)| *address);
        if let Some((user, password)) = credentials(request.headers())
            && basic_auth.admits(user, password, peer, &self.turns).await
        {
            return Ok(());
        }
        Err(who_are_you())
    }
}

/// What the page's connections are encrypted with, if they are.
pub fn encryption(web: Arc<WebConfig>) -> Option<Encryption> {
    let at_start = web.current.load().encryption.clone()?;
    Some(Arc::new(move || {
        let (web, at_start) = (Arc::clone(&web), Arc::clone(&at_start));
        Box::pin(async move { web.settings().await.encryption.clone().unwrap_or(at_start) })
    }))
}

impl Settings {
    fn after(self, former: &Self) -> Self {
        let basic_auth = match (self.basic_auth, &former.basic_auth) {
            (Some(new), Some(former)) => Some(new.after(former)),
            (new, _) => new,
        };
        Self { basic_auth, ..self }
    }

    /// Adds the headers that the file wants on every answer; they win over the usual ones.
    pub fn tell(&self, answer: &mut Answer) {
        for (name, value) in &self.headers {
            answer.headers_mut().insert(name.clone(), value.clone());
        }
    }
}

fn too_many() -> Box<Answer> {
    let mut answer =
        refusal(StatusCode::TOO_MANY_REQUESTS, "more requests than rate_limit of the web configuration allows\n");
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

fn who_are_you() -> Box<Answer> {
    let words = "a user of basic_auth_users in the web configuration, and the right password, are needed\n";
    let mut answer = refusal(StatusCode::UNAUTHORIZED, words);
    let challenge = HeaderValue::from_static("Basic realm=\"oura-exporter\", charset=\"UTF-8\"");
    answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    answer
}

fn refusal(status: StatusCode, words: &'static str) -> Box<Answer> {
    let mut answer = Answer::new(words.into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Box::new(answer)
}

#[cfg(test)]
mod tests;
