//! Live remote write: new and late samples sent on as they are polled, each at its own time and once.

use std::{path::PathBuf, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use prometheus::{
    IntCounter, IntGauge, IntGaugeVec, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tracing::{error, info, warn};

use super::{
    Recent,
    ledger::Ledger,
    remote::{LONGEST_ASKED, Receiver, Undelivered, batches},
    series::{Lines, Points, Target},
    state::StateFile,
};
use crate::{clock::Clock, status::Own};

/// How far back late samples are sent.
pub const LIVE_DEPTH: TimeDelta = TimeDelta::days(7);
/// The first wait for a receiver that is away, and the longest.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// News are looked for at least that often: samples ahead of the clock become due.
const IDLE: Duration = Duration::from_secs(60);

const UP: Own = Own {
    name: "oura_remote_write_up",
    help: "Whether the receiver of live remote write took the last request, 0 or 1, from the first one on.",
    labels: &[],
};
const TAKEN: Own = Own {
    name: "oura_remote_write_samples_total",
    help: "Samples that the receiver of live remote write took.",
    labels: &[],
};
const REFUSED: Own = Own {
    name: "oura_remote_write_refused_samples_total",
    help: "Samples that it refused for good, as too old mostly; they are not sent again.",
    labels: &[],
};
const PENDING: Own =
    Own { name: "oura_remote_write_pending_samples", help: "Samples that wait to be sent.", labels: &[] };
const LAST_SUCCESS: Own = Own {
    name: "oura_remote_write_last_success_timestamp_seconds",
    help: "When the receiver last took a request, from the first one on.",
    labels: &[],
};
/// The metrics of live remote write; they are there only where it is on.
pub const LIVE: &[Own] = &[UP, TAKEN, REFUSED, PENDING, LAST_SUCCESS];

/// What live remote write tells of itself.
#[derive(Clone)]
pub struct LiveStats {
    up: IntGaugeVec,
    taken: IntCounter,
    refused: IntCounter,
    pending: IntGauge,
    last_success: IntGaugeVec,
}

impl LiveStats {
    /// Counters at zero.
    ///
    /// # Errors
    /// None in practice: the names are constants.
    pub fn new() -> Result<Self, prometheus::Error> {
        let known_later = |own: &Own| IntGaugeVec::new(Opts::new(own.name, own.help), own.labels);
        Ok(Self {
            up: known_later(&UP)?,
            taken: IntCounter::new(TAKEN.name, TAKEN.help)?,
            refused: IntCounter::new(REFUSED.name, REFUSED.help)?,
            pending: IntGauge::new(PENDING.name, PENDING.help)?,
            last_success: known_later(&LAST_SUCCESS)?,
        })
    }

    fn parts(&self) -> [&dyn Collector; 5] {
        [&self.up, &self.taken, &self.refused, &self.pending, &self.last_success]
    }
}

impl Collector for LiveStats {
    fn desc(&self) -> Vec<&Desc> {
        self.parts().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.parts().into_iter().flat_map(Collector::collect).collect()
    }
}

/// The sender.
pub struct Live {
    /// What was polled.
    pub recent: Arc<Recent>,
    /// Where it goes.
    pub receiver: Receiver,
    /// The labels that a scrape would put on it.
    pub target: Target,
    /// The directory that keeps the ledger; none: it is forgotten at the end.
    pub state: Option<PathBuf>,
    /// What time it is.
    pub clock: Clock,
    /// What it tells of itself.
    pub stats: LiveStats,
}

impl Live {
    /// Sends until `stop` says so; a request that is under way is finished first.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let Target { job, instance } = self.target.clone();
        let identity = [self.receiver.url().to_owned(), job, instance];
        let file = self.state.as_ref().map(|state| StateFile::new(state, "live", &identity));
        let ledger = Ledger::open(file).unwrap_or_else(|problem| {
            error!("{problem:#}; live remote write begins anew and may send what was sent before");
            Ledger::open(None).expect("nothing is read")
        });
        let mut sending = Sending { live: self, ledger, wait: SHORTEST_WAIT, is_away: false };
        while !*stop.borrow() {
            let pause = sending.round(&stop).await;
            tokio::select! {
                () = sending.pause(pause) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
    }
}

struct Sending {
    live: Live,
    ledger: Ledger,
    wait: Duration,
    is_away: bool,
}

impl Sending {
    /// Waits for as long as it must, or for news; where none come, they are looked for all the same.
    async fn pause(&self, wait: Option<Duration>) {
        match wait {
            Some(wait) => sleep(wait).await,
            None => drop(timeout(IDLE, self.live.recent.news()).await),
        }
    }

    /// Sends all that is open; how long to wait if the receiver is away.
    async fn round(&mut self, stop: &watch::Receiver<bool>) -> Option<Duration> {
        let now = self.live.clock.now();
        let open = self.open(now);
        let end = now.timestamp_millis() + 1;
        for slice in batches(&open, i64::MIN / 4, end, now.timestamp_millis()) {
            if *stop.borrow() {
                return None;
            }
            let batch = slice.batch;
            match self.live.receiver.deliver(batch.clone(), std::iter::empty()).await {
                Ok(delivered) => {
                    if delivered.taken > 0 {
                        self.came_back();
                    }
                    self.live.stats.taken.inc_by(delivered.taken);
                    self.live.stats.refused.inc_by(delivered.refused());
                    for (refusal, count) in &delivered.refused {
                        warn!("remote write: {count} samples are lost: {}", refusal.words());
                    }
                    let oldest = (now - LIVE_DEPTH - TimeDelta::days(1)).timestamp_millis();
                    if let Err(problem) = self.ledger.settle(&batch, oldest) {
                        warn!("{problem:#}; after a restart, samples may be sent twice");
                    }
                }
                Err(problem) => return Some(self.went_away(&problem, &open)),
            }
        }
        self.live.stats.pending.set(0);
        None
    }

    /// What is kept and not settled.
    fn open(&self, now: DateTime<Utc>) -> Lines {
        let lines = self.live.recent.lines();
        let lines = lines.into_iter().map(|(series, points)| (series.scraped_from(&self.live.target), points));
        let oldest = (now - LIVE_DEPTH).timestamp_millis();
        let young = lines.map(|(series, points)| {
            let points = points.between(oldest, now.timestamp_millis() + 1).collect();
            (series, Points::Samples(points))
        });
        let open = self.ledger.open_of(&young.collect());
        self.live.stats.pending.set(count(&open));
        open
    }

    fn came_back(&mut self) {
        let stats = &self.live.stats;
        stats.up.with_label_values::<&str>(&[]).set(1);
        stats.last_success.with_label_values::<&str>(&[]).set(self.live.clock.now().timestamp());
        self.wait = SHORTEST_WAIT;
        if std::mem::take(&mut self.is_away) {
            info!("remote write: the receiver takes samples again");
        }
    }

    fn went_away(&mut self, problem: &Undelivered, open: &Lines) -> Duration {
        self.live.stats.up.with_label_values::<&str>(&[]).set(0);
        self.live.stats.pending.set(count(&self.ledger.open_of(open)));
        if !std::mem::replace(&mut self.is_away, true) {
            warn!("remote write: {problem}; samples are kept for seven days and sent when it takes them");
        }
        let wait = problem.asked_wait().map_or(self.wait, |asked| asked.max(self.wait)).min(LONGEST_ASKED);
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        wait
    }
}

fn count(lines: &Lines) -> i64 {
    let count: usize = lines.values().map(|points| points.iter().count()).sum();
    i64::try_from(count).unwrap_or(i64::MAX)
}
