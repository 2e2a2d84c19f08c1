//! Remote write as a good receiver sees it: how one gets in, what a request holds, and that nothing is sent twice.

mod common;
mod receiving;

use std::process::Stdio;

use common::{
    needs::there_are,
    samples::Samples,
    stores::{RECEIVING, Store, taking},
};
use receiving::{
    Place, days_ago,
    receiver::{Behaviour, Receiver, Rule},
};
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// The secrets of these tests, which no output may hold.
const PASSWORD: &str = "hunter2-of-the-receiver";

/// A place whose samples all stand at their own second, so that two runs tell the same.
async fn place() -> Place {
    let mut place = Place::new().await;
    place.collections = "heartrate";
    place
}

fn basic(user: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{PASSWORD}")))
}

fn closed(authorization: String) -> Behaviour {
    Behaviour { rules: vec![Rule::Authorization(authorization)], ..Behaviour::default() }
}

fn assert_secret(log: &str) {
    assert!(!log.contains(PASSWORD) && !log.contains(basic("anna").trim_start_matches("Basic ")), "{log}");
}

#[tokio::test]
async fn it_sends_what_the_files_hold_once_and_a_second_time_the_same() {
    let (place, receiver, days) = (place().await, Receiver::start().await, days_ago(13, 7));
    let all = place.undisturbed(days, &[]).await;
    let arguments = ["--remote-write", &receiver.url()];
    let said = place.ended(&mut place.backfill("state", days, &arguments)).await;
    assert_eq!(said.code, Some(0), "{}", said.log);
    let kept = receiver.kept();
    kept.assert_proper("all is well");
    assert_eq!(kept.sent.samples, all.len(), "nothing is sent twice");
    assert!(kept.requests > 4, "each request is of one day: {}", kept.requests);
    let again = place.ended(&mut place.backfill("state", days, &arguments)).await;
    assert_eq!(again.code, Some(0), "{}", again.log);
    assert!(!again.log.contains("going on there"), "it had come to its end: {}", again.log);
    assert_eq!(receiver.requests(), 2 * kept.requests, "all of it again, to correct it: {}", again.log);
    assert_eq!(receiver.kept().sent.samples, 2 * all.len(), "{}", again.log);
}

#[tokio::test]
async fn up_to_a_day_and_then_further_nothing_is_missing_between() {
    let (place, receiver) = (place().await, Receiver::start().await);
    let all = place.undisturbed(days_ago(12, 7), &[]).await;
    let arguments = ["--remote-write", &receiver.url()];
    for days in [days_ago(12, 10), days_ago(12, 7)] {
        let said = place.ended(&mut place.backfill("state", days, &arguments)).await;
        assert_eq!(said.code, Some(0), "{}", said.log);
    }
    receiver.kept().samples.assert_same(&all, "in two steps");
}

#[tokio::test]
async fn a_receiver_that_refuses_everything_is_told_of_and_costs_no_sample() {
    let (place, days) = (place().await, days_ago(8, 7));
    let wrong_path = Rule::Samples(400, "unsupported path", std::sync::Arc::new(|_, _| true));
    let receiver = Receiver::that(Behaviour { rules: vec![wrong_path], ..Behaviour::default() }).await;
    let arguments = ["--remote-write", &receiver.url()];
    let said = place.ended(&mut place.backfill("state", days, &arguments)).await;
    assert_eq!(said.code, Some(1), "{}", said.log);
    assert!(said.log.contains("refuses every sample; check the URL"), "{}", said.log);
    assert!(receiver.requests() < 200, "{} requests", receiver.requests());
    receiver.set(Behaviour::default());
    let said = place.ended(&mut place.backfill("state", days, &arguments)).await;
    assert_eq!(said.code, Some(0), "{}", said.log);
    receiver.kept().samples.assert_same(&place.undisturbed(days, &[]).await, "the right path at last");
}

#[tokio::test]
async fn what_was_too_old_is_sent_again_once_the_receiver_takes_it() {
    let (place, days) = (place().await, days_ago(8, 7));
    let all = place.undisturbed(days, &[]).await;
    let bound = all.quantile(0.5);
    let receiver = Receiver::that(Behaviour { rules: vec![Rule::too_old(500, bound)], ..Behaviour::default() }).await;
    let arguments = ["--remote-write", &receiver.url()];
    let said = place.ended(&mut place.backfill("state", days, &arguments)).await;
    assert_eq!(said.code, Some(1), "{}", said.log);
    assert!(said.log.contains("out_of_order_time_window"), "{}", said.log);
    receiver.set(Behaviour::default());
    let said = place.ended(&mut place.backfill("state", days, &arguments)).await;
    assert_eq!(said.code, Some(0), "{}", said.log);
    receiver.kept().samples.assert_same(&all, "the window was opened");
}

#[tokio::test]
async fn cut_off_and_run_again_it_goes_on_where_it_stopped() {
    let (place, receiver, days) = (place().await, Receiver::start().await, days_ago(20, 7));
    let all = place.undisturbed(days, &[]).await;
    let arguments = ["--remote-write", &receiver.url()];
    let mut running = place.backfill("state", days, &arguments).stderr(Stdio::null()).spawn().expect("it starts");
    let half_way = Behaviour { slow: 400, ..Behaviour::default() };
    receiver.set(half_way);
    receiver.came(3).await;
    running.kill().await.expect("it was running");
    assert!(receiving::cursor(&place.path("state")).is_some(), "its place is kept");
    let before = receiver.kept();
    assert!(before.samples.len() < all.len(), "it was half-way");
    receiver.set(Behaviour::default());
    let said = place.ended(&mut place.backfill("state", days, &arguments)).await;
    assert_eq!(said.code, Some(0), "{}", said.log);
    let kept = receiver.kept();
    kept.assert_proper("cut off");
    kept.samples.assert_same(&all, "cut off");
    let twice = kept.sent.samples - all.len();
    assert!(twice <= 2 * 5_100, "at most the requests without an answer are sent again, not {twice}");
}

#[tokio::test]
async fn it_gets_in_by_user_and_password_or_by_token_and_shows_neither() {
    let (place, days) = (place().await, days_ago(8, 8));
    let user = [("OURA_REMOTE_WRITE_USERNAME", "anna"), ("OURA_REMOTE_WRITE_PASSWORD", PASSWORD)];
    let token = [("OURA_REMOTE_WRITE_BEARER_TOKEN", PASSWORD), ("OURA_LOG", "trace")];
    for (expected, variables) in [(basic("anna"), user), (format!("Bearer {PASSWORD}"), token)] {
        let receiver = Receiver::that(closed(expected.clone())).await;
        let arguments = ["--remote-write", &receiver.url()];
        let mut command = place.backfill(&expected[..5], days, &arguments);
        let said = place.ended(command.envs(variables)).await;
        assert_eq!(said.code, Some(0), "{}", said.log);
        assert_secret(&said.log);
        let kept = receiver.kept();
        assert!(kept.samples.len() > 10 && kept.authorizations.iter().all(|had| had.as_ref() == Some(&expected)));
    }
}

#[tokio::test]
async fn where_it_is_not_let_in_it_says_so_at_once_with_what_to_check() {
    let (place, days) = (place().await, days_ago(8, 8));
    for (state, user) in [("nobody", None), ("stranger", Some("stranger"))] {
        let receiver = Receiver::that(closed(basic("anna"))).await;
        let mut command = place.backfill(state, days, &["--remote-write", &receiver.url()]);
        if let Some(user) = user {
            command.env("OURA_REMOTE_WRITE_USERNAME", user).env("OURA_REMOTE_WRITE_PASSWORD", PASSWORD);
        }
        let said = place.ended(&mut command).await;
        assert_eq!((said.code, receiver.requests()), (Some(1), 1), "once: {}", said.log);
        assert_secret(&said.log);
        for word in ["401", "check the URL", "OURA_REMOTE_WRITE_USERNAME", "OURA_REMOTE_WRITE_BEARER_TOKEN"] {
            assert!(said.log.contains(word), "{word}: {}", said.log);
        }
        receiver.set(Behaviour::default());
        let said = place.ended(&mut place.backfill(state, days, &["--remote-write", &receiver.url()])).await;
        assert_eq!(said.code, Some(0), "{}", said.log);
        receiver.kept().samples.assert_same(&place.undisturbed(days, &[]).await, "let in at last");
    }
}

const PROMETHEUS: &str =
    r#"{"status":"success","data":{"version":"3.14.0","revision":"abc","branch":"HEAD","goVersion":"go1.26"}}"#;
const MIMIR: &str =
    r#"{"status":"success","data":{"application":"Grafana Mimir","version":"2.9","goVersion":"go1.26","features":{}}}"#;

#[tokio::test]
async fn years_go_to_prometheus_by_files_only_and_to_others_by_remote_write_too() {
    let mut place = place().await;
    place.collections = "daily_readiness";
    for (build, is_refused) in [(Some(PROMETHEUS), true), (Some(MIMIR), false), (None, false)] {
        let receiver = Receiver::that(Behaviour { build, ..Behaviour::default() }).await;
        let days = days_ago(91, 91);
        let arguments = ["--remote-write", &receiver.url()];
        let said = place.ended(&mut place.backfill("state", days, &arguments)).await;
        assert_eq!(said.code, Some(i32::from(is_refused)), "{}", said.log);
        assert_eq!(receiver.requests() == 0, is_refused, "{}", said.log);
        assert!(said.log.contains("--output DIR") && said.log.contains("promtool"), "the other way: {}", said.log);
    }
    let receiver = Receiver::that(Behaviour { build: Some(PROMETHEUS), ..Behaviour::default() }).await;
    let arguments = ["--remote-write", &receiver.url()];
    let said = place.ended(&mut place.backfill("state", days_ago(90, 90), &arguments)).await;
    assert!(said.code == Some(0) && receiver.requests() > 0, "90 days are taken: {}", said.log);
}

#[tokio::test]
async fn it_ends_now_and_nothing_of_the_future_is_sent() {
    let (place, receiver) = (place().await, Receiver::start().await);
    let (first, _) = days_ago(1, 0);
    let mut command = place.program("state");
    command.args(["backfill", "--from", &first.to_string(), "--remote-write", &receiver.url()]);
    let said = place.ended(&mut command).await;
    assert_eq!(said.code, Some(0), "{}", said.log);
    let kept = receiver.kept();
    kept.assert_proper("up to now");
    let newest = kept.samples.all().map(|(_, time, _)| time).max().expect("some");
    let age = chrono::Utc::now().timestamp_millis() - newest;
    assert!((0..24 * 3_600_000).contains(&age), "the newest is {}", receiving::readable(newest));
}

#[tokio::test]
async fn over_tls_a_certificate_that_is_trusted_is_taken_and_no_other() {
    if !there_are(&["prometheus", "openssl"], "over_tls_a_certificate_that_is_trusted_is_taken_and_no_other") {
        return;
    }
    let (place, days) = (place().await, days_ago(8, 8));
    let directory = tempfile::tempdir().expect("a directory");
    let prometheus = Store::prometheus_with_tls(directory.path(), &taking(Some("30d")), &[RECEIVING]).await;
    let arguments = ["--remote-write", &prometheus.write_url()];
    let mut doubtful = place.backfill("doubtful", days, &arguments).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(doubtful.stderr.take().expect("a pipe")).lines();
    let mut said = String::new();
    while !said.contains("again in") {
        said += &lines.next_line().await.expect("a log").unwrap_or_else(|| panic!("it ended: {said}"));
    }
    assert!(said.contains("certificate"), "{said}");
    doubtful.kill().await.expect("it waits");
    let mut command = place.backfill("state", days, &arguments);
    let said = place.ended(command.env("SSL_CERT_FILE", directory.path().join("cert.pem"))).await;
    assert_eq!(said.code, Some(0), "{}", said.log);
    Samples::of_store(&prometheus).await.assert_same(&place.undisturbed(days, &[]).await, "over TLS");
}
