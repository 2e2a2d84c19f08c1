//! The page as bytes: encoded when something changed, not when somebody asks.

use std::{
    sync::{Arc, Mutex, TryLockError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use prometheus::{Encoder, Registry, TextEncoder, core::Collector};

use super::Latest;
use crate::{
    http,
    state::Snapshot,
    status::{ApiStats, process_registry},
};

/// How old the process's own figures may be; looking them up costs more than serving the page.
const PROCESS_AGE: Duration = Duration::from_secs(1);
/// After that long the rest is encoded anew even without news, because values leave the page by growing old.
const QUIET_AGE: Duration = Duration::from_secs(5);

/// The page, ready to send.
pub struct Encoded {
    /// As text.
    pub plain: Bytes,
    /// The same, gzipped.
    pub gzipped: Bytes,
    made: Instant,
    version: u64,
}

/// Makes the page and keeps it until something changes.
pub struct Page {
    snapshot: Arc<Snapshot>,
    registry: Registry,
    process: Registry,
    newest: ArcSwapOption<Encoded>,
    making: Mutex<Option<Body>>,
}

/// What the registry gave, and when.
struct Body {
    text: Vec<u8>,
    made: Instant,
    version: u64,
}

impl Page {
    /// The page of `snapshot`, of the exporter's own metrics, and of `others`.
    ///
    /// # Errors
    /// Where two metrics have one name, which the tests over the catalogue rule out.
    pub fn new(
        snapshot: Arc<Snapshot>,
        stats: ApiStats,
        others: Vec<Box<dyn Collector>>,
    ) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        registry.register(Box::new(Latest::new(Arc::clone(&snapshot))?))?;
        registry.register(Box::new(stats))?;
        for collector in others {
            registry.register(collector)?;
        }
        let process = process_registry()?;
        Ok(Self { snapshot, registry, process, newest: ArcSwapOption::empty(), making: Mutex::default() })
    }

    /// The page as of now. Of several readers one makes it; the others get the one before, if it is not old.
    ///
    /// # Errors
    /// Where the encoder fails, which it does only for metrics that are not legal.
    pub fn current(&self) -> Result<Arc<Encoded>, prometheus::Error> {
        let version = self.snapshot.version();
        let newest = self.newest.load_full();
        if let Some(page) = &newest
            && page.version == version
            && page.made.elapsed() < PROCESS_AGE
        {
            return Ok(Arc::clone(page));
        }
        let making = match (self.making.try_lock(), newest) {
            (Ok(making), _) => making,
            (Err(TryLockError::WouldBlock), Some(page)) if page.made.elapsed() < QUIET_AGE => return Ok(page),
            (Err(_), _) => self.making.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
        };
        self.make(making, version)
    }

    fn make(
        &self,
        mut making: std::sync::MutexGuard<'_, Option<Body>>,
        version: u64,
    ) -> Result<Arc<Encoded>, prometheus::Error> {
        let fresh = |body: &Body| body.version == version && body.made.elapsed() < QUIET_AGE;
        let body = match making.take().filter(fresh) {
            Some(body) => body,
            None => Body { text: encode(&self.registry)?, made: Instant::now(), version },
        };
        let mut text = body.text.clone();
        text.extend(encode(&self.process)?);
        let gzipped = http::gzip(&text);
        let page = Arc::new(Encoded { plain: text.into(), gzipped, made: Instant::now(), version });
        *making = Some(body);
        self.newest.store(Some(Arc::clone(&page)));
        Ok(page)
    }
}

fn encode(registry: &Registry) -> Result<Vec<u8>, prometheus::Error> {
    let mut text = Vec::with_capacity(64 * 1024);
    TextEncoder::new().encode(&registry.gather(), &mut text)?;
    Ok(text)
}
