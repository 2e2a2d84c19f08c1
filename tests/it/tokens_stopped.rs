//! A pair that Oura has given is stored before the process ends, whatever command is told to end, and by whichever signal.

use std::{
    fs,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use crate::common::{
    Program,
    door::{Visitor, at_the_redirect},
    eventually,
    scene::{Scene, consent},
    signal,
    signed_in::{ANNA, SignedIn},
};
use chrono::{TimeDelta, Utc};
use oura_exporter::{
    auth::Store,
    clock::Clock,
    simulator::{Fault, Portal, Scope, TokenFault},
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Child,
    time::timeout,
};

/// Longer than the exporter once waited for a renewal.
const LATE: Duration = Duration::from_millis(1_900);
/// Longer than open connections are waited for at the end.
const SLOW: Duration = Duration::from_millis(3_300);
/// Longer than any test waits.
const NEVER: Duration = Duration::from_secs(600);

/// The commands that renew a sign-in, each with what it ends with when it is told to end by that signal.
fn commands(directory: &Path) -> Vec<(Vec<String>, &'static str, Option<i32>)> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let (from, output) = ((Utc::now() - TimeDelta::days(3)).date_naive().to_string(), directory.join("out"));
    let backfill = words(&["backfill", "--from", &from, "--output", output.to_str().expect("UTF-8")]);
    vec![
        (words(&["--web.listen-address", "127.0.0.1:0"]), "TERM", Some(0)),
        (backfill, "INT", Some(1)),
        (words(&["check"]), "TERM", Some(143)),
        (words(&["check"]), "INT", Some(130)),
    ]
}

/// The command, once it has asked for a new pair.
async fn renewing(scene: &SignedIn, arguments: &[String], late: Duration) -> Child {
    scene.simulator.authorizations().set_fault(TokenFault::Delay(late));
    let mut command = scene.program();
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().expect("the program starts");
    eventually("it asks for tokens", async || (!scene.exchanges(0).is_empty()).then_some(())).await;
    child
}

async fn end(child: &Child, name: &str) {
    signal(name, &child.id().expect("it runs").to_string()).await;
}

async fn ended(child: Child) -> (Option<i32>, String) {
    let ended = timeout(Duration::from_secs(20), child.wait_with_output()).await.expect("it ends").expect("an end");
    let Output { status, stderr, .. } = ended;
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

#[tokio::test]
async fn told_to_end_during_a_renewal_every_command_stores_the_pair_first() {
    let directory = tempfile::tempdir().expect("a directory");
    for (arguments, by, code) in commands(directory.path()) {
        let scene = SignedIn::with(Clock::system(), TimeDelta::zero()).await;
        let before = scene.stored();
        let child = renewing(&scene, &arguments, LATE).await;
        end(&child, by).await;
        let (ended_with, said) = ended(child).await;
        assert_eq!(ended_with, code, "{arguments:?}: {said}");
        assert!(said.contains("waiting for Oura's answer (the renewal of account anna)"), "{arguments:?}: {said}");
        assert!(!scene.stored().is_same(&before), "{arguments:?}: the new pair is stored: {said}");
        scene.simulator.authorizations().clear_faults();
        assert!(scene.refresh().await.is_ok(), "{arguments:?}: and good");
    }
}

#[tokio::test]
async fn told_to_end_a_second_time_every_command_ends_at_once_and_says_what_may_be_lost() {
    let directory = tempfile::tempdir().expect("a directory");
    for (arguments, by, code) in commands(directory.path()).into_iter().take(3) {
        let scene = SignedIn::with(Clock::system(), TimeDelta::zero()).await;
        let mut child = renewing(&scene, &arguments, NEVER).await;
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        end(&child, by).await;
        let mut said = String::new();
        while !said.contains("waiting for Oura's answer") {
            let line = lines.next_line().await.expect("a log").unwrap_or_else(|| panic!("it ended: {said}"));
            said += &format!("{line}\n");
        }
        end(&child, by).await;
        while let Ok(Some(line)) = lines.next_line().await {
            said += &format!("{line}\n");
        }
        assert_eq!(ended(child).await.0, code, "{arguments:?}: {said}");
        let lost = "the exporter ends before Oura has answered (the renewal of account anna)";
        assert!(said.contains(lost) && said.contains("sign in again"), "{arguments:?}: {said}");
    }
}

/// How the answer of Oura's comes to the page.
#[derive(Clone, Copy, Debug)]
enum Browser {
    Waits,
    HasGone,
    IsPastedFrom,
}

/// Brings an answer to the page; returns when Oura has given the tokens.
async fn come_back(scene: &Scene, visitor: Visitor, place: &str, back: String, browser: Browser) {
    let before = scene.simulator.authorizations().exchanges().len();
    let attempt = place.trim_start_matches("sign-in?attempt=").to_owned();
    let coming = tokio::spawn(async move {
        match browser {
            Browser::IsPastedFrom => {
                visitor.post("sign-in-paste", &[("attempt", &attempt), ("address", &back)]).await;
            }
            _ => drop(visitor.get(&back).await),
        }
    });
    let given = async || (scene.simulator.authorizations().exchanges().len() > before).then_some(());
    eventually("Oura gives tokens", given).await;
    if matches!(browser, Browser::HasGone) {
        coming.abort();
    }
}

/// Oura takes its time to say whose sign-in it is.
fn is_slow_to_say(scene: &Scene) {
    scene.simulator.faults().set(Scope::collection("personal_info"), Fault::Delay(SLOW));
}

#[tokio::test]
async fn told_to_end_during_a_sign_in_on_the_page_the_exporter_stores_it_first() {
    for browser in [Browser::Waits, Browser::HasGone, Browser::IsPastedFrom] {
        let scene = Scene::of(Portal::New).await.with_free_redirect();
        let (exporter, visitor) = at_the_redirect(&scene, "127.0.0.1").await;
        let (place, url) = visitor.begin(ANNA).await;
        let back = consent(&url, "alice", "allow").await;
        is_slow_to_say(&scene);
        come_back(&scene, visitor, &place, back.clone(), browser).await;
        let (code, log) = exporter.terminate().await;
        assert_eq!(code, Some(0), "{browser:?}: {log}");
        assert!(log.contains("waiting for Oura's answer (the sign-in as anna)"), "{browser:?}: {log}");
        let stored = Store::new(scene.tokens()).read(ANNA).expect("a readable file");
        let stored = stored.unwrap_or_else(|| panic!("{browser:?}: it is stored: {log}"));
        assert!(stored.person.is_some(), "{browser:?}: with whose it is: {log}");
        assert_eq!(scene.simulator.authorizations().standing("alice"), 1, "{browser:?}");
        scene.assert_discreet(&log, &back);
    }
}

#[tokio::test]
async fn told_to_end_during_a_sign_in_of_somebody_else_the_exporter_keeps_the_old_one_and_revokes_the_new_one() {
    for browser in [Browser::Waits, Browser::HasGone, Browser::IsPastedFrom] {
        let scene = Scene::of(Portal::New).await.with_free_redirect();
        let (code, said) = scene.log_in(ANNA, async |url| consent(url, "alice", "allow").await).await;
        assert_eq!(code, Some(0), "{said}");
        let before = fs::read(scene.file(ANNA)).expect("a file");
        let (exporter, visitor) = at_the_redirect(&scene, "127.0.0.1").await;
        let (place, url) = visitor.begin(ANNA).await;
        let back = consent(&url, "bob", "allow").await;
        is_slow_to_say(&scene);
        come_back(&scene, visitor, &place, back, browser).await;
        let (_, log) = exporter.terminate().await;
        assert_eq!(fs::read(scene.file(ANNA)).expect("a file"), before, "{browser:?}: {log}");
        let standing = |person| scene.simulator.authorizations().standing(person);
        assert_eq!((standing("alice"), standing("bob")), (1, 0), "{browser:?}: {log}");
    }
}

#[tokio::test]
async fn told_to_end_during_a_login_the_command_stores_it_first() {
    for (has_browser, by, code) in [(false, "TERM", 143), (false, "INT", 130), (true, "TERM", 143)] {
        let scene = Scene::of(Portal::New).await.with_free_redirect();
        let arguments = ["--account", ANNA, "--no-browser"];
        let mut begun = scene.begin(if has_browser { &arguments[..2] } else { &arguments }).await;
        let back = consent(begun.url.as_ref().expect("Oura's page"), "alice", "allow").await;
        is_slow_to_say(&scene);
        let visit = has_browser.then(|| tokio::spawn(reqwest::get(back.clone())));
        if visit.is_none() {
            begun.paste(&back).await;
        }
        let given = async || (!scene.simulator.authorizations().exchanges().is_empty()).then_some(());
        eventually("Oura gives tokens", given).await;
        end(&begun.child, by).await;
        let (ended_with, said) = begun.end().await;
        assert_eq!(ended_with, Some(code), "{said}");
        assert!(said.contains("waiting for Oura's answer (the sign-in as anna)"), "{said}");
        assert!(Store::new(scene.tokens()).read(ANNA).expect("a readable file").is_some(), "it is stored: {said}");
        scene.assert_discreet(&said, &back);
    }
}

#[tokio::test]
async fn a_login_that_waits_for_a_person_ends_at_once_when_it_is_told_to() {
    for (arguments, by, code) in
        [(&[][..], "INT", 130), (&["--account", ANNA, "--no-browser"], "INT", 130), (&["--account", ANNA], "TERM", 143)]
    {
        let scene = Scene::of(Portal::New).await.with_free_redirect();
        let mut command = scene.program();
        command.arg("login").args(arguments).env("BROWSER", "/bin/true");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        // An end of it would be an answer.
        let _stdin = child.stdin.take();
        let mut asked = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        assert!(asked.next_line().await.expect("a text").is_some(), "it says what it waits for");
        end(&child, by).await;
        let (ended_with, said) = ended(child).await;
        assert!(ended_with == Some(code) && !said.contains("panicked"), "{arguments:?}: {ended_with:?} {said}");
        assert!(!scene.file(ANNA).exists());
    }
}

/// Why the state directory is not where it was.
#[derive(Clone, Copy, Debug)]
enum Obstacle {
    Moved,
    AFileInItsPlace,
    AnEmptyDirectoryInItsPlace,
}

impl Obstacle {
    fn put(self, directory: &Path) {
        fs::rename(directory, directory.with_extension("away")).expect("it is moved");
        match self {
            Self::Moved => {}
            Self::AFileInItsPlace => fs::write(directory, "").expect("it is written"),
            Self::AnEmptyDirectoryInItsPlace => fs::create_dir(directory).expect("it is made"),
        }
    }

    fn remove(self, directory: &Path) {
        match self {
            Self::Moved => {}
            Self::AFileInItsPlace => fs::remove_file(directory).expect("it is removed"),
            Self::AnEmptyDirectoryInItsPlace => fs::remove_dir_all(directory).expect("it is removed"),
        }
        fs::rename(directory.with_extension("away"), directory).expect("it is moved back");
    }
}

/// The exporter with a renewed pair that it could not store.
async fn unsaved(scene: &SignedIn, obstacle: Obstacle) -> Program {
    scene.simulator.authorizations().set_fault(TokenFault::Delay(Duration::from_millis(500)));
    let program = Program::start(&mut scene.program()).await;
    eventually("it asks for tokens", async || (!scene.exchanges(0).is_empty()).then_some(())).await;
    obstacle.put(scene.store.directory());
    program.said("the renewed sign-in is only in memory").await;
    scene.simulator.authorizations().clear_faults();
    program
}

#[tokio::test]
async fn what_is_only_in_memory_is_stored_at_the_end_if_it_can_be_and_said_to_be_lost_if_not() {
    for obstacle in [Obstacle::Moved, Obstacle::AFileInItsPlace, Obstacle::AnEmptyDirectoryInItsPlace] {
        let scene = SignedIn::with(Clock::system(), TimeDelta::zero()).await;
        let before = fs::read(scene.file()).expect("a file");
        let program = unsaved(&scene, obstacle).await;
        obstacle.remove(scene.store.directory());
        // As when a copy from before the renewal is put back: its refresh token is spent.
        fs::write(scene.file(), &before).expect("it is written");
        let (code, log) = program.terminate().await;
        assert_eq!(code, Some(0), "{obstacle:?}: {log}");
        assert!(log.contains("the renewed sign-in is stored now") && !log.contains("is lost"), "{obstacle:?}: {log}");
        assert_ne!(fs::read(scene.file()).expect("a file"), before, "{obstacle:?}: {log}");
        assert!(scene.refresh().await.is_ok(), "{obstacle:?}: and it is good");

        let scene = SignedIn::with(Clock::system(), TimeDelta::zero()).await;
        let (code, log) = unsaved(&scene, obstacle).await.terminate().await;
        assert_eq!(code, Some(0), "{obstacle:?}: {log}");
        let lost = "the renewed sign-in could not be stored and is lost; run: oura-exporter login --account anna";
        assert_eq!(log.matches(lost).count(), 1, "{obstacle:?}: {log}");
    }
}

#[tokio::test]
async fn what_is_only_in_memory_is_not_lost_where_somebody_else_has_signed_in_since() {
    for obstacle in [Obstacle::Moved, Obstacle::AFileInItsPlace, Obstacle::AnEmptyDirectoryInItsPlace] {
        let scene = SignedIn::with(Clock::system(), TimeDelta::zero()).await;
        let program = unsaved(&scene, obstacle).await;
        obstacle.remove(scene.store.directory());
        scene.sign_in(TimeDelta::hours(9));
        let theirs = scene.stored().signed_in_at;
        program.said("account begun anew").await;
        let (code, log) = program.terminate().await;
        assert_eq!(code, Some(0), "{obstacle:?}: {log}");
        assert!(!log.contains("is lost") && !log.contains("oura-exporter login"), "{obstacle:?}: {log}");
        assert_eq!(scene.stored().signed_in_at, theirs, "{obstacle:?}: {log}");
    }
}
