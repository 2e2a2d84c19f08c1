//! What the service may do, and what the page then says: errors told apart, each alone, and nothing good lost.

use std::time::Duration;

use crate::common::{
    NOON, Page, Plan, day_seconds, eventually, moment, simulator_at, simulator_with, usual_collections,
};
use chrono::TimeDelta;
use oura_exporter::{
    clock::Clock,
    oura::ClientOptions,
    simulator::{Fault, Scope, Simulator},
};

fn requests(simulator: &Simulator, collection: &str) -> usize {
    simulator.requests().iter().filter(|request| request.path.ends_with(&format!("/{collection}"))).count()
}

/// The page of an exporter whose readiness was read once and fails so from then on.
async fn page_after(fault: Fault, reason: &str) -> Page {
    let simulator = simulator_at(NOON).await;
    let exporter = Plan::default().often().ready(&simulator).await;
    assert!(exporter.page().await.get("oura_readiness_score").is_some());
    simulator.faults().set(Scope::collection("daily_readiness"), fault);
    let page = exporter.page_where("the failure shows", |page| page.errors("daily_readiness", reason) > 0.0).await;
    exporter.stop().await;
    page
}

/// What holds whenever one collection fails after it was read.
fn assert_stands_alone(page: &Page) {
    assert_eq!(page.is_up("daily_readiness"), Some(0.0));
    assert_eq!(page.get("oura_up"), Some(0.0));
    assert_eq!(page.get("oura_account_authorized"), Some(1.0));
    assert!(page.get("oura_readiness_score").is_some(), "the last values stay");
    assert_eq!(page.day("daily_readiness"), day_seconds("2026-11-22"), "with their day");
    assert_eq!(page.is_up("daily_sleep"), Some(1.0), "the others are well");
}

#[tokio::test]
async fn html_with_200() {
    let page = page_after(Fault::Html, "unreadable").await;
    assert_stands_alone(&page);
}

#[tokio::test]
async fn json_that_is_cut_off() {
    let page = page_after(Fault::CutJson, "unreadable").await;
    assert_stands_alone(&page);
}

#[tokio::test]
async fn status_500_is_asked_again_and_then_a_failure() {
    let page = page_after(Fault::Status(500), "server").await;
    assert_stands_alone(&page);
    let asked = page.get(r#"oura_api_requests_total{code="500",collection="daily_readiness"}"#).unwrap_or(0.0);
    assert!(asked >= 3.0, "asked {asked} times");
}

#[tokio::test]
async fn a_passing_500_is_not_even_seen() {
    let simulator = simulator_at(NOON).await;
    simulator.faults().set(Scope::collection("daily_readiness"), Fault::Times(2, Box::new(Fault::Status(503))));
    let page = Plan::default().ready(&simulator).await.page().await;
    assert_eq!(page.is_up("daily_readiness"), Some(1.0));
    assert_eq!(page.errors("daily_readiness", "server"), 0.0);
}

#[tokio::test]
async fn a_connection_that_breaks() {
    let page = page_after(Fault::Drop, "network").await;
    assert_stands_alone(&page);
}

#[tokio::test]
async fn a_next_token_that_repeats() {
    let page = page_after(Fault::RepeatToken, "paging").await;
    assert_stands_alone(&page);
}

#[tokio::test]
async fn a_status_that_is_no_ones() {
    let page = page_after(Fault::Status(404), "request").await;
    assert_stands_alone(&page);
}

#[tokio::test]
async fn a_call_that_hangs_delays_no_other() {
    let simulator = simulator_at(NOON).await;
    simulator.faults().set(Scope::collection("daily_readiness"), Fault::Hang);
    let (timeout, wait) = (Duration::from_secs(6), Duration::from_millis(5));
    let client_options = ClientOptions { timeout, retries: 0, wait, stagger: Duration::from_millis(200) };
    let exporter = Plan { client_options, ..Plan::default() }.start(&simulator).await;
    let others = |page: &Page| page.starting_with("oura_collection_up").len() == usual_collections() - 1;
    let page = exporter.page_where("all others answer first", others).await;
    assert_eq!(page.is_up("daily_readiness"), None, "it still hangs");
    assert!(page.get("oura_sleep_score").is_some());
    let (status, reason) = exporter.get("/-/ready").await;
    assert_eq!(status, 503);
    assert!(reason.contains("alice: daily_readiness"), "{reason}");
    exporter.ready().await;
    let page = exporter.page().await;
    assert_eq!(page.is_up("daily_readiness"), Some(0.0));
    assert_eq!(page.errors("daily_readiness", "timeout"), 1.0);
}

#[tokio::test]
async fn status_401_on_one_collection_is_a_missing_scope() {
    let simulator = simulator_at(NOON).await;
    simulator.faults().set(Scope::collection("daily_spo2"), Fault::ScopeMissing);
    let exporter = Plan::default().ready(&simulator).await;
    let page = exporter.page().await;
    assert_eq!(page.collection("oura_collection_permitted", "daily_spo2"), Some(0.0));
    assert_eq!(page.errors("daily_spo2", "scope"), 1.0);
    assert_eq!(page.get("oura_account_authorized"), Some(1.0));
    assert_eq!(page.get("oura_up"), Some(1.0), "all that the account may read works");
    let (_, landing) = exporter.get("/").await;
    assert!(landing.contains("the token lacks the scope spo2"), "{landing}");
}

#[tokio::test]
async fn a_single_refusal_of_what_was_permitted_is_a_passing_fault() {
    let simulator = simulator_at(NOON).await;
    let exporter = Plan::default().often().ready(&simulator).await;
    simulator.faults().set(Scope::collection("sleep"), Fault::Times(1, Box::new(Fault::Status(401))));
    exporter.page_where("the refusal is counted", |page| page.errors("sleep", "refused") == 1.0).await;
    let page = exporter.page_where("it works again", |page| page.is_up("sleep") == Some(1.0)).await;
    assert_eq!(page.collection("oura_collection_permitted", "sleep"), Some(1.0));
    exporter.stop().await;
}

#[tokio::test]
async fn personal_info_alone_refused_is_no_dead_token() {
    let simulator = simulator_at(NOON).await;
    simulator.faults().set(Scope::collection("personal_info"), Fault::Status(401));
    let page = Plan::default().ready(&simulator).await.page().await;
    assert_eq!(page.get("oura_account_authorized"), Some(1.0));
    assert_eq!(page.collection("oura_collection_permitted", "personal_info"), Some(0.0));
}

#[tokio::test]
async fn a_rate_limit_that_is_over_is_forgotten() {
    let simulator = simulator_at(NOON).await;
    let limited = Fault::Times(1, Box::new(Fault::RateLimited { retry_after_seconds: 1 }));
    simulator.faults().set(Scope::collection("sleep"), limited);
    let exporter = Plan::default().often().ready(&simulator).await;
    assert!(exporter.page().await.errors("sleep", "rate_limit") > 0.0);
    exporter.page_where("all is well again", |page| page.get("oura_up") == Some(1.0)).await;
    exporter.stop().await;
}

#[tokio::test]
async fn pages_without_end_end_with_an_error() {
    let page = page_after(Fault::EndlessPages, "paging").await;
    assert_stands_alone(&page);
}

#[tokio::test]
async fn what_may_not_be_read_is_asked_again_rarely() {
    let simulator = simulator_at(NOON).await;
    simulator.faults().set(Scope::collection("daily_spo2"), Fault::ScopeMissing);
    let exporter = Plan::default().often().ready(&simulator).await;
    eventually("more polls", async || (requests(&simulator, "daily_sleep") > 40).then_some(())).await;
    assert!(requests(&simulator, "daily_spo2") < 10, "nobody knows what was granted, so it is asked a few times more");
    exporter.stop().await;
}

#[tokio::test]
async fn status_401_everywhere_is_a_dead_token_and_keeps_the_values() {
    let simulator = simulator_at(NOON).await;
    let exporter = Plan::default().often().ready(&simulator).await;
    simulator.faults().set(Scope::all(), Fault::TokenDead);
    let page =
        exporter.page_where("the token is refused", |page| page.get("oura_account_authorized") == Some(0.0)).await;
    assert!(page.get("oura_readiness_score").is_some());
    assert_eq!(page.get("oura_up"), Some(0.0));
    assert_eq!(page.collection("oura_collection_permitted", "daily_readiness"), Some(1.0));
    let all_failed = |page: &Page| ["daily_readiness", "sleep"].iter().all(|name| page.errors(name, "token") > 1.0);
    exporter.page_where("every collection fails", all_failed).await;
    simulator.forget_requests();
    exporter.page_where("some polls later", |page| page.errors("sleep", "token") > 5.0).await;
    assert!(simulator.requests().len() <= 2, "a dead token is tried once, not for every collection");
    simulator.faults().clear();
    exporter.stop().await;
}

#[tokio::test]
async fn status_403_everywhere_is_a_lapsed_membership() {
    let simulator = simulator_at(NOON).await;
    simulator.faults().set(Scope::all(), Fault::MembershipLapsed);
    let exporter = Plan::default().ready(&simulator).await;
    let page = exporter.page().await;
    assert_eq!(page.get("oura_account_authorized"), Some(1.0), "signing in again would not help");
    assert_eq!(page.collection("oura_collection_permitted", "sleep"), Some(0.0));
    assert!(page.errors("sleep", "membership") >= 1.0);
    assert_eq!(page.get("oura_up"), Some(0.0));
}

#[tokio::test]
async fn status_403_on_one_collection_is_a_missing_permission() {
    let simulator = simulator_at(NOON).await;
    simulator.faults().set(Scope::collection("workout"), Fault::Status(403));
    let page = Plan::default().ready(&simulator).await.page().await;
    assert_eq!(page.collection("oura_collection_permitted", "workout"), Some(0.0));
    assert_eq!(page.get("oura_up"), Some(1.0));
}

#[tokio::test]
async fn status_429_silences_the_whole_account_for_as_long_as_it_says() {
    let simulator = simulator_at(NOON).await;
    let exporter = Plan::default().often().ready(&simulator).await;
    simulator.faults().set(Scope::collection("sleep"), Fault::RateLimited { retry_after_seconds: 300 });
    let shows = |page: &Page| page.get("oura_api_rate_limited_until_timestamp_seconds").is_some();
    let page = exporter.page_where("the limit shows", shows).await;
    let until = page.get("oura_api_rate_limited_until_timestamp_seconds").expect("a time");
    assert!(until >= (moment(NOON).timestamp() + 300) as f64, "{until}");
    assert!(page.get("oura_night_total_sleep_seconds").is_some(), "the last values stay");
    let silent =
        |page: &Page| ["daily_readiness", "heartrate"].iter().all(|name| page.errors(name, "rate_limit") > 0.0);
    let page = exporter.page_where("the others wait as well", silent).await;
    assert_eq!(page.is_up("daily_readiness"), Some(0.0));
    let after: Vec<_> = simulator.requests().into_iter().skip_while(|request| request.status != 429).skip(1).collect();
    assert!(after.is_empty(), "{after:?}");
    exporter.stop().await;
}

#[tokio::test]
async fn values_of_a_failing_collection_leave_the_page_after_a_while() {
    let simulator = simulator_at(NOON).await;
    let exporter = Plan::default().often().set("OURA_STALE_AFTER", "300ms").ready(&simulator).await;
    simulator.faults().set(Scope::collection("daily_readiness"), Fault::Status(500));
    let gone = |page: &Page| page.get("oura_readiness_score").is_none();
    let page = exporter.page_where("the values are dropped", gone).await;
    assert_eq!(page.is_up("daily_readiness"), Some(0.0));
    assert_eq!(page.day("daily_readiness"), None);
    assert!(page.get("oura_sleep_score").is_some());
    simulator.faults().clear();
    exporter.page_where("it recovers", |page| page.get("oura_readiness_score").is_some()).await;
    exporter.stop().await;
}

#[tokio::test]
async fn one_account_fails_and_the_other_does_not_notice() {
    let simulator = simulator_at(NOON).await;
    simulator.faults().set(Scope::person("alice"), Fault::TokenDead);
    let page = Plan { people: &["alice", "bob"], ..Plan::default() }.ready(&simulator).await.page().await;
    assert_eq!(page.get("oura_account_authorized"), Some(0.0));
    assert_eq!(page.get(r#"oura_account_authorized{account="bob"}"#), Some(1.0));
    assert_eq!(page.get(r#"oura_up{account="bob"}"#), Some(1.0));
    assert!(page.get(r#"oura_readiness_score{account="bob"}"#).is_some());
}

#[tokio::test]
async fn a_document_that_is_revised_is_shown_anew() {
    let simulator = simulator_at(NOON).await;
    let exporter = Plan::default().often().ready(&simulator).await;
    simulator.faults().edit(Scope::collection("daily_readiness"), |documents| {
        documents.iter_mut().for_each(|document| document["score"] = 13.into());
    });
    exporter.page_where("the new score", |page| page.get("oura_readiness_score") == Some(13.0)).await;
    exporter.stop().await;
}

#[tokio::test]
async fn a_start_before_the_network_has_a_page_within_the_minute() {
    let simulator = simulator_at(NOON).await;
    // Three ways in which a network that is late looks, each on collections that are asked at paces of their own.
    simulator.faults().set(Scope::all(), Fault::Drop);
    simulator.faults().set(Scope::collection("sleep"), Fault::Status(502));
    simulator.faults().set(Scope::collection("personal_info"), Fault::Hang);
    let client_options = ClientOptions { retries: 0, ..Plan::default().client_options };
    let exporter = Plan { client_options, ..Plan::default() }.ready(&simulator).await;
    let page = exporter.page().await;
    for (collection, reason) in [("daily_readiness", "network"), ("sleep", "server"), ("personal_info", "timeout")] {
        assert_eq!((page.is_up(collection), page.errors(collection, reason)), (Some(0.0), 1.0), "{collection}");
    }
    simulator.faults().clear();
    exporter.page_where("it is tried again after 15 s", |page| page.is_up("daily_readiness") == Some(1.0)).await;
    let page = exporter.page_where("and all is read", |page| page.get("oura_up") == Some(1.0)).await;
    assert!(page.get("oura_readiness_score").is_some());
    exporter.stop().await;
}

/// Nothing ever answers, and no timeout ends the wait: from the first turn on, or after it was read, or for one of them only.
#[tokio::test]
async fn a_turn_that_never_ends_cannot_hide() {
    for (hangs, hangs_from_the_start) in [
        (Scope::collection("daily_readiness"), true),
        (Scope::collection("daily_readiness"), false),
        (Scope::all(), false),
    ] {
        let (clock, hand) = Clock::driven_from(moment(NOON));
        let simulator = simulator_with(clock.clone()).await;
        let client_options = ClientOptions { timeout: Duration::from_secs(3600), ..Plan::default().client_options };
        let plan = Plan { client_options, ..Plan::default() }
            .often()
            .by(clock)
            .set("OURA_COLLECTIONS", "daily_readiness,sleep");
        if hangs_from_the_start {
            simulator.faults().set(hangs.clone(), Fault::Hang);
        }
        let exporter = plan.start(&simulator).await;
        exporter.page_where("the other one is read", |page| page.is_up("sleep") == Some(1.0)).await;
        if !hangs_from_the_start {
            exporter.ready().await;
            simulator.faults().set(hangs, Fault::Hang);
            simulator.forget_requests();
            eventually("it hangs", async || (requests(&simulator, "daily_readiness") > 0).then_some(())).await;
        }
        hand.advance(TimeDelta::minutes(4));
        let down = |page: &Page| page.is_up("daily_readiness") == Some(0.0);
        let page = exporter.page_where("it is not up", down).await;
        assert_eq!(page.get("oura_up"), Some(0.0));
        let (_, landing) = exporter.get("/").await;
        assert!(landing.contains("Some collections cannot be read.") && landing.contains("overdue: "), "{landing}");
        drop(exporter);
    }
}
