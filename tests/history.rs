//! History in real stores: years as files and by remote write, months at full density, and the seam to live scrapes.

mod common;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use common::{
    Exporter, Plan,
    backfill::{config, program, reported, said},
    eventually,
    needs::there_are,
    samples::{Samples, files},
    scene::mode,
    servers::{import, text},
    simulator_with,
    stores::{RECEIVING, Store, scraping, taking},
    truth::{FACTS, Fact, Truth, collections, on_grid},
};
use fastrand::Rng;
use oura_exporter::{clock::Clock, simulator::Simulator};
use tempfile::TempDir;
use tokio::process::Command;

/// How many questions each store is asked.
const QUESTIONS: usize = 200;
/// The same questions at every run, as far as the date allows.
const SEED: u64 = 20_261_122;

fn today() -> NaiveDate {
    Utc::now().date_naive()
}

/// A service that goes by the machine's clock, and a place for files.
struct Scene {
    simulator: Simulator,
    directory: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let simulator = simulator_with(Clock::system()).await;
        Self { simulator, directory: tempfile::tempdir().expect("a directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What a good backfill of alice's says.
    async fn backfill(&self, collections: &str, arguments: &[&str]) -> (String, String) {
        let mut command = program(&self.simulator, "alice", &self.path("state"));
        command.arg("backfill").args(arguments);
        if !collections.is_empty() {
            command.env("OURA_COLLECTIONS", collections);
        }
        said(command.output().await.expect("the program runs"))
    }

    /// What the documents of alice say.
    async fn truth(&self, first: NaiveDate, last: NaiveDate) -> Truth {
        Truth::of(&self.simulator, "alice", first, last).await
    }
}

/// Does with the files what the program said, for the database `data`.
async fn follow(advice: &str, data: &Path) {
    let lines = advice.lines().skip_while(|line| !line.starts_with("(for file in "));
    let lines: Vec<_> = lines.map(|line| line.replace(" DATA ", &format!(" '{}' ", text(data)))).collect();
    assert_eq!(lines.last().map(String::as_str), Some("done)"), "{advice}");
    let output = Command::new("sh").args(["-e", "-c", &lines.join("\n")]).output().await.expect("a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The flag that the program said Prometheus needs.
fn retention(advice: &str) -> &str {
    advice.split_whitespace().find(|word| word.starts_with("--storage.tsdb.retention.time=")).expect("a flag")
}

/// A random day of a random fact that was shown long enough ago, with a random time at which it was.
fn question<'a>(truth: &Truth, rng: &mut Rng, before: DateTime<Utc>) -> (&'a Fact, NaiveDate, DateTime<Utc>) {
    loop {
        let fact = &FACTS[rng.usize(..FACTS.len())];
        let days: Vec<_> = truth.days(fact.collection).collect();
        let day = days[rng.usize(..days.len())];
        let (from, until) = truth.hold(fact.collection, day);
        let written = on_grid(from);
        if written < until && until < before {
            let later = rng.i64(0..(until - written).num_seconds());
            return (fact, day, written + TimeDelta::seconds(later));
        }
    }
}

fn assert_same(answer: Option<f64>, expected: Option<f64>, what: &str) {
    let same = match (answer, expected) {
        (Some(answer), Some(expected)) => (answer - expected).abs() <= 1e-12 * expected.abs(),
        (answer, expected) => answer == expected,
    };
    assert!(same, "{what}: {answer:?} and not {expected:?}");
}

/// Where a value is written once a day: what the document says, wherever within its time one looks.
async fn assert_says_what_the_documents_say(stores: &[&Store], truth: &Truth) {
    let (mut rng, mut silent) = (Rng::with_seed(SEED), 0);
    for _ in 0..QUESTIONS {
        let (fact, day, time) = question(truth, &mut rng, Utc::now() - TimeDelta::hours(7));
        let expected = truth.says(fact, day);
        let first = on_grid(truth.hold(fact.collection, day).0);
        for store in stores {
            let (query, time) = match expected {
                Some(_) => (format!("last_over_time({}[26h])", fact.series), time),
                // Where the document says nothing there is no sample, whatever the day before said.
                None => (format!("last_over_time({}[4m])", fact.series), first),
            };
            let what = format!("{query} at {time}, shown since {first}, of the document of {day}");
            assert_same(store.at(&query, time).await, expected, &what);
        }
        silent += usize::from(expected.is_none());
    }
    assert!(silent < QUESTIONS / 4, "{silent} of the documents said nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_years_stand_in_both_stores_as_the_documents_say() {
    const NAME: &str = "five_years_stand_in_both_stores_as_the_documents_say";
    if !there_are(&["prometheus", "promtool", "victoria-metrics"], NAME) {
        return;
    }
    let scene = Scene::new().await;
    // The end lies far enough back to be the same for both runs.
    let (first, last) = (today() - TimeDelta::days(5 * 365 - 1), today() - TimeDelta::days(4));
    let (from, to) = (first.to_string(), last.to_string());
    let directory = scene.path("Anna's history");
    let arguments = ["--from", &from, "--to", &to, "--once-a-day", "--output", text(&directory)];
    let (printed, advice) = scene.backfill(&collections(), &arguments).await;
    assert_eq!(printed, "");
    let victoria = Store::victoria_metrics(&["-retentionPeriod=10y", "-dedup.minScrapeInterval=1ms"]).await;
    let url = victoria.write_url();
    let arguments = ["--from", &from, "--to", &to, "--once-a-day", "--remote-write", &url];
    let names = collections();
    let database = tempfile::tempdir().expect("a directory");
    let data = database.path().join("data");
    let sending = scene.backfill(&names, &arguments);
    let ((), (_, sent)) = tokio::join!(follow(&advice, &data), sending);
    let prometheus = Store::prometheus_in(database.path(), "global: {}\n", &[retention(&advice)]).await;
    let counts = Samples::of_run(&directory).counts();
    let in_all: f64 = counts.values().sum();
    assert_eq!((reported(&advice), reported(&sent)), (in_all, in_all), "samples that the runs report");
    let now = Utc::now();
    victoria.flush().await;
    for store in [&prometheus, &victoria] {
        let stored = store.counts("6y", now, now - TimeDelta::days(6 * 365)).await;
        assert_eq!(stored, counts, "every sample of the files, and none twice");
    }
    let truth = scene.truth(first, last).await;
    assert_says_what_the_documents_say(&[&prometheus, &victoria], &truth).await;
}

/// Where a value is written every five minutes, a bare name tells at any time what the page showed.
async fn assert_shows_what_the_page_showed(store: &Store, truth: &Truth, first: DateTime<Utc>, last: DateTime<Utc>) {
    let (mut rng, mut silent) = (Rng::with_seed(SEED), 0);
    for _ in 0..QUESTIONS {
        let fact = &FACTS[rng.usize(..FACTS.len())];
        let written = on_grid(first + TimeDelta::seconds(rng.i64(0..(last - first).num_seconds())));
        let shown = truth.shown(fact.collection, written);
        let expected = shown.and_then(|day| truth.says(fact, day));
        let time = written + TimeDelta::seconds(150);
        let what = format!("{} at {time}, when the document of {shown:?} was shown", fact.series);
        assert_same(store.at(fact.series, time).await, expected, &what);
        silent += usize::from(expected.is_none());
    }
    assert!(silent < QUESTIONS / 3, "{silent} times there was nothing to show");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_days_by_remote_write_look_in_prometheus_as_if_they_had_been_scraped() {
    const NAME: &str = "sixty_days_by_remote_write_look_in_prometheus_as_if_they_had_been_scraped";
    if !there_are(&["prometheus"], NAME) {
        return;
    }
    let scene = Scene::new().await;
    let first = today() - TimeDelta::days(60);
    // With the usual retention of 15 days it would delete block after block while we look.
    let flags = [RECEIVING, "--storage.tsdb.retention.time=1y"];
    let prometheus = Store::prometheus(&taking(Some("90d")), &flags).await;
    let (from, url) = (first.to_string(), prometheus.write_url());
    let (_, sent) = scene.backfill(&collections(), &["--from", &from, "--remote-write", &url]).await;
    let now = Utc::now();
    // The wearer's first day begins up to half a day before UTC's.
    let counts = prometheus.counts("62d", now, now - TimeDelta::days(63)).await;
    assert_eq!(counts.values().sum::<f64>(), reported(&sent), "{sent}");
    assert!(sent.contains(&format!("the receiver took {} samples", reported(&sent))), "{sent}");
    let truth = scene.truth(first - TimeDelta::days(2), today()).await;
    let begin = (first + TimeDelta::days(1)).and_time(chrono::NaiveTime::MIN).and_utc();
    assert_shows_what_the_page_showed(&prometheus, &truth, begin, now - TimeDelta::hours(7)).await;
}

#[tokio::test]
async fn a_prometheus_that_would_delete_it_at_once_is_told_of_before() {
    if !there_are(&["prometheus"], "a_prometheus_that_would_delete_it_at_once_is_told_of_before") {
        return;
    }
    let scene = Scene::new().await;
    let prometheus = Store::prometheus(&taking(Some("90d")), &[RECEIVING]).await;
    let from = (today() - TimeDelta::days(60)).to_string();
    let mut command = program(&scene.simulator, "alice", scene.directory.path());
    command.args(["backfill", "--from", &from, "--remote-write", &prometheus.write_url()]);
    let ended = command.output().await.expect("it runs");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("keeps 15d") && said.contains("--storage.tsdb.retention.time=10y first"), "{said}");
}

/// The value that history shows at `time` in the recommended shape: that of the newest document that has one, if it was
/// shown less than 26 hours ago.
fn remembered(truth: &Truth, fact: &Fact, time: DateTime<Utc>) -> Option<f64> {
    let days: Vec<_> = truth.days(fact.collection).collect();
    let written = |day: &NaiveDate| {
        let (from, until) = truth.hold(fact.collection, *day);
        on_grid(from) <= time && on_grid(from) < until && truth.says(fact, *day).is_some()
    };
    let day = days.into_iter().rfind(written)?;
    let (_, until) = truth.hold(fact.collection, day);
    truth.says(fact, day).filter(|_| time < until + TimeDelta::hours(26))
}

/// Over the last three days a fact has one series, on both sides of the seam, and hour by hour what was to be shown.
async fn assert_seamless(store: &Store, truth: &Truth, fact: &Fact, end: DateTime<Utc>, live: Option<f64>) {
    let now = Utc::now();
    let series = store.samples(fact.series, "4d", now).await;
    assert_eq!(series.len(), 1, "{}: {:?}", fact.series, series.keys());
    let times = || series.values().flatten().map(|(time, _)| *time);
    assert!(times().any(|time| time <= end.timestamp_millis()), "{} has a past", fact.series);
    let Some(live) = live else { return };
    // The run began a little later than `end` was taken.
    let (end_of_history, scraped) = (end + TimeDelta::minutes(10), now - TimeDelta::minutes(10));
    let between = end_of_history.timestamp_millis()..scraped.timestamp_millis();
    assert!(times().any(|time| time > between.end), "{} has a present", fact.series);
    assert!(!times().any(|time| between.contains(&time)), "{}: history ends six hours ago", fact.series);
    let (query, begin) = (format!("last_over_time({}[26h])", fact.series), now - TimeDelta::days(3));
    let steps = store.steps(&query, begin, now, 3600).await;
    let at = |hour: i64| begin + TimeDelta::hours(hour);
    for hour in 0..72 {
        let step = steps.iter().find(|(time, _)| *time == at(hour).timestamp() * 1000).map(|(_, value)| *value);
        let what = format!("{query} at {}", at(hour));
        assert_same(step, remembered(truth, fact, at(hour).min(end)), &what);
    }
    assert_same(steps.last().map(|(_, value)| *value), Some(live), &format!("{query} now"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_and_live_scrapes_are_one_series_without_a_gap_or_a_step() {
    const NAME: &str = "history_and_live_scrapes_are_one_series_without_a_gap_or_a_step";
    if !there_are(&["prometheus"], NAME) {
        return;
    }
    let scene = Scene::new().await;
    let mut config = config(&scene.simulator, &["alice"], &[("OURA_COLLECTIONS", collections())]);
    config.poll_interval = Duration::from_secs(300);
    let exporter = Exporter::start(config, Clock::system(), Plan::default().patience).await;
    exporter.ready().await;
    let target = exporter.address().to_owned();
    let configuration = scraping(&target, "/metrics", Some("90d"));
    let prometheus = Store::prometheus(&configuration, &[RECEIVING]).await;
    let scraped = async || prometheus.now("count_over_time(up[1h]) >= 2").await;
    eventually("two scrapes", scraped).await;
    let (from, url) = ((today() - TimeDelta::days(9)).to_string(), prometheus.write_url());
    let arguments = ["--from", &from, "--remote-write", &url, "--instance", &target];
    let end = Utc::now() - TimeDelta::hours(6);
    scene.backfill(&collections(), &arguments).await;
    let begin = Utc::now() - TimeDelta::days(10);
    assert_eq!(prometheus.values("job", begin).await, ["oura"]);
    assert_eq!(prometheus.values("instance", begin).await, [target]);
    let truth = scene.truth(today() - TimeDelta::days(12), today()).await;
    let page = exporter.page().await;
    let mut seen = BTreeSet::new();
    for fact in FACTS.iter().filter(|fact| fact.collection != "vO2_max" && fact.collection != "sleep_time") {
        let live = page.get(fact.series);
        assert_seamless(&prometheus, &truth, fact, end, live).await;
        seen.extend(live.map(|_| fact.series));
    }
    assert!(seen.len() > 20, "{seen:?}");
    // Of all series of the daily kinds, those that are scraped are the same as those that were brought in.
    for name in ["oura_activity_time_seconds", "oura_readiness_contributor_score", "oura_resilience_level"] {
        let past = prometheus.samples(name, "2h", end).await.into_keys().collect::<Vec<_>>();
        let present = prometheus.samples(name, "1m", Utc::now()).await.into_keys().collect::<Vec<_>>();
        assert_eq!(past, present);
    }
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_is_good_and_standard_output_is_nothing_but_the_same_data() {
    const NAME: &str = "every_file_is_good_and_standard_output_is_nothing_but_the_same_data";
    if !there_are(&["promtool"], NAME) {
        return;
    }
    let scene = Scene::new().await;
    let directory = scene.path("history");
    // All collections; the end lies far enough back to be the same for both runs.
    let days = [today() - TimeDelta::days(36), today() - TimeDelta::days(4)].map(|day| day.to_string());
    let arguments = ["--from", &days[0], "--to", &days[1], "--every", "1h", "--output"];
    let (printed, advice) = scene.backfill("", &[&arguments[..], &[text(&directory)]].concat()).await;
    assert_eq!(printed, "");
    let (printed, log) = scene.backfill("", &[&arguments[..], &["-"]].concat()).await;
    let files = files(&directory);
    assert!(files.len() >= 2, "{files:?}");
    let blocks = scene.path("blocks");
    let alone = scene.path("printed.om");
    std::fs::write(&alone, &printed).expect("a file");
    for file in files.iter().chain([&alone]) {
        import(file, &blocks);
    }
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    let (in_files, printed) = (Samples::of_run(&directory), Samples::of_text(&printed));
    assert_eq!(in_files.counts(), printed.counts());
    assert!(in_files == printed, "the same points");
    let in_all: f64 = in_files.counts().values().sum();
    assert_eq!((reported(&advice), reported(&log)), (in_all, in_all));
    assert!(in_files.counts()["oura_sample_heart_rate_bpm"] > 10_000.0, "with the heart rate");
}
