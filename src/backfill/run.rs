//! A backfill from its first day to its last: month by month from Oura into a destination.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use tracing::{info, warn};

use super::{
    ask::{LeftOut, RetryPolicy},
    checkpoint::Checkpoint,
    chunks::chunks,
    files::{Files, Output, Readers},
    hands::{ChangedHands, Wearer},
    progress::Progress,
    sending::{Sending, judge},
    sink::{Destination, Sink},
    size,
};
use crate::{
    auth::Store, clock::Clock, documents::Kind, observation::DateRange, poll::Account, problem::Reason,
    samples::Target, state_file::digest,
};

/// Text ends so long before now: of what Prometheus has scraped and not yet put into a block, it forgets what lies before the
/// end of any block when it starts again.
const TEXT_ENDS: TimeDelta = TimeDelta::hours(6);

/// Of more accounts than these not each is named.
const MOST_NAMED: usize = 8;

/// What is asked for.
pub struct Backfill {
    /// Whose days.
    pub accounts: Vec<Account>,
    /// Which collections.
    pub kinds: Vec<&'static Kind>,
    /// The first day.
    pub from: NaiveDate,
    /// The last day; none: all there are.
    pub to: Option<NaiveDate>,
    /// The labels of the scrapes that it joins.
    pub target: Target,
    /// Who may read the files besides their owner.
    pub readers: Readers,
    /// Who is signed in, and in whose state directory the place of a remote write is kept that was cut off.
    pub store: Option<Store>,
    /// Whether a remote write that was cut off begins again at the first day.
    pub restart: bool,
    /// What time it is.
    pub clock: Clock,
    /// How long is waited for Oura and for a receiver.
    pub persistence: RetryPolicy,
}

/// A stop that was asked for; what was written is whole.
#[derive(Debug, thiserror::Error)]
#[error("stopped; {0}")]
pub struct Interrupted(pub String);

/// What a run has come to.
pub(super) struct Run {
    pub(super) progress: Progress,
    pub(super) left_out: LeftOut,
    /// The accounts that are left out from some day on, and why, with what to do about it.
    pub(super) gone: BTreeMap<String, String>,
    /// How many accounts failed one after the other for a cause that is not theirs alone.
    pub(super) failed_in_a_row: usize,
    pub(super) now: DateTime<Utc>,
    /// Nothing after this is told.
    pub(super) until: DateTime<Utc>,
    /// The last day of all.
    pub(super) last: NaiveDate,
    /// Whose each account is.
    pub(super) wearers: HashMap<String, Wearer>,
    /// The month that is under way.
    pub(super) reached: DateRange,
}

impl Run {
    /// From now on the others go on without it.
    pub(super) fn leave_out(&mut self, account: &str, words: String) {
        warn!(account, "left out: {words}");
        self.gone.insert(account.to_owned(), words);
    }

    /// Whether somebody was left out, or something of them.
    fn is_whole(&self) -> bool {
        self.gone.is_empty() && self.left_out.is_empty()
    }

    /// Names those who were left out once more, below all else.
    fn name_left_out(&self) {
        for (account, words) in &self.gone {
            warn!(account, "left out: {words}; then run the same command again: it brings in only what was left out");
        }
    }
}

impl Backfill {
    /// Brings it all to `destination`, until `stop` resolves. What happens to one account costs the others nothing.
    ///
    /// # Errors
    /// Where Oura, the disk or the receiver cannot go on, in words that say how to; what was written is whole.
    pub async fn run(self, destination: Destination, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let mut run = self.begin(&destination)?;
        self.find_wearers(&mut run).await?;
        let mut sink = self.open(destination, &run).await?;
        let days = DateRange { first: sink.first(self.from), last: run.last };
        let chunks = chunks(days);
        let accounts = self.remaining(&chunks, &run, &sink);
        run.progress.of(count(days) * accounts.chunks(self.at_a_time(&sink)).len() as u64);
        let ended = tokio::select! {
            ended = self.everybody(&accounts, &chunks, &mut run, &mut sink) => Some(ended),
            () = stop => None,
        };
        let words = run.progress.end();
        match ended {
            Some(Ok(())) => info!("{words}"),
            Some(Err(problem)) => match problem.downcast::<ChangedHands>() {
                Ok(changed) => {
                    sink.abandon(changed.account())?;
                    return Err(changed.into());
                }
                Err(problem) => {
                    run.name_left_out();
                    return Err(problem.context(sink.break_off(run.reached)?));
                }
            },
            None => {
                run.name_left_out();
                return Err(Interrupted(sink.break_off(run.reached)?).into());
            }
        }
        Self::conclude(sink, &run)
    }

    /// What became of all.
    fn conclude(sink: Sink, run: &Run) -> anyhow::Result<()> {
        let concluded = sink.conclude(run.is_whole());
        run.name_left_out();
        let gone = match run.gone.len() {
            0 => None,
            1 => Some("1 account was left out, see above".to_owned()),
            gone => Some(format!("{gone} accounts were left out, see above")),
        };
        match (gone, concluded) {
            (Some(gone), Err(problem)) => return Err(problem.context(gone)),
            (Some(gone), Ok(())) => anyhow::bail!(gone),
            (None, concluded) => concluded?,
        }
        let left_out = run.left_out.len();
        anyhow::ensure!(left_out == 0, "{left_out} collections were left out, see above");
        Ok(())
    }

    /// What is known before the first month.
    ///
    /// # Errors
    /// Where there are no such days, or all of them are too young.
    fn begin(&self, destination: &Destination) -> anyhow::Result<Run> {
        let now = self.clock.now();
        // Late sleep counts for tomorrow.
        let tomorrow = now.date_naive() + TimeDelta::days(1);
        let last = self.to.unwrap_or(tomorrow).min(tomorrow);
        anyhow::ensure!(self.from <= last, "--from: {} is after the last available day", self.from);
        let until = if matches!(destination, Destination::Remote(_)) { now } else { now - TEXT_ENDS };
        anyhow::ensure!(
            self.from <= until.date_naive(),
            "--from: files end six hours ago, so there is nothing to write; newer samples come with the scrapes"
        );
        if until < now && last >= until.date_naive() {
            info!("it ends six hours ago: with newer files, Prometheus would forget what it scraped before their end");
        }
        Ok(Run {
            progress: Progress::new(),
            left_out: LeftOut::new(),
            gone: BTreeMap::new(),
            failed_in_a_row: 0,
            now,
            until,
            last,
            wearers: HashMap::new(),
            reached: DateRange { first: self.from, last },
        })
    }

    /// The accounts of which something is left to be brought in, after it was said how much that is.
    fn remaining(&self, chunks: &[DateRange], run: &Run, sink: &Sink) -> Vec<&Account> {
        let (mut remaining, mut longest, mut samples, mut bytes) = (Vec::new(), 0, 0, 0);
        let a_day: u64 = self.kinds.iter().map(|kind| size::usual_samples(kind)).sum();
        for account in self.accounts.iter().filter(|account| !run.gone.contains_key(&account.name)) {
            let place = sink.place(&account.name);
            let rest = |chunk: &DateRange| place.map_or(Some(*chunk), |place| place.rest(*chunk, run.last));
            let days: u64 = chunks.iter().filter_map(rest).map(count).sum();
            if days > 0 {
                remaining.push(account);
                longest = longest.max(days);
                samples += days * a_day;
                bytes += days * a_day * size::usual_bytes(&account.name, &self.target);
            }
        }
        self.tell_of_places(&remaining, run, sink);
        let names: Vec<_> = remaining.iter().map(|account| account.name.as_str()).collect();
        let names = if names.len() > MOST_NAMED { format!("{} accounts", names.len()) } else { names.join(", ") };
        let text = if sink.is_text() { format!(", {} MB as text", bytes.div_ceil(1_000_000)) } else { String::new() };
        if !remaining.is_empty() {
            info!("{longest} days of {names}: about {samples} samples{text}");
        }
        remaining
    }

    /// Says what an earlier run has brought in.
    fn tell_of_places(&self, remaining: &[&Account], run: &Run, sink: &Sink) {
        let how = if sink.is_text() { "an empty directory" } else { "--restart" };
        let (all, done) = (self.accounts.len(), self.accounts.len() - run.gone.len() - remaining.len());
        if done > 0 && remaining.is_empty() && run.gone.is_empty() {
            info!("an earlier run has brought in all of it; the same command begins at the first day next time");
        } else if done > 0 {
            info!(
                "an earlier run has brought in {done} of {all} accounts; continuing with the others ({how} begins anew)"
            );
        }
        let places = remaining.iter().filter_map(|account| sink.place(&account.name));
        if let Some(place) = places.min_by_key(|place| place.first) {
            let month = place.first.format("%Y-%m");
            info!("an earlier run was interrupted in {month}; continuing there ({how} begins at the first day)");
        }
    }

    /// Whether there are no others that could go on.
    pub(super) const fn is_alone(&self) -> bool {
        self.accounts.len() == 1
    }

    /// Finds out whose each account is now; who has signed out is left out.
    async fn find_wearers(&self, run: &mut Run) -> anyhow::Result<()> {
        for account in &self.accounts {
            match Wearer::of(account, self.store.as_ref()).await {
                Ok(wearer) => drop(run.wearers.insert(account.name.clone(), wearer)),
                Err(problem) if self.is_alone() => return Err(problem),
                Err(problem) => {
                    let advice = Reason::Token.advice(account.access());
                    run.leave_out(&account.name, format!("{:#}; {advice}", problem.root_cause()));
                }
            }
        }
        Ok(())
    }

    async fn open(&self, destination: Destination, run: &Run) -> anyhow::Result<Sink> {
        Ok(match destination {
            Destination::Directory(directory) => {
                let Target { job, instance } = self.target.clone();
                let command: Vec<_> = [job, instance].into_iter().chain(self.kind_names()).collect();
                let whose = run.wearers.iter().map(|(name, wearer)| (name.clone(), digest(&[wearer.identity()])));
                let (command, whose) = (digest(&command), whose.collect());
                Sink::Files(Files::new(&directory, self.readers, self.from, command, whose)?)
            }
            Destination::Output => Sink::Output(Output::new()),
            Destination::Remote(receiver) => {
                judge(&receiver, self.from, run.now).await?;
                let mut checkpoints = Vec::new();
                for (name, wearer) in &run.wearers {
                    checkpoints.push((name.clone(), self.checkpoint(receiver.url(), name, wearer.identity())?));
                }
                Sink::Remote(Box::new(Sending::open(receiver, checkpoints.into_iter(), self.persistence, run.now)))
            }
        })
    }

    fn kind_names(&self) -> impl Iterator<Item = String> {
        self.kinds.iter().map(|kind| kind.name.to_owned())
    }

    /// The place of that person's account in this backfill to `url`, and in no other one.
    fn checkpoint(&self, url: &str, account: &str, person: String) -> anyhow::Result<Checkpoint> {
        let Target { job, instance } = self.target.clone();
        let own = [url.to_owned(), job, instance, self.from.to_string(), format!("{:?}", self.to)];
        let parts: Vec<_> = own.into_iter().chain([account.to_owned(), person]).chain(self.kind_names()).collect();
        Checkpoint::open(self.store.as_ref().map(Store::directory), &parts, account, self.restart)
    }
}

pub(super) fn count(days: DateRange) -> u64 {
    (days.last - days.first).num_days().unsigned_abs() + 1
}
