//! Heart rate that comes hours late, as from a phone that was away: each sample stands in Prometheus at its own second.

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use chrono::{DateTime, TimeDelta, Utc};
use common::{
    Exporter, Plan,
    backfill::{Run, config},
    eventually,
    needs::there_are,
    samples::Samples,
    simulator_with,
    stores::{Store, scraping},
    truth::{local, rows},
};
use oura_exporter::{
    clock::{Clock, ManualClock},
    simulator::{Scope, Simulator},
};
use serde_json::{Value, json};

/// A service and a clock that is moved by hand, three hours behind the real one so that it never overtakes it.
struct Scene {
    simulator: Simulator,
    clock: Clock,
    hand: ManualClock,
}

impl Scene {
    async fn new() -> Self {
        let start = DateTime::from_timestamp(Utc::now().timestamp(), 0).expect("a time") - TimeDelta::hours(3);
        let (clock, hand) = Clock::driven_from(start);
        Self { simulator: simulator_with(clock.clone()).await, clock, hand }
    }

    fn ago(&self, hours: i64) -> DateTime<Utc> {
        self.clock.now() - TimeDelta::hours(hours)
    }

    /// The service does not have the heart rate of that time, for now.
    fn hide(&self, time: Range<DateTime<Utc>>) {
        let is_hidden = move |row: &Value| time.contains(&local(&row["timestamp"]).to_utc());
        self.simulator.faults().edit(Scope::collection("heartrate"), move |rows| rows.retain(|row| !is_hidden(row)));
    }

    /// An exporter that polls again at once.
    async fn exporter(&self, variables: &[(&str, String)]) -> Exporter {
        let config = config(&self.simulator, &["alice"], variables);
        let exporter = Exporter::start(config, self.clock.clone(), Plan::default().patience).await;
        exporter.ready().await;
        exporter
    }

    async fn with_samples(&self) -> Exporter {
        self.exporter(&[("OURA_SAMPLES", "true".to_owned())]).await
    }

    /// What the service has of the last 20 hours: second, beats and source.
    async fn rows(&self) -> BTreeMap<i64, (f64, String)> {
        rows(&self.simulator, "alice", self.ago(20), self.clock.now() + TimeDelta::seconds(1)).await
    }

    /// What Prometheus has of the last 20 hours; no second may be there twice.
    async fn stored(&self, store: &Store) -> BTreeMap<i64, (f64, String)> {
        let now = self.clock.now();
        let mut all = BTreeMap::new();
        for (labels, points) in store.samples("oura_sample_heart_rate_bpm", "20h", now).await {
            for (time, value) in points {
                assert_eq!(time % 1000, 0, "the service has whole seconds");
                let twice = all.insert(time / 1000, (value, labels["source"].clone()));
                assert_eq!(twice, None, "two samples of {time}");
            }
        }
        all
    }

    /// Waits until Prometheus has exactly what the service has.
    async fn all_stored(&self, store: &Store) {
        let expected = self.rows().await;
        assert!(!expected.is_empty());
        let all = async || (self.stored(store).await == expected).then_some(());
        eventually("every sample at its own second, and no other", all).await;
    }
}

async fn scrapes(store: &Store) -> f64 {
    store.now("count_over_time(up[1h])").await.unwrap_or_default()
}

async fn more_scrapes(store: &Store, count: f64) {
    let enough = scrapes(store).await + count;
    eventually("more scrapes", async || (scrapes(store).await >= enough).then_some(())).await;
}

#[tokio::test]
async fn without_a_window_late_samples_are_left_out_and_the_target_stays_up() {
    if !there_are(&["prometheus"], "without_a_window_late_samples_are_left_out_and_the_target_stays_up") {
        return;
    }
    let scene = Scene::new().await;
    scene.hide(scene.ago(15)..scene.ago(1));
    let exporter = scene.with_samples().await;
    let prometheus = Store::prometheus(&scraping(exporter.address(), "/metrics/samples", None), &[]).await;
    // An empty database takes samples of any age.
    scene.all_stored(&prometheus).await;
    let before = scene.stored(&prometheus).await;
    scene.simulator.faults().clear();
    scene.hand.advance(TimeDelta::minutes(61));
    let (start, late) = (scene.ago(20).timestamp(), scene.ago(3).timestamp());
    let rows = scene.rows().await;
    let (newest_late, _) = rows.range(..late).next_back().expect("late rows");
    let its_time = format!(" {newest_late}000\n");
    let shown = async || exporter.get("/metrics/samples").await.1.contains(&its_time).then_some(());
    eventually("the page has the late samples", shown).await;
    more_scrapes(&prometheus, 3.0).await;
    assert_eq!(prometheus.now("min_over_time(up[1h])").await, Some(1.0));
    let kept: BTreeMap<_, _> = before.into_iter().filter(|(time, _)| *time >= start).collect();
    assert_eq!(scene.stored(&prometheus).await, kept, "what there was is there, and nothing of what came late");
    exporter.stop().await;
}

/// The seconds of heart rate on the page of samples.
async fn heart_seconds(exporter: &Exporter) -> BTreeSet<i64> {
    let (status, page) = exporter.get("/metrics/samples").await;
    assert_eq!(status, 200, "{page}");
    let lines = page.lines().filter(|line| line.starts_with("oura_sample_heart_rate_bpm{"));
    let time = |line: &str| line.rsplit(' ').next().and_then(|time| time.parse::<i64>().ok()).expect("milliseconds");
    lines.map(|line| time(line) / 1000).collect()
}

/// The poll that first sees them may be the one that reads the last day whole: what is older counts all the same.
#[tokio::test]
async fn forty_late_hours_are_there_whole() {
    let scene = Scene::new().await;
    let hidden = scene.ago(40)..scene.ago(0);
    scene.hide(hidden.clone());
    let exporter = scene.with_samples().await;
    let since = hidden.start.timestamp();
    assert!(heart_seconds(&exporter).await.range(since..).next().is_none(), "they are not there yet");
    scene.simulator.faults().clear();
    scene.hand.advance(TimeDelta::minutes(61));
    let end = scene.clock.now() + TimeDelta::seconds(1);
    let expected = rows(&scene.simulator, "alice", hidden.start, end).await;
    let expected: BTreeSet<_> = expected.into_keys().filter(|second| *second >= since).collect();
    assert!(expected.len() > 1000, "{}", expected.len());
    let all = async || (heart_seconds(&exporter).await.split_off(&since) == expected).then_some(());
    eventually("every late sample", all).await;
    exporter.stop().await;
}

/// The heart rate as the text says it, by second; two of one second are one.
fn beats(lines: impl Iterator<Item = (i64, f64)>) -> BTreeMap<i64, f64> {
    lines.collect()
}

#[tokio::test]
async fn history_and_the_live_page_say_the_same_of_a_second_that_the_service_has_twice() {
    let scene = Scene::new().await;
    scene.simulator.faults().edit(Scope::collection("heartrate"), |rows| {
        let twice = |row: &Value| {
            let mut again = row.clone();
            again["bpm"] = json!(row["bpm"].as_i64().expect("beats") + 1);
            [row.clone(), again]
        };
        *rows = rows.iter().flat_map(twice).collect();
    });
    let exporter = scene.with_samples().await;
    let (_, page) = exporter.get("/metrics/samples").await;
    let of_heart = page.lines().filter(|line| line.starts_with("oura_sample_heart_rate_bpm"));
    let live = beats(of_heart.map(|line| {
        let words: Vec<_> = line.rsplitn(3, ' ').collect();
        (words[0].parse().expect("a time"), words[1].parse().expect("beats"))
    }));
    let directory = tempfile::tempdir().expect("a directory");
    let days = (scene.ago(40).date_naive(), scene.clock.now().date_naive());
    let run = Run { person: "alice", collections: "heartrate", days, clock: scene.clock.clone(), state: None };
    run.into_files(&scene.simulator, directory.path()).await;
    let samples = Samples::of_run(directory.path());
    let heart = samples.all().filter(|(series, ..)| series.starts_with("oura_sample_heart_rate_bpm"));
    let history = beats(heart.map(|(_, time, value)| (time, value)));
    let both: BTreeSet<_> = live.keys().filter(|time| history.contains_key(time)).collect();
    assert!(both.len() > 500, "{} seconds", both.len());
    let others: Vec<_> = both.iter().filter(|time| live[time] != history[time]).collect();
    assert!(others.is_empty(), "{} of {} seconds differ between live and history", others.len(), both.len());
    exporter.stop().await;
}
