//! The record of one account: what was told of which document, and what is to be told of it now.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Range,
    sync::Arc,
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::{
    Place, Series, SeriesPoints,
    dense::{Dense, News, by_second},
};
use crate::{
    documents::DayFacts,
    metric::UNKNOWN,
    observation::{DateRange, Run},
};

/// How far back the exporter looks at documents, and `/metrics/samples` can be asked.
pub const LOOK_BACK: TimeDelta = TimeDelta::days(14);
/// What was told is remembered for longer than a document can be seen.
pub(super) const REMEMBERED: TimeDelta = TimeDelta::days(20);
/// How far before its beginning a new record tells dense samples; years are for the backfill.
const FIRST_DENSE: TimeDelta = TimeDelta::hours(48);
/// A document is not told again sooner than this.
pub const LEAST_BETWEEN: TimeDelta = TimeDelta::minutes(15);
/// A document that is gone from one answer is gone if it is missing in another one so much later.
const GONE_AFTER: TimeDelta = TimeDelta::minutes(10);
/// The milliseconds of a second.
const SECOND: i64 = 1_000;
/// No telling has so high a number, which is far beyond what any clock shows.
pub(super) const HIGHEST_NUMBER: u64 = 1 << 50;
/// Numbers that are as high as this leave too little room above.
const HIGH_NUMBER: u64 = HIGHEST_NUMBER / 2;
/// How many dense samples are remembered of an account: a usual one has half as many in twenty days. More are not told.
pub const MOST_DENSE: usize = 250_000;

/// What was told at one time of one document, or of one stretch of dense samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Telling {
    /// Its number; later ones are higher.
    pub number: u64,
    /// When it was learnt.
    pub learnt: DateTime<Utc>,
    /// The collection that it comes from.
    pub collection: &'static str,
    /// Which document it is of; none: dense samples at times of their own.
    pub place: Option<Place>,
    /// Points in milliseconds since 1970, by series.
    pub told: Vec<SeriesPoints>,
}

impl Telling {
    /// How many samples it has.
    pub fn count(&self) -> usize {
        self.told.iter().map(|(_, points)| points.len()).sum()
    }
}

/// What is remembered of a telling besides its dense samples.
#[derive(Debug)]
struct Entry {
    number: u64,
    learnt: DateTime<Utc>,
    collection: &'static str,
    place: Option<Place>,
    /// How many samples it has, the dense ones included.
    count: usize,
    /// Where the values stand.
    stamp: i64,
    values: Vec<(Arc<Series>, f64)>,
}

impl Entry {
    fn points(&self) -> impl Iterator<Item = SeriesPoints> {
        self.values.iter().map(|(series, value)| (Arc::clone(series), vec![(self.stamp, *value)]))
    }
}

/// What was told of a document.
#[derive(Debug, Default)]
pub(super) struct TrackedDocument {
    /// When the last of it was learnt.
    pub(super) learnt: DateTime<Utc>,
    /// The last that was told of each series.
    pub(super) values: Values,
    /// The latest place of any of it, in milliseconds since 1970.
    pub(super) last: i64,
    /// What Oura has taken back of it, which stays in the record.
    taken_back: BTreeSet<Arc<Series>>,
    /// Since when it has been missing from the answers.
    missing: Option<DateTime<Utc>>,
}

/// The record of one account.
#[derive(Debug)]
pub struct Record {
    account: String,
    born: DateTime<Utc>,
    documents: BTreeMap<(&'static str, Place), TrackedDocument>,
    dense: Dense,
    entries: VecDeque<Entry>,
    /// The series of documents, each once.
    series: BTreeSet<Arc<Series>>,
    next: u64,
    revisions: BTreeMap<&'static str, u64>,
    /// When a revision of values was counted last.
    revised: BTreeMap<&'static str, DateTime<Utc>>,
    lags: BTreeMap<&'static str, (i64, f64)>,
    is_full: bool,
}

/// Values of one document, by series.
pub type Values = BTreeMap<Arc<Series>, f64>;

impl Record {
    /// The record of `account` in which nothing was told before `born`.
    pub fn new(account: &str, born: DateTime<Utc>) -> Self {
        Self {
            account: account.to_owned(),
            born,
            documents: BTreeMap::new(),
            dense: Dense::default(),
            entries: VecDeque::new(),
            series: BTreeSet::new(),
            next: 0,
            revisions: BTreeMap::new(),
            revised: BTreeMap::new(),
            lags: BTreeMap::new(),
            is_full: false,
        }
    }

    /// Since when it has been kept.
    pub const fn born(&self) -> DateTime<Utc> {
        self.born
    }

    /// The tellings with these numbers that are remembered, oldest first.
    pub fn tellings(&self, numbers: Range<u64>) -> Vec<Telling> {
        let mut dense = self.dense.told(numbers.clone());
        let telling = |entry: &Entry| {
            let dense = dense.remove(&entry.number).unwrap_or_default();
            let told = entry.points().chain(dense).collect();
            let Entry { number, learnt, collection, place, .. } = *entry;
            Telling { number, learnt, collection, place, told }
        };
        self.entries_in(numbers.clone()).map(telling).collect()
    }

    /// The tellings from that number on, oldest first: so many at most, and with as many samples, or one of more.
    pub fn tellings_since(&self, from: u64, most: usize) -> Vec<Telling> {
        let mut room = most;
        let fits = |entry: &&Entry| {
            let is_first = room == most;
            let count = entry.count.max(1);
            let fits = count <= room || is_first;
            room = room.saturating_sub(count);
            fits
        };
        let last = self.entries_from(from).take_while(fits).last().map(|entry| entry.number);
        last.map_or(vec![], |last| self.tellings(from..last + 1))
    }

    /// How many samples were told from that number on.
    pub fn count_since(&self, from: u64) -> usize {
        self.entries_from(from).map(|entry| entry.count).sum()
    }

    /// What is remembered from that number on: numbers only rise.
    fn entries_from(&self, from: u64) -> impl Iterator<Item = &Entry> {
        self.entries.range(self.entries.partition_point(|entry| entry.number < from)..)
    }

    /// What is remembered with these numbers.
    fn entries_in(&self, numbers: Range<u64>) -> impl Iterator<Item = &Entry> {
        self.entries_from(numbers.start).take_while(move |entry| entry.number < numbers.end)
    }

    /// The points of the tellings with these numbers, by series and in order of time.
    pub fn points(&self, numbers: Range<u64>) -> BTreeMap<Arc<Series>, Vec<(i64, f64)>> {
        let mut points: BTreeMap<_, _> = self.dense.points(numbers.clone()).collect();
        for (series, point) in self.entries_in(numbers).flat_map(Entry::points) {
            points.entry(series).or_insert_with(Vec::new).extend(point);
        }
        points.values_mut().for_each(|points| points.sort_unstable_by_key(|(time, _)| *time));
        points
    }

    /// The numbers of all that is remembered.
    pub fn numbers(&self) -> Range<u64> {
        self.entries.front().map_or(self.next, |entry| entry.number)..self.next
    }

    /// The numbers of what was learnt since then.
    pub fn numbers_since(&self, since: DateTime<Utc>) -> Range<u64> {
        let young = self.entries.iter().rev().take_while(|entry| entry.learnt >= since);
        young.last().map_or(self.next, |entry| entry.number)..self.next
    }

    /// Numbers tellings from `now` on by the clock, so that none gets the number of one that was lost with its line.
    pub(super) fn number_from(&mut self, now: DateTime<Utc>) {
        let by_the_clock = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        self.next = self.next.max(by_the_clock.min(HIGH_NUMBER - 1));
    }

    /// Numbers all that is remembered anew if its numbers leave too little room above; whether they did.
    pub(super) fn renumber(&mut self) -> bool {
        let is_too_high = self.next >= HIGH_NUMBER;
        if is_too_high {
            let tellings = self.tellings(self.numbers());
            *self = Self::new(&self.account, self.born);
            tellings.into_iter().zip(0..).for_each(|(telling, number)| self.recall(&Telling { number, ..telling }));
        }
        is_too_high
    }

    /// How far back dense samples are told.
    pub fn dense_from(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        (now - LOOK_BACK).max(self.born.min(now) - FIRST_DENSE)
    }

    /// What was told of the documents of a collection.
    pub(super) fn documents(&self, collection: &str) -> impl Iterator<Item = (Place, &TrackedDocument)> {
        let of_it = self.documents.iter().filter(move |((of, _), _)| *of == collection);
        of_it.map(|((_, place), document)| (*place, document))
    }

    /// Where the last stands that was told of a dense sample, and which value that is.
    pub(super) fn last_of(&self, series: &Series, time: i64) -> Option<(i64, f64)> {
        self.dense.last_within(series, time)
    }

    /// The dense points of a series from `from` on and before `to`, in milliseconds since 1970; of one second, the last.
    pub(super) fn dense_between(&self, series: &Series, from: i64, to: i64) -> Vec<(i64, f64)> {
        self.dense.between(series, from, to)
    }

    /// The newest time of which a dense metric was told, in milliseconds since 1970.
    pub fn newest(&self, metric: &str) -> Option<i64> {
        self.dense.newest(metric)
    }

    /// How many documents were told again because they changed, by collection.
    pub const fn revisions(&self) -> &BTreeMap<&'static str, u64> {
        &self.revisions
    }

    /// The seconds from the newest sample's time to when it was learnt, by collection.
    pub fn lags(&self) -> impl Iterator<Item = (&'static str, f64)> {
        self.lags.iter().map(|(collection, (_, lag))| (*collection, *lag))
    }

    /// Takes up what was told before, in the order in which it was.
    pub(super) fn recall(&mut self, telling: &Telling) {
        self.next = self.next.max(telling.number.saturating_add(1));
        self.note_lag(telling);
        let Telling { number, learnt, collection, place, .. } = *telling;
        let mut entry = Entry { number, learnt, collection, place, count: telling.count(), stamp: 0, values: vec![] };
        if let Some(place) = place {
            entry.values.reserve_exact(telling.told.len());
            for (series, (stamp, value)) in
                telling.told.iter().filter_map(|(series, points)| Some((series, points.last()?)))
            {
                entry.stamp = *stamp;
                entry.values.push((self.interned(series), *value));
            }
            let document = self.documents.entry((collection, place)).or_default();
            document.learnt = learnt;
            document.last = document.last.max(entry.stamp);
            document.values.extend(entry.values.iter().cloned());
        } else {
            telling.told.iter().for_each(|(series, points)| self.dense.add(series, points, number));
        }
        self.entries.push_back(entry);
    }

    /// The series as it is known: thousands of values are of a few hundred series.
    fn interned(&mut self, series: &Arc<Series>) -> Arc<Series> {
        if let Some(known) = self.series.get(series) {
            return Arc::clone(known);
        }
        self.series.insert(Arc::clone(series));
        Arc::clone(series)
    }

    /// Learns what documents of `collection` say of days and events. `whole` is the days of which the answer has all
    /// documents, so that what is missing there is gone. Gives what is to be told, which counts as told.
    pub fn learn(
        &mut self,
        collection: &'static str,
        days: &[DayFacts],
        events: &[Run],
        whole: DateRange,
        now: DateTime<Utc>,
    ) -> Vec<Telling> {
        let oldest = (now - LOOK_BACK).date_naive();
        let mut seen = BTreeMap::<Place, Values>::new();
        for facts in days.iter().filter(|facts| facts.day >= oldest) {
            let values = seen.entry(Place::Day(facts.day)).or_default();
            let series = facts.observations.iter();
            values.extend(series.map(|seen| (Arc::new(Series::of_observation(&self.account, seen)), seen.value)));
        }
        for run in events {
            for (start, value) in run.samples.iter().filter(|(start, _)| *start >= now - LOOK_BACK && *start <= now) {
                let series = Series::of(&self.account, run.name, run.labels.clone());
                seen.entry(Place::Event(*start)).or_default().insert(Arc::new(series), *value);
            }
        }
        // What is older than that is not looked at, and so not missed.
        let whole = DateRange { first: whole.first.max(oldest), ..whole };
        let gone = self.gone(collection, &seen, whole, now);
        let documents: Vec<_> = seen.into_iter().chain(gone).collect();
        documents.into_iter().filter_map(|(place, values)| self.tell(collection, place, values, now)).collect()
    }

    /// The documents that were told and are gone: of each, no values.
    fn gone(
        &mut self,
        collection: &'static str,
        seen: &BTreeMap<Place, Values>,
        whole: DateRange,
        now: DateTime<Utc>,
    ) -> Vec<(Place, Values)> {
        let mut gone = Vec::new();
        for ((of, place), document) in &mut self.documents {
            if *of != collection {
                continue;
            }
            if seen.contains_key(place) || !is_within(*place, whole) {
                document.missing = None;
            } else {
                // Of a clock that was ahead, it would be missed from a time in the future on.
                let missing = document.missing.map_or(now, |missing| missing.min(now));
                document.missing = Some(missing);
                if now - missing < GONE_AFTER {
                    continue;
                }
                gone.push((*place, Values::new()));
            }
        }
        gone
    }

    /// Tells what of a document's values is new or changed, unless it was told a moment ago.
    fn tell(&mut self, collection: &'static str, place: Place, values: Values, now: DateTime<Utc>) -> Option<Telling> {
        let stamp = place.stamp(now)?;
        let document = self.documents.get(&(collection, place));
        // After all that was told of it, also where the clock was set back since.
        let stamp = document.map_or(stamp, |document| stamp.max(document.last + 1));
        let is_new = |(series, value): &(&Arc<Series>, &f64)| {
            document.and_then(|document| document.values.get(*series)) != Some(*value)
        };
        let mut changed: Values =
            values.iter().filter(is_new).map(|(series, value)| (Arc::clone(series), *value)).collect();
        if let Some(document) = document {
            let ended = ended(&document.values, &values).into_iter();
            changed.extend(ended.filter(|(series, zero)| document.values.get(series) != Some(zero)));
        }
        let may_be_told = document.is_none_or(|document| (now - document.learnt).abs() >= LEAST_BETWEEN);
        let is_revision = document.is_some();
        if changed.is_empty() {
            self.count_taken_back(collection, place, &values);
        }
        if changed.is_empty() || !may_be_told {
            return None;
        }
        if is_revision {
            *self.revisions.entry(collection).or_default() += 1;
            self.revised.insert(collection, now);
        }
        let told = changed.into_iter().map(|(series, value)| (series, vec![(stamp, value)])).collect();
        Some(self.told(now, collection, Some(place), told))
    }

    /// Counts once what Oura has taken back of a document: it stays in the record, and is told no more.
    fn count_taken_back(&mut self, collection: &'static str, place: Place, values: &Values) {
        let Some(document) = self.documents.get_mut(&(collection, place)) else { return };
        let is_missing = |series: &&Arc<Series>| !values.contains_key(*series) && !super::is_tally(series.name);
        let taken_back: BTreeSet<_> = document.values.keys().filter(is_missing).cloned().collect();
        if !taken_back.is_subset(&document.taken_back) {
            *self.revisions.entry(collection).or_default() += 1;
        }
        document.taken_back = taken_back;
    }

    /// Learns dense samples of `collection`. Gives what is to be told, which counts as told: what is new, and what has
    /// changed, within the same second.
    pub fn learn_dense(
        &mut self,
        collection: &'static str,
        runs: impl FnOnce(&mut dyn FnMut(Run)),
        now: DateTime<Utc>,
    ) -> Option<Telling> {
        let within = self.dense_from(now)..=now;
        let mut seen = BTreeMap::<Arc<Series>, BTreeMap<i64, f64>>::new();
        runs(&mut |run| {
            let series = Arc::new(Series::of(&self.account, run.name, run.labels));
            let samples = run.samples.into_iter().filter(|(time, _)| within.contains(time));
            let points = samples.map(|(time, value)| (time.timestamp_millis(), value));
            seen.entry(series).or_default().extend(by_second(points));
        });
        let mut news = News { room: MOST_DENSE.saturating_sub(self.dense.len()), ..News::default() };
        for (series, points) in &seen {
            points.iter().for_each(|(second, value)| news.add(series, &self.dense, *second, *value));
        }
        if news.is_revised {
            self.count_revised_dense(collection, now);
        }
        self.is_full |= news.is_full;
        let told: Vec<_> =
            news.new.into_iter().map(|(series, points)| (series, points.into_iter().collect())).collect();
        (!told.is_empty()).then(|| self.told(now, collection, None, told))
    }

    /// Counts a document whose dense samples have changed, unless it was counted a moment ago for its values.
    fn count_revised_dense(&mut self, collection: &'static str, now: DateTime<Utc>) {
        let is_counted = self.revised.get(collection).is_some_and(|at| (now - *at).abs() < LEAST_BETWEEN);
        *self.revisions.entry(collection).or_default() += u64::from(!is_counted);
    }

    /// Whether there were more dense samples than are remembered.
    pub const fn is_full(&self) -> bool {
        self.is_full
    }

    /// Takes note that this is told now.
    pub(super) fn told(
        &mut self,
        now: DateTime<Utc>,
        collection: &'static str,
        place: Option<Place>,
        told: Vec<SeriesPoints>,
    ) -> Telling {
        let telling = Telling { number: self.next, learnt: now, collection, place, told };
        self.recall(&telling);
        telling
    }

    fn note_lag(&mut self, telling: &Telling) {
        let newest = telling.told.iter().flat_map(|(_, points)| points).map(|(time, _)| *time).max();
        let Some(newest) = newest else { return };
        let lag = (telling.learnt.timestamp_millis() - newest) as f64 / SECOND as f64;
        let known = self.lags.entry(telling.collection).or_insert((newest, lag));
        if newest >= known.0 {
            *known = (newest, lag);
        }
    }

    /// Forgets what can be seen no more; whether there was any.
    pub(super) fn forget(&mut self, now: DateTime<Utc>) -> bool {
        let oldest = now - REMEMBERED;
        let before = self.entries.len();
        // What was learnt by a clock that was ahead is older than what came after it.
        let is_old = |entries: &VecDeque<Entry>| {
            entries.iter().find(|entry| entry.learnt <= now).is_some_and(|entry| entry.learnt < oldest)
        };
        while is_old(&self.entries) {
            self.entries.pop_front();
        }
        self.documents.retain(|(_, place), _| place.begin() >= oldest.timestamp_millis());
        self.dense.forget(oldest.timestamp_millis(), self.numbers().start);
        self.series.retain(|series| Arc::strong_count(series) > 1);
        before > self.entries.len()
    }
}

/// What was part of a sum, or the state `unknown`, and is no more: it is zero. Any other value that Oura takes back stays.
pub(super) fn ended(before: &Values, now: &Values) -> Vec<(Arc<Series>, f64)> {
    let labels: BTreeSet<_> = now.keys().map(|series| &series.labels).collect();
    let is_over = |series: &Series| {
        let is_unknown = series.labels.iter().any(|(_, value)| value == UNKNOWN);
        (super::is_tally(series.name) || is_unknown) && !labels.contains(&series.labels)
    };
    before.keys().filter(|series| is_over(series)).map(|series| (Arc::clone(series), 0.0)).collect()
}

/// Whether an answer that has all documents of these days has the one of `place`, if it exists: an event's day by the
/// wearer's clock may be the one before or after.
fn is_within(place: Place, whole: DateRange) -> bool {
    let is_inside = |day: NaiveDate| whole.first < day && day < whole.last;
    match place {
        Place::Day(day) => whole.contains(day),
        Place::Event(start) => is_inside(start.date_naive()),
    }
}
