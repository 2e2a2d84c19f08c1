//! Backfills of many accounts: whatever happens to one of them, the others are brought in, and the same command brings in the rest.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{NaiveDate, TimeDelta, Utc};
use oura_exporter::{
    auth::{self, Store, Tokens},
    backfill::{Backfill, Destination, Interrupted, Readers, RetryPolicy},
    clock::Clock,
    config::{Accounts, Config, Flags},
    exporter,
    oura::ClientOptions,
    remote_write::{self, Credentials},
    samples::Target,
    simulator::{Fault, Portal, Scope},
    status::ApiStats,
};

use crate::{
    common::{
        eventually,
        samples::{Samples, files},
        scene::Scene,
    },
    receiving::{
        days_ago,
        receiver::{Behaviour, Receiver, Rule},
    },
};

const COLLECTIONS: &str = "daily_readiness,daily_sleep";
/// Alice is anna, and all others are bob.
pub(super) const ANNA: &str = "anna";

/// Accounts that are signed in, and where their days go.
pub(super) struct House {
    pub(super) scene: Arc<Scene>,
    directory: tempfile::TempDir,
    pub(super) receiver: Receiver,
    /// Four months, also where midnight passes meanwhile.
    pub(super) days: (NaiveDate, NaiveDate),
}

/// Where days go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    Files,
    Receiver,
}

pub(super) const BOTH: [To; 2] = [To::Files, To::Receiver];

impl House {
    pub(super) async fn of(others: &[&str]) -> Self {
        let scene = Arc::new(Scene::of(Portal::New).await);
        let directory = tempfile::tempdir().expect("a directory");
        let house = Self { scene, directory, receiver: Receiver::start().await, days: days_ago(130, 30) };
        house.sign_in(ANNA, "alice");
        others.iter().for_each(|name| house.sign_in(name, "bob"));
        house
    }

    pub(super) fn sign_in(&self, name: &str, person: &str) {
        sign_in(&self.scene, name, person);
    }

    /// These days of whoever is signed in now.
    pub(super) fn backfill(&self) -> Backfill {
        let more = [("OURA_COLLECTIONS", COLLECTIONS), ("OURA_REQUEST_BUDGET", "1000000")];
        let variables = self.scene.variables().into_iter();
        let variables = variables.chain(more.map(|(name, value)| (name, value.to_owned())));
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let config = Config::from_environment(variables, Flags::default(), Accounts::Needed).expect("good");
        let (kinds, clock) = (config.collections.clone(), Clock::system());
        let store = config.sign_in.store.clone();
        let stats = ApiStats::new().expect("good names");
        let accounts = exporter::accounts(config, &stats, &clock, ClientOptions::default()).expect("accounts");
        let ((from, to), persistence) = (self.days, RetryPolicy { wait: Duration::from_millis(5), times: 2 });
        let target = Target { job: "oura".to_owned(), instance: "localhost:10058".to_owned() };
        let readers = Readers::Owner;
        Backfill { accounts, kinds, from, to: Some(to), target, readers, store, restart: false, clock, persistence }
    }

    pub(super) fn files(&self) -> PathBuf {
        self.directory.path().join("files")
    }

    pub(super) fn to(&self, to: To) -> Destination {
        if to == To::Files {
            return Destination::Directory(self.files());
        }
        let receiver = remote_write::Receiver::new(&self.receiver.url(), Credentials::Open, Duration::from_secs(10));
        Destination::Remote(receiver.expect("a receiver"))
    }

    /// Runs it to its end; what it came to, in words.
    pub(super) async fn run(&self, to: To) -> Result<(), String> {
        let ended = self.backfill().run(self.to(to), std::future::pending()).await;
        ended.map_err(|problem| format!("{problem:#}"))
    }

    /// What arrived there.
    pub(super) fn arrived(&self, to: To) -> Samples {
        match to {
            To::Files => in_files(&self.files()),
            To::Receiver => self.receiver.kept().samples,
        }
    }

    /// What an undisturbed run has of all who are signed in.
    pub(super) async fn undisturbed(&self) -> Samples {
        let directory = self.directory.path().join("undisturbed");
        let ended = self.backfill().run(Destination::Directory(directory.clone()), std::future::pending()).await;
        ended.expect("nothing disturbs it");
        let samples = in_files(&directory);
        assert!(samples.len() > 1_000, "only {} samples", samples.len());
        samples
    }

    /// In the midst of the second month, as alice is asked, this happens.
    pub(super) fn in_the_midst(&self, happens: impl Fn(&Scene) + Send + Sync + 'static) {
        let (asked, scene) = (AtomicUsize::new(0), Arc::downgrade(&self.scene));
        self.scene.simulator.faults().edit(Scope::person("alice"), move |_| {
            if asked.fetch_add(1, Ordering::SeqCst) == 2 {
                happens(&scene.upgrade().expect("it is still there"));
            }
        });
    }

    /// Runs it once more: it asks for nobody but anna, and then `all` is there.
    pub(super) async fn brings_in_the_rest_of_anna(&self, to: To, all: &Samples, what: &str) {
        self.scene.simulator.forget_requests();
        self.run(to).await.expect("a good end");
        assert_eq!(self.asked(), BTreeSet::from(["alice"]), "{what}");
        assert_each(&self.arrived(to), all, &format!("all of it, {what}"));
    }

    /// Whose tokens were asked with since that was forgotten.
    pub(super) fn asked(&self) -> BTreeSet<&'static str> {
        let requests = self.scene.simulator.requests();
        let of_days = requests.iter().filter(|request| request.path.contains("/daily_"));
        of_days.filter_map(|request| request.person).collect()
    }
}

pub(super) fn sign_in(scene: &Scene, name: &str, person: &str) {
    let granted = scene.simulator.authorizations().grant(Portal::New, person, &[]);
    let now = Utc::now();
    let tokens = Tokens {
        access: granted.access_token.into(),
        refresh: Some(granted.refresh_token.into()),
        issued_at: now - TimeDelta::seconds(1),
        expires_at: Some(now + TimeDelta::days(1)),
        scopes: None,
        portal: auth::Portal::New,
        signed_in_at: now,
        person: None,
    };
    Store::new(scene.tokens()).write(name, &tokens).expect("it is stored");
}

/// What is in the files that promtool would be given, each of which is whole.
pub(super) fn in_files(directory: &Path) -> Samples {
    let om = files(directory).into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "om"));
    om.fold(Samples::default(), |all, path| all.join(&Samples::of_file(&path)))
}

pub(super) fn of(samples: &Samples, account: &str) -> Samples {
    let label = format!("account=\"{account}\"");
    samples.only(|series, _| series.contains(&label))
}

pub(super) fn but(samples: &Samples, account: &str) -> Samples {
    let label = format!("account=\"{account}\"");
    samples.only(|series, _| !series.contains(&label))
}

pub(super) fn sign_out(scene: &Scene, account: &str) {
    fs::remove_file(scene.file(account)).expect("it was there");
}

/// Each account has the same in both.
pub(super) fn assert_each(told: &Samples, expected: &Samples, what: &str) {
    let name = |series: &str| series.split("account=\"").nth(1)?.split('"').next().map(str::to_owned);
    let all = told.all().chain(expected.all()).map(|(series, _, _)| name(series).expect("an account"));
    for account in all.collect::<BTreeSet<_>>() {
        super::assert_same(&of(told, &account), &of(expected, &account), &format!("{what}, of {account}"));
    }
}

/// No sample is in two of the files.
pub(super) fn assert_none_twice(directory: &Path, what: &str) {
    let om = files(directory).into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "om"));
    let lines: usize = om.map(|path| Samples::of_file(&path).len()).sum();
    assert_eq!(lines, in_files(directory).len(), "{what}");
}

/// Everything that can happen to anna alone, in the midst of the run.
type Happening = (&'static str, fn(&Scene));

const HAPPENINGS: [Happening; 4] = [
    ("token file removed", |scene| sign_out(scene, ANNA)),
    ("refresh token refused", |scene| scene.simulator.authorizations().revoke_everything("alice")),
    ("a lasting 500", |scene| scene.simulator.faults().set(Scope::person("alice"), Fault::Status(500))),
    ("no connection, for one collection", |scene| {
        scene.simulator.faults().set(Scope::person("alice").and_collection("daily_sleep"), Fault::Drop);
    }),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_one_account_the_others_are_brought_in_and_the_same_command_brings_in_that_one() {
    for to in BOTH {
        for (what, happen) in HAPPENINGS {
            let house = House::of(&["ben", "cleo"]).await;
            let all = house.undisturbed().await;
            house.in_the_midst(happen);
            let ended = house.run(to).await.expect_err("one is left out");
            assert!(ended.starts_with("1 account was left out, see above"), "{to:?}, {what}: {ended}");
            assert_each(&but(&house.arrived(to), ANNA), &but(&all, ANNA), &format!("the others to {to:?}, {what}"));
            let before = house.arrived(to).len();
            assert!(before < all.len(), "{to:?}, {what}: something is left out");
            // It is over, and she is there again.
            house.scene.simulator.faults().clear();
            if what.contains("token") {
                house.sign_in(ANNA, "alice");
            }
            house.brings_in_the_rest_of_anna(to, &all, &format!("{to:?}, {what}")).await;
            if to == To::Files {
                assert_none_twice(&house.files(), what);
            }
            // The next run begins at the first day.
            house.scene.simulator.forget_requests();
            house.run(to).await.expect("a good end");
            assert_eq!(house.asked().len(), 2, "{to:?}, {what}");
            assert_each(&house.arrived(to), &all, &format!("again to {to:?}, {what}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_stopped_is_continued_whoever_signed_in_or_out_since() {
    for to in BOTH {
        let house = House::of(&["ben", "cleo"]).await;
        let asked = Arc::new(AtomicUsize::new(0));
        let (seen, scene) = (Arc::clone(&asked), Arc::downgrade(&house.scene));
        house.scene.simulator.faults().edit(Scope::person("alice"), move |_| {
            if seen.fetch_add(1, Ordering::SeqCst) == 4 {
                // However late it is stopped, it does not come to its end before.
                let scene = scene.upgrade().expect("it is still there");
                scene.simulator.faults().set(Scope::person("alice"), Fault::Hang);
            }
        });
        let third = async || (asked.load(Ordering::SeqCst) > 4).then_some(());
        let stopped = house.backfill().run(house.to(to), eventually("the third month begins", third)).await;
        assert!(stopped.expect_err("it was stopped").is::<Interrupted>());
        // One signs out, and another one signs in.
        let before = of(&house.arrived(to), "cleo");
        sign_out(&house.scene, "cleo");
        house.sign_in("dora", "bob");
        house.scene.simulator.faults().clear();
        house.scene.simulator.forget_requests();
        house.run(to).await.expect("a good end");
        let requests = house.scene.simulator.requests();
        let of_anna = requests.iter().filter(|request| request.person == Some("alice")).count();
        assert!((1..8).contains(&of_anna), "the first months of anna are not asked for again: {of_anna} requests");
        let arrived = house.arrived(to);
        assert_each(&of(&arrived, "cleo"), &before, "who has signed out stays as they were");
        assert_each(&but(&arrived, "cleo"), &house.undisturbed().await, &format!("continued to {to:?}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_accounts_that_fail_in_different_ways_are_both_brought_in_later() {
    for to in BOTH {
        let house = House::of(&["ben", "cleo"]).await;
        let all = house.undisturbed().await;
        house.in_the_midst(|scene| {
            sign_out(scene, "cleo");
            scene.simulator.faults().set(Scope::person("alice"), Fault::CutJson);
        });
        let ended = house.run(to).await.expect_err("two are left out");
        assert!(ended.starts_with("2 accounts were left out, see above"), "{to:?}: {ended}");
        assert_each(&of(&house.arrived(to), "ben"), &of(&all, "ben"), &format!("the one to {to:?}"));
        house.scene.simulator.faults().clear();
        house.sign_in("cleo", "bob");
        house.run(to).await.expect("a good end");
        assert_each(&house.arrived(to), &all, &format!("all of it to {to:?}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_signs_in_again_in_the_midst_is_brought_in_by_the_next_run_without_the_earlier_person() {
    for to in BOTH {
        let house = House::of(&["ben", "cleo"]).await;
        house.in_the_midst(|scene| sign_in(scene, ANNA, "bob"));
        let ended = house.run(to).await.expect_err("anna has changed hands");
        assert!(ended.starts_with("1 account was left out, see above"), "{to:?}: {ended}");
        house.scene.simulator.faults().clear();
        let all = house.undisturbed().await;
        if to == To::Files {
            assert_each(&house.arrived(to), &but(&all, ANNA), "files have nothing of the earlier person");
        }
        house.run(to).await.expect("a good end");
        assert_each(&but(&house.arrived(to), ANNA), &but(&all, ANNA), &format!("the others to {to:?}"));
        if to == To::Files {
            assert_each(&house.arrived(to), &all, "the new person alone");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_refuses_one_account_has_the_others_and_takes_that_one_later() {
    let rules = [(400, "invalid sample"), (403, "no such tenant"), (500, "internal")];
    for (status, words) in rules {
        let house = House::of(&["ben", "cleo"]).await;
        let all = house.undisturbed().await;
        let is_hers = Arc::new(|series: &str, _| series.contains("account=\"anna\""));
        house.receiver.set(Behaviour { rules: vec![Rule::Samples(status, words, is_hers)], ..Behaviour::default() });
        let ended = house.run(To::Receiver).await.expect_err("one is refused");
        assert!(ended.starts_with("1 account was left out, see above"), "{status}: {ended}");
        assert_each(&house.arrived(To::Receiver), &but(&all, ANNA), &format!("the others, {status}"));
        house.receiver.set(Behaviour::default());
        house.brings_in_the_rest_of_anna(To::Receiver, &all, &status.to_string()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_who_lacked_a_collection_that_one_account_is_brought_in_again_and_no_file_has_it_twice() {
    for to in BOTH {
        let house = House::of(&["ben"]).await;
        let all = house.undisturbed().await;
        let sleep = Scope::person("alice").and_collection("daily_sleep");
        house.scene.simulator.faults().set(sleep, Fault::ScopeMissing);
        let ended = house.run(to).await.expect_err("a collection is left out");
        assert!(ended.starts_with("1 collections were left out"), "{to:?}: {ended}");
        assert!(house.arrived(to).len() < all.len(), "{to:?}");
        house.scene.simulator.faults().clear();
        house.brings_in_the_rest_of_anna(to, &all, &format!("{to:?}")).await;
        if to == To::Files {
            assert_none_twice(&house.files(), "a collection was left out");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_oura_is_away_for_everybody_the_run_ends_soon_and_the_same_command_brings_all_in() {
    let others = ["b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8", "b9"];
    for to in BOTH {
        let house = House::of(&others).await;
        let all = house.undisturbed().await;
        house.scene.simulator.forget_requests();
        house.scene.simulator.faults().set(Scope::all(), Fault::Status(503));
        let ended = house.run(to).await.expect_err("nobody is brought in");
        assert!(ended.contains("8 accounts failed one after the other"), "{to:?}: {ended}");
        assert!(!house.files().exists() || in_files(&house.files()).len() == 0, "{to:?}");
        house.scene.simulator.faults().clear();
        house.run(to).await.expect("a good end");
        assert_each(&house.arrived(to), &all, &format!("all of it to {to:?}"));
    }
}

#[tokio::test]
async fn the_one_who_is_left_out_is_named_at_the_end_with_the_cause_and_what_to_do() {
    let house = House::of(&["ben"]).await;
    house.scene.simulator.authorizations().revoke_everything("alice");
    let (first, last) = days_ago(60, 30);
    let directory = house.files();
    let mut command = house.scene.program();
    command.env("OURA_COLLECTIONS", COLLECTIONS).args(["backfill", "--from", &first.to_string(), "--to"]);
    command.arg(last.to_string()).arg("--output").arg(&directory);
    let output = command.output().await.expect("the program starts");
    let log = String::from_utf8_lossy(&output.stderr);
    house.scene.assert_discreet(&log, "");
    assert_eq!(output.status.code(), Some(1), "{log}");
    let (_, end) = log.rsplit_once(" samples a second").expect("its last numbers");
    assert!(end.contains(ANNA) && end.contains("left out: "), "{log}");
    assert!(end.contains("oura-exporter login --account anna"), "the next step: {log}");
    assert!(end.contains("run the same command again") && end.contains("1 account was left out"), "{log}");
    assert!(log.contains("promtool tsdb create-blocks-from") && log.contains("keep the directory"), "{log}");
    assert!(in_files(&directory).len() > 100);
}
