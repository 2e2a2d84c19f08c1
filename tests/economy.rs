//! What a poll costs at Oura: requests, bytes, connections, and what is never asked for.

mod common;

use std::time::Duration;

use common::{NOON, Plan, eventually, simulator_at};
use oura_exporter::{
    oura::USER_AGENT,
    simulator::{Recorded, Scope},
};

/// Without the record, which has a budget of its own for looking back.
fn page_alone() -> Plan {
    Plan::default().set("OURA_SAMPLES", "false")
}

fn query<'a>(request: &'a Recorded, name: &str) -> Option<&'a str> {
    request.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn a_poll_of_everything_costs_less_than_20_kb_over_one_connection() {
    let simulator = simulator_at(NOON).await;
    let mut plan = page_alone();
    // However slow the machine, one collection waits for the other.
    plan.patience.stagger = Duration::from_secs(60);
    let exporter = plan.ready(&simulator).await;
    let requests = simulator.requests();
    let bytes: usize = requests.iter().map(|request| request.body_bytes).sum();
    let sizes: Vec<_> = requests.iter().map(|request| (request.path.as_str(), request.body_bytes)).collect();
    assert!(bytes < 20_000, "{bytes} bytes: {sizes:?}");
    assert!(requests.len() <= 22, "{} requests: {sizes:?}", requests.len());
    assert!(requests.iter().all(|request| request.connection == requests[0].connection), "one connection for all");
    exporter.stop().await;
}

#[tokio::test]
async fn every_request_names_the_program() {
    let simulator = simulator_at(NOON).await;
    let exporter = Plan::default().ready(&simulator).await;
    assert_eq!(USER_AGENT, format!("oura-exporter/{}", env!("CARGO_PKG_VERSION")));
    assert!(simulator.requests().iter().all(|request| request.user_agent.as_deref() == Some(USER_AGENT)));
    exporter.stop().await;
}

#[tokio::test]
async fn only_the_fields_that_are_read_are_asked_for() {
    let simulator = simulator_at(NOON).await;
    let exporter = page_alone().ready(&simulator).await;
    for request in simulator.requests() {
        let fields: Vec<_> = query(&request, "fields").unwrap_or_default().split(',').map(str::to_owned).collect();
        for heavy in ["met", "sleep_phase_30_sec", "heart_rate", "hrv", "movement_30_sec", "email", "comment", "label"]
        {
            assert!(!fields.iter().any(|field| field == heavy), "{} asks for {heavy}", request.path);
        }
        if request.path.ends_with("/daily_activity") || request.path.ends_with("/sleep") {
            assert!(fields.len() > 10, "{} asks for everything", request.path);
        }
    }
    exporter.stop().await;
}

#[tokio::test]
async fn the_next_poll_asks_for_the_new_heart_rate_only() {
    let simulator = simulator_at(NOON).await;
    let exporter = Plan::default().often().ready(&simulator).await;
    simulator.forget_requests();
    let heart_rate = async || {
        let requests = simulator.requests();
        requests.into_iter().find(|request| request.path.ends_with("/heartrate") && request.status == 200)
    };
    let request = eventually("a second poll", heart_rate).await;
    let start = query(&request, "start_datetime").expect("a start");
    assert!(start.starts_with("2026-11-22T10:"), "an hour before the newest sample: {start}");
    assert!(request.body_bytes < 1_500, "{} bytes", request.body_bytes);
    exporter.stop().await;
}

#[tokio::test]
async fn slow_collections_are_not_asked_at_each_poll() {
    let simulator = simulator_at(NOON).await;
    let exporter = page_alone().often().ready(&simulator).await;
    let count = |name: &str| simulator.requests().iter().filter(|request| request.path.ends_with(name)).count();
    eventually("some polls", async || (count("/daily_readiness") > 5).then_some(())).await;
    for slow in ["/personal_info", "/ring_configuration", "/vO2_max", "/workout", "/session", "/ring_battery_level"] {
        assert_eq!(count(slow), 1, "{slow}");
    }
    exporter.stop().await;
}

#[tokio::test]
async fn the_sandbox_is_asked_on_its_own_routes_and_not_for_personal_info() {
    let simulator = simulator_at(NOON).await;
    let page = Plan::default().set("OURA_SANDBOX", "true").ready(&simulator).await.page().await;
    let requests = simulator.requests();
    assert!(requests.iter().all(|request| request.path.starts_with("/v2/sandbox/usercollection/")), "{requests:?}");
    assert!(!requests.iter().any(|request| request.path.ends_with("personal_info")));
    assert_eq!(page.get("oura_up"), Some(1.0), "{}", page.text);
    assert!(page.get("oura_sleep_score").is_some());
}

#[tokio::test]
async fn the_newest_of_rare_documents_is_looked_for_in_a_week_and_then_in_a_month() {
    let simulator = simulator_at(NOON).await;
    simulator.faults().edit(Scope::collection("workout"), |documents| {
        documents.retain(|document| document["day"].as_str() <= Some("2026-10-25"));
    });
    let page = page_alone().ready(&simulator).await.page().await;
    assert_eq!(page.day("workout"), common::day_seconds("2026-10-25"), "four weeks old, and shown");
    let asked: Vec<_> = simulator.requests().into_iter().filter(|request| request.path.ends_with("/workout")).collect();
    let starts: Vec<_> = asked.iter().map(|request| query(request, "start_date")).collect();
    assert_eq!(starts, [Some("2026-11-13"), Some("2026-10-21")]);
}
