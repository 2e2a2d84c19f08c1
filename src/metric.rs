//! Metrics as data: a definition is a help text, a name and how to read the value, and the same rows make page and docs.

use chrono::{DateTime, Utc};

use crate::observation::{LabelValue, Moment, Observation, Run, is_measured};

/// Reads a number from a document; none where the document does not say.
pub type Number<V> = fn(&V) -> Option<f64>;
/// One series of a metric whose label values come from the documents: its label values and its value.
pub type Row = (Vec<LabelValue>, f64);

/// A metric of the exporter's own, kept by the `prometheus` crate.
#[derive(Clone, Copy, Debug)]
pub struct SelfMetric {
    /// Full name.
    pub name: &'static str,
    /// HELP text.
    pub help: &'static str,
    /// Label names.
    pub labels: &'static [&'static str],
}

/// What a document says of one series: the values of its labels, and samples with their own time.
pub type Samples = (Vec<LabelValue>, Vec<(DateTime<Utc>, f64)>);

/// A label whose values come from the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// The values that Oura's specification lists; empty for a growing list of Oura's.
    pub values: &'static [&'static str],
}

/// A label with the values that Oura's specification lists.
pub const fn label(name: &'static str, values: &'static [&'static str]) -> Label {
    Label { name, values }
}

/// The state of an enum that this build does not know.
pub const UNKNOWN: &str = "unknown";

/// How the names of metrics end whose values are times.
const TIMESTAMP: &str = "_timestamp_seconds";

/// 1 for true, 0 for false.
pub(crate) fn flag(value: Option<bool>) -> Option<f64> {
    value.map(|value| f64::from(u8::from(value)))
}

/// A metric read from views `V`.
pub struct Metric<V: 'static> {
    name: &'static str,
    help: &'static str,
    shape: Shape<V>,
    is_recorded: bool,
}

enum Shape<V: 'static> {
    Gauge(Number<V>),
    Parts { label: &'static str, parts: &'static [(&'static str, Number<V>)] },
    States { label: &'static str, states: &'static [&'static str], current: fn(&V) -> Option<&'static str> },
    Rows { labels: &'static [Label], rows: fn(&V) -> Vec<Row> },
}

/// A metric whose samples have their own time, read from documents `D`.
pub struct SampleMetric<D: 'static> {
    name: &'static str,
    help: &'static str,
    labels: &'static [Label],
    samples: fn(&D, &Moment) -> Samples,
}

/// What a metric is called and means, apart from where it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Full name, unit last.
    pub name: &'static str,
    /// HELP text: meaning, range and source.
    pub help: &'static str,
    /// Label names without the account, each with its values where they are known beforehand.
    pub labels: Vec<(&'static str, Vec<&'static str>)>,
    /// Whether the series are the states of one thing, of which one is 1.
    pub is_state_set: bool,
    /// Whether its rows are parts of a whole: one that a document no longer has is zero.
    pub is_tally: bool,
    /// Whether the record has a twin of it.
    pub is_recorded: bool,
}

/// A help text on its way to becoming a metric.
pub struct Help {
    text: &'static str,
    is_recorded: bool,
}

/// Begins a metric with its help: meaning, range, and `from collection.field`.
pub const fn help(text: &'static str) -> Help {
    Help { text, is_recorded: true }
}

impl Help {
    /// A metric of the page only: it tells of the newest of several things, which the record has one by one.
    pub const fn page_only(self) -> Self {
        Self { is_recorded: false, ..self }
    }

    /// A metric with one series.
    pub const fn gauge<V>(self, name: &'static str, value: Number<V>) -> Metric<V> {
        Metric::new(name, self, Shape::Gauge(value))
    }

    /// A metric with one series for each part, told apart by `label`.
    pub const fn parts<V>(
        self,
        name: &'static str,
        label: &'static str,
        parts: &'static [(&'static str, Number<V>)],
    ) -> Metric<V> {
        Metric::new(name, self, Shape::Parts { label, parts })
    }

    /// A state set: 1 for the current state and 0 for the others; `unknown` shows only while it holds.
    pub const fn states<V>(
        self,
        name: &'static str,
        label: &'static str,
        states: &'static [&'static str],
        current: fn(&V) -> Option<&'static str>,
    ) -> Metric<V> {
        Metric::new(name, self, Shape::States { label, states, current })
    }

    /// A metric whose label values come from the documents.
    pub const fn rows<V>(self, name: &'static str, labels: &'static [Label], rows: fn(&V) -> Vec<Row>) -> Metric<V> {
        Metric::new(name, self, Shape::Rows { labels, rows })
    }

    /// A metric whose samples have their own time.
    pub const fn samples<D>(
        self,
        name: &'static str,
        labels: &'static [Label],
        samples: fn(&D, &Moment) -> Samples,
    ) -> SampleMetric<D> {
        assert!(legal(name), "a metric name is oura_ and then lower-case letters, digits and single underscores");
        SampleMetric { name, help: self.text, labels, samples }
    }
}

impl<D> SampleMetric<D> {
    /// Its definition.
    pub fn definition(&self) -> Definition {
        Definition {
            name: self.name,
            help: self.help,
            labels: named(self.labels),
            is_state_set: false,
            is_tally: false,
            is_recorded: false,
        }
    }

    /// The labels whose values come from a growing list of Oura's, or from nowhere that is known.
    pub fn free_labels(&self) -> impl Iterator<Item = &'static str> {
        free(self.labels)
    }

    /// What `document` says of it at `moment`; none if it says nothing.
    pub fn observe(&self, document: &D, moment: &Moment) -> Option<Run> {
        let (values, mut samples) = (self.samples)(document, moment);
        samples.retain(|(_, value)| is_measured(*value));
        let labels = self.labels.iter().map(|label| label.name).zip(values).collect();
        (!samples.is_empty()).then_some(Run { name: self.name, labels, samples })
    }
}

/// The names of labels whose values are not known beforehand.
fn free(labels: &'static [Label]) -> impl Iterator<Item = &'static str> {
    labels.iter().filter(|label| label.values.is_empty()).map(|label| label.name)
}

/// The labels with the values that are known beforehand.
fn named(labels: &[Label]) -> Vec<(&'static str, Vec<&'static str>)> {
    labels.iter().map(|label| (label.name, label.values.to_vec())).collect()
}

impl<V> Metric<V> {
    const fn new(name: &'static str, help: Help, shape: Shape<V>) -> Self {
        assert!(legal(name), "a metric name is oura_ and then lower-case letters, digits and single underscores");
        assert!(!help.text.is_empty(), "a metric needs a help text");
        Self { name, help: help.text, shape, is_recorded: help.is_recorded }
    }

    /// Its definition.
    pub fn definition(&self) -> Definition {
        let labels = match &self.shape {
            Shape::Gauge(_) => vec![],
            Shape::Parts { label, parts } => vec![(*label, parts.iter().map(|(part, _)| *part).collect())],
            Shape::States { label, states, .. } => vec![(*label, states.to_vec())],
            Shape::Rows { labels, .. } => named(labels),
        };
        Definition {
            name: self.name,
            help: self.help,
            labels,
            is_state_set: matches!(self.shape, Shape::States { .. }),
            is_tally: matches!(self.shape, Shape::Rows { .. }),
            is_recorded: self.is_recorded,
        }
    }

    /// The labels whose values come from a growing list of Oura's, or from nowhere that is known.
    pub fn free_labels(&self) -> impl Iterator<Item = &'static str> {
        free(if let Shape::Rows { labels, .. } = &self.shape { labels } else { &[] })
    }

    /// Its series as `view` has them; a value that nobody can have measured is like none.
    pub fn observe(&self, view: &V) -> Vec<Observation> {
        let mut observations = self.series(view);
        // Times were judged when they were read, and count more seconds than anything lasts.
        if !self.name.ends_with(TIMESTAMP) {
            observations.retain(|observation| is_measured(observation.value));
        }
        observations
    }

    fn series(&self, view: &V) -> Vec<Observation> {
        let series = |labels, value| Observation { name: self.name, labels, value };
        match &self.shape {
            Shape::Gauge(value) => value(view).map(|value| series(Box::default(), value)).into_iter().collect(),
            Shape::Parts { label, parts } => parts
                .iter()
                .filter_map(|(part, value)| Some(series([(*label, (*part).into())].into(), value(view)?)))
                .collect(),
            Shape::States { label, states, current } => current(view)
                .map(|current| state_set(states, current))
                .into_iter()
                .flatten()
                .map(|(state, value)| series([(*label, state.into())].into(), value))
                .collect(),
            Shape::Rows { labels, rows } => rows(view)
                .into_iter()
                .map(|(row, value)| series(labels.iter().map(|label| label.name).zip(row).collect(), value))
                .collect(),
        }
    }
}

fn state_set(states: &'static [&'static str], current: &'static str) -> impl Iterator<Item = (&'static str, f64)> {
    let unknown = (!states.contains(&current)).then_some((UNKNOWN, 1.0));
    states.iter().map(move |state| (*state, f64::from(u8::from(*state == current)))).chain(unknown)
}

const fn legal(name: &str) -> bool {
    let bytes = name.as_bytes();
    let prefix = b"oura_";
    if bytes.len() <= prefix.len() {
        return false;
    }
    let mut i = 0;
    while i < bytes.len() {
        let fits = if i < prefix.len() {
            bytes[i] == prefix[i]
        } else {
            bytes[i].is_ascii_lowercase() || bytes[i].is_ascii_digit() || (bytes[i] == b'_' && bytes[i - 1] != b'_')
        };
        if !fits {
            return false;
        }
        i += 1;
    }
    bytes[bytes.len() - 1] != b'_'
}
