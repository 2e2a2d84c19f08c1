//! What the record has of a kind of document: its days, its events, and the dense samples of documents read whole.

use std::{collections::HashMap, sync::LazyLock};

use chrono::NaiveDate;
use serde::de::DeserializeOwned;
use serde_aux::serde_introspection::serde_introspect;
use serde_json::value::RawValue;

use super::{KINDS, kind::document};
use crate::{
    metric::{Definition, SampleMetric},
    observation::{Moment, Observation, Run},
};

/// What every metric of the page begins with, and what its twin in the record begins with.
const PAGE_PREFIX: &str = "oura_";
const RECORD_PREFIX: &str = "oura_sample_";

/// What the documents of one day say for the record, under the record's own names.
#[derive(Clone, Debug, PartialEq)]
pub struct DayFacts {
    /// The documents' day.
    pub day: NaiveDate,
    /// Its values.
    pub observations: Vec<Observation>,
}

/// A metric's twin in the record.
struct Twin {
    name: &'static str,
    definition: Definition,
}

/// The twins of all metrics that have one, by the name on the page.
static TWINS: LazyLock<HashMap<&'static str, Twin>> = LazyLock::new(|| {
    let recorded = KINDS.iter().flat_map(super::Kind::definitions).filter(|definition| definition.is_recorded);
    recorded.map(|definition| (definition.name, Twin::of(definition))).collect()
});

impl Twin {
    /// The names live as long as the program: there is one for each line of the documents' tables.
    fn of(definition: Definition) -> Self {
        let rest = definition.name.strip_prefix(PAGE_PREFIX).unwrap_or(definition.name);
        let name: &'static str = Box::leak(format!("{RECORD_PREFIX}{rest}").into_boxed_str());
        Self { name, definition: Definition { name, ..definition } }
    }
}

/// The twin of a value of the page; none if it is on the page only.
pub(super) fn twin(observation: &Observation) -> Option<Observation> {
    let twin = TWINS.get(observation.name)?;
    Some(Observation { name: twin.name, ..observation.clone() })
}

/// The definition of a page metric's twin, if it has one.
pub fn twin_definition(definition: &Definition) -> Option<&'static Definition> {
    TWINS.get(definition.name).map(|twin| &twin.definition)
}

/// The part of a document that is read whole for its dense samples.
pub trait Sampled: DeserializeOwned + 'static {
    /// Its metrics.
    const SAMPLES: &'static [SampleMetric<Self>];

    /// How much of the document, of which only the light fields are there, can be told; none while it may still grow. Where
    /// that is another number than before, it is read again, although nothing in it changed.
    fn due(&self, moment: &Moment) -> Option<i32>;
}

/// Gives the samples of documents, one document at a time.
type Read = fn(&[Box<RawValue>], &Moment, &mut dyn FnMut(Run));

/// A [`Sampled`] with its type erased.
pub(super) struct Sampling {
    fields: fn() -> &'static [&'static str],
    definitions: fn() -> Vec<Definition>,
    due: fn(&RawValue, &Moment) -> Option<i32>,
    read: Read,
}

impl Sampling {
    pub(super) const fn of<S: Sampled>() -> Self {
        Self {
            fields: serde_introspect::<S>,
            definitions: || S::SAMPLES.iter().map(SampleMetric::definition).collect(),
            due: |raw, moment| document::<S>(raw)?.due(moment),
            read: runs::<S>,
        }
    }

    pub(super) fn fields(&self) -> &'static [&'static str] {
        (self.fields)()
    }

    pub(super) fn definitions(&self) -> Vec<Definition> {
        (self.definitions)()
    }

    pub(super) fn due(&self, document: &RawValue, moment: &Moment) -> Option<i32> {
        (self.due)(document, moment)
    }

    pub(super) fn read(&self, documents: &[Box<RawValue>], moment: &Moment, take: &mut dyn FnMut(Run)) {
        (self.read)(documents, moment, take);
    }
}

fn runs<S: Sampled>(raw: &[Box<RawValue>], moment: &Moment, take: &mut dyn FnMut(Run)) {
    for document in raw.iter().filter_map(|raw| document::<S>(raw)) {
        S::SAMPLES.iter().filter_map(|metric| metric.observe(&document, moment)).for_each(&mut *take);
    }
}
