//! The start: one household is read at once, and many accounts one after the other.

use chrono::TimeDelta;
use oura_exporter::simulator::{Fault, Scope, Settings};

use super::{Office, get, tell};
use crate::common::NOON;

#[tokio::test]
async fn a_household_is_read_at_once() {
    for people in [&[("alice", 1)][..], &[("alice", 2), ("bob", 2)]] {
        let mut office = Office::new(NOON, people, Settings::default()).await;
        office.open(&[]);
        // The clock stands still but for what goes by itself, so that whoever waited for the budget would wait for long.
        office.settle().await;
        assert!(office.is_ready().await, "{people:?}");
        let requests = office.simulator.requests();
        assert!(requests.iter().all(|request| request.status == 200), "{people:?}");
    }
}

#[tokio::test]
async fn forty_accounts_begin_spread_over_time_and_all_are_read() {
    let mut office = Office::new(NOON, &[("alice", 20), ("bob", 20)], Settings::default()).await;
    // Whoever gets no answer holds nobody up.
    office
        .simulator
        .faults()
        .set(Scope::person("bob").and_collection("workout"), Fault::Times(1, Box::new(Fault::Hang)));
    office.open(&[]);
    let hung = |ready: &str| ready.matches("account ").count() == 1 && ready.contains("workout");
    // By the clock of the budget, on which the time that the test itself takes goes by as well.
    let (begun, first) = (office.clock.now(), office.clock.instant());
    let mut at_once = None;
    office.settle().await;
    while !hung(&get(&office.running[0], "/-/ready").await) {
        let (count, seconds) = (office.simulator.request_count(), (office.clock.instant() - first).as_secs_f64());
        at_once.get_or_insert(count);
        assert!(count as f64 <= 101.0 + 13.0 * seconds, "{count} requests in {seconds} s");
        assert!(office.clock.now() - begun < TimeDelta::minutes(3), "not all are read within three minutes");
        office.hand.advance(TimeDelta::seconds(1));
        office.settle().await;
    }
    let (took, at_once) = ((office.clock.now() - begun).num_seconds(), at_once.expect("they are not read at once"));
    let requests = office.simulator.requests();
    tell(&format!(
        "40 accounts: {} requests in {took} s, {at_once} of them before the clock has moved",
        requests.len()
    ));
    assert!(at_once >= 100, "{at_once} requests at once");
    let refused = requests.iter().filter(|request| ![0, 200].contains(&request.status)).count();
    assert_eq!(refused, 0);
    let page = office.page(0).await;
    let up =
        office.accounts.iter().filter(|(name, _)| page.get(&format!("oura_up{{account=\"{name}\"}}")) == Some(1.0));
    assert_eq!(up.count(), 39, "all but the one that hangs");
}
