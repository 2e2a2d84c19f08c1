//! What lies among the token files: copies, strays, files that are damaged, or open to others.

use std::{
    fs::{self, Permissions},
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use crate::common::signed_in::{ANNA, SignedIn, ended};
use crate::common::{Page, Program, eventually};
use chrono::{TimeDelta, Utc};
use oura_exporter::{auth::Tokens, clock::Clock, simulator::Portal};

impl SignedIn {
    /// A file beside anna's, as somebody or something calls it.
    fn beside(&self, name: &str) -> PathBuf {
        self.store.directory().join(name)
    }

    /// How often the program asked for tokens; none was presented twice.
    fn renewals(&self) -> usize {
        let exchanges = self.exchanges(0);
        assert!(exchanges.iter().all(|exchange| exchange.spent == 0 && exchange.status == 200), "{exchanges:?}");
        exchanges.len()
    }

    /// The program runs, renews, and polls some more; its page and its log.
    async fn run(&self) -> (Page, String) {
        let program = Program::start(&mut self.program()).await;
        program.ready().await;
        let before = self.simulator.requests().len();
        let polled = async || (self.simulator.requests().len() > before + 6).then_some(());
        eventually("it polls again", polled).await;
        let page = Page::parse(&program.get("/metrics").await.expect("a page"));
        (page, program.terminate().await.1)
    }
}

#[tokio::test]
async fn however_long_a_pair_is_what_was_stored_can_be_read_again() {
    let scene = SignedIn::with(Clock::system(), TimeDelta::hours(2)).await;
    let long = |unit: &str| unit.repeat(60_000);
    for (refresh, scope) in
        [("r".to_owned(), "a ".repeat(7_600)), (long("r"), "daily".to_owned()), (long("\u{1}"), long("\""))]
    {
        let mut tokens = scene.stored();
        tokens.refresh = Some(refresh.into());
        tokens.scopes = Some(scope.split(' ').map(str::to_owned).collect());
        scene.store.write(ANNA, &tokens).expect("it is stored");
        let read = scene.store.read(ANNA).expect("it can be read").expect("a file");
        assert_eq!(read.scopes, tokens.scopes);
    }
}

/// The accounts on the page.
fn accounts(page: &Page) -> Vec<&str> {
    page.starting_with("oura_up").into_iter().filter_map(|series| series.split('"').nth(1)).collect()
}

/// What is warned of, but for the test's own interval.
fn warnings(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains("WARN") && !line.contains("OURA_POLL_INTERVAL")).collect()
}

fn lines<'a>(log: &'a str, what: &str) -> Vec<&'a str> {
    log.lines().filter(|line| line.contains(what)).collect()
}

#[tokio::test]
async fn a_copy_of_a_token_file_is_named_and_does_not_spend_its_refresh_token() {
    let scene = SignedIn::with(Clock::system(), TimeDelta::zero()).await;
    let copies = ["anna-backup.json", "anna.sync-conflict-20261125-081500-ABCDEFG.json", "Anna.json"];
    for name in copies {
        fs::copy(scene.file(), scene.beside(name)).expect("it is copied");
    }
    let (page, log) = scene.run().await;
    assert_eq!(accounts(&page), [ANNA], "{log}");
    assert_eq!(page.get("oura_up{account=\"anna\"}"), Some(1.0));
    assert_eq!(scene.renewals(), 1, "the real sign-in is renewed, once");
    for name in copies {
        let said = lines(&log, &format!("/{name} is not an account"));
        assert_eq!(said.len(), 1, "{name}: {log}");
        let account = name.trim_end_matches(".json");
        for part in ["WARN", "/anna.json holds the same refresh token", &format!("login --account {account}")] {
            assert!(said[0].contains(part), "{part}: {}", said[0]);
        }
    }
    let (page, log) = scene.run().await;
    assert_eq!(accounts(&page), [ANNA], "{log}");
    let said = lines(&log, "anna-backup.json is not an account: it holds the sign-in of account anna");
    assert_eq!(said.len(), 1, "an older copy holds another token: {log}");
}

#[tokio::test]
async fn of_two_accounts_with_one_refresh_token_both_are_named_and_one_goes_on() {
    let scene = SignedIn::with(Clock::system(), TimeDelta::zero()).await;
    for other in ["ben", "zoe.2"] {
        scene.store.write(other, &scene.stored()).expect("it is written");
    }
    let (page, log) = scene.run().await;
    assert_eq!((accounts(&page), scene.renewals()), (vec![ANNA], 1), "{log}");
    for other in ["ben", "zoe.2"] {
        let said = lines(&log, &format!("/{other}.json is not an account"));
        assert!(said.len() == 1 && said[0].contains("/anna.json holds the same refresh token"), "{log}");
    }
    fs::remove_file(scene.beside("zoe.2.json")).expect("it is there");
    let unlike = Tokens { refresh: Some("another".to_owned().into()), ..scene.stored() };
    scene.store.write("ben", &unlike).expect("it is written");
    assert_eq!(scene.store.accounts().expect("a directory"), [ANNA, "ben"], "a token of its own is an account");
    let bare = Tokens { refresh: None, ..scene.stored() };
    for other in ["eve", "ida"] {
        scene.store.write(other, &bare).expect("it is written");
    }
    assert_eq!(scene.store.accounts().expect("a directory"), [ANNA, "ben", "eve", "ida"], "no token is no common one");
}

#[tokio::test]
async fn what_is_no_account_is_said_once_and_ignored() {
    let scene = SignedIn::with(Clock::system(), TimeDelta::hours(9)).await;
    fs::create_dir(scene.beside("x.json")).expect("a directory");
    fs::write(scene.beside("package.json"), "{\"name\": \"x\"}\n").expect("it is written");
    fs::write(scene.beside("list.json"), "[1, 2]").expect("it is written");
    fs::write(scene.beside("large.json"), " ".repeat(2_000_000)).expect("it is written");
    let own = |name: &str| fs::copy(scene.file(), scene.beside(name)).expect("it is copied");
    let names = ["anna (conflicted copy).json", "-anna.json", "anna\u{202e}\n.json", "eva@example.com.json"];
    for name in names {
        own(name);
    }
    std::os::unix::fs::symlink("nowhere", scene.beside("link.json")).expect("a link");
    fs::write(scene.beside("anna.json.bak"), "").expect("it is written");
    let (page, log) = scene.run().await;
    assert_eq!(accounts(&page), [ANNA], "{log}");
    let strays =
        ["/x.json", "/package.json", "/list.json", "/large.json", "/anna (conflicted copy).json", "/-anna.json"];
    for stray in strays.into_iter().chain(["/anna .json", "/[removed]", "/link.json"]) {
        let said = lines(&log, &format!("{stray} is not an account: "));
        assert!(said.len() == 1 && (said[0].contains("move it elsewhere") || stray == "/link.json"), "{stray}: {log}");
    }
    assert!(!log.contains("example.com") && !log.contains('\u{202e}') && !log.contains(".bak"), "{log}");
    let output = scene.program().arg("accounts").output().await.expect("the program starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("/x.json is not an account") && said.contains("\nanna "),
        "{said}"
    );
}

#[tokio::test]
async fn a_file_that_is_anothers_while_it_runs_is_not_taken() {
    let scene = SignedIn::with(Clock::system(), TimeDelta::hours(9)).await;
    scene.store.write("ben", &scene.stored()).expect("it is written");
    let error = {
        fs::copy(scene.beside("ben.json"), scene.file()).expect("it is copied");
        scene.store.read(ANNA).expect_err("it is ben's").to_string()
    };
    assert!(error.contains("/anna.json: it holds the sign-in of account ben"), "{error}");
}

/// Texts that are no whole token file.
fn damaged(whole: &str) -> [String; 3] {
    [whole[..whole.len() / 2].to_owned(), String::new(), whole.replace("\"version\": 1", "\"version\": 7")]
}

#[tokio::test]
async fn a_file_that_cannot_be_used_at_the_start_is_one_line_and_the_state_directorys_fault() {
    for number in 0..3 {
        let scene = SignedIn::with(Clock::system(), TimeDelta::hours(9)).await;
        let whole = fs::read_to_string(scene.file()).expect("a file");
        fs::write(scene.file(), &damaged(&whole)[number]).expect("it is written");
        let program = Program::start(&mut scene.program()).await;
        let errors = "oura_api_errors_total{account=\"anna\",collection=\"daily_sleep\",reason=\"state\"}";
        let failed = async || Page::parse(&program.get("/metrics").await?).get(errors).filter(|count| *count >= 3.0);
        eventually("it fails again and again", failed).await;
        let page = Page::parse(&program.get("/metrics").await.expect("a page"));
        assert_eq!(page.get("oura_up{account=\"anna\"}"), Some(0.0), "{}", page.text);
        assert!(!page.text.contains("reason=\"token\""), "it is not Oura's: {}", page.text);
        fs::write(scene.file(), whole).expect("it is written");
        let up = async || program.get("/metrics").await.filter(|page| page.contains("oura_up{account=\"anna\"} 1"));
        eventually("it works again", up).await;
        let (_, log) = program.terminate().await;
        assert_eq!(lines(&log, "cannot use").len(), 1, "{log}");
        assert_eq!(lines(&log, "its tokens can be read again").len(), 1, "{log}");
        assert_eq!(warnings(&log).len(), 1, "{log}");
        assert!(!log.contains("all collections work again"), "the end is one line, too: {log}");
    }
}

#[tokio::test]
async fn a_file_that_is_damaged_while_it_runs_is_one_line_and_the_token_at_hand_works_on() {
    for number in 0..3 {
        let scene = SignedIn::with(Clock::system(), TimeDelta::hours(9)).await;
        let whole = fs::read_to_string(scene.file()).expect("a file");
        let program = Program::start(&mut scene.program()).await;
        program.ready().await;
        fs::write(scene.file(), &damaged(&whole)[number]).expect("it is written");
        let before = scene.simulator.requests().len();
        let polled = async || (scene.simulator.requests().len() > before + 9).then_some(());
        eventually("it polls on", polled).await;
        let page = program.get("/metrics").await.expect("a page");
        assert!(page.contains("oura_up{account=\"anna\"} 1"), "{page}");
        let (_, log) = program.terminate().await;
        assert_eq!((lines(&log, "cannot use").len(), warnings(&log).len()), (1, 1), "{log}");
        assert!(scene.exchanges(0).is_empty());
    }
}

#[tokio::test]
async fn a_token_file_that_is_open_to_others_or_somebody_elses_is_named() {
    for (mode, said) in [(0o644, "(mode 644)"), (0o640, "(mode 640)"), (0o602, "(mode 602)")] {
        let scene = SignedIn::with(Clock::system(), TimeDelta::hours(9)).await;
        fs::set_permissions(scene.file(), Permissions::from_mode(mode)).expect("it is ours");
        let warnings = scene.store.list().expect("a directory").warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(said) && warnings[0].contains("chmod 600"), "{warnings:?}");
        fs::set_permissions(scene.file(), Permissions::from_mode(0o600)).expect("it is ours");
        assert!(scene.store.list().expect("a directory").warnings.is_empty());
        if chown(scene.file(), Some(4711), None).is_err() {
            let text =
                "a_token_file_that_is_open_to_others_or_somebody_elses_is_named: only root can give files away\n";
            let _ = std::io::stderr().write_all(text.as_bytes());
            continue;
        }
        let (page, log) = scene.run().await;
        let named = lines(&log, "/anna.json belongs to user 4711");
        assert!(named.len() == 1 && page.get("oura_up{account=\"anna\"}") == Some(1.0), "{log}");
    }
}

fn copy(files: &[PathBuf], to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for file in files {
        fs::copy(file, to.join(file.file_name().expect("a name"))).expect("it is copied");
    }
}

/// How a copy of the state directory comes to its place.
#[derive(Clone, Copy, Debug)]
enum PutBack {
    AtOnce,
    FileByFile,
    WithOthers,
}

impl PutBack {
    async fn put(self, away: &Path, there: &Path, program: &Program) {
        let files = fs::read_dir(away).expect("a directory").map(|entry| entry.expect("an entry").path());
        let mut files: Vec<_> = files.filter(|path| path.is_file()).collect();
        files.sort();
        match self {
            Self::FileByFile => {
                // The directory is there without the accounts, and then with one of them, as a restore makes it.
                let (last, first) = files.split_last().expect("files");
                copy(first, there);
                program.said("is no longer the directory").await;
                copy(std::slice::from_ref(last), there);
            }
            _ => {
                let beside = there.with_extension("copy");
                copy(&files, &beside);
                if matches!(self, Self::WithOthers) {
                    fs::create_dir(beside.join("lost+found")).expect("a directory");
                    fs::write(beside.join("notes.txt"), "of somebody").expect("it is written");
                }
                fs::rename(&beside, there).expect("it is moved");
            }
        }
    }
}

#[tokio::test]
async fn a_copy_of_the_state_directory_that_is_put_back_in_its_place_is_taken_for_it() {
    for way in [PutBack::AtOnce, PutBack::FileByFile, PutBack::WithOthers] {
        let scene = SignedIn::with(Clock::system(), TimeDelta::hours(9)).await;
        let granted = scene.simulator.authorizations().grant(Portal::New, "bob", &[]);
        let refresh = Some(granted.refresh_token.into());
        let of_ben = Tokens { access: granted.access_token.into(), refresh, ..scene.stored() };
        scene.store.write("ben", &of_ben).expect("it is stored");
        let program = Program::start(&mut scene.program()).await;
        program.ready().await;
        let (there, away) = (scene.store.directory(), scene.store.directory().with_extension("away"));
        fs::rename(there, &away).expect("it is moved");
        way.put(&away, there, &program).await;
        let before = scene.stored();
        scene.keep(ended(before.clone(), Utc::now()));
        let renewed = async || (!scene.stored().is_same(&before)).then_some(());
        eventually("the pair in the copy is renewed", renewed).await;
        assert_eq!(scene.renewals(), 1, "{way:?}");
        let page = Page::parse(&program.get("/metrics").await.expect("a page"));
        assert_eq!(accounts(&page), [ANNA, "ben"], "{way:?}: nobody has signed out");
        let (_, log) = program.terminate().await;
        assert!(!log.contains("account removed"), "{way:?}: {log}");
    }
}
