//! A night that its wearer edits in the app a day later: the page shows what holds now, and the record has both, the edited
//! one as a later sample, so that whoever asks for the day has what holds, and whoever asks what was known has that as well.

use crate::common::{
    Exporter, Page, Plan,
    backfill::config,
    eventually,
    needs::there_are,
    simulator_with,
    stores::{Points, Store, scraping},
    truth::{day_of, documents, is_night, local},
};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use oura_exporter::{
    clock::{Clock, ManualClock},
    simulator::{Scope, Simulator},
};
use serde_json::{Value, json};

const SLEPT: &str = "oura_night_total_sleep_seconds";
const SCORE: &str = "oura_sleep_score";
/// The same in the record, and one of the night's dense series.
const RECORDED: [&str; 2] = ["oura_sample_night_total_sleep_seconds", "oura_sample_sleep_score"];
const BEATS: &str = "oura_sample_night_heart_rate_bpm";
/// What nobody sleeps and no ring measures.
const EDITED: (f64, f64, f64) = (12_345.0, 42.0, 111.0);
/// A document is told again after that long at the earliest.
const LEAST_BETWEEN: TimeDelta = TimeDelta::minutes(15);

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
        let exporter = Exporter::start(config, self.clock.clone(), Plan::default().client_options).await;
        exporter.ready().await;
        exporter
    }

    /// Where a sample of the night's day stands that is learnt now.
    fn stamp(&self) -> i64 {
        let begin = self.night.and_hms_opt(0, 1, 0).expect("a time").and_utc();
        begin.timestamp_millis() + (self.clock.now() - begin).num_minutes()
    }
}

/// The first heart rate of the night, and its place.
fn first_beat(night: &Value) -> (usize, f64) {
    let items = night["heart_rate"]["items"].as_array().expect("a series");
    items.iter().enumerate().find_map(|(place, item)| Some((place, item.as_f64()?))).expect("a heart rate")
}

const NIGHTS: (&str, &str) = ("OURA_COLLECTIONS", "daily_sleep,sleep");

#[tokio::test]
async fn the_page_and_prometheus_behind_it_show_the_edited_night() {
    if !there_are(&["prometheus"], "the_page_and_prometheus_behind_it_show_the_edited_night") {
        return;
    }
    let scene = Scene::new().await;
    let night = scene.night().await;
    let exporter = scene.exporter(&[(NIGHTS.0, NIGHTS.1.to_owned())]).await;
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

/// The samples of the only series of that name around the night, in order of time.
async fn points(store: &Store, name: &str, night: NaiveDate) -> Points {
    let end = night.and_hms_opt(23, 0, 0).expect("a time").and_utc();
    let all = store.samples(name, "40h", end).await;
    assert!(all.len() < 2, "{:?}", all.keys());
    let mut points: Points = all.into_values().flatten().collect();
    points.sort_by_key(|(time, _)| *time);
    points
}

/// What a store has of the night's day, and of one of its seconds.
async fn stored(store: &Store, scene: &Scene, second: i64) -> [Points; 3] {
    let of_day = scene.night.and_hms_opt(0, 0, 0).expect("midnight").and_utc().timestamp_millis();
    let mut all =
        [points(store, RECORDED[0], scene.night).await, points(store, RECORDED[1], scene.night).await, vec![]];
    all[..2].iter_mut().for_each(|points| points.retain(|(time, _)| *time >= of_day));
    all[2] = points(store, BEATS, scene.night).await;
    all[2].retain(|(time, _)| (second..second + 1000).contains(time));
    all
}

/// The night is told, edited, and told again: at once on the page, and in the record a quarter of an hour after the first
/// telling; each sample stands where it must.
async fn told_again(scene: &Scene, exporter: &Exporter, stored: impl AsyncFn() -> [Points; 3]) {
    let Night { slept, score, beat: (second, beat) } = scene.night().await;
    let first = scene.stamp();
    let before = [vec![(first, slept)], vec![(first, score)], vec![(second, beat)]];
    eventually("the night as it was", async || (stored().await == before).then_some(())).await;
    scene.edit();
    exporter.page_where("the page has the edit", |page| page.get(SLEPT) == Some(EDITED.0)).await;
    scene.hand.advance(LEAST_BETWEEN);
    let again = scene.stamp();
    let after = [
        vec![(first, slept), (again, EDITED.0)],
        vec![(first, score), (again, EDITED.1)],
        vec![(second, beat), (second + 1, EDITED.2)],
    ];
    eventually("the edited night", async || (stored().await == after).then_some(())).await;
    let revisions = |page: &Page, collection| page.collection("oura_sample_revisions_total", collection);
    let page = exporter.page().await;
    // The night's own values and its dense samples are one revision, though two tellings.
    assert_eq!([revisions(&page, "daily_sleep"), revisions(&page, "sleep")], [Some(1.0), Some(1.0)]);
}

/// What a store answers of the night's day by the contract's idiom.
async fn assert_idiom(store: &Store, scene: &Scene) {
    let midnight = (scene.night + TimeDelta::days(1)).and_hms_opt(0, 0, 0).expect("midnight").and_utc();
    for (name, value) in RECORDED.iter().zip([EDITED.0, EDITED.1]) {
        let found = store.at(&format!("last_over_time({name}[1d])"), midnight).await;
        assert_eq!(found, Some(value), "{name}: what holds is what one asks for");
    }
}

#[tokio::test]
async fn what_is_scraped_of_the_record_has_both_and_the_edited_night_is_the_later() {
    if !there_are(&["prometheus"], "what_is_scraped_of_the_record_has_both_and_the_edited_night_is_the_later") {
        return;
    }
    let scene = Scene::new().await;
    let (second, _) = scene.night().await.beat;
    let exporter = scene.exporter(&[(NIGHTS.0, NIGHTS.1.to_owned())]).await;
    let prometheus = Store::prometheus(&scraping(exporter.address(), "/metrics/samples", Some("30d")), &[]).await;
    told_again(&scene, &exporter, async || stored(&prometheus, &scene, second).await).await;
    assert_idiom(&prometheus, &scene).await;
    exporter.stop().await;
}

#[tokio::test]
async fn what_is_sent_of_the_record_has_both_and_nothing_is_sent_twice() {
    if !there_are(&["victoria-metrics"], "what_is_sent_of_the_record_has_both_and_nothing_is_sent_twice") {
        return;
    }
    let scene = Scene::new().await;
    let (second, _) = scene.night().await.beat;
    let victoria = Store::victoria_metrics(&["-retentionPeriod=10y"]).await;
    let variables = [("OURA_REMOTE_WRITE_URL", victoria.write_url()), (NIGHTS.0, NIGHTS.1.to_owned())];
    let exporter = scene.exporter(&variables).await;
    told_again(&scene, &exporter, async || {
        victoria.flush().await;
        stored(&victoria, &scene, second).await
    })
    .await;
    assert_idiom(&victoria, &scene).await;
    let sent = |page: &Page| page.get("oura_remote_write_pending_samples") == Some(0.0);
    let page = exporter.page_where("all is sent", sent).await;
    let now = Utc::now();
    let stored: f64 = victoria.counts("20d", now, now - TimeDelta::days(20)).await.values().sum();
    assert_eq!(page.get("oura_remote_write_samples_total"), Some(stored), "nothing was sent twice");
    exporter.stop().await;
}
