//! One wearer as the landing page sees them: what the page shows of them now, and the record of what went before.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::night;
use crate::{
    documents::Shown,
    observation::{DateRange, Observation},
    samples::Samples,
    state::AccountState,
};

const NO_RECORD: &str =
    "<p class=\"note\">There is no record (OURA_SAMPLES=false), so the night's course cannot be drawn.</p>";
const MAY_GROW: &str = "<p class=\"note\">Its course is drawn once the night has settled.</p>";

/// A wearer at one moment.
pub(super) struct Wearer<'a> {
    pub(super) account: &'a AccountState,
    /// The record; none where none is kept.
    pub(super) samples: Option<&'a Samples>,
    pub(super) now: DateTime<Utc>,
}

/// A value that the page shows.
pub(super) struct Found {
    pub(super) value: f64,
    /// The value of its first label.
    pub(super) label: Option<String>,
    /// The day it is of.
    pub(super) day: Option<NaiveDate>,
}

impl Wearer<'_> {
    /// The wearer's date.
    pub(super) fn today(&self) -> NaiveDate {
        self.account.moment(self.now).today()
    }

    /// What the page shows of a metric: of the series with that value of its label, where one is named.
    pub(super) fn find(&self, metric: &str, label: Option<&str>) -> Option<Found> {
        self.find_where(metric, |observation| {
            label.is_none() || observation.labels.first().map(|(_, value)| value.as_ref()) == label
        })
    }

    /// The state that holds of a state set.
    pub(super) fn find_state(&self, metric: &str) -> Option<Found> {
        self.find_where(metric, |observation| observation.value == 1.0)
    }

    fn find_where(&self, metric: &str, fits: impl Fn(&Observation) -> bool) -> Option<Found> {
        let found = |shown: &Shown| {
            let mut named = shown.observations.iter().filter(|observation| observation.name == metric);
            let found = named.find(|observation| fits(observation))?;
            let label = found.labels.first().map(|(_, value)| value.to_string());
            Some(Found { value: found.value, label, day: shown.date.day(self.account.zone()) })
        };
        self.account.collections.iter().filter_map(|collection| collection.shown.as_deref()).find_map(found)
    }

    /// What the record has of a metric on these days.
    pub(super) fn days(&self, collection: &str, metric: &'static str, days: DateRange) -> BTreeMap<NaiveDate, f64> {
        self.samples.map_or_else(BTreeMap::new, |samples| samples.days(&self.account.name, collection, metric, days))
    }

    /// The record's samples of a dense metric in that time.
    pub(super) fn stretch(
        &self,
        metric: &'static str,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Vec<(DateTime<Utc>, f64)> {
        self.samples.map_or_else(Vec::new, |samples| samples.stretch(&self.account.name, metric, from, to))
    }

    /// Why the course of the night cannot be drawn, as far as that is known.
    pub(super) fn without_a_course(&self) -> &'static str {
        match self.samples {
            None => NO_RECORD,
            Some(_) if night::may_grow(self) => MAY_GROW,
            Some(_) => "",
        }
    }
}
