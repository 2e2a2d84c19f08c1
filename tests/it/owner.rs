//! A token by hand that becomes another person's, while the exporter runs and over a restart: nothing of the one before stays in
//! the record.

use std::fs;

use crate::{
    common::{
        Program, eventually,
        needs::own_disks_are_there,
        scene::{Scene, mode},
    },
    person::{readiness, until_all_is},
};
use oura_exporter::simulator::Portal;
use tokio::process::Command;

/// The token of that person.
pub(crate) fn token(scene: &Scene, person: &str) -> String {
    let people = scene.simulator.people();
    people.iter().find(|wearer| wearer.name == person).expect("one of them").token.clone()
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
