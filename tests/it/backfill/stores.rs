//! A year in real stores, and months in full: what files, stores and standard output have is what the documents say.

use std::{
    fs,
    path::{Path, PathBuf},
};

use chrono::{NaiveDate, TimeDelta, Utc};
use oura_exporter::{
    clock::Clock,
    simulator::{Settings, Simulator},
};
use tempfile::TempDir;
use tokio::process::Command;

use super::{
    ALL, DAILY, answers,
    documents::{Documents, Parts, assert_same_days},
    tell, today,
};
use crate::common::{
    Plan,
    backfill::{Run, program, reported, said},
    eventually,
    needs::there_are,
    samples::{Samples, files},
    scene::mode,
    servers::{import, text},
    stores::{RECEIVING, Store, scraping, taking},
};

type Days = (NaiveDate, NaiveDate);

/// A service at which life is as it is, where nothing changes any more, and a place for files.
struct Scene {
    simulator: Simulator,
    person: &'static str,
    directory: TempDir,
}

impl Scene {
    async fn of(person: &'static str) -> Self {
        oura_exporter::tls::choose_provider();
        let settings =
            Settings { clock: Clock::still_at(Utc::now()).into(), full_days: Some(0), ..Settings::default() };
        let simulator = Simulator::start(settings).await.expect("a free port");
        Self { simulator, person, directory: tempfile::tempdir().expect("a directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What a good backfill says.
    async fn backfill(&self, collections: &str, days: Days, arguments: &[&str]) -> (String, String) {
        let mut command = program(&self.simulator, self.person, &self.path("state"));
        command.arg("backfill").args(crate::receiving::arguments(days)).args(arguments);
        command.env("OURA_COLLECTIONS", collections);
        said(command.output().await.expect("the program runs"))
    }

    async fn documents(&self, collections: &'static str, days: Days) -> Documents {
        Documents::of(&self.simulator, self.person, collections, days, Utc::now()).await
    }
}

/// Does with the files what the program said, for the database `data`.
pub(crate) async fn follow(advice: &str, data: &Path) {
    let lines = advice.lines().skip_while(|line| !line.starts_with("(for file in ")).take(3);
    let lines: Vec<_> = lines.map(|line| line.replace(" DATA ", &format!(" '{}' ", text(data)))).collect();
    assert_eq!(lines.last().map(String::as_str), Some("done)"), "{advice}");
    let output = Command::new("sh").args(["-e", "-c", &lines.join("\n")]).output().await.expect("a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The flag that the program said Prometheus needs.
pub(crate) fn retention(advice: &str) -> &str {
    advice.split_whitespace().find(|word| word.starts_with("--storage.tsdb.retention.time=")).expect("a flag")
}

fn megabytes(directory: &Path) -> f64 {
    let sizes = files(directory).into_iter().map(|path| fs::metadata(path).expect("a file").len());
    sizes.sum::<u64>() as f64 / 1e6
}

/// What the program says beforehand of how much it will be: samples, and megabytes of text.
fn foretold(said: &str) -> (f64, f64) {
    let line = said.lines().find(|line| line.contains(": about ")).expect("a first word");
    let (_, rest) = line.split_once(": about ").expect("a number");
    let numbers: Vec<f64> = rest.split([' ', ',']).filter_map(|word| word.parse().ok()).collect();
    (numbers[0], numbers[1])
}

/// What was foretold is what came, within a factor of one and a half.
fn assert_foretold(said: &str, samples: usize, megabytes: f64, what: &str) {
    let foretold = foretold(said);
    let ratios = [foretold.0 / samples as f64, foretold.1 / megabytes];
    tell(&format!(
        "{what}: {samples} samples, {megabytes:.1} MB; foretold {:.2} and {:.2} of it",
        ratios[0], ratios[1]
    ));
    assert!(ratios.iter().all(|ratio| (1.0 / 1.5..1.5).contains(ratio)), "{what}: {foretold:?} foretold");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_stands_in_both_stores_as_the_documents_say() {
    const NAME: &str = "a_year_stands_in_both_stores_as_the_documents_say";
    if !there_are(&["prometheus", "promtool", "victoria-metrics"], NAME) {
        return;
    }
    let scene = Scene::of("bob").await;
    let days = (today() - TimeDelta::days(369), today() - TimeDelta::days(4));
    let directory = scene.path("Bob's past");
    let (printed, advice) = scene.backfill(DAILY, days, &["--output", text(&directory)]).await;
    assert_eq!(printed, "");
    let samples = Samples::of_run(&directory);
    assert_foretold(&advice, samples.len(), megabytes(&directory), "a year without heart rate");
    let expected = scene.documents(DAILY, days).await.parts();
    Parts::of(&samples, Utc::now()).assert_same(&expected, "a year's files");
    let victoria = Store::victoria_metrics(&["-retentionPeriod=10y", "-dedup.minScrapeInterval=1ms"]).await;
    let url = victoria.write_url();
    let arguments = ["--remote-write", &url];
    let sending = scene.backfill(DAILY, days, &arguments);
    let database = tempfile::tempdir().expect("a directory");
    let data = database.path().join("data");
    let ((), (_, sent)) = tokio::join!(follow(&advice, &data), sending);
    assert_eq!(files(&directory), Vec::<PathBuf>::new(), "what was brought in is not brought in again");
    let prometheus = Store::prometheus_in(database.path(), "global: {}\n", &[retention(&advice)]).await;
    assert_eq!((reported(&advice), reported(&sent)), (samples.len() as f64, samples.len() as f64), "as reported");
    let now = Utc::now();
    for (store, what) in [(&prometheus, "Prometheus by files"), (&victoria, "VictoriaMetrics by remote write")] {
        let counts = async || {
            victoria.flush().await;
            store.counts("400d", now, now - TimeDelta::days(400)).await
        };
        let stored = answers::in_the_end(counts, |stored| *stored == samples.counts()).await;
        assert_eq!(stored, samples.counts(), "{what}: every sample of the files, and none twice");
        assert_same_days(&answers::days(store, "bob", days).await, &expected.days, &format!("a year in {what}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_is_good_and_standard_output_is_nothing_but_the_same_data() {
    const NAME: &str = "every_file_is_good_and_standard_output_is_nothing_but_the_same_data";
    if !there_are(&["promtool"], NAME) {
        return;
    }
    let scene = Scene::of("alice").await;
    let (first, last) = (today() - TimeDelta::days(63), today() - TimeDelta::days(4));
    let directory = scene.path("history");
    let (printed, advice) = scene.backfill(ALL, (first, last), &["--output", text(&directory)]).await;
    assert_eq!(printed, "");
    let (in_files, megabytes) = (Samples::of_run(&directory), megabytes(&directory));
    assert_foretold(&advice, in_files.len(), megabytes, "sixty days of everything");
    let five_years = megabytes / 60.0 * 5.0 * 365.25;
    tell(&format!("five years of everything: {five_years:.0} MB of text"));
    assert!(five_years < 1_000.0, "{five_years:.0} MB");
    assert_eq!(reported(&advice), in_files.len() as f64);
    assert!(in_files.counts()["oura_sample_heart_rate_bpm"] > 20_000.0, "with the heart rate");
    let expected = scene.documents(ALL, (first, last)).await.parts();
    Parts::of(&in_files, Utc::now()).assert_same(&expected, "sixty days' files");
    // Where two months meet, in one text.
    let seam = (last - TimeDelta::days(i64::from(chrono::Datelike::day(&last)))).max(first + TimeDelta::days(9));
    let days = (seam - TimeDelta::days(3), seam + TimeDelta::days(3));
    let (printed, log) = scene.backfill(ALL, days, &["--output", "-"]).await;
    let alone = scene.path("printed.om");
    fs::write(&alone, &printed).expect("a file");
    let blocks = scene.path("blocks");
    for file in files(&directory).iter().chain([&alone]) {
        assert!(*file == alone || mode(file) == 0o600, "{}", file.display());
        import(file, &blocks);
    }
    let printed = Samples::of_text(&printed);
    assert_eq!(reported(&log), printed.len() as f64);
    let expected = scene.documents(ALL, days).await.parts();
    Parts::of(&printed, Utc::now()).assert_same(&expected, "a week on standard output");
}

#[tokio::test]
async fn a_prometheus_that_would_delete_it_at_once_is_told_of_before() {
    if !there_are(&["prometheus"], "a_prometheus_that_would_delete_it_at_once_is_told_of_before") {
        return;
    }
    let scene = Scene::of("alice").await;
    let prometheus = Store::prometheus(&taking(Some("90d")), &[RECEIVING]).await;
    let from = (today() - TimeDelta::days(60)).to_string();
    let mut command = program(&scene.simulator, "alice", scene.directory.path());
    command.args(["backfill", "--from", &from, "--remote-write", &prometheus.write_url()]);
    let ended = command.output().await.expect("it runs");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("keeps 15d") && said.contains("--storage.tsdb.retention.time=10y first"), "{said}");
}

/// Imports files as the program says, into the database of a Prometheus that has scraped for a while, and starts it again.
#[tokio::test]
async fn what_prometheus_has_scraped_is_still_there_when_files_are_in_and_it_starts_again() {
    const NAME: &str = "what_prometheus_has_scraped_is_still_there_when_files_are_in_and_it_starts_again";
    if !there_are(&["prometheus", "promtool"], NAME) {
        return;
    }
    // As if all were scraped an hour ago: the newest heart rate is younger.
    let at = Utc::now() + TimeDelta::hours(1);
    let settings = Settings { clock: Clock::still_at(at).into(), ..Settings::default() };
    let simulator = Simulator::start(settings).await.expect("a free port");
    let exporter = Plan::default().at_moment(at).still().ready(&simulator).await;
    let database = tempfile::tempdir().expect("a directory");
    let retention = ["--storage.tsdb.retention.time=10y"];
    let config = scraping(exporter.address(), "/metrics", Some("30d"));
    let prometheus = Store::prometheus_in(database.path(), &config, &retention).await;
    let scrapes = async |store: &Store| store.now("sum(count_over_time(up[30m]))").await.unwrap_or(0.0);
    eventually("some scrapes", async || (scrapes(&prometheus).await >= 4.0).then_some(())).await;
    let days = (today() - TimeDelta::days(2), today());
    let run = Run { person: "alice", collections: "heartrate,sleep", days, clock: Clock::still_at(at), state: None };
    let directory = tempfile::tempdir().expect("a directory");
    run.into_files(&simulator, directory.path()).await;
    let newest = Samples::of_run(directory.path()).all().map(|(_, time, _)| time).max().expect("some");
    let before = scrapes(&prometheus).await;
    prometheus.stop().await;
    files(directory.path()).iter().for_each(|file| import(file, &database.path().join("data")));
    let prometheus = Store::prometheus_in(database.path(), "global: {}\n", &retention).await;
    let brought_in =
        prometheus.at("count(last_over_time(oura_sample_heart_rate_bpm[1d]))", at - TimeDelta::hours(6)).await;
    assert!(brought_in > Some(0.0) && newest > (at - TimeDelta::hours(8)).timestamp_millis(), "the files are in");
    let after = scrapes(&prometheus).await;
    assert!(after >= before, "{after} of {before} scrapes are left");
    exporter.stop().await;
}
