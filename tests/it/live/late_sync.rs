//! A week in which documents come days late and are revised, with an exporter that is killed again and again: what a real
//! Prometheus has scraped in the end.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use fastrand::Rng;
use tokio::time::sleep;

use super::{
    assert_same,
    book::{Book, Told},
    by_hand::Process,
    scene::{DAYS, SEED, Scene},
    tell,
};
use crate::common::{eventually, needs::there_are, servers::free_address, stores::Store};

/// The days begin longer ago than Prometheus keeps anything by itself.
pub(crate) const RETENTION: &str = "--storage.tsdb.retention.time=1y";
/// How far apart scrapes are that are waited for: with a step more, less than `/metrics/samples` goes back.
const SCRAPED_EVERY: TimeDelta = TimeDelta::hours(5);
/// What Prometheus must not have refused.
const REFUSALS: [&str; 4] = [
    "prometheus_target_scrapes_sample_out_of_order_total",
    "prometheus_target_scrapes_sample_out_of_bounds_total",
    "prometheus_target_scrapes_sample_duplicate_timestamp_total",
    "prometheus_tsdb_too_old_samples_total",
];

/// The two jobs of the README, but often.
fn scraping(address: &str) -> String {
    format!(
        "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\nscrape_configs:\n\
         - job_name: oura\n  static_configs: [{{targets: ['{address}']}}]\n\
         - job_name: oura-samples\n  metrics_path: /metrics/samples\n  static_configs: [{{targets: ['{address}']}}]\n  \
         metric_relabel_configs: [{{target_label: job, replacement: oura}}]\n\
         storage: {{tsdb: {{out_of_order_time_window: 30d}}}}\n"
    )
}

async fn good_scrapes(store: &Store) -> f64 {
    store.now("sum_over_time(up{job=\"oura-samples\"}[1h])").await.unwrap_or_default()
}

/// Waits for a scrape that began after this.
async fn scraped(store: &Store) {
    let enough = good_scrapes(store).await + 2.0;
    eventually("two scrapes more", async || (good_scrapes(store).await >= enough).then_some(())).await;
}

/// All that a store has of the record.
pub(crate) async fn stored(store: &Store) -> Told {
    let mut told = Told::new();
    for (labels, points) in store.samples(r#"{__name__=~"oura_sample_.+"}"#, "30d", Utc::now()).await {
        let own = labels.iter().filter(|(name, _)| !["__name__", "job", "instance"].contains(&name.as_str()));
        let own: Vec<_> = own.map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        told.entry(format!("{}{{{}}}", labels["__name__"], own.join(","))).or_default().extend(points);
    }
    told
}

/// An exporter in a process of its own, that is killed.
struct Mortal {
    address: String,
    process: Option<Process>,
    kills: u32,
}

impl Mortal {
    async fn start(scene: &Scene) -> Self {
        let mut mortal = Self { address: free_address().await, process: None, kills: 0 };
        mortal.begin(scene);
        mortal
    }

    fn begin(&mut self, scene: &Scene) {
        self.process = Some(Process::start(&scene.variables(), &self.address, scene.now()));
    }

    async fn look(&mut self, scene: &mut Scene) {
        self.process.as_mut().expect("it runs").look(scene.now()).await;
        scene.looked();
    }

    /// Has it begin to ask, and kills it in the midst of that, or when it has come to an end; then there is another one.
    async fn kill(&mut self, scene: &mut Scene, after: Duration) {
        let mut process = self.process.take().expect("it runs");
        process.begin_to_look(scene.now()).await;
        sleep(after).await;
        process.kill().await;
        self.kills += 1;
        scene.book.restarted();
        self.begin(scene);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_week_of_late_documents_is_scraped_whole_from_an_exporter_that_is_killed_again_and_again() {
    const NAME: &str = "a_week_of_late_documents_is_scraped_whole_from_an_exporter_that_is_killed_again_and_again";
    if !there_are(&["prometheus"], NAME) {
        return;
    }
    let (mut random, mut scene) = (Rng::with_seed(SEED), Scene::new("alice").await);
    let mut mortal = Mortal::start(&scene).await;
    let prometheus = Store::prometheus(&scraping(&mortal.address), &[RETENTION]).await;
    let (end, mut last_scrape) = (TimeDelta::days(DAYS), TimeDelta::zero());
    loop {
        if random.u8(..3) == 0 {
            mortal.kill(&mut scene, Duration::from_millis(random.u64(0..600))).await;
        }
        mortal.look(&mut scene).await;
        if scene.lived() - last_scrape > SCRAPED_EVERY || scene.lived() == end {
            scraped(&prometheus).await;
            last_scrape = scene.lived();
        }
        if scene.lived() == end {
            break;
        }
        // Never a shorter step at the end: not everything would be due for the exporter, and the book takes it for asked.
        let (step, left) = (TimeDelta::minutes(random.i64(61..400)), end - scene.lived());
        scene.advance(if left - step < TimeDelta::minutes(61) { left } else { step });
    }
    assert_same(&stored(&prometheus).await, &scene.book.told, "scraped");
    for refused in REFUSALS {
        assert_eq!(prometheus.own(refused).await.unwrap_or_default(), 0.0, "{refused}");
    }
    tell(&format!("{DAYS} days with {} kills", mortal.kills));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_window_late_samples_are_left_out_and_the_target_stays_up() {
    if !there_are(&["prometheus"], "without_a_window_late_samples_are_left_out_and_the_target_stays_up") {
        return;
    }
    let mut scene = Scene::new("alice").await;
    scene.advance(TimeDelta::days(3));
    scene.book = Book::new("alice", scene.now());
    let mut mortal = Mortal::start(&scene).await;
    mortal.look(&mut scene).await;
    let config = scraping(&mortal.address).replace("out_of_order_time_window: 30d", "");
    let prometheus = Store::prometheus(&config, &[RETENTION]).await;
    let refused = async || {
        let counts = [prometheus.own(REFUSALS[0]).await, prometheus.own(REFUSALS[1]).await];
        counts.into_iter().flatten().sum::<f64>()
    };
    scraped(&prometheus).await;
    let count = super::count(&scene.book.told);
    scene.advance(TimeDelta::hours(30));
    mortal.look(&mut scene).await;
    assert!(super::count(&scene.book.told) > count + 1_000, "there is news");
    let before = refused().await;
    scraped(&prometheus).await;
    assert_eq!(prometheus.now("min(min_over_time(up[1h]))").await, Some(1.0));
    assert!(refused().await > before + 1_000.0, "they were left out");
    // What came before the first sample of now, in an empty database, is there, and nothing that was never told.
    for (series, points) in stored(&prometheus).await.iter().filter(|(series, _)| !super::is_apart(series)) {
        for (time, value) in points {
            let told = scene.book.told.get(series).and_then(|told| told.get(time));
            assert!(
                told.is_some_and(|told| super::is_same(*value, *told)),
                "{series} at {time}: {value} and not {told:?}"
            );
        }
    }
}
