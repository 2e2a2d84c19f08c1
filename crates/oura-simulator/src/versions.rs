//! All that the documents of a day ever were, and from when on: what a client that asked without pause would have seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;

use super::{
    activity::Day,
    collections::{ACTIVITY, Collection},
    person_timeline::{Life, View, shifted},
    syncs::{Sync, syncs},
};

/// One state of the documents of a day.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// From when on it could be read.
    pub readable_from: DateTime<Utc>,
    /// The documents, in the order in which they began; rows of a time series from the oldest to the newest.
    pub documents: Vec<Value>,
}

/// For how many days after a moment its next syncs are looked for.
const LOOKED_FOR_DAYS: i64 = 30;

/// Every distinct state of the documents of `day`, the oldest first.
pub(super) fn versions(life: &Life, collection: &Collection, day: NaiveDate) -> Vec<Version> {
    // What happened on a day costs more than what is known of it.
    let activity = (collection.number == ACTIVITY).then(|| Day::new(life, day));
    let documents = |view: &View| match &activity {
        Some(whole) => whole.as_ref().map(|whole| whole.documents(view)).unwrap_or_default(),
        None => collection.documents(view, day),
    };
    let mut timeline = Timeline { life: *life, syncs: BTreeMap::new() };
    let mut versions: Vec<Version> = Vec::new();
    for moment in timeline.moments(collection, day) {
        let documents = documents(&View::after(*life, moment, |day| timeline.of(day).to_vec()));
        if versions.last().map_or(&[][..], |version| &version.documents) != documents {
            versions.push(Version { readable_from: moment, documents });
        }
    }
    versions
}

/// When the ring's data came from `from` to `until`.
pub(super) fn ring_syncs(life: &Life, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let (first, last) = (shifted(life.day(from), -1), shifted(life.day(until), 1));
    let all = first.iter_days().take_while(|day| *day <= last).flat_map(|day| syncs(life, day));
    all.filter(|sync| sync.has_ring() && (from..=until).contains(&sync.at)).map(|sync| sync.at).collect()
}

/// The syncs of some days, made once.
struct Timeline {
    life: Life,
    syncs: BTreeMap<NaiveDate, Vec<Sync>>,
}

impl Timeline {
    /// The syncs at which the documents of `day` may change.
    fn moments(&mut self, collection: &Collection, day: NaiveDate) -> BTreeSet<DateTime<Utc>> {
        let mut moments = BTreeSet::new();
        let mut after = (collection.changes.after)(&self.life, day);
        if let Some(time) = (collection.changes.during)(&self.life, day) {
            moments.extend(self.between(&time));
            after.push(time.end);
        }
        for moment in after {
            for is_meant in [|_: &Sync| true, Sync::has_ring, Sync::is_opened] {
                moments.extend(self.first(moment, is_meant));
            }
        }
        moments
    }

    fn of(&mut self, day: NaiveDate) -> &[Sync] {
        self.syncs.entry(day).or_insert_with(|| syncs(&self.life, day))
    }

    fn first(&mut self, from: DateTime<Utc>, is_meant: impl Fn(&Sync) -> bool) -> Option<DateTime<Utc>> {
        let day = self.life.day(from);
        let mut days = (-1..LOOKED_FOR_DAYS).map(|shift| shifted(day, shift));
        days.find_map(|day| {
            let mut syncs = self.of(day).iter();
            syncs.find(|sync| sync.at >= from && is_meant(sync)).map(|sync| sync.at)
        })
    }

    fn between(&mut self, time: &Range<DateTime<Utc>>) -> Vec<DateTime<Utc>> {
        let day = self.life.day(time.start);
        let mut moments = Vec::new();
        for day in (-1..3).map(|shift| shifted(day, shift)) {
            let syncs = self.of(day).iter().map(|sync| sync.at);
            moments.extend(syncs.filter(|at| time.contains(at)));
        }
        moments
    }
}
