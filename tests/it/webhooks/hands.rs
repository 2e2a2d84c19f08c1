//! An account that changes hands while the exporter runs: never is anything of two persons under its name at once.

use std::sync::atomic::{AtomicU32, Ordering};

use oura_exporter::{
    auth::{Store, Table, Tokens},
    simulator::{Event, Portal},
};
use tempfile::TempDir;

use crate::{
    common::{
        Page, Program, eventually,
        postgres::{self, postgres_is_there},
        scene::{Scene, consent},
        servers::free_address,
        truth::ask,
    },
    person::{alone, last_two_weeks, log_in_all_the_same, readiness},
};

const PERSONS: [&str; 2] = ["alice", "bob"];
const SHOWN: [&str; 3] = ["oura_personal_age_years", "oura_readiness_score", "oura_sleep_score"];

/// How the exporter comes to ask for something while it has not looked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// Oura tells of the new person.
    Events,
    /// It is the account's turn.
    Polls,
    /// The token of before is refused.
    Refusal,
}

/// An account whose sign-ins of both persons are at hand.
struct Hands {
    scene: Scene,
    store: Store,
    variables: Vec<(&'static str, String)>,
    sign_ins: [Tokens; 2],
    told: AtomicU32,
    _own: TempDir,
}

impl Hands {
    async fn new(url: Option<String>) -> Self {
        let scene = Scene::of(Portal::New).await;
        let files = Store::new(scene.tokens());
        let (code, said) = scene.log_in("anna", async |url| consent(url, PERSONS[0], "allow").await).await;
        assert_eq!(code, Some(0), "{said}");
        let stored = || files.read("anna").expect("it can be read").expect("tokens");
        let first = stored();
        assert_eq!(log_in_all_the_same(&scene, "anna", PERSONS[1]).await.0, Some(0));
        let (sign_ins, listen, own) = ([first, stored()], free_address().await, tempfile::tempdir().expect("one"));
        let mut variables = vec![
            ("OURA_WEBHOOK_URL", format!("http://{listen}/webhook")),
            ("OURA_WEBHOOK_LISTEN", listen),
            ("OURA_COLLECTIONS", "daily_readiness,daily_sleep,personal_info".to_owned()),
        ];
        variables.extend(url.clone().map(|url| ("OURA_TOKEN_STORE", url)));
        let store =
            url.map_or(files, |url| Store::in_table(own.path().to_owned(), Table::of(&url.into()).expect("a URL")));
        Self { scene, store, variables, sign_ins, told: AtomicU32::new(0), _own: own }
    }

    fn is_of(&self, person: usize) {
        self.store.write("anna", &self.sign_ins[person]).expect("it is stored");
    }

    async fn program(&self, interval: &str) -> Program {
        let mut command = self.scene.program();
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).env("OURA_POLL_INTERVAL", interval);
        Program::start(&mut command).await
    }

    /// Oura tells of the person's newest readiness, each time as of another moment.
    async fn tell_of(&self, person: usize) {
        let newest = ask(&self.scene.simulator, PERSONS[person], "daily_readiness", &last_two_weeks()).await.pop();
        let id = newest.as_ref().and_then(|document| document["id"].as_str()).expect("a document").to_owned();
        let event_time = format!("2026-11-22T12:00:{:02}Z", self.told.fetch_add(1, Ordering::Relaxed));
        let event = self.scene.simulator.event(PERSONS[person], "update", "daily_readiness", &id);
        self.scene.simulator.webhooks().send(&Event { event_time, ..event }).await.expect("an answer");
    }
}

/// What is shown of anna, where all of it is.
async fn shown(program: &Program) -> Option<Vec<Option<f64>>> {
    let page = Page::parse(&program.get("/metrics").await?);
    Some(SHOWN.iter().map(|name| page.get(&format!("{name}{{account=\"anna\"}}"))).collect())
}

/// What is shown of each person alone.
async fn profiles(hands: &Hands) -> Vec<Vec<Option<f64>>> {
    let mut profiles = vec![];
    for person in 0..PERSONS.len() {
        hands.is_of(person);
        let program = hands.program("36h").await;
        let is_all = |shown: &Vec<Option<f64>>| shown.iter().all(Option::is_some);
        profiles.push(eventually("all is shown", async || shown(&program).await.filter(is_all)).await);
        program.said("6 webhooks are subscribed").await;
        program.terminate().await;
    }
    assert!(profiles[0].iter().zip(&profiles[1]).all(|(one, other)| one != other), "{profiles:?}");
    profiles
}

async fn nothing_is_mixed(hands: &Hands, by: By) {
    let profiles = profiles(hands).await;
    let records = [alone(&hands.scene, PERSONS[0]).await, alone(&hands.scene, PERSONS[1]).await];
    hands.is_of(0);
    let program = hands.program(if by == By::Events { "36h" } else { "1s" }).await;
    eventually("alice is shown", async || shown(&program).await.filter(|shown| *shown == profiles[0])).await;
    let swaps: &[usize] = if by == By::Refusal { &[1] } else { &[1, 0, 1] };
    for person in swaps.iter().copied() {
        hands.is_of(person);
        if by == By::Refusal {
            hands.scene.simulator.authorizations().revoke_everything(PERSONS[1 - person]);
        }
        eventually("the other person is shown", async || {
            if by == By::Events {
                hands.tell_of(person).await;
            }
            let seen = shown(&program).await?;
            let is_ones =
                |profile: &Vec<Option<f64>>| seen.iter().zip(profile).all(|(seen, own)| seen.is_none() || seen == own);
            assert!(profiles.iter().any(is_ones), "{by:?}: {seen:?} is of nobody of {profiles:?}");
            let told = readiness(&program.get("/metrics/samples").await.unwrap_or_default(), "anna");
            let is_ones = |record: &Vec<(i64, f64)>| told.iter().all(|day| record.contains(day));
            assert!(records.iter().any(is_ones), "{by:?}: the record is of both: {told:?}");
            Some(()).filter(|()| seen == profiles[person] && !told.is_empty())
        })
        .await;
    }
    let (_, log) = program.terminate().await;
    assert_eq!(log.matches("account begun anew: ").count(), swaps.len(), "{by:?}: {log}");
    assert!(!log.contains("account removed"), "{by:?}: no sign-in is gone: {log}");
    assert!(!log.contains("works again") && !log.contains("oura-exporter login"), "it is no trouble: {log}");
}

#[tokio::test]
async fn an_account_that_changes_hands_never_shows_two_persons_whatever_asks_meanwhile() {
    for by in [By::Events, By::Polls, By::Refusal] {
        nothing_is_mixed(&Hands::new(None).await, by).await;
    }
}

#[tokio::test]
async fn neither_does_one_whose_tokens_are_in_a_database() {
    if !postgres_is_there("neither_does_one_whose_tokens_are_in_a_database") {
        return;
    }
    for by in [By::Events, By::Polls, By::Refusal] {
        nothing_is_mixed(&Hands::new(Some(postgres::database().await)).await, by).await;
    }
}
