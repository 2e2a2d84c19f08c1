//! How one gets in at a remote-write receiver, live and by backfill: with words of entry, over TLS, and what is said where
//! one does not. What receivers do otherwise is in `remote_write_faults`, `live` and `backfill`.

use std::process::Stdio;

use crate::common::{
    Page, Program, eventually,
    needs::there_are,
    samples::Samples,
    stores::{RECEIVING, Store, taking},
};
use crate::receiving::{
    Place, days_ago, live,
    receiver::{Behaviour, Receiver, Rule},
    served, settled,
};
use chrono::{NaiveDate, Utc};
use oura_exporter::clock::Clock;
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// The secrets of these tests, which no output may hold.
const PASSWORD: &str = "hunter2-of-the-receiver";

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

/// A service whose time stands still, so that nothing is new after the first poll.
async fn still() -> Place {
    Place::of("alice", Clock::still_at(Utc::now())).await
}

/// The receiver has exactly what the page of samples has.
async fn assert_all_sent(program: &Program, sent: &Samples, what: &str) {
    let served = served(program).await;
    assert!(served.len() > 1_000, "{what}: {} samples", served.len());
    sent.assert_same(&served, what);
}

#[tokio::test]
async fn one_gets_in_by_user_and_password_or_by_token_and_neither_is_shown() {
    let place = still().await;
    let user = [("OURA_REMOTE_WRITE_USERNAME", "anna"), ("OURA_REMOTE_WRITE_PASSWORD", PASSWORD)];
    let token = [("OURA_REMOTE_WRITE_BEARER_TOKEN", PASSWORD), ("OURA_LOG", "trace")];
    for (expected, variables) in [(basic("anna"), user), (format!("Bearer {PASSWORD}"), token)] {
        let receiver = Receiver::that(closed(expected.clone())).await;
        let program =
            Program::start(live(&place, &format!("{}-live", &expected[..5]), &receiver).envs(variables)).await;
        settled(&program).await;
        assert_all_sent(&program, &receiver.kept().samples, "live").await;
        let (_, log) = program.terminate().await;
        assert_secret(&log);
        let before = receiver.kept().sent.samples;
        let mut command = place.backfill(&expected[..5], days_ago(8, 8), &["--remote-write", &receiver.url()]);
        let said = place.ended(command.envs(variables)).await;
        assert_eq!(said.code, Some(0), "{}", said.log);
        assert_secret(&said.log);
        let kept = receiver.kept();
        assert!(kept.sent.samples > before + 500, "the backfill got in: {}", kept.sent.samples - before);
        assert!(kept.authorizations.iter().all(|had| had.as_ref() == Some(&expected)));
    }
}

#[tokio::test]
async fn where_it_is_not_let_in_live_it_says_so_once_with_what_to_check_and_goes_on_once_it_is() {
    let place = still().await;
    for (state, user) in [("nobody", None), ("stranger", Some("stranger"))] {
        let receiver = Receiver::that(closed(basic("anna"))).await;
        let mut command = live(&place, state, &receiver);
        if let Some(user) = user {
            command.env("OURA_REMOTE_WRITE_USERNAME", user).env("OURA_REMOTE_WRITE_PASSWORD", PASSWORD);
        }
        let program = Program::start(&mut command).await;
        program.ready().await;
        receiver.came(3).await;
        let page = Page::parse(&program.get("/metrics").await.expect("a page"));
        assert_eq!((page.get("oura_remote_write_up"), page.get("oura_up")), (Some(0.0), Some(1.0)), "the page goes on");
        assert_eq!(receiver.kept().samples.len(), 0);
        receiver.set(Behaviour::default());
        settled(&program).await;
        assert_all_sent(&program, &receiver.kept().samples, "let in at last").await;
        let (_, log) = program.terminate().await;
        assert_secret(&log);
        let told: Vec<_> = log.lines().filter(|line| line.contains("remote write: ")).collect();
        assert_eq!(told.len(), 2, "once that it is not let in, once that it is: {log}");
        for word in ["401", "check the URL", "OURA_REMOTE_WRITE_USERNAME", "OURA_REMOTE_WRITE_BEARER_TOKEN"] {
            assert!(told[0].contains(word), "{word}: {log}");
        }
        assert!(told[1].contains("takes samples again"), "{log}");
    }
}

const PROMETHEUS: &str =
    r#"{"status":"success","data":{"version":"3.14.0","revision":"abc","branch":"HEAD","goVersion":"go1.26"}}"#;
const MIMIR: &str =
    r#"{"status":"success","data":{"application":"Grafana Mimir","version":"2.9","goVersion":"go1.26","features":{}}}"#;

#[tokio::test]
async fn years_go_to_prometheus_by_files_only_and_to_others_by_remote_write_too() {
    let mut place = Place::new().await;
    place.collections = "daily_readiness";
    for (build, is_refused) in [(Some(PROMETHEUS), true), (Some(MIMIR), false), (None, false)] {
        let receiver = Receiver::that(Behaviour { build, ..Behaviour::default() }).await;
        let said =
            place.ended(&mut place.backfill("state", days_ago(91, 91), &["--remote-write", &receiver.url()])).await;
        assert_eq!(said.code, Some(i32::from(is_refused)), "{}", said.log);
        assert_eq!(receiver.requests() == 0, is_refused, "{}", said.log);
        assert!(said.log.contains("--output DIR") && said.log.contains("promtool"), "the other way: {}", said.log);
    }
    let receiver = Receiver::that(Behaviour { build: Some(PROMETHEUS), ..Behaviour::default() }).await;
    let said = place.ended(&mut place.backfill("state", days_ago(90, 90), &["--remote-write", &receiver.url()])).await;
    assert!(said.code == Some(0) && receiver.requests() > 0, "90 days are taken: {}", said.log);
}

/// A backfill to `prometheus` waits, as it does not trust it, and says why.
async fn doubts(place: &Place, days: (NaiveDate, NaiveDate), prometheus: &Store) {
    let arguments = ["--remote-write", &prometheus.write_url()];
    let mut doubtful = place.backfill("doubtful", days, &arguments).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(doubtful.stderr.take().expect("a pipe")).lines();
    let mut said = String::new();
    while !said.contains("again in") {
        said += &lines.next_line().await.expect("a log").unwrap_or_else(|| panic!("it ended: {said}"));
    }
    assert!(said.contains("certificate"), "{said}");
    doubtful.kill().await.expect("it waits");
}

#[tokio::test]
async fn over_tls_a_certificate_that_is_trusted_is_taken_and_no_other() {
    if !there_are(&["prometheus", "openssl"], "over_tls_a_certificate_that_is_trusted_is_taken_and_no_other") {
        return;
    }
    let (place, days) = (still().await, days_ago(8, 8));
    let directory = tempfile::tempdir().expect("a directory");
    let prometheus = Store::prometheus_with_tls(directory.path(), &taking(Some("30d")), &[RECEIVING]).await;
    doubts(&place, days, &prometheus).await;
    let url = prometheus.write_url();
    let mut command = place.program("live-doubtful");
    let program = Program::start(command.env("OURA_REMOTE_WRITE_URL", &url)).await;
    let down = async || program.get("/metrics").await.filter(|page| page.contains("\noura_remote_write_up 0"));
    eventually("it is not trusted", down).await;
    let (_, log) = program.terminate().await;
    assert!(log.contains("certificate"), "{log}");
    assert_eq!(Samples::of_store(&prometheus).await.len(), 0, "nothing was sent to it");

    let certificate = directory.path().join("cert.pem");
    let mut command = place.program("live");
    let program = Program::start(command.env("OURA_REMOTE_WRITE_URL", &url).env("SSL_CERT_FILE", &certificate)).await;
    settled(&program).await;
    assert_all_sent(&program, &Samples::of_store(&prometheus).await, "live over TLS").await;
    let before = Samples::of_store(&prometheus).await.len();
    let mut command = place.backfill("state", days, &["--remote-write", &url]);
    let said = place.ended(command.env("SSL_CERT_FILE", certificate)).await;
    assert_eq!(said.code, Some(0), "{}", said.log);
    assert!(Samples::of_store(&prometheus).await.len() > before + 500, "the backfill over TLS");
}
