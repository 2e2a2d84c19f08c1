//! A backfill by remote write: whether the receiver can take it, what it took of each account, and its place to go on from.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{bail, ensure};
use chrono::{DateTime, NaiveDate, Utc};
use tracing::{info, warn};

use super::{
    RetryPolicy,
    checkpoint::{Checkpoint, clear_at_end},
    place::Place,
    sink::Part,
};
use crate::remote_write::{Delivered, Doubt, Receiver, Undelivered, WriteRefusal, batches};

/// How far back Prometheus itself takes remote write well: beyond, it makes a block of every two hours.
const PROMETHEUS_DAYS: i64 = 90;

/// What is sent where, and how far that has come.
pub(super) struct Sending {
    receiver: Receiver,
    accounts: BTreeMap<String, Sent>,
    kept: Option<Kept>,
    /// Whether it stayed away from whoever was last sent: it is tried once then, and not waited for again.
    is_away: bool,
    persistence: RetryPolicy,
    now: DateTime<Utc>,
}

/// Where the places are kept of all accounts of one backfill.
pub(super) struct Kept {
    pub(super) state: PathBuf,
    /// What identifies it.
    pub(super) parts: Vec<String>,
    /// Its first day.
    pub(super) first: NaiveDate,
    /// Whether this run has begun anew all the same.
    pub(super) is_restarted: bool,
}

/// What was sent of one account: no other one's depends on it.
struct Sent {
    checkpoint: Checkpoint,
    delivered: Delivered,
    doubt: Doubt,
    /// What was refused since the place was kept.
    since: Delivered,
}

impl Sent {
    /// Takes note of the place, unless samples before it were refused that a receiver set up otherwise would take: then
    /// the same command sends them again.
    fn advance(&mut self, account: &str, place: Place) -> anyhow::Result<()> {
        if self.doubt.is_there() {
            return Ok(());
        }
        let since = std::mem::take(&mut self.since);
        for refusal in since.refused.keys().filter(|refusal| !self.delivered.refused.contains_key(refusal)) {
            warn!(account, "samples of {} are refused: {}; continuing with the others", place.first, words(*refusal));
        }
        self.delivered.add(&since);
        let may_be_taken = self.delivered.refused.keys().any(|refusal| refusal.depends_on_window());
        if may_be_taken { Ok(()) } else { self.checkpoint.advance(place) }
    }

    /// Counts what is in doubt as refused; says what was, and how much.
    fn conclude(&mut self, account: &str) -> u64 {
        self.delivered.add(&std::mem::take(&mut self.since));
        if self.doubt.is_there() {
            *self.delivered.refused.entry(WriteRefusal::Other).or_default() += self.doubt.count();
        }
        for (refusal, count) in &self.delivered.refused {
            warn!(account, "it refused {count}: {}", words(*refusal));
        }
        self.delivered.refused()
    }
}

impl Sending {
    /// To `receiver`, each account from where the same backfill was cut off.
    pub(super) fn open(
        receiver: Receiver,
        checkpoints: impl Iterator<Item = (String, Checkpoint)>,
        kept: Option<Kept>,
        persistence: RetryPolicy,
        now: DateTime<Utc>,
    ) -> Self {
        let new = |(account, checkpoint)| {
            let (delivered, since) = (Delivered::default(), Delivered::default());
            (account, Sent { checkpoint, delivered, doubt: Doubt::default(), since })
        };
        Self { receiver, accounts: checkpoints.map(new).collect(), kept, is_away: false, persistence, now }
    }

    pub(super) fn place(&self, account: &str) -> Option<Place> {
        self.accounts.get(account)?.checkpoint.place()
    }

    /// What is to be run to go on; none: no place is kept.
    pub(super) fn again(&self) -> Option<&'static str> {
        let again = |kept: &Kept| {
            if kept.is_restarted { "the same command again without --restart" } else { "the same command again" }
        };
        self.kept.as_ref().map(again)
    }

    /// Sends what there is of a month, and takes note of its place then; how many samples the receiver took, also where that fails.
    ///
    /// # Errors
    /// Where the receiver stays away or takes nothing, or the place cannot be kept.
    pub(super) async fn send(&mut self, part: &Part) -> (u64, anyhow::Result<()>) {
        let taken = |sending: &Self| sending.accounts.get(&part.account).map_or(0, |sent| sent.delivered.taken);
        let before = taken(self);
        let sent = self.send_all(part).await;
        (taken(self) - before, sent)
    }

    async fn send_all(&mut self, part: &Part) -> anyhow::Result<()> {
        let Part { account, days, lines, then } = part;
        let Some(sent) = self.accounts.get_mut(account) else { return Ok(()) };
        let here = sent.checkpoint.place().filter(|place| place.first == days.first);
        let from = here.and_then(|place| place.before).unwrap_or(i64::MIN / 4);
        for slice in batches(lines, from, i64::MAX / 4, self.now.timestamp_millis()) {
            let times = if self.is_away { 0 } else { self.persistence.times };
            let waits = RetryPolicy { times, ..self.persistence }.waits();
            let delivered = self.receiver.deliver(slice.batch, waits, &mut sent.doubt).await;
            self.is_away = matches!(delivered, Err(Undelivered::Away { .. }));
            // What an account has in doubt that is left out is sent again by the same command.
            let mut delivered = delivered.inspect_err(|_| sent.doubt = Doubt::default())?;
            sent.delivered.taken += std::mem::take(&mut delivered.taken);
            sent.since.add(&delivered);
            let missing = then.missing;
            sent.advance(account, Place { before: Some(slice.until), missing, ..Place::at(days.first) })?;
        }
        sent.advance(account, *then)
    }

    /// Forgets the place of that account; among others it begins at the first day then, and the backfill is not over without it.
    ///
    /// # Errors
    /// Where its file cannot be removed or written.
    pub(super) fn forget(&mut self, account: &str) -> anyhow::Result<()> {
        let is_among_others = self.accounts.len() > 1;
        let Some(sent) = self.accounts.get_mut(account) else { return Ok(()) };
        sent.checkpoint.clear()?;
        let kept = self.kept.as_ref().filter(|_| is_among_others);
        kept.map_or(Ok(()), |kept| sent.checkpoint.begin(kept.first))
    }

    /// What became of all; if that `is_whole`, and no other account is left to be brought in, the same again begins at the first day.
    ///
    /// # Errors
    /// Where samples were refused.
    pub(super) fn conclude(&mut self, is_whole: bool) -> anyhow::Result<()> {
        let taken: u64 = self.accounts.values().map(|sent| sent.delivered.taken).sum();
        if taken == 0 && self.accounts.values().any(|sent| sent.doubt.is_there()) {
            bail!(Undelivered::refuses_all());
        }
        info!("the receiver took {taken} samples");
        let refused: u64 = self.accounts.iter_mut().map(|(account, sent)| sent.conclude(account)).sum();
        ensure!(refused == 0, "{refused} samples were refused; all others were taken");
        let kept = self.kept.as_ref().filter(|_| is_whole);
        kept.map_or(Ok(()), |kept| clear_at_end(&kept.state, &kept.parts))
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
