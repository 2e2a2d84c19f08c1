//! Events of webhooks as a subscriber gets them: what a sync changes, and what somebody sends by hand.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::TimeDelta;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{Mutex, mpsc},
    time::timeout,
};

use super::{Bench, got, set_by_hand};
use crate::{DATA_TYPES, EVENT_TYPES, Settings};

/// A subscriber's callback, which takes everything but the first so many deliveries.
struct Callback {
    url: String,
    deliveries: Mutex<mpsc::UnboundedReceiver<(String, Value)>>,
}

impl Callback {
    async fn refusing(first: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (sender, deliveries) = mpsc::unbounded_channel();
        let left = Arc::new(std::sync::atomic::AtomicUsize::new(first));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, left) = (sender.clone(), Arc::clone(&left));
                let service = service_fn(move |request| taken(request, sender.clone(), Arc::clone(&left)));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, deliveries: Mutex::new(deliveries) }
    }

    /// The next delivery: its signature and what it says.
    async fn next(&self) -> (String, Value) {
        timeout(Duration::from_secs(30), self.deliveries.lock().await.recv()).await.expect("an event").unwrap()
    }
}

async fn taken(
    request: Request<Incoming>,
    sender: mpsc::UnboundedSender<(String, Value)>,
    left: Arc<std::sync::atomic::AtomicUsize>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    use std::sync::atomic::Ordering::Relaxed;
    if request.method() == Method::GET {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let challenge = query.split("challenge=").nth(1).unwrap_or_default();
        return Ok(Response::new(json!({ "challenge": challenge }).to_string().into()));
    }
    let signature = request.headers()["x-oura-signature"].to_str().unwrap().to_owned();
    let time = request.headers()["x-oura-timestamp"].to_str().unwrap().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    sender.send((format!("{time} {signature}"), serde_json::from_slice(&body).unwrap())).unwrap();
    let mut answer = Response::new(Full::default());
    if left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
        *answer.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
    }
    Ok(answer)
}

/// Subscribes the application of that place to everything.
async fn subscribe(bench: &Bench, url: &str, place: usize) {
    let application = &bench.simulator.applications()[place];
    for data_type in DATA_TYPES {
        for event_type in EVENT_TYPES {
            let body = json!({
                "callback_url": url, "verification_token": "token", "event_type": event_type, "data_type": data_type,
            });
            let request = bench.client.post(format!("{}/v2/webhook/subscription", bench.simulator.url())).json(&body);
            let request = request.header("x-client-id", &application.client_id);
            assert_eq!(got(request.header("x-client-secret", &application.client_secret)).await.0, 201);
        }
    }
}

async fn send(bench: &Bench, method: Method, body: &'static str) -> (u16, Value) {
    got(bench.client.request(method, format!("{}/simulator/events", bench.simulator.url())).body(body)).await
}

#[tokio::test]
async fn what_a_sync_changes_is_told_once_and_again_where_it_is_not_taken() {
    // Before dawn in Helsinki, so that the morning's sync brings a night.
    let (clock, hand) = set_by_hand("2026-08-19T01:00:00Z");
    let bench = Bench::of(Settings { clock, has_events: true, ..Settings::default() }).await;
    // The first two deliveries are not taken, and come again.
    let callback = Callback::refusing(2).await;
    subscribe(&bench, &callback.url, 1).await;
    let before = documents(&bench).await;
    *hand.lock().unwrap() += TimeDelta::hours(10);
    let after = documents(&bench).await;
    let mut expected: BTreeSet<_> = after.difference(&before).map(|(name, id, _)| (name.clone(), id.clone())).collect();
    assert!(expected.iter().any(|(name, _)| name == "daily_sleep"), "a night came: {expected:?}");
    let (alice, mut refused) = (bench.simulator.user_id("alice").unwrap(), Vec::new());
    for _ in 0..2 {
        refused.push(callback.next().await.1);
    }
    for event in &refused {
        expected.remove(&named(event));
    }
    while !expected.is_empty() || !refused.is_empty() {
        let (_, event) = callback.next().await;
        if let Some(place) = refused.iter().position(|one| *one == event) {
            refused.remove(place);
            continue;
        }
        let is_compared = event["user_id"] == alice.as_str() && DAILY.contains(&named(&event).0.as_str());
        assert!(expected.remove(&named(&event)) || !is_compared, "told for nothing, or twice: {event}");
    }
}

/// The collection and the identifier that an event names.
fn named(event: &Value) -> (String, String) {
    let word = |name: &str| event[name].as_str().unwrap().to_owned();
    (word("data_type"), word("object_id"))
}

/// The collections whose documents are compared.
const DAILY: [&str; 3] = ["daily_sleep", "daily_readiness", "sleep"];

/// Alice's documents of the last days: collection, identifier and text.
async fn documents(bench: &Bench) -> BTreeSet<(String, String, String)> {
    let mut found = BTreeSet::new();
    for name in DAILY {
        for document in bench.data("alice", &format!("{name}?start_date=2026-08-10&end_date=2026-08-21")).await {
            found.insert((name.to_owned(), document["id"].as_str().unwrap().to_owned(), document.to_string()));
        }
    }
    found
}

#[tokio::test]
async fn an_event_is_sent_by_hand_signed_for_whoever_subscribed_and_a_wrong_line_sends_nothing() {
    let (clock, _hand) = set_by_hand(super::NOON);
    let bench = Bench::of(Settings { clock, has_control: true, ..Settings::default() }).await;
    let (status, answer) = send(&bench, Method::POST, "alice/daily_sleep:update").await;
    assert_eq!((status, &answer[0]["answer"]), (200, &json!("nobody has subscribed to it")));
    for place in [0, 1] {
        let callback = Callback::refusing(1).await;
        bench.simulator.webhooks().lose(|_| true);
        subscribe(&bench, &callback.url, place).await;
        let newest =
            bench.data("bob", "daily_readiness?start_date=2026-08-10&end_date=2026-08-21").await.pop().unwrap();
        for (line, id, answer) in [
            ("bob/daily_readiness:update", newest["id"].as_str().unwrap(), 500),
            ("bob/sleep:delete=gone", "gone", 200),
            ("\n  bob/daily_readiness:create\n", newest["id"].as_str().unwrap(), 200),
        ] {
            let (status, answers) = send(&bench, Method::POST, line).await;
            assert_eq!((status, &answers[0]["answer"]), (200, &json!(answer)), "{line}: {answers}");
            let (stamp, event) = callback.next().await;
            assert_eq!((&event["object_id"], &event["user_id"]), (&json!(id), &json!(bench.simulator.user_id("bob"))));
            let (time, signature) = stamp.split_once(' ').unwrap();
            let secret = &bench.simulator.applications()[place].client_secret;
            let own = crate::Delivery::signed(secret, time.to_owned(), serde_json::to_vec(&event).unwrap());
            assert_eq!(own.signature, signature, "by the application that subscribed");
        }
    }
    let count = send(&bench, Method::GET, "").await.1.as_array().unwrap().len();
    assert_eq!(count, 6, "what was sent is listed");
    for (lines, words) in [
        ("bob/sleep:update\ncarol/sleep:update", "nobody is called"),
        ("bob/heartrate:update", "has no events"),
        ("bob/sleep:change", "is none of create, update, delete"),
        ("sleep:update", "names no person"),
    ] {
        let (status, answer) = send(&bench, Method::POST, lines).await;
        let detail = answer["detail"].as_str().unwrap();
        assert!(status == 400 && detail.contains(words) && detail.contains("alice/daily_sleep:update"), "{answer}");
    }
    assert_eq!(send(&bench, Method::GET, "").await.1.as_array().unwrap().len(), count, "nothing was sent");
    assert_eq!(send(&bench, Method::DELETE, "").await.0, 405);
}
