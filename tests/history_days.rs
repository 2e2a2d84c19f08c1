//! Nights across the date line and the changes of the clock: in history each stands on its own day, from its own end.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use common::{
    NOON,
    backfill::Run,
    day, moment,
    samples::Samples,
    simulator_at,
    stores::Points,
    truth::{day_of, documents, is_night, local, on_grid},
};
use oura_exporter::{
    clock::Clock,
    simulator::{Scope, Simulator},
};
use serde_json::{Value, json};

const LONGEST: TimeDelta = TimeDelta::hours(26);
const STEP: TimeDelta = TimeDelta::minutes(5);
/// Collections of the night and of the day, without the heavy ones.
const COLLECTIONS: &str = "sleep,daily_readiness,daily_sleep,daily_spo2,daily_activity,daily_stress,daily_resilience";

/// A stretch of somebody's life, as the service and as a backfill tell it.
struct Stretch {
    /// The nights that are over, by the day that they count for: the longest of each.
    nights: BTreeMap<NaiveDate, Value>,
    /// When the night after them was over, which ends their time.
    ended: Option<DateTime<Utc>>,
    /// Everything that is no night of these.
    others: Vec<Value>,
    samples: Samples,
}

impl Stretch {
    async fn of(simulator: &Simulator, person: &'static str, first: NaiveDate, last: NaiveDate) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let clock = Clock::still_at(moment(NOON));
        let run = Run { person, collections: COLLECTIONS, days: (first, last), clock, state: None };
        run.into_files(simulator, directory.path()).await;
        let samples = Samples::of_run(directory.path());
        let (mut nights, mut others) = (BTreeMap::<NaiveDate, Value>::new(), vec![]);
        for document in documents(simulator, person, "sleep", first, last + TimeDelta::days(1)).await {
            let asleep = |document: &Value| document["total_sleep_duration"].as_i64();
            let known = nights.get(&day_of(&document)).map(asleep);
            if is_night(&document) && known.is_none_or(|known| known < asleep(&document)) {
                others.extend(nights.insert(day_of(&document), document));
            } else {
                others.push(document);
            }
        }
        let after = nights.split_off(&(last + TimeDelta::days(1)));
        let ended = after.values().map(|night| local(&night["bedtime_end"]).to_utc()).next();
        Self { nights, ended, others, samples }
    }

    /// When the night of each day was over, in order of the days.
    fn ends(&self) -> Vec<(NaiveDate, DateTime<Utc>)> {
        self.nights.iter().map(|(day, night)| (*day, local(&night["bedtime_end"]).to_utc())).collect()
    }

    /// Each night is shown from its end until the next one's, with its own day beside it, and nothing else is.
    fn assert_every_night_is_on_its_day(&self) {
        let ends = self.ends();
        let mut expected_ends = Points::new();
        let mut expected_days = Points::new();
        for (place, (day, end)) in ends.iter().enumerate() {
            let next = ends.get(place + 1).map(|(_, next)| *next).or(self.ended).unwrap_or(*end + LONGEST);
            assert!(*end < next, "the night of {day} ends before the next one's");
            let mut time = on_grid(*end);
            while time < next.min(*end + LONGEST) {
                expected_ends.push((time.timestamp_millis(), end.timestamp() as f64));
                let midnight = day.and_time(NaiveTime::MIN).and_utc();
                expected_days.push((time.timestamp_millis(), midnight.timestamp() as f64));
                time += STEP;
            }
        }
        // Until the first of them was over, the night before the stretch is shown.
        let since = |points: &Points| {
            points.iter().copied().filter(|(time, _)| *time >= expected_ends[0].0).collect::<Points>()
        };
        let told = since(&self.samples.points("oura_night_bedtime_end_timestamp_seconds", &[]));
        assert_same("when the night ended", &told, &expected_ends);
        let days = self.samples.points("oura_document_day_timestamp_seconds", &[r#"collection="sleep""#]);
        // A day that had naps only is shown as such from its end on, when there is no night to show.
        let nights: BTreeSet<_> = expected_days.iter().map(|(time, _)| *time).collect();
        let of_nights = days.iter().copied().filter(|(time, _)| nights.contains(time)).collect();
        assert_same("the day of the night", &of_nights, &expected_days);
    }

    /// Nothing but nights is told as a night.
    fn assert_no_nap_is_a_night(&self) {
        let told = self.samples.points("oura_night_bedtime_end_timestamp_seconds", &[]);
        for other in self.others.iter().filter(|other| other["bedtime_end"].is_string()) {
            let end = local(&other["bedtime_end"]).timestamp() as f64;
            assert!(told.iter().all(|(_, value)| *value != end), "{} is no night", other["bedtime_end"]);
        }
    }

    /// The days of each collection follow each other; each is shown that has a document.
    fn assert_days_go_on(&self, expected: &BTreeMap<&str, Vec<NaiveDate>>) {
        for (collection, expected) in expected {
            let label = format!("collection=\"{collection}\"");
            let told = self.samples.points("oura_document_day_timestamp_seconds", &[&label]);
            let expected: Vec<_> =
                expected.iter().map(|day| day.and_time(NaiveTime::MIN).and_utc().timestamp() as f64).collect();
            let mut days: Vec<_> = told.iter().map(|(_, day)| *day).filter(|day| *day >= expected[0]).collect();
            days.dedup();
            assert_eq!(days, expected, "the days of {collection}, in order of time and each in one piece");
        }
    }
}

fn assert_same(what: &str, told: &Points, expected: &Points) {
    let first = told.iter().zip(expected).find(|(told, expected)| told != expected);
    assert_eq!(first, None, "{what}: the first point that is another");
    assert_eq!(told.len(), expected.len(), "{what}");
}

/// The days of which each collection has a document.
async fn days_of(
    simulator: &Simulator,
    person: &str,
    first: NaiveDate,
    last: NaiveDate,
) -> BTreeMap<&'static str, Vec<NaiveDate>> {
    let mut all = BTreeMap::new();
    for collection in COLLECTIONS.split(',').filter(|name| *name != "sleep") {
        let mut days: Vec<_> = documents(simulator, person, collection, first, last).await.iter().map(day_of).collect();
        days.sort_unstable();
        all.insert(collection, days);
    }
    all
}

async fn assert_told_truly(person: &'static str, first: &str, last: &str, fewest: usize) -> Stretch {
    assert_told_by(&simulator_at(NOON).await, person, first, last, fewest).await
}

async fn assert_told_by(
    simulator: &Simulator,
    person: &'static str,
    first: &str,
    last: &str,
    fewest: usize,
) -> Stretch {
    let (first, last) = (day(first), day(last));
    let stretch = Stretch::of(simulator, person, first, last).await;
    assert!(stretch.nights.len() >= fewest, "{} nights", stretch.nights.len());
    stretch.assert_every_night_is_on_its_day();
    stretch.assert_no_nap_is_a_night();
    stretch.assert_days_go_on(&days_of(simulator, person, first, last).await);
    stretch
}

/// The offset from UTC, in hours, that the wearer got up with on that day.
fn hours(stretch: &Stretch, text: &str) -> i32 {
    local(&stretch.nights[&day(text)]["bedtime_end"]).offset().local_minus_utc() / 3600
}

#[tokio::test]
async fn over_the_date_line_and_back_each_night_keeps_its_day() {
    let stretch = assert_told_truly("bob", "2025-10-27", "2025-11-21", 20).await;
    assert_eq!([hours(&stretch, "2025-11-02"), hours(&stretch, "2025-11-05")], [-5, 13], "there");
    assert_eq!([hours(&stretch, "2025-11-14"), hours(&stretch, "2025-11-16")], [13, -5], "and back");
}

#[tokio::test]
async fn a_long_way_east_and_back_each_night_keeps_its_day() {
    let stretch = assert_told_truly("alice", "2026-03-30", "2026-04-18", 15).await;
    assert_eq!([hours(&stretch, "2026-04-02"), hours(&stretch, "2026-04-08")], [3, 9]);
}

#[tokio::test]
async fn when_the_clocks_change_each_night_keeps_its_day() {
    let spring = assert_told_truly("alice", "2026-03-24", "2026-04-02", 8).await;
    assert_eq!([hours(&spring, "2026-03-28"), hours(&spring, "2026-03-29")], [2, 3], "Helsinki in spring");
    let autumn = assert_told_truly("alice", "2025-10-21", "2025-10-30", 8).await;
    assert_eq!([hours(&autumn, "2025-10-25"), hours(&autumn, "2025-10-26")], [3, 2], "Helsinki in autumn");
    let spring = assert_told_truly("bob", "2026-03-03", "2026-03-12", 8).await;
    assert_eq!([hours(&spring, "2026-03-07"), hours(&spring, "2026-03-08")], [-5, -4], "New York in spring");
    let autumn = assert_told_truly("bob", "2025-10-28", "2025-11-02", 5).await;
    assert_eq!([hours(&autumn, "2025-11-01"), hours(&autumn, "2025-11-02")], [-4, -5], "New York in autumn");
}

#[tokio::test]
async fn a_nap_is_no_night_however_long_it_is_and_however_alone() {
    let simulator = simulator_at(NOON).await;
    simulator.faults().edit(Scope::collection("sleep"), |periods| {
        let mut longer = vec![];
        for period in periods.iter_mut().filter(|period| is_night(period)) {
            match period["day"].as_str() {
                // The only sleep of this day is a nap.
                Some("2026-05-12") => period["type"] = json!("sleep"),
                // On this day a nap is longer than the night, and what the wearer took away is longer still.
                Some("2026-05-14") => {
                    longer =
                        [("late_nap", 3), ("deleted", 5), ("rest", 7)].map(|kind| nap_after(period, kind)).to_vec();
                }
                _ => {}
            }
        }
        periods.extend(longer);
    });
    let stretch = assert_told_by(&simulator, "alice", "2026-05-09", "2026-05-17", 8).await;
    assert!(!stretch.nights.contains_key(&day("2026-05-12")));
    assert!(stretch.others.len() >= 4, "{}", stretch.others.len());
}

/// A period of that type which began so many hours after the night was over, and in which more was slept.
fn nap_after(night: &Value, (kind, hours): (&str, i64)) -> Value {
    let mut nap = night.clone();
    let start = local(&night["bedtime_end"]) + TimeDelta::hours(hours);
    nap["id"] = json!(kind);
    nap["type"] = json!(kind);
    nap["bedtime_start"] = json!(start.to_rfc3339());
    nap["bedtime_end"] = json!((start + TimeDelta::hours(1)).to_rfc3339());
    nap["total_sleep_duration"] = json!(40_000 + hours);
    nap
}
