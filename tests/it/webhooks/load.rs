//! How fast events are shown, and what a flood of them costs.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use futures_util::{StreamExt as _, stream};
use oura_exporter::{
    clock::Clock,
    simulator::{Event, Scope},
};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::scene::{Scene, events};
use crate::common::{NOON, Page, eventually, moment};

const EVENTS: usize = 1_000;
const FLOOD: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "1,000 events one after the other: cargo test --workspace --test it webhooks::load -- --ignored --nocapture"]
async fn the_time_from_event_to_page() {
    // The hand moves on between events: one collection is asked for what is told once in five seconds at most.
    let (clock, hand) = Clock::driven_from(moment(NOON));
    let scene = Scene::by(clock).await;
    let exporter = scene.subscribed().await;
    let newest = scene.newest("alice", "daily_readiness").await;
    let id = newest["id"].as_str().expect("an id").to_owned();
    let mut times = vec![];
    for number in 0..EVENTS {
        let (score, meant) = (number % 100, id.clone());
        scene.simulator.faults().clear();
        scene.simulator.faults().edit(Scope::person("alice").and_collection("daily_readiness"), move |all| {
            all.iter_mut().filter(|one| one["id"] == meant.as_str()).for_each(|one| one["score"] = json!(score));
        });
        let event = scene.simulator.event("alice", "update", "daily_readiness", &id);
        let event = Event { event_time: format!("{number}"), ..event };
        hand.advance(TimeDelta::seconds(6));
        let told = Instant::now();
        assert_eq!(scene.tell(&event).await, 200);
        while exporter.page().await.get("oura_readiness_score") != Some(score as f64) {
            assert!(told.elapsed() < Duration::from_secs(20), "event {number} is not shown");
            sleep(Duration::from_millis(1)).await;
        }
        times.push(told.elapsed());
    }
    times.sort_unstable();
    let (median, late) = (times[EVENTS / 2], times[EVENTS * 99 / 100]);
    println!("event to page, {EVENTS} events: p50 {median:?}, p99 {late:?}, longest {:?}", times[EVENTS - 1]);
    assert!(late < Duration::from_secs(2), "{late:?}");
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "10,000 events at once: cargo test --workspace --test it webhooks::load -- --ignored --nocapture"]
async fn a_flood_is_merged_and_none_of_it_is_lost() {
    let scene = Scene::by(Clock::system()).await;
    let program = scene.program().await;
    let page = async || Page::parse(&program.get("/metrics").await.expect("a page"));
    let memory = async || page().await.get("process_resident_memory_bytes").expect("a figure") / 1e6;
    let (before, begun) = (memory().await, Instant::now());
    scene.simulator.forget_requests();
    let collections = ["daily_readiness", "daily_sleep", "daily_activity", "sleep", "daily_stress"];
    let told = stream::iter(0..FLOOD).map(|number| {
        let (scene, collection) = (&scene, collections[number % collections.len()]);
        let event = scene.simulator.event("alice", "update", collection, &format!("document-{number}"));
        async move { (collection, Utc::now(), scene.tell(&event).await) }
    });
    let answers: Vec<_> = told.buffer_unordered(100).collect().await;
    let (took, after) = (begun.elapsed(), memory().await);
    assert!(answers.iter().all(|(.., status)| *status == 200));
    for collection in collections {
        let path = format!("/v2/usercollection/{collection}");
        let last = answers.iter().filter(|(told, ..)| *told == collection).map(|(_, at, _)| *at).max();
        let is_asked = || scene.simulator.requests().iter().any(|one| one.path == path && Some(one.at) >= last);
        eventually("it is asked for after its last event", async || is_asked().then_some(())).await;
    }
    let requests = scene.simulator.requests();
    let now = page().await;
    assert_eq!((events(&now, "accepted"), now.get("oura_webhook_waiting_collections")), (FLOOD as f64, Some(0.0)));
    println!(
        "{FLOOD} events in {took:?}: memory {before:.1} MB before, {after:.1} MB after, {:.1} MB later; {} requests to Oura",
        memory().await,
        requests.len()
    );
    assert!(requests.len() < 100, "{}", requests.len());
    assert!(memory().await < before + 20.0);
    program.terminate().await;
}
