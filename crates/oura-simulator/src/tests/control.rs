//! Faults that are switched over HTTP.

use serde_json::{Value, json};

use super::{Bench, got, running_from};
use crate::Settings;

async fn switched_over_http() -> Bench {
    Bench::of(Settings { clock: running_from(super::NOON), has_control: true, ..Settings::default() }).await
}

async fn tell(bench: &Bench, method: reqwest::Method, path: &str, body: &'static str) -> (u16, Value) {
    got(bench.client.request(method, format!("{}{path}", bench.simulator.url())).body(body)).await
}

#[tokio::test]
async fn what_is_switched_over_http_meets_the_next_requests_and_wears_off() {
    let bench = switched_over_http().await;
    let set =
        tell(&bench, reqwest::Method::POST, "/simulator/faults", "alice/sleep:status=503*2\n\n*/workout:html\n").await;
    assert_eq!(set, (200, json!(["alice/sleep:status=503*2", "*/workout:html"])));
    for status in [503, 503, 200] {
        assert_eq!(bench.get("alice", "sleep").await.0, status);
    }
    assert_eq!(bench.get("bob", "sleep").await.0, 200);
    let left = tell(&bench, reqwest::Method::GET, "/simulator/faults", "").await;
    assert_eq!(left, (200, json!(["*/workout:html"])));
    assert_eq!(tell(&bench, reqwest::Method::DELETE, "/simulator/faults", "").await, (200, json!([])));
    assert_eq!(bench.get("bob", "workout").await.0, 200);
    let (_, requests) = tell(&bench, reqwest::Method::GET, "/simulator/requests", "").await;
    let seen: Vec<_> = requests.as_array().unwrap().iter().map(|one| (&one["person"], &one["status"])).collect();
    let (alice, bob) = (json!("alice"), json!("bob"));
    assert_eq!(
        seen,
        [(&alice, &json!(503)), (&alice, &json!(503)), (&alice, &json!(200)), (&bob, &json!(200)), (&bob, &json!(200))]
    );
}

#[tokio::test]
async fn one_wrong_line_sets_nothing_and_is_named() {
    let bench = switched_over_http().await;
    let (status, answer) = tell(&bench, reqwest::Method::POST, "/simulator/faults", "sleep:hang\nsleep:hung").await;
    assert_eq!(status, 400);
    assert!(answer["detail"].as_str().unwrap().starts_with("\"hung\" is not a fault; write one of"), "{answer}");
    assert_eq!(tell(&bench, reqwest::Method::GET, "/simulator/faults", "").await, (200, json!([])));
    assert_eq!(tell(&bench, reqwest::Method::PUT, "/simulator/faults", "").await.0, 405);
    assert_eq!(tell(&bench, reqwest::Method::GET, "/simulator/fault", "").await.0, 404);
}

#[tokio::test]
async fn without_leave_nothing_is_switched() {
    let bench = Bench::at(super::NOON).await;
    assert_eq!(tell(&bench, reqwest::Method::POST, "/simulator/faults", "html").await.0, 404);
    assert_eq!(bench.get("alice", "sleep").await.0, 200);
}
