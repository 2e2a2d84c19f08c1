//! Signing in at a page that speaks TLS, with the redirect URI that Oura takes for this machine: `http://localhost`.

use std::fs;

use crate::common::{
    Program, certificates,
    door::{Visitor, at_the_redirect_with},
    needs::there_are,
    scene::{Scene, consent},
    servers::text,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use oura_exporter::simulator::Portal;
use tempfile::TempDir;

const PASSWORD: &str = "open: sesame";

/// A web configuration with TLS, and with more of it, in a directory with the authority `ca`.
fn web(more: &str) -> (TempDir, String) {
    let directory = tempfile::tempdir().expect("a directory");
    certificates::authority(directory.path(), "ca");
    certificates::certify(directory.path(), "ca", "server", "DNS:localhost,IP:127.0.0.1");
    let path = directory.path().join("web.yml");
    let config = format!("tls_server_config: {{cert_file: server.pem, key_file: server.key}}\n{more}");
    fs::write(&path, config).expect("it is written");
    let path = text(&path).to_owned();
    (directory, path)
}

#[tokio::test]
async fn the_usual_redirect_uri_leads_back_to_an_encrypted_page_with_and_without_a_password() {
    const NAME: &str = "the_usual_redirect_uri_leads_back_to_an_encrypted_page_with_and_without_a_password";
    if !there_are(&["openssl"], NAME) {
        return;
    }
    let users = format!("basic_auth_users:\n  anna: {}\n", bcrypt::hash(PASSWORD, 4).expect("a hash"));
    for (more, external) in [("", "/"), (users.as_str(), "/"), ("", "/oura/")] {
        let scene = Scene::of(Portal::New).await.with_free_redirect();
        let (directory, config) = web(more);
        let variables = [("OURA_WEB_CONFIG_FILE", config.as_str()), ("OURA_WEB_EXTERNAL_URL", external)];
        let exporter = at_the_redirect_with(&scene, "127.0.0.1", &variables).await;
        let home = format!("https://localhost:{}{external}", scene.port());
        let words = format!("Basic {}", STANDARD.encode(format!("anna:{PASSWORD}")));
        let visitor = Visitor::over_tls(&home, &directory.path().join("ca.pem"), &words);
        let begun = visitor.post("sign-in", &[("account", "anna")]).await;
        let place = begun.location.expect("a place");
        let waiting = visitor.get(&place).await;
        assert!(waiting.text.contains("content=\"0;"), "the browser goes on to Oura: {}", waiting.text);
        let back = consent(&waiting.oura(), "alice", "allow").await;
        assert!(back.starts_with("http://localhost:"), "{back}");

        let in_the_open = Visitor::of(&format!("http://localhost:{}/", scene.port()));
        let wrong = in_the_open.get(&back.replace("state=", "state=x")).await;
        assert!(wrong.status == 400 && wrong.text.contains("sign-in that was not started on this"), "{}", wrong.text);
        let shown = in_the_open.get(&back).await;
        assert_eq!(
            (shown.status, shown.location.as_deref()),
            (303, Some(format!("{home}{place}").as_str())),
            "{}",
            shown.text
        );
        let done = visitor.titled(&place, "Signed in as anna").await;
        for other in ["", "metrics", "sign-in", "-/ready", "callback/", "metrics/samples"] {
            let shown = in_the_open.get(other).await;
            assert!(shown.status == 400 && shown.text.contains("this port speaks TLS"), "{other}: {}", shown.text);
        }
        let shown = in_the_open.post("callback", &[("code", "x")]).await;
        assert!(shown.status == 400 && shown.text.contains("this port speaks TLS"), "{}", shown.text);
        let (_, log) = exporter.terminate().await;
        assert!(!log.contains("OURA_REDIRECT_URI"), "nothing is to be warned of: {log}");
        scene.assert_discreet(&(done + &log), &back);
    }
}

#[tokio::test]
async fn a_redirect_uri_that_cannot_lead_back_to_an_encrypted_page_is_warned_of_with_a_good_one() {
    const NAME: &str = "a_redirect_uri_that_cannot_lead_back_to_an_encrypted_page_is_warned_of_with_a_good_one";
    if !there_are(&["openssl"], NAME) {
        return;
    }
    for (uri, is_warned_of) in [
        ("http://localhost:1/callback", true),
        ("http://oura.lan/callback", true),
        ("http://127.0.0.1/callback", true),
        ("https://oura.lan/callback", false),
        ("https://localhost:1/callback", false),
    ] {
        let mut scene = Scene::of(Portal::New).await;
        scene.redirect = Some(uri.to_owned());
        let (_directory, config) = web("");
        let exporter = Program::start(scene.program().env("OURA_WEB_CONFIG_FILE", config)).await;
        let port = exporter.address.rsplit(':').next().expect("a port").to_owned();
        let (_, log) = exporter.terminate().await;
        let warning = format!("OURA_REDIRECT_URI: the browser cannot come back to {uri}, because this page uses TLS");
        assert_eq!(log.contains(&warning), is_warned_of, "{uri}: {log}");
        assert_eq!(log.contains(&format!("http://localhost:{port}/callback")), is_warned_of, "{uri}: {log}");
    }
}
