//! Refusals, faults, edits, the record of requests, and the sandbox.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{Bench, NOON, got, set_by_hand};
use crate::{Fault, Scope, Settings};

#[tokio::test]
async fn who_may_not_is_told_so_in_the_services_words() {
    let bench = Bench::at(NOON).await;
    let path = "usercollection/daily_sleep";
    let missing = json!({ "detail": "Token is missing from Request Authorization Heade" });
    assert_eq!(got(bench.request(path)).await, (400, missing));
    assert_eq!(got(bench.request(path).bearer_auth("stranger")).await.0, 401);
    assert_eq!(got(bench.request(path).bearer_auth(bench.token("bob")).header("user-agent", "")).await.0, 403);
    let post = reqwest::Client::new().post(format!("{}/v2/{path}", bench.simulator.url())).header("user-agent", "x");
    assert_eq!(got(post).await.0, 405);
    for unknown in ["usercollection/vo2_max", "usercollection/heartrate/1", "sandbox/usercollection/personal_info"] {
        assert_eq!(got(bench.request(unknown).bearer_auth(bench.token("bob"))).await.0, 404, "{unknown}");
    }
    assert_eq!(bench.get("bob", "personal_info").await.1["email"], "bob@example.com");
}

#[tokio::test]
async fn faults_meet_whom_they_are_for() {
    let bench = Bench::at(NOON).await;
    let faults = bench.simulator.faults();
    faults.set(Scope::person("alice"), Fault::ScopeMissing);
    assert_eq!(bench.get("alice", "daily_spo2").await.0, 401);
    assert_eq!(bench.get("alice", "personal_info").await.0, 200);
    assert_eq!(bench.get("bob", "daily_spo2").await.0, 200);
    faults.set(Scope::all(), Fault::MembershipLapsed);
    assert_eq!(bench.get("alice", "personal_info").await.0, 403);
    faults.clear();
    faults.set(Scope::collection("sleep"), Fault::Times(1, Box::new(Fault::RateLimited { retry_after_seconds: 7 })));
    let limited = bench.request("usercollection/sleep").bearer_auth(bench.token("bob")).send().await.unwrap();
    assert_eq!((limited.status().as_u16(), &limited.headers()["retry-after"]), (429, &"7".parse().unwrap()));
    assert_eq!(limited.headers().keys().filter(|name| name.as_str().starts_with("x-ratelimit")).count(), 4);
    assert_eq!(bench.get("bob", "sleep").await.0, 200);
}

#[tokio::test]
async fn the_whole_application_is_limited_to_so_many_requests_in_any_five_minutes() {
    let (clock, hand) = set_by_hand(NOON);
    let bench = Bench::of(Settings { clock, application_limit: Some(3), ..Settings::default() }).await;
    let forward = |seconds| *hand.lock().unwrap() += TimeDelta::seconds(seconds);
    assert_eq!(bench.get("alice", "sleep").await.0, 200);
    forward(100);
    assert_eq!(bench.get("bob", "sleep").await.0, 200);
    assert_eq!(bench.get("alice", "workout").await.0, 200, "the third");
    let limited = bench.request("usercollection/sleep").bearer_auth(bench.token("bob")).send().await.unwrap();
    let header = |name: &str| limited.headers()[name].to_str().unwrap().to_owned();
    assert_eq!((limited.status().as_u16(), header("retry-after")), (429, "201".to_owned()));
    assert_eq!((header("x-ratelimit-tier"), header("x-ratelimit-limit")), ("application".to_owned(), "3".to_owned()));
    forward(200);
    assert_eq!(bench.get("alice", "sleep").await.0, 200, "the first one's five minutes are over");
    assert_eq!(bench.get("alice", "sleep").await.0, 429, "the others' are not");
    forward(-10_000);
    assert_eq!(bench.get("alice", "sleep").await.0, 200, "a clock that is set back counts anew");
}

#[tokio::test]
async fn answers_break_in_every_way() {
    let bench = Bench::at(NOON).await;
    let faults = bench.simulator.faults();
    for (fault, status) in
        [(Fault::Html, 200), (Fault::CutJson, 200), (Fault::Status(503), 503), (Fault::TokenDead, 401)]
    {
        faults.set(Scope::all(), fault.clone());
        let (got, body) = bench.get("bob", "workout").await;
        assert_eq!((got, body.is_null()), (status, fault != Fault::TokenDead), "{fault:?}");
    }
    faults.set(Scope::all(), Fault::RepeatToken);
    let (_, page) = bench.get("bob", "heartrate").await;
    let token = page["next_token"].as_str().unwrap();
    assert_eq!(bench.get("bob", &format!("heartrate?next_token={token}")).await.1, page);
    for fault in [Fault::Drop, Fault::Hang] {
        faults.set(Scope::all(), fault);
        let request = bench.request("usercollection/sleep").bearer_auth(bench.token("bob"));
        let answer = request.timeout(Duration::from_millis(300)).send().await;
        assert!(answer.is_err());
    }
    faults.set(Scope::all(), Fault::Delay(Duration::from_millis(20)));
    assert_eq!(bench.get("bob", "sleep").await.0, 200);
    let statuses: Vec<u16> = bench.simulator.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [200, 200, 503, 401, 200, 200, 0, 0, 200], "what got no answer is recorded too");
}

#[tokio::test]
async fn compression_breaks_lists_are_empty_and_pages_lead_on() {
    let bench = Bench::at(NOON).await;
    let faults = bench.simulator.faults();
    faults.set(Scope::all(), Fault::CutGzip);
    let cut = bench.request("usercollection/sleep").bearer_auth(bench.token("bob")).send().await.unwrap();
    assert!(cut.status().is_success() && cut.text().await.is_err());
    faults.set(Scope::all(), Fault::EmptyList);
    assert_eq!(bench.get("bob", "sleep").await, (200, json!({ "data": [], "next_token": null })));
    for fault in [Fault::EndlessPages, Fault::RepeatToken] {
        faults.set(Scope::all(), fault.clone());
        let (_, page) = bench.get("bob", "sleep").await;
        faults.clear();
        let token = page["next_token"].as_str().unwrap();
        let (_, next) = bench.get("bob", &format!("sleep?next_token={token}")).await;
        assert_eq!(next["next_token"] == page["next_token"], fault == Fault::RepeatToken, "{fault:?}");
    }
}

#[tokio::test]
async fn a_share_of_the_requests_fails_at_random_until_all_is_well_again() {
    let bench = Bench::at(NOON).await;
    bench.simulator.faults().at_random(3, 1.0);
    let ask = async || {
        let request = bench.request("usercollection/daily_sleep").bearer_auth(bench.token("bob"));
        request.timeout(Duration::from_millis(200)).send().await.map(|answer| answer.status().as_u16()).ok()
    };
    let mut met = std::collections::BTreeSet::new();
    for _ in 0..80 {
        met.insert(ask().await);
    }
    assert!(met.len() > 10 && met.contains(&None) && met.contains(&Some(599)), "{met:?}");
    bench.simulator.faults().clear();
    assert_eq!(ask().await, Some(200));
}

#[tokio::test]
async fn an_edit_changes_documents_before_the_window_is_cut() {
    let bench = Bench::at(NOON).await;
    bench.simulator.faults().edit(Scope::person("bob").and_collection("daily_sleep"), |documents| {
        for document in documents.iter_mut().filter(|document| document["day"] == "2026-08-16") {
            document["day"] = json!("2026-08-18");
            document["score"] = json!("much");
        }
    });
    let data = bench.data("bob", "daily_sleep?start_date=2026-08-18&end_date=2026-08-18").await;
    assert_eq!((data.len(), &data[0]["score"]), (2, &json!("much")));
    bench.simulator.faults().edit(Scope::collection("heartrate"), |rows| rows.retain(|row| row["source"] == "workout"));
    let rows = bench.data("alice", "heartrate").await;
    assert!(!rows.is_empty() && rows.iter().all(|row| row["source"] == "workout"));
}

#[tokio::test]
async fn requests_are_recorded() {
    let bench = Bench::at(NOON).await;
    bench.get("bob", "daily_sleep?start_date=2026-08-18&fields=day%2Cscore").await;
    bench.get("alice", "personal_info").await;
    let requests = bench.simulator.requests();
    assert_eq!(requests[0].path, "/v2/usercollection/daily_sleep");
    assert_eq!(requests[0].query[1], ("fields".to_owned(), "day,score".to_owned()));
    assert_eq!((requests[0].person, requests[1].person), (Some("bob"), Some("alice")));
    assert_eq!(requests[0].user_agent.as_deref(), Some("bench/1"));
    assert_eq!(requests[0].connection, requests[1].connection);
    assert!(requests[0].body_bytes > 50 && requests[0].body_bytes < 300, "compressed");
    bench.simulator.forget_requests();
    assert!(bench.simulator.requests().is_empty());
}

#[tokio::test]
async fn the_sandbox_makes_up_one_document_less_than_days() {
    let bench = Bench::at(NOON).await;
    let ask =
        async |path: &str| got(bench.request(&format!("sandbox/usercollection/{path}")).bearer_auth("any")).await.1;
    let nights = ask("daily_sleep?start_date=2026-08-01&end_date=2026-08-04").await;
    let ids: Vec<&Value> = nights["data"].as_array().unwrap().iter().map(|night| &night["id"]).collect();
    assert_eq!(ids, ["daily_sleep-1-2026-8-1", "daily_sleep-1-2026-8-2", "daily_sleep-1-2026-8-3"]);
    assert_eq!((&nights["data"][0]["score"], &nights["data"][1]["score"]), (&json!(73), &json!(80)));
    assert_eq!(ask("heartrate").await["data"].as_array().unwrap().len(), 2);
    assert_eq!(ask("daily_sleep/daily_sleep-1-2026-8-2").await["day"], "2026-08-02");
}
