//! The metrics that the snapshot shows, as entries of the catalogue.

use super::{ACCOUNT_METRICS, EXPORTER_METRICS};
use crate::{
    documents::{Entry, of_the_wearer},
    metric::Metric,
};

/// All metrics that the snapshot shows: the wearer's, and whether they can be trusted.
pub fn of_the_page() -> Vec<Entry> {
    of_an_account().into_iter().chain(of_all_accounts()).collect()
}

/// Those of them that each account has for itself.
pub(super) fn of_an_account() -> Vec<Entry> {
    let accounts = ACCOUNT_METRICS.iter().map(Metric::definition);
    let entry = |definition| Entry { collection: None, by_account: true, definition };
    of_the_wearer().into_iter().chain(accounts.map(entry)).collect()
}

/// Those of them that all accounts have together.
pub(super) fn of_all_accounts() -> Vec<Entry> {
    let together = EXPORTER_METRICS.iter().map(Metric::definition);
    together.map(|definition| Entry { collection: None, by_account: false, definition }).collect()
}
