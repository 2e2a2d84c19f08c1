//! A backfill by remote write: whether the receiver can take it, what it took, and the place to go on from.

use anyhow::{bail, ensure};
use chrono::{DateTime, NaiveDate, Utc};
use tracing::{info, warn};

use super::{
    RetryPolicy,
    checkpoint::{Checkpoint, MonthUnderWay},
};
use crate::{
    observation::DateRange,
    remote_write::{Delivered, Doubt, Receiver, Undelivered, WriteRefusal, batches},
    samples::Lines,
};

/// How far back Prometheus itself takes remote write well: beyond, it makes a block of every two hours.
const PROMETHEUS_DAYS: i64 = 90;

/// What is sent where, and how far that has come.
pub(super) struct Sending {
    receiver: Receiver,
    checkpoint: Checkpoint,
    /// The place of the accounts that are under way.
    accounts: usize,
    delivered: Delivered,
    doubt: Doubt,
    /// What was refused since the place was kept.
    since: Delivered,
    persistence: RetryPolicy,
    now: DateTime<Utc>,
}

impl Sending {
    /// To `receiver`, from where the same backfill was cut off.
    pub(super) fn open(
        receiver: Receiver,
        checkpoint: Checkpoint,
        persistence: RetryPolicy,
        now: DateTime<Utc>,
    ) -> Self {
        if let Some(place) = checkpoint.place() {
            let month = place.first.format("%Y-%m");
            info!("an earlier run was interrupted in {month}; continuing there (--restart begins at the first day)");
        }
        let (delivered, since) = (Delivered::default(), Delivered::default());
        Self { receiver, checkpoint, accounts: 0, delivered, doubt: Doubt::default(), since, persistence, now }
    }

    /// The accounts in that place begin.
    pub(super) const fn begin(&mut self, accounts: usize) {
        self.accounts = accounts;
    }

    pub(super) fn is_past(&self, days: DateRange) -> bool {
        self.checkpoint.place().is_some_and(|place| (self.accounts, days.first) < (place.accounts, place.first))
    }

    /// Sends what there is of a month; how many samples the receiver took.
    ///
    /// # Errors
    /// Where the receiver stays away, or the place cannot be kept.
    pub(super) async fn send(&mut self, days: DateRange, lines: &Lines) -> anyhow::Result<u64> {
        let (accounts, first) = (self.accounts, days.first);
        let is_it = |place: &MonthUnderWay| (place.accounts, place.first) == (accounts, first);
        let sent = self.checkpoint.place().filter(is_it).and_then(|place| place.before);
        let before = self.delivered.taken;
        for slice in batches(lines, sent.unwrap_or(i64::MIN / 4), i64::MAX / 4, self.now.timestamp_millis()) {
            let mut delivered = self.receiver.deliver(slice.batch, self.persistence.waits(), &mut self.doubt).await?;
            self.delivered.taken += std::mem::take(&mut delivered.taken);
            self.since.add(&delivered);
            self.advance(MonthUnderWay { accounts, first, before: Some(slice.until) })?;
        }
        if let Some(next) = days.last.succ_opt() {
            self.advance(MonthUnderWay { accounts, first: next, before: None })?;
        }
        Ok(self.delivered.taken - before)
    }

    /// Takes note of the place, unless samples before it were refused that a receiver set up otherwise would take: then
    /// the same command sends them again.
    fn advance(&mut self, place: MonthUnderWay) -> anyhow::Result<()> {
        if self.doubt.is_there() {
            return Ok(());
        }
        let since = std::mem::take(&mut self.since);
        for refusal in since.refused.keys().filter(|refusal| !self.delivered.refused.contains_key(refusal)) {
            warn!("samples of {} are refused: {}; continuing with the others", place.first, words(*refusal));
        }
        self.delivered.add(&since);
        let may_be_taken = self.delivered.refused.keys().any(|refusal| refusal.depends_on_window());
        if may_be_taken { Ok(()) } else { self.checkpoint.advance(place) }
    }

    /// Forgets the place.
    ///
    /// # Errors
    /// Where its file cannot be removed.
    pub(super) fn abandon(&mut self) -> anyhow::Result<()> {
        self.checkpoint.clear()
    }

    /// What became of all.
    ///
    /// # Errors
    /// Where samples were refused.
    pub(super) fn conclude(&mut self) -> anyhow::Result<()> {
        if self.doubt.is_there() && self.delivered.taken == 0 {
            bail!(Undelivered::refuses_all());
        }
        self.delivered.add(&std::mem::take(&mut self.since));
        if self.doubt.is_there() {
            *self.delivered.refused.entry(WriteRefusal::Other).or_default() += self.doubt.count();
        }
        info!("the receiver took {} samples", self.delivered.taken);
        for (refusal, count) in &self.delivered.refused {
            warn!("it refused {count}: {}", words(*refusal));
        }
        let refused = self.delivered.refused();
        ensure!(refused == 0, "{refused} samples were refused; all others were taken");
        self.checkpoint.clear()
    }
}

/// Why samples are refused, with what to do about it.
fn words(refusal: WriteRefusal) -> String {
    let other_way = if refusal == WriteRefusal::TooOld { ", or use --output" } else { "" };
    format!("{}{other_way}", refusal.words())
}

/// Whether the receiver can take history from `first` on: Prometheus takes years through files only, and nobody keeps
/// what is older than their retention.
///
/// # Errors
/// Where it is known that it cannot, in words.
pub(super) async fn judge(receiver: &Receiver, first: NaiveDate, now: DateTime<Utc>) -> anyhow::Result<()> {
    let age = (now.date_naive() - first).num_days();
    if !receiver.is_prometheus().await {
        info!("a receiver ignores what is older than its retention, often without an error: check that first");
        if age > PROMETHEUS_DAYS {
            warn!(
                "--from is {age} days back: this works with VictoriaMetrics, Mimir and Thanos; for Prometheus, use \
                 --output DIR and promtool for more than {PROMETHEUS_DAYS} days"
            );
        }
        return Ok(());
    }
    if age > PROMETHEUS_DAYS {
        bail!(
            "--remote-write: Prometheus takes {PROMETHEUS_DAYS} days back this way, not {age}: it would make a block \
             for every two hours and run out of files; use --output DIR and promtool for the years"
        );
    }
    match receiver.retention().await {
        Some((days, words)) if days < age => bail!(
            "--remote-write: this Prometheus keeps {words} and would delete what is older; start it with \
             --storage.tsdb.retention.time=10y first"
        ),
        _ => Ok(()),
    }
}
