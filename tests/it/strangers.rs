//! Strangers at the page: what they may do where a proxy shows it or nobody asks for a password, and how often.

use crate::common::{
    door::{Visitor, at_the_redirect_with},
    needs::there_are,
    proxy::Nginx,
    scene::{Scene, consent},
};
use oura_exporter::simulator::Portal;

/// The lock files in the state directory.
fn locks(scene: &Scene) -> Vec<String> {
    let names = std::fs::read_dir(scene.tokens()).expect("a directory").flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".lock")).collect()
}

fn visitor(scene: &Scene) -> Visitor {
    Visitor::of(&format!("http://localhost:{}/", scene.port()))
}

#[tokio::test]
async fn a_page_that_a_proxy_shows_elsewhere_is_for_strangers_although_it_listens_on_loopback() {
    for (name, value) in [
        ("OURA_WEB_EXTERNAL_URL", "https://lan.example/"),
        ("OURA_ALLOWED_HOSTS", "oura.lan"),
        ("OURA_WEB_EXTERNAL_URL", "http://192.168.1.2:8080/oura/"),
    ] {
        let scene = Scene::of(Portal::New).await.with_free_redirect();
        let (code, said) = scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
        assert_eq!(code, Some(0), "{said}");
        let _exporter = at_the_redirect_with(&scene, "127.0.0.1", &[(name, value)]).await;
        let visitor = visitor(&scene);
        for (place, words) in [("sign-in", "login --no-browser --account anna"), ("sign-out", "logout --account anna")]
        {
            let shown = visitor.post(place, &[("account", "anna")]).await;
            assert!(shown.status == 400 && shown.text.contains(words), "{name}={value} {place}: {}", shown.text);
        }
        let page = visitor.get("sign-in").await.text;
        assert!(page.contains("open beyond this machine") && !page.contains("sign-out-anna"), "{page}");
        assert!(scene.file("anna").exists());
    }
}

#[tokio::test]
async fn strangers_who_begin_too_often_push_nobody_out_and_leave_nothing_behind() {
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    let _exporter = at_the_redirect_with(&scene, "127.0.0.1", &[("OURA_ALLOWED_HOSTS", "oura.lan")]).await;
    let visitor = visitor(&scene);
    let (place, url) = visitor.begin("anna").await;
    for again in 0..7 {
        assert_eq!(visitor.post("sign-in", &[("account", &format!("stranger-{again}"))]).await.status, 303);
    }
    for name in ["stranger-8", "anna", "ben"] {
        let shown = visitor.post("sign-in", &[("account", name)]).await;
        assert!(shown.status == 429 && shown.text.contains("wait that long"), "{name}: {}", shown.text);
    }
    assert_eq!(locks(&scene), Vec::<String>::new(), "nothing has succeeded");
    visitor.get(&consent(&url, "alice", "allow").await).await;
    visitor.titled(&place, "Signed in as anna").await;
    assert_eq!(locks(&scene), [".anna.lock"], "who waited was not pushed out");
}

#[tokio::test]
async fn whoever_is_refused_leaves_no_lock_file() {
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    let _exporter = at_the_redirect_with(&scene, "127.0.0.1", &[]).await;
    let visitor = visitor(&scene);
    for (account, person, action) in [("anna", "alice", "allow"), ("ben", "alice", "allow"), ("carl", "bob", "deny")] {
        let (place, url) = visitor.begin(account).await;
        visitor.get(&consent(&url, person, action).await).await;
        let title = if account == "anna" { "Signed in as anna" } else { "Not signed in" };
        visitor.titled(&place, title).await;
    }
    let (code, said) = scene.log_in("dora", async |url| consent(url, "alice", "allow").await).await;
    assert!(code == Some(1) && said.contains("this person already has account anna"), "{said}");
    assert_eq!(locks(&scene), [".anna.lock"]);
}

#[tokio::test]
async fn whoever_is_known_begins_as_often_as_there_are_places_and_then_waits() {
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    let _exporter = at_the_redirect_with(&scene, "127.0.0.1", &[]).await;
    let visitor = visitor(&scene);
    let (place, url) = visitor.begin("anna").await;
    for again in 1..64 {
        let shown = visitor.post("sign-in", &[("account", &format!("person-{again}"))]).await;
        assert_eq!(shown.status, 303, "{again}: {}", shown.text);
    }
    let shown = visitor.post("sign-in", &[("account", "one-more")]).await;
    assert!(shown.status == 429 && shown.text.contains("Too many sign-ins"), "{}", shown.text);
    visitor.get(&consent(&url, "alice", "allow").await).await;
    visitor.titled(&place, "Signed in as anna").await;
    assert_eq!(visitor.post("sign-in", &[("account", "ben")]).await.status, 303, "there is a place again");
}

/// A port of loopback that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port()
}

#[tokio::test]
async fn behind_a_proxy_of_which_no_setting_says_anything_nobody_counts_as_of_this_machine() {
    const NAME: &str = "behind_a_proxy_of_which_no_setting_says_anything_nobody_counts_as_of_this_machine";
    if !there_are(&["nginx"], NAME) {
        return;
    }
    let own = "http://127.0.0.1:PORT";
    for (lines, origin, sign) in [
        ("", own, "HTTP/1.0"),
        (
            "proxy_http_version 1.1; proxy_set_header Connection '';",
            "https://ring.example",
            "an Origin other than the Host",
        ),
        ("proxy_http_version 1.1; proxy_set_header X-Forwarded-For $remote_addr;", own, "x-forwarded-for"),
        ("proxy_http_version 1.1; proxy_set_header Via 'a proxy'; proxy_set_header Host localhost;", own, "via"),
    ] {
        let scene = Scene::of(Portal::New).await.with_free_redirect();
        let (code, said) = scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
        assert_eq!(code, Some(0), "{said}");
        let exporter = at_the_redirect_with(&scene, "127.0.0.1", &[]).await;
        let proxy = format!("127.0.0.1:{}", free_port());
        let lines = format!("{lines} location / {{ proxy_pass http://{}; }}", exporter.address);
        let _nginx = Nginx::start(&proxy, &lines, "/-/healthy").await;
        let through = Visitor::of(&format!("http://{proxy}/"));
        let origin = origin.replace("PORT", &scene.port().to_string());
        let headers = [("origin", origin.as_str()), ("sec-fetch-site", "same-origin")];
        for (place, words) in [("sign-out", "logout --account anna"), ("sign-in", "login --no-browser --account anna")]
        {
            let shown = through.post_from(place, &[("account", "anna")], &headers).await;
            assert!(shown.status == 400 && shown.text.contains(words), "{sign} {place}: {}", shown.text);
        }
        let directly = visitor(&scene);
        assert_eq!(directly.post("sign-out", &[("account", "anna")]).await.status, 400, "{sign}: and from then on");
        let page = directly.get("sign-in").await.text;
        assert!(page.contains("open beyond this machine") && !page.contains("sign-out-anna"), "{sign}: {page}");
        assert!(scene.file("anna").exists(), "{sign}");
        let (_, log) = exporter.terminate().await;
        let told = format!("a proxy shows this page (it was asked for with {sign})");
        assert_eq!((log.matches("a proxy shows this page").count(), log.matches(&told).count()), (1, 1), "{log}");
    }
}

#[tokio::test]
async fn a_form_of_another_page_makes_nobody_a_stranger() {
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    let (code, said) = scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
    assert_eq!(code, Some(0), "{said}");
    let exporter = at_the_redirect_with(&scene, "127.0.0.1", &[]).await;
    let visitor = visitor(&scene);
    for headers in [
        [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
        [("origin", "http://localhost:1"), ("sec-fetch-site", "same-site")],
        [("origin", "null"), ("sec-fetch-site", "none")],
    ] {
        assert_eq!(visitor.post_from("sign-out", &[("account", "anna")], &headers).await.status, 403);
    }
    let shown = visitor.post("sign-out", &[("account", "anna")]).await;
    assert_eq!(shown.location.as_deref(), Some("./"), "who is on this machine still signs people out: {}", shown.text);
    let (_, log) = exporter.terminate().await;
    assert!(!log.contains("a proxy shows this page"), "{log}");
}
