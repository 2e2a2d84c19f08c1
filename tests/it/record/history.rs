//! What the ledger says that the record must have, by the moments at which the exporter looked.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use oura_exporter::simulator::Simulator;
use serde_json::Value;

use super::{
    expected::{COLLECTIONS, Values, is_tally, local, values},
    world::World,
};

/// How far back the exporter looks at documents, in days.
const LOOK_BACK: i64 = 14;
/// No tag of the simulator is longer, in days.
const LONGEST_TAG: i64 = 10;

/// When a night ended, and whether it would not grow any more.
const NIGHT_END: &str = "oura_sample_night_bedtime_end_timestamp_seconds";
const NIGHT_SETTLED: &str = "oura_sample_night_settled";

/// Values by day.
pub(crate) type Days = BTreeMap<NaiveDate, Values>;

fn labels_of(series: &str) -> &str {
    series.split_once('{').map_or("", |(_, labels)| labels)
}

/// Rest mode, which is told of every day from the account's first document on.
const REST: &str = "oura_sample_rest_mode";
const REST_PERIOD: &str = "rest_mode_period";
/// No rest mode of the simulator is longer, in days.
const LONGEST_REST: i64 = 14;
/// Within so many days of the first, and of each day, there is a document.
const NEAR: i64 = 12;

/// The `count` days up to `day`.
fn up_to(day: NaiveDate, count: i64) -> impl Iterator<Item = NaiveDate> {
    (0..count).map(move |back| day - TimeDelta::days(back))
}

/// One person's documents as they were at any moment.
pub(crate) struct History<'a> {
    pub(crate) simulator: &'a Simulator,
    pub(crate) person: &'a str,
}

impl History<'_> {
    /// The state of a day's documents of a collection at some moment; none before there were any.
    fn documents(&self, collection: &str, day: NaiveDate, at: DateTime<Utc>) -> Vec<Value> {
        let versions = self.simulator.versions(self.person, collection, day);
        versions.into_iter().rfind(|version| version.readable_from <= at).map_or(vec![], |version| version.documents)
    }

    /// All documents that say something of `day`: a tag counts on each of its days.
    fn of_day(&self, collection: &str, day: NaiveDate, at: DateTime<Utc>) -> Vec<Value> {
        if collection != "enhanced_tag" {
            return self.documents(collection, day, at);
        }
        let reaches = |tag: &Value| {
            let end = tag["end_day"].as_str().or(tag["start_day"].as_str()).and_then(|end| end.parse().ok());
            end.is_some_and(|end: NaiveDate| end >= day)
        };
        let days = (0..LONGEST_TAG).rev().map(|back| day - TimeDelta::days(back));
        days.flat_map(|start| self.documents(collection, start, at)).filter(reaches).collect()
    }

    /// Whether there was a document of that day or an earlier one.
    fn has_begun(&self, day: NaiveDate, at: DateTime<Utc>) -> bool {
        let is_there = |day| COLLECTIONS.iter().any(|name| !self.documents(name, day, at).is_empty());
        up_to(day, NEAR).any(is_there)
    }

    /// The wearer's date, as far as it was known.
    fn today(&self, at: DateTime<Utc>) -> Option<NaiveDate> {
        let newest = |day| self.documents("daily_activity", day, at).pop();
        let activity = up_to(at.date_naive() + TimeDelta::days(1), NEAR).find_map(newest)?;
        Some(at.with_timezone(local(&activity["timestamp"])?.offset()).date_naive())
    }

    /// Whether rest mode was on, by the periods that there were.
    fn rests(&self, day: NaiveDate, at: DateTime<Utc>) -> bool {
        let mut periods = up_to(day, LONGEST_REST).flat_map(|start| self.documents(REST_PERIOD, start, at));
        periods.any(|period| {
            let end = period["end_day"].as_str().map(|end| end.parse::<NaiveDate>().expect("a day"));
            end.is_none_or(|end| day <= end)
        })
    }

    /// What the record must say of rest mode.
    fn told_rest(&self, day: NaiveDate, looks: &[DateTime<Utc>]) -> Option<f64> {
        let looks = within_reach(day, looks);
        let is_told = |look: &DateTime<Utc>| self.today(*look) >= Some(day) && self.has_begun(day, *look);
        looks.iter().position(is_told)?;
        Some(f64::from(u8::from(self.rests(day, *looks.last()?))))
    }

    /// When the documents of `day` may have changed, by the moments at which they were looked at.
    fn looks_at_changes(&self, collection: &str, day: NaiveDate, looks: &[DateTime<Utc>]) -> Vec<DateTime<Utc>> {
        let back = if collection == "enhanced_tag" { LONGEST_TAG } else { 0 };
        let days = (0..=back).map(|back| day - TimeDelta::days(back));
        let changes = days.flat_map(|day| self.simulator.versions(self.person, collection, day));
        let seen = |change: DateTime<Utc>| looks.iter().copied().find(|look| *look >= change);
        let seen: BTreeSet<_> = changes.filter_map(|version| seen(version.readable_from)).collect();
        seen.into_iter().collect()
    }

    /// The looks at which a day may be told: the first, those after changes, and for sleep all until it is surely over, since
    /// that alone can make a day without a night tell.
    fn telling_looks(&self, collection: &str, day: NaiveDate, looks: &[DateTime<Utc>]) -> BTreeSet<DateTime<Utc>> {
        let over = day.and_hms_opt(0, 0, 0).expect("a time").and_utc() + TimeDelta::days(2);
        let until_it_is_over = looks.iter().copied().filter(|look| collection == "sleep" && *look <= over);
        let first = looks.first().copied();
        first.into_iter().chain(self.looks_at_changes(collection, day, looks)).chain(until_it_is_over).collect()
    }

    /// Whether a day's naps are not told yet: its night may only not have been synced, while the day is not over by the
    /// wearer's clock and has no sleep score.
    fn waits_for_a_night(&self, day: NaiveDate, documents: &[Value], look: DateTime<Utc>) -> bool {
        let ended = |document: &&Value| local(&document["bedtime_end"]).is_some_and(|end| end <= look);
        let of_type = |kind: &str| documents.iter().filter(ended).any(|document| document["type"] == kind);
        let is_scored = of_type("sleep") && !self.documents("daily_sleep", day, look).is_empty();
        let offset = documents.iter().rev().find_map(|document| Some(*local(&document["bedtime_end"])?.offset()));
        let is_over = offset.is_some_and(|offset| look.with_timezone(&offset).date_naive() > day);
        !of_type("long_sleep") && !is_scored && !is_over
    }

    /// Whether a night that ended then would not grow any more, as far as could be known at a look: the ring had synced half
    /// an hour past it, or six hours had gone by.
    fn is_settled(&self, end: DateTime<Utc>, look: DateTime<Utc>) -> bool {
        let enough = end + TimeDelta::minutes(30);
        look >= end + TimeDelta::hours(6)
            || (look >= enough && !self.simulator.syncs(self.person, enough, look).is_empty())
    }

    /// A day's values as they were read at a look.
    fn values(&self, collection: &str, day: NaiveDate, look: DateTime<Utc>) -> Values {
        let documents = self.of_day(collection, day, look);
        let mut values = values(collection, day, &documents);
        if let Some(end) = values.get(NIGHT_END) {
            let end = DateTime::from_timestamp(*end as i64, 0).expect("a time");
            values.insert(NIGHT_SETTLED.to_owned(), f64::from(u8::from(self.is_settled(end, look))));
        }
        values
    }

    /// What the record must say of a day at the end of `looks`: of each series what was last said of it. What Oura takes
    /// back stays, but the parts of a sum of which nothing is left are zero.
    pub(crate) fn told(&self, collection: &str, day: NaiveDate, looks: &[DateTime<Utc>]) -> Values {
        let mut told = Values::new();
        let looks = within_reach(day, looks);
        for look in self.telling_looks(collection, day, &looks) {
            let documents = self.of_day(collection, day, look);
            if collection == "sleep" && self.waits_for_a_night(day, &documents, look) {
                continue;
            }
            let now = self.values(collection, day, look);
            let labels: BTreeSet<_> = now.keys().map(|series| labels_of(series)).collect();
            let is_over = |series: &str| is_tally(series) && !labels.contains(labels_of(series));
            told.iter_mut().filter(|(series, _)| is_over(series)).for_each(|(_, value)| *value = 0.0);
            told.extend(now);
        }
        told
    }
}

/// The looks at which something can be told of `day`.
fn within_reach(day: NaiveDate, looks: &[DateTime<Utc>]) -> Vec<DateTime<Utc>> {
    let opens = day.and_hms_opt(0, 1, 0).expect("a time").and_utc();
    let closes = opens + TimeDelta::days(LOOK_BACK);
    looks.iter().copied().filter(|look| (opens..closes).contains(look)).collect()
}

/// What must stand there of a day, if there were those looks.
pub(crate) fn of_day(world: &World, person: &str, day: NaiveDate, looks: &[DateTime<Utc>]) -> Values {
    let history = History { simulator: &world.simulator, person };
    let rest = history.told_rest(day, looks).map(|rest| (REST.to_owned(), rest));
    COLLECTIONS.iter().flat_map(|name| history.told(name, day, looks)).chain(rest).collect()
}

/// What must stand there of each day, by the looks that the exporter took.
pub(crate) fn by_the_looks(world: &World, person: &str, days: &[NaiveDate]) -> Days {
    days.iter().map(|day| (*day, of_day(world, person, *day, &world.looks))).collect()
}

/// What Oura says of each day in the end.
pub(crate) fn in_the_end(simulator: &Simulator, now: DateTime<Utc>, person: &str, days: &[NaiveDate]) -> Days {
    let history = History { simulator, person };
    let of = |name: &&str, day| values(name, day, &history.of_day(name, day, now));
    let rest =
        |day| history.has_begun(day, now).then(|| (REST.to_owned(), f64::from(u8::from(history.rests(day, now)))));
    days.iter()
        .map(|day| (*day, COLLECTIONS.iter().flat_map(|name| of(name, *day)).chain(rest(*day)).collect()))
        .collect()
}
