//! SIGKILL at any moment of sending history: nothing is lost, and no time gets a second value.

mod common;
mod receiving;

use std::{io::Write as _, process::Stdio, sync::Arc, time::Duration};

use chrono::{NaiveDate, Utc};
use common::{
    needs::there_are,
    samples::Samples,
    stores::{RECEIVING, Store, taking},
};
use oura_exporter::clock::Clock;
use receiving::{
    Place, days_ago, live,
    receiver::{Behaviour, Receiver},
    surely_sent, undisturbed_live,
};
use tokio::{
    process::{Child, Command},
    task::JoinSet,
    time::{sleep, timeout},
};

const KILLS: usize = 100;
/// Kills go on in so many places at once.
const PLACES: usize = 4;
/// Real servers are killed on less often.
const FEW: usize = 10;
/// Often enough that a day is of many requests.
const OFTEN: &[&str] = &["--every", "3m"];
/// A free port for the page.
const ANYWHERE: [&str; 2] = ["--web.listen-address", "127.0.0.1:0"];
/// The longest wait for a request, after which a run is killed all the same.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where the seed comes from, if a run is to be repeated.
const SEED: &str = "OURA_TEST_SEED";

/// Random moments that can be had again.
fn seed(test: &str) -> u64 {
    let seed = std::env::var(SEED).ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    let _ = writeln!(std::io::stderr(), "{test}: {SEED}={seed}");
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
        let arguments = [OFTEN, &["--remote-write", &url]].concat();
        let program = || place.backfill(&state, days, &arguments);
        while tally.kills < KILLS / PLACES && kill(&mut program(), &receiver, &mut random).await == Killed::Running {
            tally.kills += 1;
        }
        let said = place.ended(&mut program()).await;
        assert_eq!(said.code, Some(0), "{}", said.log);
        receiver.kept().samples.assert_same(all, &format!("after {} kills", tally.kills));
        tally.add(&receiver, all);
    }
    tally
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_that_is_killed_over_and_over_brings_all_in_and_nothing_else() {
    let mut place = Place::new().await;
    place.collections = "daily_readiness,sleep";
    let (place, days, seed) = (Arc::new(place), days_ago(8, 8), seed("killed backfills"));
    let all = Arc::new(place.undisturbed(days, OFTEN).await);
    let mut places = JoinSet::new();
    for number in 0..PLACES {
        let (place, all) = (Arc::clone(&place), Arc::clone(&all));
        places.spawn(async move { kill_backfills(&place, number, days, &all, seed ^ number as u64).await });
    }
    Tally::tell(&places.join_all().await, "killed backfills");
}

/// Has a live exporter send until the receiver has `all`, and a little longer.
async fn live_until(place: &Place, state: &str, receiver: &Receiver, all: &Samples) {
    let mut command = live(place, state, receiver);
    let child = spawn(command.args(ANYWHERE));
    let has_all = async || (all.beyond(&receiver.kept().samples) == 0).then_some(());
    common::eventually("all is sent", has_all).await;
    end(child).await;
}

/// Live sending, killed a few times from each first start on.
async fn kill_live(place: &Place, number: usize, all: &Samples, since: i64, seed: u64) -> Tally {
    let (mut random, mut tally) = (fastrand::Rng::with_seed(seed), Tally::default());
    while tally.kills < KILLS / PLACES {
        let receiver = Receiver::that(slow()).await;
        let state = format!("live-{number}-{}", tally.rounds);
        while receiver.requests() < 9 && tally.kills < KILLS / PLACES {
            kill(live(place, &state, &receiver).args(ANYWHERE), &receiver, &mut random).await;
            tally.kills += 1;
        }
        live_until(place, &state, &receiver, all).await;
        let samples = receiver.kept().samples.only(|_, time| time >= since);
        samples.assert_same(all, &format!("after {} kills", tally.kills));
        tally.add(&receiver, all);
    }
    tally
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_sending_that_is_killed_over_and_over_sends_all_and_nothing_else() {
    let mut place = Place::of("alice", Clock::still_at(Utc::now())).await;
    place.collections = "heartrate";
    let (place, seed, since) = (Arc::new(place), seed("killed live sending"), surely_sent());
    let all = Arc::new(undisturbed_live(&place, since).await);
    let mut places = JoinSet::new();
    for number in 0..PLACES {
        let (place, all) = (Arc::clone(&place), Arc::clone(&all));
        places.spawn(async move { kill_live(&place, number, &all, since, seed ^ number as u64).await });
    }
    Tally::tell(&places.join_all().await, "killed live sending");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_holds_what_the_files_hold_after_some_kills() {
    if !there_are(&["prometheus"], "a_real_prometheus_holds_what_the_files_hold_after_some_kills") {
        return;
    }
    let (place, days, seed) = (Place::new().await, days_ago(8, 7), seed("killed before Prometheus"));
    let prometheus = Store::prometheus(&taking(Some("30d")), &[RECEIVING]).await;
    let files = place.path("files");
    let output = ["--output", files.to_str().expect("a path")];
    assert_eq!(place.ended(&mut place.backfill("files-state", days, &output)).await.code, Some(0));
    let url = prometheus.write_url();
    let program = || place.backfill("state", days, &["--remote-write", &url]);
    let (mut random, mut kills) = (fastrand::Rng::with_seed(seed), 0);
    while kills < FEW {
        let child = spawn(&mut program());
        sleep(Duration::from_millis(random.u64(50..500))).await;
        if end(child).await == Killed::TooLate {
            break;
        }
        kills += 1;
    }
    let said = place.ended(&mut program()).await;
    assert_eq!(said.code, Some(0), "{}", said.log);
    Samples::of_store(&prometheus).await.assert_same(&Samples::of_files(&files), &format!("after {kills} kills"));
    assert!(kills >= 3, "only {kills} kills fell before the end");
}
