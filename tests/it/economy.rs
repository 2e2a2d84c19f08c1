//! What a poll costs at Oura: requests, bytes, connections, and what is never asked for. What a day costs with the record
//! is in `live`.

use std::{collections::BTreeSet, time::Duration};

use crate::common::{NOON, Plan, eventually, simulator_at, simulator_with};
use oura_exporter::{
    clock::Clock,
    http_client::USER_AGENT,
    simulator::{Recorded, Scope},
};

fn query<'a>(request: &'a Recorded, name: &str) -> Option<&'a str> {
    request.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// Whether the record is kept, which looks back at two weeks and reads days, nights and sessions whole.
const WITHOUT_THE_RECORD: (&str, &str) = ("OURA_SAMPLES", "false");
const WITH_THE_RECORD: (&str, &str) = ("OURA_SAMPLES", "true");

#[tokio::test]
async fn a_poll_of_everything_costs_little_over_few_connections() {
    // A large answer may be read before its connection is free again for the next request.
    for (record, most_bytes, most_requests, most_connections) in
        [(WITHOUT_THE_RECORD, 20_000, 22, 1), (WITH_THE_RECORD, 80_000, 27, 4)]
    {
        let simulator = simulator_at(NOON).await;
        let mut plan = Plan::default().set(record.0, record.1);
        // However slow the machine, one collection waits for the other.
        plan.client_options.stagger = Duration::from_secs(60);
        let exporter = plan.ready(&simulator).await;
        let requests = simulator.requests();
        let bytes: usize = requests.iter().map(|request| request.body_bytes).sum();
        let sizes: Vec<_> = requests.iter().map(|request| (request.path.as_str(), request.body_bytes)).collect();
        assert!(bytes < most_bytes, "{bytes} bytes: {sizes:?}");
        assert!(requests.len() <= most_requests, "{} requests: {sizes:?}", requests.len());
        let connections: BTreeSet<_> = requests.iter().map(|request| request.connection).collect();
        assert!(connections.len() <= most_connections, "{} connections", connections.len());
        exporter.stop().await;
    }
}

#[tokio::test]
async fn every_request_names_the_program() {
    let simulator = simulator_at(NOON).await;
    let exporter = Plan::default().ready(&simulator).await;
    assert_eq!(USER_AGENT, format!("oura-exporter/{}", env!("CARGO_PKG_VERSION")));
    assert!(simulator.requests().iter().all(|request| request.user_agent.as_deref() == Some(USER_AGENT)));
    exporter.stop().await;
}

/// What is dense, and what is private.
const DENSE: &[&str] = &["met", "heart_rate", "hrv", "movement_30_sec", "sleep_phase_30_sec", "heart_rate_variability"];
const PRIVATE: &[&str] = &["email", "comment", "label", "custom_name"];

#[tokio::test]
async fn only_the_fields_that_are_read_are_asked_for() {
    for (record, never) in [(WITHOUT_THE_RECORD, [DENSE, PRIVATE].concat()), (WITH_THE_RECORD, PRIVATE.to_vec())] {
        let simulator = simulator_at(NOON).await;
        let exporter = Plan::default().set(record.0, record.1).ready(&simulator).await;
        let mut dense = 0;
        for request in simulator.requests() {
            let fields: Vec<_> = query(&request, "fields").unwrap_or_default().split(',').collect();
            for field in &never {
                assert!(!fields.contains(field), "{} asks for {field}", request.path);
            }
            dense += usize::from(fields.iter().any(|field| DENSE.contains(field)));
            if request.path.ends_with("/daily_activity") || request.path.ends_with("/sleep") {
                let most = if fields.iter().any(|field| DENSE.contains(field)) { 33 } else { 26 };
                assert!((11..most).contains(&fields.len()), "{} asks for {fields:?}", request.path);
            }
        }
        // Of days, nights and sessions, each read whole in one list; a few are read one by one.
        assert!(dense <= 3, "{dense} requests for dense fields");
        exporter.stop().await;
    }
}

#[tokio::test]
async fn between_two_looks_back_a_poll_asks_for_nothing_dense_that_has_not_changed() {
    let simulator = simulator_with(Clock::still_at(crate::common::moment(NOON))).await;
    let exporter = Plan::default().often().ready(&simulator).await;
    simulator.forget_requests();
    let count = |name: &str| simulator.requests().iter().filter(|request| request.path.ends_with(name)).count();
    eventually("some polls", async || (count("/sleep") > 4).then_some(())).await;
    for request in simulator.requests() {
        let fields: Vec<_> = query(&request, "fields").unwrap_or_default().split(',').collect();
        assert!(!fields.iter().any(|field| DENSE.contains(field)), "{} asks for {fields:?}", request.path);
        let is_list = ["/daily_activity", "/sleep"].iter().any(|list| request.path.ends_with(list));
        let of_days = query(&request, "start_date");
        assert!(!is_list || of_days >= Some("2026-11-18"), "{} asks from {of_days:?} on", request.path);
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
    let exporter = Plan::default().often().ready(&simulator).await;
    // The first poll may ask twice: for what there is, and for what is to be read whole.
    simulator.forget_requests();
    let count = |name: &str| simulator.requests().iter().filter(|request| request.path.ends_with(name)).count();
    eventually("some polls", async || (count("/daily_readiness") > 5).then_some(())).await;
    for slow in ["/personal_info", "/ring_configuration", "/vO2_max", "/workout", "/session", "/ring_battery_level"] {
        assert_eq!(count(slow), 0, "{slow}");
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
    for (record, expected) in [
        (WITHOUT_THE_RECORD, &[Some("2026-11-13"), Some("2026-10-21")][..]),
        // Whoever looks back asks for all of it once.
        (WITH_THE_RECORD, &[Some("2026-10-21")]),
    ] {
        simulator.forget_requests();
        let page = Plan::default().set(record.0, record.1).ready(&simulator).await.page().await;
        assert_eq!(page.day("workout"), crate::common::day_seconds("2026-10-25"), "four weeks old, and shown");
        let asked = simulator.requests().into_iter().filter(|request| request.path.ends_with("/workout"));
        let asked: Vec<_> = asked.collect();
        let starts: Vec<_> = asked.iter().map(|request| query(request, "start_date")).collect();
        assert_eq!(starts, expected);
    }
}
