//! What a remote-write receiver may do while samples are sent live, and what is lost then: only what it never takes, counted
//! and told in words. What a backfill makes of the same faults is in `backfill`.

use std::{io::Write as _, sync::Arc, time::Duration};

use crate::common::{Page, Program, eventually, samples::Samples};
use crate::receiving::{
    Place,
    faults::{self, Row, in_the_midst, only},
    live,
    receiver::{Behaviour, Kept, Receiver, Rule, Trouble},
    served, settled, surely_sent, undisturbed_live,
};
use chrono::{TimeDelta, Utc};
use oura_exporter::clock::Clock;
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

/// What the page says while nothing is taken, from when the receiver has shown that it takes nothing.
async fn while_away(program: &Program) -> Page {
    eventually("it is seen to be away", async || {
        let page = Page::parse(&program.get("/metrics").await?);
        (page.get("oura_remote_write_up") == Some(0.0)).then_some(page)
    })
    .await
}

/// Somebody whose requests are small: a dozen samples for each day.
async fn with_small_requests() -> Place {
    let mut place = Place::of("alice", Clock::still_at(Utc::now())).await;
    place.collections = "daily_readiness";
    place
}

#[tokio::test]
async fn a_receiver_that_refuses_everything_costs_nothing_however_small_the_requests() {
    let place = with_small_requests().await;
    let recent = (Utc::now() - TimeDelta::days(7)).timestamp_millis();
    for (status, words, since) in
        [(400, "unsupported path", 0), (422, "no such tenant", 0), (409, "", 0), (400, "from now on", recent)]
    {
        let rule = Rule::Samples(status, words, Arc::new(move |_, time| time >= since));
        let receiver = Receiver::that(Behaviour { rules: vec![rule], ..Behaviour::default() }).await;
        let program = Program::start(&mut live(&place, &format!("{status}-{since}"), &receiver)).await;
        program.ready().await;
        let page = while_away(&program).await;
        let all = served(&program).await;
        let refused = all.only(|_, time| time >= since).len();
        assert!(refused > 60, "{status} {words}: {refused} of {}", all.len());
        assert_eq!(page.get("oura_remote_write_refused_samples_total"), Some(0.0), "{status} {words}");
        assert!(page.get("oura_remote_write_pending_samples") >= Some(refused as f64), "{status} {words}");
        receiver.came(receiver.requests() + 20).await;
        receiver.set(Behaviour::default());
        let page = settled(&program).await;
        receiver.kept().samples.assert_same(&all, words);
        assert_eq!(page.get("oura_remote_write_refused_samples_total"), Some(0.0), "{status} {words}");
        let (_, log) = program.terminate().await;
        // One that takes what is older is away once more for each time that it takes some; each is told once.
        let outages = log.matches("takes samples again").count();
        assert!(outages == 1 || since > 0, "{log}");
        assert!(!log.contains(" lost") && log.matches("refuses every sample").count() == outages, "{log}");
    }
}

#[tokio::test]
async fn requests_that_a_receiver_refuses_whole_are_lost_if_it_takes_those_after_them_and_counted_once() {
    let place = with_small_requests().await;
    for days in [1, 3] {
        let program = Program::start(&mut place.program(&format!("first-{days}"))).await;
        program.ready().await;
        let oldest = served(&program).await.quantile(0.0).div_euclid(86_400_000) + days;
        program.terminate().await;
        let rule = Rule::Samples(400, "wrong", Arc::new(move |_, time| time.div_euclid(86_400_000) < oldest));
        let receiver = Receiver::that(Behaviour { rules: vec![rule], ..Behaviour::default() }).await;
        let program = Program::start(&mut live(&place, &format!("days-{days}"), &receiver)).await;
        let (page, all) = (settled(&program).await, served(&program).await);
        let lost = all.only(|_, time| time.div_euclid(86_400_000) < oldest).len();
        assert!(lost > 5 && lost < 50, "{lost}");
        assert_eq!(page.get("oura_remote_write_refused_samples_total"), Some(lost as f64));
        receiver.kept().samples.assert_same(&all.only(|_, time| time.div_euclid(86_400_000) >= oldest), "the others");
        let (_, log) = program.terminate().await;
        assert!(log.contains(&format!("{lost} samples are lost")) && !log.contains("--output"), "{log}");
    }
}

#[tokio::test]
async fn each_cause_of_an_outage_is_told_once() {
    let place = with_small_requests().await;
    let troubles = [Trouble::Status(503, None), Trouble::Status(401, None), Trouble::Cut, Trouble::Status(503, None)];
    let troubles = (0..).zip(troubles).map(|(number, trouble)| (number..number + 1, trouble)).collect();
    let receiver = Receiver::that(Behaviour { troubles, ..Behaviour::default() }).await;
    let program = Program::start(&mut live(&place, "outages", &receiver)).await;
    receiver.came(5).await;
    settled(&program).await;
    let (_, log) = program.terminate().await;
    let told: Vec<_> = log.lines().filter(|line| line.contains("remote write: ")).collect();
    assert_eq!(told.len(), 4, "{log}");
    assert!(told[0].contains("503") && told[1].contains("401") && told[3].contains("takes samples again"), "{log}");
}

/// Live sending in this process, where a receiver need not be waited for as long.
mod inner {
    use std::{sync::Arc, time::Duration};

    use chrono::{TimeDelta, Utc};
    use oura_exporter::{
        clock::Clock,
        documents::kind,
        observation::Run,
        problem::TokenOrigin,
        remote_write::{Credentials, Live, LiveStats, Receiver},
        samples::{JournalIn, SampleStats, Samples, Target},
        shard::Shard,
    };
    use tokio::{sync::watch, task::JoinHandle};

    use crate::receiving::receiver;

    pub(super) const LIVE_SAMPLES: usize = 100;

    /// Sends some samples, and waits so long for an answer.
    pub(super) fn live(to: &receiver::Receiver, timeout: Duration) -> JoinHandle<()> {
        let samples = Arc::new(Samples::new(JournalIn::Nowhere, SampleStats::new().expect("counters")));
        let now = Utc::now();
        let rows = (0..LIVE_SAMPLES).map(|number| (now - TimeDelta::seconds(number as i64), 60.0));
        let run = Run { name: "oura_sample_met", labels: vec![], samples: rows.collect() };
        let record = samples.keep("alice", TokenOrigin::ByHand, now);
        samples.learn_dense(&record, kind("daily_activity").expect("a kind"), |take| take(run), now);
        let live = Live {
            samples,
            receiver: Receiver::new(&to.url(), Credentials::Open, timeout).expect("a client"),
            target: Target { job: "oura".to_owned(), instance: "localhost:10058".to_owned() },
            state: None,
            shard: Shard::default(),
            clock: Clock::system(),
            stats: LiveStats::new().expect("counters"),
        };
        tokio::spawn(live.run(watch::channel(false).1))
    }
}
