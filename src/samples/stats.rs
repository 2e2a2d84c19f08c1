//! What the record tells of itself: revisions, and how late samples come.

use prometheus::{
    GaugeVec, IntCounterVec, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::Record;
use crate::{documents::KINDS, metric::SelfMetric};

const REVISIONS: SelfMetric = SelfMetric {
    name: "oura_sample_revisions_total",
    help: "Documents whose samples were told again because Oura changed them, since the start.",
    labels: &["account", "collection"],
};
const LAG: SelfMetric = SelfMetric {
    name: "oura_sample_lag_seconds",
    help: "From the newest sample's own time to when it was learnt.",
    labels: &["account", "collection"],
};
/// The metrics of the record.
pub const RECORD: &[SelfMetric] = &[REVISIONS, LAG];

/// What the record tells of itself.
#[derive(Clone)]
pub struct SampleStats {
    revisions: IntCounterVec,
    lag: GaugeVec,
}

impl SampleStats {
    /// Nothing told yet.
    ///
    /// # Errors
    /// None in practice: the names are constants.
    pub fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            revisions: IntCounterVec::new(Opts::new(REVISIONS.name, REVISIONS.help), REVISIONS.labels)?,
            lag: GaugeVec::new(Opts::new(LAG.name, LAG.help), LAG.labels)?,
        })
    }

    /// Takes note of what the record of `account` says of a collection now.
    pub(super) fn note(&self, account: &str, collection: &'static str, record: &Record) {
        let counter = self.revisions.with_label_values(&[account, collection]);
        let count = record.revisions().get(collection).copied().unwrap_or_default();
        counter.inc_by(count.saturating_sub(counter.get()));
        if let Some((_, lag)) = record.lags().find(|(of, _)| *of == collection) {
            self.lag.with_label_values(&[account, collection]).set(lag);
        }
    }

    /// Leaves out an account that is gone.
    pub(super) fn forget(&self, account: &str) {
        for kind in KINDS {
            // Whatever it had no series of is not there to be removed.
            let _revisions = self.revisions.remove_label_values(&[account, kind.name]);
            let _lag = self.lag.remove_label_values(&[account, kind.name]);
        }
    }

    fn parts(&self) -> [&dyn Collector; 2] {
        [&self.revisions, &self.lag]
    }
}

impl Collector for SampleStats {
    fn desc(&self) -> Vec<&Desc> {
        self.parts().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.parts().into_iter().flat_map(Collector::collect).collect()
    }
}
