//! Accounts that change hands while they are backfilled, or between two runs: no run has the days of two persons.

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use oura_exporter::simulator::{Fault, Portal, Scope};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use super::assert_same;
use crate::{
    common::{
        samples::{Samples, files},
        scene::{Scene, consent},
    },
    owner::token,
    person::log_in_all_the_same,
    receiving::{days_ago, receiver::Receiver},
};

/// The collection that is asked for.
const READINESS: &str = "daily_readiness";
/// What is said before a month is asked for again.
const AGAIN: &str = "trying again in";
const CHANGED: &str = "account anna was signed out or changed hands during the backfill";
/// How slow an answer is, so that there are months to come when the first one is done.
const SLOW: Fault = Fault::Delay(Duration::from_millis(300));

/// How anna comes to be another person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Replaced,
    SignedOutAndIn,
    /// The file of her token by hand.
    Token,
    /// She is the same, and has signed in again.
    None,
}

async fn log_in(scene: &Scene, person: &str) {
    let (code, said) = scene.log_in("anna", async |url| consent(url, person, "allow").await).await;
    assert_eq!(code, Some(0), "{said}");
}

fn token_file(scene: &Scene) -> PathBuf {
    scene.tokens().with_extension("token")
}

impl Change {
    /// Has anna be alice.
    async fn begin(self, scene: &Scene) {
        match self {
            Self::Token => fs::write(token_file(scene), token(scene, "alice")).expect("it is written"),
            _ => log_in(scene, "alice").await,
        }
    }

    async fn happen(self, scene: &Scene) {
        match self {
            Self::Replaced => {
                let (code, said) = log_in_all_the_same(scene, "anna", "bob").await;
                assert_eq!(code, Some(0), "{said}");
            }
            Self::SignedOutAndIn => {
                let (code, said) = scene.run(&["logout", "--account", "anna"]).await;
                assert_eq!(code, Some(0), "{said}");
                log_in(scene, "bob").await;
            }
            Self::Token => fs::write(token_file(scene), token(scene, "bob")).expect("it is written"),
            Self::None => log_in(scene, "alice").await,
        }
    }

    /// A backfill of many months.
    fn backfill(self, scene: &Scene, destination: &[&str]) -> Command {
        let (first, last) = days_ago(300, 10);
        let mut command = scene.program();
        if self == Self::Token {
            command.env("OURA_ACCESS_TOKEN_FILE", token_file(scene)).env("OURA_ACCOUNT", "anna");
        }
        command.env("OURA_COLLECTIONS", READINESS).stdin(Stdio::null()).stderr(Stdio::piped());
        command.args(["backfill", "--from", &first.to_string(), "--to", &last.to_string()]).args(destination);
        command
    }
}

/// Waits until it has said that; what it has said until then.
async fn until_said(child: &mut Child, words: &str) -> (String, BufReader<tokio::process::ChildStderr>) {
    let mut err = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut log = String::new();
    while !log.contains(words) {
        assert!(err.read_line(&mut log).await.expect("a log") > 0, "not said: {words}: {log}");
    }
    (log, err)
}

#[tokio::test]
async fn a_backfill_whose_account_becomes_another_persons_ends_and_the_same_again_is_of_that_person_alone() {
    for change in [Change::Replaced, Change::SignedOutAndIn, Change::Token] {
        let scene = Scene::of(Portal::New).await;
        change.begin(&scene).await;
        let (directory, other) = (scene.tokens().with_extension("files"), scene.tokens().with_extension("other"));
        let arguments = ["--output", directory.to_str().expect("a path")];
        let faults = scene.simulator.faults();
        faults.set(Scope::collection(READINESS), SLOW);
        let mut child = change.backfill(&scene, &arguments).spawn().expect("it starts");
        let (mut log, mut err) = until_said(&mut child, ": done;").await;
        faults.set(Scope::collection(READINESS), Fault::Status(503));
        while !log.contains(AGAIN) {
            assert!(err.read_line(&mut log).await.expect("a log") > 0, "it is over before anything changed: {log}");
        }
        change.happen(&scene).await;
        faults.clear();
        while err.read_line(&mut log).await.expect("a log") > 0 {}
        assert_eq!(child.wait().await.expect("an end").code(), Some(1), "{change:?}: {log}");
        assert!(log.contains(CHANGED) && !log.contains("continue with --from"), "{change:?}: {log}");
        let om = files(&directory).into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "om"));
        assert_eq!(om.count(), 0, "{change:?}: nothing of the earlier person stays: {log}");
        // The same again, and once where nothing was.
        for directory in [&directory, &other] {
            let arguments = ["--output", directory.to_str().expect("a path")];
            let output = change.backfill(&scene, &arguments).output().await.expect("it starts");
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let (again, alone) = (Samples::of_files(&directory), Samples::of_files(&other));
        assert!(alone.len() > 200, "{change:?}: {}", alone.len());
        assert_same(&again, &alone, "begun again");
    }
}

#[tokio::test]
async fn a_backfill_that_was_cut_off_is_continued_for_the_same_person_only() {
    for change in [Change::Replaced, Change::SignedOutAndIn, Change::None] {
        let scene = Scene::of(Portal::New).await;
        change.begin(&scene).await;
        let receiver = Receiver::start().await;
        let url = receiver.url();
        scene.simulator.faults().set(Scope::collection(READINESS), SLOW);
        let mut child = change.backfill(&scene, &["--remote-write", &url]).spawn().expect("it starts");
        until_said(&mut child, ": done;").await;
        child.kill().await.expect("it was running");
        scene.simulator.faults().clear();
        let progress = || fs::read_dir(scene.tokens().join("progress")).expect("a directory").count();
        assert_eq!(progress(), 1, "{change:?}");
        change.happen(&scene).await;
        assert_eq!(progress(), usize::from(change == Change::None), "{change:?}");
        let output = change.backfill(&scene, &["--remote-write", &url]).output().await.expect("it starts");
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{log}");
        assert_eq!(log.contains("continuing there"), change == Change::None, "{change:?}: {log}");
    }
}
