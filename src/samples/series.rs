//! What a line of the record belongs to, and its points.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    observation::ACCOUNT_LABEL,
    observation::{LabelValue, Observation, Run},
};

/// The labels that Prometheus puts on what it scrapes, so that what is sent and what is scraped are one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The scrape job's name.
    pub job: String,
    /// The scraped address.
    pub instance: String,
}

/// A metric's name and its labels, in order and without empty ones: Prometheus takes those for absent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// Full metric name.
    pub name: &'static str,
    /// Names and values of the labels, by name.
    pub labels: Vec<(&'static str, LabelValue)>,
}

impl Series {
    /// A series of `account`.
    pub fn of(account: &str, name: &'static str, labels: Vec<(&'static str, LabelValue)>) -> Self {
        let mut labels = labels;
        labels.push((ACCOUNT_LABEL, account.to_owned().into()));
        labels.retain(|(_, value)| !value.is_empty());
        labels.sort();
        Self { name, labels }
    }

    /// The series of an observation of `account`.
    pub fn of_observation(account: &str, observation: &Observation) -> Self {
        Self::of(account, observation.name, observation.labels.to_vec())
    }

    /// The series as a scrape of `target` would have it.
    #[must_use]
    pub fn scraped_from(mut self, target: &Target) -> Self {
        let own = [("job", &target.job), ("instance", &target.instance)];
        let own = own.into_iter().filter(|(_, value)| !value.is_empty());
        self.labels.extend(own.map(|(name, value)| (name, LabelValue::from(value.clone()))));
        self.labels.sort();
        self
    }
}

/// Points of a series, by their time in milliseconds since 1970.
pub type Points = BTreeMap<i64, f64>;

/// A series and points of it, in order of time.
pub type SeriesPoints = (Arc<Series>, Vec<(i64, f64)>);

/// Points by their series.
pub type Lines = BTreeMap<Arc<Series>, Points>;

/// How many points there are.
pub fn count(lines: &Lines) -> usize {
    lines.values().map(BTreeMap::len).sum()
}

/// Adds the samples of `run` that `fits` to `lines`; of two of one time, the last stays.
pub(crate) fn add_run(lines: &mut Lines, account: &str, run: &Run, fits: impl Fn(i64) -> bool) {
    let samples = run.samples.iter().map(|(time, value)| (time.timestamp_millis(), *value));
    let mut samples = samples.filter(|(time, _)| fits(*time)).peekable();
    if samples.peek().is_some() {
        lines.entry(Arc::new(Series::of(account, run.name, run.labels.clone()))).or_default().extend(samples);
    }
}
