//! Signing in: by paste, through the simulator's consent page, and what a person sees when it goes wrong.

mod common;

use std::time::Duration;

use common::{
    Program, eventually,
    scene::{Scene, consent, mode},
};
use oura_exporter::simulator::{Portal, TokenFault};
use tokio::time::timeout;

#[tokio::test]
async fn signed_in_by_paste_at_either_portal_the_exporter_serves_and_the_doctor_is_content() {
    for portal in [Portal::Legacy, Portal::New] {
        let scene = Scene::of(portal).await;
        let (code, said) = scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
        assert_eq!(code, Some(0), "{portal:?}: {said}");
        assert!(said.contains("Signed in as account anna") && said.contains("All is well"), "{said}");
        assert_eq!(mode(&scene.tokens()), 0o700);
        assert_eq!(mode(&scene.tokens().join("anna.json")), 0o600);
        let (code, said) = scene.run(&["check"]).await;
        assert_eq!(code, Some(0), "{said}");
        let (code, said) = scene.run(&["accounts"]).await;
        assert!(code == Some(0) && said.contains("anna") && said.contains("heartrate"), "{said}");
        let exporter = Program::start(&mut scene.program()).await;
        exporter.ready().await;
        let page = exporter.get("/metrics").await.expect("a page");
        assert!(page.contains("oura_account_authorized{account=\"anna\"} 1"), "{page}");
        assert!(page.contains("oura_token_expiry_timestamp_seconds{account=\"anna\"}"), "{page}");
        assert!(page.contains("oura_up{account=\"anna\"} 1"), "{page}");
    }
}

#[tokio::test]
async fn a_revoked_account_shows_and_recovers_after_a_new_login_without_a_restart() {
    let scene = Scene::of(Portal::New).await;
    for (account, person) in [("anna", "alice"), ("ben", "bob")] {
        let (code, said) = scene.log_in(account, async |url| consent(url, person, "allow").await).await;
        assert_eq!(code, Some(0), "{said}");
    }
    let exporter = Program::start(scene.program().env("OURA_POLL_INTERVAL", "1s")).await;
    exporter.ready().await;
    scene.simulator.authorizations().revoke_everything("alice");
    let shows = async |series: &str| {
        eventually(series, async || exporter.get("/metrics").await.filter(|page| page.contains(series))).await
    };
    let page = shows("oura_account_authorized{account=\"anna\"} 0").await;
    assert!(page.contains("oura_readiness_score{account=\"anna\"}"), "the last values stay");
    assert!(page.contains("oura_account_authorized{account=\"ben\"} 1") && page.contains("oura_up{account=\"ben\"} 1"));
    let (code, said) = scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
    assert_eq!(code, Some(0), "{said}");
    shows("oura_account_authorized{account=\"anna\"} 1").await;
    shows("oura_up{account=\"anna\"} 1").await;
    let (_, log) = exporter.terminate().await;
    assert_eq!(log.matches("oura-exporter login --account anna").count(), 1, "one line with the command: {log}");
}

#[tokio::test]
async fn logged_out_is_revoked_and_forgotten() {
    let scene = Scene::of(Portal::Legacy).await;
    scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
    let (code, said) = scene.run(&["logout", "--account", "anna"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(!scene.tokens().join("anna.json").exists());
    let (_, said) = scene.run(&["accounts"]).await;
    assert!(said.contains("Nobody is signed in"), "{said}");
    let (code, said) = scene.run(&[]).await;
    assert_eq!(code, Some(2));
    assert!(said.contains("oura-exporter login"), "{said}");
}

#[tokio::test]
async fn a_renewal_under_way_at_the_stop_is_not_lost() {
    let scene = Scene::of(Portal::New).await;
    let authorizations = scene.simulator.authorizations();
    authorizations.set_token_lifetime(1);
    scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
    authorizations.set_token_lifetime(3_600);
    authorizations.set_fault(TokenFault::Delay(Duration::from_millis(900)));
    let before = std::fs::read_to_string(scene.tokens().join("anna.json")).expect("tokens");
    let exporter = Program::start(scene.program().env("OURA_POLL_INTERVAL", "1s")).await;
    let renewals =
        || authorizations.exchanges().iter().filter(|exchange| exchange.grant_type == "refresh_token").count();
    eventually("a renewal begins", async || (renewals() == 1).then_some(())).await;
    let (code, log) = exporter.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    assert_ne!(std::fs::read_to_string(scene.tokens().join("anna.json")).expect("tokens"), before, "{log}");
    authorizations.clear_faults();
    let (code, said) = scene.run(&["check"]).await;
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test]
async fn after_a_logout_the_account_leaves_the_page_of_a_running_exporter_and_after_a_login_it_is_back() {
    for interval in ["1s", "5m", "36h"] {
        let scene = Scene::of(Portal::New).await;
        for (account, person) in [("anna", "alice"), ("ben", "bob")] {
            scene.log_in(account, async |url| consent(url, person, "allow").await).await;
        }
        let exporter = Program::start(scene.program().env("OURA_POLL_INTERVAL", interval)).await;
        exporter.ready().await;
        let pages = async || {
            let mut text = String::new();
            for path in ["/metrics", "/metrics/samples", "/"] {
                text += &exporter.get(path).await?;
            }
            Some(text)
        };
        assert!(pages().await.is_some_and(|pages| pages.contains("\"anna\"") && pages.contains("Account anna")));
        let (code, said) = scene.run(&["logout", "--account", "anna"]).await;
        assert_eq!(code, Some(0), "{said}");
        let gone = async || pages().await.filter(|pages| !pages.contains("anna"));
        let pages_of_ben = timeout(Duration::from_secs(10), eventually("anna is gone", gone)).await.expect("soon");
        assert!(pages_of_ben.contains("oura_up{account=\"ben\"} 1"), "{pages_of_ben}");
        exporter.ready().await;
        scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
        let back = async || exporter.get("/metrics").await.filter(|page| page.contains("oura_up{account=\"anna\"} 1"));
        eventually("anna is back", back).await;
        let (_, log) = exporter.terminate().await;
        let warnings = log.lines().filter(|line| line.contains("WARN") && !line.contains("OURA_POLL_INTERVAL"));
        let warnings: Vec<_> = warnings.collect();
        assert!(
            warnings.len() == 1 && warnings[0].contains("it leaves the page until somebody signs in again"),
            "{log}"
        );
    }
}
