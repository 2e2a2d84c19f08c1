//! Signing in and out on the exporter's own page, over HTTP, as a browser does it.

use std::time::Duration;

use crate::common::{
    Page, Program,
    door::{Visitor, at_the_redirect, behind_nginx},
    eventually, moment,
    needs::there_are,
    scene::{Scene, consent, consent_to_all_but, mode},
};
use chrono::TimeDelta;
use oura_exporter::{clock::Clock, documents::KINDS, simulator::Portal};
use tokio::time::timeout;

/// How soon who has consented is on the page.
const SOON: Duration = Duration::from_secs(10);

async fn until_up(exporter: &Program, account: &str) -> Page {
    let series = format!("oura_up{{account=\"{account}\"}} 1");
    let up = async || exporter.get("/metrics").await.filter(|page| page.contains(&series));
    Page::parse(&timeout(SOON, eventually(&series, up)).await.expect("soon"))
}

/// Signs `person` in as `account` on the page; the address at which Oura's answer came, and what the page says of it.
async fn sign_in(visitor: &Visitor, account: &str, person: &str) -> (String, String) {
    let (place, url) = visitor.begin(account).await;
    let back = consent(&url, person, "allow").await;
    let shown = visitor.get(&back).await;
    assert_eq!((shown.status, shown.location.as_deref()), (303, Some(place.as_str())), "{}", shown.text);
    (back, visitor.titled(&place, &format!("Signed in as {account}")).await)
}

#[tokio::test]
async fn people_sign_in_on_the_page_of_an_exporter_that_has_nobody_and_sign_out_there() {
    for portal in [Portal::Legacy, Portal::New] {
        let scene = Scene::of(portal).await.with_free_redirect();
        let (exporter, visitor) = at_the_redirect(&scene, "127.0.0.1").await;
        let front = visitor.get("").await;
        let uri = scene.redirect.as_deref().expect("one of ours");
        assert!(front.status == 200 && front.text.contains("Nobody has signed in"), "{}", front.text);
        assert!(front.text.contains(&format!("<code class=\"copy\">{uri}</code>")), "{}", front.text);
        let mut pages = front.text;
        for (account, person) in [("anna", "alice"), ("ben", "bob")] {
            let (back, text) = sign_in(&visitor, account, person).await;
            let count = KINDS.len() - 1;
            assert!(text.contains(&format!("These {count} collections may be read")), "{text}");
            until_up(&exporter, account).await;
            assert_eq!((mode(&scene.tokens()), mode(&scene.file(account))), (0o700, 0o600));
            let landing = visitor.get("").await.text;
            assert!(landing.contains(&format!("Account {account}")), "{landing}");
            scene.assert_discreet(&(text + &landing), &back);
        }
        let shown = visitor.post("sign-out", &[("account", "ben")]).await;
        assert_eq!((shown.status, shown.location.as_deref()), (303, Some("./")), "{}", shown.text);
        let page = exporter.get("/metrics").await.expect("a page");
        assert!(
            !page.contains("\"ben\"") && page.contains("oura_up{account=\"anna\"} 1"),
            "at the next scrape: {page}"
        );
        assert!(!scene.file("ben").exists());
        pages += &visitor.get("sign-in").await.text;
        assert!(pages.contains("sign-out-anna") && !pages.contains("sign-out-ben"), "{pages}");
        let (_, log) = exporter.terminate().await;
        scene.assert_discreet(&(pages + &log), "");
    }
}

#[tokio::test]
async fn the_address_at_which_the_browser_ended_can_be_pasted() {
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    let (exporter, visitor) = at_the_redirect(&scene, "127.0.0.1").await;
    let code =
        |back: &str| back.split("code=").nth(1).and_then(|rest| rest.split('&').next()).expect("a code").to_owned();
    for (account, person, pasted) in [
        ("anna", "alice", (|back| format!(" {back}\n")) as fn(&str) -> String),
        ("ben", "bob", |back| format!("{back}#_=_")),
    ] {
        let (place, url) = visitor.begin(account).await;
        let id = place.trim_start_matches("sign-in?attempt=");
        let back = consent(&url, person, "allow").await;
        for wrong in ["hello", "", "http://localhost/callback"] {
            let shown = visitor.post("sign-in-paste", &[("attempt", id), ("address", wrong)]).await;
            assert!(shown.status == 400 && shown.text.contains("paste the whole address"), "{}", shown.text);
            assert!(
                shown.text.contains("id=\"paste\"") && shown.text.contains(id),
                "the field is still there: {}",
                shown.text
            );
        }
        let shown = visitor.post("sign-in-paste", &[("attempt", id), ("address", &pasted(&back))]).await;
        assert_eq!((shown.status, shown.location.as_deref()), (303, Some(place.as_str())), "{}", shown.text);
        visitor.titled(&place, &format!("Signed in as {account}")).await;
        until_up(&exporter, account).await;
    }
    let (place, url) = visitor.begin("anna").await;
    let back = consent(&url, "alice", "allow").await;
    let form = [("attempt", place.trim_start_matches("sign-in?attempt=")), ("address", &code(&back))];
    assert_eq!(visitor.post("sign-in-paste", &form).await.status, 303, "the bare code will do");
    visitor.titled(&place, "Signed in as anna").await;
}

#[tokio::test]
async fn an_answer_is_taken_once_and_by_its_own_sign_in_only() {
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    let (_exporter, visitor) = at_the_redirect(&scene, "127.0.0.1").await;
    let (back, _) = sign_in(&visitor, "anna", "alice").await;
    let again = visitor.get(&back).await;
    assert!(again.status == 400 && again.text.contains("has already been answered"), "{}", again.text);
    let (place, url) = visitor.begin("ben").await;
    let right = consent(&url, "bob", "allow").await;
    let state = url.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
    for (wrong, said) in [
        (right.replace(&state, "another"), "belongs to a sign-in that was not started on this page"),
        (right.replace(&format!("state={state}"), ""), "belongs to a sign-in that was not started on this page"),
        (right.split("code=").next().expect("a beginning").to_owned(), "contains no answer from Oura"),
    ] {
        let shown = visitor.get(&wrong).await;
        assert!(shown.status == 400 && shown.text.contains(said), "{wrong}: {}", shown.text);
    }
    let of_other = visitor.begin("carl").await.0;
    let form = [("attempt", of_other.trim_start_matches("sign-in?attempt=")), ("address", right.as_str())];
    let shown = visitor.post("sign-in-paste", &form).await;
    assert!(
        shown.status == 400 && shown.text.contains("belongs to a sign-in that was not started on this page"),
        "{}",
        shown.text
    );
    assert!(shown.text.contains("id=\"paste\""), "the right one may still be pasted: {}", shown.text);
    assert!(visitor.get(&of_other).await.text.contains("data-state=\"waiting\""), "it waits for its own answer");
    let looked = reqwest::Client::new().head(&right).send().await.expect("an answer");
    assert_eq!(looked.status(), 405, "whoever only looks does not use it up");
    assert_eq!(visitor.get(&right).await.location, Some(place.clone()), "what was to come still may");
    visitor.titled(&place, "Signed in as ben").await;
    assert!(!scene.file("carl").exists());
}

#[tokio::test]
async fn a_sign_in_waits_for_ten_minutes() {
    let scene = Scene::of(Portal::New).await;
    let (code, said) = scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
    assert_eq!(code, Some(0), "{said}");
    for (wait, is_late) in [(9, false), (10, true), (600, true)] {
        let (clock, hand) = Clock::driven_from(moment(&chrono::Utc::now().to_rfc3339()));
        let exporter = scene.exporter(clock).await;
        let visitor = Visitor::of(&format!("{}/", exporter.url));
        let (place, url) = visitor.begin("ben").await;
        let back = consent(&url, "bob", "allow").await;
        hand.advance(TimeDelta::minutes(wait));
        let form = [("attempt", place.trim_start_matches("sign-in?attempt=")), ("address", back.as_str())];
        let shown = visitor.post("sign-in-paste", &form).await;
        if is_late {
            assert!(shown.status == 400 && shown.text.contains("older than ten minutes"), "{}", shown.text);
            assert!(visitor.get(&place).await.text.contains("ten minutes have passed"));
        } else {
            visitor.titled(&place, "Signed in as ben").await;
        }
        exporter.stop().await;
    }
}

#[tokio::test]
async fn a_form_of_another_page_does_nothing() {
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    let (_exporter, visitor) = at_the_redirect(&scene, "127.0.0.1").await;
    sign_in(&visitor, "anna", "alice").await;
    let own = visitor.home.origin().ascii_serialization();
    for headers in [
        &[][..],
        &[("origin", "null")],
        &[("origin", "http://evil.example")],
        &[("origin", "http://localhost:1"), ("sec-fetch-site", "same-site")],
        &[("origin", own.as_str()), ("sec-fetch-site", "cross-site")],
    ] {
        for (place, form) in
            [("sign-out", ("account", "anna")), ("sign-in", ("account", "ben")), ("sign-in-paste", ("attempt", "x"))]
        {
            let shown = visitor.post_from(place, &[form], headers).await;
            assert!(
                shown.status == 403 && shown.text.contains("nothing was done"),
                "{place} {headers:?}: {}",
                shown.text
            );
        }
        for place in ["sign-out?account=anna", "sign-in-paste?attempt=x"] {
            assert_eq!(visitor.get(place).await.status, 405, "{place}");
        }
    }
    assert!(scene.file("anna").exists());
    let policy = visitor.get("sign-in").await.policy;
    assert!(policy.contains("form-action 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
}

#[tokio::test]
async fn what_goes_wrong_is_said_on_the_page_with_what_to_do() {
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    let (_exporter, visitor) = at_the_redirect(&scene, "127.0.0.1").await;
    let (place, url) = visitor.begin("anna").await;
    let back = consent(&url, "alice", "deny").await;
    visitor.get(&back).await;
    let text = visitor.titled(&place, "Not signed in").await;
    assert!(text.contains("Consent was denied; start again and press Allow."), "{text}");
    for name in ["", "anna@example.com", "../anna", "two words"] {
        let shown = visitor.post("sign-in", &[("account", name)]).await;
        assert!(shown.status == 400 && shown.text.contains("not an e-mail address"), "{name}: {}", shown.text);
        assert!(name.is_empty() || !shown.text.contains(name), "{}", shown.text);
    }
    let shown = visitor.post("sign-out", &[("account", "nobody")]).await;
    assert!(shown.status == 400 && shown.text.contains("Nobody is signed in under that name"), "{}", shown.text);
    let (place, url) = visitor.begin("anna").await;
    let back = consent_to_all_but(&url, &["stress", "spo2"]).await;
    visitor.get(&back).await;
    let text = visitor.titled(&place, "Signed in as anna").await;
    assert!(text.contains("Besides:") && text.contains("<li>daily_spo2: ") && text.contains("tick it"), "{text}");
}

#[tokio::test]
async fn an_unregistered_redirect_uri_is_named_before_anybody_is_sent_to_oura() {
    let mut scene = Scene::of(Portal::New).await.with_free_redirect();
    let registered = scene.redirect.clone().expect("one of ours");
    scene.redirect = Some(format!("{registered}/"));
    let (_exporter, visitor) = at_the_redirect(&scene, "127.0.0.1").await;
    let shown = visitor.post("sign-in", &[("account", "anna")]).await;
    assert!(shown.status == 400 && shown.text.contains(&format!("byte for byte: {registered}/ ")), "{}", shown.text);
}

#[tokio::test]
async fn beyond_this_machine_and_without_a_password_people_are_only_added() {
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    let (exporter, visitor) = at_the_redirect(&scene, "0.0.0.0").await;
    sign_in(&visitor, "anna", "alice").await;
    let before = std::fs::read(scene.file("anna")).expect("tokens");
    for (place, said) in
        [("sign-in", "run: oura-exporter login --no-browser --account anna"), ("sign-out", "logout --account anna")]
    {
        let shown = visitor.post(place, &[("account", "anna")]).await;
        assert!(shown.status == 400 && shown.text.contains(said), "{place}: {}", shown.text);
    }
    assert_eq!(std::fs::read(scene.file("anna")).expect("tokens"), before);
    let page = visitor.get("sign-in").await.text;
    assert!(!page.contains("action=\"sign-out\"") && page.contains("open beyond this machine"), "{page}");
    sign_in(&visitor, "ben", "bob").await;
    until_up(&exporter, "ben").await;
}

#[tokio::test]
async fn without_an_application_the_page_shows_the_steps_to_one() {
    let scene = Scene::of(Portal::New).await;
    let mut command = scene.program();
    let exporter = Program::start(command.env_remove("OURA_CLIENT_ID").env_remove("OURA_CLIENT_SECRET")).await;
    let visitor = Visitor::of(&format!("http://{}/", exporter.address));
    for place in ["", "sign-in"] {
        let text = visitor.get(place).await.text;
        for part in [
            "https://developer.ouraring.com",
            "http://localhost:10058/callback",
            "OURA_CLIENT_ID",
            "OURA_CLIENT_SECRET",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("<form"), "{text}");
    }
    let shown = visitor.post("sign-in", &[("account", "anna")]).await;
    assert!(shown.status == 400 && shown.text.contains("No application is set"), "{}", shown.text);
}

#[tokio::test]
async fn switched_off_nobody_signs_in_on_the_page() {
    let scene = Scene::of(Portal::New).await;
    let exporter = Program::start(scene.program().env("OURA_WEB_SIGN_IN", "false")).await;
    let visitor = Visitor::of(&format!("http://{}/", exporter.address));
    for shown in [
        visitor.get("sign-in").await,
        visitor.get("callback?code=x&state=y").await,
        visitor.post("sign-in", &[("account", "anna")]).await,
        visitor.post("sign-out", &[("account", "anna")]).await,
    ] {
        assert!(shown.status == 404 && shown.text.contains("OURA_WEB_SIGN_IN=false"), "{}", shown.text);
    }
    assert!(!visitor.get("").await.text.contains("<form"));
    let ready = visitor.get("-/ready").await;
    assert_eq!((ready.status, ready.text.as_str()), (503, "nobody has signed in; run: oura-exporter login\n"));
}

#[tokio::test]
async fn the_command_hands_over_to_an_exporter_that_runs_where_the_browser_comes_back() {
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    let (exporter, visitor) = at_the_redirect(&scene, "127.0.0.1").await;
    let begun = scene.begin(&["--account", "anna"]).await;
    let page = begun.url.clone().expect("an address");
    assert_eq!(page.as_str(), visitor.home.join("sign-in?account=anna").expect("an address").as_str());
    assert!(visitor.get(page.as_str()).await.text.contains("value=\"anna\""), "the name is there already");
    let (back, _) = sign_in(&visitor, "anna", "alice").await;
    let (code, said) = begun.end().await;
    assert!(code == Some(0) && said.contains("Signed in as account anna") && said.contains("All is well"), "{said}");
    scene.assert_discreet(&said, &back);
    let (code, said) = scene.log_in("ben", async |url| consent(url, "bob", "allow").await).await;
    assert_eq!(code, Some(0), "by paste it needs nobody: {said}");
    until_up(&exporter, "ben").await;
}

#[tokio::test]
async fn wherever_the_browser_comes_back_to_it_goes_on_to_the_page_of_the_sign_in() {
    for path in ["/callback/", "/oauth/callback", "/a/b/callback/"] {
        let mut scene = Scene::of(Portal::New).await.with_free_redirect();
        let mut uri: reqwest::Url = scene.redirect.as_deref().expect("one of ours").parse().expect("an address");
        uri.set_path(path);
        scene.simulator.authorizations().register_redirect(uri.as_str());
        scene.redirect = Some(uri.to_string());
        let (exporter, visitor) = at_the_redirect(&scene, "127.0.0.1").await;
        let (_, url) = visitor.begin("anna").await;
        let back = consent(&url, "alice", "allow").await;
        let shown = visitor.get(&back).await;
        assert_eq!(shown.status, 303, "{path}: {}", shown.text);
        let place = visitor.home.join(&back).expect("an address").join(&shown.location.expect("a place"));
        let place = place.expect("an address");
        assert_eq!(place.path(), "/sign-in", "{path}");
        let shown = visitor.get(place.as_str()).await;
        assert!(shown.status == 200 && shown.text.contains("anna"), "{path}: {}", shown.text);
        until_up(&exporter, "anna").await;
    }
}

#[tokio::test]
async fn behind_a_proxy_below_a_path_people_sign_in_and_out_as_well() {
    if !there_are(&["nginx"], "behind_a_proxy_below_a_path_people_sign_in_and_out_as_well") {
        return;
    }
    let mut scene = Scene::of(Portal::New).await.with_free_redirect();
    let (exporter, visitor, _nginx) = behind_nginx(&mut scene).await;
    sign_in(&visitor, "anna", "alice").await;
    until_up(&exporter, "anna").await;
    let shown = visitor.post("sign-out", &[("account", "anna")]).await;
    assert_eq!(shown.location.as_deref(), Some("./"), "{}", shown.text);
    assert!(visitor.get("").await.text.contains("Nobody has signed in"));
}

#[tokio::test]
async fn a_program_that_only_looks_at_the_page_of_a_sign_in_uses_nothing_up() {
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    let (_exporter, visitor) = at_the_redirect(&scene, "127.0.0.1").await;
    let place = visitor.post("sign-in", &[("account", "anna")]).await.location.expect("a place");
    for _ in 0..3 {
        let looked = reqwest::Client::new().head(visitor.home.join(&place).expect("an address")).send().await;
        assert_eq!(looked.expect("an answer").status(), 200);
    }
    let goes_on = "http-equiv=\"refresh\" content=\"0;";
    assert!(visitor.get(&place).await.text.contains(goes_on), "a person goes on to Oura");
    assert!(!visitor.get(&place).await.text.contains(goes_on), "and who comes back stays");
}

#[tokio::test]
async fn started_without_anybody_the_log_names_the_page_to_open() {
    for (address, home) in [
        ("127.0.0.1:0", "http://localhost:"),
        ("0.0.0.0:0", "http://localhost:"),
        ("[::1]:0", "http://localhost:"),
        ("127.0.0.2:0", "http://127.0.0.2:"),
    ] {
        let scene = Scene::of(Portal::New).await;
        let exporter = Program::start_at(address, &mut scene.program()).await;
        let port = exporter.address.rsplit(':').next().expect("a port").to_owned();
        let healthy = async || reqwest::get(format!("http://{}/-/healthy", exporter.address)).await.ok();
        eventually("it serves", healthy).await;
        let (_, log) = exporter.terminate().await;
        let line = format!("nobody has signed in; open {home}{port}/");
        assert!(log.contains(&line), "{address}: {log}");
    }
}

#[tokio::test]
async fn at_another_port_than_the_browser_comes_back_to_the_log_says_what_to_register() {
    let usual = "http://localhost:10058/callback";
    for (redirect, is_odd) in [(None, true), (Some(usual), true), (Some("https://ring.example/callback"), false)] {
        let scene = Scene::of(Portal::New).await;
        let mut command = scene.program();
        match redirect {
            Some(uri) => command.env("OURA_REDIRECT_URI", uri),
            None => command.env_remove("OURA_REDIRECT_URI"),
        };
        let exporter = Program::start(&mut command).await;
        let port = exporter.address.rsplit(':').next().expect("a port").to_owned();
        let (_, log) = exporter.terminate().await;
        let line = format!("this page is on port {port}");
        let uri = format!("register http://localhost:{port}/callback at Oura");
        assert_eq!((log.contains(&line), log.contains(&uri)), (is_odd, is_odd), "{redirect:?}: {log}");
    }
}

#[tokio::test]
async fn whose_token_is_from_the_environment_is_among_the_people_and_has_no_buttons() {
    let scene = Scene::of(Portal::New).await;
    let token = scene.simulator.people()[1].token.clone();
    for (name, value) in [("OURA_ACCESS_TOKEN", token), ("OURA_ACCESS_TOKEN", "no-token-of-oura".to_owned())] {
        let mut command = scene.program();
        let exporter = Program::start(command.env(name, value).env("OURA_ACCOUNT", "ben")).await;
        let visitor = Visitor::of(&format!("http://{}/", exporter.address));
        let there =
            async || Some(visitor.get("sign-in").await.text).filter(|text| text.contains("<strong>ben</strong>"));
        let text = eventually("ben is there", there).await;
        assert!(text.contains("<h1>People</h1>") && text.contains("by OURA_ACCESS_TOKEN"), "{text}");
        assert!(!text.contains("sign-out-ben") && !text.contains("Nobody has signed in"), "{text}");
    }
}
