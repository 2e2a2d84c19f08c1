//! Which period of sleep is the night, what a day without one shows, when a night may still grow, and hearts that do not beat:
//! on the page, and in the record.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use crate::common::{Exporter, NOON, Page, Plan, day_seconds, moment, simulator_with, truth::local};
use chrono::{DateTime, TimeDelta, Utc};
use oura_exporter::{
    clock::{Clock, ManualClock},
    simulator::{Scope, Simulator},
};
use serde_json::{Value, json};

const TODAY: &str = "2026-11-22";
const YESTERDAY: &str = "2026-11-21";

/// Alice's service and exporter, by a clock that stands at noon of her Sunday until it is moved.
struct Scene {
    simulator: Simulator,
    clock: Clock,
    hand: ManualClock,
    /// Until when the ring has synced, as far as anybody can tell; none: as the service has it.
    synced: Arc<Mutex<Option<DateTime<Utc>>>>,
}

impl Scene {
    async fn new() -> Self {
        let (clock, hand) = Clock::driven_from(moment(NOON));
        let scene = Self { simulator: simulator_with(clock.clone()).await, clock, hand, synced: Arc::default() };
        scene.cut_at_the_sync();
        scene
    }

    fn edit(&self, collection: &str, edit: impl Fn(&mut Vec<Value>) + Send + Sync + 'static) {
        self.simulator.faults().edit(Scope::collection(collection), edit);
    }

    /// From now on that day has these periods of sleep, and no others.
    fn sleeps(&self, day: &'static str, periods: Vec<Value>) {
        self.edit("sleep", move |documents| {
            documents.retain(|document| document["day"] != day);
            documents.extend(periods.iter().cloned());
        });
    }

    /// That day has no sleep score.
    fn unscored(&self, day: &'static str) {
        self.edit("daily_sleep", move |documents| documents.retain(|document| document["day"] != day));
    }

    /// As far as anybody can tell, the ring has synced until then and not again.
    fn synced_until(&self, until: &str) {
        *self.synced.lock().expect("no panic") = Some(moment(&format!("{TODAY}T{until}Z")));
    }

    fn cut_at_the_sync(&self) {
        for rows in ["heartrate", "ring_battery_level"] {
            let synced = Arc::clone(&self.synced);
            self.edit(rows, move |rows| {
                let Some(synced) = *synced.lock().expect("no panic") else { return };
                rows.retain(|row| local(&row["timestamp"]) <= synced);
                let last = rows.last().cloned();
                rows.extend(last.map(|mut last| {
                    last["timestamp"] = json!(synced.to_rfc3339());
                    last
                }));
            });
        }
        let synced = Arc::clone(&self.synced);
        self.edit("daily_activity", move |days| {
            let Some(synced) = *synced.lock().expect("no panic") else { return };
            for day in days {
                let minutes = (synced - local(&day["timestamp"]).to_utc()).num_minutes().clamp(0, 1440);
                let classes = day["class_5_min"].as_str().unwrap_or_default().chars();
                day["class_5_min"] = json!(classes.take(minutes as usize / 5).collect::<String>());
            }
        });
    }

    async fn exporter(&self) -> Exporter {
        Plan::default().often().by(self.clock.clone()).ready(&self.simulator).await
    }

    /// The page of an exporter that begins now.
    async fn page(&self) -> Page {
        let exporter = self.exporter().await;
        let page = exporter.page().await;
        exporter.stop().await;
        page
    }
}

/// A period of sleep of today between these times by alice's clock.
fn period(kind: &str, (start, end): (&str, &str), asleep: u32) -> Value {
    let time = |text: &str| if text.contains('T') { text.to_owned() } else { format!("{TODAY}T{text}:00+02:00") };
    json!({
        "id": format!("{kind}-{}", start.replace([':', '+'], "-")), "day": TODAY, "type": kind, "bedtime_start": time(start),
        "bedtime_end": time(end), "total_sleep_duration": asleep, "time_in_bed": asleep + 600, "period": 0,
        "low_battery_alert": false, "average_heart_rate": 55.5, "lowest_heart_rate": 48, "average_hrv": 60,
    })
}

/// What a day shows: of which day, the night's sleep, naps, seconds of naps, and of all.
fn shown(page: &Page) -> (Option<f64>, [Option<f64>; 4]) {
    let values = ["night_total_sleep_seconds", "day_naps", "day_nap_seconds", "day_total_sleep_seconds"];
    (page.day("sleep"), values.map(|name| page.get(&format!("oura_{name}"))))
}

/// The samples of the record of that name, by its labels and in order of time.
async fn recorded(exporter: &Exporter, name: &str) -> BTreeMap<String, Vec<(i64, f64)>> {
    let (status, page) = exporter.get("/metrics/samples?learnt=14d").await;
    assert_eq!(status, 200, "{page}");
    let mut all = BTreeMap::<String, Vec<(i64, f64)>>::new();
    for line in page.lines().filter(|line| line.starts_with(&format!("oura_sample_{name}{{"))) {
        let words: Vec<_> = line.rsplitn(3, ' ').collect();
        let point = (words[0].parse().expect("a time"), words[1].parse().expect("a number"));
        all.entry(words[2].split_once('{').expect("labels").1.to_owned()).or_default().push(point);
    }
    all
}

/// What the record has of today for a metric without labels: its values, oldest first.
async fn of_today(exporter: &Exporter, name: &str) -> Vec<f64> {
    let begin = moment("2026-11-22T00:01:00Z").timestamp_millis();
    let all = recorded(exporter, name).await.into_values().flatten();
    all.filter(|(time, _)| (begin..begin + 3_540_000).contains(time)).map(|(_, value)| value).collect()
}

#[tokio::test]
async fn a_short_night_is_a_day_without_a_night_and_last_nights_is_not_held_over() {
    let short = || period("sleep", ("02:10", "05:00"), 9_600);
    for (periods, naps, seconds) in [
        (vec![short()], 1.0, 9_600.0),
        (vec![short(), period("sleep", ("06:00", "07:30"), 4_800)], 2.0, 14_400.0),
        (vec![short(), period("late_nap", ("10:00", "10:40"), 2_000)], 2.0, 11_600.0),
        (vec![short(), period("rest", ("09:00", "09:40"), 2_000)], 1.0, 9_600.0),
        (vec![short(), period("deleted", ("09:00", "09:40"), 2_000)], 1.0, 9_600.0),
    ] {
        let scene = Scene::new().await;
        scene.sleeps(TODAY, periods);
        let exporter = scene.exporter().await;
        let page = exporter.page().await;
        let expected = [None, Some(naps), Some(seconds), Some(seconds)];
        assert_eq!(shown(&page), (day_seconds(TODAY), expected));
        assert_eq!(page.starting_with("oura_night"), Vec::<&str>::new(), "yesterday's night leaves");
        assert!(page.get("oura_sleep_score").is_some(), "the score that the day has");
        assert_eq!(of_today(&exporter, "day_total_sleep_seconds").await, [seconds]);
        assert_eq!(of_today(&exporter, "night_total_sleep_seconds").await, Vec::<f64>::new());
        exporter.stop().await;
    }
}

#[tokio::test]
async fn a_nap_replaces_last_night_only_once_the_day_has_a_score_or_is_over() {
    let scene = Scene::new().await;
    scene.sleeps(TODAY, vec![period("sleep", ("12:00", "12:30"), 1_500)]);
    scene.unscored(TODAY);
    let exporter = scene.exporter().await;
    let page = exporter.page().await;
    assert_eq!(page.day("sleep"), day_seconds(YESTERDAY));
    assert!(page.get("oura_night_total_sleep_seconds").is_some_and(|seconds| seconds > 10_000.0));
    assert_eq!(of_today(&exporter, "day_naps").await, Vec::<f64>::new(), "nor is it told of before");
    // Midnight in Helsinki is at 22:00 UTC; a score of a day that is over comes late, or never.
    scene.hand.advance(TimeDelta::hours(10));
    let page = exporter.page_where("the day is over", |page| page.day("sleep") == day_seconds(TODAY)).await;
    assert_eq!(shown(&page).1, [None, Some(1.0), Some(1_500.0), Some(1_500.0)]);
    assert_eq!(of_today(&exporter, "day_naps").await, [1.0]);
    exporter.stop().await;
    // And where there is a score, at once.
    let scene = Scene::new().await;
    scene.sleeps(TODAY, vec![period("sleep", ("12:00", "12:30"), 1_500)]);
    assert_eq!(shown(&scene.page().await), (day_seconds(TODAY), [None, Some(1.0), Some(1_500.0), Some(1_500.0)]));
}

#[tokio::test]
async fn a_late_nap_alone_is_no_short_night() {
    let scene = Scene::new().await;
    scene.sleeps(TODAY, vec![period("late_nap", ("12:00", "12:30"), 1_500)]);
    assert_eq!(shown(&scene.page().await).0, day_seconds(YESTERDAY));
}

#[tokio::test]
async fn a_night_is_settled_half_an_hour_of_syncs_or_six_hours_after_its_end() {
    let end = moment("2026-11-22T09:30:00Z");
    for (synced, now, settled) in [
        ("09:30:00", "10:00:00", 0.0),
        ("09:55:00", "10:00:00", 0.0),
        ("10:00:00", "10:00:00", 1.0),
        ("09:59:00", "15:29:00", 0.0),
        ("09:30:00", "15:30:00", 1.0),
        ("12:00:00", "12:00:00", 1.0),
    ] {
        let at = |time: &str| moment(&format!("{TODAY}T{time}Z"));
        let scene = Scene::new().await;
        scene.hand.advance(at(now) - scene.clock.now());
        scene.sleeps(TODAY, vec![period("long_sleep", ("01:00", "11:30"), 25_000)]);
        scene.synced_until(synced);
        let exporter = scene.exporter().await;
        let page = exporter.page().await;
        let what = format!("synced until {synced}, seen at {now}");
        assert_eq!(page.get("oura_night_bedtime_end_timestamp_seconds"), Some(end.timestamp() as f64));
        assert_eq!(page.get("oura_night_settled"), Some(settled), "{what}");
        assert_eq!(page.get("oura_night_total_sleep_seconds"), Some(25_000.0), "{what}: it is shown at once");
        assert_eq!(of_today(&exporter, "night_settled").await, [settled], "{what}");
        exporter.stop().await;
    }
}

/// The app was opened at 02:40, which makes a night that "ended" at 02:39.
#[tokio::test]
async fn a_night_that_grows_is_settled_only_at_its_last_end_and_its_samples_wait_for_that() {
    let scene = Scene::new().await;
    let start = moment("2026-11-22T00:45:00Z");
    scene.hand.advance(start - scene.clock.now());
    let cut = |end: &str, asleep: u32| {
        let mut night = period("long_sleep", ("2026-11-21T23:00:00+02:00", end), asleep);
        let minutes = asleep / 60;
        night["movement_30_sec"] = json!("1".repeat(minutes as usize * 2));
        night
    };
    scene.sleeps(TODAY, vec![cut("02:39", 12_000)]);
    scene.synced_until("00:40:00");
    let exporter = scene.exporter().await;
    let page = exporter.page().await;
    assert_eq!((page.get("oura_night_settled"), shown(&page).1[0]), (Some(0.0), Some(12_000.0)));
    let dense = async |exporter: &Exporter| {
        let from = moment("2026-11-21T21:00:00Z").timestamp_millis();
        let all = recorded(exporter, "movement").await.into_values().flatten();
        all.filter(|(time, _)| *time >= from).count()
    };
    assert_eq!(dense(&exporter).await, 0, "what may grow is not told second by second");
    // The wearer slept on, and looks again in the morning.
    scene.hand.advance(moment("2026-11-22T06:20:00Z") - start);
    scene.synced_until("06:15:00");
    scene.sleeps(TODAY, vec![cut("08:10", 30_000)]);
    let grown = |page: &Page| shown(page).1[0] == Some(30_000.0);
    let page = exporter.page_where("the whole night", grown).await;
    assert_eq!(page.get("oura_night_settled"), Some(0.0), "it has only just ended");
    assert_eq!(dense(&exporter).await, 0);
    scene.hand.advance(TimeDelta::minutes(40));
    scene.synced_until("06:55:00");
    exporter.page_where("it is settled", |page| page.get("oura_night_settled") == Some(1.0)).await;
    crate::common::eventually("its samples", async || (dense(&exporter).await == 1_000).then_some(())).await;
    assert_eq!(of_today(&exporter, "night_total_sleep_seconds").await, [12_000.0, 30_000.0]);
    assert_eq!(of_today(&exporter, "night_settled").await, [0.0, 1.0]);
    exporter.stop().await;
}

#[tokio::test]
async fn periods_that_overlap_count_once() {
    let night = || period("long_sleep", ("00:00", "08:00"), 27_000);
    for (what, more, naps, nap_seconds, all) in [
        ("a nap within the night", vec![period("sleep", ("03:00", "04:00"), 3_000)], 0.0, 0.0, 27_000.0),
        ("the same night twice", vec![night()], 0.0, 0.0, 27_000.0),
        ("a shorter night at its end", vec![period("long_sleep", ("05:00", "09:00"), 13_000)], 0.0, 0.0, 27_000.0),
        ("a longer nap over its end", vec![period("sleep", ("07:50", "10:00"), 7_000)], 0.0, 0.0, 27_000.0),
        ("a nap that begins as it ends", vec![period("sleep", ("08:00", "08:30"), 1_500)], 1.0, 1_500.0, 28_500.0),
        ("another long sleep after it", vec![period("long_sleep", ("09:00", "11:00"), 6_000)], 0.0, 0.0, 33_000.0),
        (
            "two naps of one time and one apart",
            vec![
                period("sleep", ("10:00", "10:30"), 1_500),
                period("late_nap", ("10:20", "11:20"), 3_000),
                period("sleep", ("11:30", "11:50"), 1_000),
            ],
            2.0,
            4_000.0,
            31_000.0,
        ),
        ("what does not count is in nobody's way", vec![period("rest", ("07:00", "09:00"), 9_000)], 0.0, 0.0, 27_000.0),
    ] {
        for is_first in [true, false] {
            let scene = Scene::new().await;
            let (mut periods, night) = (more.clone(), vec![night()]);
            periods = if is_first { [night, periods].concat() } else { [periods, night].concat() };
            scene.sleeps(TODAY, periods);
            let expected = [Some(27_000.0), Some(naps), Some(nap_seconds), Some(all)];
            assert_eq!(shown(&scene.page().await), (day_seconds(TODAY), expected), "{what}");
        }
    }
}

#[tokio::test]
async fn a_nap_that_comes_later_revises_the_sums_of_its_day_and_one_that_is_gone_again_does_too() {
    let scene = Scene::new().await;
    let (night, first) = (period("long_sleep", ("00:00", "08:00"), 27_000), period("sleep", ("10:00", "10:30"), 1_500));
    let second = period("sleep", ("12:30", "13:10"), 2_000);
    scene.sleeps(TODAY, vec![night.clone(), first.clone()]);
    let exporter = scene.exporter().await;
    let naps = async |expected: [&[f64]; 3]| {
        let found = async || {
            let names = ["day_naps", "day_nap_seconds", "day_total_sleep_seconds"];
            let [naps, seconds, all] = names.map(|name| of_today(&exporter, name));
            ([naps.await, seconds.await, all.await] == expected).then_some(())
        };
        crate::common::eventually("the sums of the day", found).await;
    };
    naps([&[1.0], &[1_500.0], &[28_500.0]]).await;
    scene.hand.advance(TimeDelta::minutes(70));
    scene.sleeps(TODAY, vec![night.clone(), first.clone(), second.clone()]);
    naps([&[1.0, 2.0], &[1_500.0, 3_500.0], &[28_500.0, 30_500.0]]).await;
    let own = recorded(&exporter, "nap_seconds").await.into_values().flatten();
    let own: Vec<_> = own.filter(|(time, _)| *time > moment("2026-11-22T07:00:00Z").timestamp_millis()).collect();
    let at = |time: &str, after: i64| moment(&format!("{TODAY}T{time}Z")).timestamp_millis() + after;
    assert_eq!(own, [(at("08:00:00", 240), 1_500.0), (at("10:30:00", 160), 2_000.0)], "each at its own beginning");
    // The wearer says that it was no sleep.
    scene.hand.advance(TimeDelta::minutes(70));
    scene.sleeps(TODAY, vec![night, first, period("deleted", ("12:30", "13:10"), 2_000)]);
    naps([&[1.0, 2.0, 1.0], &[1_500.0, 3_500.0, 1_500.0], &[28_500.0, 30_500.0, 28_500.0]]).await;
    exporter.stop().await;
}

#[tokio::test]
async fn a_heart_that_does_not_beat_has_no_rate() {
    for (average, lowest, shows) in [
        (json!(0.0), json!(0), [None, None]),
        (json!(0), json!(255), [None, None]),
        (json!(0.0), Value::Null, [None, None]),
        (json!(-1), json!(255.0), [None, None]),
        (json!(55.5), json!(255), [Some(55.5), None]),
        (json!(0), json!(48), [None, Some(48.0)]),
        (json!(254.5), json!(254), [Some(254.5), Some(254.0)]),
        (json!(1), json!(1), [Some(1.0), Some(1.0)]),
    ] {
        let scene = Scene::new().await;
        let mut night = period("long_sleep", ("00:00", "08:00"), 27_000);
        (night["average_heart_rate"], night["lowest_heart_rate"]) = (average.clone(), lowest.clone());
        night["heart_rate"] = json!({
            "interval": 300.0, "items": [0, 48, null, 0.0, 49, -3], "timestamp": "2026-11-22T00:00:00.000+02:00"
        });
        scene.sleeps(TODAY, vec![night]);
        let exporter = scene.exporter().await;
        let page = exporter.page().await;
        let names = ["night_average_heart_rate_bpm", "night_lowest_heart_rate_bpm"];
        let what = format!("{average} and {lowest}");
        assert_eq!(names.map(|name| page.get(&format!("oura_{name}"))), shows, "{what}");
        for (name, shown) in names.iter().zip(shows) {
            assert_eq!(of_today(&exporter, name).await, Vec::from_iter(shown), "{what}: {name}");
        }
        let from = moment("2026-11-21T22:00:00Z").timestamp_millis();
        let own = recorded(&exporter, "night_heart_rate_bpm").await.into_values().flatten();
        let own: Vec<_> = own.filter(|(time, _)| *time >= from).collect();
        assert_eq!(own, [(from + 300_000, 48.0), (from + 1_200_000, 49.0)]);
        exporter.stop().await;
    }
}

#[tokio::test]
async fn rows_of_heart_rate_of_one_second_are_one_series_each_and_those_without_a_beat_none() {
    let scene = Scene::new().await;
    scene.edit("heartrate", |rows| {
        let row = |time: &str, bpm: Value, source: &str| {
            json!({ "timestamp": format!("{TODAY}T{time}Z"), "bpm": bpm, "source": source })
        };
        *rows = vec![
            row("09:00:00.000", json!(61), "awake"),
            row("09:00:00.000", json!(62), "live"),
            row("09:00:00.000", json!(63), "workout"),
            row("09:00:30.000", json!(0), "awake"),
            row("09:01:00.000", Value::Null, "awake"),
            row("09:01:30.000", json!(-1), "live"),
            row("09:02:00.000", json!(70), "awake"),
            row("09:02:00.000", json!(71), "awake"),
        ];
    });
    let exporter = scene.exporter().await;
    let page = exporter.page().await;
    let day = ["minimum", "maximum"].map(|of| page.get(&format!("oura_heart_rate_day_{of}_bpm")));
    assert_eq!(day, [Some(61.0), Some(71.0)]);
    let at = |time: &str| moment(&format!("{TODAY}T{time}Z")).timestamp_millis();
    let series = |source: &str| format!("account=\"alice\",source=\"{source}\"}}");
    let expected = BTreeMap::from([
        // Of two rows of one second and one source, the last counts.
        (series("awake"), vec![(at("09:00:00"), 61.0), (at("09:02:00"), 71.0)]),
        (series("live"), vec![(at("09:00:00"), 62.0)]),
        (series("workout"), vec![(at("09:00:00"), 63.0)]),
    ]);
    assert_eq!(recorded(&exporter, "heart_rate_bpm").await, expected);
    scene.hand.advance(TimeDelta::hours(2));
    exporter.page_where("another poll", |page| page.get("oura_up") == Some(1.0)).await;
    assert_eq!(recorded(&exporter, "heart_rate_bpm").await, expected, "and nothing again");
    exporter.stop().await;
}
