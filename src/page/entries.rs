//! The metrics that the snapshot shows, as entries of the catalogue.

use super::{ACCOUNT_METRICS, EXPORTER_METRICS};
use crate::{
    documents::{Entry, of_the_wearer},
    metric::Metric,
};

/// All metrics that the snapshot shows: the wearer's, and whether they can be trusted.
pub fn of_the_page() -> Vec<Entry> {
    let entry = |by_account, definition| Entry { collection: None, by_account, definition };
    let accounts = ACCOUNT_METRICS.iter().map(Metric::definition).map(|d| entry(true, d));
    let snapshot = EXPORTER_METRICS.iter().map(Metric::definition).map(|d| entry(false, d));
    of_the_wearer().into_iter().chain(accounts).chain(snapshot).collect()
}
