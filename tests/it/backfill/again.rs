//! Backfills over what stands already: what is right stays as it is, and what changed in the meantime is corrected.

use std::{collections::BTreeMap, path::Path};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use oura_exporter::{
    clock::Clock,
    simulator::{Scope, Settings, Simulator},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    ALL, answers,
    documents::{Documents, Parts, Points, assert_same_days, assert_same_points, by_time, differences},
    tell,
};
use crate::{
    common::{
        backfill::Run,
        eventually, moment,
        needs::there_are,
        samples::{Samples, files},
        servers::import,
        stores::{RECEIVING, Store},
    },
    record::expected::{Values, is_tally, local},
    record::world::{Course, World},
};

const RETENTION: &str = "--storage.tsdb.retention.time=10y";
const ALICE: &str = "alice";

/// A week and more of alice's with a live exporter, and the stores that it filled: by scrapes, and by remote write.
struct Scene {
    world: World,
    /// Of which all is in the stores.
    days: (NaiveDate, NaiveDate),
    database: TempDir,
    prometheus: Store,
    victoria: Store,
}

/// Both answers of a store: of days, and of seconds.
type Answers = (BTreeMap<NaiveDate, Values>, Points);

fn scraping(address: &str) -> String {
    format!(
        "global: {{scrape_interval: 400ms, scrape_timeout: 400ms}}\nscrape_configs:\n\
         - job_name: oura\n  scrape_interval: 5s\n  static_configs: [{{targets: ['{address}']}}]\n\
         - job_name: oura-samples\n  metrics_path: /metrics/samples\n  static_configs: [{{targets: ['{address}']}}]\n  \
         metric_relabel_configs: [{{target_label: job, replacement: oura}}]\n\
         storage: {{tsdb: {{out_of_order_time_window: 400d}}}}\n"
    )
}

impl Scene {
    /// So many days are lived; in the last `out`, Oura is out of reach.
    async fn lived(days: i64, out: i64) -> Self {
        let end = Utc::now().timestamp() - 3 * 3600;
        let end = DateTime::from_timestamp(end - end.rem_euclid(3600), 0).expect("a time");
        let start = end - TimeDelta::days(days);
        let victoria = Store::victoria_metrics(&["-retentionPeriod=10y", "-dedup.minScrapeInterval=1ms"]).await;
        let outage = (out > 0).then(|| end - TimeDelta::days(out)..end + TimeDelta::days(1));
        let remote_write_url = Some(victoria.write_url());
        let (people, restarts) = (&[ALICE][..], vec![]);
        let mut world = World::new(Course {
            people,
            start,
            days,
            seed: 5,
            restarts,
            outage,
            remote_write_url,
            has_traveller: false,
        })
        .await;
        let database = tempfile::tempdir().expect("a directory");
        let flags = [RETENTION, RECEIVING];
        let prometheus = Store::prometheus_in(database.path(), &scraping(world.address()), &flags).await;
        world.live().await;
        world.simulator.faults().clear();
        let scene = Self { world, days: (start.date_naive(), end.date_naive()), database, prometheus, victoria };
        eventually("all is sent and stands in both", async || {
            let [scraped, sent] = scene.answers().await;
            // One of them keeps numbers as decimals.
            let are_same = |one: &Points, other: &Points| differences(one, other).1.is_empty();
            (are_same(&scraped.1, &sent.1) && are_same(&by_time(&scraped.0), &by_time(&sent.0))).then_some(())
        })
        .await;
        scene
    }

    async fn answers(&self) -> [Answers; 2] {
        self.victoria.flush().await;
        let mut both = Vec::new();
        for store in [&self.prometheus, &self.victoria] {
            let days = answers::days(store, ALICE, self.days).await;
            both.push((days, answers::dense(store, ALICE, self.days).await));
        }
        both.try_into().expect("two")
    }

    fn run(&self) -> Run {
        let state = Some(self.world.state.path().to_owned());
        Run { person: ALICE, collections: ALL, days: self.days, clock: self.world.clock.clone(), state }
    }

    /// Brings these days in once more: by files for Prometheus, and by remote write for the other.
    async fn bring_in(self) -> (Self, Samples) {
        let directory = tempfile::tempdir().expect("a directory");
        let simulator = &self.world.simulator;
        self.run().into_files_for(self.world.address(), simulator, directory.path()).await;
        self.run().send_for(self.world.address(), simulator, &self.victoria.write_url()).await;
        // A database with new blocks is read anew.
        self.prometheus.stop().await;
        let data = self.database.path().join("data");
        files(directory.path()).iter().for_each(|file| import(file, &data));
        let config = scraping(self.world.address());
        let prometheus = Store::prometheus_in(self.database.path(), &config, &[RETENTION, RECEIVING]).await;
        (Self { prometheus, ..self }, Samples::of_files(directory.path()))
    }
}

fn assert_same(told: &Answers, expected: &Answers, what: &str) {
    assert_same_days(&told.0, &expected.0, what);
    assert_same_points(&told.1, &expected.1, &format!("{what}, by the second"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_stretch_that_stands_already_nothing_changes() {
    const NAME: &str = "over_a_stretch_that_stands_already_nothing_changes";
    if !there_are(&["prometheus", "promtool", "victoria-metrics"], NAME) {
        return;
    }
    let scene = Scene::lived(3, 0).await;
    let [scraped, sent] = scene.answers().await;
    assert!(scraped.0.len() >= 3 && scraped.1["oura_sample_met"].len() > 4_000, "a stretch stands");
    let (scene, _) = scene.bring_in().await;
    let [by_files, by_remote_write] = scene.answers().await;
    assert_same(&by_files, &scraped, "by files over what was scraped");
    assert_same(&by_remote_write, &sent, "by remote write over what was sent");
    // Prometheus takes remote write too, and refuses nothing of what it has.
    scene.run().send_for(scene.world.address(), &scene.world.simulator, &scene.prometheus.write_url()).await;
    assert_same(&scene.answers().await[0], &scraped, "by remote write over what was scraped");
}

/// What changed while nobody looked: minutes of MET, movements of a night, beats, and what kinds of workout they were.
fn revise(simulator: &Simulator, day: NaiveDate) {
    let named = day.to_string();
    let faults = simulator.faults();
    let is_of = move |document: &Value| document["day"] == named;
    let of_day = is_of.clone();
    faults.edit(Scope::collection("daily_activity"), move |days| {
        for day in days.iter_mut().filter(|day| of_day(day)) {
            (300..310).for_each(|minute| day["met"]["items"][minute] = json!(3.25));
            day["steps"] = json!(12_345);
        }
    });
    faults.edit(Scope::collection("sleep"), move |periods| {
        for night in periods.iter_mut().filter(|period| is_of(period)) {
            let moved = night["movement_30_sec"].as_str().map(|digits| format!("4343{}", &digits[4..]));
            night["movement_30_sec"] = json!(moved);
        }
    });
    let noon = day.and_hms_opt(12, 0, 0).expect("noon").and_utc();
    faults.edit(Scope::collection("heartrate"), move |rows| {
        let hour = noon..noon + TimeDelta::hours(1);
        for row in
            rows.iter_mut().filter(|row| local(&row["timestamp"]).is_some_and(|time| hour.contains(&time.to_utc())))
        {
            row["bpm"] = json!(row["bpm"].as_i64().expect("beats") + 3);
        }
    });
    faults.edit(Scope::collection("workout"), |workouts| {
        workouts.iter_mut().for_each(|workout| workout["activity"] = json!("gardening"));
    });
}

/// The same but for parts of sums that are gone, which are zero.
fn without_the_gone(
    mut days: BTreeMap<NaiveDate, Values>,
    expected: &BTreeMap<NaiveDate, Values>,
) -> BTreeMap<NaiveDate, Values> {
    for (day, values) in &mut days {
        let is_gone =
            |series: &str| is_tally(series) && !expected.get(day).is_some_and(|values| values.contains_key(series));
        values.retain(|series, value| *value != 0.0 || !is_gone(series));
    }
    days
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stretch_whose_last_revisions_were_missed_is_corrected() {
    const NAME: &str = "a_stretch_whose_last_revisions_were_missed_is_corrected";
    if !there_are(&["prometheus", "promtool", "victoria-metrics"], NAME) {
        return;
    }
    let scene = Scene::lived(4, 2).await;
    let before = scene.answers().await;
    revise(&scene.world.simulator, scene.days.0 + TimeDelta::days(1));
    let now = scene.world.clock.now();
    let documents = Documents::of(&scene.world.simulator, ALICE, ALL, scene.days, now).await;
    let sent = documents.parts();
    let in_files = documents.in_files().parts();
    let (scene, told) = scene.bring_in().await;
    let is_corrected = |[_, victoria]: &[Answers; 2]| {
        let days = without_the_gone(victoria.0.clone(), &sent.days);
        differences(&by_time(&days), &by_time(&sent.days)).1.is_empty()
            && differences(&victoria.1, &seconds(&sent.dense)).1.is_empty()
    };
    let after = answers::in_the_end(async || scene.answers().await, is_corrected).await;
    let both = [(&in_files, &before[0], &after[0], "by files"), (&sent, &before[1], &after[1], "by remote write")];
    for (expected, before, after, what) in both {
        let days = without_the_gone(after.0.clone(), &expected.days);
        assert_same_days(&days, &expected.days, &format!("corrected {what}"));
        assert_same_points(&after.1, &seconds(&expected.dense), &format!("corrected {what}, by the second"));
        let minutes = |points: &Points| points["oura_sample_met"].values().filter(|met| **met == 3.25).count();
        assert!(minutes(&before.1) < 10 && minutes(&after.1) >= 10, "there was something to correct");
        assert_ne!(before.0, after.0);
    }
    let later =
        told.all().filter(|(series, time, _)| series.starts_with("oura_sample_met") && time % 1_000 == 1).count();
    assert_eq!(later, 10, "minutes of MET that stand a millisecond after what was told first");
    let zero = told
        .all()
        .filter(|(series, _, value)| series.starts_with("oura_sample_day_workouts{") && *value == 0.0)
        .count();
    assert!(zero > 0, "a kind of workout that is none any more is told as zero");
}

/// By whole seconds.
fn seconds(points: &Points) -> Points {
    let whole = |times: &BTreeMap<i64, f64>| {
        times.iter().map(|(time, value)| (time.div_euclid(1_000) * 1_000, *value)).collect()
    };
    points.iter().map(|(series, times)| (series.clone(), whole(times))).collect()
}

/// What a backfill of alice's last days tells at `at`, with what is noted in `state`.
async fn told(simulator: &Simulator, state: &Path, at: DateTime<Utc>) -> Samples {
    let days = (at.date_naive() - TimeDelta::days(6), at.date_naive());
    let directory = tempfile::tempdir().expect("a directory");
    let state = Some(state.to_owned());
    let run = Run { person: ALICE, collections: ALL, days, clock: Clock::still_at(at), state };
    run.into_files(simulator, directory.path()).await;
    Samples::of_run(directory.path())
}

/// The samples of their own second, of those learnt about `at`, that stand `later` milliseconds into it.
fn at_millisecond(samples: &Samples, at: DateTime<Utc>, later: i64) -> Points {
    let mut points = Parts::of(samples, at).dense;
    points.values_mut().for_each(|times| times.retain(|time, _| time % 1_000 == later));
    points.retain(|_, times| !times.is_empty());
    points
}

#[tokio::test]
async fn a_backfill_knows_what_the_one_before_it_told() {
    let at = moment("2026-09-20T09:00:00Z");
    oura_exporter::tls::choose_provider();
    let settings = Settings { clock: Clock::still_at(at).into(), full_days: Some(0), ..Settings::default() };
    let simulator = Simulator::start(settings).await.expect("a free port");
    let state = tempfile::tempdir().expect("a directory");
    let first = told(&simulator, state.path(), at).await;
    assert_eq!(at_millisecond(&first, at, 1), Points::new());
    told(&simulator, state.path(), at).await.assert_same(&first, "the same again");
    let revised = at.date_naive() - TimeDelta::days(3);
    revise(&simulator, revised);
    let second = told(&simulator, state.path(), at + TimeDelta::minutes(7)).await;
    let days = (at.date_naive() - TimeDelta::days(6), at.date_naive());
    let later = at + TimeDelta::minutes(7);
    let expected = Documents::of(&simulator, ALICE, ALL, days, later).await.in_files().parts().dense;
    let (changed, told_first) = (at_millisecond(&second, at, 1), Parts::of(&first, at).dense);
    for (series, times) in &changed {
        for (time, value) in times {
            assert_eq!(expected[series].get(&(time - 1)), Some(value), "{series} at {time}");
            assert_ne!(told_first[series].get(&(time - 1)), Some(value), "{series} at {time}");
        }
    }
    let count =
        |name: &str| changed.iter().filter(|(series, _)| series.starts_with(name)).map(|(_, times)| times.len()).sum();
    let [met, beats, movements]: [usize; 3] =
        ["oura_sample_met", "oura_sample_heart_rate", "oura_sample_movement"].map(count);
    tell(&format!("told a millisecond later: {met} minutes, {beats} beats, {movements} movements"));
    assert!(met == 10 && beats > 3 && movements > 0, "{met} {beats} {movements}");
    assert_same_points(&seconds(&Parts::of(&second, at).dense), &seconds(&expected), "what is told of each second");
    told(&simulator, state.path(), later).await.assert_same(&second, "once corrected, it stays");
    simulator.faults().clear();
    let third = told(&simulator, state.path(), at + TimeDelta::hours(2)).await;
    assert_eq!(
        at_millisecond(&third, at, 2).values().map(BTreeMap::len).sum::<usize>(),
        met + beats + movements,
        "and back"
    );
    let last = told(&simulator, tempfile::tempdir().expect("a directory").path(), at).await;
    last.assert_same(&first, "where nothing is known, all stands at its own second");
}
