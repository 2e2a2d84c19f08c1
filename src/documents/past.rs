//! What the history needs of a kind of document: when a day's view showed first, and samples with their own time.

use chrono::{DateTime, NaiveDate, Utc};
use serde::de::DeserializeOwned;
use serde_aux::serde_introspection::serde_introspect;
use serde_json::value::RawValue;

use super::{
    Dated, Document, Unreadable,
    kind::{document, parse},
    words::Words,
};
use crate::{
    metric::{Definition, SampleMetric},
    observation::{Date, Moment, Observation, Run, Sighting},
};

/// When the page first showed a day's view, where the view itself does not say when it was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appears {
    /// When the day's night was over.
    Morning,
    /// When the day was over: how it grew is not known any more.
    DayEnd,
    /// When the day began.
    DayStart,
    /// It has no history of its own: it is not dated, or its samples are its history.
    Never,
}

/// The first and the last of some days.
pub type Days = (NaiveDate, NaiveDate);

/// What an answer's documents say of the past.
#[derive(Debug)]
pub struct Past {
    /// The views, by day.
    pub views: Vec<PastView>,
    /// The documents that could not be read.
    pub unreadable: Unreadable,
    /// The wearer's offsets from UTC.
    pub sightings: Vec<Sighting>,
}

/// The view of one day.
#[derive(Debug)]
pub struct PastView {
    /// The document's day.
    pub day: NaiveDate,
    /// When what it tells of was over, where it says so.
    pub ended: Option<DateTime<Utc>>,
    /// Its values.
    pub observations: Vec<Observation>,
}

pub(super) fn past<D: Document>(raw: &[Box<RawValue>], moment: &Moment, days: Days) -> Past {
    let (documents, unreadable) = parse::<D>(raw);
    let sightings = documents.iter().filter_map(D::sighting).collect();
    // Of all days together: a series for each word of each day would be no less.
    let mut words = Words::default();
    let view = |dated: Dated<D::View>| {
        let Date::Day(day) = dated.date else { return None };
        let observations = D::METRICS.iter().flat_map(|metric| words.observe(metric, &dated.view)).collect();
        Some(PastView { day, ended: D::ended(&dated.view), observations })
    };
    let views = D::past_views(documents, moment, days).into_iter().filter_map(view);
    Past { views: views.collect(), unreadable, sightings }
}

/// The part of a document that holds samples with their own time.
pub trait Sampled: DeserializeOwned + 'static {
    /// Its metrics.
    const SAMPLES: &'static [SampleMetric<Self>];
}

/// Gives the samples of documents, one document at a time.
type Read = fn(&[Box<RawValue>], &mut dyn FnMut(Run));

/// A [`Sampled`] with its type erased.
pub(super) struct Sampling {
    fields: fn() -> &'static [&'static str],
    definitions: fn() -> Vec<Definition>,
    read: Read,
}

impl Sampling {
    pub(super) const fn of<S: Sampled>() -> Self {
        Self {
            fields: serde_introspect::<S>,
            definitions: || S::SAMPLES.iter().map(SampleMetric::definition).collect(),
            read: runs::<S>,
        }
    }

    pub(super) fn fields(&self) -> &'static [&'static str] {
        (self.fields)()
    }

    pub(super) fn definitions(&self) -> Vec<Definition> {
        (self.definitions)()
    }

    pub(super) fn read(&self, documents: &[Box<RawValue>], take: &mut dyn FnMut(Run)) {
        (self.read)(documents, take);
    }
}

fn runs<S: Sampled>(raw: &[Box<RawValue>], take: &mut dyn FnMut(Run)) {
    for document in raw.iter().filter_map(|raw| document::<S>(raw)) {
        S::SAMPLES.iter().filter_map(|metric| metric.observe(&document)).for_each(&mut *take);
    }
}
