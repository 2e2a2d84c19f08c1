//! A night that its wearer edits in the app a day later: the page shows what holds now, and the record tells it again as
//! later samples of the same day and second, so that the last of them is what Oura finally says.

mod common;

use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
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

/// What the service says of the night: seconds slept, score, and a heart rate with its time.
struct Night {
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

/// The samples within that second, whose beginning is in milliseconds, that a store has of the heart rate of nights.
async fn beats(store: &Store, second: i64, now: DateTime<Utc>) -> Vec<f64> {
    let all = store.samples(BEATS, "3d", now).await;
    assert!(all.len() < 2, "{:?}", all.keys());
    let within = all.into_values().flatten().filter(|(at, _)| (second..second + 1000).contains(at));
    within.map(|(_, value)| value).collect()
}

/// What a store says of the night by the contract's idiom: how much was slept, and the score.
async fn recorded(store: &Store, night: NaiveDate) -> [Option<f64>; 2] {
    let end = (night + TimeDelta::days(1)).and_time(NaiveTime::MIN).and_utc();
    let value = async |name: &str| store.at(&format!("last_over_time({name}[1d])"), end).await;
    [value("oura_sample_night_total_sleep_seconds").await, value("oura_sample_sleep_score").await]
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
async fn an_edit_is_sent_once_as_later_samples() {
    if !there_are(&["prometheus"], "an_edit_is_sent_once_as_later_samples") {
        return;
    }
    let scene = Scene::new().await;
    let state = tempfile::tempdir().expect("a directory");
    let night = scene.night().await;
    let (time, old) = night.beat;
    // The window is counted from the newest sample that the store has.
    let prometheus = Store::prometheus(&taking(Some("30d")), &[RECEIVING]).await;
    let directory = state.path().to_str().expect("UTF-8").to_owned();
    let variables = [
        ("OURA_REMOTE_WRITE_URL", prometheus.write_url()),
        ("OURA_STATE_DIR", directory),
        ("OURA_COLLECTIONS", "sleep,daily_sleep,heartrate".to_owned()),
    ];
    let exporter = scene.exporter(&variables).await;
    eventually("the night", async || (beats(&prometheus, time, scene.clock.now()).await == [old]).then_some(())).await;
    let as_it_was = [Some(night.slept), Some(night.score)];
    eventually("its day", async || (recorded(&prometheus, scene.night).await == as_it_was).then_some(())).await;
    scene.edit();
    exporter.page_where("the page has the edit", |page| page.get(SLEPT) == Some(EDITED.0)).await;
    // Told again at the earliest a quarter of an hour later.
    scene.hand.advance(TimeDelta::minutes(40));
    let edited = [Some(EDITED.0), Some(EDITED.1)];
    eventually("the edited day", async || (recorded(&prometheus, scene.night).await == edited).then_some(())).await;
    let told = async || (beats(&prometheus, time, scene.clock.now()).await == [old, EDITED.2]).then_some(());
    eventually("the edited heart rate, a millisecond later", told).await;
    let sent = |page: &Page| page.get("oura_remote_write_pending_samples") == Some(0.0);
    let page = exporter.page_where("all is sent", sent).await;
    let now = scene.clock.now();
    let stored: f64 = prometheus.counts("15d", now, now - TimeDelta::days(15)).await.values().sum();
    assert_eq!(page.get("oura_remote_write_samples_total"), Some(stored), "nothing was sent twice");
    exporter.stop().await;
}

#[tokio::test]
async fn a_backfill_of_the_same_days_corrects_the_edited_night() {
    if !there_are(&["victoria-metrics"], "a_backfill_of_the_same_days_corrects_the_edited_night") {
        return;
    }
    let scene = Scene::new().await;
    let night = scene.night().await;
    let state = tempfile::tempdir().expect("a directory");
    let victoria = Store::victoria_metrics(&["-retentionPeriod=10y", "-dedup.minScrapeInterval=1ms"]).await;
    let url = victoria.write_url();
    let has = async |slept, score, of_the_second: &[f64]| {
        victoria.flush().await;
        let is_right = recorded(&victoria, scene.night).await == [Some(slept), Some(score)];
        (is_right && beats(&victoria, night.beat.0, scene.clock.now()).await == of_the_second).then_some(())
    };
    scene.backfill(&url, state.path()).await;
    eventually("the night as it was", async || has(night.slept, night.score, &[night.beat.1]).await).await;
    scene.edit();
    scene.hand.advance(TimeDelta::hours(2));
    scene.backfill(&url, state.path()).await;
    let both = [night.beat.1, EDITED.2];
    eventually("the edited night", async || has(EDITED.0, EDITED.1, &both).await).await;
    scene.hand.advance(TimeDelta::hours(2));
    scene.backfill(&url, state.path()).await;
    eventually("the same", async || has(EDITED.0, EDITED.1, &both).await).await;
}
