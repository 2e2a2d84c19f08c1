//! The records of all accounts, and what is read of them: `/metrics/samples`, and what remote write has not sent yet.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufWriter, IntoInnerError, Write},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;
use tracing::warn;

use super::{
    Format, Lines, MOST_DENSE, Record, SampleStats, Telling, Text,
    held::Held,
    help_of,
    journal::{self, Journal, forget_journals, is_in_use},
};
use crate::{
    auth::{Person, Store},
    documents::{Kind, Reading},
    http,
    observation::{DateRange, Run},
    problem::TokenOrigin,
};

/// How far back `/metrics/samples` goes by when a sample was learnt, where it is not asked for more: longer than a
/// scrape is missed, since Prometheus stores again whatever it is told again.
pub const USUAL_WINDOW: TimeDelta = TimeDelta::hours(12);
/// A page that nothing was added to is kept that long: what was learnt leaves it as time goes by.
const PAGE_AGE: TimeDelta = TimeDelta::minutes(5);
/// How many bytes are gzipped at a time.
const AT_A_TIME: usize = 16 * 1024;

/// What is said of a record without a journal.
const IN_MEMORY: &str = "the record is kept in memory only, and sent again after a restart";

/// And of one whose journal another process has.
const IN_MEMORY_MEANWHILE: &str =
    "the record is kept in memory only until its journal is free, which is looked for every two seconds";

/// Where journals are.
#[derive(Clone, Debug)]
pub enum JournalIn {
    /// Below the state directory of the store, if there is one.
    State(Option<Store>),
    /// There are none, on purpose.
    Nowhere,
}

/// A record that was begun under an account's name: nothing that was asked for another one is told in it, whoever has the
/// name by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordKey {
    account: String,
    number: u64,
}

/// The records of all accounts.
pub struct Samples {
    journals: JournalIn,
    /// Whether it was told that there is no state directory.
    is_told: AtomicBool,
    records: Mutex<BTreeMap<String, Kept>>,
    /// How many records were begun.
    begun: AtomicU64,
    /// Whose they are, as far as Oura has said it.
    owners: Mutex<BTreeMap<String, Person>>,
    /// A number that changes with every telling.
    pub(super) version: AtomicU64,
    /// How many of them were begun while another process had their journal.
    pub(super) held: AtomicUsize,
    /// The usual pages of each format, gzipped: what Prometheus asks for again and again.
    pages: Mutex<BTreeMap<&'static str, Made>>,
    stats: SampleStats,
    pub(super) news: Notify,
}

/// A record and where it is written down; nowhere, and it is forgotten at the end.
pub(super) struct Kept {
    /// Tells it from the records that this account had before, and will have.
    pub(super) number: u64,
    pub(super) record: Record,
    pub(super) journal: Option<Journal>,
    /// What tells the numbers of its tellings from those of another journal.
    pub(super) id: String,
    /// Whether it was told that there are more dense samples than are remembered.
    pub(super) is_told_full: bool,
    /// What its journal waits for while another process has it.
    pub(super) held: Option<Held>,
}

/// A page, and what it was made of.
struct Made {
    version: u64,
    at: DateTime<Utc>,
    gzipped: Bytes,
}

impl Kept {
    fn in_memory(account: &str, now: DateTime<Utc>) -> Self {
        let (number, id) = (0, journal::new_id());
        Self { number, record: Record::new(account, now), journal: None, id, is_told_full: false, held: None }
    }

    pub(super) fn in_journal(journal: Journal, record: Record) -> Self {
        let id = journal.id().to_owned();
        Self { number: 0, id, record, journal: Some(journal), is_told_full: false, held: None }
    }

    /// In memory, beginning with what another process has told so far: nothing of it is told again.
    fn held(account: &str, record: Record, origin: TokenOrigin<'_>, now: DateTime<Utc>) -> Self {
        let held = Held::since(&record, origin);
        Self { record, held: Some(held), ..Self::in_memory(account, now) }
    }

    /// Where to begin for whoever has read all numbers below `from`: numbers that there never were are another record's.
    fn unsent(&self, from: u64) -> u64 {
        if from > self.record.numbers().end { 0 } else { from }
    }
}

impl Samples {
    /// No records yet.
    pub fn new(journals: JournalIn, stats: SampleStats) -> Self {
        Self {
            journals,
            is_told: AtomicBool::new(false),
            records: Mutex::default(),
            begun: AtomicU64::new(0),
            owners: Mutex::default(),
            version: AtomicU64::new(0),
            held: AtomicUsize::new(0),
            pages: Mutex::default(),
            stats,
            news: Notify::new(),
        }
    }

    /// Keeps the record of `account`, which comes by its token in that way, from now on, with what its journal knows; one that cannot be written down is kept in
    /// memory, and that is said.
    pub fn keep(&self, account: &str, origin: TokenOrigin<'_>, now: DateTime<Utc>) -> RecordKey {
        self.keep_by(account, || self.opened(account, origin, now))
    }

    /// Keeps the record of `account` in memory from now on, because the one before cannot be removed.
    pub(super) fn keep_in_memory(&self, account: &str, now: DateTime<Utc>) -> RecordKey {
        warn!(account, "{IN_MEMORY}: the previous one cannot be removed; remove it, and restart");
        self.keep_by(account, || Kept::in_memory(account, now))
    }

    fn keep_by(&self, account: &str, open: impl FnOnce() -> Kept) -> RecordKey {
        let mut records = self.lock();
        let number = match records.get(account) {
            Some(kept) => kept.number,
            None => {
                let number = self.begun.fetch_add(1, Ordering::Relaxed);
                records.insert(account.to_owned(), Kept { number, ..open() });
                self.version.fetch_add(1, Ordering::Relaxed);
                self.news.notify_one();
                number
            }
        };
        RecordKey { account: account.to_owned(), number }
    }

    fn opened(&self, account: &str, origin: TokenOrigin<'_>, now: DateTime<Utc>) -> Kept {
        let JournalIn::State(store) = &self.journals else { return Kept::in_memory(account, now) };
        let Some(store) = store else {
            if !self.is_told.swap(true, Ordering::Relaxed) {
                warn!("{IN_MEMORY}: there is no state directory; set OURA_STATE_DIR to a writable one");
            }
            return Kept::in_memory(account, now);
        };
        match Journal::open(store, account, origin, now) {
            Ok((journal, record)) => Kept::in_journal(journal, record),
            Err(unusable) if unusable.is_held() => {
                warn!(account, "{IN_MEMORY_MEANWHILE}: {unusable}; if it is not about to end, {}", unusable.advice());
                self.held.fetch_add(1, Ordering::Relaxed);
                Kept::held(account, Journal::glance(store, account, origin, now), origin, now)
            }
            Err(unusable) => {
                warn!(account, "{IN_MEMORY}: {unusable}; {}, and restart", unusable.advice());
                Kept::in_memory(account, now)
            }
        }
    }

    /// The directory below which it is written down.
    pub(super) fn state(&self) -> Option<&Path> {
        self.store().map(Store::directory)
    }

    /// Where the directory and the tokens are.
    pub(super) fn store(&self) -> Option<&Store> {
        let JournalIn::State(store) = &self.journals else { return None };
        store.as_ref()
    }

    pub(super) fn owners(&self) -> MutexGuard<'_, BTreeMap<String, Person>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves out what was kept of an account that is gone, its journal as well, but not the one that another process has
    /// begun since for whoever has the name now; whether nothing is left.
    pub fn forget(&self, account: &str) -> bool {
        // The hold on its journal goes with it.
        drop(self.lock().remove(account));
        self.owners().remove(account);
        self.stats.forget(account);
        self.version.fetch_add(1, Ordering::Relaxed);
        let Some(state) = self.state() else { return true };
        if is_in_use(state, account) {
            return false;
        }
        let forgotten = forget_journals(state, account);
        if let Err(error) = &forgotten {
            warn!(account, "cannot remove its record from {}: {error}", state.display());
        }
        forgotten.is_ok()
    }

    /// Learns what an answer's documents say of days and events, of which it has all of the days `whole`.
    pub fn learn(&self, key: &RecordKey, kind: &'static Kind, reading: &Reading, whole: DateRange, now: DateTime<Utc>) {
        self.tell(key, kind.name, now, |record| record.learn(kind.name, &reading.days, &reading.events, whole, now));
    }

    /// Learns dense samples.
    pub fn learn_dense(
        &self,
        key: &RecordKey,
        kind: &'static Kind,
        runs: impl FnOnce(&mut dyn FnMut(Run)),
        now: DateTime<Utc>,
    ) {
        self.tell(key, kind.name, now, |record| record.learn_dense(kind.name, runs, now).into_iter().collect());
    }

    fn tell(
        &self,
        RecordKey { account, number }: &RecordKey,
        collection: &'static str,
        now: DateTime<Utc>,
        learn: impl FnOnce(&mut Record) -> Vec<Telling>,
    ) {
        let mut records = self.lock();
        // What is read takes its time: the name may be another person's by now.
        let Some(kept) = records.get_mut(account).filter(|kept| kept.number == *number) else { return };
        let told = learn(&mut kept.record);
        if kept.record.is_full() && !std::mem::replace(&mut kept.is_told_full, true) {
            warn!(account, "more than {MOST_DENSE} dense samples in twenty days; the others are left out");
        }
        // What Oura has taken back is a revision, and nothing to be told.
        self.stats.note(account, collection, &kept.record);
        if told.is_empty() {
            if let Some(journal) = &mut kept.journal {
                journal.retry(&kept.record);
            }
            return;
        }
        kept.record.forget(now);
        if let Some(journal) = &mut kept.journal {
            journal.add(&told, &kept.record);
        }
        self.version.fetch_add(1, Ordering::Relaxed);
        drop(records);
        self.news.notify_one();
    }

    /// Tries once more to write down what could not be, before all is forgotten.
    pub fn close(&self) {
        for kept in self.lock().values_mut() {
            if let Some(journal) = &mut kept.journal {
                journal.retry(&kept.record);
            }
        }
    }

    /// Waits for news; those that came since the last wait count.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// How far back dense samples of `account` are told.
    pub fn dense_from(&self, account: &str, now: DateTime<Utc>) -> DateTime<Utc> {
        self.lock().get(account).map_or(now, |kept| kept.record.dense_from(now))
    }

    /// The newest time of which a dense metric of `account` was told.
    pub fn newest(&self, account: &str, metric: &str) -> Option<DateTime<Utc>> {
        let records = self.lock();
        DateTime::from_timestamp_millis(records.get(account)?.record.newest(metric)?)
    }

    /// The names of the accounts.
    pub fn accounts(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// What tells the numbers of this account's tellings from those of another journal.
    pub fn journal(&self, account: &str) -> Option<String> {
        self.lock().get(account).map(|kept| kept.id.clone())
    }

    /// How many samples of `account` were learnt from the telling with the number `from` of that journal on.
    pub fn count_since(&self, account: &str, journal: &str, from: u64) -> usize {
        let records = self.lock();
        let kept = records.get(account).filter(|kept| kept.id == journal);
        kept.map_or(0, |kept| kept.record.count_since(kept.unsent(from)))
    }

    /// What was learnt of `account` from the telling with the number `from` of that journal on, oldest first, as long as it
    /// is remembered: so many samples at most, or one telling of more.
    pub fn since(&self, account: &str, journal: &str, from: u64, most: usize) -> Vec<Telling> {
        let records = self.lock();
        let kept = records.get(account).filter(|kept| kept.id == journal);
        kept.map_or(vec![], |kept| kept.record.tellings_since(kept.unsent(from), most))
    }

    /// The page of what was learnt within `window` before `now`, of all accounts or of those that are named: as it is, or
    /// gzipped.
    pub fn page(
        &self,
        named: Option<&BTreeSet<String>>,
        format: Format,
        gzip: bool,
        window: TimeDelta,
        now: DateTime<Utc>,
    ) -> Bytes {
        match (gzip, window, named) {
            (false, _, _) => self.text(Vec::new(), named, format, now - window).into(),
            (true, USUAL_WINDOW, None) => self.usual_page(format, now),
            (true, _, _) => self.gzipped(named, format, now - window),
        }
    }

    fn usual_page(&self, format: Format, now: DateTime<Utc>) -> Bytes {
        let version = self.version.load(Ordering::Relaxed);
        // Of several readers one makes it.
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.retain(|_, made| made.version == version && now - made.at < PAGE_AGE && made.at <= now);
        let make = || Made { version, at: now, gzipped: self.gzipped(None, format, now - USUAL_WINDOW) };
        pages.entry(format.content_type()).or_insert_with(make).gzipped.clone()
    }

    /// All that was learnt since then, gzipped as it is written: the text itself would be ten times as long.
    fn gzipped(&self, named: Option<&BTreeSet<String>>, format: Format, since: DateTime<Utc>) -> Bytes {
        let out = BufWriter::with_capacity(AT_A_TIME, http::Gzip::begin());
        let gzipped = self.text(out, named, format, since).into_inner().map_err(IntoInnerError::into_error);
        gzipped.and_then(http::Gzip::finish).expect("writing to memory does not fail")
    }

    /// Writes all that was learnt since then to memory.
    fn text<W: Write>(&self, out: W, named: Option<&BTreeSet<String>>, format: Format, since: DateTime<Utc>) -> W {
        let mut points = BTreeMap::new();
        let is_wanted = |account: &String| named.is_none_or(|named| named.contains(account));
        for (_, kept) in self.lock().iter().filter(|(account, _)| is_wanted(account)) {
            points.extend(kept.record.points(kept.record.numbers_since(since)));
        }
        let mut text = Text::new(out, format);
        let mut written = points.into_iter().map(|(series, points)| text.points(&series, points.into_iter(), help_of));
        written.try_for_each(|written| written).expect("writing to memory does not fail");
        text.finish().expect("writing to memory does not fail")
    }

    /// The record of `account`, for as long as `read` looks at it; none where there is none.
    pub(super) fn with_record<T>(&self, account: &str, read: impl FnOnce(&Record) -> T) -> Option<T> {
        self.lock().get(account).map(|kept| read(&kept.record))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Samples {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Samples").finish_non_exhaustive()
    }
}

/// Points by their series, of some tellings.
pub(crate) fn lines(tellings: &[Telling]) -> Lines {
    let mut lines = Lines::new();
    for (series, points) in tellings.iter().flat_map(|telling| &telling.told) {
        lines.entry(Arc::clone(series)).or_default().extend(points.iter().copied());
    }
    lines
}
