//! A backfill from its first day to its last: month by month from Oura into a destination.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use tracing::{info, warn};

use super::{
    ask::{LeftOut, RetryPolicy},
    checkpoint::Checkpoint,
    chunks::chunks,
    files::{Files, Output, Readers},
    hands::{ChangedHands, Wearer},
    place::Place,
    progress::Progress,
    sending::{Kept, Sending, judge},
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
    /// How many accounts could not be asked one after the other, for a cause that is not theirs alone.
    pub(super) unheard_in_a_row: usize,
    /// Of how many accounts the receiver took nothing, one after the other.
    pub(super) untaken_in_a_row: usize,
    /// The first day of which a collection of the account was left out.
    pub(super) missing: HashMap<String, NaiveDate>,
    /// What is to be run to bring in what is left out; none: no place is kept.
    again: Option<&'static str>,
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

    /// The accounts of which a collection was left out that the same command brings in. What was never granted is none: it would
    /// begin anew for it, and never be whole.
    pub(super) fn left_out_again(&self) -> impl Iterator<Item = &str> {
        let again = self.left_out.iter().filter(|(_, problem)| problem.reason != Reason::Scope);
        again.map(|((account, _), _)| account.as_str())
    }

    /// Whether nobody is left to be brought in again.
    fn is_whole(&self) -> bool {
        self.gone.is_empty() && self.left_out_again().next().is_none()
    }

    /// The day to go on with where the run ends before its time.
    fn day_to_go_on(&self) -> NaiveDate {
        self.reached.first.min(self.until.date_naive())
    }

    /// Names those who were left out once more, below all else.
    fn name_left_out(&self) {
        for (account, words) in &self.gone {
            match self.again {
                Some(again) => {
                    warn!(account, "left out: {words}; then run {again}: it brings in only what was left out");
                }
                None => warn!(account, "left out: {words}; then run it again with --account {account}"),
            }
        }
        let mut ungranted = BTreeMap::<&str, Vec<&str>>::new();
        for ((account, collection), _) in self.left_out.iter().filter(|(_, problem)| problem.reason == Reason::Scope) {
            ungranted.entry(account).or_default().push(collection);
        }
        for (account, collections) in ungranted {
            let collections = collections.join(", ");
            warn!(
                account,
                "brought in without {collections}, for which its token lacks the scope; once that is granted, begin anew \
                 with --account {account} to add them"
            );
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
        run.again = sink.again();
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
                    let words = changed.alone(sink.left_of_earlier_person());
                    sink.abandon(changed.account()).await?;
                    anyhow::bail!(words);
                }
                Err(problem) => return Err(problem.context(Self::break_off(sink, &run).await?)),
            },
            None => return Err(Interrupted(Self::break_off(sink, &run).await?).into()),
        }
        Self::conclude(sink, &run).await
    }

    /// Ends before its time; how to go on, in words.
    async fn break_off(sink: Sink, run: &Run) -> anyhow::Result<String> {
        run.name_left_out();
        sink.break_off(run.day_to_go_on(), run.gone.is_empty()).await
    }

    /// What became of all.
    async fn conclude(sink: Sink, run: &Run) -> anyhow::Result<()> {
        let concluded = sink.conclude(run.is_whole()).await;
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
            unheard_in_a_row: 0,
            untaken_in_a_row: 0,
            missing: HashMap::new(),
            again: None,
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
            info!("an earlier run has brought in all of it ({how} begins anew)");
        } else if done > 0 && remaining.is_empty() {
            info!("an earlier run has brought in {done} of {all} accounts ({how} begins anew)");
        } else if done > 0 {
            info!(
                "an earlier run has brought in {done} of {all} accounts; continuing with the others ({how} begins anew)"
            );
        }
        let first = Place::at(sink.first(self.from));
        let places = remaining.iter().filter_map(|account| sink.place(&account.name)).filter(|place| *place != first);
        let (ended, interrupted): (Vec<_>, Vec<_>) = places.partition(Place::is_at_end);
        let first = |places: Vec<Place>| places.into_iter().map(|place| place.first).min();
        if let Some(day) = first(interrupted) {
            let month = day.format("%Y-%m");
            info!("an earlier run was interrupted in {month}; continuing there ({how} begins at the first day)");
        }
        if let Some(day) = first(ended) {
            info!(
                "an earlier run came to its end; continuing with the days from {day} on ({how} begins at the first day)"
            );
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
                let whose = run.wearers.iter().map(|(name, wearer)| (name.clone(), wearer.identity()));
                let (command, whose) = (digest(&command), whose.collect());
                Sink::Files(Files::new(&directory, self.readers, self.from, command, whose)?)
            }
            Destination::Output => Sink::Output(Output::new()),
            Destination::Remote(receiver) => {
                judge(&receiver, self.from, run.now).await?;
                let parts = self.parts_of_places(receiver.url());
                let checkpoints = self.checkpoints(&parts, run)?;
                let state = self.state().map(Path::to_owned);
                let kept = state.map(|state| Kept { state, parts, first: self.from, is_restarted: self.restart });
                let checkpoints = checkpoints.into_iter();
                Sink::Remote(Box::new(Sending::open(receiver, checkpoints, kept, self.persistence, run.now)))
            }
        })
    }

    fn state(&self) -> Option<&Path> {
        self.store.as_ref().map(Store::directory)
    }

    fn kind_names(&self) -> impl Iterator<Item = String> {
        self.kinds.iter().map(|kind| kind.name.to_owned())
    }

    /// What the places of all accounts in this backfill to `url` have in common, and those in no other one.
    fn parts_of_places(&self, url: &str) -> Vec<String> {
        let Target { job, instance } = self.target.clone();
        let own = [url.to_owned(), job, instance, self.from.to_string(), format!("{:?}", self.to)];
        own.into_iter().chain(self.kind_names()).collect()
    }

    /// The places of all. Of several, each is noted before anything is sent: no run ends the backfill without it.
    fn checkpoints(&self, parts: &[String], run: &Run) -> anyhow::Result<Vec<(String, Checkpoint)>> {
        let mut checkpoints = Vec::new();
        for (name, wearer) in &run.wearers {
            let mut checkpoint = Checkpoint::open(self.state(), parts, name, wearer.identity(), self.restart)?;
            if !self.is_alone() {
                checkpoint.begin(self.from)?;
            }
            checkpoints.push((name.clone(), checkpoint));
        }
        Ok(checkpoints)
    }
}

pub(super) fn count(days: DateRange) -> u64 {
    (days.last - days.first).num_days().unsigned_abs() + 1
}
