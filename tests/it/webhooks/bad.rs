//! What is not taken for an event: each with its answer and its count, and nothing is asked of Oura for it.

use std::{collections::BTreeMap, time::Duration};

use chrono::TimeDelta;
use oura_exporter::{
    clock::Clock,
    simulator::{Delivery, Event, Stamp},
};
use reqwest::Method;

use super::scene::{Scene, counted, events};
use crate::common::{NOON, eventually, moment};

/// A delivery, what it is, how it is answered, and as what it is counted.
type Case = (&'static str, Delivery, u16, &'static str);

fn forged(true_one: &Delivery, event: &Event) -> Vec<Case> {
    let delivery = || true_one.clone();
    let other = Event { object_id: "another".to_owned(), ..event.clone() };
    let with_signature = |signature: String| Delivery { signature, ..delivery() };
    vec![
        ("another secret", Delivery::signed("guess", true_one.timestamp.clone(), event.body()), 401, "forged"),
        ("no secret", Delivery::signed("", true_one.timestamp.clone(), event.body()), 401, "forged"),
        ("no signature", with_signature(String::new()), 401, "forged"),
        ("half a signature", with_signature(true_one.signature[..32].to_owned()), 401, "forged"),
        ("another body", Delivery { body: other.body(), ..delivery() }, 401, "forged"),
        ("another time", Delivery { timestamp: format!("{}0", true_one.timestamp), ..delivery() }, 401, "forged"),
        ("no time", Delivery { timestamp: String::new(), ..delivery() }, 401, "forged"),
    ]
}

fn untimely_and_unreadable(scene: &Scene, event: &Event) -> Vec<Case> {
    let (webhooks, now) = (scene.simulator.webhooks(), scene.clock.now());
    let at = |by: TimeDelta, stamp| webhooks.delivery_of(event.body(), now + by, stamp);
    let text = |body: &str| webhooks.delivery_of(body.as_bytes().to_vec(), now, Stamp::Milliseconds);
    let of = |data_type: &str, event_type: &str| {
        let (data_type, event_type) = (data_type.to_owned(), event_type.to_owned());
        webhooks.delivery(&Event { data_type, event_type, ..event.clone() })
    };
    vec![
        ("two hours old", at(TimeDelta::hours(-2), Stamp::Milliseconds), 401, "late"),
        ("two hours old in seconds", at(TimeDelta::hours(-2), Stamp::Seconds), 401, "late"),
        ("of tomorrow", at(TimeDelta::days(1), Stamp::Milliseconds), 401, "late"),
        ("nothing", text(""), 400, "unreadable"),
        ("no JSON", text("event_type=create"), 400, "unreadable"),
        ("another document", text(r#"{"event_type": "create"}"#), 400, "unreadable"),
        ("a list", text("[]"), 400, "unreadable"),
        ("too large", text(&" ".repeat(20_000)), 413, "too_large"),
        ("slow", webhooks.delivery(event).slow(Duration::from_secs(7)), 408, "slow"),
        ("a data type of tomorrow", of("meal", "create"), 200, "ignored"),
        ("an event of tomorrow", of("sleep", "archive"), 200, "ignored"),
        ("a collection that nobody reads", of("tag", "create"), 200, "ignored"),
    ]
}

#[tokio::test]
async fn each_bad_event_is_answered_and_counted_and_nothing_is_asked_for_it() {
    let (clock, _hand) = Clock::driven_from(moment(NOON));
    let scene = Scene::by(clock).await;
    let exporter = scene.subscribed().await;
    let event = scene.change("daily_readiness", "score", 42).await;
    let true_one = scene.simulator.webhooks().delivery(&event);
    scene.simulator.forget_requests();
    let mut counts = BTreeMap::<_, f64>::new();
    for (what, delivery, status, result) in
        [forged(&true_one, &event), untimely_and_unreadable(&scene, &event)].concat()
    {
        let answered = scene.simulator.webhooks().deliver(&delivery, &scene.url).await;
        assert_eq!(answered.expect(what), status, "{what}");
        println!("| {what} | {status} | {result} |");
        *counts.entry(result).or_default() += 1.0;
    }
    for (result, count) in counts {
        counted(&exporter, result, count).await;
    }
    assert_eq!(scene.simulator.requests().len(), 0, "{:?}", scene.simulator.requests());
    assert_eq!(events(&exporter.page().await, "accepted"), 0.0);
    let deliver =
        async |delivery: Delivery| scene.simulator.webhooks().deliver(&delivery, &scene.url).await.expect("an answer");
    assert_eq!(deliver(true_one.clone()).await, 200, "and the true one is taken all the same");
    exporter.page_where("the new score", |page| page.get("oura_readiness_score") == Some(42.0)).await;
    // What is told again costs no request, however its time is written and however old it is.
    let asked = scene.simulator.requests().len();
    let again = |stamp| scene.simulator.webhooks().delivery_of(event.body(), scene.clock.now(), stamp);
    for delivery in [true_one, again(Stamp::Seconds), again(Stamp::Milliseconds)] {
        assert_eq!(deliver(delivery).await, 200);
    }
    counted(&exporter, "duplicate", 3.0).await;
    assert_eq!(scene.simulator.requests().len(), asked);
    exporter.stop().await;
}

#[tokio::test]
async fn a_stranger_is_waited_for_and_then_nobodys() {
    let (clock, hand) = Clock::driven_from(moment(NOON));
    let scene = Scene::by(clock).await;
    let exporter = scene.subscribed().await;
    scene.simulator.forget_requests();
    let newest = scene.newest("bob", "daily_sleep").await;
    let event = scene.simulator.event("bob", "update", "daily_sleep", newest["id"].as_str().expect("an id"));
    let unheard_of = Event { user_id: "nobody-at-all".to_owned(), ..event.clone() };
    for (minutes, status) in [(0, 500), (9, 500), (2, 404), (60, 404)] {
        hand.advance(TimeDelta::minutes(minutes));
        for event in [&event, &unheard_of] {
            assert_eq!(scene.tell(event).await, status, "after {minutes} minutes more");
        }
    }
    counted(&exporter, "unknown_user", 8.0).await;
    assert_eq!(scene.asked("bob", "daily_sleep"), 1, "by this test");
    exporter.stop().await;
}

#[tokio::test]
async fn nothing_but_the_callback_is_on_its_listener() {
    let scene = Scene::at(NOON).await;
    let exporter = scene.subscribed().await;
    let client = reqwest::Client::new();
    let root = scene.url.trim_end_matches("/webhook");
    for (method, path, status) in [
        (Method::GET, "/", 404),
        (Method::GET, "/metrics", 404),
        (Method::GET, "/-/ready", 404),
        (Method::GET, "/callback", 404),
        (Method::POST, "/webhook/", 404),
        (Method::POST, "/webhook/../metrics", 404),
        (Method::PUT, "/webhook", 405),
        (Method::DELETE, "/webhook", 405),
        (Method::GET, "/webhook", 403),
        (Method::GET, "/webhook?challenge=x", 403),
        (Method::GET, "/webhook?verification_token=&challenge=x", 403),
        (Method::GET, "/webhook?verification_token=guess&challenge=x", 403),
    ] {
        let answer = client.request(method.clone(), format!("{root}{path}")).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{method} {path}");
        assert_eq!(answer.text().await.expect("a body"), "", "{method} {path}");
    }
    exporter.stop().await;
}

#[tokio::test]
async fn no_secret_and_no_id_is_logged_whatever_is_told() {
    let scene = Scene::by(Clock::system()).await;
    let program = scene.program().await;
    let event = scene.change("daily_readiness", "score", 42).await;
    let stranger = Event { user_id: "stranger-of-old".to_owned(), ..event.clone() };
    let delivery = scene.simulator.webhooks().delivery(&event);
    for (delivery, status) in [
        (delivery.clone(), 200),
        (delivery.clone(), 200),
        (scene.simulator.webhooks().delivery(&stranger), 500),
        (Delivery { signature: "F0".repeat(32), ..delivery.clone() }, 401),
    ] {
        assert_eq!(scene.simulator.webhooks().deliver(&delivery, &scene.url).await.expect("an answer"), status);
    }
    eventually("the new score", async || {
        program.get("/metrics").await.filter(|page| page.contains("oura_readiness_score{account=\"alice\"} 42\n"))
    })
    .await;
    let token = std::fs::read_to_string(scene.state().join("webhook-token")).expect("a token");
    let secret = scene.variables().into_iter().find(|(name, _)| *name == "OURA_CLIENT_SECRET").expect("a secret").1;
    let (code, log) = program.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    for words in ["Oura tells of news", "without a good signature", "Oura tells of somebody who has no account here"] {
        assert!(log.contains(words), "{words}: {log}");
    }
    for private in [&event.user_id, &event.object_id, &stranger.user_id, &delivery.signature, &token, &secret] {
        assert!(!private.is_empty() && !log.contains(private.as_str()), "{private} is in the log: {log}");
    }
}
