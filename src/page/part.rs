//! A part of the page: the series of one account, encoded once and kept until something of them changes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use prometheus::{Encoder, Registry, TextEncoder, proto::MetricFamily};

use super::collector::Latest;
use crate::{
    by_account::ByAccount,
    observation::ACCOUNT_LABEL,
    state::{Posted, Snapshot},
};

/// What is said of a metric before its series.
pub(super) struct Head {
    /// The metric's name.
    pub(super) name: String,
    /// The lines of HELP and TYPE.
    pub(super) text: String,
}

/// Series as lines of text, family by family. Ten thousand of them are in memory, so what begins every line of an account,
/// the metric's name and the account's, is written once.
pub(super) struct Part {
    /// The families in the order of their names, each with where its lines end.
    families: Box<[(Arc<Head>, u32)]>,
    /// The lines; of one that begins like all of them, what comes after that.
    lines: Box<str>,
    /// What stands between the metric's name and the rest of a line that was cut.
    account: Box<str>,
    /// How long the lines are when they are read.
    len: usize,
}

impl Part {
    /// The lines of `families`, all of which are of `account`, if of any.
    fn new(account: Option<&str>, families: &[MetricFamily], heads: &mut Heads) -> Result<Self, prometheus::Error> {
        let account = account.map_or_else(String::new, |name| format!("{{{ACCOUNT_LABEL}=\"{name}\""));
        let (mut lines, mut ends, mut text, mut len) = (String::new(), Vec::new(), Vec::new(), 0);
        for family in families {
            text.clear();
            TextEncoder::new().encode(std::slice::from_ref(family), &mut text)?;
            let text = std::str::from_utf8(&text).map_err(|error| prometheus::Error::Msg(error.to_string()))?;
            let head: usize = text.split_inclusive('\n').take_while(|line| line.starts_with('#')).map(str::len).sum();
            len += text.len() - head;
            for line in text[head..].split_inclusive('\n') {
                let rest = line.strip_prefix(family.name()).and_then(|rest| rest.strip_prefix(account.as_str()));
                lines.push_str(rest.filter(|rest| is_cut(rest)).unwrap_or(line));
            }
            let end = u32::try_from(lines.len()).map_err(|error| prometheus::Error::Msg(error.to_string()))?;
            ends.push((heads.of(family.name(), &text[..head]), end));
        }
        Ok(Self { families: ends.into(), lines: lines.into(), account: account.into(), len })
    }

    /// The head of the family at this place, and its lines as they are kept.
    pub(super) fn family(&self, place: usize) -> Option<(&Arc<Head>, &str)> {
        let (head, end) = self.families.get(place)?;
        let begin = place.checked_sub(1).map_or(0, |before| self.families[before].1);
        Some((head, &self.lines[begin as usize..*end as usize]))
    }

    /// How long its lines are when they are read.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Writes lines of a family of that name as they are read.
    pub(super) fn write(&self, name: &str, lines: &str, out: &mut String) {
        for line in lines.split_inclusive('\n') {
            if is_cut(line) {
                out.push_str(name);
                out.push_str(&self.account);
            }
            out.push_str(line);
        }
    }
}

/// Whether the beginning of a line was cut off: what is left goes on with another label, or ends the labels.
fn is_cut(line: &str) -> bool {
    line.starts_with([',', '}'])
}

/// The heads of all families, of which all parts share one each.
#[derive(Default)]
pub(super) struct Heads(BTreeMap<String, Arc<Head>>);

impl Heads {
    fn of(&mut self, name: &str, text: &str) -> Arc<Head> {
        if let Some(head) = self.0.get(name).filter(|head| head.text == text) {
            return Arc::clone(head);
        }
        let head = Arc::new(Head { name: name.to_owned(), text: text.to_owned() });
        self.0.insert(name.to_owned(), Arc::clone(&head));
        head
    }
}

/// An account's part, and for how long it is true.
struct Made {
    part: Arc<Part>,
    /// Of which state it was made.
    number: u64,
    /// How often what is kept of the account besides had changed.
    changes: u64,
    at: DateTime<Utc>,
    /// When it changes because time goes by.
    until: DateTime<Utc>,
}

/// The parts of all accounts that were read.
pub(super) struct Parts {
    latest: Latest,
    encoder: Mutex<(Registry, Heads)>,
    made: Mutex<BTreeMap<Arc<str>, Made>>,
    stale_after: TimeDelta,
}

impl Parts {
    /// No parts yet; each will have the series of `others` besides those of the snapshot.
    pub(super) fn new(stale_after: TimeDelta, others: Vec<ByAccount>) -> Result<Self, prometheus::Error> {
        let latest = Latest::new(others)?;
        let registry = Registry::new();
        registry.register(Box::new(latest.clone()))?;
        Ok(Self { latest, encoder: Mutex::new((registry, Heads::default())), made: Mutex::default(), stale_after })
    }

    /// The part of an account at `now`: the one before, while it is true.
    pub(super) fn of(&self, posted: &Posted, now: DateTime<Utc>) -> Result<Arc<Part>, prometheus::Error> {
        let name = posted.state.name.as_str();
        let changes = self.latest.changes(name);
        let is_true = |made: &&Made| {
            (made.number, made.changes) == (posted.number, changes) && made.at <= now && now < made.until
        };
        if let Some(made) = self.made().get(name).filter(is_true) {
            return Ok(Arc::clone(&made.part));
        }
        let part = Arc::new(self.encode(posted, now)?);
        let until = posted.state.visible_until(now, self.stale_after);
        let made = Made { part: Arc::clone(&part), number: posted.number, changes, at: now, until };
        self.made().insert(name.into(), made);
        Ok(part)
    }

    fn encode(&self, posted: &Posted, now: DateTime<Utc>) -> Result<Part, prometheus::Error> {
        let mut encoder = self.encoder.lock().unwrap_or_else(PoisonError::into_inner);
        let (registry, heads) = &mut *encoder;
        self.latest.show(posted.state.visible(now, self.stale_after));
        Part::new(Some(&posted.state.name), &registry.gather(), heads)
    }

    /// The part that is no account's.
    pub(super) fn of_nobody(&self, registry: &Registry) -> Result<Part, prometheus::Error> {
        let families = registry.gather();
        let mut encoder = self.encoder.lock().unwrap_or_else(PoisonError::into_inner);
        Part::new(None, &families, &mut encoder.1)
    }

    /// The heads of all families that any part ever had, by name.
    pub(super) fn heads(&self) -> Vec<Arc<Head>> {
        let encoder = self.encoder.lock().unwrap_or_else(PoisonError::into_inner);
        encoder.1.0.values().cloned().collect()
    }

    /// Forgets the parts of accounts that are gone, where there are more parts than accounts.
    pub(super) fn forget_all_but(&self, snapshot: &Snapshot) {
        let mut made = self.made();
        if made.len() > snapshot.len() {
            made.retain(|name, _| snapshot.has(name));
        }
    }

    fn made(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
