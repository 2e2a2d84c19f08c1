//! Live remote write: what the record learns is sent on at once, each sample at its own time and once.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use prometheus::{
    IntCounter, IntGauge, IntGaugeVec, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tracing::{error, info};

use super::{
    Doubt, Receiver, Undelivered, WriteRefusal, batches, deliver::LONGEST_ASKED, said::Said, sent_log::SentLog,
};
use crate::{
    clock::Clock,
    metric::SelfMetric,
    samples::{self, Lines, Samples, Target, Telling, lines},
    shard::Shard,
    state_file::StateFile,
};

/// How many samples are sent before it is noted how far that went.
const AT_A_TIME: usize = 5_000;
/// The first wait for a receiver that is away, and the longest.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// News are looked for at least that often.
const IDLE: Duration = Duration::from_secs(60);

const UP: SelfMetric = SelfMetric {
    name: "oura_remote_write_up",
    help: "Whether the receiver of live remote write took the last request, 0 or 1, from the first one on.",
    labels: &[],
};
const TAKEN: SelfMetric = SelfMetric {
    name: "oura_remote_write_samples_total",
    help: "Samples that the receiver of live remote write took.",
    labels: &[],
};
const REFUSED: SelfMetric = SelfMetric {
    name: "oura_remote_write_refused_samples_total",
    help: "Samples that it refused for good, as too old mostly; they are not sent again.",
    labels: &[],
};
const PENDING: SelfMetric =
    SelfMetric { name: "oura_remote_write_pending_samples", help: "Samples that wait to be sent.", labels: &[] };
const LAST_SUCCESS: SelfMetric = SelfMetric {
    name: "oura_remote_write_last_success_timestamp_seconds",
    help: "When the receiver last took a request, from the first one on.",
    labels: &[],
};
/// The metrics of live remote write; they are there only where it is on.
pub const LIVE: &[SelfMetric] = &[UP, TAKEN, REFUSED, PENDING, LAST_SUCCESS];

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
        let known_later = |own: &SelfMetric| IntGaugeVec::new(Opts::new(own.name, own.help), own.labels);
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
    /// What is learnt.
    pub samples: Arc<Samples>,
    /// Where it goes.
    pub receiver: Receiver,
    /// The labels that a scrape would put on it.
    pub target: Target,
    /// The directory that keeps how far it went; none: it is forgotten at the end.
    pub state: Option<PathBuf>,
    /// Whose record is sent here: several exporters on one directory keep apart how far each went.
    pub shard: Shard,
    /// What time it is.
    pub clock: Clock,
    /// What it tells of itself.
    pub stats: LiveStats,
}

impl Live {
    /// Sends until `stop` says so; a request that is under way is finished first.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut sending = self.begin();
        while !*stop.borrow() {
            let pause = sending.round(&stop).await;
            tokio::select! {
                () = sending.pause(pause) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
    }

    fn begin(self) -> Sending {
        let Target { job, instance } = self.target.clone();
        let mut identity = vec![self.receiver.url().to_owned(), job, instance];
        if self.shard.is_one_of_several() {
            identity.push(self.shard.index().to_string());
        }
        let file = self.state.as_ref().map(|state| StateFile::new(state, "live", &identity));
        let sent = SentLog::open(file).unwrap_or_else(|problem| {
            error!("{problem:#}; live remote write starts over and may send samples twice");
            SentLog::open(None).expect("nothing is read")
        });
        Sending {
            live: self,
            sent,
            wait: SHORTEST_WAIT,
            is_away: false,
            doubt: Doubt::default(),
            refused: BTreeMap::new(),
            said: Said::default(),
        }
    }
}

struct Sending {
    live: Live,
    sent: SentLog,
    wait: Duration,
    is_away: bool,
    doubt: Doubt,
    /// What was refused since it was kept how far it went: where that is sent again, it may be refused again.
    refused: BTreeMap<WriteRefusal, u64>,
    said: Said,
}

/// Tellings that are sent together.
struct Portion {
    journal: String,
    tellings: Vec<Telling>,
}

impl Portion {
    fn next(&self) -> u64 {
        self.tellings.last().map_or(0, |telling| telling.number + 1)
    }
}

impl Sending {
    /// Waits for as long as it must, or for news; where none come, they are looked for all the same.
    async fn pause(&self, wait: Option<Duration>) {
        match wait {
            Some(wait) => sleep(wait).await,
            None => drop(timeout(IDLE, self.live.samples.news()).await),
        }
    }

    /// Sends all that is open; how long to wait if the receiver is away.
    async fn round(&mut self, stop: &watch::Receiver<bool>) -> Option<Duration> {
        self.tell_pending();
        for account in self.live.samples.accounts() {
            // One after the other, as long as the account is there: after a logout nothing of it is sent.
            while let Some(portion) = self.portion(&account).filter(|_| !*stop.borrow()) {
                if let Err(problem) = self.send(lines(&portion.tellings)).await {
                    return Some(self.went_away(&problem));
                }
                self.sent.advance(&account, &portion.journal, portion.next());
                self.keep();
                self.tell_pending();
            }
        }
        if self.doubt.is_there() && !*stop.borrow() {
            return Some(self.went_away(&Undelivered::refuses_all()));
        }
        self.keep();
        None
    }

    /// Takes note of how far it went, and of what is lost for good, unless it may be the receiver that is wrong.
    fn keep(&mut self) {
        if !self.doubt.is_there() {
            for (refusal, count) in std::mem::take(&mut self.refused) {
                self.live.stats.refused.inc_by(count);
                self.said.lost(refusal, count);
            }
            self.said.kept(&self.sent.keep());
        }
        self.said.tell_lost(Instant::now());
    }

    /// What of an account was learnt first and is not sent; none if all is.
    fn portion(&self, account: &str) -> Option<Portion> {
        let journal = self.live.samples.journal(account)?;
        let from = self.sent.next(account, &journal);
        let tellings = self.live.samples.since(account, &journal, from, AT_A_TIME);
        (!tellings.is_empty()).then_some(Portion { journal, tellings })
    }

    async fn send(&mut self, lines: Lines) -> Result<(), Undelivered> {
        let target = &self.live.target;
        let scraped = |series: &samples::Series| Arc::new(series.clone().scraped_from(target));
        let lines: Lines = lines.iter().map(|(series, points)| (scraped(series), points.clone())).collect();
        let now = self.live.clock.now().timestamp_millis();
        for slice in batches(&lines, i64::MIN / 4, i64::MAX / 4, now) {
            let delivered = self.live.receiver.deliver(slice.batch, std::iter::empty(), &mut self.doubt).await?;
            if delivered.taken > 0 {
                self.came_back();
            }
            self.live.stats.taken.inc_by(delivered.taken);
            for (refusal, count) in delivered.refused {
                *self.refused.entry(refusal).or_default() += count;
            }
        }
        Ok(())
    }

    fn tell_pending(&self) {
        let samples = &self.live.samples;
        let of = |account: &String| {
            let journal = samples.journal(account)?;
            Some(samples.count_since(account, &journal, self.sent.kept(account, &journal)))
        };
        let count: usize = samples.accounts().iter().filter_map(of).sum();
        self.live.stats.pending.set(i64::try_from(count).unwrap_or(i64::MAX));
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

    fn went_away(&mut self, problem: &Undelivered) -> Duration {
        self.live.stats.up.with_label_values::<&str>(&[]).set(0);
        let is_new = !std::mem::replace(&mut self.is_away, true);
        self.said.away(is_new, &problem.to_string(), Instant::now());
        // Whatever is not kept is sent again, and refused again if it is to be.
        self.sent.go_back();
        self.refused.clear();
        self.doubt = Doubt::default();
        self.tell_pending();
        let wait = problem.asked_wait().map_or(self.wait, |asked| asked.max(self.wait)).min(LONGEST_ASKED);
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        wait
    }
}
