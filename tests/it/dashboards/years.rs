//! Two years of history, live scrapes, late samples and live remote write in one Prometheus: every query has an answer.

use std::path::Path;

use chrono::{TimeDelta, Utc};
use oura_exporter::{clock::Clock, documents::KINDS, simulator::Simulator};
use serde_json::json;
use tokio::process::Command;

use super::{
    empty::When,
    prometheus::{Asked, DAY, assert_answers},
};
use crate::common::{
    Plan, eventually,
    needs::there_are,
    samples::files,
    servers::{import, text},
    settings,
    stores::{RECEIVING, Store, taking},
};

/// How much history there is, in days.
const YEARS: i64 = 2 * 365;
/// The labels that history bears.
const INSTANCE: &str = "localhost:10058";

/// Two years of everybody's record, as files, in the data directory; the heart rate comes from the live exporter.
async fn bring_in_history(simulator: &Simulator, directory: &Path) {
    let from = (Utc::now() - TimeDelta::days(YEARS)).date_naive().to_string();
    let kinds = KINDS.iter().map(|kind| kind.name).filter(|name| !matches!(*name, "heartrate" | "tag"));
    let collections = kinds.collect::<Vec<_>>().join(",");
    for wearer in simulator.people() {
        let output = directory.join(wearer.name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
        command.env_clear().env("OURA_API_URL", simulator.url()).env("OURA_ACCESS_TOKEN", &wearer.token);
        command.env("OURA_ACCOUNT", wearer.name).env("OURA_COLLECTIONS", &collections);
        command.args(["backfill", "--from", &from, "--output"]).arg(&output);
        let ended = command.output().await.expect("it runs");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        files(&output).iter().for_each(|file| import(file, &directory.join("data")));
    }
}

/// A configuration that scrapes the page and the samples of `target` every second.
fn config(target: &str) -> String {
    let relabel = json!([{ "target_label": "instance", "replacement": INSTANCE }]);
    let page = json!({ "job_name": "oura", "scrape_interval": "1s", "static_configs": [{ "targets": [target] }],
        "relabel_configs": relabel });
    let samples = json!({ "job_name": "oura-samples", "metrics_path": "/metrics/samples", "scrape_interval": "5s",
        "static_configs": [{ "targets": [target] }], "relabel_configs": relabel,
        "metric_relabel_configs": [{ "target_label": "job", "replacement": "oura" }] });
    json!({ "scrape_configs": [page, samples], "storage": { "tsdb": { "out_of_order_time_window": "30d" } } })
        .to_string()
}

#[tokio::test]
async fn two_years_of_history_and_live_scrapes_answer_every_query() {
    if !there_are(&["prometheus", "promtool"], "two_years_of_history_and_live_scrapes_answer_every_query") {
        return;
    }
    let simulator = Simulator::start(settings(Clock::system())).await.expect("a free port");
    let directory = tempfile::tempdir().expect("a directory");
    bring_in_history(&simulator, directory.path()).await;
    // The receiver of live remote write is a second Prometheus, so that no sample comes in two ways.
    let receiver = Store::prometheus(&taking(Some("30d")), &[RECEIVING]).await;
    let state = tempfile::tempdir().expect("a directory");
    let plan = Plan { people: &["alice", "bob"], ..Plan::default() }.at_moment(Utc::now());
    let plan = plan.set("OURA_STATE_DIR", text(state.path()));
    let exporter = plan.set("OURA_REMOTE_WRITE_URL", &receiver.write_url()).ready(&simulator).await;
    let flags = ["--storage.tsdb.retention.time=10y"];
    let prometheus = Store::prometheus_in(directory.path(), &config(exporter.address()), &flags).await;
    // Somebody may have forgotten their ring on the one day, but not for a week.
    for (what, query) in [
        ("ten scrapes", "count_over_time(oura_up{account=\"bob\"}[1h]) >= 10"),
        ("late samples", "count(count_over_time(oura_sample_met[26h])) >= 2"),
        ("remote write", "oura_remote_write_last_success_timestamp_seconds"),
        ("two years", "count(last_over_time(oura_sample_readiness_score[7d] offset 700d)) >= 2"),
    ] {
        eventually(what, async || prometheus.now(query).await).await;
    }
    let two_years = u64::try_from(YEARS).expect("positive") * DAY;
    let asked = Asked { store: &prometheus, now: None, when: &[When::Always] };
    assert_answers(&asked, |query| vec![query.usual_range(), two_years]).await;
    exporter.stop().await;
}
