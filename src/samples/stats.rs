//! What the record tells of itself: revisions, and how late samples come.

use super::Record;
use crate::{by_account::ByAccount, metric::SelfMetric};

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
    revisions: ByAccount,
    lag: ByAccount,
}

impl SampleStats {
    /// Nothing told yet.
    ///
    /// # Errors
    /// None in practice: the names are constants.
    pub fn new() -> Result<Self, prometheus::Error> {
        Ok(Self { revisions: ByAccount::counter(REVISIONS)?, lag: ByAccount::gauge(LAG)? })
    }

    /// Takes note of what the record of `account` says of a collection now.
    pub(super) fn note(&self, account: &str, collection: &'static str, record: &Record) {
        let count = record.revisions().get(collection).copied().unwrap_or_default();
        self.revisions.raise(account, &[collection], count as f64);
        if let Some((_, lag)) = record.lags().find(|(of, _)| *of == collection) {
            self.lag.set(account, &[collection], lag);
        }
    }

    /// Leaves out an account that is gone.
    pub(super) fn forget(&self, account: &str) {
        self.revisions.forget(account);
        self.lag.forget(account);
    }

    /// All of it, account by account.
    pub fn by_account(&self) -> Vec<ByAccount> {
        vec![self.revisions.clone(), self.lag.clone()]
    }
}
