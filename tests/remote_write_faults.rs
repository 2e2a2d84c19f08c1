//! What a remote-write receiver may do while samples are sent live, and what is lost then: only what it never takes, counted
//! and told in words. What a backfill makes of the same faults is in `backfill`.

mod common;
mod receiving;

use std::{io::Write as _, sync::Arc, time::Duration};

use chrono::Utc;
use common::{Program, eventually, samples::Samples};
use oura_exporter::clock::Clock;
use receiving::{
    Place,
    faults::{self, Row, in_the_midst, only},
    live,
    receiver::{Behaviour, Kept, Receiver, Rule, Trouble},
    settled, surely_sent, undisturbed_live,
};
use tokio::{sync::Semaphore, task::JoinSet};

/// What a sender of `all` can meet live.
fn rows(all: &Samples) -> Vec<Row> {
    let (series, time, value) = in_the_midst(all, |_| true);
    let this = only(&series, time);
    let duplicate = Rule::Samples(400, "duplicate sample for timestamp", Arc::clone(&this));
    let mut rows = faults::rows(all, |_| true, "takes samples again");
    rows.push(Row {
        has: vec![(series, time, value + 1.0)],
        ..Row::refusing("400 \"duplicate sample\"", duplicate, this, "another value at that time")
    });
    rows.push(Row::passing("401 once", 1..2, Trouble::Status(401, None), "OURA_REMOTE_WRITE_BEARER_TOKEN"));
    rows
}

/// Prints what became of a fault, past the test runner.
fn tell(row: &Row, kept: &Kept, all: &Samples, lost: usize) {
    let never = all.only(&*row.refuses).len();
    let line = format!(
        "live | {:30} | {:6} samples | {lost:5} refused and told, of which {:3} only to find the others | {:3} requests\n",
        row.fault,
        all.len(),
        lost - never,
        kept.requests
    );
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// The receiver has all that it takes of `all`, and nothing that is not in there.
fn assert_nothing_lost(row: &Row, kept: &Kept, all: &Samples) -> usize {
    kept.assert_proper(row.fault);
    let takes = |series: &str, time| !(row.refuses)(series, time);
    let (taken, expected) = (kept.samples.only(takes), all.only(takes));
    assert_eq!(taken.beyond(&expected), 0, "{}: beyond what is there", row.fault);
    let missing = expected.beyond(&taken);
    assert_eq!(missing, 0, "{}: of {} lost that it would have taken", row.fault, expected.len());
    all.only(&*row.refuses).len() + missing
}

async fn lives_through(place: &Place, row: &Row, number: usize, all: &Samples, since: i64) {
    let receiver = row.receiver().await;
    let program = Program::start(&mut live(place, &format!("live-{number}"), &receiver)).await;
    receiver.came(1).await;
    let page = settled(&program).await;
    let mut kept = receiver.kept();
    kept.samples = kept.samples.only(|_, time| time >= since);
    let lost = assert_nothing_lost(row, &kept, all);
    let count = |name: &str| page.get(name).unwrap_or(0.0);
    assert!(count("oura_remote_write_refused_samples_total") >= lost as f64, "{}", row.fault);
    assert_eq!(count("oura_remote_write_refused_samples_total") > 0.0, lost > 0, "{}", row.fault);
    assert_eq!(count("oura_remote_write_up"), 1.0, "{}: it goes on", row.fault);
    assert_eq!(count("oura_up"), 1.0, "{}: and the page with it", row.fault);
    let (code, log) = program.terminate().await;
    place.assert_discreet(&log);
    assert!(code == Some(0) && log.contains(row.says), "{}: {log}", row.fault);
    tell(row, &kept, all, lost);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_sending_loses_only_what_a_receiver_never_takes() {
    let mut place = Place::of("alice", Clock::still_at(Utc::now())).await;
    place.collections = "heartrate";
    let (place, since) = (Arc::new(place), surely_sent());
    let all = Arc::new(undisturbed_live(&place, since).await);
    let mut runs = JoinSet::new();
    // All at once, the row of 1,700 requests gets too little of two cores.
    let places = Arc::new(Semaphore::new(3));
    for (number, row) in rows(&all).into_iter().enumerate() {
        let (place, all, places) = (Arc::clone(&place), Arc::clone(&all), Arc::clone(&places));
        runs.spawn(async move {
            let _one = places.acquire().await.expect("it is never closed");
            lives_through(&place, &row, number, &all, since).await;
        });
    }
    runs.join_all().await;
}

#[tokio::test]
async fn live_samples_wait_for_a_receiver_that_never_answers() {
    let hangs = Behaviour { troubles: vec![(0..2, Trouble::Hang)], ..Behaviour::default() };
    let receiver = Receiver::that(hangs).await;
    let sending = inner::live(&receiver, Duration::from_millis(300));
    receiver.came(3).await;
    let taken = async || (receiver.kept().samples.len() == inner::LIVE_SAMPLES).then_some(());
    eventually("they are taken", taken).await;
    sending.abort();
    receiver.kept().assert_proper("hang");
}

/// Live sending in this process, where a receiver need not be waited for as long.
mod inner {
    use std::{sync::Arc, time::Duration};

    use chrono::{TimeDelta, Utc};
    use oura_exporter::{
        clock::Clock,
        documents::kind,
        observation::Run,
        remote_write::{Access, Live, LiveStats, Receiver},
        samples::{JournalIn, SampleStats, Samples, Target},
    };
    use tokio::{sync::watch, task::JoinHandle};

    use super::receiving::receiver;

    pub(super) const LIVE_SAMPLES: usize = 100;

    /// Sends some samples, and waits so long for an answer.
    pub(super) fn live(to: &receiver::Receiver, timeout: Duration) -> JoinHandle<()> {
        let samples = Arc::new(Samples::new(JournalIn::Nowhere, SampleStats::new().expect("counters")));
        let now = Utc::now();
        let rows = (0..LIVE_SAMPLES).map(|number| (now - TimeDelta::seconds(number as i64), 60.0));
        let run = Run { name: "oura_sample_met", labels: vec![], samples: rows.collect() };
        samples.keep("alice", now);
        samples.learn_dense("alice", kind("daily_activity").expect("a kind"), |take| take(run), now);
        let live = Live {
            samples,
            receiver: Receiver::new(&to.url(), Access::Open, timeout).expect("a client"),
            target: Target { job: "oura".to_owned(), instance: "localhost:10058".to_owned() },
            state: None,
            clock: Clock::system(),
            stats: LiveStats::new().expect("counters"),
        };
        tokio::spawn(live.run(watch::channel(false).1))
    }
}
