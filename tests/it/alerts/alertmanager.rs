//! Alertmanager as we ship it: what a user may put in, what goes to whom, and what silences what.

use std::{fs, path::Path, process::Command};

use super::chain::alertmanager;
use crate::common::{
    eventually,
    needs::{newer_are_there, there_are},
    servers::{Release, ask, file, free_address},
};
use oura_exporter::tls;
use serde_json::{Value, json};

fn shipped() -> String {
    fs::read_to_string(file("deploy/alertmanager.yml")).expect("a configuration")
}

/// Whether Alertmanager of both releases takes a configuration.
fn is_taken(config: &str) -> (bool, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("alertmanager.yml");
    fs::write(&path, config).expect("a file");
    let of = |release: Release| ask(Command::new(release.program("amtool")).arg("check-config").arg(&path), "");
    let [(installed, said), (newer, more)] = Release::BOTH.map(of);
    assert_eq!(installed, newer, "{said}{more}");
    (installed, said)
}

fn amtools_are_there(test: &str) -> bool {
    there_are(&["amtool"], test) && newer_are_there(&["amtool"], test)
}

#[test]
fn the_receivers_that_are_offered_can_be_put_in() {
    if !amtools_are_there("the_receivers_that_are_offered_can_be_put_in") {
        return;
    }
    let config = shipped();
    let (_, receivers) = config.split_once("# Alerts show on").expect("receivers");
    let offered: Vec<_> = receivers.lines().filter_map(|line| line.strip_prefix("#     ")).collect();
    let offered =
        offered.join("\n").replace("webhook_configs", "\nwebhook_configs").replace("email_configs", "\nemail_configs");
    let blocks: Vec<_> = offered.split("\n\n").map(str::trim).filter(|block| !block.is_empty()).collect();
    assert_eq!(blocks.len(), 2, "{blocks:?}");
    for block in blocks {
        let below: String = block.lines().map(|line| format!("    {line}\n")).collect();
        let (is_good, said) = is_taken(&format!("{config}{below}"));
        assert!(is_good, "{said}");
    }
}

#[test]
fn the_quiet_hours_that_are_offered_can_be_put_in() {
    if !amtools_are_there("the_quiet_hours_that_are_offered_can_be_put_in") {
        return;
    }
    let config = shipped();
    let quiet = config.replace("      # routes:", "      routes:").replace("      #   - {", "        - {");
    let (route, rest) = quiet.split_once("# time_intervals:").expect("intervals");
    let (intervals, rest) = rest.split_once("\n\n").expect("what follows");
    let quiet = format!("{route}time_intervals:{}\n\n{rest}", intervals.replace("\n# ", "\n"));
    assert!(quiet.matches("night-in-helsinki").count() == 2 && !quiet.contains("# time_intervals"), "{quiet}");
    for (zone, is_good) in [("Europe/Helsinki", true), ("Asia/Tokyo", true), ("Europe/Nowhere", false)] {
        let (is_taken, said) = is_taken(&quiet.replace("Europe/Helsinki", zone));
        assert_eq!(is_taken, is_good, "{zone}: {said}");
    }
}

/// The labels of an alert, from `name=value` words.
fn alert(words: &str) -> Value {
    let labels = words.split(' ').filter_map(|word| word.split_once('='));
    json!({ "labels": labels.map(|(name, value)| (name.to_owned(), json!(value))).collect::<serde_json::Map<_, _>>() })
}

/// Whether Alertmanager says of these labels that another alert silences them; none if it does not know them yet.
fn is_silenced(known: &[Value], words: &str) -> Option<bool> {
    let found = known.iter().find(|known| known["labels"] == alert(words)["labels"])?;
    Some(found["status"]["inhibitedBy"].as_array().is_some_and(|by| !by.is_empty()))
}

/// Which of the alerts are silenced by others, once all are that are meant to be: a new release looks at them one by one.
async fn silenced(release: Release, directory: &Path, alerts: &[(&str, bool)]) -> Vec<bool> {
    tls::choose_provider();
    fs::write(directory.join("alertmanager.yml"), shipped()).expect("a file");
    let (address, _process) = alertmanager(release, directory, &free_address().await).await;
    let url = format!("http://{address}/api/v2/alerts");
    let body = json!(alerts.iter().map(|(words, _)| alert(words)).collect::<Vec<_>>());
    let http = reqwest::Client::new();
    let taken = http.post(&url).header("Content-Type", "application/json").body(body.to_string());
    assert!(taken.send().await.expect("an answer").status().is_success());
    let all = async || -> Option<Vec<Value>> { http.get(&url).send().await.ok()?.json().await.ok() };
    eventually("all are known and judged", async || {
        let known = all().await?;
        let silenced = alerts.iter().map(|(words, _)| is_silenced(&known, words)).collect::<Option<Vec<_>>>()?;
        let is_judged = known.iter().all(|alert| alert["status"]["state"] != "unprocessed");
        let are_silent = alerts.iter().zip(&silenced).all(|((_, expected), found)| *found || !expected);
        (is_judged && are_silent).then_some(silenced)
    })
    .await
}

const TOGETHER: [(&str, bool); 11] = [
    // One exporter is down: what is about that exporter is silent, and nobody else.
    ("alertname=OuraExporterDown severity=critical job=oura instance=a:1", false),
    ("alertname=OuraRateLimited severity=info job=oura instance=a:1", true),
    ("alertname=OuraRateLimited severity=info job=oura instance=b:1", false),
    ("alertname=OuraHistoryLagging severity=warning job=rings instance=a:1", false),
    ("alertname=OuraLowReadiness severity=warning account=alice day=2026-11-22", false),
    ("alertname=OuraNoData severity=warning account=alice", false),
    // No exporter at all has no instance either.
    ("alertname=OuraExporterDown severity=critical", false),
    // Nothing silences a day's.
    ("alertname=OuraShortSleep severity=info account=alice day=2026-11-22", false),
    ("alertname=OuraLowReadiness severity=info account=bob day=2026-11-22", false),
    // Whose sign-in is needed.
    ("alertname=OuraSignInNeeded severity=critical account=bob job=oura instance=b:1", false),
    ("alertname=OuraCollectionFailing severity=warning account=bob collection=sleep job=oura instance=b:1", true),
];

async fn silences(release: Release) {
    let directory = tempfile::tempdir().expect("a directory");
    let found = silenced(release, directory.path(), &TOGETHER).await;
    let wrong: Vec<_> = TOGETHER.iter().zip(found).filter(|((_, expected), found)| expected != found).collect();
    assert!(wrong.is_empty(), "{release:?}: {wrong:#?}");
}

#[tokio::test]
async fn an_alert_silences_what_says_the_same_and_nothing_else() {
    let test = "an_alert_silences_what_says_the_same_and_nothing_else";
    if !there_are(&["prometheus-alertmanager"], test) || !newer_are_there(&["prometheus-alertmanager"], test) {
        return;
    }
    for release in Release::BOTH {
        silences(release).await;
    }
}
