//! The page as bytes: an account's part is encoded when it changed, the page is woven of them when somebody asks.

use std::{
    io::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use prometheus::{Registry, TextEncoder, core::Collector};

use super::{collector::Together, part::Parts, woven::Woven};
use crate::{
    by_account::ByAccount,
    http::Gzip,
    state::{Posted, Snapshot},
    status::{ApiStats, process_registry},
};

/// How old the process's own figures may be; looking them up costs more than serving the page of a few.
const PROCESS_AGE: Duration = Duration::from_secs(1);
/// A page of a few accounts is kept as text as well, so that whoever reads it without gzip gets what is there.
const KEPT_AS_TEXT: usize = 256 * 1024;
/// So old a page may be for whoever asks while the next one is made.
const QUIET_AGE: Duration = Duration::from_secs(5);

/// The page, ready to send.
pub struct Encoded {
    woven: Woven,
    text: Option<Bytes>,
    gzipped: Bytes,
    made: Instant,
    version: u64,
}

/// Makes the page and keeps it until something changes.
pub struct Page {
    snapshot: Arc<Snapshot>,
    parts: Parts,
    /// What is no account's.
    own: Registry,
    process: Registry,
    newest: ArcSwapOption<Encoded>,
    making: Mutex<()>,
}

impl Encoded {
    fn new(woven: Woven, version: u64) -> Self {
        let text = (woven.most() <= KEPT_AS_TEXT).then(|| text(&woven));
        let mut gzip = Gzip::begin();
        let written = match &text {
            Some(text) => gzip.write_all(text),
            None => woven.write(&mut gzip),
        };
        let gzipped = written.and_then(|()| gzip.finish()).expect("writing to memory does not fail");
        Self { woven, text, gzipped, made: Instant::now(), version }
    }

    /// As text. Where it is long, it is put together for whoever asks for it: Prometheus takes the other.
    pub fn plain(&self) -> Bytes {
        self.text.clone().unwrap_or_else(|| text(&self.woven))
    }

    /// The same, gzipped.
    pub fn gzipped(&self) -> Bytes {
        self.gzipped.clone()
    }
}

fn text(woven: &Woven) -> Bytes {
    let mut text = Vec::with_capacity(woven.most());
    woven.write(&mut text).expect("writing to memory does not fail");
    text.into()
}

impl Page {
    /// The page of `snapshot`, of the exporter's own metrics, and of `others`, which are of accounts or of none.
    ///
    /// # Errors
    /// Where two metrics have one name, which the tests over the catalogue rule out.
    pub fn new(snapshot: Arc<Snapshot>, stats: ApiStats, others: Others) -> Result<Self, prometheus::Error> {
        let by_account = stats.by_account().into_iter().chain(others.by_account).collect();
        let parts = Parts::new(snapshot.stale_after(), by_account)?;
        let own = Registry::new();
        own.register(Box::new(Together::new(Arc::clone(&snapshot))?))?;
        own.register(Box::new(stats))?;
        for collector in others.collectors {
            own.register(collector)?;
        }
        let process = process_registry()?;
        Ok(Self { snapshot, parts, own, process, newest: ArcSwapOption::empty(), making: Mutex::default() })
    }

    /// The page as of now. Of several readers one makes it; the others get the one before, if it is not old.
    ///
    /// # Errors
    /// Where the encoder fails, which it does only for metrics that are not legal.
    pub fn current(&self) -> Result<Arc<Encoded>, prometheus::Error> {
        let newest = self.newest.load_full();
        let is_current = |page: &Encoded| page.version == self.snapshot.version() && page.made.elapsed() < PROCESS_AGE;
        if let Some(page) = newest.as_ref().filter(|page| is_current(page)) {
            return Ok(Arc::clone(page));
        }
        let making = match (self.making.try_lock(), newest) {
            (Ok(making), _) => making,
            (Err(TryLockError::WouldBlock), Some(page)) if page.made.elapsed() < QUIET_AGE => return Ok(page),
            (Err(_), _) => self.making.lock().unwrap_or_else(PoisonError::into_inner),
        };
        self.make(&making)
    }

    fn make(&self, _making: &MutexGuard<'_, ()>) -> Result<Arc<Encoded>, prometheus::Error> {
        let version = self.snapshot.version();
        let page = Arc::new(Encoded::new(self.woven(&self.snapshot.posted(), true)?, version));
        self.newest.store(Some(Arc::clone(&page)));
        Ok(page)
    }

    /// The page of those of `accounts` that are there, and of nothing else; none if none of them is.
    ///
    /// # Errors
    /// Where the encoder fails, which it does only for metrics that are not legal.
    pub fn of<'a>(&self, accounts: impl IntoIterator<Item = &'a str>) -> Result<Option<Encoded>, prometheus::Error> {
        let posted: Vec<_> = accounts.into_iter().filter_map(|account| self.snapshot.posted_of(account)).collect();
        if posted.is_empty() {
            return Ok(None);
        }
        let version = self.snapshot.version();
        Ok(Some(Encoded::new(self.woven(&posted, false)?, version)))
    }

    /// The page of what is no account's: the exporter itself.
    ///
    /// # Errors
    /// Where the encoder fails, which it does only for metrics that are not legal.
    pub fn of_the_exporter(&self) -> Result<Encoded, prometheus::Error> {
        let version = self.snapshot.version();
        Ok(Encoded::new(self.woven(&[], true)?, version))
    }

    /// The parts of these accounts, and the exporter's own besides where that is wanted.
    fn woven(&self, posted: &[Arc<Posted>], has_own: bool) -> Result<Woven, prometheus::Error> {
        let now = self.snapshot.now();
        // Where only single accounts are read, a page of all keeps no parts that have been made anew since.
        if self.newest.load().as_ref().is_some_and(|page| page.made.elapsed() >= QUIET_AGE) {
            self.newest.store(None);
        }
        self.parts.forget_all_but(&self.snapshot);
        let mut parts = Vec::with_capacity(posted.len() + 1);
        let mut end = String::new();
        if has_own {
            parts.push(Arc::new(self.parts.of_nobody(&self.own)?));
            end = TextEncoder::new().encode_to_string(&self.process.gather())?;
        }
        for posted in posted {
            parts.push(self.parts.of(posted, now)?);
        }
        Ok(Woven::new(self.parts.heads(), parts, end))
    }
}

/// Metrics of the exporter's own besides those of its requests.
#[derive(Default)]
pub struct Others {
    /// Those that are kept account by account.
    pub by_account: Vec<ByAccount>,
    /// Those that are no account's.
    pub collectors: Vec<Box<dyn Collector>>,
}
