//! The right person: who signs in as somebody else is refused by name, in the command and on the page, unless it is meant.

use std::fs;

use crate::common::{
    Page, Program,
    door::{Visitor, at_the_redirect},
    eventually,
    scene::{Scene, consent},
};
use oura_exporter::{
    clock::Clock,
    simulator::{Fault, Portal, Scope},
};
use tokio::{io::AsyncWriteExt as _, process::Command};

/// Signs in by the command with these flags besides; the exit code and what it said.
async fn log_in(scene: &Scene, account: &str, person: &str) -> (Option<i32>, String) {
    scene.log_in(account, async |url| consent(url, person, "allow").await).await
}

/// The same, where it is said that the person is meant.
pub(crate) async fn log_in_all_the_same(scene: &Scene, account: &str, person: &str) -> (Option<i32>, String) {
    let mut begun = scene.begin(&["--no-browser", "--replace-person", "--account", account]).await;
    let pasted = consent(begun.url.as_ref().expect("an address"), person, "allow").await;
    let mut stdin = begun.child.stdin.take().expect("a pipe");
    stdin.write_all(format!("{pasted}\n").as_bytes()).await.expect("it reads");
    drop(stdin);
    begun.end().await
}

/// Oura's id of everybody.
async fn ids(scene: &Scene) -> Vec<String> {
    let mut ids = Vec::new();
    for wearer in scene.simulator.people() {
        let url = format!("{}/v2/usercollection/personal_info", scene.simulator.url());
        let request = reqwest::Client::new().get(url).bearer_auth(&wearer.token).header("user-agent", "a test");
        let info: serde_json::Value = request.send().await.expect("an answer").json().await.expect("JSON");
        ids.push(info["id"].as_str().expect("an id").to_owned());
    }
    assert_ne!(ids[0], ids[1]);
    ids
}

#[tokio::test]
async fn whoever_has_an_account_already_is_refused_under_another_name_and_named() {
    let scene = Scene::of(Portal::New).await;
    assert_eq!(log_in(&scene, "anna", "alice").await.0, Some(0));
    for other in ["ben", "Anna", "anna-2"] {
        let (code, said) = log_in(&scene, other, "alice").await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("this person already has account anna") && said.contains("private window"), "{said}");
        assert!(said.contains(&format!("login --replace-person --account {other}")), "{said}");
        assert!(!scene.file(other).exists());
    }
    let (code, said) = log_in(&scene, "ben", "bob").await;
    assert_eq!(code, Some(0), "the right person is not: {said}");
    let (_, said) = scene.run(&["accounts"]).await;
    assert!(!said.contains("one person"), "{said}");
}

#[tokio::test]
async fn an_account_does_not_change_hands_by_itself() {
    for portal in [Portal::Legacy, Portal::New] {
        let scene = Scene::of(portal).await;
        assert_eq!(log_in(&scene, "anna", "alice").await.0, Some(0));
        let before = fs::read(scene.file("anna")).expect("tokens");
        let (code, said) = log_in(&scene, "anna", "bob").await;
        assert!(code == Some(1) && said.contains("a different person from the one of account anna"), "{said}");
        assert_eq!(fs::read(scene.file("anna")).expect("tokens"), before, "the sign-in before is whole");
        let (code, said) = log_in(&scene, "anna", "alice").await;
        assert_eq!(code, Some(0), "the same person renews it: {said}");
        // What is known of the person outlives the renewal of the tokens.
        scene.expire("anna");
        let (code, said) = scene.run(&["check"]).await;
        assert_eq!(code, Some(0), "{said}");
        let (code, said) = log_in(&scene, "anna", "bob").await;
        assert!(code == Some(1) && said.contains("a different person from the one of account anna"), "{said}");
        let (code, said) = log_in_all_the_same(&scene, "anna", "bob").await;
        assert_eq!(code, Some(0), "where it is meant: {said}");
        assert_eq!(log_in(&scene, "anna", "alice").await.0, Some(1), "from then on it is bob's");
    }
}

#[tokio::test]
async fn two_accounts_of_one_person_are_told_by_both_commands_and_no_id_is_anywhere() {
    let scene = Scene::of(Portal::New).await;
    let ids = ids(&scene).await;
    assert_eq!(log_in(&scene, "anna", "alice").await.0, Some(0));
    assert_eq!(log_in(&scene, "ben", "bob").await.0, Some(0));
    let mut all = log_in_all_the_same(&scene, "zoe", "alice").await.1;
    for command in ["accounts", "check"] {
        let (code, said) = scene.run(&[command]).await;
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(said.matches("Accounts anna and zoe are the same person").count(), 1, "{said}");
        all += &said;
    }
    for account in ["anna", "ben", "zoe"] {
        let text = fs::read_to_string(scene.file(account)).expect("tokens");
        assert!(text.contains("\"person\": \""), "it is known");
        all += &text;
    }
    assert!(ids.iter().all(|id| !all.contains(id)), "{all}");
    scene.run(&["logout", "--account", "anna"]).await;
    let (_, said) = scene.run(&["accounts"]).await;
    assert!(!said.contains("one person"), "{said}");
}

#[tokio::test]
async fn a_sign_in_is_not_lost_where_oura_does_not_say_who_it_is() {
    for fault in [Fault::Status(500), Fault::Status(404), Fault::Html] {
        let scene = Scene::of(Portal::New).await;
        scene.simulator.faults().set(Scope::collection("personal_info"), fault.clone());
        let (_, said) = log_in(&scene, "anna", "alice").await;
        assert!(said.contains("Signed in as account anna"), "{fault:?}: {said}");
        scene.simulator.faults().clear();
        let (code, said) = log_in(&scene, "anna", "alice").await;
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(log_in(&scene, "anna", "bob").await.0, Some(1), "now it is known");
    }
}

#[tokio::test]
async fn who_is_known_is_not_replaced_by_somebody_of_whom_oura_says_nothing() {
    for fault in [Fault::Status(500), Fault::Status(403), Fault::Html] {
        let scene = Scene::of(Portal::New).await;
        assert_eq!(log_in(&scene, "anna", "alice").await.0, Some(0));
        let before = fs::read(scene.file("anna")).expect("tokens");
        scene.simulator.faults().set(Scope::collection("personal_info"), fault.clone());
        let (code, said) = log_in(&scene, "anna", "bob").await;
        assert!(code == Some(1) && said.contains("Oura does not currently say who has signed in"), "{said}");
        assert_eq!(fs::read(scene.file("anna")).expect("tokens"), before, "{fault:?}: the sign-in before is whole");
        scene.simulator.faults().clear();
        assert_eq!(log_in(&scene, "anna", "bob").await.0, Some(1), "{fault:?}: and it is still known whose it is");
    }
}

/// Comes back from Oura as `person`, and gives the page of the attempt.
async fn come_back(visitor: &Visitor, account: &str, person: &str, title: &str) -> String {
    let (place, url) = visitor.begin(account).await;
    visitor.get(&consent(&url, person, "allow").await).await;
    visitor.titled(&place, title).await
}

#[tokio::test]
async fn on_the_page_the_wrong_person_is_refused_by_name_and_may_be_meant() {
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    let (exporter, visitor) = at_the_redirect(&scene, "127.0.0.1").await;
    come_back(&visitor, "anna", "alice", "Signed in as anna").await;
    let text = come_back(&visitor, "ben", "alice", "Not signed in").await;
    assert!(text.contains("This person already has account anna") && text.contains("private window"), "{text}");
    let text = come_back(&visitor, "anna", "bob", "Not signed in").await;
    assert!(
        text.contains("a different person from the one of account anna") && text.contains("id=\"replace\""),
        "{text}"
    );
    assert!(text.contains("press the button below") && !text.contains("oura-exporter login"), "{text}");
    come_back(&visitor, "ben", "bob", "Signed in as ben").await;
    come_back(&visitor, "anna", "alice", "Signed in as anna").await;

    let shown = visitor.post("sign-in", &[("account", "anna"), ("replace", "person")]).await;
    let place = shown.location.expect("a place");
    let url = visitor.get(&place).await.oura();
    visitor.get(&consent(&url, "bob", "allow").await).await;
    visitor.titled(&place, "Signed in as anna").await;
    let (_, said) = scene.run(&["accounts"]).await;
    assert!(said.contains("Accounts anna and ben are the same person"), "{said}");
    let (_, log) = exporter.terminate().await;
    assert_eq!(log.matches("not signed in on the page: ").count(), 2, "{log}");
    assert!(ids(&scene).await.iter().all(|id| !log.contains(id)), "{log}");
}

#[tokio::test]
async fn beyond_this_machine_only_the_same_person_renews_a_sign_in_and_only_one_that_has_ended() {
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    let (exporter, visitor) = at_the_redirect(&scene, "0.0.0.0").await;
    come_back(&visitor, "anna", "alice", "Signed in as anna").await;
    let shown = visitor.post("sign-in", &[("account", "anna")]).await;
    assert!(shown.status == 400 && shown.text.contains("renews only sign-ins that have ended"), "{}", shown.text);
    exporter.terminate().await;

    scene.simulator.authorizations().revoke_everything("alice");
    let (exporter, visitor) = at_the_redirect(&scene, "0.0.0.0").await;
    let dead = async || {
        let page = Page::parse(&exporter.get("/metrics").await?);
        (page.get("oura_account_authorized{account=\"anna\"}") == Some(0.0)).then_some(())
    };
    eventually("the sign-in has ended", dead).await;
    for replace in ["", "person"] {
        let shown = visitor.post("sign-in", &[("account", "anna"), ("replace", replace)]).await;
        let place = shown.location.expect("a place");
        let url = visitor.get(&place).await.oura();
        visitor.get(&consent(&url, "bob", "allow").await).await;
        let text = visitor.titled(&place, "Not signed in").await;
        assert!(
            text.contains("it is unknown whether this is the same person") && !text.contains("id=\"replace\""),
            "{text}"
        );
    }
    come_back(&visitor, "anna", "alice", "Signed in as anna").await;
    exporter.terminate().await;
}

/// The exporter of `scene`, until its log says something of each of these files.
async fn log_that_names(command: &mut Command, files: &[&str]) -> String {
    let exporter = Program::start(command).await;
    eventually("it serves", async || exporter.get("/-/healthy").await).await;
    let (_, log) = exporter.terminate().await;
    assert!(files.iter().all(|file| log.contains(file)), "{log}");
    log
}

#[tokio::test]
async fn token_files_that_have_changed_places_are_named_and_nobody_is_shown_as_somebody_else() {
    let scene = Scene::of(Portal::New).await;
    assert_eq!(log_in(&scene, "anna", "alice").await.0, Some(0));
    assert_eq!(log_in(&scene, "ben", "bob").await.0, Some(0));
    let (anna, ben) = (scene.file("anna"), scene.file("ben"));
    let beside = scene.tokens().join("beside");
    fs::rename(&anna, &beside)
        .and_then(|()| fs::rename(&ben, &anna))
        .and_then(|()| fs::rename(&beside, &ben))
        .expect("they are there");
    let log =
        log_that_names(&mut scene.program(), &["/anna.json is not an account", "/ben.json is not an account"]).await;
    assert!(
        log.contains("it holds the sign-in of account ben") && log.contains("it holds the sign-in of account anna"),
        "{log}"
    );
    let (code, said) = scene.run(&["check"]).await;
    assert!(code == Some(2) && said.contains("it holds the sign-in of account anna"), "{said}");
}

#[tokio::test]
async fn of_whom_oura_says_nothing_is_shown_and_compared_as_soon_as_oura_says_it() {
    for fault in [Fault::Status(500), Fault::Status(403), Fault::Html] {
        let scene = Scene::of(Portal::New).await.with_free_redirect();
        scene.simulator.faults().set(Scope::collection("personal_info"), fault.clone());
        let (exporter, visitor) = at_the_redirect(&scene, "127.0.0.1").await;
        let text = come_back(&visitor, "anna", "alice", "Signed in as anna").await;
        assert!(text.contains("Oura did not say who this is: compare"), "{fault:?}: {text}");
        let text = visitor.get("sign-in").await.text;
        assert!(text.contains("Oura did not say who this is"), "{fault:?}: {text}");
        exporter.terminate().await;
        let (_, said) = log_in(&scene, "ben", "alice").await;
        assert!(said.contains("Warning: Oura did not say who this is: compare"), "{fault:?}: {said}");
        let (_, said) = scene.run(&["accounts"]).await;
        assert_eq!(said.matches("Oura did not say who this is").count(), 2, "{said}");

        scene.simulator.faults().clear();
        let exporter = scene.exporter(Clock::system()).await;
        let visitor = Visitor::of(&format!("{}/", exporter.url));
        let told = "Accounts anna and ben are the same person";
        let page = async || Some(visitor.get("sign-in").await.text).filter(|text| text.contains(told));
        let page = eventually(told, page).await;
        assert!(!page.contains("Oura did not say who this is"), "{page}");
        let (_, said) = scene.run(&["accounts"]).await;
        assert!(said.contains(told) && !said.contains("did not say"), "{said}");
        exporter.stop().await;
    }
}

#[tokio::test]
async fn an_account_that_cannot_be_read_is_named_at_the_sign_in_and_compared_when_it_can_be() {
    let scene = Scene::of(Portal::New).await;
    assert_eq!(log_in(&scene, "anna", "alice").await.0, Some(0));
    let whole = fs::read(scene.file("anna")).expect("tokens");
    let newer = b"{\"version\": 99, \"access_token\": \"x\"}";
    for (other, damaged) in [("ben", &whole[..40]), ("carl", b""), ("dora", newer)] {
        fs::write(scene.file("anna"), damaged).expect("it is written");
        let (_, said) = log_in(&scene, other, "alice").await;
        assert!(said.contains("Warning: the sign-in of account anna cannot be read"), "{other}: {said}");
        fs::write(scene.file("anna"), &whole).expect("it is written");
        let exporter = scene.exporter(Clock::system()).await;
        let told = format!("Accounts anna and {other} are the same person");
        eventually(&told, async || scene.run(&["accounts"]).await.1.contains(&told).then_some(())).await;
        exporter.stop().await;
        scene.run(&["logout", "--account", other]).await;
    }
}

#[tokio::test]
async fn who_comes_back_under_two_names_in_the_same_instant_has_one() {
    for (names, person) in [(["anna", "ben"], "alice"), (["a", "b"], "bob"), (["ben", "anna"], "bob")] {
        let scene = Scene::of(Portal::New).await.with_free_redirect();
        let (exporter, visitor) = at_the_redirect(&scene, "127.0.0.1").await;
        let mut begun = Vec::new();
        for name in names {
            let (place, url) = visitor.begin(name).await;
            begun.push((place, consent(&url, person, "allow").await));
        }
        let (one, other) = tokio::join!(visitor.get(&begun[0].1), visitor.get(&begun[1].1));
        assert_eq!((one.status, other.status), (303, 303));
        let mut ends = Vec::new();
        for (place, _) in &begun {
            let ended = async || {
                let text = visitor.get(place).await.text;
                let is_over = text.contains("<h1>Not signed in</h1>") || text.contains("may be read");
                is_over.then(|| text.contains("Not signed in"))
            };
            ends.push(eventually("the sign-in is over", ended).await);
        }
        assert_eq!(ends.iter().filter(|is_refused| **is_refused).count(), 1, "{names:?}");
        let is_kept: Vec<_> = names.iter().map(|name| !scene.file(name).exists()).collect();
        assert_eq!(is_kept, ends, "{names:?}");
        exporter.terminate().await;
    }
}

#[tokio::test]
async fn a_stranger_who_is_refused_has_no_sign_in_left_at_oura_and_whoever_has_an_account_keeps_theirs() {
    for portal in [Portal::Legacy, Portal::New] {
        let scene = Scene::of(portal).await.with_free_redirect();
        let standing = |person| scene.simulator.authorizations().standing(person);
        assert_eq!(log_in(&scene, "anna", "alice").await.0, Some(0));
        // By the command, and on the page.
        assert_eq!(log_in(&scene, "anna", "bob").await.0, Some(1));
        assert_eq!((standing("alice"), standing("bob")), (1, 0));
        let (exporter, visitor) = at_the_redirect(&scene, "127.0.0.1").await;
        come_back(&visitor, "anna", "bob", "Not signed in").await;
        assert_eq!((standing("alice"), standing("bob")), (1, 0));
        // Oura may take what a person has allowed back as a whole: nothing of theirs is, who have an account here.
        come_back(&visitor, "ben", "alice", "Not signed in").await;
        come_back(&visitor, "ben", "bob", "Signed in as ben").await;
        come_back(&visitor, "anna", "bob", "Not signed in").await;
        assert_eq!((standing("alice"), standing("bob")), (2, 2));
        exporter.terminate().await;
    }
}

#[tokio::test]
async fn who_it_is_is_asked_for_where_no_collection_tells_it() {
    for collections in ["daily_sleep", "heartrate,sleep"] {
        let scene = Scene::of(Portal::New).await.with_free_redirect();
        scene.simulator.faults().set(Scope::collection("personal_info"), Fault::Status(500));
        for account in ["anna", "ben"] {
            let (_, said) = log_in(&scene, account, "alice").await;
            assert!(said.contains("Warning: Oura did not say who this is"), "{said}");
        }
        scene.simulator.faults().clear();
        let exporter = Program::start(scene.program().env("OURA_COLLECTIONS", collections)).await;
        let told = "Accounts anna and ben are the same person";
        exporter.said(told).await;
        let (_, said) = scene.run(&["accounts"]).await;
        assert!(said.contains(told), "{said}");
        let page = Page::parse(&exporter.get("/metrics").await.expect("a page"));
        assert_eq!(page.is_up("personal_info"), None, "it is no collection of the page: {}", page.text);
        exporter.terminate().await;
    }
}

/// Readiness of each day, as the record tells it of an account: day and score.
pub(crate) fn readiness(samples: &str, account: &str) -> Vec<(i64, f64)> {
    let name = format!("oura_sample_readiness_score{{account=\"{account}\"}} ");
    let lines = samples.lines().filter_map(|line| line.strip_prefix(&name));
    let of_day = |line: &str| {
        let (value, time) = line.split_once(' ').expect("a value and a time");
        (time.parse::<i64>().expect("milliseconds").div_euclid(86_400_000), value.parse().expect("a number"))
    };
    // The last one of a day counts.
    lines.map(of_day).collect::<std::collections::BTreeMap<_, _>>().into_iter().collect()
}

/// What the record has of everybody, each alone under a name of their own.
pub(crate) async fn alone(scene: &Scene, person: &str) -> Vec<(i64, f64)> {
    let documents = crate::common::truth::ask(&scene.simulator, person, "daily_readiness", &last_two_weeks()).await;
    let score = |document: &serde_json::Value| {
        let day = document["day"].as_str().expect("a day").parse::<chrono::NaiveDate>().expect("a day");
        let days = day.signed_duration_since(chrono::NaiveDate::default()).num_days();
        document["score"].as_f64().map(|score| (days, score))
    };
    let mut scores: Vec<_> = documents.iter().filter_map(score).collect();
    scores.sort_by_key(|(day, _)| *day);
    scores
}

pub(crate) fn last_two_weeks() -> [(&'static str, String); 2] {
    let today = chrono::Utc::now().date_naive();
    [
        ("start_date", (today - chrono::TimeDelta::days(20)).to_string()),
        ("end_date", (today + chrono::TimeDelta::days(2)).to_string()),
    ]
}

/// Waits until all that the record tells of the account is `person`'s, and there is enough of it.
pub(crate) async fn until_all_is(exporter: &Program, scene: &Scene, account: &str, person: &str) {
    let expected = alone(scene, person).await;
    eventually(&format!("all of {account} is {person}'s"), async || {
        let told = readiness(&exporter.get("/metrics/samples").await?, account);
        (told.len() > 10 && told.iter().all(|day| expected.contains(day))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn of_the_person_before_nothing_stays_under_the_name() {
    for page in [true, false] {
        let scene = Scene::of(Portal::New).await.with_free_redirect();
        let (exporter, visitor) = at_the_redirect(&scene, "127.0.0.1").await;
        let (place, url) = visitor.begin("anna").await;
        visitor.get(&consent(&url, "alice", "allow").await).await;
        visitor.titled(&place, "Signed in as anna").await;
        until_all_is(&exporter, &scene, "anna", "alice").await;
        if page {
            let form = [("account", "anna"), ("replace", "person")];
            let begun = visitor.post("sign-in", &form).await;
            let place = begun.location.expect("a page that waits");
            let url = visitor.get(&place).await.oura();
            visitor.get(&consent(&url, "bob", "allow").await).await;
            let said = visitor.titled(&place, "Signed in as anna").await;
            assert!(said.contains("another person"), "{said}");
        } else {
            let (code, said) = log_in_all_the_same(&scene, "anna", "bob").await;
            assert!(code == Some(0) && said.contains("another person"), "{said}");
        }
        until_all_is(&exporter, &scene, "anna", "bob").await;
        // As well after a restart.
        exporter.terminate().await;
        let (exporter, _) = at_the_redirect(&scene, "127.0.0.1").await;
        until_all_is(&exporter, &scene, "anna", "bob").await;
        // The same person again: nothing is forgotten, and nothing is said of another one.
        let (code, said) = log_in(&scene, "anna", "bob").await;
        assert!(code == Some(0) && !said.contains("another person"), "{said}");
        exporter.terminate().await;
    }
}

#[tokio::test]
async fn who_takes_a_name_while_nothing_runs_finds_nothing_of_the_person_before() {
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    assert_eq!(log_in(&scene, "anna", "alice").await.0, Some(0));
    let (exporter, _) = at_the_redirect(&scene, "127.0.0.1").await;
    until_all_is(&exporter, &scene, "anna", "alice").await;
    exporter.terminate().await;
    let (code, said) = log_in_all_the_same(&scene, "anna", "bob").await;
    assert!(code == Some(0) && said.contains("another person"), "{said}");
    let (exporter, _) = at_the_redirect(&scene, "127.0.0.1").await;
    until_all_is(&exporter, &scene, "anna", "bob").await;
    exporter.terminate().await;
}

/// Takes the token file away, or what is in it.
type Loss = fn(&std::path::Path);

#[tokio::test]
async fn whose_a_name_is_outlives_the_loss_of_its_token_file() {
    let losses: [Loss; 3] = [
        |file| fs::remove_file(file).expect("it is there"),
        |file| fs::write(file, "{").expect("it is cut short"),
        |file| fs::write(file, "").expect("it is empty"),
    ];
    for lose in losses {
        let scene = Scene::of(Portal::New).await.with_free_redirect();
        assert_eq!(log_in(&scene, "anna", "alice").await.0, Some(0));
        let (exporter, visitor) = at_the_redirect(&scene, "127.0.0.1").await;
        until_all_is(&exporter, &scene, "anna", "alice").await;
        exporter.terminate().await;
        lose(&scene.file("anna"));
        let (code, said) = log_in(&scene, "anna", "bob").await;
        assert!(code == Some(1) && said.contains("a different person from the one of account anna"), "{said}");
        let (exporter, _) = at_the_redirect(&scene, "127.0.0.1").await;
        let text = come_back(&visitor, "anna", "bob", "Not signed in").await;
        assert!(
            text.contains("a different person from the one of account anna") && text.contains("id=\"replace\""),
            "{text}"
        );
        come_back(&visitor, "anna", "alice", "Signed in as anna").await;
        until_all_is(&exporter, &scene, "anna", "alice").await;
        exporter.terminate().await;

        lose(&scene.file("anna"));
        let (code, said) = log_in_all_the_same(&scene, "anna", "bob").await;
        assert!(code == Some(0) && said.contains("the exporter forgets its record"), "{said}");
        let (exporter, _) = at_the_redirect(&scene, "127.0.0.1").await;
        until_all_is(&exporter, &scene, "anna", "bob").await;
        exporter.terminate().await;
    }
}

#[tokio::test]
async fn a_token_file_that_cannot_be_read_is_not_written_over() {
    let scene = Scene::of(Portal::New).await;
    assert_eq!(log_in(&scene, "anna", "alice").await.0, Some(0));
    let (file, away) = (scene.file("anna"), scene.tokens().join("away"));
    for stands_there in ["a directory", "a directory with something in it"] {
        fs::rename(&file, &away).expect("it is moved");
        fs::create_dir(&file).expect("a directory");
        if stands_there.ends_with("it") {
            fs::write(file.join("something"), "").expect("it is written");
        }
        let (code, said) = log_in(&scene, "anna", "bob").await;
        assert_eq!(code, Some(1), "{stands_there}: {said}");
        fs::remove_dir_all(&file).expect("it is still there");
        fs::rename(&away, &file).expect("it is moved back");
        let (_, said) = log_in(&scene, "anna", "bob").await;
        assert!(said.contains("a different person from the one of account anna"), "{stands_there}: {said}");
    }
}
