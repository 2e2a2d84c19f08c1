//! What an exporter must have told by the moments at which it looked, to the millisecond: written down from the contract
//! and the service's ledger, not from the code.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use oura_exporter::{
    documents::{Pace, kind},
    simulator::{Simulator, Version},
};
use serde_json::Value;

use super::{dense, events::events};
use crate::record::expected::{self, COLLECTIONS, Values, local};

/// How far back documents are looked at, and how far before the beginning dense samples go.
const LOOK_BACK: TimeDelta = TimeDelta::days(14);
const FIRST_DENSE: TimeDelta = TimeDelta::hours(48);
/// No tag of the simulator is longer, in days.
const LONGEST_TAG: i64 = 10;
const LEAST_BETWEEN: TimeDelta = TimeDelta::minutes(15);
const GONE_AFTER: TimeDelta = TimeDelta::minutes(10);
const MINUTE: i64 = 60_000;

/// Values by series, as OpenMetrics writes it without job and instance, and by milliseconds since 1970.
pub(crate) type Told = BTreeMap<String, BTreeMap<i64, f64>>;

/// All that documents ever were, by person, collection and day: the simulators of this program are all alike.
static LEDGER: Mutex<Ledger> = Mutex::new(BTreeMap::new());
type Ledger = BTreeMap<(&'static str, &'static str, NaiveDate), Arc<Vec<Version>>>;
/// Which version was read, and when.
type Read = (Option<DateTime<Utc>>, DateTime<Utc>);

/// Every state of the documents of a day.
fn versions(
    simulator: &Simulator,
    person: &'static str,
    collection: &'static str,
    day: NaiveDate,
) -> Arc<Vec<Version>> {
    let mut ledger = LEDGER.lock().unwrap_or_else(PoisonError::into_inner);
    let of_day = || Arc::new(simulator.versions(person, collection, day));
    Arc::clone(ledger.entry((person, collection, day)).or_insert_with(of_day))
}

/// The documents of a day as they could be read at some moment, and since when.
#[derive(Clone)]
struct State(Arc<Vec<Version>>, Option<usize>);

impl State {
    fn of(
        simulator: &Simulator,
        person: &'static str,
        collection: &'static str,
        day: NaiveDate,
        now: DateTime<Utc>,
    ) -> Self {
        let versions = versions(simulator, person, collection, day);
        let newest = versions.iter().rposition(|version| version.readable_from <= now);
        Self(versions, newest)
    }

    fn since(&self) -> Option<DateTime<Utc>> {
        Some(self.0[self.1?].readable_from)
    }

    fn documents(&self) -> &[Value] {
        self.1.map_or(&[], |newest| &self.0[newest].documents)
    }
}

/// The documents of a day as they could be read at some moment.
pub(crate) fn documents(
    simulator: &Simulator,
    person: &'static str,
    collection: &'static str,
    day: NaiveDate,
    at: DateTime<Utc>,
) -> Vec<Value> {
    State::of(simulator, person, collection, day, at).documents().to_vec()
}

/// In which order collections are read, as far as one is judged by another.
const ORDER: &[&str] = &["daily_activity", "heartrate"];

/// Of which person, what was told of it, and what an exporter knows.
pub(crate) struct Book {
    pub(crate) person: &'static str,
    born: DateTime<Utc>,
    /// All that was told.
    pub(crate) told: Told,
    documents: BTreeMap<(&'static str, Place), Document>,
    /// The dense samples of which version were told, by collection and day, and when.
    read: BTreeMap<(&'static str, NaiveDate), Read>,
    asked: BTreeMap<&'static str, DateTime<Utc>>,
    looked_back: BTreeMap<&'static str, DateTime<Utc>>,
    /// How far the ring is known to have synced.
    synced: Option<DateTime<Utc>>,
}

/// Where a document's samples stand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Day(NaiveDate),
    /// The second at which something began, in milliseconds since 1970.
    Event(i64),
}

type States = BTreeMap<NaiveDate, State>;

#[derive(Default)]
struct Document {
    learnt: DateTime<Utc>,
    values: Values,
    missing: Option<DateTime<Utc>>,
}

impl Place {
    fn begin(self) -> i64 {
        match self {
            Self::Day(day) => day.and_hms_opt(0, 1, 0).expect("a time").and_utc().timestamp_millis(),
            Self::Event(start) => start,
        }
    }

    /// Where a sample stands that is learnt at `now`; none before its day has come.
    fn stamp(self, now: DateTime<Utc>) -> Option<i64> {
        let minutes = (now.timestamp_millis() - self.begin()).div_euclid(MINUTE);
        (minutes >= 0).then_some(self.begin() + minutes)
    }

    /// Whether whoever has all documents of the days after `first` and before `last` has this one.
    fn is_within(self, first: NaiveDate, last: NaiveDate) -> bool {
        match self {
            Self::Day(day) => (first..=last).contains(&day),
            Self::Event(start) => {
                let day = DateTime::from_timestamp_millis(start).expect("a time").date_naive();
                first < day && day < last
            }
        }
    }
}

/// What is known of a wearer when a collection is read.
pub(crate) struct Moment {
    pub(crate) now: DateTime<Utc>,
    pub(crate) synced: Option<DateTime<Utc>>,
    /// From when on dense samples are told.
    pub(crate) dense_from: DateTime<Utc>,
}

impl Moment {
    /// Whether what ended then does not grow any more.
    pub(crate) fn is_settled(&self, end: DateTime<Utc>) -> bool {
        let is_synced = self.synced.is_some_and(|synced| synced >= end + TimeDelta::minutes(30));
        end <= self.now && (is_synced || self.now >= end + TimeDelta::hours(6))
    }
}

impl Book {
    /// Of an exporter that is started for the first time at `born`.
    pub(crate) fn new(person: &'static str, born: DateTime<Utc>) -> Self {
        Self {
            person,
            born,
            told: Told::new(),
            documents: BTreeMap::new(),
            read: BTreeMap::new(),
            asked: BTreeMap::new(),
            looked_back: BTreeMap::new(),
            synced: None,
        }
    }

    /// It is started again: it knows what was told, and nothing else.
    pub(crate) fn restarted(&mut self) {
        self.asked.clear();
        self.looked_back.clear();
        self.synced = None;
        self.documents.values_mut().for_each(|document| document.missing = None);
    }

    /// It asks for everything that is due.
    pub(crate) fn look(&mut self, simulator: &Simulator, now: DateTime<Utc>) {
        let others = COLLECTIONS.iter().filter(|name| !ORDER.contains(name));
        for collection in ORDER.iter().chain(others).chain(&["ring_battery_level"]) {
            if self.is_due(collection, now) {
                self.read(simulator, collection, now);
            }
        }
    }

    fn is_due(&mut self, collection: &'static str, now: DateTime<Utc>) -> bool {
        let minutes = match kind(collection).expect("a kind").pace {
            Pace::Poll => 5,
            Pace::Quarter => 15,
            Pace::HalfHour => 30,
            Pace::Hour => 60,
            Pace::QuarterDay => 360,
        };
        let asked = self.asked.get(collection);
        let is_due = asked.is_none_or(|asked| now - *asked >= TimeDelta::minutes(minutes));
        if is_due {
            self.asked.insert(collection, now);
        }
        is_due
    }

    fn read(&mut self, simulator: &Simulator, collection: &'static str, now: DateTime<Utc>) {
        let (today, oldest) = (now.date_naive(), (now - LOOK_BACK).date_naive());
        let looked = self.looked_back.get(collection);
        let looks_back = looked.is_none_or(|looked| now - *looked >= TimeDelta::hours(1));
        if looks_back {
            self.looked_back.insert(collection, now);
        }
        let first = if looks_back { oldest } else { today - TimeDelta::days(2) };
        let back = if collection == "enhanced_tag" { LONGEST_TAG } else { 1 };
        let all = (oldest - TimeDelta::days(back)).iter_days().take_while(|day| *day <= today + TimeDelta::days(1));
        let states: States = all.map(|day| (day, State::of(simulator, self.person, collection, day, now))).collect();
        let newest = states.values().rev().flat_map(State::documents).take(3_000);
        self.synced = self.synced.max(dense::synced(collection, newest, now));
        let dense_from = (now - LOOK_BACK).max(self.born - FIRST_DENSE);
        let moment = Moment { now, synced: self.synced, dense_from };
        self.tell_documents(simulator, collection, &states, &moment, (first, today + TimeDelta::days(1)));
        self.tell_all_dense(collection, &states, &moment);
    }

    /// Tells the dense samples of documents, but for those that can have none that was not told.
    fn tell_all_dense(&mut self, collection: &'static str, states: &States, moment: &Moment) {
        let mut dense = Told::new();
        for (day, state) in states {
            let known = self.read.insert((collection, *day), (state.since(), moment.now));
            let is_long_over = |at: DateTime<Utc>| *day + TimeDelta::days(3) < at.date_naive();
            if known.is_some_and(|(since, at)| since == state.since() && is_long_over(at)) {
                continue;
            }
            for (series, samples) in state.documents().iter().flat_map(|one| dense::samples(collection, one, moment)) {
                // Of two of one time, the last counts.
                dense.entry(self.series(&series)).or_default().extend(samples);
            }
        }
        for (series, samples) in dense {
            samples.into_iter().for_each(|(time, value)| self.tell_dense(&series, time, value, moment));
        }
    }

    fn tell_documents(
        &mut self,
        simulator: &Simulator,
        collection: &'static str,
        states: &States,
        moment: &Moment,
        (first, last): (NaiveDate, NaiveDate),
    ) {
        if dense::ROWS.contains(&collection) {
            return;
        }
        let mut seen = BTreeMap::<Place, Values>::new();
        for day in first.iter_days().take_while(|day| *day <= last) {
            let of_day = of_day(collection, day, states, moment);
            let is_scored =
                || !State::of(simulator, self.person, "daily_sleep", day, moment.now).documents().is_empty();
            let values = match collection {
                "sleep" => nights(day, &of_day, moment, is_scored),
                _ => expected::values(collection, day, &of_day),
            };
            if !values.is_empty() {
                seen.insert(Place::Day(day), values);
            }
        }
        let documents = states.values().flat_map(State::documents);
        for (start, series, value) in documents.flat_map(|one| events(collection, one, moment)) {
            if start > moment.now - LOOK_BACK && start <= moment.now {
                let place = Place::Event(start.timestamp() * 1000);
                seen.entry(place).or_default().insert(series, value);
            }
        }
        let missing: Vec<_> = self.gone(collection, &seen, moment.now, (first, last));
        for (place, values) in seen.into_iter().chain(missing) {
            self.tell(collection, place, values, moment.now);
        }
    }

    fn gone(
        &mut self,
        collection: &'static str,
        seen: &BTreeMap<Place, Values>,
        now: DateTime<Utc>,
        (first, last): (NaiveDate, NaiveDate),
    ) -> Vec<(Place, Values)> {
        let mut gone = vec![];
        for ((_, place), document) in self.documents.iter_mut().filter(|((of, _), _)| *of == collection) {
            if seen.contains_key(place) || !place.is_within(first, last) {
                document.missing = None;
            } else if now - *document.missing.get_or_insert(now) >= GONE_AFTER {
                gone.push((*place, Values::new()));
            }
        }
        gone
    }

    /// Tells what changed of a document, unless it was told a moment ago.
    fn tell(&mut self, collection: &'static str, place: Place, values: Values, now: DateTime<Utc>) {
        let Some(stamp) = place.stamp(now) else { return };
        let known = self
            .documents
            .entry((collection, place))
            .or_insert_with(|| Document { learnt: DateTime::<Utc>::MIN_UTC, ..Document::default() });
        let labels = |series: &str| series.split_once('{').map_or(String::new(), |(_, labels)| labels.to_owned());
        let there: BTreeSet<_> = values.keys().map(|series| labels(series)).collect();
        let mut changed = values;
        changed.retain(|series, value| known.values.get(series) != Some(value));
        let is_part = |series: &str| matches!(place, Place::Event(_)) || expected::is_tally(series);
        for (series, value) in &known.values {
            if *value != 0.0 && is_part(series) && !there.contains(&labels(series)) {
                changed.insert(series.clone(), 0.0);
            }
        }
        if changed.is_empty() || (known.learnt > DateTime::<Utc>::MIN_UTC && now - known.learnt < LEAST_BETWEEN) {
            return;
        }
        known.learnt = now;
        known.values.extend(changed.clone());
        for (series, value) in changed {
            let series = self.series(&series);
            self.told.entry(series).or_default().insert(stamp, value);
        }
    }

    fn tell_dense(&mut self, series: &str, time: i64, value: f64, moment: &Moment) {
        if !(moment.dense_from.timestamp_millis()..=moment.now.timestamp_millis()).contains(&time) {
            return;
        }
        let known = self.told.entry(series.to_owned()).or_default();
        let last = known.range(time..time + 1000).next_back().map(|(time, value)| (*time, *value));
        match last {
            Some((_, last)) if last == value => {}
            Some((last, _)) => drop(known.insert(last + 1, value)),
            None => drop(known.insert(time, value)),
        }
    }

    /// The series with its account, which comes before all other labels.
    fn series(&self, series: &str) -> String {
        let account = format!("account=\"{}\"", self.person);
        match series.split_once('{') {
            Some((name, labels)) => format!("{name}{{{account},{labels}"),
            None => format!("{series}{{{account}}}"),
        }
    }
}

/// The documents that say something of `day`: a tag counts on each of its days.
fn of_day(collection: &str, day: NaiveDate, states: &States, moment: &Moment) -> Vec<Value> {
    if collection != "enhanced_tag" {
        return states.get(&day).map_or(vec![], |state| state.documents().to_vec());
    }
    let zone = states
        .values()
        .flat_map(State::documents)
        .find_map(|tag| local(&tag["start_time"]))
        .map(|start| *start.offset());
    let is_to_come = zone.is_some_and(|zone| day > moment.now.with_timezone(&zone).date_naive());
    let reaches = |tag: &&Value| {
        let end = tag["end_day"].as_str().or(tag["start_day"].as_str()).and_then(|end| end.parse().ok());
        end.is_some_and(|end: NaiveDate| end >= day) && (!is_to_come || tag["start_day"] == day.to_string())
    };
    states.range(..=day).flat_map(|(_, tags)| tags.documents()).filter(reaches).cloned().collect()
}

/// What the finished periods of a day say; without a night, once the day is over or has a score.
fn nights(day: NaiveDate, periods: &[Value], moment: &Moment, is_scored: impl FnOnce() -> bool) -> Values {
    let end = |period: &Value| local(&period["bedtime_end"]);
    let ended: Vec<_> = periods.iter().filter(|one| end(one).is_some_and(|end| end <= moment.now)).cloned().collect();
    let mut values = expected::values("sleep", day, &ended);
    if let Some(night) = values.get("oura_sample_night_bedtime_end_timestamp_seconds").copied() {
        let end = DateTime::from_timestamp(night as i64, 0).expect("a time");
        values.insert("oura_sample_night_settled".to_owned(), f64::from(u8::from(moment.is_settled(end))));
        return values;
    }
    let zone = ended.iter().find_map(end).map(|end| *end.offset());
    let is_over = zone.is_some_and(|zone| day < moment.now.with_timezone(&zone).date_naive());
    let is_short = ended.iter().any(|period| period["type"] == "sleep");
    if is_over || (is_short && is_scored()) { values } else { Values::new() }
}
