//! Accounts that come and go while the exporter runs: signed in and out elsewhere, and tokens in a file that is replaced.

use std::{fs, path::Path, process::Stdio, time::Duration};

use crate::common::{
    Page, Program,
    door::Visitor,
    eventually,
    scene::{Scene, consent},
    signal, simulator_at,
};
use oura_exporter::simulator::{Portal, Simulator};
use tokio::{process::Command, time::timeout};

/// How soon a change is to be seen.
const SOON: Duration = Duration::from_secs(10);

/// Signs `person` in as `account`, by the command.
async fn log_in(scene: &Scene, account: &str, person: &str) {
    let (code, said) = scene.log_in(account, async |url| consent(url, person, "allow").await).await;
    assert_eq!(code, Some(0), "{said}");
}

/// The program with an interval so long that nothing is asked a second time by itself.
fn slow(scene: &Scene) -> Command {
    let mut command = scene.program();
    command.env("OURA_POLL_INTERVAL", "36h").env("OURA_COLLECTIONS", "daily_sleep,daily_readiness");
    command
}

/// Waits, not longer than it may take, until the exporter's page is as `condition` wants it.
async fn soon(what: &str, program: &Program, condition: impl Fn(&Page) -> bool) -> Page {
    let page = async || Some(Page::parse(&program.get("/metrics").await?)).filter(|page| condition(page));
    timeout(SOON, eventually(what, page)).await.unwrap_or_else(|_| panic!("not in {SOON:?}: {what}"))
}

fn is_up(account: &str) -> impl Fn(&Page) -> bool {
    let series = format!("oura_up{{account=\"{account}\"}}");
    move |page| page.get(&series) == Some(1.0)
}

/// The accounts on the page.
fn accounts(page: &Page) -> Vec<&str> {
    page.starting_with("oura_up").into_iter().filter_map(|series| series.split('"').nth(1)).collect()
}

#[tokio::test]
async fn whoever_signs_in_while_it_runs_comes_to_the_page_and_whoever_signs_out_leaves_nothing_there() {
    let scene = Scene::of(Portal::New).await;
    log_in(&scene, "anna", "alice").await;
    let exporter = Program::start(&mut slow(&scene)).await;
    exporter.ready().await;
    for (account, person) in [("ben", "bob"), ("0.first", "bob"), ("ben", "bob")] {
        log_in(&scene, account, person).await;
        let page = soon("the new account is there", &exporter, is_up(account)).await;
        assert!(is_up("anna")(&page), "the other one is as before: {}", page.text);
        let landing = exporter.get("/").await.expect("a page");
        assert!(landing.contains(&format!("Account {account}")), "{landing}");
        let (code, said) = scene.run(&["logout", "--account", account]).await;
        assert_eq!(code, Some(0), "{said}");
        let label = format!("\"{account}\"");
        let page = soon("it is gone", &exporter, |page| !page.text.contains(&label)).await;
        assert_eq!(accounts(&page), ["anna"]);
    }
    let (code, log) = exporter.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(log.matches("account added").count(), 3, "{log}");
}

#[tokio::test]
async fn without_anybody_it_serves_and_says_so_and_goes_on_with_the_first_who_signs_in() {
    let scene = Scene::of(Portal::New).await;
    let exporter = Program::start(&mut slow(&scene)).await;
    let port = exporter.address.rsplit(':').next().expect("a port").to_owned();
    let ready = async || reqwest::get(format!("http://{}/-/ready", exporter.address)).await.expect("an answer");
    let nobody = format!("nobody has signed in; open http://localhost:{port}/\n");
    let assert_nobody = async || {
        let answer = ready().await;
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.text().await.expect("words"), nobody);
    };
    assert_nobody().await;
    assert_eq!(exporter.get("/-/healthy").await.as_deref(), Some("healthy\n"));
    let page = Page::parse(&exporter.get("/metrics").await.expect("a page"));
    assert!(accounts(&page).is_empty() && page.text.contains("oura_exporter_build_info"), "{}", page.text);
    let (code, said) = scene.run(&["healthcheck", "--web.listen-address", &exporter.address]).await;
    assert!(code == Some(1) && said.contains("nobody has signed in; open http://"), "{said}");

    log_in(&scene, "anna", "alice").await;
    soon("the first account is there", &exporter, is_up("anna")).await;
    exporter.ready().await;
    scene.run(&["logout", "--account", "anna"]).await;
    soon("nobody is there any more", &exporter, |page| accounts(page).is_empty()).await;
    assert_nobody().await;
    exporter.terminate().await;
}

#[tokio::test]
async fn without_anybody_and_any_way_to_sign_in_it_names_what_is_missing() {
    let scene = Scene::of(Portal::New).await;
    for (without, said) in [("OURA_CLIENT_ID", "no account: "), ("OURA_STATE_DIR", "set OURA_STATE_DIR")] {
        let mut command = scene.program();
        command.env_remove(without);
        if without == "OURA_CLIENT_ID" {
            command.env_remove("OURA_CLIENT_SECRET").env("OURA_WEB_SIGN_IN", "false");
        }
        let output = command.output().await.expect("the program starts");
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{without}: {words}");
        assert!(words.contains(said), "{without}: {words}");
    }
}

#[tokio::test]
async fn a_new_sign_in_of_an_account_is_in_use_at_once_although_its_next_poll_is_far() {
    let scene = Scene::of(Portal::New).await;
    log_in(&scene, "anna", "alice").await;
    scene.simulator.authorizations().revoke_everything("alice");
    let exporter = Program::start(&mut slow(&scene)).await;
    let refused = |page: &Page| page.get("oura_account_authorized{account=\"anna\"}") == Some(0.0);
    soon("Oura refuses", &exporter, refused).await;
    log_in(&scene, "anna", "alice").await;
    soon("it works again", &exporter, is_up("anna")).await;
    let (_, log) = exporter.terminate().await;
    assert!(!log.contains("leaves the page"), "it was never gone: {log}");
}

#[tokio::test]
async fn the_hang_up_signal_does_not_end_it() {
    let scene = Scene::of(Portal::New).await;
    log_in(&scene, "anna", "alice").await;
    let exporter = Program::start(&mut slow(&scene)).await;
    exporter.ready().await;
    let pid = exporter.child.id().expect("it runs").to_string();
    log_in(&scene, "ben", "bob").await;
    for _ in 0..3 {
        signal("HUP", &pid).await;
    }
    soon("ben is there", &exporter, is_up("ben")).await;
    let (code, log) = exporter.terminate().await;
    assert!(code == Some(0) && log.contains("looking at the token files, as the signal HUP asks for"), "{log}");
}

#[tokio::test]
async fn what_comes_to_the_directory_while_it_runs_and_is_no_account_is_named_once() {
    let scene = Scene::of(Portal::New).await;
    log_in(&scene, "anna", "alice").await;
    let exporter = Program::start(scene.program().env("OURA_POLL_INTERVAL", "1s")).await;
    exporter.ready().await;
    fs::copy(scene.file("anna"), scene.file("ben")).expect("it is copied");
    fs::write(scene.file("package"), "{}").expect("it is written");
    fs::create_dir(scene.file("folder")).expect("a directory");
    // Whoever comes after them has been noticed with or after them.
    log_in(&scene, "zoe", "bob").await;
    let page = soon("zoe is there", &exporter, is_up("zoe")).await;
    assert_eq!(accounts(&page), ["anna", "zoe"]);
    let (_, log) = exporter.terminate().await;
    for (name, why) in
        [("ben", "holds the same refresh token"), ("package", "it holds no tokens"), ("folder", "it is not a file")]
    {
        let named = log.lines().filter(|line| line.contains(&format!("/{name}.json is not an account")));
        let named: Vec<_> = named.collect();
        assert!(named.len() == 1 && named[0].contains(why), "{name}: {log}");
    }
}

/// What takes the state directory away, and what brings it back.
type Away = (fn(&Path, &Path), fn(&Path, &Path));

fn moved(there: &Path, away: &Path) {
    fs::rename(there, away).expect("it is moved");
}

fn moved_back(there: &Path, away: &Path) {
    fs::rename(away, there).expect("it is moved back");
}

/// As an unmounted volume leaves it: an empty directory in its place.
fn emptied(there: &Path, away: &Path) {
    moved(there, away);
    fs::create_dir(there).expect("an empty one");
}

fn filled(there: &Path, away: &Path) {
    fs::remove_dir(there).expect("it is empty still");
    moved_back(there, away);
}

/// A link that leads nowhere.
fn dangling(there: &Path, away: &Path) {
    moved(there, away);
    std::os::unix::fs::symlink("/nowhere/at/all", there).expect("a link");
}

fn linked_back(there: &Path, away: &Path) {
    fs::remove_file(there).expect("the link");
    moved_back(there, away);
}

#[tokio::test]
async fn a_state_directory_that_is_moved_away_signs_nobody_out_and_is_named_until_it_is_back() {
    let ways: [Away; 3] = [(moved, moved_back), (emptied, filled), (dangling, linked_back)];
    for (others, (take_away, bring_back)) in [&[][..], &["ben"][..], &["ben"][..]].into_iter().zip(ways) {
        let scene = Scene::of(Portal::New).await;
        log_in(&scene, "anna", "alice").await;
        for other in others {
            log_in(&scene, other, "bob").await;
        }
        let exporter = Program::start(&mut slow(&scene)).await;
        exporter.ready().await;
        let (there, away) = (scene.tokens(), scene.tokens().with_extension("away"));
        take_away(&there, &away);
        let is_gone = format!("{} is no longer the directory", there.display());
        exporter.said(&is_gone).await;
        // Nor does whoever presses a button make another one in its place.
        let visitor = Visitor::of(&format!("http://{}/", exporter.address));
        let shown = visitor.post("sign-in", &[("account", "carl")]).await;
        assert!(shown.status == 400 && shown.text.contains("is no longer the directory"), "{}", shown.text);
        let page = Page::parse(&exporter.get("/metrics").await.expect("a page"));
        assert_eq!(accounts(&page).len(), 1 + others.len(), "nobody has signed out: {}", page.text);
        bring_back(&there, &away);
        // Whoever comes or goes then is the sign that all is as before.
        let page = if others.is_empty() {
            log_in(&scene, "ben", "bob").await;
            soon("ben is there", &exporter, is_up("ben")).await
        } else {
            assert_eq!(scene.run(&["logout", "--account", "ben"]).await.0, Some(0));
            soon("ben is gone", &exporter, |page| !page.text.contains("\"ben\"")).await
        };
        assert!(is_up("anna")(&page), "{}", page.text);
        let (_, log) = exporter.terminate().await;
        assert_eq!(log.matches(&is_gone).count(), 1, "{log}");
        assert!(!log.contains("account=\"anna\""), "nothing has happened to her: {log}");
    }
}

#[tokio::test]
async fn a_token_file_by_the_name_of_the_environments_account_is_left_alone() {
    let scene = Scene::of(Portal::New).await;
    let mut command = slow(&scene);
    let token = &scene.simulator.people()[1].token;
    command.env("OURA_ACCESS_TOKEN", token).env("OURA_ACCOUNT", "ben");
    let exporter = Program::start(&mut command).await;
    exporter.ready().await;
    log_in(&scene, "ben", "bob").await;
    log_in(&scene, "anna", "alice").await;
    let page = soon("anna is there", &exporter, is_up("anna")).await;
    assert_eq!(accounts(&page), ["anna", "ben"]);
    assert_eq!(page.get("oura_token_expiry_timestamp_seconds{account=\"ben\"}"), None, "the environment's token");
    let (_, log) = exporter.terminate().await;
    assert_eq!(log.matches("the token file of account ben is ignored").count(), 1, "{log}");
}

/// How a file is given another text.
type Replace = fn(&Path, &str);

fn in_place(path: &Path, text: &str) {
    fs::write(path, text).expect("it is written");
}

fn renamed(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).expect("it is written");
    fs::rename(beside, path).expect("it is renamed");
}

/// As Kubernetes does it: the name is a link, which then leads elsewhere.
fn linked(path: &Path, text: &str) {
    let (target, link) = (path.with_extension("target"), path.with_extension("link"));
    fs::write(&target, text).expect("it is written");
    std::os::unix::fs::symlink(target, &link).expect("a link");
    fs::rename(link, path).expect("it is renamed");
}

async fn with_token_file(simulator: &Simulator, file: &Path) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
    command.env_clear().kill_on_drop(true).stdout(Stdio::null());
    command.env("OURA_API_URL", simulator.url()).env("OURA_ACCESS_TOKEN_FILE", file).env("OURA_POLL_INTERVAL", "36h");
    Program::start(command.env("OURA_COLLECTIONS", "daily_sleep,daily_readiness")).await
}

#[tokio::test]
async fn the_file_of_the_access_token_is_read_again_when_it_changes() {
    for replace in [in_place as Replace, renamed, linked] {
        let simulator = simulator_at(crate::common::NOON).await;
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("token");
        fs::write(&file, "of-yesterday").expect("it is written");
        let exporter = with_token_file(&simulator, &file).await;
        let authorized = |page: &Page| page.get("oura_account_authorized{account=\"default\"}");
        soon("Oura refuses the token", &exporter, |page| authorized(page) == Some(0.0)).await;
        let advice = "into the file that OURA_ACCESS_TOKEN_FILE names, which is read again by itself";
        assert!(exporter.get("/").await.expect("a page").contains(advice), "and what to do is said");
        replace(&file, &format!("{}\n", simulator.people()[0].token));
        soon("the new token is in use", &exporter, is_up("default")).await;
        let (_, log) = exporter.terminate().await;
        assert_eq!(log.matches("holds a new token, which is now in use").count(), 1, "{log}");
        assert!(!log.contains(&simulator.people()[0].token) && !log.contains("of-yesterday"), "{log}");
    }
}

#[tokio::test]
async fn while_the_file_of_the_access_token_cannot_be_used_the_token_before_is_and_that_is_said_once() {
    let spoil: [fn(&Path); 3] = [
        |file| fs::remove_file(file).expect("it is there"),
        |file| fs::write(file, "two words").expect("it is written"),
        |file| fs::write(file, "").expect("it is written"),
    ];
    for spoil in spoil {
        let simulator = simulator_at(crate::common::NOON).await;
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("token");
        fs::write(&file, &simulator.people()[0].token).expect("it is written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
        command.env_clear().kill_on_drop(true).env("OURA_API_URL", simulator.url()).env("OURA_POLL_INTERVAL", "1s");
        command.env("OURA_ACCESS_TOKEN_FILE", &file).env("OURA_COLLECTIONS", "daily_sleep,daily_readiness");
        let exporter = Program::start(&mut command).await;
        exporter.ready().await;
        spoil(&file);
        let before = simulator.requests().len();
        let polled = async || (simulator.requests().len() > before + 5).then_some(());
        eventually("it polls on", polled).await;
        soon("all is well", &exporter, is_up("default")).await;
        let (_, log) = exporter.terminate().await;
        let said: Vec<_> = log.lines().filter(|line| line.contains("the previous token stays in use")).collect();
        assert!(said.len() == 1 && said[0].contains("OURA_ACCESS_TOKEN_FILE"), "{log}");
    }
}

#[tokio::test]
async fn a_stop_at_any_moment_leaves_the_record_and_the_sign_in() {
    let scene = Scene::of(Portal::New).await;
    log_in(&scene, "anna", "alice").await;
    log_in(&scene, "ben", "bob").await;
    let journals = ["anna", "ben"].map(|account| scene.tokens().join(format!("samples/{account}.journal")));
    let has_days = |text: &String| text.contains("oura_sample_readiness_score{");
    for round in 0..30 {
        // Without a record all is read again: it stops while the first answers are read, when some are, and when all are.
        if round % 3 == 0 {
            journals.iter().for_each(|path| drop(fs::remove_file(path)));
        }
        let exporter = Program::start(&mut scene.program()).await;
        match round % 3 {
            0 => drop(eventually("a record", async || exporter.get("/metrics/samples").await.filter(has_days)).await),
            1 => exporter.ready().await,
            _ => drop(eventually("a page", async || exporter.get("/metrics").await).await),
        }
        let (code, log) = exporter.terminate().await;
        assert!(code == Some(0) && !log.contains("account removed"), "round {round}: {log}");
        let kept = [&journals[0], &journals[1], &scene.file("anna"), &scene.file("ben")];
        let lost: Vec<_> = kept.into_iter().filter(|path| !path.exists()).collect();
        assert_eq!(lost, Vec::<&std::path::PathBuf>::new(), "round {round}: {log}");
    }
}
