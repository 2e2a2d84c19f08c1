//! A real browser signs in through the simulator's consent page, and denies to.

mod common;

use common::{
    browser::Browser,
    needs::browser_is_there,
    scene::{Scene, mode},
};
use oura_exporter::simulator::Portal;

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
        let (page, code, said) = sign_in(&scene, "allow", "Signed in").await;
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
    let advice = "consent was denied; begin anew and press Allow";
    assert!(page.contains(advice) && said.contains(advice), "{page}{said}");
    assert_eq!(code, Some(1), "{said}");
    assert!(!scene.file("ben").exists());
}
