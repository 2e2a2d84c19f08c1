//! How often Oura is polled while events flow, and after they have stopped.

use chrono::TimeDelta;
use oura_exporter::simulator::Event;

use super::by_hand::ByHand;
use crate::common::NOON;

/// How often alice's readiness and heart rate were asked for in each of so many hours, of which each begins with an event of
/// her sleep if `is_told`.
async fn hours(by_hand: &mut ByHand, count: u32, is_told: bool) -> Vec<[usize; 2]> {
    let mut asked = vec![];
    for _ in 0..count {
        if is_told {
            let sleep = by_hand.scene.newest("alice", "daily_sleep").await;
            let id = sleep["id"].as_str().expect("an id");
            let event: Event = by_hand.scene.simulator.event("alice", "update", "daily_sleep", id);
            assert_eq!(by_hand.scene.tell(&event).await, 200);
        }
        by_hand.scene.simulator.forget_requests();
        for _ in 0..12 {
            by_hand.after(TimeDelta::minutes(5)).await;
        }
        let readiness = by_hand.scene.asked("alice", "daily_readiness");
        asked.push([readiness, by_hand.asked("heartrate")]);
    }
    asked
}

#[tokio::test]
async fn polls_are_hourly_while_events_flow_and_come_back_after_silence() {
    let collections = "daily_readiness,daily_sleep,heartrate,personal_info";
    let mut by_hand = ByHand::with(NOON, &[("OURA_COLLECTIONS", collections), ("OURA_SAMPLES", "false")], true).await;
    let silent = async |by_hand: &ByHand| by_hand.page().await.get("oura_webhook_silent");
    let often = |asked: &[[usize; 2]], most: usize| asked.iter().all(|hour| hour[0] >= 11 && hour[0] <= most);
    let hourly = async |by_hand: &ByHand| by_hand.page().await.get("oura_webhook_hourly_collections");
    let before = hours(&mut by_hand, 2, false).await;
    assert_eq!((silent(&by_hand).await, hourly(&by_hand).await), (Some(0.0), Some(0.0)), "a restart is no silence");
    assert!(often(&before, 13), "as without webhooks until Oura has told of something: {before:?}");
    let told = hours(&mut by_hand, 4, true).await;
    // The first poll after the first event is one of before.
    assert!(told[1..].iter().all(|hour| hour[0] == 1), "{told:?}");
    assert!(told.iter().all(|hour| hour[1] >= 11), "there are no events of the heart rate: {told:?}");
    assert_eq!(hourly(&by_hand).await, Some(2.0), "readiness and sleep");
    let quiet = hours(&mut by_hand, 11, false).await;
    assert!(quiet.iter().all(|hour| hour[0] == 1), "a night without events is usual: {quiet:?}");
    assert_eq!((silent(&by_hand).await, hourly(&by_hand).await), (Some(0.0), Some(2.0)));
    let after = hours(&mut by_hand, 4, false).await;
    assert!(often(&after[2..], 13), "polls are back: {after:?}");
    assert_eq!((silent(&by_hand).await, hourly(&by_hand).await), (Some(1.0), Some(0.0)));
    let page = by_hand.page().await;
    assert_eq!((page.is_up("daily_readiness"), page.get("oura_up")), (Some(1.0), Some(1.0)));
    let again = hours(&mut by_hand, 3, true).await;
    assert!(again[1..].iter().all(|hour| hour[0] == 1), "{again:?}");
    assert_eq!(silent(&by_hand).await, Some(0.0));
}

#[tokio::test]
async fn a_collection_whose_subscriptions_are_anothers_is_polled_as_ever() {
    let mut by_hand = ByHand::foreign(NOON, "daily_readiness", "daily_readiness,daily_sleep,personal_info").await;
    let told = hours(&mut by_hand, 3, true).await;
    assert!(told.iter().all(|hour| hour[0] >= 11), "{told:?}");
    let page = by_hand.page().await;
    assert_eq!(page.get("oura_webhook_subscriptions{state=\"foreign\"}"), Some(1.0));
    assert_eq!(page.get("oura_webhook_hourly_collections"), Some(1.0), "sleep alone");
}
