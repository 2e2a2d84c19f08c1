//! A scope that is not ticked: `login`, `check` and the page say the same of the same collections, and what to do.

use std::collections::BTreeSet;

use crate::common::{
    Plan, Program, moment,
    scene::{Scene, consent, consent_to_all_but},
    simulator_with,
};
use oura_exporter::{
    clock::Clock,
    simulator::{COLLECTIONS, Collection, Fault, Portal, Scope},
};
use tokio::process::Command;

const ATTENTION: &str = "need attention, see above";

/// The collections that cannot be read without this scope, or show nothing without it.
fn of_scope(scope: &str) -> BTreeSet<&'static str> {
    let is_its = |collection: &&Collection| match collection.name {
        "personal_info" => scope == "personal",
        "tag" => false,
        _ => collection.scope == scope,
    };
    COLLECTIONS.iter().filter(is_its).map(|collection| collection.name).collect()
}

async fn run(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().await.expect("the program starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said)
}

/// What is said of a collection without the scope.
fn words(scope: &str) -> String {
    format!(
        "the token lacks the scope {scope}; tick it in your application at Oura, then run: oura-exporter login --account anna, \
         and tick it on Oura's consent page"
    )
}

/// `login` names the collections and the way to them.
fn assert_login_says(said: &str, scope: &str) {
    let line = said.lines().find(|line| line.starts_with("It cannot read") && line.contains(&words(scope)));
    let line = line.unwrap_or_else(|| panic!("{scope}: {said}"));
    let named = line.trim_start_matches("It cannot read ").split(": ").next().unwrap_or_default();
    assert_eq!(named.split(", ").collect::<BTreeSet<_>>(), of_scope(scope), "{line}");
    let may_read = said.lines().find(|line| line.starts_with("It may read: ")).unwrap_or_default();
    assert!(of_scope(scope).iter().all(|name| !may_read.contains(&format!(" {name}"))), "{may_read}");
}

#[tokio::test]
async fn login_check_and_the_page_say_the_same_of_the_same_collections() {
    for (portal, unticked) in
        [(Portal::New, &["spo2"][..]), (Portal::Legacy, &["personal"]), (Portal::New, &["stress", "heart_health"])]
    {
        let scene = Scene::of(portal).await;
        let (code, said) = scene.log_in("anna", async |url| consent_to_all_but(url, unticked).await).await;
        assert_eq!(code, Some(0), "{unticked:?}: {said}");
        let (check_code, checked) = scene.run(&["check"]).await;
        assert_eq!(check_code, Some(0), "the wearer's choice: {checked}");
        let exporter = Program::start(&mut scene.program()).await;
        exporter.ready().await;
        let landing = exporter.get("/").await.expect("a page");
        let all: Vec<_> = unticked.iter().flat_map(|scope| of_scope(scope)).collect();
        let named = run(scene.program().arg("check").env("OURA_COLLECTIONS", all.join(",") + ",daily_sleep")).await;
        let summary = said.lines().last().unwrap_or_default();
        assert!(summary.starts_with("All that may be read is well. Not granted: "), "{said}");
        for told in [&said, &checked, &landing, &named.1] {
            assert!(!told.contains("All is well"), "{unticked:?}: {told}");
        }
        assert!(checked.contains(summary) && landing.contains(summary), "{summary}: {checked}{landing}");
        assert!(!landing.contains("class=\"bad\""), "{landing}");
        for scope in unticked {
            assert_login_says(&said, scope);
            for name in of_scope(scope) {
                assert!(checked.contains(&format!("  --   {name:26} {}\n", words(scope))), "{checked}");
                let row = landing.split("<tr><td>").find(|row| row.starts_with(name)).unwrap_or_default();
                assert!(row.contains(&words(scope)) && row.contains("<td>nothing<td"), "{row}");
                assert!(named.1.contains(&format!("  BAD  {name:26} {}", words(scope))), "{}", named.1);
            }
        }
        let attention = format!("{} collections {ATTENTION}", all.len());
        assert!(named.0 == Some(1) && named.1.contains(&attention), "somebody counts on them: {}", named.1);
    }
}

#[tokio::test]
async fn with_everything_ticked_all_three_say_that_all_is_well() {
    let scene = Scene::of(Portal::New).await;
    let (_, said) = scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
    let (code, checked) = scene.run(&["check"]).await;
    let exporter = Program::start(&mut scene.program()).await;
    exporter.ready().await;
    let landing = exporter.get("/").await.expect("a page");
    assert!([&said, &checked, &landing].iter().all(|told| told.contains("All is well.")), "{said}{checked}{landing}");
    assert!(code == Some(0) && !checked.contains("--  ") && !said.contains("It cannot read"), "{said}{checked}");
}

#[tokio::test]
async fn scopes_that_are_not_even_asked_for_are_named_with_the_variable() {
    let scene = Scene::of(Portal::Legacy).await.asking_for("daily personal heartrate workout tag session");
    let (code, said) = scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
    assert_eq!(code, Some(0), "{said}");
    let line = "OURA_SCOPES does not ask for: heart_health ring_configuration spo2 stress.";
    assert!(said.contains(line) && !said.contains("All is well"), "{said}");
}

#[tokio::test]
async fn a_failure_of_oura_is_no_missing_scope_wherever_it_is_told() {
    for (collection, fault, what) in [
        (
            "workout",
            Fault::Status(401),
            "Oura refuses it, although the token is good; it is tried again within minutes",
        ),
        ("sleep", Fault::Status(404), "Oura rejected the request with 404"),
        ("daily_spo2", Fault::Html, "the answer cannot be read"),
    ] {
        let scene = Scene::of(Portal::New).await;
        scene.simulator.faults().set(Scope::collection(collection), fault);
        let (code, said) = scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
        assert_eq!(code, Some(0), "signed in all the same: {said}");
        assert!(said.contains(&format!("It cannot read {collection}: {what}")), "{said}");
        assert!(said.ends_with("Some collections cannot be read. To look again, run: oura-exporter check\n"), "{said}");
        let (code, checked) = scene.run(&["check"]).await;
        assert!(code == Some(1) && checked.contains(&format!("  BAD  {collection:26} {what}")), "{checked}");
        let exporter = Program::start(&mut scene.program()).await;
        exporter.ready().await;
        let landing = exporter.get("/").await.expect("a page");
        assert!(landing.contains(what) && landing.contains("Some collections cannot be read."), "{landing}");
    }
}

#[tokio::test]
async fn a_token_made_by_hand_gets_the_advice_for_such_a_token() {
    let simulator = simulator_with(Clock::system()).await;
    simulator.faults().set(Scope::collection("daily_spo2"), Fault::ScopeMissing);
    simulator.faults().set(Scope::collection("sleep"), Fault::Status(403));
    let token = simulator.people().into_iter().next().expect("somebody").token;
    let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
    command.env_clear().env("OURA_API_URL", simulator.url()).env("OURA_ACCESS_TOKEN", token).arg("check");
    let (code, checked) = run(&mut command).await;
    let exporter = Plan::default().at_moment(moment("2026-11-22T12:00:00Z")).ready(&simulator).await;
    let (_, landing) = exporter.get("/").await;
    for told in [&checked, &landing] {
        assert!(told.contains("the token lacks the scope spo2; tick it in your application"), "{told}");
        assert!(told.contains("Oura refuses it, although the token is good"), "{told}");
        assert!(told.contains("put a new token with every scope into OURA_ACCESS_TOKEN"), "{told}");
        assert!(!told.contains("oura-exporter login"), "{told}");
    }
    assert_eq!(code, Some(1), "sleep is refused: {checked}");
}
