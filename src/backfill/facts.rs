//! What answers say of a month, as points of the record that were learnt now.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use super::chunks::milliseconds;
use crate::{
    documents::{Kind, Reading, Unreadable},
    observation::{DateRange, Known, Run},
    samples::{Lines, Place, Series, Target, add_run},
};

/// The answers of one account, by collection.
pub(super) type Answers = Vec<(&'static Kind, Vec<Box<RawValue>>)>;

/// What is made of answers.
pub(super) struct Plan<'a> {
    /// When all of it is learnt; nothing after that is told.
    pub(super) now: DateTime<Utc>,
    /// The days that are told; the answers cover more.
    pub(super) days: DateRange,
    /// The labels of the scrapes that it joins.
    pub(super) target: &'a Target,
}

/// What answers came to.
#[derive(Default)]
pub(super) struct Told {
    pub(super) lines: Lines,
    /// The documents that could not be read, by collection.
    pub(super) unreadable: BTreeMap<&'static str, Unreadable>,
}

impl Plan<'_> {
    /// The points of `account`; `known` is what was known of the wearer before, and is more then. Collections are read in
    /// the order of the list, since some tell by what the others are judged.
    pub(super) fn tell(&self, account: &str, answers: &Answers, known: &mut Known) -> Told {
        let mut told = Told::default();
        for (kind, documents) in answers {
            let reading = kind.read(documents, known, self.now, Some(self.days));
            known.merge(&reading.known);
            if !reading.unreadable.is_empty() {
                told.unreadable.insert(kind.name, reading.unreadable.clone());
            }
            self.add_reading(&mut told.lines, account, &reading);
            let moment = known.moment(self.now);
            kind.samples(documents, &moment, |run| self.add_dense(&mut told.lines, account, &run));
        }
        let scraped = |(series, points): (Arc<Series>, _)| {
            (Arc::new(Arc::unwrap_or_clone(series).scraped_from(self.target)), points)
        };
        told.lines = std::mem::take(&mut told.lines).into_iter().map(scraped).collect();
        told
    }

    fn add_reading(&self, lines: &mut Lines, account: &str, reading: &Reading) {
        for facts in &reading.days {
            let Some(stamp) = Place::Day(facts.day).stamp(self.now) else { continue };
            for observation in &facts.observations {
                let series = Arc::new(Series::of_observation(account, observation));
                lines.entry(series).or_default().insert(stamp, observation.value);
            }
        }
        let within = milliseconds(self.days);
        for run in &reading.events {
            let events = run.samples.iter().filter(|(start, _)| within.contains(&start.timestamp_millis()));
            let stamped = events.filter_map(|(start, value)| Some((Place::Event(*start).stamp(self.now)?, *value)));
            let series = || Arc::new(Series::of(account, run.name, run.labels.clone()));
            for (stamp, value) in stamped {
                lines.entry(series()).or_default().insert(stamp, value);
            }
        }
    }

    fn add_dense(&self, lines: &mut Lines, account: &str, run: &Run) {
        let (within, now) = (milliseconds(self.days), self.now.timestamp_millis());
        add_run(lines, account, run, |time| within.contains(&time) && time <= now);
    }
}
