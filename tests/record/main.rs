//! The record against the truth: months of two people's lives, with syncs, lateness and revisions, and what real stores say
//! of every day of it in the end, and what they knew on any morning.
#![allow(clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;
mod expected;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use common::{
    backfill::Run,
    eventually,
    needs::there_are,
    stores::{Labels, Store},
};
use expected::{COLLECTIONS, Values, is_tally, values};
use oura_exporter::simulator::Simulator;
use serde_json::Value;
use world::{Course, World};

const PEOPLE: &[&str] = &["alice", "bob"];
const DAYS: i64 = 120;
/// How far back the exporter looks at documents.
const LOOK_BACK: i64 = 14;
const RETENTION: &str = "--storage.tsdb.retention.time=10y";

/// The hour at which a run of so many days must begin to end three hours ago.
fn beginning(days: i64) -> DateTime<Utc> {
    let now = Utc::now().timestamp() - 3 * 3600;
    DateTime::from_timestamp(now - now.rem_euclid(3600), 0).expect("a time") - TimeDelta::days(days)
}

fn scraping(address: &str) -> String {
    format!(
        "global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}\nscrape_configs:\n\
         - job_name: oura\n  scrape_interval: 5s\n  static_configs: [{{targets: ['{address}']}}]\n\
         - job_name: oura-samples\n  metrics_path: /metrics/samples\n  static_configs: [{{targets: ['{address}']}}]\n  \
         metric_relabel_configs: [{{target_label: job, replacement: oura}}]\n\
         storage: {{tsdb: {{out_of_order_time_window: 400d}}}}\n"
    )
}

fn tell(text: &str) {
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// A series without what a scrape adds, as the expectations write it.
fn plain(labels: &Labels) -> String {
    let own = labels.iter().filter(|(name, _)| !["__name__", "account", "job", "instance"].contains(&name.as_str()));
    let own: Vec<_> = own.map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    let name = &labels["__name__"];
    if own.is_empty() { name.clone() } else { format!("{name}{{{}}}", own.join(",")) }
}

/// The state of a day's documents of a collection at some moment; none before there were any.
struct History<'a> {
    simulator: &'a Simulator,
    person: &'a str,
}

impl History<'_> {
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
        let days = (0..10).rev().map(|back| day - TimeDelta::days(back));
        days.flat_map(|start| self.documents(collection, start, at)).filter(reaches).collect()
    }

    /// When the documents of `day` may have changed, by the moments at which they were looked at.
    fn looks_at_changes(&self, collection: &str, day: NaiveDate, looks: &[DateTime<Utc>]) -> Vec<DateTime<Utc>> {
        let back = if collection == "enhanced_tag" { 10 } else { 0 };
        let days = (0..=back).map(|back| day - TimeDelta::days(back));
        let changes = days.flat_map(|day| self.simulator.versions(self.person, collection, day));
        let seen = |change: DateTime<Utc>| looks.iter().copied().find(|look| *look >= change);
        let seen: BTreeSet<_> = changes.filter_map(|version| seen(version.readable_from)).collect();
        seen.into_iter().collect()
    }

    /// What the record must say of a day at the end of `looks`: of each series what was last said of it. What Oura takes
    /// back stays, but parts of a sum that are gone are zero.
    fn told(&self, collection: &str, day: NaiveDate, looks: &[DateTime<Utc>]) -> Values {
        let mut told = Values::new();
        let opens = day.and_hms_opt(0, 1, 0).expect("a time").and_utc();
        let closes = opens + TimeDelta::days(LOOK_BACK);
        let looks: Vec<_> = looks.iter().copied().filter(|look| (opens..closes).contains(look)).collect();
        let first = looks.first().copied();
        for look in first.into_iter().chain(self.looks_at_changes(collection, day, &looks)) {
            let now = values(collection, day, &self.of_day(collection, day, look));
            told.iter_mut().filter(|(series, _)| is_tally(series)).for_each(|(_, value)| *value = 0.0);
            told.extend(now);
        }
        told
    }
}

/// What a store says of every day, by the contract's idiom.
async fn stored(store: &Store, person: &str, first: NaiveDate, last: NaiveDate) -> BTreeMap<NaiveDate, Values> {
    let midnight = |day: NaiveDate| day.and_hms_opt(0, 0, 0).expect("midnight").and_utc();
    let mut days = BTreeMap::<NaiveDate, Values>::new();
    let names = store.values("__name__", midnight(first)).await;
    let dense = [
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
    let is_daily = |name: &&String| {
        let rest = name.strip_prefix("oura_sample_");
        rest.is_some_and(|rest| !dense.iter().any(|prefix| rest.starts_with(prefix)))
    };
    for name in names.iter().filter(is_daily) {
        let query = format!("last_over_time({name}{{account=\"{person}\"}}[1d] offset -1d)");
        for (labels, points) in store.range(&query, midnight(first), midnight(last), 86_400).await {
            for (time, value) in points {
                let day = DateTime::from_timestamp_millis(time).expect("a time").date_naive();
                let mut labels = labels.clone();
                labels.insert("__name__".to_owned(), name.clone());
                days.entry(day).or_default().insert(plain(&labels), value);
            }
        }
    }
    days
}

/// How two answers about days differ: of how many cells, and which are wrong.
#[derive(Default)]
struct Comparison {
    cells: usize,
    wrong: Vec<String>,
}

impl Comparison {
    fn day(&mut self, day: NaiveDate, told: &Values, stored: &Values) {
        let series: BTreeSet<_> = told.keys().chain(stored.keys()).collect();
        for series in series {
            self.cells += 1;
            let (told, stored) = (told.get(series), stored.get(series));
            let is_same = match (told, stored) {
                (Some(told), Some(stored)) => (told - stored).abs() <= 1e-9 * told.abs(),
                (told, stored) => told == stored,
            };
            if !is_same {
                self.wrong.push(format!("{day} {series}: {stored:?} and not {told:?}"));
            }
        }
    }

    fn assert_right(&self, what: &str) {
        tell(&format!("{what}: {} wrong of {}", self.wrong.len(), self.cells));
        let first: Vec<_> = self.wrong.iter().take(20).collect();
        assert!(self.wrong.is_empty(), "{what}: {} wrong of {}: {first:#?}", self.wrong.len(), self.cells);
        assert!(self.cells > 10_000, "{what}: only {} cells", self.cells);
    }
}

/// What must stand there of each day, by the looks that the exporter took.
fn truth(world: &World, person: &'static str, first: NaiveDate, last: NaiveDate) -> BTreeMap<NaiveDate, Values> {
    let history = History { simulator: &world.simulator, person };
    let days = first.iter_days().take_while(|day| *day <= last);
    let of_day = |day| COLLECTIONS.iter().flat_map(|name| history.told(name, day, &world.looks)).collect::<Values>();
    days.map(|day| (day, of_day(day))).collect()
}

/// What is in the record but not of the day's documents: it has expectations of its own.
fn is_apart(series: &str) -> bool {
    series.starts_with("oura_sample_rest_mode")
}

async fn compare(store: &Store, truth: &BTreeMap<&str, BTreeMap<NaiveDate, Values>>, what: &str) {
    let mut comparison = Comparison::default();
    for (person, days) in truth {
        let (first, last) = (*days.keys().next().expect("days"), *days.keys().next_back().expect("days"));
        let stored = stored(store, person, first, last).await;
        for (day, told) in days {
            let mut stored = stored.get(day).cloned().unwrap_or_default();
            stored.retain(|series, _| !is_apart(series));
            comparison.day(*day, told, &stored);
        }
    }
    comparison.assert_right(what);
}

fn course(days: i64) -> Course {
    Course {
        people: PEOPLE,
        start: beginning(days),
        days,
        seed: 7,
        restarts: vec![],
        outage: None,
        remote_write_url: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_day_stands_in_the_database_as_oura_finally_says_it() {
    if !there_are(&["prometheus", "victoria-metrics"], "every_day_stands_in_the_database_as_oura_finally_says_it") {
        return;
    }
    let seed = 11;
    let mut random = fastrand::Rng::with_seed(seed);
    let victoria = Store::victoria_metrics(&["-retentionPeriod=10y"]).await;
    let start = beginning(DAYS);
    let outage = start + TimeDelta::days(40)..start + TimeDelta::days(41);
    let mut world = World::new(Course {
        restarts: (0..10).map(|_| random.usize(1..DAYS as usize * 24)).collect(),
        outage: Some(outage),
        remote_write_url: Some(victoria.write_url()),
        ..course(DAYS)
    })
    .await;
    let prometheus = Store::prometheus(&scraping(world.address()), &[RETENTION]).await;
    world.live(true).await;
    let (first, last) = (start.date_naive(), world.clock.now().date_naive() - TimeDelta::days(1));
    let truth: BTreeMap<_, _> = PEOPLE.iter().map(|person| (*person, truth(&world, person, first, last))).collect();
    compare(&prometheus, &truth, "scraped by Prometheus").await;
    eventually("all is sent", async || {
        victoria.flush().await;
        let newest = victoria.now("max(max_over_time(timestamp(oura_sample_heart_rate_bpm)[6h:1m]))").await;
        newest.map(|_| ())
    })
    .await;
    compare(&victoria, &truth, "sent to VictoriaMetrics").await;
    for refused in [
        "prometheus_target_scrapes_sample_out_of_bounds_total",
        "prometheus_target_scrapes_sample_duplicate_timestamp_total",
        "prometheus_tsdb_too_old_samples_total",
    ] {
        assert_eq!(prometheus.own(refused).await.unwrap_or_default(), 0.0, "{refused}");
    }
    tell(&format!("lived {DAYS} days, seed {seed}, {} looks", world.looks.len()));
    let _ = (LOOK_BACK, world.state());
}
