//! A night that its wearer edits in the app a day later: who shows the new values, and who keeps the old ones.
//!
//! The page shows what holds now. A store keeps what was shown when: nothing that was scraped or sent is written anew,
//! and a backfill goes on where it ended. Whoever wants the new values in the past has VictoriaMetrics forget the series
//! (`delete_series`), and brings them in anew by a backfill that has no place to go on from.

mod common;

use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use common::{
    Exporter, Page, Plan,
    backfill::{Run, config},
    eventually,
    needs::there_are,
    simulator_with,
    stores::{RECEIVING, Store, scraping, taking},
    truth::{day_of, documents, is_night, local},
};
use oura_exporter::{
    clock::{Clock, ManualClock},
    simulator::{Scope, Simulator},
};
use serde_json::{Value, json};

const SLEPT: &str = "oura_night_total_sleep_seconds";
const SCORE: &str = "oura_sleep_score";
const BEATS: &str = "oura_sample_night_heart_rate_bpm";
/// What nobody sleeps and no ring measures.
const EDITED: (f64, f64, f64) = (12_345.0, 42.0, 111.0);

/// A night, and the end of the next: the last two that are over, as stores take nothing from the future.
async fn last_nights() -> (NaiveDate, DateTime<Utc>) {
    let simulator = simulator_with(Clock::system()).await;
    let today = Utc::now().date_naive();
    let nights = documents(&simulator, "alice", "sleep", today - TimeDelta::days(3), today).await;
    let mut ends: Vec<_> = nights.iter().filter(|night| is_night(night)).map(end_of).collect();
    ends.sort_unstable();
    let [.., (night, _), (_, end)] = ends[..] else { panic!("{} nights", ends.len()) };
    (night, end)
}

fn end_of(night: &Value) -> (NaiveDate, DateTime<Utc>) {
    (day_of(night), local(&night["bedtime_end"]).to_utc())
}

/// A day after a night, when the next one is not over yet.
struct Scene {
    simulator: Simulator,
    /// The night that is edited.
    night: NaiveDate,
    clock: Clock,
    hand: ManualClock,
}

/// What the service says of the night: when it was over, seconds slept, score, and a heart rate with its time.
struct Night {
    end: DateTime<Utc>,
    slept: f64,
    score: f64,
    beat: (i64, f64),
}

impl Scene {
    async fn new() -> Self {
        let (night, next) = last_nights().await;
        let (clock, hand) = Clock::driven_from(next - TimeDelta::minutes(90));
        Self { simulator: simulator_with(clock.clone()).await, night, clock, hand }
    }

    /// The wearer edits the night in the app.
    fn edit(&self) {
        let day = self.night;
        self.simulator.faults().edit(Scope::collection("sleep"), move |nights| {
            for night in nights.iter_mut().filter(|night| is_night(night) && day_of(night) == day) {
                night["total_sleep_duration"] = json!(EDITED.0);
                let (place, _) = first_beat(night);
                night["heart_rate"]["items"][place] = json!(EDITED.2);
            }
        });
        self.simulator.faults().edit(Scope::collection("daily_sleep"), move |days| {
            days.iter_mut().filter(|of_day| day_of(of_day) == day).for_each(|of_day| of_day["score"] = json!(EDITED.1));
        });
    }

    async fn night(&self) -> Night {
        let of = async |collection| documents(&self.simulator, "alice", collection, self.night, self.night).await;
        let (nights, days) = (of("sleep").await, of("daily_sleep").await);
        let night = nights.iter().find(|night| is_night(night)).expect("the night");
        let (place, beat) = first_beat(night);
        let start = local(&night["heart_rate"]["timestamp"]).timestamp();
        Night {
            end: local(&night["bedtime_end"]).to_utc(),
            slept: night["total_sleep_duration"].as_f64().expect("seconds"),
            score: days[0]["score"].as_f64().expect("a score"),
            beat: ((start + 300 * place as i64) * 1000, beat),
        }
    }

    async fn exporter(&self, variables: &[(&str, String)]) -> Exporter {
        let config = config(&self.simulator, &["alice"], variables);
        let exporter = Exporter::start(config, self.clock.clone(), Plan::default().patience).await;
        exporter.ready().await;
        exporter
    }

    /// Brings in the night and the two days before it, or goes on with that, as the place in `state` says.
    async fn backfill(&self, url: &str, state: &Path) {
        let days = (self.night - TimeDelta::days(2), self.night + TimeDelta::days(4));
        let run = Run {
            person: "alice",
            collections: "sleep,daily_sleep,daily_activity",
            days,
            clock: self.clock.clone(),
            state: Some(PathBuf::from(state)),
        };
        run.send(&self.simulator, url).await;
    }
}

/// The first heart rate of the night, and its place.
fn first_beat(night: &Value) -> (usize, f64) {
    let items = night["heart_rate"]["items"].as_array().expect("a series");
    items.iter().enumerate().find_map(|(place, item)| Some((place, item.as_f64()?))).expect("a heart rate")
}

/// The sample of that time, in milliseconds, among those that a store has of the heart rate of nights.
async fn beat(store: &Store, time: i64, now: DateTime<Utc>) -> Option<f64> {
    let all = store.samples(BEATS, "3d", now).await;
    assert!(all.len() < 2, "{:?}", all.keys());
    all.into_values().flatten().find(|(at, _)| *at == time).map(|(_, value)| value)
}

#[tokio::test]
async fn the_page_and_prometheus_behind_it_show_the_edited_night() {
    if !there_are(&["prometheus"], "the_page_and_prometheus_behind_it_show_the_edited_night") {
        return;
    }
    let scene = Scene::new().await;
    let night = scene.night().await;
    let exporter = scene.exporter(&[("OURA_COLLECTIONS", "sleep,daily_sleep".to_owned())]).await;
    let prometheus = Store::prometheus(&scraping(exporter.address(), "/metrics", None), &[]).await;
    let shows = async |slept: f64, score: f64| {
        let page = exporter.page().await;
        let stored = |name| format!("last_over_time({name}[26h])");
        let stored = [prometheus.now(&stored(SLEPT)).await, prometheus.now(&stored(SCORE)).await];
        let expected = [Some(slept), Some(score)];
        ([page.get(SLEPT), page.get(SCORE)] == expected && stored == expected).then_some(())
    };
    eventually("the night as it was", async || shows(night.slept, night.score).await).await;
    scene.edit();
    eventually("the edited night", async || shows(EDITED.0, EDITED.1).await).await;
    let before = prometheus.now(&format!("min_over_time({SLEPT}[1h]) != max_over_time({SLEPT}[1h])")).await;
    assert!(before.is_some(), "what was shown before the edit is still known");
    exporter.stop().await;
}

#[tokio::test]
async fn what_was_sent_live_is_not_sent_again() {
    if !there_are(&["prometheus"], "what_was_sent_live_is_not_sent_again") {
        return;
    }
    let scene = Scene::new().await;
    let state = tempfile::tempdir().expect("a directory");
    let (time, old) = scene.night().await.beat;
    // The window is counted from the newest sample that the store has.
    let prometheus = Store::prometheus(&taking(Some("30d")), &[RECEIVING]).await;
    let directory = state.path().to_str().expect("UTF-8").to_owned();
    let variables = [
        ("OURA_REMOTE_WRITE_URL", prometheus.write_url()),
        ("OURA_STATE_DIR", directory),
        ("OURA_COLLECTIONS", "sleep,heartrate".to_owned()),
    ];
    let exporter = scene.exporter(&variables).await;
    let now = scene.clock.now();
    eventually("the night", async || beat(&prometheus, time, now).await.filter(|value| *value == old)).await;
    let taken = |page: &Page| page.get("oura_remote_write_samples_total");
    let sent = |page: &Page| page.get("oura_remote_write_pending_samples") == Some(0.0);
    let before = taken(&exporter.page_where("all is sent", sent).await);
    scene.edit();
    exporter.page_where("the page has the edit", |page| page.get(SLEPT) == Some(EDITED.0)).await;
    // News have all that was not sent yet be sent.
    scene.hand.advance(TimeDelta::minutes(40));
    let page = exporter.page_where("there was news", |page| taken(page) > before && sent(page)).await;
    let now = scene.clock.now();
    let stored: f64 = prometheus.counts("9d", now, now - TimeDelta::days(9)).await.values().sum();
    assert_eq!(taken(&page), Some(stored), "nothing was sent twice");
    assert_eq!(beat(&prometheus, time, now).await, Some(old), "each time keeps its first value");
    exporter.stop().await;
}

#[tokio::test]
async fn a_backfill_goes_on_from_its_place_and_victoria_metrics_is_told_anew_after_forgetting() {
    const NAME: &str = "a_backfill_goes_on_from_its_place_and_victoria_metrics_is_told_anew_after_forgetting";
    if !there_are(&["victoria-metrics"], NAME) {
        return;
    }
    let scene = Scene::new().await;
    let night = scene.night().await;
    let states = [tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory")];
    let victoria = Store::victoria_metrics(&["-retentionPeriod=10y", "-dedup.minScrapeInterval=1ms"]).await;
    let url = victoria.write_url();
    let in_the_morning = night.end + TimeDelta::hours(2);
    let slept = async |store: &Store, time| store.at(&format!("last_over_time({SLEPT}[26h])"), time).await;
    scene.backfill(&url, states[0].path()).await;
    victoria.flush().await;
    assert_eq!(slept(&victoria, in_the_morning).await, Some(night.slept), "the night as it was");
    scene.edit();
    let place = scene.clock.now() - TimeDelta::hours(6);
    scene.hand.advance(TimeDelta::hours(2));
    scene.backfill(&url, states[0].path()).await;
    victoria.flush().await;
    let later = place + TimeDelta::hours(1);
    assert_eq!(slept(&victoria, later).await, Some(EDITED.0), "from its place on it is told as it is now");
    assert_eq!(slept(&victoria, place - TimeDelta::minutes(10)).await, Some(night.slept), "what was told stays");
    assert_eq!(beat(&victoria, night.beat.0, later).await, Some(night.beat.1));
    victoria.delete("{__name__=~\"oura_.+\"}").await;
    let forgotten = async || {
        victoria.flush().await;
        slept(&victoria, later).await.is_none().then_some(())
    };
    eventually("it has forgotten", forgotten).await;
    scene.backfill(&url, states[0].path()).await;
    victoria.flush().await;
    assert_eq!(slept(&victoria, later).await, None, "the same command goes on from its place, where nothing is left");
    scene.backfill(&url, states[1].path()).await;
    victoria.flush().await;
    assert_eq!(slept(&victoria, in_the_morning).await, Some(EDITED.0), "the edited night from its end on");
    assert_eq!(beat(&victoria, night.beat.0, later).await, Some(EDITED.2));
    let score = victoria.at(&format!("last_over_time({SCORE}[26h])"), in_the_morning).await;
    assert_eq!(score, Some(EDITED.1));
}
