//! A token by hand that becomes another person's, while the exporter runs and over a restart: nothing of the one before stays in
//! the record.

use std::{fs, time::Duration};

use crate::{
    common::{
        Page, Program, eventually,
        needs::own_disks_are_there,
        scene::{Scene, mode},
    },
    person::{readiness, until_all_is},
};
use oura_exporter::simulator::{Fault, Portal, Scope};
use tokio::process::Command;

/// The token of that person.
pub(crate) fn token(scene: &Scene, person: &str) -> String {
    let people = scene.simulator.people();
    people.iter().find(|wearer| wearer.name == person).expect("one of them").token.clone()
}

/// The age of that person, as Oura says it.
async fn age_of(scene: &Scene, person: &str) -> f64 {
    let url = format!("{}/v2/usercollection/personal_info", scene.simulator.url());
    let request = reqwest::Client::new().get(url).bearer_auth(token(scene, person)).header("user-agent", "a test");
    let info: serde_json::Value = request.send().await.expect("an answer").json().await.expect("JSON");
    info["age"].as_f64().expect("an age")
}

const ANOTHER: &str = "its token belongs to a different person than before";

#[tokio::test]
async fn a_token_file_that_becomes_another_persons_begins_the_record_again() {
    for [before, after] in [["alice", "bob"], ["bob", "alice"]] {
        let scene = Scene::of(Portal::New).await;
        let file = scene.tokens().with_extension("token");
        fs::write(&file, token(&scene, before)).expect("it is written");
        let mut command = scene.program();
        let exporter = Program::start(command.env("OURA_ACCESS_TOKEN_FILE", &file).env("OURA_ACCOUNT", "anna")).await;
        until_all_is(&exporter, &scene, "anna", before).await;
        fs::write(&file, token(&scene, after)).expect("it is written");
        exporter.said(ANOTHER).await;
        until_all_is(&exporter, &scene, "anna", after).await;
        let (_, log) = exporter.terminate().await;
        assert_eq!(log.matches(ANOTHER).count(), 1, "{log}");
    }
}

/// What is asked with the token of before is answered after the change.
#[tokio::test]
async fn what_is_under_way_while_a_token_becomes_another_persons_counts_for_nobody() {
    for late in ["personal_info", "daily_readiness", "sleep"] {
        let scene = Scene::of(Portal::New).await;
        let file = scene.tokens().with_extension("token");
        fs::write(&file, token(&scene, "alice")).expect("it is written");
        let is_late = Fault::Times(1, Box::new(Fault::Delay(Duration::from_secs(6))));
        scene.simulator.faults().set(Scope::person("alice").and_collection(late), is_late);
        let mut command = scene.program();
        let exporter = Program::start(command.env("OURA_ACCESS_TOKEN_FILE", &file).env("OURA_ACCOUNT", "anna")).await;
        let is_shown = |text: &String| text.contains("oura_sleep_score{account=\"anna\"}");
        eventually("something of alice's", async || exporter.get("/metrics").await.filter(is_shown)).await;
        fs::write(&file, token(&scene, "bob")).expect("it is written");
        until_all_is(&exporter, &scene, "anna", "bob").await;
        exporter.ready().await;
        let age = |page: &Page| page.get("oura_personal_age_years{account=\"anna\"}");
        let bobs = Some(age_of(&scene, "bob").await);
        let page = async || Some(age(&Page::parse(&exporter.get("/metrics").await?))).filter(|age| *age == bobs);
        eventually(&format!("bob's age beside his readiness, with {late} late"), page).await;
        until_all_is(&exporter, &scene, "anna", "bob").await;
        exporter.terminate().await;
    }
}

#[tokio::test]
async fn a_token_that_is_another_persons_after_a_restart_begins_the_record_again_and_the_same_persons_does_not() {
    for [before, after] in [["alice", "bob"], ["bob", "alice"], ["alice", "alice"]] {
        let scene = Scene::of(Portal::New).await;
        let mut told = Vec::new();
        for person in [before, after] {
            // Another token each time: by it alone nobody is told.
            let token = scene.simulator.authorizations().grant(Portal::New, person, &[]).access_token;
            let mut command = scene.program();
            let exporter = Program::start(command.env("OURA_ACCESS_TOKEN", token).env("OURA_ACCOUNT", "anna")).await;
            until_all_is(&exporter, &scene, "anna", person).await;
            let samples = exporter.get("/metrics/samples?learnt=14d").await.expect("samples");
            told.push(readiness(&samples, "anna"));
            let (_, log) = exporter.terminate().await;
            let is_another = before != after && told.len() == 2;
            assert_eq!(log.contains(ANOTHER), is_another, "{before} {after}: {log}");
        }
        assert_eq!(told[0] == told[1], before == after, "{before} {after}");
        let owner = scene.tokens().join("samples/anna.owner");
        let text = eventually("it is kept", async || fs::read_to_string(&owner).ok()).await;
        assert_eq!(mode(&owner), 0o600, "and nobody else reads it: {}", text.len());
    }
}

#[tokio::test]
async fn where_the_record_before_cannot_be_removed_the_next_persons_is_kept_in_memory() {
    if !own_disks_are_there("where_the_record_before_cannot_be_removed_the_next_persons_is_kept_in_memory") {
        return;
    }
    for ([before, after], held) in
        [(["alice", "bob"], "anna.journal"), (["bob", "alice"], "anna.journal"), (["alice", "bob"], "anna.backfill")]
    {
        let scene = Scene::of(Portal::New).await;
        let file = scene.tokens().with_extension("token");
        fs::write(&file, token(&scene, before)).expect("it is written");
        let equipped = |command: &mut Command| {
            command.env("OURA_ACCESS_TOKEN_FILE", &file).env("OURA_ACCOUNT", "anna");
            command.env("OURA_COLLECTIONS", "daily_readiness,personal_info");
        };
        let mut command = scene.program();
        equipped(&mut command);
        let exporter = Program::start(&mut command).await;
        until_all_is(&exporter, &scene, "anna", before).await;
        exporter.terminate().await;
        // A mount in the file's place: nobody can remove it.
        let held = scene.tokens().join("samples").join(held);
        fs::File::options().create(true).append(true).open(&held).expect("it is there");
        let mut command = Command::new("unshare");
        command.env_clear().envs(scene.variables()).env("PATH", env!("PATH")).kill_on_drop(true);
        command.args(["-rm", "sh", "-c", "mount --bind \"$0\" \"$0\" && exec \"$@\""]);
        command.arg(&held).arg(env!("CARGO_BIN_EXE_oura-exporter"));
        equipped(&mut command);
        let exporter = Program::start(&mut command).await;
        until_all_is(&exporter, &scene, "anna", before).await;
        fs::write(&file, token(&scene, after)).expect("it is written");
        exporter.said(ANOTHER).await;
        until_all_is(&exporter, &scene, "anna", after).await;
        let (_, log) = exporter.terminate().await;
        assert!(log.contains("the record is kept in memory only") && log.contains("cannot be removed"), "{log}");
        // Without the mount it is found at the next start that the record is not theirs.
        let mut command = scene.program();
        equipped(&mut command);
        let exporter = Program::start(&mut command).await;
        exporter.said(ANOTHER).await;
        until_all_is(&exporter, &scene, "anna", after).await;
        exporter.terminate().await;
    }
}
