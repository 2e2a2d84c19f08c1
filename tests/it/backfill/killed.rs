//! SIGKILL at any moment of a backfill: going on, nothing is lost, and no time gets a second value.

use std::{io::Write as _, path::Path, process::Stdio, sync::Arc, time::Duration};

use chrono::{NaiveDate, Utc};
use tokio::{
    process::{Child, Command},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{assert_same, documents::Parts};
use crate::{
    common::{
        needs::there_are,
        samples::{Samples, files},
        stores::{RECEIVING, Store, taking},
    },
    receiving::{
        Place, days_ago,
        receiver::{Behaviour, Receiver},
    },
};

const KILLS: usize = 100;
/// Kills go on in so many places at once.
const PLACES: usize = 4;
/// Real servers are killed on less often, and files.
const FEW: usize = 8;
/// The longest wait for a request, after which a run is killed all the same.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where the seed comes from, if a run is to be repeated.
const SEED: &str = "OURA_TEST_SEED";

/// Random moments that can be had again.
fn seed(test: &str) -> u64 {
    let seed = std::env::var(SEED).ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    super::tell(&format!("{test}: {SEED}={seed}"));
    seed
}

/// How a kill went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Killed {
    Running,
    /// The program had come to its end before.
    TooLate,
}

/// Starts `command` and kills it: after some requests more, and a moment after that.
async fn kill(command: &mut Command, receiver: &Receiver, random: &mut fastrand::Rng) -> Killed {
    let (requests, moment) = ([0, 1, 1, 1, 2, 2, 3][random.usize(..7)], Duration::from_micros(random.u64(0..25_000)));
    let wanted = receiver.requests() + requests;
    let mut child = spawn(command);
    tokio::select! {
        ended = child.wait() => {
            assert!(ended.expect("an end").success(), "what ends by itself ends well");
            return Killed::TooLate;
        }
        _ = timeout(PATIENCE, receiver.came(wanted)) => {}
    }
    sleep(moment).await;
    end(child).await
}

fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

async fn end(mut child: Child) -> Killed {
    child.start_kill().expect("a signal");
    let ended = child.wait().await.expect("an end");
    if ended.success() { Killed::TooLate } else { Killed::Running }
}

/// What came of the kills in one place.
#[derive(Default)]
struct Tally {
    kills: usize,
    rounds: usize,
    requests: usize,
    sent: usize,
    needed: usize,
}

impl Tally {
    fn tell(tallies: &[Self], what: &str) {
        let sum = |of: fn(&Self) -> usize| tallies.iter().map(of).sum::<usize>();
        let text = format!(
            "{what}: {} kills in {} rounds, {} requests, {} samples sent for {}; 0 lost, 0 changed\n",
            sum(|tally| tally.kills),
            sum(|tally| tally.rounds),
            sum(|tally| tally.requests),
            sum(|tally| tally.sent),
            sum(|tally| tally.needed)
        );
        let _ = std::io::stderr().write_all(text.as_bytes());
        assert!(sum(|tally| tally.kills) >= KILLS, "{text}");
        assert!(sum(|tally| tally.sent) > sum(|tally| tally.needed), "kills fell into requests: {text}");
    }

    fn add(&mut self, receiver: &Receiver, all: &Samples) {
        let kept = receiver.kept();
        kept.assert_proper("killed");
        self.rounds += 1;
        self.requests += kept.requests;
        self.sent += kept.sent.samples;
        self.needed += all.len();
    }
}

/// Answers come a little later than the samples are taken, so that kills fall in between too.
fn slow() -> Behaviour {
    Behaviour { slow: 20, ..Behaviour::default() }
}

/// Backfills from beginning to end, killed over and over again, until there were enough kills.
async fn kill_backfills(place: &Place, number: usize, days: (NaiveDate, NaiveDate), all: &Samples, seed: u64) -> Tally {
    let (mut random, mut tally) = (fastrand::Rng::with_seed(seed), Tally::default());
    while tally.kills < KILLS / PLACES {
        let receiver = Receiver::that(slow()).await;
        let state = format!("state-{number}-{}", tally.rounds);
        let url = receiver.url();
        let program = || place.backfill(&state, days, &["--remote-write", &url]);
        while tally.kills < KILLS / PLACES && kill(&mut program(), &receiver, &mut random).await == Killed::Running {
            tally.kills += 1;
        }
        let said = place.ended(&mut program()).await;
        assert_eq!(said.code, Some(0), "{}", said.log);
        assert_same(&receiver.kept().samples, all, &format!("after {} kills", tally.kills));
        tally.add(&receiver, all);
    }
    tally
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_that_is_killed_over_and_over_brings_all_in_and_nothing_else() {
    let mut place = Place::new().await;
    place.collections = "daily_readiness,sleep";
    // Each day is a request, and a month ends in between.
    let (place, days, seed) = (Arc::new(place), days_ago(36, 8), seed("killed backfills"));
    let all = Arc::new(place.undisturbed(days, &[]).await);
    let mut places = JoinSet::new();
    for number in 0..PLACES {
        let (place, all) = (Arc::clone(&place), Arc::clone(&all));
        places.spawn(async move { kill_backfills(&place, number, days, &all, seed ^ number as u64).await });
    }
    Tally::tell(&places.join_all().await, "killed backfills");
}

/// Kills a run after a random while, unless it ends before.
async fn kill_soon(command: &mut Command, random: &mut fastrand::Rng) -> Killed {
    let child = spawn(command);
    sleep(Duration::from_millis(random.u64(20..500))).await;
    end(child).await
}

/// Kills a run as soon as something is the case, unless it ends before.
async fn kill_when(command: &mut Command, mut is_so: impl FnMut() -> bool) -> Killed {
    let mut child = spawn(command);
    while !is_so() && child.try_wait().expect("a state").is_none() {
        sleep(Duration::from_millis(1)).await;
    }
    end(child).await
}

/// Files that are not there yet, of those that an undisturbed run writes.
fn missing(directory: &Path, whole: &Path) -> usize {
    let written = if directory.is_dir() { files(directory).len() } else { 0 };
    files(whole).len().saturating_sub(written)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_a_killed_run_are_whole_and_the_same_command_makes_them_all() {
    let mut place = Place::new().await;
    place.collections = "daily_readiness,sleep";
    let (days, seed) = (days_ago(100, 10), seed("killed files"));
    let whole = place.path("whole");
    let into = |directory: &Path| ["--output".to_owned(), directory.display().to_string()];
    let run = |state: &str, directory: &Path| {
        let into = into(directory);
        place.backfill(state, days, &[&into[0], &into[1]])
    };
    assert_eq!(place.ended(&mut run("whole-state", &whole)).await.code, Some(0));
    let (all, mut random, mut amid) = (Samples::of_files(&whole), fastrand::Rng::with_seed(seed), 0);
    let directory = place.path("files");
    for kills in 1..=FEW {
        let (mut command, least) = (run("state", &directory), random.usize(1..files(&whole).len()));
        kill_when(&mut command, || files_of_om(&directory).len() >= least).await;
        let om: Vec<_> = files_of_om(&directory);
        om.iter().for_each(|file| drop(Samples::of_file(file)));
        amid += usize::from(!om.is_empty() && missing(&directory, &whole) > 0);
        let said = place.ended(&mut run("state", &directory)).await;
        assert_eq!(said.code, Some(0), "{}", said.log);
        assert_eq!(files(&directory).len(), files(&whole).len(), "and nothing beside them");
        assert_same(&Samples::of_files(&directory), &all, &format!("files after {kills} kills"));
        std::fs::remove_dir_all(&directory).expect("a directory");
    }
    assert!(amid >= 2, "only {amid} kills fell between two files");
}

/// The files that promtool would be given.
fn files_of_om(directory: &Path) -> Vec<std::path::PathBuf> {
    let all = if directory.is_dir() { files(directory) } else { vec![] };
    all.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "om")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_holds_what_the_files_hold_after_some_kills() {
    if !there_are(&["prometheus"], "a_real_prometheus_holds_what_the_files_hold_after_some_kills") {
        return;
    }
    let (place, days, seed) = (Place::new().await, days_ago(14, 7), seed("killed before Prometheus"));
    let flags = [RECEIVING, "--storage.tsdb.retention.time=10y"];
    let prometheus = Store::prometheus(&taking(Some("30d")), &flags).await;
    let all = place.undisturbed(days, &[]).await;
    let url = prometheus.write_url();
    let program = || place.backfill("state", days, &["--remote-write", &url]);
    let (mut random, mut kills) = (fastrand::Rng::with_seed(seed), 0);
    // A run that came to its end begins anew, and may be killed as well.
    for _ in 0..10 * FEW {
        let killed = kills < FEW && kill_soon(&mut program(), &mut random).await == Killed::Running;
        kills += usize::from(killed);
    }
    let said = place.ended(&mut program()).await;
    assert_eq!(said.code, Some(0), "{}", said.log);
    let now = Utc::now();
    let stored = Parts::of(&Samples::of_store(&prometheus).await, now);
    stored.assert_same(&Parts::of(&all, now), &format!("Prometheus after {kills} kills"));
    assert_eq!(kills, FEW, "too few kills fell before the end");
}
