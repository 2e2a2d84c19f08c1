//! What a backfill of many accounts keeps for the next run: the places of those who are not brought in, and nothing of others.

use std::{
    collections::BTreeSet,
    fs, future,
    sync::{Arc, Mutex},
};

use oura_exporter::{
    auth::{Store, Tokens},
    simulator::{Fault, Scope},
};
use tokio::sync::oneshot;

use super::many::{ANNA, BOTH, House, To, assert_each, assert_none_twice, but, in_files, of, sign_out};
use crate::{
    common::eventually,
    receiving::{
        days_ago,
        receiver::{Behaviour, Rule},
    },
};

const AT_LEAST: usize = 100;

/// Has Oura fail for alice, from now on.
fn fail(house: &House) {
    house.scene.simulator.faults().set(Scope::person("alice"), Fault::Status(500));
}

/// Runs it for that account alone.
async fn run_only(house: &House, to: To, account: &str) -> Result<(), String> {
    let mut backfill = house.backfill();
    backfill.accounts.retain(|one| one.name == account);
    let ended = backfill.run(house.to(to), future::pending()).await;
    ended.map_err(|problem| format!("{problem:#}"))
}

fn tokens(house: &House, account: &str) -> Tokens {
    Store::new(house.scene.tokens()).read(account).expect("it is read").expect("it is there")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_fewer_accounts_leaves_the_others_their_places() {
    for to in BOTH {
        for fails_at_once in [true, false] {
            let house = House::of(&["ben", "cleo"]).await;
            let all = house.undisturbed().await;
            let what = format!("{to:?}, {fails_at_once}");
            if fails_at_once {
                fail(&house);
            } else {
                house.in_the_midst(|scene| {
                    scene.simulator.faults().set(Scope::person("alice"), Fault::Status(500));
                });
            }
            house.run(to).await.expect_err("one is left out");
            // Once more while she is still away, and one of them alone.
            run_only(&house, to, "ben").await.expect("a good end");
            house.scene.simulator.faults().clear();
            house.brings_in_the_rest_of_anna(to, &all, &what).await;
            if to == To::Files {
                assert_none_twice(&house.files(), &what);
            }
            house.scene.simulator.forget_requests();
            house.run(to).await.expect("a good end");
            assert_eq!(house.asked().len(), 2, "all are at their end, so it begins anew: {what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_brought_in_alone_is_not_brought_in_again_while_others_are_left_out() {
    for to in BOTH {
        let house = House::of(&["ben", "cleo"]).await;
        house.in_the_midst(|scene| {
            sign_out(scene, "cleo");
            scene.simulator.faults().set(Scope::person("alice"), Fault::Status(500));
        });
        let ended = house.run(to).await.expect_err("two are left out");
        assert!(ended.starts_with("2 accounts were left out"), "{to:?}: {ended}");
        house.scene.simulator.faults().clear();
        run_only(&house, to, ANNA).await.expect("a good end");
        // Of all who are signed in it ends whole, and cleo comes back later.
        house.scene.simulator.forget_requests();
        house.run(to).await.expect("a good end");
        assert_eq!(house.asked(), BTreeSet::new(), "{to:?}");
        house.sign_in("cleo", "bob");
        house.run(to).await.expect("a good end");
        assert_eq!(house.asked(), BTreeSet::from(["bob"]), "{to:?}");
        assert_each(&house.arrived(to), &house.undisturbed().await, &format!("{to:?}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_that_is_cut_off_is_continued_from_its_own_places() {
    for requests in [0, 1, 3] {
        let house = House::of(&["ben"]).await;
        let all = house.undisturbed().await;
        house.in_the_midst(|scene| scene.simulator.faults().set(Scope::person("alice"), Fault::Hang));
        let asked = |least: usize| {
            let house = &house;
            async move {
                let count = async || (house.scene.simulator.requests().len() > least).then_some(());
                eventually("it is asked", count).await;
            }
        };
        house.scene.simulator.forget_requests();
        let stopped = house.backfill().run(house.to(To::Receiver), asked(5)).await.expect_err("it was stopped");
        assert!(stopped.to_string().contains("run the same command again to continue"), "{stopped}");
        house.scene.simulator.faults().set(Scope::all(), Fault::Hang);
        house.scene.simulator.forget_requests();
        let mut again = house.backfill();
        again.restart = true;
        let stop = async {
            if requests > 0 {
                asked(requests - 1).await;
            }
        };
        let stopped = again.run(house.to(To::Receiver), stop).await.expect_err("it was stopped");
        assert!(stopped.to_string().contains("again without --restart to continue"), "{stopped}");
        house.scene.simulator.faults().clear();
        let before = house.receiver.kept().sent.samples;
        house.run(To::Receiver).await.expect("a good end");
        assert_eq!(house.receiver.kept().sent.samples - before, all.len(), "all of it is sent anew, {requests}");
    }
}

/// What becomes of the token file of ben, who stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum File {
    Damaged,
    Empty,
    /// Oura has said who it is.
    Told,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_unknown_is_nobody_else() {
    for file in [File::Damaged, File::Empty, File::Told] {
        let house = House::of(&["ben"]).await;
        let all = house.undisturbed().await;
        fail(&house);
        house.run(To::Files).await.expect_err("anna is left out");
        let (path, before) = (house.scene.file("ben"), tokens(&house, "ben"));
        match file {
            File::Damaged => fs::write(&path, "{ no tokens").expect("it is written"),
            File::Empty => fs::write(&path, "").expect("it is written"),
            File::Told => {
                let person = Some("salt.hash".parse().expect("a person"));
                let told = Tokens { person, ..before.clone() };
                Store::new(house.scene.tokens()).write("ben", &told).expect("it is stored");
            }
        }
        let _fails_or_not = house.run(To::Files).await;
        assert_each(&house.arrived(To::Files), &of(&all, "ben"), &format!("{file:?}"));
        Store::new(house.scene.tokens()).write("ben", &before).expect("it is stored");
        house.scene.simulator.faults().clear();
        house.brings_in_the_rest_of_anna(To::Files, &all, &format!("{file:?}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_that_cannot_be_read_under_way_is_no_change_of_hands() {
    for (text, to) in [("", To::Files), ("{ no tokens", To::Files), ("", To::Receiver)] {
        let house = House::of(&["ben"]).await;
        let all = house.undisturbed().await;
        let before = tokens(&house, ANNA);
        house.in_the_midst(move |scene| fs::write(scene.file(ANNA), text).expect("it is written"));
        let _fails_or_not = house.run(to).await;
        let arrived = of(&house.arrived(to), ANNA).len();
        assert!(arrived > AT_LEAST, "{to:?}: her first month is there: {arrived}");
        Store::new(house.scene.tokens()).write(ANNA, &before).expect("it is stored");
        house.scene.simulator.faults().clear();
        house.run(to).await.expect("a good end");
        assert_each(&house.arrived(to), &all, &format!("{to:?}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_that_was_never_granted_is_not_asked_for_again_and_again() {
    for to in BOTH {
        let house = House::of(&["ben", "cleo"]).await;
        let sleep = Scope::person("alice").and_collection("daily_sleep");
        let granted = Tokens { scopes: Some(vec!["personal".to_owned()]), ..tokens(&house, ANNA) };
        Store::new(house.scene.tokens()).write(ANNA, &granted).expect("it is stored");
        house.in_the_midst(|scene| sign_out(scene, "cleo"));
        house.scene.simulator.faults().set(sleep, Fault::ScopeMissing);
        let ended = house.run(to).await.expect_err("cleo is left out, and a collection");
        assert!(ended.starts_with("1 account was left out"), "{to:?}: {ended}");
        house.sign_in("cleo", "bob");
        house.scene.simulator.forget_requests();
        house.run(to).await.expect("a good end");
        assert_eq!(house.asked(), BTreeSet::from(["bob"]), "{to:?}: of anna all is there that she has granted");
        // By itself it ends whole, and so begins anew.
        for _ in 0..2 {
            house.scene.simulator.forget_requests();
            let ended = house.run(to).await.expect_err("a collection is left out");
            assert!(ended.starts_with("1 collections were left out"), "{to:?}: {ended}");
            assert_eq!(house.asked(), BTreeSet::from(["alice", "bob"]), "{to:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_stays_away_ends_the_run_whoever_oura_answers_for() {
    for (status, words) in [(500, "internal"), (503, "away"), (401, "who are you")] {
        let house = House::of(&["b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8", "b9"]).await;
        let all = house.undisturbed().await;
        // Seven of the first eight are left, and two of the others.
        house.scene.simulator.authorizations().revoke_everything("alice");
        let rules = vec![Rule::Samples(status, words, Arc::new(|_: &str, _| true))];
        house.receiver.set(Behaviour { rules, ..Behaviour::default() });
        let ended = house.run(To::Receiver).await.expect_err("nobody is brought in");
        assert!(ended.starts_with("run the same command again to continue"), "{status}: {ended}");
        house.receiver.set(Behaviour::default());
        house.sign_in(ANNA, "alice");
        house.run(To::Receiver).await.expect("a good end");
        assert_each(&house.arrived(To::Receiver), &all, &format!("{status}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_takes_one_run_at_a_time() {
    let house = House::of(&["ben"]).await;
    let all = house.undisturbed().await;
    house.in_the_midst(|scene| scene.simulator.faults().set(Scope::all(), Fault::Hang));
    let (end, ended) = oneshot::channel::<()>();
    let first = house.backfill().run(house.to(To::Files), async { ended.await.expect("it is told") });
    let second = async {
        let file = async || house.files().exists().then(|| in_files(&house.files())).filter(|all| all.len() > 0);
        let before = eventually("a month is there", file).await;
        let refused = house.run(To::Files).await.expect_err("the first has it");
        assert_each(&in_files(&house.files()), &before, "nothing of the first is gone");
        let other = run_only(&house, To::Files, "ben").await.expect_err("the first has it");
        end.send(()).expect("it waits");
        [refused, other]
    };
    let (stopped, refused) = tokio::join!(first, second);
    stopped.expect_err("it was stopped");
    for refused in refused {
        assert!(refused.contains("another backfill is writing into"), "{refused}");
        assert!(refused.contains("choose another directory"), "{refused}");
    }
    house.scene.simulator.faults().clear();
    house.run(To::Files).await.expect("a good end");
    assert_each(&house.arrived(To::Files), &all, "continued");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_signs_out_after_the_last_answer_is_left_out_as_well() {
    for account in [ANNA, "ben", "cleo"] {
        let house = House::of(&["ben", "cleo"]).await;
        let last = house.days.1.and_hms_opt(0, 0, 0).expect("a time").and_utc().timestamp_millis();
        let (scene, done) = (Arc::downgrade(&house.scene), Mutex::new(false));
        let is_last = move |_: &str, time: i64| {
            let mut done = done.lock().expect("no panic");
            if time >= last && !std::mem::replace(&mut *done, true) {
                sign_out(&scene.upgrade().expect("it is still there"), account);
            }
            false
        };
        let rules = vec![Rule::Samples(400, "never said", Arc::new(is_last))];
        house.receiver.set(Behaviour { rules, ..Behaviour::default() });
        let ended = house.run(To::Receiver).await.expect_err("one has signed out");
        assert!(ended.starts_with("1 account was left out"), "{account}: {ended}");
        house.receiver.set(Behaviour::default());
        house.scene.simulator.forget_requests();
        house.run(To::Receiver).await.expect("a good end");
        let expected = house.undisturbed().await;
        assert_each(&but(&house.arrived(To::Receiver), account), &expected, account);
    }
}

#[tokio::test]
async fn where_no_place_is_kept_the_one_who_is_left_out_is_to_be_run_alone() {
    let house = House::of(&["ben"]).await;
    house.scene.simulator.faults().set(Scope::person("alice"), Fault::MembershipLapsed);
    let (first, last) = days_ago(60, 30);
    let mut command = house.scene.program();
    command.env("OURA_COLLECTIONS", "daily_readiness").args(["backfill", "--from", &first.to_string(), "--to"]);
    let output = command.arg(last.to_string()).args(["--output", "-"]).output().await.expect("the program starts");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("renew the Oura membership; then run it again with --account anna"), "{log}");
    assert!(!log.contains("the same command again") && !log.contains("tried again every hour"), "{log}");
    assert!(!log.contains("oura-exporter login"), "signing in does not help: {log}");
}
