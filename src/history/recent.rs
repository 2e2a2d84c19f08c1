//! The samples of the last days, as they were polled: for `/metrics/samples`, and for live remote write to send on.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;
use tracing::warn;

use super::{
    openmetrics::{Format, Text},
    series::{Lines, Points, add_run},
};
use crate::{
    catalogue::{self, ACCOUNT_LABEL},
    http,
    observation::{LabelValue, Run},
};

/// How far back `/metrics/samples` goes.
pub const PAGE_DEPTH: TimeDelta = TimeDelta::hours(48);

/// How many samples are kept of all accounts: two weeks of one every five seconds.
const MOST_SAMPLES: usize = 250_000;

/// The samples of the last days of all accounts.
pub struct Recent {
    /// How far back they are kept.
    pub keep: TimeDelta,
    kept: Mutex<Kept>,
    news: Notify,
}

#[derive(Default)]
struct Kept {
    lines: Lines,
    /// Whether it was told that there are more samples than are kept.
    is_full: bool,
    version: u64,
    made: BTreeMap<&'static str, Made>,
}

/// A page that was made of a version.
#[derive(Clone)]
struct Made {
    version: u64,
    plain: Bytes,
    gzipped: Bytes,
}

impl Recent {
    /// Nothing yet, to be kept so far back.
    pub fn new(keep: TimeDelta) -> Self {
        Self { keep, kept: Mutex::default(), news: Notify::new() }
    }

    /// Adds what a poll brought of `account`; what is older than is kept or ahead of `now` is left out.
    pub fn add(&self, account: &str, runs: impl FnOnce(&mut dyn FnMut(Run)), now: DateTime<Utc>) {
        let (oldest, newest) = ((now - self.keep).timestamp_millis(), now.timestamp_millis());
        let mut kept = self.lock();
        let before = kept.count();
        let dropped = kept.forget_before(oldest);
        let mut room = MOST_SAMPLES.saturating_sub(kept.count());
        runs(&mut |run| {
            let is_kept = |time| time >= oldest && time <= newest;
            let wanted = run.samples.len();
            if wanted > room {
                // What was known already took no room.
                room = MOST_SAMPLES.saturating_sub(kept.count());
            }
            if wanted <= room {
                add_run(&mut kept.lines, account, run, is_kept);
                room -= wanted;
            } else if !std::mem::replace(&mut kept.is_full, true) {
                warn!(account, "more than {MOST_SAMPLES} samples in the last days; the others are left out");
            }
        });
        if dropped > 0 || kept.count() != before {
            kept.version += 1;
            drop(kept);
            self.news.notify_one();
        }
    }

    /// Leaves out what was kept of an account that is gone.
    pub fn forget(&self, account: &str) {
        let own = (ACCOUNT_LABEL, LabelValue::from(account.to_owned()));
        let mut kept = self.lock();
        kept.lines.retain(|series, _| !series.labels.contains(&own));
        kept.version += 1;
    }

    /// Waits for news; those that came since the last wait count.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// All that is kept.
    pub fn lines(&self) -> Lines {
        self.lock().lines.clone()
    }

    /// The page of the last 48 hours: as it is, and gzipped.
    pub fn page(&self, format: Format, gzip: bool, now: DateTime<Utc>) -> Bytes {
        let mut kept = self.lock();
        let version = kept.version;
        let known = kept.made.get(format.content_type()).filter(|made| made.version == version).cloned();
        let made = known.unwrap_or_else(|| {
            let plain = text(&kept.lines, format, now);
            Made { version, gzipped: http::gzip(&plain), plain }
        });
        kept.made.insert(format.content_type(), made.clone());
        if gzip { made.gzipped } else { made.plain }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn count(&self) -> usize {
        let count = |points: &Points| if let Points::Samples(samples) = points { samples.len() } else { 0 };
        self.lines.values().map(count).sum()
    }

    fn forget_before(&mut self, oldest: i64) -> usize {
        let before = self.count();
        for points in self.lines.values_mut() {
            if let Points::Samples(samples) = points {
                *samples = samples.split_off(&oldest);
            }
        }
        self.lines.retain(|_, points| points.iter().next().is_some());
        before - self.count()
    }
}

fn text(lines: &Lines, format: Format, now: DateTime<Utc>) -> Bytes {
    let since = (now - PAGE_DEPTH).timestamp_millis();
    let shown = lines.iter().map(|(series, points)| {
        let points = points.between(since, i64::MAX / 4).collect();
        (series.clone(), Points::Samples(points))
    });
    let mut text = Text::new(Vec::with_capacity(256 * 1024), format);
    let written = text.write(&shown.collect(), catalogue::help_of);
    written.and_then(|()| text.finish()).expect("writing to memory does not fail").into()
}
