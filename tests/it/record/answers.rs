//! What stores answer about days: by the contract's idiom, and by the milliseconds of the samples themselves.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::{expected::Values, history::Days};
use crate::common::stores::{Labels, Store};

/// What begins the names, after `oura_sample_`, of events and dense samples, which stand at times of their own.
const AT_THEIR_OWN_TIME: &[&str] = &[
    "met",
    "activity_class",
    "movement",
    "sleep_stage",
    "heart_rate",
    "night_heart",
    "night_hrv",
    "ring_",
    "session_",
    "workout_",
    "nap_",
    "tag",
];
/// A day's samples stand within the hour after this.
const PLACE: TimeDelta = TimeDelta::minutes(1);

pub(crate) fn tell(text: &str) {
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

/// Whether it is of a day's documents.
pub(crate) fn is_daily(name: &str) -> bool {
    let rest = name.strip_prefix("oura_sample_");
    rest.is_some_and(|rest| !AT_THEIR_OWN_TIME.iter().any(|prefix| rest.starts_with(prefix)))
}

/// A series without what a scrape adds, as the expectations write it.
pub(crate) fn plain(name: &str, labels: &Labels) -> String {
    let own = labels.iter().filter(|(name, _)| !["__name__", "account", "job", "instance"].contains(&name.as_str()));
    let own: Vec<_> = own.map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    if own.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", own.join(",")) }
}

/// What a store says of every day, by the contract's idiom.
pub(crate) async fn by_the_idiom(store: &Store, person: &str, days: &[NaiveDate]) -> Days {
    let (first, last) = (midnight(days[0]), midnight(days[days.len() - 1]));
    let mut found = Days::new();
    for name in store.values("__name__", first).await.iter().filter(|name| is_daily(name)) {
        let query = format!("last_over_time({name}{{account=\"{person}\"}}[1d] offset -1d)");
        for (labels, points) in store.range(&query, first, last, 86_400).await {
            for (time, value) in points {
                let day = DateTime::from_timestamp_millis(time).expect("a time").date_naive();
                let twice = found.entry(day).or_default().insert(plain(name, &labels), value);
                assert_eq!(twice, None, "{name} {labels:?} is there twice on {day}");
            }
        }
    }
    found
}

/// What a store knew of a day at some moment, read from the milliseconds of the samples.
pub(crate) async fn known_at(store: &Store, person: &str, day: NaiveDate, at: DateTime<Utc>) -> Values {
    let place = midnight(day) + PLACE;
    let selector = format!("{{__name__=~\"oura_sample_.+\",account=\"{person}\"}}");
    let all = store.samples(&selector, "1h", place + TimeDelta::minutes(59)).await;
    let learnt = |time: i64| place + TimeDelta::minutes(time - place.timestamp_millis());
    let mut known = Values::new();
    for (labels, points) in all.iter().filter(|(labels, _)| is_daily(&labels["__name__"])) {
        if let Some((_, value)) = points.iter().rfind(|(time, _)| learnt(*time) <= at) {
            known.insert(plain(&labels["__name__"], labels), *value);
        }
    }
    known
}

/// How two answers about days differ: of how many cells, and which are wrong.
#[derive(Default)]
pub(crate) struct Comparison {
    pub(crate) cells: usize,
    pub(crate) wrong: Vec<String>,
}

impl Comparison {
    pub(crate) fn day(&mut self, what: &str, told: &Values, stored: &Values) {
        let series: BTreeSet<_> = told.keys().chain(stored.keys()).collect();
        for series in series {
            self.cells += 1;
            let (told, stored) = (told.get(series), stored.get(series));
            let is_same = match (told, stored) {
                (Some(told), Some(stored)) => (told - stored).abs() <= 1e-9 * told.abs(),
                (told, stored) => told == stored,
            };
            if !is_same {
                self.wrong.push(format!("{what} {series}: {stored:?} and not {told:?}"));
            }
        }
    }

    /// Fails if a cell is wrong, or if there were fewer than expected to compare.
    pub(crate) fn assert_right(&self, what: &str, least: usize) {
        tell(&format!("{what}: {} wrong of {}", self.wrong.len(), self.cells));
        let first: Vec<_> = self.wrong.iter().take(20).collect();
        assert!(self.wrong.is_empty(), "{what}: {} wrong of {}: {first:#?}", self.wrong.len(), self.cells);
        assert!(self.cells >= least, "{what}: only {} cells", self.cells);
    }
}

/// Compares every cell of every day with what a store says.
pub(crate) async fn compared(store: &Store, truth: &BTreeMap<&str, Days>) -> Comparison {
    let mut comparison = Comparison::default();
    for (person, days) in truth {
        let stored = by_the_idiom(store, person, &days.keys().copied().collect::<Vec<_>>()).await;
        for (day, told) in days {
            comparison.day(&format!("{person} {day}"), told, stored.get(day).unwrap_or(&Values::new()));
        }
    }
    comparison
}
