//! A real browser signs in through the simulator's consent page, and denies to.

use std::{
    io::{self, Write as _},
    time::Instant,
};

use crate::common::{
    Program,
    browser::Browser,
    door::{Visitor, at_the_redirect, behind_nginx},
    eventually,
    needs::{axe, browser_is_there, there_are},
    scene::{Scene, consent, mode},
};
use oura_exporter::simulator::Portal;
use serde_json::json;

/// Signs in as bob in a browser, pressing `button`; what the page says, the exit code, and what the program says.
async fn sign_in(scene: &Scene, button: &str, heading: &str) -> (String, Option<i32>, String) {
    let begun = scene.begin(&["--account", "ben"]).await;
    let browser = Browser::open(begun.url.as_ref().expect("an address")).await;
    browser.press("bob", button).await;
    let page = browser.text_of_page(heading).await;
    let address = browser.evaluate("location.href").await;
    let address = address.as_str().expect("an address");
    assert!(address.starts_with(scene.redirect.as_deref().expect("one of ours")), "{address}");
    let (code, said) = begun.end().await;
    scene.assert_discreet(&(page.clone() + &said), address);
    browser.close().await;
    (page, code, said)
}

#[tokio::test]
async fn a_browser_signs_in_at_either_portal() {
    if !browser_is_there("a_browser_signs_in_at_either_portal") {
        return;
    }
    for portal in [Portal::Legacy, Portal::New] {
        let scene = Scene::of(portal).await.with_free_redirect();
        let (page, code, said) = sign_in(&scene, "allow", "Oura has answered").await;
        assert!(page.contains("You can close this page."), "{page}");
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("Signed in as account ben") && said.contains("All is well"), "{said}");
        assert_eq!((mode(&scene.tokens()), mode(&scene.file("ben"))), (0o700, 0o600));
    }
}

#[tokio::test]
async fn a_browser_in_which_somebody_denies_says_what_to_do() {
    if !browser_is_there("a_browser_in_which_somebody_denies_says_what_to_do") {
        return;
    }
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    let (page, code, said) = sign_in(&scene, "deny", "Not signed in").await;
    let advice = "consent was denied; start again and press Allow";
    assert!(page.contains(advice) && said.contains(advice), "{page}{said}");
    assert_eq!(code, Some(1), "{said}");
    assert!(!scene.file("ben").exists());
}

/// Waits until the page has an element of that id.
async fn there(browser: &Browser, id: &str) {
    let there = format!("document.readyState === 'complete' && !!document.getElementById('{id}')");
    eventually(id, async || (browser.evaluate(&there).await == true).then_some(())).await;
}

/// Writes a text into a field of the page and presses a button there.
async fn fill(browser: &Browser, field: &str, text: &str, button: &str) {
    there(browser, button).await;
    let fill =
        format!("document.getElementById('{field}').value = '{text}'; document.getElementById('{button}').click(); 1");
    assert_eq!(browser.evaluate(&fill).await, 1);
}

/// Goes to an address.
async fn go(browser: &Browser, url: &str) {
    browser.order("Page.navigate", json!({ "url": url })).await;
}

/// Looks at the page as a screen reader does and on a narrow and a wide screen, in light and dark.
async fn assert_accessible(browser: &Browser, axe: Option<&str>) {
    for (width, scheme) in [(390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")] {
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        browser.order("Emulation.setDeviceMetricsOverride", metrics).await;
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.order("Emulation.setEmulatedMedia", features).await;
        let overflows = browser.evaluate("document.documentElement.scrollWidth > window.innerWidth").await;
        assert_eq!(overflows, false, "it must be scrolled sideways at {width} px");
        if let Some(axe) = axe {
            browser.evaluate(&format!("{axe}; 0")).await;
            let found =
                browser.evaluate("axe.run().then(found => found.violations.map(v => v.id + v.nodes[0].html))").await;
            assert_eq!(found, json!([]), "{scheme} at {width} px");
        }
    }
}

/// Consents as `person`, and waits until the page has said what may be read and the exporter shows it; says how long that took.
async fn signs_in(browser: &Browser, exporter: &Program, (account, person): (&str, &str), axe: &str) {
    fill(browser, "account", account, "sign-in").await;
    browser.press(person, "allow").await;
    let consented = Instant::now();
    let title = format!("Signed in as {account}");
    let text = async || browser.evaluate("document.querySelector('main')?.innerText").await.as_str().map(str::to_owned);
    let read = async || text().await.filter(|text| text.starts_with(&title) && text.contains("may be read"));
    eventually(&title, read).await;
    let series = format!("oura_up{{account=\"{account}\"}} 1");
    let up = async || exporter.get("/metrics").await.filter(|page| page.contains(&series));
    eventually(&series, up).await;
    let words = format!("{account} is on the page {:.1} s after consent\n", consented.elapsed().as_secs_f64());
    let _printed = io::stderr().write_all(words.as_bytes());
    let address = browser.evaluate("location.href").await;
    let address = address.as_str().expect("an address");
    assert!(!address.contains("code=") && !address.contains("state="), "{address}");
    assert_accessible(browser, Some(axe)).await;
}

/// Two people sign in at an exporter that nobody has signed in to, and one signs out.
async fn two_come_and_one_goes(scene: &Scene, exporter: &Program, visitor: &Visitor, axe: &str) {
    let browser = Browser::open(&visitor.home).await;
    there(&browser, "account").await;
    assert_accessible(&browser, Some(axe)).await;
    for people in [("anna", "alice"), ("ben", "bob")] {
        go(&browser, visitor.home.join("sign-in").expect("an address").as_str()).await;
        signs_in(&browser, exporter, people, axe).await;
    }
    go(&browser, visitor.home.join("sign-in").expect("an address").as_str()).await;
    there(&browser, "sign-out-ben").await;
    assert_accessible(&browser, Some(axe)).await;
    browser.evaluate("document.getElementById('sign-out-ben').click(); 1").await;
    let gone = async || exporter.get("/metrics").await.filter(|page| !page.contains("\"ben\""));
    assert!(eventually("ben is gone", gone).await.contains("oura_up{account=\"anna\"} 1"));
    let home = async || (browser.evaluate("location.href").await == visitor.home.as_str()).then_some(());
    eventually("the browser is at the page of today", home).await;
    let simulator = scene.simulator.url();
    let complaints: Vec<_> =
        browser.complaints().await.into_iter().filter(|words| !words.contains(&simulator)).collect();
    assert_eq!(complaints, Vec::<String>::new(), "of the exporter's own pages");
    browser.close().await;
}

#[tokio::test]
async fn two_people_sign_in_on_the_page_and_one_signs_out() {
    const NAME: &str = "two_people_sign_in_on_the_page_and_one_signs_out";
    let Some(axe) = axe(NAME).filter(|_| browser_is_there(NAME)) else { return };
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    let (exporter, visitor) = at_the_redirect(&scene, "127.0.0.1").await;
    two_come_and_one_goes(&scene, &exporter, &visitor, &axe).await;
}

#[tokio::test]
async fn behind_a_proxy_below_a_path_two_people_sign_in_and_one_signs_out() {
    const NAME: &str = "behind_a_proxy_below_a_path_two_people_sign_in_and_one_signs_out";
    let Some(axe) = axe(NAME).filter(|_| browser_is_there(NAME) && there_are(&["nginx"], NAME)) else { return };
    let mut scene = Scene::of(Portal::New).await.with_free_redirect();
    let (exporter, visitor, _nginx) = behind_nginx(&mut scene).await;
    two_come_and_one_goes(&scene, &exporter, &visitor, &axe).await;
}

#[tokio::test]
async fn a_browser_elsewhere_pastes_the_address_and_a_page_that_waits_ends_by_itself() {
    if !browser_is_there("a_browser_elsewhere_pastes_the_address_and_a_page_that_waits_ends_by_itself") {
        return;
    }
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    let exporter = Program::start(scene.program().env("OURA_POLL_INTERVAL", "36h")).await;
    one_pastes_and_one_comes_back(&Visitor::of(&format!("http://{}/", exporter.address))).await;
}

#[tokio::test]
async fn behind_a_proxy_below_a_path_the_address_is_pasted_as_well() {
    const NAME: &str = "behind_a_proxy_below_a_path_the_address_is_pasted_as_well";
    if !(browser_is_there(NAME) && there_are(&["nginx"], NAME)) {
        return;
    }
    let mut scene = Scene::of(Portal::New).await.with_free_redirect();
    let (_exporter, _, _nginx) = behind_nginx(&mut scene).await;
    // By this name of loopback the page does not know itself at the redirect URI, as on another machine.
    let elsewhere = format!("http://ring.localhost:{}/oura/", scene.port());
    one_pastes_and_one_comes_back(&Visitor::of(&elsewhere)).await;
}

/// Signs one in by what is pasted, after what is none of it, and another one by a browser that comes back, while the page waits.
async fn one_pastes_and_one_comes_back(visitor: &Visitor) {
    let browser = Browser::open(&visitor.home).await;
    for (account, person, pastes) in [("anna", "alice", true), ("ben", "bob", false)] {
        go(&browser, visitor.home.join("sign-in").expect("an address").as_str()).await;
        fill(&browser, "account", account, "sign-in").await;
        there(&browser, "paste").await;
        let url = browser.evaluate("document.getElementById('oura').href").await;
        let url = url.as_str().and_then(|url| url.parse().ok()).expect("an address");
        let back = consent(&url, person, "allow").await;
        if pastes {
            for wrong in ["hello", "http://localhost/callback", "https://ouraring.com/?code=1234567890&state=x"] {
                browser.evaluate("document.body.id = 'before'; 1").await;
                fill(&browser, "address", wrong, "paste").await;
                let refused = "document.body.id !== 'before' && !!document.getElementById('refused')";
                eventually(wrong, async || (browser.evaluate(refused).await == true).then_some(())).await;
            }
            fill(&browser, "address", &back, "paste").await;
        } else {
            browser.evaluate("document.getElementById('address').value = 'half an addr'; 1").await;
            let path = back.split_once("/callback").expect("the path").1;
            assert_eq!(visitor.get(&format!("callback{path}")).await.status, 303);
        }
        browser.text_of_page(&format!("Signed in as {account}")).await;
    }
    // That the browser reports what was refused as such is as it should be.
    let complaints = browser.complaints().await;
    assert!(complaints.iter().all(|words| words.contains("400 (Bad Request)")), "{complaints:?}");
    browser.close().await;
}
