//! What was told of an account before, by the exporter and by backfills: who tells a stretch again puts what has changed
//! after what stands there.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, NaiveDate, Utc};
use tracing::warn;

use super::{
    Lines, Place, Record, Series, SeriesPoints,
    dense::{by_second, place_after},
    journal::Journal,
    record::{REMEMBERED, Values, ended},
};
use crate::{auth::Store, observation::DateRange, problem::TokenOrigin};

/// What there is to tell of documents: when, and the values.
type Again = Vec<(i64, Values)>;

/// What was told of a document: the last of each series, and the first place after all of it.
#[derive(Default)]
struct Before {
    next: i64,
    values: Values,
}

/// What is told for the first time, by series.
type News = Vec<SeriesPoints>;

/// What was told before. As documents are revised for some days only, no more than the last twenty days are remembered.
pub struct Told {
    now: DateTime<Utc>,
    by_the_exporter: Record,
    by_backfills: Record,
    journal: Option<Journal>,
}

impl Told {
    /// What is known of `account` in the state directory of `store`. What is told from now on is noted there, unless the days up
    /// to `last` are too long ago for that; where it cannot be, that is said.
    pub fn open(
        store: Option<&Store>,
        account: &str,
        origin: TokenOrigin<'_>,
        last: NaiveDate,
        now: DateTime<Utc>,
    ) -> Self {
        let nothing = || Record::new(account, now);
        let mut told = Self { now, by_the_exporter: nothing(), by_backfills: nothing(), journal: None };
        let Some(store) = store.filter(|_| last >= told.oldest().date_naive()) else { return told };
        told.by_the_exporter = Journal::glance(store, account, origin, now);
        match Journal::open_of_backfills(store, account, origin, now) {
            Ok((journal, record)) => (told.journal, told.by_backfills) = (Some(journal), record),
            Err(unusable) => warn!(
                account,
                "cannot keep the journal: {unusable}; another backfill of these days may not correct what changes; {}",
                unusable.advice()
            ),
        }
        told
    }

    fn oldest(&self) -> DateTime<Utc> {
        self.now - REMEMBERED
    }

    /// What is to be told of the documents of a collection, as far as it stands before `until`: all of their values, and
    /// zero for what was part of a sum and is no more. `whole` is the days of which all documents were seen; none: that is
    /// not sure.
    pub fn documents(
        &mut self,
        collection: &'static str,
        mut seen: BTreeMap<Place, Values>,
        whole: Option<DateRange>,
        until: DateTime<Utc>,
    ) -> Again {
        let mut before = self.before(collection);
        let is_gone = |place: &&Place| whole.is_some_and(|whole| whole.contains(place.day()));
        for place in before.keys().filter(is_gone) {
            seen.entry(*place).or_default();
        }
        let mut again = Again::with_capacity(seen.len());
        for (place, mut values) in seen {
            let Before { next, values: before } = before.remove(&place).unwrap_or_default();
            values.extend(ended(&before, &values));
            // After all that was told of it, also where the clock was set back since.
            let Some(stamp) = place.stamp(self.now).map(|stamp| if values == before { stamp } else { stamp.max(next) })
            else {
                continue;
            };
            if stamp <= until.timestamp_millis() {
                self.note_document(collection, place, stamp, &before, &values);
                again.push((stamp, values));
            }
        }
        again
    }

    /// Notes of a document what is told for the first time.
    fn note_document(&mut self, collection: &'static str, place: Place, stamp: i64, before: &Values, values: &Values) {
        if place.begin() >= self.oldest().timestamp_millis() {
            let is_new = |(series, value): &(&Arc<Series>, &f64)| before.get(*series) != Some(*value);
            let news = values.iter().filter(is_new).map(|(series, value)| (Arc::clone(series), vec![(stamp, *value)]));
            self.note(collection, Some(place), news.collect());
        }
    }

    /// What was told of each document of a collection.
    fn before(&self, collection: &str) -> BTreeMap<Place, Before> {
        let both = self.by_the_exporter.documents(collection).chain(self.by_backfills.documents(collection));
        let mut both: Vec<_> = both.collect();
        both.sort_by_key(|(_, document)| document.learnt);
        let mut before = BTreeMap::<Place, Before>::new();
        for (place, document) in both {
            let values = document.values.iter().map(|(series, value)| (Arc::clone(series), *value));
            let before = before.entry(place).or_default();
            before.values.extend(values);
            before.next = before.next.max(document.last + 1);
        }
        before
    }

    /// The dense samples of a collection at the places at which they are to be told: where they stand, or, if that is
    /// another value, a millisecond after it.
    pub fn dense(&mut self, collection: &'static str, lines: Lines) -> Lines {
        let oldest = self.oldest().timestamp_millis();
        let (mut told, mut news) = (Lines::new(), News::new());
        for (series, points) in lines {
            let mut new = Vec::new();
            let placed = by_second(points).into_iter().map(|(second, value)| {
                let last = self.last_of(&series, second);
                let place = place_after(last, second, value);
                new.extend(place.filter(|_| second >= oldest).map(|place| (place, value)));
                (place.or(last.map(|(place, _)| place)).unwrap_or(second), value)
            });
            told.insert(Arc::clone(&series), placed.collect());
            if !new.is_empty() {
                news.push((series, new));
            }
        }
        self.note(collection, None, news);
        told
    }

    fn last_of(&self, series: &Series, time: i64) -> Option<(i64, f64)> {
        let both = [&self.by_the_exporter, &self.by_backfills].map(|record| record.last_of(series, time));
        both.into_iter().flatten().max_by_key(|(place, _)| *place)
    }

    fn note(&mut self, collection: &'static str, place: Option<Place>, news: News) {
        let Some(journal) = self.journal.as_mut().filter(|_| !news.is_empty()) else { return };
        let telling = self.by_backfills.told(self.now, collection, place, news);
        journal.add(&[telling], &self.by_backfills);
    }
}
