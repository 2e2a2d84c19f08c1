//! The metrics of all kinds, as entries of the catalogue.

use super::{KINDS, Kind, twin_definition};
use crate::{metric::Definition, observation::ACCOUNT_LABEL};

/// A metric and where it belongs.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The collection it comes from; none for what the exporter says of itself.
    pub collection: Option<&'static str>,
    /// Whether it is told apart by account.
    pub by_account: bool,
    /// What it is called and means.
    pub definition: Definition,
}

impl Entry {
    /// All its label names, the account first.
    pub fn labels(&self) -> Vec<&'static str> {
        let account = self.by_account.then_some(ACCOUNT_LABEL);
        account.into_iter().chain(self.definition.labels.iter().map(|(name, _)| *name)).collect()
    }
}

/// The metrics of the wearer, kind by kind.
pub fn of_the_wearer() -> Vec<Entry> {
    let entry = |collection, definition| Entry { collection: Some(collection), by_account: true, definition };
    KINDS.iter().flat_map(|kind| kind.definitions().into_iter().map(move |d| entry(kind.name, d))).collect()
}

/// The metrics of the record, kind by kind: the twins of what the page has, then events and dense samples.
pub fn of_the_samples() -> Vec<Entry> {
    let entry = |collection, definition| Entry { collection: Some(collection), by_account: true, definition };
    let of_kind = |kind: &'static Kind| {
        let twins = kind.definitions().into_iter().filter_map(|definition| twin_definition(&definition).cloned());
        twins.chain(kind.sample_definitions()).map(move |definition| entry(kind.name, definition))
    };
    KINDS.iter().flat_map(of_kind).collect()
}
