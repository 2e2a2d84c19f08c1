//! What a line of history belongs to, and its points: single samples, or a value that held for a while.

use std::collections::BTreeMap;

use crate::{
    catalogue::ACCOUNT_LABEL,
    observation::{LabelValue, Observation, Run},
};

/// The labels that Prometheus puts on what it scrapes, so that history and scrapes are one series.
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

/// Points of a series; times are in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub enum Points {
    /// Samples with their own time.
    Samples(BTreeMap<i64, f64>),
    /// Values that were shown for a while, oldest first, none overlapping another.
    Shown(Vec<Shown>),
}

/// A value that was shown for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shown {
    /// The first time at which it is written.
    pub first: i64,
    /// It is written before this time only.
    pub until: i64,
    /// How far apart the times are.
    pub step: i64,
    /// The value.
    pub value: f64,
}

impl Shown {
    fn times(self) -> impl Iterator<Item = i64> {
        let step = usize::try_from(self.step).unwrap_or(1).max(1);
        (self.first..self.until).step_by(step)
    }

    /// The part from `from` until `until`, if there is one.
    pub(super) fn between(self, from: i64, until: i64) -> Option<Self> {
        let part = self.within(from, until);
        (part.first < part.until).then_some(part)
    }

    /// The part from `from` until `until`, on the same grid.
    fn within(self, from: i64, until: i64) -> Self {
        let behind = (from - self.first).max(0);
        let steps = behind.div_euclid(self.step) + i64::from(behind % self.step > 0);
        Self { first: self.first + steps * self.step, until: self.until.min(until), ..self }
    }
}

impl Points {
    /// All points from `from` until `until`, in order of time.
    pub fn between(&self, from: i64, until: i64) -> Box<dyn Iterator<Item = (i64, f64)> + '_> {
        match self {
            Self::Samples(samples) if from < until => {
                Box::new(samples.range(from..until).map(|(time, value)| (*time, *value)))
            }
            Self::Samples(_) => Box::new(std::iter::empty()),
            Self::Shown(shown) => Box::new(
                shown
                    .iter()
                    .filter(move |shown| shown.until > from && shown.first < until)
                    .map(move |shown| shown.within(from, until))
                    .flat_map(|shown| shown.times().map(move |time| (time, shown.value))),
            ),
        }
    }

    /// All points, in order of time.
    pub fn iter(&self) -> Box<dyn Iterator<Item = (i64, f64)> + '_> {
        self.between(i64::MIN / 4, i64::MAX / 4)
    }
}

/// Points by their series.
pub type Lines = BTreeMap<Series, Points>;

/// The series of an observation of `account`.
pub(super) fn series_of(account: &str, observation: &Observation) -> Series {
    Series::of(account, observation.name, observation.labels.clone())
}

/// Adds the samples of `run` that `fits` to `lines`; of two of one time, the first stays.
pub(super) fn add_run(lines: &mut Lines, account: &str, run: Run, fits: impl Fn(i64) -> bool) {
    let samples = run.samples.iter().map(|(time, value)| (time.timestamp_millis(), *value));
    let mut samples = samples.filter(|(time, _)| fits(*time)).peekable();
    if samples.peek().is_none() {
        return;
    }
    let line = lines.entry(Series::of(account, run.name, run.labels));
    if let Points::Samples(known) = line.or_insert_with(|| Points::Samples(BTreeMap::new())) {
        samples.for_each(|(time, value)| {
            known.entry(time).or_insert(value);
        });
    }
}
