//! Tokens survive what a machine does to a process that renews them: SIGKILL at any moment, a full disk, a read-only one.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use crate::common::signed_in::{ANNA, SignedIn, ended};
use crate::common::{Page, Program, eventually, needs::own_disks_are_there};
use chrono::{TimeDelta, Utc};
use oura_exporter::{
    auth::{OAuthError, Store},
    clock::Clock,
    simulator::{Exchange, TokenFault},
};
use tokio::{task::JoinSet, time::sleep};

const KILLS: u32 = 200;
/// Kills go on in so many places at once.
const PLACES: u32 = 4;
/// The moment of a kill after the start, in milliseconds.
const MOMENTS: std::ops::RangeInclusive<u64> = 5..=600;

/// Where kills fell, as far as Oura and the file tell.
#[derive(Debug, Default)]
struct Count {
    before_any_request: u32,
    before_the_answer: u32,
    between_answer_and_sync: u32,
    after_it: u32,
}

impl Count {
    /// After these kills somebody had to sign in again.
    const fn lost(&self) -> u32 {
        self.before_the_answer + self.between_answer_and_sync
    }
}

/// Starts the program with a pair that it renews first of all, and kills it at a random moment.
async fn start_and_kill(scene: &SignedIn) {
    let authorizations = scene.simulator.authorizations();
    // Tokens that end at once are renewed before every request, so that most kills fell into one.
    authorizations.set_token_lifetime(fastrand::u64(1..3));
    if fastrand::bool() {
        authorizations.set_fault(TokenFault::Delay(Duration::from_millis(fastrand::u64(0..100))));
    }
    let mut command = scene.program();
    command.args(["--web.listen-address", "127.0.0.1:0"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program starts");
    sleep(Duration::from_millis(fastrand::u64(MOMENTS))).await;
    child.kill().await.expect("it was running");
    authorizations.clear_faults();
}

/// One kill, and what it did to the tokens; afterwards a good pair is in place.
async fn one_kill(scene: &SignedIn, count: &mut Count) {
    let before = scene.exchanges(0).len();
    start_and_kill(scene).await;
    assert_eq!(scene.store.accounts().expect("a directory"), [ANNA], "what lies beside the file is no account");
    let _readable = scene.stored();
    let tried = scene.refresh().await;
    let (seen, spent) = seen_before_the_try(scene.exchanges(before), tried.is_ok());
    assert!(seen.iter().all(|exchange| exchange.spent == 0), "no token was presented twice: {seen:?}");
    assert!(seen.iter().all(|exchange| [0, 200].contains(&exchange.status)), "{seen:?}");
    match tried {
        Ok(tokens) => {
            let place = if seen.is_empty() { &mut count.before_any_request } else { &mut count.after_it };
            *place += 1;
            scene.keep(ended(tokens, Utc::now()));
        }
        Err(OAuthError::Refused(_)) => {
            let last = seen.last().expect("a pair is lost only where one was asked for");
            assert_eq!(spent, 1, "what is stored is what the last request spent: {seen:?}");
            let was_answered = last.status == 200;
            let place = if was_answered { &mut count.between_answer_and_sync } else { &mut count.before_the_answer };
            *place += 1;
            scene.sign_in(TimeDelta::zero());
        }
        Err(error) => panic!("the simulator is well: {error}"),
    }
}

/// What the program asked for before we tried its tokens, and how often they had been presented until then. A request may
/// outlive its process and come after ours; that one is nobody's any more.
fn seen_before_the_try(mut seen: Vec<Exchange>, is_good: bool) -> (Vec<Exchange>, u32) {
    let status = if is_good { 200 } else { 400 };
    let ours = seen.iter().rposition(|exchange| exchange.status == status).expect("the try");
    let spent = seen[ours].spent;
    seen.truncate(ours);
    (seen, spent)
}

/// How many files lie beside the account's and its lock.
fn left_over(scene: &SignedIn) -> usize {
    fs::read_dir(scene.store.directory()).expect("a directory").count() - 2
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_the_file_is_whole_and_only_an_answer_that_was_not_stored_is_lost() {
    let mut places = JoinSet::new();
    for _ in 0..PLACES {
        places.spawn(async {
            let (scene, mut count) = (SignedIn::with(Clock::system(), TimeDelta::zero()).await, Count::default());
            for _ in 0..KILLS / PLACES {
                one_kill(&scene, &mut count).await;
            }
            (count, scene.exchanges(0).len(), left_over(&scene))
        });
    }
    let (mut all, mut requests, mut left) = (Count::default(), 0, 0);
    for (count, seen, files) in places.join_all().await {
        all.before_any_request += count.before_any_request;
        all.before_the_answer += count.before_the_answer;
        all.between_answer_and_sync += count.between_answer_and_sync;
        all.after_it += count.after_it;
        requests += seen;
        left += files;
    }
    let logins = all.lost();
    let text =
        format!("{KILLS} kills, {requests} requests for tokens, {logins} new logins: {all:?}; {left} leftovers\n");
    let _ = std::io::stderr().write_all(text.as_bytes());
    assert!(all.after_it > 0 && all.before_the_answer > 0, "the kills fell where they matter: {all:?}");
}

#[tokio::test]
async fn asked_to_stop_during_a_renewal_it_stores_the_answer_first() {
    let scene = SignedIn::with(Clock::system(), TimeDelta::zero()).await;
    scene.simulator.authorizations().set_fault(TokenFault::Delay(Duration::from_millis(700)));
    let before = scene.stored();
    let program = Program::start(&mut scene.program()).await;
    eventually("it asks for tokens", async || (!scene.exchanges(0).is_empty()).then_some(())).await;
    let (code, log) = program.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(!scene.stored().is_same(&before), "the new pair is stored: {log}");
    scene.simulator.authorizations().clear_faults();
    assert!(scene.refresh().await.is_ok(), "and good");
}

/// Two ways to spoil a file system. Only its mount is made read-only: the file system as a whole is not for somebody in a
/// user namespace to change, and Debian 12 refuses it.
const FULL: &str = "head -c 1M /dev/zero > \"$0/filling\"; test -s \"$0/filling\"";
const READ_ONLY: &str = "mount -o remount,bind,ro \"$0\"";

/// Starts the program with its tokens in a small file system of its own, which is mounted on the directory that it gives,
/// holds a copy of the token file, and is spoilt.
async fn start_on_a_disk(scene: &SignedIn, spoil: &str) -> (Program, PathBuf) {
    let state = scene.store.directory().with_file_name("disk");
    fs::create_dir_all(&state).expect("a place to mount");
    let script = format!(
        "mount -t tmpfs -o size=64k,mode=700 tmpfs \"$0\" && cp \"$1\" \"$0\" && shift && {{ {spoil}; }} && exec \"$@\""
    );
    let (place, seed) = (state.to_str().expect("UTF-8"), scene.file());
    let before = ["unshare", "-rm", "sh", "-c", &script, place, seed.to_str().expect("UTF-8")];
    (Program::start(&mut scene.program_in(&before, &state)).await, state)
}

/// The program where nothing can be stored: it says so with the path, asks for no tokens, and the old file is whole.
/// Ends when it runs on, together with the directory as seen from here.
async fn nothing_is_spent(scene: &SignedIn, spoil: &str) -> (Program, PathBuf) {
    let before = fs::read(scene.file()).expect("a file");
    let (program, state) = start_on_a_disk(scene, spoil).await;
    let failing = "oura_api_errors_total{account=\"anna\",collection=\"daily_sleep\",reason=\"state\"}";
    let failed = async || Page::parse(&program.get("/metrics").await?).get(failing).filter(|count| *count >= 3.0);
    eventually("polls failed", failed).await;
    let landing = program.get("/").await.expect("a page");
    assert!(landing.contains("fix that in OURA_STATE_DIR") && !landing.contains("oura-exporter login"), "{landing}");
    let seen = scene.exchanges(0);
    assert!(seen.is_empty(), "no refresh token is spent: {seen:?}");
    let pid = program.child.id().expect("it runs");
    let outside =
        Path::new("/proc").join(pid.to_string()).join("root").join(state.strip_prefix("/").expect("absolute"));
    assert_eq!(fs::read(outside.join("anna.json")).expect("a file"), before, "the old file is whole");
    assert_eq!(Store::new(&outside).accounts().expect("a directory"), [ANNA]);
    (program, outside)
}

/// The line that tells of the trouble that the sign-in has with the disk: there is one, however often it is tried, one at the
/// start that no other sign-in could be kept, and one that the record is kept in memory.
fn told_once<'a>(log: &'a str, trouble: &str) -> &'a str {
    let lines: Vec<_> = log.lines().filter(|line| line.contains("WARN") && line.contains(trouble)).collect();
    let (of_the_record, others): (Vec<_>, Vec<_>) =
        lines.into_iter().partition(|line| line.contains("kept in memory only"));
    let (of_the_start, of_the_sign_in): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|line| line.contains("sign-ins cannot be stored"));
    let counts = (of_the_record.len(), of_the_start.len(), of_the_sign_in.len());
    assert_eq!(counts, (1, 1, 1), "once each: {log}");
    of_the_sign_in[0]
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_spent_and_with_room_again_the_sign_in_is_renewed() {
    if !own_disks_are_there("on_a_full_disk_nothing_is_spent_and_with_room_again_the_sign_in_is_renewed") {
        return;
    }
    let scene = SignedIn::with(Clock::system(), TimeDelta::zero()).await;
    let (program, disk) = nothing_is_spent(&scene, FULL).await;
    fs::remove_file(disk.join("filling")).expect("it is there");
    let up = "oura_collection_up{account=\"anna\",collection=\"daily_sleep\"} 1";
    eventually("it recovers", async || program.get("/metrics").await.filter(|page| page.contains(up)).map(drop)).await;
    assert_eq!(scene.exchanges(0).len(), 1);
    let renewed = Store::new(disk).read(ANNA).expect("a readable file").expect("a file");
    assert!(!renewed.is_same(&scene.stored()), "the new pair is stored");
    let (_, log) = program.terminate().await;
    let line = told_once(&log, "No space left");
    assert!(line.contains("/disk") && line.contains("free some space"), "{line}");
    assert!(
        line.contains("WARN") && !line.contains("new-") && !line.contains("oura-exporter login"),
        "it is the disk's: {line}"
    );
}

#[tokio::test]
async fn in_a_read_only_directory_nothing_is_spent_and_the_error_names_it() {
    if !own_disks_are_there("in_a_read_only_directory_nothing_is_spent_and_the_error_names_it") {
        return;
    }
    let scene = SignedIn::with(Clock::system(), TimeDelta::zero()).await;
    let (program, _) = nothing_is_spent(&scene, READ_ONLY).await;
    let (_, log) = program.terminate().await;
    let line = told_once(&log, "Read-only file system");
    assert!(line.contains("/disk/") && line.contains("OURA_STATE_DIR"), "what to do: {line}");
}

#[tokio::test]
async fn well_before_the_end_a_directory_that_takes_nothing_is_warned_of_once_and_polls_go_on() {
    const NAME: &str = "well_before_the_end_a_directory_that_takes_nothing_is_warned_of_once_and_polls_go_on";
    if !own_disks_are_there(NAME) {
        return;
    }
    let scene = SignedIn::with(Clock::system(), TimeDelta::seconds(90)).await;
    let mut due = scene.stored();
    due.issued_at -= TimeDelta::hours(1);
    scene.keep(due);
    let (program, _) = start_on_a_disk(&scene, READ_ONLY).await;
    program.ready().await;
    let polled = async || (scene.simulator.requests().len() > 6).then_some(());
    eventually("it polls again", polled).await;
    let page = program.get("/metrics").await.expect("a page");
    assert!(page.contains("oura_up{account=\"anna\"} 1"), "{page}");
    let (_, log) = program.terminate().await;
    told_once(&log, "Read-only file system");
    assert!(scene.exchanges(0).is_empty());
}

#[tokio::test]
async fn where_the_directory_cannot_be_there_the_error_names_it() {
    let scene = SignedIn::with(Clock::system(), TimeDelta::zero()).await;
    let store = Store::new(scene.file().join("below"));
    for error in [store.write(ANNA, &scene.stored()).err(), store.lock(ANNA).err(), store.check().err()] {
        let text = error.expect("a file has nothing below it").to_string();
        assert!(text.contains("anna.json/below"), "{text}");
    }
    assert!(scene.refresh().await.is_ok(), "the old file is whole");
}

/// A file that is mounted by itself: from elsewhere, over itself, and from a file system of its own that is read-only.
const MOUNTED: [&str; 3] = [
    "cp \"$1\" \"$0.kept\" && cp \"$1\" \"$0/\" && mount --bind \"$0.kept\" \"$0/anna.json\"",
    "cp \"$1\" \"$0/\" && mount --bind \"$0/anna.json\" \"$0/anna.json\"",
    "mkdir -p \"$0.own\" && mount -t tmpfs -o size=64k tmpfs \"$0.own\" && cp \"$1\" \"$0.own/\" && cp \"$1\" \"$0/\" && \
     mount --bind \"$0.own/anna.json\" \"$0/anna.json\" && mount -o remount,bind,ro \"$0/anna.json\"",
];

#[tokio::test]
async fn where_the_token_file_is_mounted_by_itself_nothing_is_spent_and_the_error_names_it() {
    const NAME: &str = "where_the_token_file_is_mounted_by_itself_nothing_is_spent_and_the_error_names_it";
    if !own_disks_are_there(NAME) {
        return;
    }
    for mounted in MOUNTED {
        let scene = SignedIn::with(Clock::system(), TimeDelta::zero()).await;
        let (state, seed) = (scene.store.directory().with_file_name("disk"), scene.file());
        fs::create_dir_all(&state).expect("a directory");
        let script = format!("{{ {mounted}; }} && shift && exec \"$@\"");
        let (place, seed) = (state.to_str().expect("UTF-8"), seed.to_str().expect("UTF-8"));
        let before = ["unshare", "-rm", "sh", "-c", &script, place, seed];
        let program = Program::start(&mut scene.program_in(&before, &state)).await;
        let named = format!("cannot replace {place}/anna.json");
        program.said(&named).await;
        let (_, log) = program.terminate().await;
        let line = log.lines().find(|line| line.contains(&named)).expect("it was said");
        assert!(line.contains("it is mounted by itself") && line.contains("mount the directory"), "{mounted}: {line}");
        assert!(scene.exchanges(0).is_empty(), "{mounted}: no refresh token is spent");
        let mut login = scene.program_in(&before, &state);
        let output = login.args(["login", "--no-browser", "--account", ANNA]).output().await.expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains(&named), "{mounted}: before anybody consents: {said}");
        assert!(scene.refresh().await.is_ok(), "{mounted}: the pair is good");
    }
}
