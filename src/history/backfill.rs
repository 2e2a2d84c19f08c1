//! Going back in time: month by month from Oura into files, standard output or a remote-write receiver.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, bail};
use chrono::{DateTime, Datelike as _, Days as Count, Months, NaiveDate, NaiveTime, TimeDelta, Utc};
use tracing::{info, warn};

use super::{
    Cadence, Receiver, Target,
    ask::{LeftOut, MARGIN, Persistence, ask},
    cursor::Cursor,
    files::{Files, Output},
    progress::Progress,
    remote::{Delivered, batches},
    series::Lines,
    timeline::{Plan, with_history},
};
use crate::{
    clock::Clock,
    documents::{Days, Kind},
    poll::Account,
};

/// History ends this long before now: Prometheus loses what it scraped after a block's end when it starts again.
const BEFORE_NOW: TimeDelta = TimeDelta::hours(6);
/// How far back Prometheus itself takes remote write well: beyond, it makes a block of every two hours.
const PROMETHEUS_DAYS: i64 = 90;

/// Where history goes.
pub enum Destination {
    /// Files in a directory.
    Directory(PathBuf),
    /// Standard output.
    Output,
    /// A remote-write receiver.
    Remote(Receiver),
}

/// What is asked for.
pub struct Backfill {
    /// Whose history.
    pub accounts: Vec<Account>,
    /// Which collections.
    pub kinds: Vec<&'static Kind>,
    /// Which days, both included.
    pub days: Days,
    /// How often a value is written while it holds.
    pub cadence: Cadence,
    /// The labels of the scrapes that it joins.
    pub target: Target,
    /// Where it goes.
    pub destination: Destination,
    /// The state directory, which keeps the place of a remote write.
    pub state: Option<PathBuf>,
    /// What time it is.
    pub clock: Clock,
    /// How long is waited for Oura and for a receiver.
    pub persistence: Persistence,
}

/// A stop that was asked for; what was written is whole.
#[derive(Debug, thiserror::Error)]
#[error("stopped; {0}")]
pub struct Interrupted(pub String);

/// A part of the time, within one month of UTC.
#[derive(Clone, Copy)]
struct Stretch {
    first: NaiveDate,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
}

enum Sink {
    Files(Files),
    Output(Output),
    Remote(Box<Remote>),
}

struct Remote {
    receiver: Receiver,
    cursor: Cursor,
    delivered: Delivered,
    persistence: Persistence,
}

impl Backfill {
    /// Brings it all in, until `stop` resolves.
    ///
    /// # Errors
    /// Where Oura, the disk or the receiver cannot go on, in words that say how to; what was written is whole.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let now = self.clock.now();
        let kinds = with_history(&self.kinds);
        let stretches = stretches(self.days, now - BEFORE_NOW);
        anyhow::ensure!(!stretches.is_empty(), "--from: nothing lies between then and six hours ago");
        let mut sink = self.open().await?;
        let mut run = Run { progress: Progress::new(days_of(&stretches)), left_out: LeftOut::new(), now, kinds };
        let mut reached = stretches[0].first;
        tokio::select! {
            ended = self.all(&stretches, &mut run, &mut sink, &mut reached) => ended?,
            () = stop => {
                let _words = run.progress.end();
                return Err(Interrupted(self.how_to_go_on(sink, reached)?).into());
            }
        }
        let words = run.progress.end();
        info!("{words}");
        self.conclude(sink)?;
        anyhow::ensure!(run.left_out.is_empty(), "{} collections were left out, see above", run.left_out.len());
        Ok(())
    }

    async fn all(
        &self,
        stretches: &[Stretch],
        run: &mut Run,
        sink: &mut Sink,
        reached: &mut NaiveDate,
    ) -> anyhow::Result<()> {
        for stretch in stretches {
            *reached = stretch.first;
            if !sink.is_past(*stretch) {
                let lines = self.lines(*stretch, run).await?;
                sink.take(*stretch, &lines, run).await?;
            }
            run.progress.done(stretch.first, days_of(&[*stretch]));
        }
        Ok(())
    }

    /// What all accounts have in a stretch.
    async fn lines(&self, stretch: Stretch, run: &mut Run) -> anyhow::Result<Lines> {
        let last = stretch.until.date_naive();
        let plan = Plan {
            now: run.now,
            days: self.days,
            covered: (stretch.first - MARGIN, last + MARGIN),
            within: (stretch.from, stretch.until),
            cadence: self.cadence,
            target: &self.target,
        };
        let mut lines = Lines::new();
        for account in &self.accounts {
            let asked = ask(account, &run.kinds, plan.covered, run.now, self.persistence, &mut run.left_out).await;
            let answers = asked.map_err(|problem| {
                let first = stretch.first;
                anyhow::anyhow!("account {}: {}; go on with --from {first}", account.name, problem.what)
            })?;
            let told = plan.tell(&account.name, &answers);
            tell_of_unreadable(&account.name, stretch.first, &told.unreadable);
            run.progress.read(told.documents);
            lines.extend(told.lines);
        }
        Ok(lines)
    }

    async fn open(&mut self) -> anyhow::Result<Sink> {
        let destination = std::mem::replace(&mut self.destination, Destination::Output);
        Ok(match destination {
            Destination::Directory(directory) => Sink::Files(Files::new(&directory)?),
            Destination::Output => Sink::Output(Output::new()),
            Destination::Remote(receiver) => {
                self.judge_age(&receiver).await?;
                let cursor = Cursor::open(self.state.as_deref(), &self.identity(receiver.url()))?;
                if cursor.has_begun() {
                    let place = DateTime::from_timestamp_millis(cursor.sent_before()).unwrap_or_default();
                    info!("a run before this one has sent everything until {}; going on there", place.format("%F %RZ"));
                }
                let (delivered, persistence) = (Delivered::default(), self.persistence);
                Sink::Remote(Box::new(Remote { receiver, cursor, delivered, persistence }))
            }
        })
    }

    /// Prometheus takes years through files only.
    async fn judge_age(&self, receiver: &Receiver) -> anyhow::Result<()> {
        let age = (self.clock.now().date_naive() - self.days.0).num_days();
        if age <= PROMETHEUS_DAYS {
            return Ok(());
        }
        if receiver.is_prometheus().await {
            bail!(
                "--remote-write: Prometheus takes {PROMETHEUS_DAYS} days back this way, not {age}: it would make a block \
                 of every two hours and run out of files; use --output DIR and promtool for the years"
            );
        }
        warn!(
            "--from lies {age} days back: right for VictoriaMetrics, Mimir and Thanos; for Prometheus, more than \
             {PROMETHEUS_DAYS} days go by --output DIR and promtool"
        );
        Ok(())
    }

    /// What makes this backfill another than others.
    fn identity(&self, url: &str) -> Vec<String> {
        let names = self.accounts.iter().map(|account| account.name.clone());
        let kinds = self.kinds.iter().map(|kind| kind.name.to_owned());
        let Target { job, instance } = self.target.clone();
        let own = [url.to_owned(), job, instance, self.cadence.words(), self.days.0.to_string()];
        own.into_iter().chain(names).chain(kinds).collect()
    }

    fn how_to_go_on(&self, sink: Sink, reached: NaiveDate) -> anyhow::Result<String> {
        Ok(match sink {
            Sink::Files(files) => {
                let count = files.written().len();
                format!("{count} files are whole; go on with --from {}", reached.max(self.days.0))
            }
            Sink::Output(output) => {
                output.finish()?;
                format!("what was printed is whole; go on with --from {}", reached.max(self.days.0))
            }
            Sink::Remote(_) => "run the same command again to go on".to_owned(),
        })
    }

    /// What is to be done with what was written.
    fn conclude(&self, sink: Sink) -> anyhow::Result<()> {
        match sink {
            Sink::Files(files) => advise(&files),
            Sink::Output(output) => output.finish()?,
            Sink::Remote(remote) => {
                info!("the receiver took {} samples", remote.delivered.taken);
                for (refusal, count) in &remote.delivered.refused {
                    warn!("it refused {count}: {}", refusal.words());
                }
                let refused = remote.delivered.refused();
                anyhow::ensure!(refused == 0, "{refused} samples were refused; all others were taken");
            }
        }
        Ok(())
    }
}

/// What a run has come to.
struct Run {
    progress: Progress,
    left_out: LeftOut,
    now: DateTime<Utc>,
    kinds: Vec<&'static Kind>,
}

impl Sink {
    /// Whether it has all of the stretch already.
    fn is_past(&self, stretch: Stretch) -> bool {
        matches!(self, Self::Remote(remote) if remote.cursor.sent_before() >= stretch.until.timestamp_millis())
    }

    async fn take(&mut self, stretch: Stretch, lines: &Lines, run: &mut Run) -> anyhow::Result<()> {
        match self {
            Self::Files(files) if !lines.is_empty() => run.progress.wrote(files.write(stretch.first, lines)?),
            Self::Files(_) => {}
            Self::Output(output) => run.progress.wrote(output.write(lines)?),
            Self::Remote(remote) => remote.send(stretch, lines, run).await?,
        }
        Ok(())
    }
}

impl Remote {
    async fn send(&mut self, stretch: Stretch, lines: &Lines, run: &mut Run) -> anyhow::Result<()> {
        let from = stretch.from.timestamp_millis().max(self.cursor.sent_before());
        let until = stretch.until.timestamp_millis();
        for slice in batches(lines, from, until, run.now.timestamp_millis()) {
            let delivered = self.receiver.deliver(slice.batch, self.persistence.waits()).await;
            let delivered = delivered.context("run the same command again to go on")?;
            for refusal in delivered.refused.keys().filter(|refusal| !self.delivered.refused.contains_key(refusal)) {
                warn!("samples of {} are refused: {}; going on with the others", stretch.first, refusal.words());
            }
            run.progress.wrote(delivered.taken);
            self.delivered.add(&delivered);
            self.cursor.advance(slice.until)?;
        }
        self.cursor.advance(until)
    }
}

/// The months that have a part of the days, from the first one's earliest beginning on earth; `end` is the end of all.
fn stretches((first, last): Days, end: DateTime<Utc>) -> Vec<Stretch> {
    let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
    let end = end.min(midnight(last + MARGIN));
    let mut stretches = Vec::new();
    let mut day = first - Count::new(1);
    while midnight(day) < end {
        let next = (day + Months::new(1)).with_day(1).unwrap_or(day);
        stretches.push(Stretch { first: day, from: midnight(day), until: midnight(next).min(end) });
        day = next;
    }
    stretches
}

fn days_of(stretches: &[Stretch]) -> u64 {
    let days = |stretch: &Stretch| (stretch.until.date_naive() - stretch.first).num_days().unsigned_abs();
    stretches.iter().map(days).sum()
}

fn tell_of_unreadable(account: &str, month: NaiveDate, unreadable: &BTreeMap<&'static str, (usize, String)>) {
    for (collection, (count, field)) in unreadable {
        let month = month.format("%Y-%m").to_string();
        warn!(account, collection, month, count, field, "documents cannot be read and are left out");
    }
}

/// What promtool is to be told.
fn advise(files: &Files) {
    let Some(directory) = files.written().first().and_then(|path| path.parent()) else {
        info!("Oura has nothing of these days, so there is no file");
        return;
    };
    eprintln!(
        "First let Prometheus keep that long, or it deletes what is brought in: --storage.tsdb.retention.time=10y\n\
         Then, with its data directory in place of DATA:\n\
         for file in {}/oura-*.om; do\n  \
         promtool tsdb create-blocks-from openmetrics --max-block-duration=1500h \"$file\" DATA || break\ndone",
        directory.display()
    );
}
