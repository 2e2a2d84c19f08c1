//! `login` beside a program that holds the address where the browser comes back to: it goes on at the page of an exporter on
//! its state directory, and says at once what to do beside anybody else.

use std::fs;

use crate::common::{
    certificates,
    door::{Visitor, at_the_redirect, at_the_redirect_with},
    needs::there_are,
    scene::{Begun, Scene, consent},
    servers::text,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use oura_exporter::simulator::Portal;
use tempfile::TempDir;
use tokio::net::TcpListener;

const PASSWORD: &str = "open: sesame";

/// A web configuration with TLS or a password, or with both, in a directory with the authority `ca`.
fn web(is_encrypted: bool, has_password: bool) -> (TempDir, String) {
    let directory = tempfile::tempdir().expect("a directory");
    certificates::authority(directory.path(), "ca");
    certificates::certify(directory.path(), "ca", "server", "DNS:localhost,IP:127.0.0.1");
    let mut config = String::new();
    if is_encrypted {
        config += "tls_server_config: {cert_file: server.pem, key_file: server.key}\n";
    }
    if has_password {
        config += &format!("basic_auth_users:\n  anna: {}\n", bcrypt::hash(PASSWORD, 4).expect("a hash"));
    }
    let path = directory.path().join("web.yml");
    fs::write(&path, config).expect("it is written");
    let path = text(&path).to_owned();
    (directory, path)
}

/// Signs alice in on the page that the command has named, by pasting.
async fn go_on(visitor: &Visitor, begun: &Begun) -> String {
    let page = begun.url.as_ref().expect("the page to open");
    let shown = visitor.get(page.as_str()).await;
    assert!(shown.status == 200 && shown.text.contains("value=\"anna\""), "the name is there already: {}", shown.text);
    let (place, url) = visitor.begin("anna").await;
    let back = consent(&url, "alice", "allow").await;
    let form = [("attempt", place.trim_start_matches("sign-in?attempt=")), ("address", back.as_str())];
    assert_eq!(visitor.post("sign-in-paste", &form).await.status, 303);
    back
}

#[tokio::test]
async fn beside_an_exporter_with_tls_or_a_password_the_command_names_its_page() {
    if !there_are(&["openssl"], "beside_an_exporter_with_tls_or_a_password_the_command_names_its_page") {
        return;
    }
    for (is_encrypted, has_password) in [(true, false), (false, true), (true, true)] {
        let scene = Scene::of(Portal::New).await.with_free_redirect();
        let (directory, config) = web(is_encrypted, has_password);
        let _exporter = at_the_redirect_with(&scene, "127.0.0.1", &[("OURA_WEB_CONFIG_FILE", &config)]).await;
        let scheme = if is_encrypted { "https" } else { "http" };
        let home = format!("{scheme}://localhost:{}/", scene.port());
        let words = format!("Basic {}", STANDARD.encode(format!("anna:{PASSWORD}")));
        let visitor = Visitor::over_tls(&home, &directory.path().join("ca.pem"), &words);
        let begun = scene.begin(&["--account", "anna"]).await;
        let page = begun.url.as_ref().expect("a page").as_str();
        assert_eq!(page, format!("{home}sign-in?account=anna"), "TLS {is_encrypted}, password {has_password}");
        let back = go_on(&visitor, &begun).await;
        let (code, said) = begun.end().await;
        assert!(code == Some(0) && said.contains("Signed in as account anna"), "{said}");
        scene.assert_discreet(&said, &back);
    }
}

#[tokio::test]
async fn beside_an_exporter_on_whose_page_nobody_signs_in_the_command_says_so_at_once() {
    let off = [("OURA_WEB_SIGN_IN", "false")];
    let unregistered = [("OURA_CLIENT_ID", ""), ("OURA_CLIENT_SECRET", "")];
    for (variables, said_of_it) in [(&off[..], "OURA_WEB_SIGN_IN=false"), (&unregistered[..], "OURA_CLIENT_ID")] {
        let scene = Scene::of(Portal::New).await.with_free_redirect();
        let _exporter = at_the_redirect_with(&scene, "127.0.0.1", variables).await;
        let (code, said) = scene.begin(&["--account", "anna"]).await.end().await;
        let page = format!("the exporter at http://localhost:{}/", scene.port());
        assert!(code == Some(1) && said.contains(&page) && said.contains(said_of_it), "{said}");
        let (code, said) = scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
        assert_eq!(code, Some(0), "what it advises works: {said}");
    }
}

#[tokio::test]
async fn beside_an_exporter_the_command_takes_what_is_pasted_where_the_page_may_not_do_it() {
    for (address, person, arguments) in [
        ("127.0.0.1", "bob", &["--replace-person", "--account", "anna"][..]),
        ("0.0.0.0", "bob", &["--replace-person", "--account", "anna"]),
        ("0.0.0.0", "bob", &["--no-browser", "--replace-person", "--account", "anna"]),
        // Her sign-in has not ended, so that the page, which is open to others, would not renew it.
        ("0.0.0.0", "alice", &["--account", "anna"]),
    ] {
        let scene = Scene::of(Portal::New).await.with_free_redirect();
        let (code, said) = scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
        assert_eq!(code, Some(0), "{said}");
        let exporter = at_the_redirect_with(&scene, address, &[]).await;
        let mut begun = scene.begin(arguments).await;
        let back = consent(begun.url.as_ref().expect("Oura's page"), person, "allow").await;
        // The browser ends at the exporter, which says where to paste its address.
        let ended = Visitor::of(&format!("http://localhost:{}/", scene.port())).get(&back).await;
        assert!(ended.status == 400 && ended.text.contains("paste this page's address there"), "{}", ended.text);
        begun.paste(&back).await;
        let (code, said) = begun.end().await;
        assert!(code == Some(0) && said.contains("Signed in as account anna"), "{said}");
        exporter.terminate().await;
    }
}

#[tokio::test]
async fn beside_an_exporter_on_another_directory_the_command_says_so_at_once() {
    if !there_are(&["openssl"], "beside_an_exporter_on_another_directory_the_command_says_so_at_once") {
        return;
    }
    for (is_encrypted, has_password) in [(false, false), (true, false), (false, true)] {
        let mut scene = Scene::of(Portal::New).await.with_free_redirect();
        let (_directory, config) = web(is_encrypted, has_password);
        let closed = [("OURA_WEB_CONFIG_FILE", config.as_str())];
        let variables = if is_encrypted || has_password { &closed[..] } else { &[] };
        let _exporter = at_the_redirect_with(&scene, "127.0.0.1", variables).await;
        let _elsewhere = scene.state_elsewhere();
        let (code, said) = scene.begin(&["--account", "anna"]).await.end().await;
        let tokens = scene.tokens().display().to_string();
        assert!(code == Some(1) && said.contains("set OURA_STATE_DIR") && said.contains(&tokens), "{said}");
        assert!(said.contains("sign in on its page") && said.contains("--no-browser"), "{said}");
        if variables.is_empty() {
            let page = format!("answers at http://localhost:{}/sign-in does not keep its tokens in", scene.port());
            assert!(said.contains(&page), "{said}");
        }
    }
}

#[tokio::test]
async fn beside_a_program_that_is_no_exporter_the_command_names_the_address() {
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    let listener = TcpListener::bind(("127.0.0.1", scene.port())).await.expect("its port");
    let silent = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok(accepted) = listener.accept().await {
            held.push(accepted);
        }
    });
    let (code, said) = scene.begin(&["--account", "anna"]).await.end().await;
    assert!(code == Some(1) && said.contains(&format!("cannot listen on localhost:{}", scene.port())), "{said}");
    assert!(said.contains("Stop it, or use --no-browser"), "{said}");
    silent.abort();
}

#[tokio::test]
async fn where_the_exporter_ends_before_anybody_signed_in_the_command_ends_too() {
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    let (exporter, _) = at_the_redirect(&scene, "127.0.0.1").await;
    let begun = scene.begin(&["--account", "anna"]).await;
    assert!(begun.url.is_some());
    exporter.terminate().await;
    let (code, said) = begun.end().await;
    assert!(code == Some(1) && said.contains("the exporter has ended before anybody signed in"), "{said}");
}
