//! The demo for whoever wants to see a sign-in and has no ring: two people who do not exist consent, and are on the page.

use std::net::TcpListener;

use crate::common::{Program, door::Visitor, eventually, scene::consent};
use tokio::process::Command;

#[tokio::test]
async fn two_people_of_the_demo_sign_in_on_its_page_and_are_shown() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address");
    let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
    command.env_clear().args(["demo", "--sign-in"]);
    let program = Program::start_at(&free.to_string(), &mut command).await;
    let visitor = Visitor::of(&format!("http://localhost:{}/", free.port()));
    let front = visitor.get("").await;
    assert!(front.status == 200 && front.text.contains("Sign in with Oura"), "{}", front.text);
    for (account, person) in [("anna", "alice"), ("ben", "bob")] {
        let (place, oura) = visitor.begin(account).await;
        let back = consent(&oura, person, "allow").await;
        assert!(back.starts_with(&format!("http://localhost:{}/callback?", free.port())), "{back}");
        visitor.get(&back).await;
        let page = visitor.titled(&place, &format!("Signed in as {account}")).await;
        assert!(!page.contains('`'), "words for people: {page}");
        let series = format!("oura_readiness_score{{account=\"{account}\"}}");
        eventually(&series, async || program.get("/metrics").await.filter(|page| page.contains(&series))).await;
    }
    visitor.post("sign-out", &[("account", "bob")]).await;
    assert_eq!(visitor.post("sign-out", &[("account", "ben")]).await.status, 303);
    let series = "oura_readiness_score{account=\"ben\"}";
    eventually("ben is gone", async || program.get("/metrics").await.filter(|page| !page.contains(series))).await;
    let (_, log) = program.terminate().await;
    assert!(log.contains("signed out on the page") && !log.contains("token file is gone"), "{log}");
    let warned: Vec<_> = log.lines().filter(|line| line.contains(" WARN ") && line.contains("sign")).collect();
    assert!(warned.is_empty(), "who signs out is no trouble: {warned:?}");
    assert!(log.contains("sign in as alice or bob"), "{log}");
}
