//! Going back in time: month by month from Oura into files, standard output or a remote-write receiver.

use std::{collections::BTreeMap, path::PathBuf};

use chrono::{DateTime, Days as Count, NaiveDate, TimeDelta, Utc};
use tracing::{info, warn};

use super::{
    Cadence, Target,
    ask::{LeftOut, MARGIN, Persistence, ask},
    files::{Files, Output},
    progress::Progress,
    sending::{Sending, judge},
    series::Lines,
    sink::{Destination, Sink},
    stretch::{Stretch, stretches},
    timeline::{Plan, with_history},
};
use crate::{
    clock::Clock,
    documents::{Days, Kind},
    poll::Account,
};

/// History ends this long before now: Prometheus loses what it scraped after a block's end when it starts again.
const BEFORE_NOW: TimeDelta = TimeDelta::hours(6);

/// What is asked for.
pub struct Backfill {
    /// Whose history.
    pub accounts: Vec<Account>,
    /// Which collections.
    pub kinds: Vec<&'static Kind>,
    /// The first day.
    pub from: NaiveDate,
    /// The last day; none: all there are.
    pub to: Option<NaiveDate>,
    /// When scraping began, if nothing is to be written from then on.
    pub until: Option<DateTime<Utc>>,
    /// How often a value is written while it holds.
    pub cadence: Cadence,
    /// The labels of the scrapes that it joins.
    pub target: Target,
    /// The state directory, which keeps the place of a remote write.
    pub state: Option<PathBuf>,
    /// Whether a remote write begins anew, whatever was sent before.
    pub anew: bool,
    /// What time it is.
    pub clock: Clock,
    /// How long is waited for Oura and for a receiver.
    pub persistence: Persistence,
}

/// A stop that was asked for; what was written is whole.
#[derive(Debug, thiserror::Error)]
#[error("stopped; {0}")]
pub struct Interrupted(pub String);

/// What a run has come to.
struct Run {
    progress: Progress,
    left_out: LeftOut,
    now: DateTime<Utc>,
    kinds: Vec<&'static Kind>,
    days: Days,
    /// The stretch that is under way.
    reached: Stretch,
}

impl Backfill {
    /// Brings it all to `destination`, until `stop` resolves.
    ///
    /// # Errors
    /// Where Oura, the disk or the receiver cannot go on, in words that say how to; what was written is whole.
    pub async fn run(self, destination: Destination, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let now = self.clock.now();
        let end = self.until.map_or(now - BEFORE_NOW, |until| until.min(now - BEFORE_NOW));
        // Without a last day nothing is held back: late sleep counts for tomorrow.
        let days = (self.from, self.to.unwrap_or_else(|| now.date_naive() + Count::new(1)));
        let stretches = stretches(days, end);
        let Some(reached) = stretches.first().copied() else {
            anyhow::bail!("--from: nothing lies between then and the end, which is six hours ago or --until");
        };
        let mut sink = self.open(destination, now).await?;
        let progress = Progress::new(stretches.iter().map(|stretch| stretch.days()).sum());
        let mut run = Run { progress, left_out: LeftOut::new(), now, kinds: with_history(&self.kinds), days, reached };
        let ended = tokio::select! {
            ended = self.all(&stretches, &mut run, &mut sink) => Some(ended),
            () = stop => None,
        };
        let words = run.progress.end();
        match ended {
            Some(Ok(())) => info!("{words}"),
            Some(Err(problem)) => return Err(problem.context(sink.break_off(run.reached)?)),
            None => return Err(Interrupted(sink.break_off(run.reached)?).into()),
        }
        sink.conclude()?;
        let asked_for = |name: &str| self.kinds.iter().any(|kind| kind.name == name);
        let left_out = run.left_out.keys().filter(|(_, collection)| asked_for(collection)).count();
        anyhow::ensure!(left_out == 0, "{left_out} collections were left out, see above");
        Ok(())
    }

    async fn all(&self, stretches: &[Stretch], run: &mut Run, sink: &mut Sink) -> anyhow::Result<()> {
        for stretch in stretches {
            run.reached = *stretch;
            if !sink.is_past(*stretch) {
                let lines = self.lines(*stretch, run).await?;
                run.progress.wrote(sink.take(*stretch, &lines).await?);
            }
            run.progress.done(stretch.first, stretch.days());
        }
        Ok(())
    }

    /// What all accounts have in a stretch.
    async fn lines(&self, stretch: Stretch, run: &mut Run) -> anyhow::Result<Lines> {
        let last = stretch.until.date_naive();
        let plan = Plan {
            now: run.now,
            kinds: &self.kinds,
            days: run.days,
            covered: (stretch.first - MARGIN, last + MARGIN),
            within: (stretch.from, stretch.until),
            cadence: self.cadence,
            target: &self.target,
        };
        let mut lines = Lines::new();
        for account in &self.accounts {
            let asked = ask(account, &run.kinds, plan.covered, run.now, self.persistence, &mut run.left_out).await;
            let answers = asked.map_err(|problem| anyhow::anyhow!("account {}: {}", account.name, problem.what))?;
            let told = plan.tell(&account.name, &answers);
            tell_of_unreadable(&account.name, stretch.first, &told.unreadable);
            run.progress.read(told.documents);
            lines.extend(told.lines);
        }
        Ok(lines)
    }

    async fn open(&self, destination: Destination, now: DateTime<Utc>) -> anyhow::Result<Sink> {
        Ok(match destination {
            Destination::Directory(directory) => Sink::Files(Files::new(&directory)?),
            Destination::Output => Sink::Output(Output::new()),
            Destination::Remote(receiver) => {
                judge(&receiver, self.from, now).await?;
                let identity = self.identity(receiver.url());
                let sending =
                    Sending::open(receiver, self.state.as_deref(), &identity, self.anew, self.persistence, now)?;
                Sink::Remote(Box::new(sending))
            }
        })
    }

    /// What makes this backfill another than others.
    fn identity(&self, url: &str) -> Vec<String> {
        let names = self.accounts.iter().map(|account| account.name.clone());
        let kinds = self.kinds.iter().map(|kind| kind.name.to_owned());
        let Target { job, instance } = self.target.clone();
        // What ends elsewhere has held back other things at its end, so it has a place of its own.
        let ends = format!("{:?} {:?}", self.to, self.until);
        let own = [url.to_owned(), job, instance, self.cadence.words(), self.from.to_string(), ends];
        own.into_iter().chain(names).chain(kinds).collect()
    }
}

fn tell_of_unreadable(account: &str, month: NaiveDate, unreadable: &BTreeMap<&'static str, (usize, String)>) {
    for (collection, (count, field)) in unreadable {
        let month = month.format("%Y-%m").to_string();
        warn!(account, collection, month, count, field, "documents cannot be read and are left out");
    }
}
