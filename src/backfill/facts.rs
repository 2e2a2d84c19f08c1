//! What answers say of a month, as points of the record that were learnt now.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use super::chunks::milliseconds;
use crate::{
    documents::{Kind, Reading, Unreadable},
    observation::{DateRange, Known},
    samples::{Lines, Place, Series, Target, Told, Values, add_run},
};

/// The answers of one account, by collection.
pub(super) type Answers = Vec<(&'static Kind, Vec<Box<RawValue>>)>;

/// What is made of answers.
pub(super) struct Plan<'a> {
    /// When all of it is learnt.
    pub(super) now: DateTime<Utc>,
    /// Nothing after this is told.
    pub(super) until: DateTime<Utc>,
    /// The days that are told; the answers cover more.
    pub(super) days: DateRange,
    /// The labels of the scrapes that it joins.
    pub(super) target: &'a Target,
}

/// What answers came to.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) lines: Lines,
    /// The documents that could not be read, by collection.
    pub(super) unreadable: BTreeMap<&'static str, Unreadable>,
}

impl Plan<'_> {
    /// The points of `account`, of whom `told` knows what was told before; `known` is what was known of the wearer before,
    /// and is more then. Collections are read in the order of the list, since some tell by what the others are judged.
    pub(super) fn tell(&self, account: &str, answers: &Answers, known: &mut Known, told: &mut Told) -> Facts {
        let mut facts = Facts::default();
        for (kind, documents) in answers {
            let reading = kind.read(documents, known, self.now, Some(self.days));
            known.merge(&reading.known);
            if !reading.unreadable.is_empty() {
                facts.unreadable.insert(kind.name, reading.unreadable.clone());
            }
            // An answer of nothing at all may be a mistake: then nothing is taken for gone.
            let whole = (!documents.is_empty()).then_some(self.days);
            for (stamp, values) in told.documents(kind.name, self.documents(account, &reading), whole, self.until) {
                for (series, value) in values {
                    facts.lines.entry(self.scraped(series)).or_default().insert(stamp, value);
                }
            }
            let dense = told.dense(kind.name, self.dense(account, kind, documents, known));
            facts.lines.extend(dense.into_iter().map(|(series, points)| (self.scraped(series), points)));
        }
        facts
    }

    /// What documents say, each in its place.
    fn documents(&self, account: &str, reading: &Reading) -> BTreeMap<Place, Values> {
        let mut seen = BTreeMap::<Place, Values>::new();
        for facts in &reading.days {
            let values = seen.entry(Place::Day(facts.day)).or_default();
            let series = facts.observations.iter();
            values.extend(series.map(|seen| (Arc::new(Series::of_observation(account, seen)), seen.value)));
        }
        let within = milliseconds(self.days);
        for run in &reading.events {
            let series = Arc::new(Series::of(account, run.name, run.labels.clone()));
            for (start, value) in run.samples.iter().filter(|(start, _)| within.contains(&start.timestamp_millis())) {
                seen.entry(Place::Event(*start)).or_default().insert(Arc::clone(&series), *value);
            }
        }
        seen
    }

    fn dense(&self, account: &str, kind: &Kind, documents: &[Box<RawValue>], known: &Known) -> Lines {
        let (within, until) = (milliseconds(self.days), self.until.timestamp_millis());
        let mut lines = Lines::new();
        kind.samples(documents, &known.moment(self.now), |run| {
            add_run(&mut lines, account, &run, |time| within.contains(&time) && time <= until);
        });
        lines
    }

    fn scraped(&self, series: Arc<Series>) -> Arc<Series> {
        Arc::new(Arc::unwrap_or_clone(series).scraped_from(self.target))
    }
}
