//! What a person sees when a sign-in, or the renewal of one, goes wrong: exit code, one sentence, the page, no secret.

use std::{fs::File, sync::Arc};

use crate::common::{
    Page, Program, eventually,
    scene::{Scene, consent},
};
use chrono::{TimeDelta, Utc};
use oura_exporter::{
    clock::{Clock, ManualClock},
    simulator::{Exchange, Portal, TokenFault},
};
use reqwest::Url;
use serde_json::Value;
use tracing::subscriber::DefaultGuard;

const PORTALS: [Portal; 2] = [Portal::Legacy, Portal::New];
const LIFETIME: u64 = 3600;

async fn allow(url: &Url) -> String {
    consent(url, "alice", "allow").await
}

async fn signed_in(scene: &Scene) {
    let (code, said) = scene.log_in("anna", allow).await;
    assert_eq!(code, Some(0), "{said}");
}

/// Nothing is signed in, and the one line at the end says `what` and what to `do_next`.
fn assert_refused(scene: &Scene, (code, said): (Option<i32>, String), what: &str, do_next: &str) {
    assert_eq!(code, Some(1), "{said}");
    assert!(!scene.file("anna").exists(), "{said}");
    let errors: Vec<_> = said.lines().filter(|line| line.starts_with("oura-exporter: ")).collect();
    assert_eq!(errors.len(), 1, "one line: {said}");
    assert!(said.trim_end().ends_with(errors[0]), "it is the last: {said}");
    assert!(errors[0].contains(what) && errors[0].contains(do_next), "{what}; {do_next}: {}", errors[0]);
    assert!(!said.contains("Signed in as") && !said.contains('<'), "{said}");
}

/// The token file as it is now.
fn stored(scene: &Scene) -> Value {
    serde_json::from_slice(&std::fs::read(scene.file("anna")).expect("a file")).expect("JSON")
}

/// The token file, once it holds other tokens than `before`.
async fn renewed_after(scene: &Scene, before: &Value) -> Value {
    let other = async || Some(stored(scene)).filter(|now| now["access_token"] != before["access_token"]);
    eventually("it is renewed", other).await
}

/// A scene whose simulator, and exporter, go by a clock that the hand drives, with tokens of an hour.
async fn driven(portal: Portal) -> (Scene, Clock, ManualClock) {
    let (clock, hand) = Clock::driven_from(Utc::now());
    let scene = Scene::at(portal, clock.clone()).await;
    scene.simulator.authorizations().set_token_lifetime(LIFETIME);
    (scene, clock, hand)
}

/// Writes what this thread logs to a file, until the guard is dropped.
fn logging_to(scene: &Scene) -> (DefaultGuard, std::path::PathBuf) {
    let path = scene.tokens().with_file_name("log");
    let file = Arc::new(File::create(&path).expect("a file"));
    let subscriber = tracing_subscriber::fmt().with_writer(file).with_ansi(false).finish();
    (tracing::subscriber::set_default(subscriber), path)
}

#[tokio::test]
async fn an_application_of_either_portal_signs_in_and_its_portal_is_remembered() {
    for (portal, name) in [(Portal::Legacy, "legacy"), (Portal::New, "new")] {
        let scene = Scene::of(portal).await;
        signed_in(&scene).await;
        assert_eq!(stored(&scene)["portal"], name);
        scene.expire("anna");
        let (code, said) = scene.run(&["check"]).await;
        assert_eq!(code, Some(0), "{said}");
        let exchanges = scene.simulator.authorizations().exchanges();
        let renewals: Vec<_> = exchanges.iter().filter(|exchange| exchange.grant_type == "refresh_token").collect();
        assert_eq!(renewals.len(), 1, "{renewals:?}");
        assert_eq!((renewals[0].portal, renewals[0].status), (portal, 200), "only its own portal is asked");
    }
}

#[tokio::test]
async fn a_wrong_secret_says_which_variables_to_check() {
    for portal in PORTALS {
        let mut scene = Scene::of(portal).await;
        scene.application.client_secret = "not-the-secret-of-anybody".to_owned();
        let ended = scene.log_in("anna", allow).await;
        assert_refused(&scene, ended, "Oura refuses (401)", "check OURA_CLIENT_ID and OURA_CLIENT_SECRET");
    }
}

#[tokio::test]
async fn a_redirect_uri_that_is_not_registered_is_named_byte_for_byte() {
    for portal in PORTALS {
        let mut scene = Scene::of(portal).await;
        scene.redirect = Some("http://localhost:10058/callback/".to_owned());
        let ended = scene.log_in("anna", allow).await;
        let what = "Register exactly this redirect URI with the application, byte for byte: \
                    http://localhost:10058/callback/ ";
        assert_refused(&scene, ended, what, "or set OURA_REDIRECT_URI to the one that is registered");
        assert!(scene.simulator.authorizations().exchanges().is_empty(), "no token URL is asked");
    }
}

#[tokio::test]
async fn denied_consent_says_to_press_allow() {
    for portal in PORTALS {
        let scene = Scene::of(portal).await;
        let ended = scene.log_in("anna", async |url| consent(url, "alice", "deny").await).await;
        assert_refused(&scene, ended, "consent was denied", "start again and press Allow");
    }
}

#[tokio::test]
async fn the_answer_to_another_sign_in_is_not_taken() {
    let scene = Scene::of(Portal::New).await;
    let ended = scene.log_in("anna", async |url| with_other_state(&allow(url).await)).await;
    assert_refused(&scene, ended, "belongs to another sign-in", "start again and use the new page");
    assert!(scene.simulator.authorizations().exchanges().is_empty(), "its code is not used");
}

/// What the browser is shown at `address`, once somebody listens there.
async fn shown(scene: &Scene, address: &str) -> (u16, String) {
    let page = eventually("it listens", async || reqwest::get(address).await.ok()).await;
    let (status, text) = (page.status().as_u16(), page.text().await.expect("a page"));
    scene.assert_discreet(&text, address);
    (status, text)
}

#[tokio::test]
async fn the_browser_is_told_what_came_of_a_sign_in_that_oura_refuses() {
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    let begun = scene.begin(&["--account", "anna"]).await;
    let back = allow(begun.url.as_ref().expect("an address")).await;
    let spent = with_query(&back, |pairs| {
        pairs.iter_mut().for_each(|(name, value)| {
            if name == "code" {
                *value = "0123".to_owned();
            }
        })
    });
    let (status, page) = shown(&scene, &spent).await;
    assert_eq!(status, 400);
    assert!(page.contains("<h1>Not signed in</h1>") && page.contains("start again"), "{page}");
    assert_refused(&scene, begun.end().await, "Oura refuses (400): invalid_grant", "start again");
}

#[tokio::test]
async fn no_page_but_ouras_own_can_end_a_sign_in_and_the_wait_goes_on() {
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    let begun = scene.begin(&["--account", "anna"]).await;
    let back = allow(begun.url.as_ref().expect("an address")).await;
    let without =
        |names: &'static [&str]| with_query(&back, |pairs| pairs.retain(|(name, _)| !names.contains(&name.as_str())));
    let denied = |state: &str| back.split('?').next().map(|address| format!("{address}?error=access_denied{state}"));
    for wrong in [
        with_other_state(&back),
        without(&["state"]),
        without(&["code"]),
        without(&["state", "code", "iss"]),
        denied("").expect("an address"),
        denied("&state=").expect("an address"),
        denied("&state=guessed").expect("an address"),
    ] {
        let (status, page) = shown(&scene, &wrong).await;
        assert_eq!(status, 400, "{wrong}");
        assert!(page.contains("<h1>Not this sign-in</h1>") && page.contains("is still waiting"), "{page}");
    }
    assert!(scene.simulator.authorizations().exchanges().is_empty(), "no code is used");
    let (status, page) = shown(&scene, &back).await;
    assert!(status == 200 && page.contains("<h1>Oura has answered</h1>"), "{page}");
    let (code, said) = begun.end().await;
    assert!(code == Some(0) && said.contains("Signed in as account anna"), "{said}");
}

#[tokio::test]
async fn a_pasted_address_needs_its_state_and_a_bare_code_needs_none() {
    let scene = Scene::of(Portal::Legacy).await;
    let stateless = async |url: &Url| with_query(&allow(url).await, |pairs| pairs.retain(|(name, _)| name != "state"));
    let ended = scene.log_in("anna", stateless).await;
    assert_refused(&scene, ended, "belongs to another sign-in", "start again and use the new page");
    let emptied = async |url: &Url| allow(url).await.replace("state=", "state=x&estate=");
    let ended = scene.log_in("anna", emptied).await;
    assert_refused(&scene, ended, "belongs to another sign-in", "start again and use the new page");
    let bare = async |url: &Url| {
        let back: Url = allow(url).await.parse().expect("an address");
        back.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned()
    };
    let (code, said) = scene.log_in("anna", bare).await;
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test]
async fn ouras_words_are_shown_without_secrets_addresses_and_control_characters() {
    let scene = Scene::of(Portal::New).await;
    signed_in(&scene).await;
    scene.expire("anna");
    let (tokens, secret) = (stored(&scene), scene.application.client_secret.clone());
    let refresh = tokens["refresh_token"].as_str().expect("a token").to_owned();
    for words in [
        format!("client_secret={secret} is anna@example.com's"),
        format!("\u{202e}{refresh}\u{202c}\u{1b}[2J for anna%40example.com"),
        format!("{}\u{200b}{} of \"anna\"@example.com\r\nERROR forged", &secret[..3], &secret[3..]),
    ] {
        let fault = TokenFault::Refusal(400, "invalid_grant", words);
        scene.simulator.authorizations().set_fault(fault);
        let exporter = Program::start(scene.program().env("OURA_POLL_INTERVAL", "1s")).await;
        exporter.ready().await;
        let pages = exporter.get("/").await.expect("a page") + &exporter.get("/metrics").await.expect("a page");
        let (_, log) = exporter.terminate().await;
        let (code, said) = scene.run(&["check"]).await;
        let (_, login) = scene.log_in("ben", allow).await;
        assert!(
            code == Some(1) && [&pages, &log, &said, &login].iter().all(|text| text.contains("[removed]")),
            "{log}"
        );
        for text in [&pages, &log, &said, &login] {
            scene.assert_discreet(text, "");
            assert!(!text.contains("example.com") && !text.contains(&refresh), "{text}");
            assert!(!text.contains(['\u{202e}', '\u{202c}', '\u{200b}', '\u{1b}', '\r']), "{text:?}");
            assert!(!text.lines().any(|line| line.starts_with("ERROR")), "{text}");
        }
    }
}

fn with_query(address: &str, change: impl FnOnce(&mut Vec<(String, String)>)) -> String {
    let mut url: Url = address.parse().expect("an address");
    let mut pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    change(&mut pairs);
    url.query_pairs_mut().clear().extend_pairs(pairs);
    url.into()
}

fn with_other_state(address: &str) -> String {
    with_query(address, |pairs| {
        pairs.iter_mut().filter(|(name, _)| name == "state").for_each(|(_, value)| *value = "another".to_owned())
    })
}

#[tokio::test]
async fn a_code_that_is_too_old_says_to_start_again() {
    for portal in PORTALS {
        let (scene, _, hand) = driven(portal).await;
        let late = async |url: &Url| {
            let back = allow(url).await;
            hand.advance(TimeDelta::minutes(11));
            back
        };
        let ended = scene.log_in("anna", late).await;
        let what = "Oura refuses (400): invalid_grant, The authorization code has expired";
        assert_refused(&scene, ended, what, "start again and finish within ten minutes");
    }
}

#[tokio::test]
async fn nothing_pasted_or_no_code_in_it_says_what_to_paste() {
    let scene = Scene::of(Portal::New).await;
    let ended = scene.log_in("anna", async |_| String::new()).await;
    assert_refused(&scene, ended, "nothing was pasted", "paste the address that the browser was sent to");
    for no_code in
        ["http://localhost:10058/callback?iss=x", "http://localhost:10058/callback", "hello", "anna@example.com"]
    {
        let (code, said) = scene.log_in("anna", async |_| no_code.to_owned()).await;
        let asked = "That is not the address: it contains no code. Paste the address that the browser was sent to";
        assert!(said.contains(asked), "{no_code}: {said}");
        assert_refused(&scene, (code, said), "nothing was pasted", "paste the address that the browser was sent to");
    }
    assert!(scene.simulator.authorizations().exchanges().is_empty(), "nothing of it is sent to Oura");
}

#[tokio::test]
async fn refusals_without_words_at_sign_in_say_what_to_do_all_the_same() {
    let again = "start again";
    for (fault, what) in [
        (TokenFault::Html(400), "Oura refuses (400): no reason given"),
        (TokenFault::EmptyBody(400), "Oura refuses (400): no reason given"),
        (TokenFault::EmptyBody(200), "answered without a working token"),
        (TokenFault::Html(200), "answered without a working token"),
        (TokenFault::AccessToken(""), "its access token is empty or missing"),
        (TokenFault::AccessToken("two words"), "its access token is empty or missing"),
        (TokenFault::ExpiresIn(0), "its token has already expired"),
        (TokenFault::ExpiresIn(-3600), "its token has already expired"),
        (TokenFault::Status(500), "Oura's sign-in answered 500"),
        (TokenFault::RateLimited { retry_after_seconds: 60 }, "Oura's sign-in answered 429"),
        (TokenFault::Redirect, "Oura's sign-in answered 307"),
    ] {
        let scene = Scene::of(Portal::New).await;
        scene.simulator.authorizations().set_fault(fault.clone());
        let ended = scene.log_in("anna", allow).await;
        assert_refused(&scene, ended, what, again);
        let asked = scene.simulator.authorizations().exchanges().len();
        assert_eq!(
            asked,
            if what.contains("(400)") || what.starts_with("its ") { 2 } else { 1 },
            "{fault:?}: the new portal only after 400 or 401"
        );
    }
}

#[tokio::test]
async fn an_odd_reply_signs_in_all_the_same() {
    for (fault, scopes, expires) in [
        (TokenFault::NoExpiresIn, "may read: ", "unknown"),
        (TokenFault::NoRefreshToken, "may read: ", "Z "),
        (TokenFault::ScopeAsList, "may read: ", "Z "),
        (TokenFault::NoScope, "did not say which scopes were granted", "Z "),
    ] {
        let scene = Scene::of(Portal::New).await;
        scene.simulator.authorizations().set_fault(fault.clone());
        let (code, said) = scene.log_in("anna", allow).await;
        assert_eq!(code, Some(0), "{fault:?}: {said}");
        assert!(said.contains(scopes) && said.contains("All is well"), "{fault:?}: {said}");
        let (code, said) = scene.run(&["accounts"]).await;
        assert!(code == Some(0) && said.contains("anna") && said.contains(expires), "{fault:?}: {said}");
        let exporter = Program::start(&mut scene.program()).await;
        exporter.ready().await;
        let page = exporter.get("/metrics").await.expect("a page");
        assert!(page.contains("oura_up{account=\"anna\"} 1"), "{fault:?}: {page}");
        let knows_end = page.contains("oura_token_expiry_timestamp_seconds{account=\"anna\"}");
        assert_eq!(knows_end, fault != TokenFault::NoExpiresIn, "{page}");
        let (_, log) = exporter.terminate().await;
        scene.assert_discreet(&(page + &log), "");
    }
}

#[tokio::test]
async fn an_odd_reply_to_a_renewal_loses_nothing() {
    let (scene, clock, hand) = driven(Portal::New).await;
    signed_in(&scene).await;
    let signed_in_at = stored(&scene)["signed_in_at"].clone();
    let exporter = scene.exporter(clock).await;
    let (_guard, log) = logging_to(&scene);
    let odd = [TokenFault::ScopeAsList, TokenFault::NoScope, TokenFault::NoRefreshToken, TokenFault::NoExpiresIn];
    for fault in odd {
        let before = stored(&scene);
        scene.simulator.authorizations().set_fault(TokenFault::Times(1, fault.clone().into()));
        hand.advance(TimeDelta::hours(1));
        let now = renewed_after(&scene, &before).await;
        assert!(now["refresh_token"].is_string(), "{fault:?}");
        assert_eq!(now["expires_at"].is_null(), fault == TokenFault::NoExpiresIn, "{fault:?}");
        assert_eq!((&now["scopes"], &now["signed_in_at"]), (&before["scopes"], &signed_in_at), "{fault:?}");
        exporter.page_where("all is up", |page| page.get("oura_up{account=\"anna\"}") == Some(1.0)).await;
    }
    let exchanges = scene.simulator.authorizations().exchanges();
    assert!(exchanges.iter().all(|exchange| exchange.spent == 0), "no refresh token twice: {exchanges:?}");
    let log = std::fs::read_to_string(log).expect("a log");
    assert!(!log.contains("lacks the scope"), "what was under way at a renewal is asked again: {log}");
    scene.assert_discreet(&log, "");
}

#[tokio::test]
async fn a_token_whose_end_is_unknown_is_renewed_when_oura_refuses_it() {
    let (scene, clock, hand) = driven(Portal::New).await;
    scene.simulator.authorizations().set_fault(TokenFault::Times(1, TokenFault::NoExpiresIn.into()));
    signed_in(&scene).await;
    let exporter = scene.exporter(clock).await;
    let before = stored(&scene);
    hand.advance(TimeDelta::hours(1));
    let now = renewed_after(&scene, &before).await;
    assert!(before["expires_at"].is_null() && now["expires_at"].is_string());
    exporter.page_where("all is up", |page| page.get("oura_up{account=\"anna\"}") == Some(1.0)).await;
    let exchanges = scene.simulator.authorizations().exchanges();
    assert_eq!(exchanges.last().map(|exchange| (exchange.status, exchange.spent)), Some((200, 0)), "{exchanges:?}");
    assert_eq!(
        exchanges.iter().filter(|exchange| exchange.grant_type == "refresh_token").count(),
        1,
        "for all at once"
    );
}

#[tokio::test]
async fn trouble_at_oura_when_the_token_ends_passes_without_a_person() {
    for fault in [TokenFault::Status(500), TokenFault::RateLimited { retry_after_seconds: 60 }] {
        let (scene, clock, hand) = driven(Portal::Legacy).await;
        let (_guard, log) = logging_to(&scene);
        signed_in(&scene).await;
        let exporter = scene.exporter(clock).await;
        let up = |value| move |page: &Page| page.get("oura_up{account=\"anna\"}") == Some(value);
        let before = exporter.page_where("all is up", up(1.0)).await;
        let score = "oura_readiness_score{account=\"anna\"}";
        scene.simulator.authorizations().set_fault(fault.clone());
        hand.advance(TimeDelta::hours(1));
        let during = exporter.page_where("it fails", up(0.0)).await;
        assert_eq!((during.get(score), during.get(score).is_some()), (before.get(score), true), "the values stay");
        assert_eq!(during.get("oura_account_authorized{account=\"anna\"}"), Some(1.0), "no person is needed");
        let (_, landing) = exporter.get("/").await;
        assert!(landing.contains("Some collections cannot be read.") && !landing.contains("login"), "{landing}");
        scene.simulator.authorizations().clear_faults();
        hand.advance(TimeDelta::minutes(2));
        let after = exporter.page_where("all is up again", up(1.0)).await;
        let log = std::fs::read_to_string(log).expect("a log");
        assert!(log.contains("the sign-in is renewed") && !log.contains("oura-exporter login"), "{fault:?}: {log}");
        scene.assert_discreet(&(during.text + &after.text + &landing + &log), "");
        // Before its tokens go, so that it says nothing about that in the next round.
        exporter.stop().await;
    }
}

/// The page, the log and the doctor call for a new login, once, and Oura is not asked in a loop.
async fn assert_calls_for_login(scene: &Scene, exporter: Program, refusal: &str) {
    let text = eventually("it is refused again and again", async || {
        let text = exporter.get("/metrics").await?;
        let errors = Page::parse(&text);
        let errors = errors.get("oura_api_errors_total{account=\"anna\",collection=\"daily_sleep\",reason=\"token\"}");
        errors.is_some_and(|errors| errors >= 3.0).then_some(text)
    })
    .await;
    assert!(text.contains("oura_account_authorized{account=\"anna\"} 0"), "{text}");
    assert!(text.contains("oura_up{account=\"anna\"} 0"), "{text}");
    let landing = exporter.get("/").await.expect("a page");
    let call = "oura-exporter login --account anna";
    assert!(landing.contains(&format!("A person must sign in again; run: {call}.")), "{landing}");
    let refusals = |exchanges: &[Exchange]| {
        exchanges.iter().filter(|exchange| exchange.grant_type == "refresh_token" && exchange.status >= 400).count()
    };
    assert_eq!(refusals(&scene.simulator.authorizations().exchanges()), 1, "no loop");
    let (code, said) = scene.run(&["check"]).await;
    assert!(code == Some(1) && said.contains(call), "{said}");
    let (code, log) = exporter.terminate().await;
    assert_eq!((code, log.matches(call).count()), (Some(0), 1), "one line: {log}");
    let line = log.lines().find(|line| line.contains(call)).unwrap_or_default();
    assert!(line.contains("WARN") && line.contains(refusal), "{line}");
    scene.assert_discreet(&(text + &landing + &log), "");
}

#[tokio::test]
async fn a_revoked_sign_in_calls_for_a_new_one_and_the_values_stay() {
    for portal in PORTALS {
        let scene = Scene::of(portal).await;
        signed_in(&scene).await;
        let exporter = Program::start(scene.program().env("OURA_POLL_INTERVAL", "1s")).await;
        exporter.ready().await;
        scene.simulator.authorizations().revoke_everything("alice");
        let gone = "oura_account_authorized{account=\"anna\"} 0";
        let page = async || exporter.get("/metrics").await.filter(|page| page.contains(gone));
        let page = eventually(gone, page).await;
        assert!(page.contains("oura_readiness_score{account=\"anna\"}"), "{page}");
        assert_calls_for_login(&scene, exporter, "Oura refuses (400): ").await;
    }
}

#[tokio::test]
async fn a_refresh_token_that_somebody_else_has_spent_calls_for_a_new_sign_in() {
    for (portal, path) in [(Portal::Legacy, "/oauth/token"), (Portal::New, "/oauth/v2/ext/oauth-token")] {
        let scene = Scene::of(portal).await;
        signed_in(&scene).await;
        scene.expire("anna");
        let tokens = stored(&scene);
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", tokens["refresh_token"].as_str().expect("a token")),
            ("client_id", &scene.application.client_id),
            ("client_secret", &scene.application.client_secret),
        ];
        let http = reqwest::Client::builder().user_agent("somebody else").build().expect("a client");
        let spent = http.post(scene.simulator.url() + path).form(&form).send().await.expect("an answer");
        assert_eq!(spent.status(), 200);
        let exporter = Program::start(scene.program().env("OURA_POLL_INTERVAL", "1s")).await;
        assert_calls_for_login(&scene, exporter, "already used or revoked").await;
    }
}

#[tokio::test]
async fn a_secret_that_is_wrong_at_the_renewal_is_said_to_be_to_blame() {
    for (portal, refusal) in [(Portal::Legacy, "Invalid client_id"), (Portal::New, "invalid_client")] {
        let mut scene = Scene::of(portal).await;
        signed_in(&scene).await;
        scene.expire("anna");
        let before = stored(&scene);
        scene.application.client_secret = "not-the-secret-of-anybody".to_owned();
        let exporter = Program::start(scene.program().env("OURA_POLL_INTERVAL", "1s")).await;
        let refusal = format!("{refusal}; check OURA_CLIENT_ID and OURA_CLIENT_SECRET");
        assert_calls_for_login(&scene, exporter, &refusal).await;
        assert_eq!(stored(&scene), before, "nothing is lost");
    }
}
