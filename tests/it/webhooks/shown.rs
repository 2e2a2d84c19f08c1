//! From an event to the page: at once, as soon as Oura has what it told of, and in whatever order it tells.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use oura_exporter::{
    clock::Clock,
    simulator::{Event, Fault, Scope},
};

use super::{
    by_hand::ByHand,
    scene::{Scene, counted, events},
};
use crate::common::{NOON, Page, day_seconds, eventually, moment};

const READINESS: &str = "daily_readiness,personal_info";

#[tokio::test]
async fn what_oura_tells_of_is_on_the_page_without_a_poll() {
    let scene = Scene::at(NOON).await;
    let exporter = scene.subscribed().await;
    let before = scene.asked("alice", "daily_readiness");
    let event = scene.change("daily_readiness", "score", 42).await;
    assert_eq!(scene.tell(&event).await, 200);
    let page = exporter.page_where("the new score", |page| page.get("oura_readiness_score") == Some(42.0)).await;
    assert_eq!(events(&page, "accepted"), 1.0);
    assert_eq!(page.get("oura_webhook_silent"), Some(0.0));
    let last = page.get("oura_webhook_last_event_timestamp_seconds").expect("there was one");
    assert!((scene.clock.now().timestamp() as f64 - last).abs() < 60.0, "{last}");
    assert_eq!(scene.asked("alice", "daily_readiness"), before + 1 + 1, "once by the test, once for the event");
    exporter.stop().await;
}

/// Seconds after the event at which the page shows the day, asked every second for two minutes; and how often Oura was asked.
async fn shown_after(by_hand: &mut ByHand, day: &str) -> (Option<i64>, usize) {
    by_hand.scene.simulator.forget_requests();
    let mut shown = None;
    for second in 0..130 {
        by_hand.after(TimeDelta::seconds(i64::from(second > 0))).await;
        if shown.is_none() && by_hand.page().await.day("daily_readiness") == day_seconds(day) {
            shown = Some(second);
        }
    }
    (shown, by_hand.asked("daily_readiness"))
}

#[tokio::test]
async fn a_document_that_is_not_there_yet_is_looked_out_for_and_one_that_is_gone_leaves_the_page() {
    for (late, shown, most) in [(0, Some(0), 1), (30, Some(35), 4), (100, Some(115), 6), (10_000, None, 6)] {
        let mut by_hand = ByHand::at(NOON, READINESS).await;
        let newest = by_hand.scene.newest("alice", "daily_readiness").await;
        let (id, until) = (newest["id"].as_str().expect("an id").to_owned(), by_hand.scene.clock.now());
        let (hidden, clock) = (id.clone(), by_hand.scene.clock.clone());
        // Gone until some seconds after the second event; five minutes go by before that.
        let until = until + TimeDelta::minutes(5) + TimeDelta::seconds(late);
        by_hand.scene.simulator.faults().edit(Scope::person("alice").and_collection("daily_readiness"), move |all| {
            all.retain(|one| one["id"] != hidden.as_str() || clock.now() >= until);
        });
        let event = |kind| by_hand.scene.simulator.event("alice", kind, "daily_readiness", &id);
        let (gone, back) =
            (event("delete"), Event { event_time: "2026-11-22T14:05:00.123+02:00".to_owned(), ..event("create") });
        assert_eq!(by_hand.page().await.day("daily_readiness"), day_seconds("2026-11-22"));
        assert_eq!(by_hand.scene.tell(&gone).await, 200);
        by_hand.look().await;
        assert_eq!(by_hand.page().await.day("daily_readiness"), day_seconds("2026-11-21"), "it is gone");
        by_hand.after(TimeDelta::minutes(5)).await;
        let is_back = by_hand.page().await.day("daily_readiness") == day_seconds("2026-11-22");
        assert!(!is_back, "while events flow, nobody polls every five minutes");
        assert_eq!(by_hand.scene.tell(&back).await, 200);
        let (seen, asked) = shown_after(&mut by_hand, "2026-11-22").await;
        assert_eq!(seen, shown, "{late} s late");
        assert!(asked <= most, "{late} s late: asked {asked} times");
    }
}

#[tokio::test]
async fn whatever_the_order_and_however_often_the_page_shows_what_oura_has() {
    let mut by_hand = ByHand::at(NOON, READINESS).await;
    let update = by_hand.scene.change("daily_readiness", "score", 17).await;
    let event =
        |kind: &str, at: &str| Event { event_type: kind.to_owned(), event_time: at.to_owned(), ..update.clone() };
    by_hand.scene.simulator.forget_requests();
    for (kind, at) in [
        ("delete", "2026-11-22T12:00:02+00:00"),
        ("update", "2026-11-22T12:00:01"),
        ("create", "2026-11-22T14:00:00.500+02:00"),
        ("update", "2026-11-22T12:00:01"),
    ] {
        assert_eq!(by_hand.scene.tell(&event(kind, at)).await, 200, "{kind}");
    }
    by_hand.look().await;
    assert_eq!(by_hand.page().await.get("oura_readiness_score"), Some(17.0));
    assert_eq!(by_hand.asked("daily_readiness"), 1, "events of one collection are one request");
}

#[tokio::test]
async fn events_of_several_accounts_reach_each_their_own() {
    let scene = Scene::at(NOON).await;
    let mut plan = scene.plan();
    plan.people = &["alice", "bob"];
    let exporter = plan.ready(&scene.simulator).await;
    exporter
        .page_where("all subscriptions stand", |page| super::scene::subscriptions(page, "active") == Some(45.0))
        .await;
    let hers = scene.change("daily_readiness", "score", 3).await;
    scene.simulator.forget_requests();
    assert_eq!(scene.tell(&hers).await, 200);
    exporter.page_where("hers", |page| page.get("oura_readiness_score") == Some(3.0)).await;
    assert_eq!((scene.asked("alice", "daily_readiness"), scene.asked("bob", "daily_readiness")), (1, 0));
    counted(&exporter, "accepted", 1.0).await;
    let page = exporter.page().await;
    assert_eq!(page.starting_with("oura_webhook_last_event_timestamp_seconds").len(), 1, "bob was told of nothing");
    assert_eq!(page.starting_with("oura_webhook_silent").len(), 2);
    exporter.stop().await;
}

/// Alice's newest readiness has this score from that moment on.
async fn scored_from(by_hand: &ByHand, from: DateTime<Utc>, score: i64) -> Event {
    let newest = by_hand.scene.newest("alice", "daily_readiness").await;
    let id = newest["id"].as_str().expect("an id").to_owned();
    let (meant, clock) = (id.clone(), by_hand.scene.clock.clone());
    by_hand.scene.simulator.faults().edit(Scope::person("alice").and_collection("daily_readiness"), move |all| {
        for one in all.iter_mut().filter(|one| one["id"] == meant.as_str() && clock.now() >= from) {
            one["score"] = score.into();
        }
    });
    by_hand.scene.simulator.event("alice", "update", "daily_readiness", &id)
}

#[tokio::test]
async fn a_change_that_oura_shows_late_is_looked_out_for_an_hour_at_the_usual_pace() {
    for (late, soonest, latest) in [(5, 30, 30), (31, 90, 90), (89, 90, 90), (600, 600, 900), (3_200, 3_200, 3_500)] {
        let mut by_hand = ByHand::at(NOON, READINESS).await;
        // From the first event on it is asked for once an hour.
        let newest = by_hand.scene.newest("alice", "daily_readiness").await;
        let id = newest["id"].as_str().expect("an id");
        let first = by_hand.scene.simulator.event("alice", "create", "daily_readiness", id);
        assert_eq!(by_hand.scene.tell(&first).await, 200);
        by_hand.look().await;
        by_hand.after(TimeDelta::minutes(6)).await;
        let told_at = by_hand.scene.clock.now();
        let event = scored_from(&by_hand, told_at + TimeDelta::seconds(late), 42).await;
        assert_eq!(by_hand.scene.tell(&event).await, 200);
        by_hand.look().await;
        let mut shown = None;
        while shown.is_none() && by_hand.scene.clock.now() < told_at + TimeDelta::hours(2) {
            by_hand.after(TimeDelta::seconds(10)).await;
            let seconds = (by_hand.scene.clock.now() - told_at).num_seconds();
            shown = (by_hand.page().await.get("oura_readiness_score") == Some(42.0)).then_some(seconds);
        }
        let shown = shown.expect("it is shown");
        assert!((soonest..=latest + 10).contains(&shown), "{late} s late: shown after {shown} s");
    }
}

#[tokio::test]
async fn an_update_that_changes_nothing_is_looked_out_for_no_longer_than_an_hour() {
    let mut by_hand = ByHand::at(NOON, READINESS).await;
    let event = scored_from(&by_hand, by_hand.scene.clock.now() + TimeDelta::days(9), 42).await;
    assert_eq!(by_hand.scene.tell(&event).await, 200);
    let mut asked = vec![];
    for _ in 0..3 {
        by_hand.scene.simulator.forget_requests();
        for _ in 0..12 {
            by_hand.after(TimeDelta::minutes(5)).await;
        }
        asked.push(by_hand.asked("daily_readiness"));
    }
    assert!((11..=15).contains(&asked[0]) && asked[1] <= 2 && asked[2] <= 2, "{asked:?}");
}

#[tokio::test]
async fn a_document_that_is_not_there_yet_is_no_failure() {
    for kind in ["create", "update", "delete"] {
        let mut by_hand = ByHand::at(NOON, READINESS).await;
        let event = |kind, id: &str| by_hand.scene.simulator.event("alice", kind, "daily_readiness", id);
        let (first, second) = (event("create", "0a1b2c3d-not-yet-there"), event(kind, "1a1b2c3d-not-yet-there"));
        assert_eq!(by_hand.scene.tell(&first).await, 200);
        by_hand.after(TimeDelta::minutes(6)).await;
        by_hand.after(TimeDelta::minutes(70)).await;
        by_hand.after(TimeDelta::minutes(50)).await;
        assert_eq!(by_hand.scene.tell(&second).await, 200);
        for second in 0..150 {
            by_hand.after(TimeDelta::seconds(1)).await;
            let page = by_hand.page().await;
            assert_eq!((page.get("oura_up"), page.is_up("daily_readiness")), (Some(1.0), Some(1.0)), "{kind} {second}");
            assert_eq!(
                page.starting_with("oura_api_errors_total").into_iter().find(|one| page.get(one) > Some(0.0)),
                None
            );
        }
    }
}

#[tokio::test]
async fn what_was_asked_for_once_an_hour_is_not_overdue_because_oura_tells_of_it() {
    for late in ["daily_readiness", "sleep", "daily_activity"] {
        let (clock, hand) = Clock::driven_from(moment(NOON));
        let scene = Scene::by(clock).await;
        let mut plan = scene.plan();
        let collections = format!("{late},daily_sleep,personal_info");
        plan.variables.push(("OURA_COLLECTIONS", collections));
        let exporter = plan.ready(&scene.simulator).await;
        exporter.page_where("all stand", |page| super::scene::subscriptions(page, "missing") == Some(0.0)).await;
        let first = scene.change("daily_sleep", "score", 41).await;
        assert_eq!(scene.tell(&first).await, 200);
        exporter.page_where("events flow", |page| page.get("oura_sleep_score") == Some(41.0)).await;
        scene.simulator.forget_requests();
        hand.advance(TimeDelta::minutes(6));
        eventually("the poll of before", async || (scene.asked("alice", late) > 0).then_some(())).await;
        exporter.page_where("it is up", |page| page.get("oura_up") == Some(1.0)).await;
        // From now on it is asked for once an hour.
        hand.advance(TimeDelta::minutes(50));
        let delay = Fault::Times(1, Box::new(Fault::Delay(Duration::from_secs(2))));
        scene.simulator.faults().set(Scope::person("alice").and_collection(late), delay);
        let second = scene.change("daily_sleep", "score", 43).await;
        let newest = scene.newest("bob", late).await;
        let awaited = scene.simulator.event("alice", "create", late, newest["id"].as_str().expect("an id"));
        for event in [&awaited, &second] {
            assert_eq!(scene.tell(event).await, 200);
        }
        let is_up = |page: &Page| assert_eq!((page.get("oura_up"), page.is_up(late)), (Some(1.0), Some(1.0)), "{late}");
        let page = exporter.page_where("the sleep is shown, and it is up", |page| {
            is_up(page);
            page.get("oura_sleep_score") == Some(43.0)
        });
        is_up(&page.await);
        exporter.stop().await;
    }
}
