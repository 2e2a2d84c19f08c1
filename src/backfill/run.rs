//! A backfill from its first day to its last: month by month from Oura into a destination.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use futures_util::{StreamExt as _, stream};
use tracing::{info, warn};

use super::{
    ask::{LeftOut, MARGIN, RetryPolicy, ask},
    checkpoint::Checkpoint,
    chunks::chunks,
    facts::{Answers, Plan},
    files::{Files, Output, Readers},
    hands::{ChangedHands, Wearer},
    progress::Progress,
    sending::{Sending, judge},
    sink::{Destination, Sink},
    size,
};
use crate::{
    auth::Store,
    clock::Clock,
    documents::{Kind, Unreadable},
    observation::{DateRange, Known},
    poll::Account,
    problem::Reason,
    samples::{Lines, Target, Told},
    state_file::digest,
};

/// Text ends so long before now: of what Prometheus has scraped and not yet put into a block, it forgets what lies before the
/// end of any block when it starts again.
const TEXT_ENDS: TimeDelta = TimeDelta::hours(6);

/// How many accounts are asked side by side, and brought in together where they need not be in one file.
const TOGETHER: usize = 8;
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
struct Run {
    progress: Progress,
    left_out: LeftOut,
    /// The accounts that are left out as a whole.
    gone: BTreeSet<String>,
    now: DateTime<Utc>,
    /// Nothing after this is told.
    until: DateTime<Utc>,
    /// The last day of all.
    last: NaiveDate,
    /// Whose each account is.
    wearers: HashMap<String, Wearer>,
    /// The month that is under way.
    reached: DateRange,
}

/// What is known of accounts that are brought in together.
struct Together<'a> {
    accounts: &'a [Account],
    /// What is known of each account's wearer.
    known: HashMap<String, Known>,
    /// What was told of each account before.
    told: HashMap<String, Told>,
    /// The documents of the month before: months share some at their seams, and each is counted once.
    counted: HashSet<u64>,
    /// Those of the month that is under way.
    counting: HashSet<u64>,
}

impl Backfill {
    /// Brings it all to `destination`, until `stop` resolves.
    ///
    /// # Errors
    /// Where Oura, the disk or the receiver cannot go on, in words that say how to; what was written is whole.
    pub async fn run(self, destination: Destination, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let now = self.clock.now();
        // Late sleep counts for tomorrow.
        let tomorrow = now.date_naive() + TimeDelta::days(1);
        let days = DateRange { first: self.from, last: self.to.unwrap_or(tomorrow).min(tomorrow) };
        let chunks = chunks(days);
        let Some(first) = chunks.first().copied() else {
            anyhow::bail!("--from: {} is after the last available day", self.from);
        };
        let wearers = self.wearers().await?;
        let mut sink = self.open(destination, days, &wearers, now).await?;
        let mut run = self.begin(first, days, &sink, wearers, now)?;
        let ended = tokio::select! {
            ended = self.everybody(&chunks, &mut run, &mut sink) => Some(ended),
            () = stop => None,
        };
        let words = run.progress.end();
        match ended {
            Some(Ok(())) => info!("{words}"),
            Some(Err(problem)) if problem.is::<ChangedHands>() => {
                sink.abandon()?;
                return Err(problem);
            }
            Some(Err(problem)) => return Err(problem.context(sink.break_off(run.reached)?)),
            None => return Err(Interrupted(sink.break_off(run.reached)?).into()),
        }
        sink.conclude()?;
        let (left_out, gone) = (run.left_out.len(), run.gone.len());
        anyhow::ensure!(gone == 0, "{gone} accounts were left out, see above");
        anyhow::ensure!(left_out == 0, "{left_out} collections were left out, see above");
        Ok(())
    }

    /// What is known before the first month, after it was said what is to come.
    ///
    /// # Errors
    /// Where all of it is too young for `sink`.
    fn begin(
        &self,
        reached: DateRange,
        days: DateRange,
        sink: &Sink,
        wearers: HashMap<String, Wearer>,
        now: DateTime<Utc>,
    ) -> anyhow::Result<Run> {
        let until = if sink.is_text() { now - TEXT_ENDS } else { now };
        anyhow::ensure!(
            days.first <= until.date_naive(),
            "--from: files end six hours ago, so there is nothing to write; newer samples come with the scrapes"
        );
        self.announce(count(days), sink);
        if until < now && days.last >= until.date_naive() {
            info!("it ends six hours ago: with newer files, Prometheus would forget what it scraped before their end");
        }
        let passes = self.accounts.chunks(self.at_a_time(sink)).len() as u64;
        Ok(Run {
            progress: Progress::new(count(days) * passes),
            left_out: LeftOut::new(),
            gone: BTreeSet::new(),
            now,
            until,
            last: days.last,
            wearers,
            reached,
        })
    }

    /// Says how much it will be.
    fn announce(&self, days: u64, sink: &Sink) {
        let a_day: u64 = self.kinds.iter().map(|kind| size::usual_samples(kind)).sum();
        let (mut samples, mut bytes) = (0, 0);
        for account in &self.accounts {
            samples += days * a_day;
            bytes += days * a_day * size::usual_bytes(&account.name, &self.target);
        }
        let names: Vec<_> = self.accounts.iter().map(|account| account.name.as_str()).collect();
        let names = if names.len() > MOST_NAMED { format!("{} accounts", names.len()) } else { names.join(", ") };
        let text = if sink.is_text() { format!(", {} MB as text", bytes.div_ceil(1_000_000)) } else { String::new() };
        info!("{days} days of {names}: about {samples} samples{text}");
    }

    /// How many accounts are brought in together, from the first month to the last: so many are in memory. A file of a month has
    /// everybody.
    fn at_a_time(&self, sink: &Sink) -> usize {
        if sink.is_text() { self.accounts.len().max(1) } else { TOGETHER }
    }

    async fn everybody(&self, chunks: &[DateRange], run: &mut Run, sink: &mut Sink) -> anyhow::Result<()> {
        for (place, accounts) in self.accounts.chunks(self.at_a_time(sink)).enumerate() {
            sink.begin(place);
            let mut together = self.together(accounts, run);
            for chunk in chunks {
                run.reached = *chunk;
                if !sink.is_past(*chunk) {
                    let lines = self.lines(*chunk, &mut together, run).await?;
                    run.progress.wrote(sink.take(*chunk, &lines).await?);
                }
                run.progress.done(chunk.first, count(*chunk));
            }
        }
        Ok(())
    }

    /// What is known of these accounts before the first month: what was told of each before.
    fn together<'a>(&self, accounts: &'a [Account], run: &Run) -> Together<'a> {
        let told =
            |account: &Account| Told::open(self.store.as_ref(), &account.name, account.access(), run.last, run.now);
        let told = accounts.iter().map(|account| (account.name.clone(), told(account))).collect();
        Together { accounts, known: HashMap::new(), told, counted: HashSet::new(), counting: HashSet::new() }
    }

    /// Whose each account is now.
    async fn wearers(&self) -> anyhow::Result<HashMap<String, Wearer>> {
        let mut wearers = HashMap::new();
        for account in &self.accounts {
            wearers.insert(account.name.clone(), Wearer::of(account, self.store.as_ref()).await?);
        }
        Ok(wearers)
    }

    /// What these accounts have in a month; they are asked side by side, as far as the request budget lets them.
    async fn lines(&self, days: DateRange, together: &mut Together<'_>, run: &mut Run) -> anyhow::Result<Lines> {
        let plan = Plan { now: run.now, until: run.until, days, target: &self.target };
        let covered = DateRange { first: days.first - MARGIN, last: days.last + MARGIN };
        let (now, kinds, persistence, left_out) = (run.now, &self.kinds, self.persistence, &run.left_out.clone());
        let there: Vec<_> = together.accounts.iter().filter(|account| !run.gone.contains(&account.name)).collect();
        let asked = stream::iter(there)
            .map(|account| async move { (account, ask(account, kinds, covered, now, persistence, left_out).await) });
        let mut asked = asked.buffered(TOGETHER);
        let mut lines = Lines::new();
        while let Some((account, asked)) = asked.next().await {
            let name = &account.name;
            if let Some(wearer) = run.wearers.get_mut(name) {
                wearer.holds(account).await?;
            }
            let (answers, left_out) = match asked {
                Ok(asked) => asked,
                Err(problem) if self.accounts.len() > 1 && is_of_the_account(problem.reason) => {
                    let (reason, words) = (problem.reason.label(), problem.with_advice(account.access()));
                    warn!(account = name, reason, "left out: {words}");
                    run.gone.insert(name.clone());
                    continue;
                }
                Err(problem) => anyhow::bail!("account {name}: {}", problem.what),
            };
            run.left_out.extend(left_out);
            let Some(told) = together.told.get_mut(name) else { continue };
            let facts = plan.tell(name, &answers, together.known.entry(name.clone()).or_default(), told);
            tell_of_unreadable(name, days.first, &facts.unreadable);
            run.progress.read(together.count(name, &answers));
            lines.extend(facts.lines);
        }
        together.counted = std::mem::take(&mut together.counting);
        Ok(lines)
    }

    async fn open(
        &self,
        destination: Destination,
        days: DateRange,
        wearers: &HashMap<String, Wearer>,
        now: DateTime<Utc>,
    ) -> anyhow::Result<Sink> {
        let persons = self.accounts.iter().filter_map(|account| wearers.get(&account.name)).map(Wearer::identity);
        let names = self.accounts.iter().map(|account| account.name.clone());
        let whose: Vec<_> = names.chain(persons).collect();
        Ok(match destination {
            Destination::Directory(directory) => {
                Sink::Files(Files::new(&directory, self.readers, days.first, digest(&whose))?)
            }
            Destination::Output => Sink::Output(Output::new()),
            Destination::Remote(receiver) => {
                judge(&receiver, self.from, now).await?;
                let checkpoint = self.checkpoint(receiver.url(), whose)?;
                let sending = Sending::open(receiver, checkpoint, self.persistence, now);
                Sink::Remote(Box::new(sending))
            }
        })
    }

    /// The place of this backfill to `url`, and of no other one: `whose` are the accounts, and the persons.
    fn checkpoint(&self, url: &str, whose: Vec<String>) -> anyhow::Result<Checkpoint> {
        let names = self.accounts.iter().map(|account| account.name.clone()).collect();
        let kinds = self.kinds.iter().map(|kind| kind.name.to_owned());
        let Target { job, instance } = self.target.clone();
        let own = [url.to_owned(), job, instance, self.from.to_string(), format!("{:?}", self.to)];
        let parts: Vec<_> = own.into_iter().chain(whose).chain(kinds).collect();
        Checkpoint::open(self.store.as_ref().map(Store::directory), &parts, names, self.restart)
    }
}

fn count(days: DateRange) -> u64 {
    (days.last - days.first).num_days().unsigned_abs() + 1
}

/// Whether the other accounts go on without it.
const fn is_of_the_account(reason: Reason) -> bool {
    matches!(reason, Reason::Token | Reason::Membership)
}

impl Together<'_> {
    /// How many documents answers have that were not counted before.
    fn count(&mut self, account: &str, answers: &Answers) -> usize {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut new = 0;
        for (kind, documents) in answers {
            for document in documents {
                let mut hasher = DefaultHasher::new();
                (account, kind.name, document.get()).hash(&mut hasher);
                let document = hasher.finish();
                if self.counting.insert(document) && !self.counted.contains(&document) {
                    new += 1;
                }
            }
        }
        new
    }
}

fn tell_of_unreadable(account: &str, month: NaiveDate, unreadable: &BTreeMap<&'static str, Unreadable>) {
    for (collection, Unreadable { count, field }) in unreadable {
        let month = month.format("%Y-%m").to_string();
        warn!(account, collection, month, count, field, "documents cannot be read and are left out");
    }
}
