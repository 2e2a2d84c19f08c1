//! What the record costs: requests and bytes a day at the service, lines and bytes for whoever scrapes, and memory.

use std::fs;

use chrono::{DateTime, TimeDelta, Utc};
use oura_exporter::{
    clock::Clock,
    simulator::{Settings, Simulator},
    tls,
};

use super::{
    by_hand::{ByHand, Process, variables},
    scene::{SEED, Scene},
    tell,
};
use crate::common::{moment, servers::free_address};

/// How often a usual exporter asks.
const POLL: TimeDelta = TimeDelta::minutes(5);
/// When the day begins that is measured: days differ by some hundred lines.
const BEGINNING: &str = "2026-08-18T06:00:00Z";
/// What a day may cost at the service.
const MOST_REQUESTS: usize = 3_000;
const MOST_BYTES: usize = 3_000_000;
/// What a page of samples may be.
const MOST_LINES: usize = 15_000;
const MOST_GZIPPED: usize = 250_000;

/// How many samples the page has, and how long it is when it is gzipped.
async fn page(exporter: &ByHand) -> (usize, usize) {
    let lines = exporter.get("/metrics/samples").await.lines().filter(|line| !line.starts_with('#')).count();
    (lines, exporter.get_gzipped("/metrics/samples").await.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_of_polls_and_looking_back_costs_less_than_three_thousand_requests_and_three_megabytes() {
    let scene = Scene::from("alice", moment(BEGINNING)).await;
    let mut exporter = ByHand::start(scene.variables(), "127.0.0.1:1", scene.clock.clone());
    exporter.look().await;
    let mut largest = page(&exporter).await;
    tell(&format!("samples at the start: {} lines, {} bytes gzipped", largest.0, largest.1));
    scene.simulator.forget_requests();
    let begin = scene.lived();
    while scene.lived() < begin + TimeDelta::days(1) {
        scene.advance(POLL);
        exporter.look().await;
        if (scene.lived() - begin).num_minutes() % 120 == 0 {
            let now = page(&exporter).await;
            largest = (largest.0.max(now.0), largest.1.max(now.1));
        }
    }
    let requests = scene.simulator.requests();
    let bytes: usize = requests.iter().map(|request| request.body_bytes).sum();
    tell(&format!("a day: {} requests, {bytes} bytes of answers", requests.len()));
    tell(&format!("samples at most: {} lines, {} bytes gzipped", largest.0, largest.1));
    assert!(requests.iter().all(|request| request.status == 200));
    assert!(requests.len() > 1_000 && requests.len() < MOST_REQUESTS, "{} requests", requests.len());
    assert!(bytes > 100_000 && bytes < MOST_BYTES, "{bytes} bytes");
    assert!(largest.0 > 5_000 && largest.0 < MOST_LINES, "{} lines", largest.0);
    assert!(largest.1 < MOST_GZIPPED, "{} bytes gzipped", largest.1);
}

/// How long it runs, in days.
const RUNS: i64 = 14;
/// How far apart it asks for everything, so that the test does not take too long: what is kept is the same.
const STEP: TimeDelta = TimeDelta::hours(4);
/// How many times the memory of its own that it has at first it may have after two weeks, and after a start with the journal
/// of two weeks. How much that is depends on how it is built; what its file takes besides says nothing in a build for tests.
const MOST_AFTER_TWO_WEEKS: u64 = 3;
const MOST_AFTER_A_RESTART: u64 = 2;

/// Asks for everything, and is asked for it.
async fn look(process: &mut Process, address: &str, now: DateTime<Utc>) {
    process.look(now).await;
    for path in ["/metrics", "/metrics/samples"] {
        let answer = reqwest::get(format!("http://{address}{path}")).await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        answer.bytes().await.expect("a body");
    }
}

/// The memory of its own that it has, in kB.
fn memory(process: &Process, when: &str) -> u64 {
    let [own, all, most] = ["RssAnon:", "VmRSS:", "VmHWM:"].map(|what| process.memory(what));
    tell(&format!("memory {when}: {own} kB of its own, {all} kB with its file, {most} kB at most"));
    own
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_fourteen_days_it_takes_little_memory_and_after_a_restart_less() {
    tls::choose_provider();
    let start = Utc::now() - TimeDelta::days(RUNS);
    let (clock, hand) = Clock::driven_from(start);
    let settings = Settings { clock: clock.clone().into(), seed: SEED, full_days: Some(0), ..Settings::default() };
    let simulator = Simulator::start(settings).await.expect("a free port");
    let (state, address) = (tempfile::tempdir().expect("a directory"), free_address().await);
    let mut variables = variables(&simulator, "alice");
    variables.push(("OURA_STATE_DIR", state.path().display().to_string()));
    let mut process = Process::start(&variables, &address, start);
    look(&mut process, &address, start).await;
    let first = memory(&process, "at first");
    while clock.now() < start + TimeDelta::days(RUNS) {
        hand.advance(STEP);
        look(&mut process, &address, clock.now()).await;
    }
    let own = memory(&process, "after fourteen days");
    assert!(own < MOST_AFTER_TWO_WEEKS * first, "{own} kB, {first} kB at first");
    process.kill().await;
    let mut process = Process::start(&variables, &address, clock.now());
    look(&mut process, &address, clock.now()).await;
    let own = memory(&process, "with a journal of fourteen days");
    assert!(own < MOST_AFTER_A_RESTART * first, "{own} kB, {first} kB at first");
    let journal = fs::metadata(state.path().join("samples/alice.journal")).expect("a journal").len();
    assert!(journal > 1_000_000, "a journal of fourteen days, not {journal} bytes");
}
