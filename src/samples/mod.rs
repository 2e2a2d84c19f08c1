//! The record: what every document says, at its own time, revisions too.
//!
//! `record` decides for one account what is told and when, by what was told before, of which `dense` keeps the most in
//! little memory; `place` says where in time a sample stands; `journal` keeps what was told over restarts, as
//! `journal_text`, and `rename` gives it another name. `buffer` holds the records of all accounts and gives
//! `/metrics/samples`: what was learnt in the last hours. `series` is what a sample belongs to, `openmetrics` the text of it,
//! `look` what the landing page draws of it, `whose` and `owner` whose it is. The same tellings go out by remote write, and the
//! backfill makes its samples by the same places, after what `told` knows to stand there.

mod buffer;
mod dense;
#[cfg(test)]
mod hands_tests;
mod held;
#[cfg(test)]
mod held_tests;
mod journal;
#[cfg(test)]
mod journal_tests;
mod journal_text;
mod look;
mod openmetrics;
mod owner;
mod place;
mod record;
mod rename;
mod series;
mod stats;
#[cfg(test)]
mod tests;
mod told;
mod whose;

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

pub(crate) use buffer::lines;
pub use buffer::{JournalIn, RecordKey, Samples, USUAL_WINDOW};
pub use journal::forget_journals;
pub use openmetrics::{Format, Text};
pub(crate) use owner::written_owner;
pub use place::Place;
pub use record::{LEAST_BETWEEN, LOOK_BACK, MOST_DENSE, Record, Telling, Values};
pub use rename::rename_journals;
pub(crate) use series::add_run;
pub use series::{Lines, Points, Series, SeriesPoints, Target, count};
pub use stats::{RECORD, SampleStats};
pub use told::Told;
pub(crate) use whose::{Lost, Whose};

use crate::{documents, metric::Definition, observation};

/// The definitions of all samples, by name.
static DEFINITIONS: LazyLock<HashMap<&'static str, Definition>> = LazyLock::new(|| {
    documents::of_the_samples().into_iter().map(|entry| (entry.definition.name, entry.definition)).collect()
});

/// The names of all labels of samples.
static LABELS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let own = DEFINITIONS.values().flat_map(|definition| definition.labels.iter().map(|(name, _)| *name));
    own.chain([observation::ACCOUNT_LABEL]).collect()
});

/// Whether the series of this metric are parts of a sum.
fn is_tally(name: &str) -> bool {
    DEFINITIONS.get(name).is_some_and(|definition| definition.is_tally)
}

/// The metric of that name, if there is one.
fn known_metric(name: &str) -> Option<&'static str> {
    DEFINITIONS.get(name).map(|definition| definition.name)
}

/// The label of that name, if there is one.
fn known_label(name: &str) -> Option<&'static str> {
    LABELS.get(name).copied()
}

/// The help text of a sample's metric.
pub fn help_of(name: &str) -> &'static str {
    DEFINITIONS.get(name).map_or("", |definition| definition.help)
}
