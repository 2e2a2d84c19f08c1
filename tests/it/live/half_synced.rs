//! Days that the ring has synced only in part: nothing that Oura filled in is told, and after each sync all that it brought.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use fastrand::Rng;
use serde_json::Value;

use super::{
    book::documents,
    by_hand::ByHand,
    dense::classes,
    parse,
    scene::{SEED, Scene},
    tell,
};
use crate::common::truth::local;

/// How long it is lived, in days.
const DAYS: i64 = 7;
const MET: &str = "oura_sample_met{account=\"bob\"}";
const SLOT: TimeDelta = TimeDelta::minutes(5);
/// How many slots before the end of what is known are not, until the day is over.
const UNSURE: i32 = 2;
const DAY: TimeDelta = TimeDelta::hours(24);

/// The activity of the days around `now`, as it can be read then, or as it is in the end.
fn activity(scene: &Scene, at: DateTime<Utc>) -> Vec<Value> {
    let day = scene.now().date_naive();
    let days = (-2..=1).map(|shift| day + TimeDelta::days(shift));
    days.flat_map(|day| documents(&scene.simulator, scene.book.person, "daily_activity", day, at)).collect()
}

/// Each minute of a day and what it says, with what is padding.
fn minutes(document: &Value) -> impl Iterator<Item = (DateTime<Utc>, f64)> {
    let begin = local(&document["met"]["timestamp"]).to_utc();
    let values = document["met"]["items"].as_array().expect("values").iter();
    let minutes = values.map(|value| value.as_f64().expect("a number"));
    (0..).map(move |minute| begin + TimeDelta::minutes(minute)).zip(minutes.collect::<Vec<_>>())
}

/// Until when a day's minutes are to be told that can be read at `now`.
fn known_until(document: &Value, now: DateTime<Utc>) -> DateTime<Utc> {
    let begin = local(&document["timestamp"]).to_utc();
    let slots = i32::try_from(classes(document).len()).expect("a few");
    begin + SLOT * if begin + DAY <= now { slots } else { slots - UNSURE }
}

/// The minutes that were told, and how many of them the ring had not synced by then: what Oura says of those is filled in.
#[derive(Default)]
struct Minutes {
    told: BTreeMap<DateTime<Utc>, f64>,
    padding: usize,
}

impl Minutes {
    /// Takes those of `page`, which has what was learnt now.
    fn take(&mut self, scene: &Scene, page: &str) {
        let (now, ever) = (scene.now(), scene.now() - TimeDelta::days(8));
        let synced = scene.simulator.syncs(scene.book.person, ever, now).last().copied().expect("a sync");
        let of_met: Vec<_> = page.lines().filter(|line| line.starts_with("oura_sample_met{")).collect();
        for (time, value) in parse(&of_met.join("\n")).remove(MET).unwrap_or_default() {
            let minute = DateTime::from_timestamp_millis(time).expect("a time");
            self.padding += usize::from(minute + TimeDelta::minutes(1) > synced);
            assert_eq!(self.told.insert(minute, value), None, "{minute} was told before");
        }
    }

    /// All that can be read and is known for good was told, at its own second and with its own value.
    fn assert_whole(&self, scene: &Scene) -> usize {
        let now = scene.now();
        let from = now - TimeDelta::hours(30);
        let mut count = 0;
        for document in activity(scene, now) {
            let until = known_until(&document, now);
            for (minute, value) in minutes(&document).filter(|(minute, _)| *minute < until && *minute >= from) {
                assert_eq!(self.told.get(&minute), Some(&value), "{minute} at {now}, known until {until}");
                count += 1;
            }
        }
        count
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_half_synced_days_no_padding_is_told_and_after_each_sync_all_the_rest_at_its_own_second() {
    let (mut random, scene) = (Rng::with_seed(SEED), Scene::new("bob").await);
    let variables = [scene.variables(), vec![("OURA_COLLECTIONS", "daily_activity".to_owned())]].concat();
    let mut exporter = ByHand::start(variables, "127.0.0.1:1", scene.clock.clone());
    let mut minutes = Minutes::default();
    let (mut compared, mut halves, mut syncs) = (0, 0, 0);
    while scene.lived() < TimeDelta::days(DAYS) {
        exporter.look().await;
        minutes.take(&scene, &exporter.get("/metrics/samples?learnt=1m").await);
        compared += minutes.assert_whole(&scene);
        halves += usize::from(activity(&scene, scene.now()).iter().any(|day| classes(day).len() < 288));
        let step = TimeDelta::minutes(random.i64(16..150));
        syncs += scene.simulator.syncs("bob", scene.now(), scene.now() + step).len();
        scene.advance(step);
    }
    let told = minutes.told.len();
    tell(&format!(
        "{told} minutes of MET over {syncs} syncs, {} of them padding; {compared} compared",
        minutes.padding
    ));
    assert_eq!(minutes.padding, 0);
    assert!(told > 10_000 && halves > 60 && syncs > 100, "{told} minutes, {halves} looks at half a day, {syncs} syncs");
}
