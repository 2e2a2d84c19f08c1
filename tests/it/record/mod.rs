//! The record against the truth: months of people's lives, with syncs, lateness and revisions, and what real stores say of
//! every day of it in the end, and what they knew on any morning.

pub(crate) mod answers;
pub(crate) mod expected;
pub(crate) mod history;
pub(crate) mod world;

use std::{cell::Cell, collections::BTreeMap, fs};

use crate::common::{
    eventually,
    needs::there_are,
    samples::files,
    servers::{file, import},
    stores::Store,
};
use answers::{Comparison, compared, known_at, tell};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use fastrand::Rng;
use history::{Days, by_the_looks, in_the_end, of_day};
use world::{Course, World};

const PEOPLE: &[&str] = &["alice", "bob"];
/// How long the long life is, in days.
const DAYS: i64 = 120;
/// A day of two people has about so many cells; the newest days have fewer.
const LEAST_CELLS_A_DAY: i64 = 80;
/// How often a store is asked whether what was sent is there.
const TRIES: usize = 20;
/// How often it is asked what was known on a morning.
const QUESTIONS: usize = 200;
const RETENTION: &str = "--storage.tsdb.retention.time=10y";

/// When the long life begins: always the same, so that each run is like the last. It has the autumn's clock change.
const BEGINNING: &str = "2026-07-28T21:00:00Z";

fn scraping(address: &str) -> String {
    format!(
        "global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}\nscrape_configs:\n\
         - job_name: oura\n  scrape_interval: 5s\n  static_configs: [{{targets: ['{address}']}}]\n\
         - job_name: oura-samples\n  metrics_path: /metrics/samples\n  static_configs: [{{targets: ['{address}']}}]\n  \
         metric_relabel_configs: [{{target_label: job, replacement: oura}}]\n\
         storage: {{tsdb: {{out_of_order_time_window: 3650d}}}}\n"
    )
}

/// The days that a world has seen from beginning to end, by everybody's clock.
fn days(world: &World, start: DateTime<Utc>) -> Vec<NaiveDate> {
    let last = (world.clock.now() - TimeDelta::hours(12)).date_naive();
    start.date_naive().iter_days().take_while(|day| *day < last).collect()
}

fn of_everybody<'a>(people: &[&'a str], of: impl Fn(&'a str) -> Days) -> BTreeMap<&'a str, Days> {
    people.iter().map(|person| (*person, of(person))).collect()
}

/// Ten moments at random, in order.
fn restarts(start: DateTime<Utc>, random: &mut Rng) -> Vec<DateTime<Utc>> {
    let mut restarts: Vec<_> = (0..10).map(|_| start + TimeDelta::minutes(random.i64(1..(DAYS - 1) * 1440))).collect();
    restarts.sort();
    restarts
}

/// Waits until VictoriaMetrics has what was sent, and compares all of it.
async fn assert_sent(victoria: &Store, truth: &BTreeMap<&str, Days>, what: &str, least: usize) {
    let newest = truth.iter().map(|(person, days)| {
        let newest = days.iter().rev().take(3).map(|(day, values)| (*day, values.clone()));
        (*person, newest.collect::<Days>())
    });
    let newest: BTreeMap<_, _> = newest.collect();
    let tries = Cell::new(0);
    eventually("the newest days are there", async || {
        victoria.flush().await;
        tries.set(tries.get() + 1);
        // What is still wrong then will be told.
        (compared(victoria, &newest).await.wrong.is_empty() || tries.get() == TRIES).then_some(())
    })
    .await;
    compared(victoria, truth).await.assert_right(what, least);
}

async fn assert_nothing_was_refused(prometheus: &Store) {
    for refused in [
        "prometheus_target_scrapes_sample_out_of_bounds_total",
        "prometheus_target_scrapes_sample_duplicate_timestamp_total",
        "prometheus_tsdb_too_old_samples_total",
    ] {
        assert_eq!(prometheus.own(refused).await.unwrap_or_default(), 0.0, "{refused}");
    }
}

/// Asks what was known on mornings up to ten days after days at random.
async fn ask(store: &Store, world: &World, days: &[NaiveDate], random: &mut Rng) {
    let mut comparison = Comparison::default();
    for _ in 0..QUESTIONS {
        let (person, day) = (PEOPLE[random.usize(..PEOPLE.len())], days[random.usize(..days.len())]);
        let morning = day.and_hms_opt(3, 0, 0).expect("a time").and_utc();
        let at = morning + TimeDelta::days(random.i64(0..10)) + TimeDelta::minutes(random.i64(0..10 * 60));
        let looks: Vec<_> = world.looks.iter().copied().filter(|look| *look <= at).collect();
        let (told, known) = (of_day(world, person, day, &looks), known_at(store, person, day, at).await);
        comparison.day(&format!("{person} {day}, as known at {at},"), &told, &known);
    }
    comparison.assert_right(&format!("{QUESTIONS} questions what was known"), QUESTIONS * 20);
}

/// Asks the questions of METRICS.md as they stand there.
async fn ask_as_documented(store: &Store, truth: &BTreeMap<&str, Days>) {
    let text = fs::read_to_string(file("METRICS.md")).expect("METRICS.md");
    let chapter =
        text.split("## The record").nth(1).and_then(|rest| rest.split("| metric |").next()).expect("a chapter");
    let asked: Vec<_> = chapter.split('`').filter(|words| words.contains("last_over_time(")).collect();
    let [day, mean, sum] = asked[..] else { panic!("three questions, not {asked:?}") };
    for (person, days) in truth {
        // Noon after the last day that is over: the newest midnight of all windows is the one before it.
        let last = *days.keys().nth_back(1).expect("days");
        let noon = last.and_hms_opt(12, 0, 0).expect("noon").and_utc() + TimeDelta::days(1);
        let of = |name: &str, back: i64| {
            let days = days.range(last - TimeDelta::days(back - 1)..=last);
            days.filter_map(|(_, values)| values.get(name).copied()).collect::<Vec<_>>()
        };
        let answer = async |query: &str, time| {
            let all = store.all_at(query, time).await;
            let own = all.iter().find(|(labels, _)| labels["account"] == *person);
            own.map_or(f64::NAN, |(_, value)| *value)
        };
        let (scores, steps) = (of("oura_sample_readiness_score", 30), of("oura_sample_activity_steps", 7));
        let midnight = noon - TimeDelta::hours(36);
        for (query, time, expected) in [
            (day, midnight, days[&last]["oura_sample_readiness_score"]),
            (mean, noon, scores.iter().sum::<f64>() / scores.len() as f64),
            (sum, noon, steps.iter().sum()),
        ] {
            let found = answer(query, time).await;
            assert!((found - expected).abs() < 1e-6, "{person}: {query} at {time}: {found} and not {expected}");
        }
    }
}

/// Brings all of it in by files, into a Prometheus of its own.
async fn by_files(world: &World, days: &[NaiveDate]) -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().expect("a directory");
    for person in PEOPLE {
        let output = directory.path().join(person);
        world.backfill(person, days, oura_exporter::backfill::Destination::Directory(output.clone())).await;
        files(&output).iter().for_each(|file| import(file, &directory.path().join("data")));
    }
    let store = Store::prometheus_in(directory.path(), "global: {}\n", &[RETENTION]).await;
    (directory, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_day_stands_in_the_database_as_oura_finally_says_it() {
    const NAME: &str = "every_day_stands_in_the_database_as_oura_finally_says_it";
    if !there_are(&["prometheus", "promtool", "victoria-metrics"], NAME) {
        return;
    }
    let mut random = Rng::with_seed(11);
    let victoria = Store::victoria_metrics(&["-retentionPeriod=10y"]).await;
    let start = BEGINNING.parse().expect("a time");
    let mut world = World::new(Course {
        people: PEOPLE,
        start,
        days: DAYS,
        seed: 7,
        restarts: restarts(start, &mut random),
        outage: Some(start + TimeDelta::days(40)..start + TimeDelta::days(41)),
        remote_write_url: Some(victoria.write_url()),
        has_traveller: false,
    })
    .await;
    let prometheus = Store::prometheus(&scraping(world.address()), &[RETENTION]).await;
    world.live().await;
    let (days, least) = (days(&world, start), usize::try_from(DAYS * LEAST_CELLS_A_DAY).expect("positive"));
    let truth = of_everybody(PEOPLE, |person| by_the_looks(&world, person, &days));
    compared(&prometheus, &truth).await.assert_right("scraped by Prometheus", least);
    ask_as_documented(&prometheus, &truth).await;
    assert_sent(&victoria, &truth, "sent to VictoriaMetrics", least).await;
    assert_nothing_was_refused(&prometheus).await;
    ask(&prometheus, &world, &days, &mut random).await;
    let last = of_everybody(PEOPLE, |person| in_the_end(&world.simulator, world.clock.now(), person, &days));
    let (_directory, filed) = by_files(&world, &days).await;
    compared(&filed, &last).await.assert_right("brought into another Prometheus by files", least);
    for person in PEOPLE {
        world.backfill(person, &days, world.receiver(&victoria.write_url())).await;
    }
    assert_sent(&victoria, &truth, "VictoriaMetrics after a backfill over all of it", least).await;
    tell(&format!("lived {DAYS} days with {} looks", world.looks.len()));
}

/// Both clock changes of two countries and three journeys, two of them over the date line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_are_the_wearers_own_wherever_they_are() {
    if !there_are(&["prometheus", "victoria-metrics"], "days_are_the_wearers_own_wherever_they_are") {
        return;
    }
    const ALL: &[&str] = &["alice", "bob", "carol"];
    for (start, days_of_it) in [("2026-03-02T00:00:00Z", 45), ("2025-10-20T00:00:00Z", 30)] {
        let victoria = Store::victoria_metrics(&["-retentionPeriod=10y"]).await;
        let start = start.parse().expect("a time");
        let mut world = World::new(Course {
            people: ALL,
            start,
            days: days_of_it,
            seed: 8,
            restarts: vec![],
            outage: None,
            remote_write_url: Some(victoria.write_url()),
            has_traveller: true,
        })
        .await;
        let prometheus = Store::prometheus(&scraping(world.address()), &[RETENTION]).await;
        world.live().await;
        let days = days(&world, start);
        let truth = of_everybody(ALL, |person| by_the_looks(&world, person, &days));
        let least = usize::try_from(days_of_it * LEAST_CELLS_A_DAY).expect("positive");
        let what = format!("{days_of_it} days from {start}, scraped");
        compared(&prometheus, &truth).await.assert_right(&what, least);
        assert_nothing_was_refused(&prometheus).await;
        assert_sent(&victoria, &truth, &format!("{days_of_it} days from {start}"), least).await;
    }
}
