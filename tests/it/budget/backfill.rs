//! The years of many accounts: side by side, a few at a time, and on from where they were cut off.

use std::{collections::BTreeMap, path::Path, time::Duration};

use oura_exporter::{
    auth::Store,
    backfill::{Backfill, Destination, Interrupted, Readers, RetryPolicy},
    clock::Clock,
    config::AccountConfig,
    exporter,
    oura::ClientOptions,
    remote_write::{self, Credentials},
    samples::Target,
    simulator::Settings,
    status::ApiStats,
};

use super::Office;
use crate::{
    common::{NOON, backfill::config, day, eventually, moment},
    receiving::receiver::Receiver,
};

/// How many accounts are brought in together.
const TOGETHER: usize = 8;

/// Ten of alice's, then ten of bob's.
async fn office() -> Office {
    Office::new(NOON, &[("alice", 10), ("bob", 10)], Settings::default()).await
}

/// Seven weeks of all accounts.
fn backfill(office: &Office, state: &Path) -> Backfill {
    let mut config = config(&office.simulator, &[], &[("OURA_COLLECTIONS", "daily_sleep,daily_readiness".to_owned())]);
    let account = |(name, token): &(String, String)| AccountConfig { name: name.clone(), token: token.clone().into() };
    config.accounts = office.accounts.iter().map(account).collect();
    let kinds = config.collections.clone();
    let clock = Clock::at(moment(NOON));
    let stats = ApiStats::new().expect("good names");
    let accounts = exporter::accounts(config, &stats, &clock, ClientOptions::default()).expect("accounts");
    Backfill {
        accounts,
        kinds,
        from: day("2026-09-20"),
        to: Some(day("2026-11-07")),
        target: Target { job: "oura".to_owned(), instance: "localhost:10058".to_owned() },
        readers: Readers::Owner,
        store: Some(Store::new(state)),
        restart: false,
        clock,
        persistence: RetryPolicy { wait: Duration::from_millis(5), times: 3 },
    }
}

fn to(receiver: &Receiver) -> Destination {
    let receiver = remote_write::Receiver::new(&receiver.url(), Credentials::Open, Duration::from_secs(10));
    Destination::Remote(receiver.expect("a receiver"))
}

/// How many different samples arrived of each account.
fn arrived(receiver: &Receiver) -> BTreeMap<String, usize> {
    let mut all = receiver.kept().arrived;
    all.sort_unstable();
    all.dedup();
    let mut counts = BTreeMap::new();
    for (series, _) in all {
        let account = series.split("account=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an account");
        *counts.entry(account.to_owned()).or_default() += 1;
    }
    counts
}

/// The places of the accounts that were asked, in the order of the requests.
fn asked(office: &Office) -> Vec<usize> {
    let place = |token: &String| office.accounts.iter().position(|(_, other)| other == token).expect("an account");
    office.simulator.requests().iter().map(|request| place(request.token.as_ref().expect("a token"))).collect()
}

#[tokio::test]
async fn a_few_accounts_at_a_time_are_brought_in_from_the_first_month_to_the_last() {
    let (office, state) = (office().await, tempfile::tempdir().expect("a directory"));
    let receiver = Receiver::start().await.by(Clock::at(moment(NOON)));
    backfill(&office, state.path()).run(to(&receiver), std::future::pending()).await.expect("a good end");
    let counts = arrived(&receiver);
    assert_eq!(counts.len(), 20, "{counts:?}");
    for (account, count) in &counts {
        let alike = counts[if account.starts_with("alice") { "alice0000" } else { "bob0000" }];
        assert!(*count == alike && *count > 49 * 2, "{account} has {count} samples, not {alike}");
    }
    // What is in memory is of those that are asked together: the others have ended, or not begun.
    let together: Vec<_> = asked(&office).into_iter().map(|place| place / TOGETHER).collect();
    assert!(together.is_sorted(), "{together:?}");
    let first: Vec<_> = asked(&office).into_iter().take(2 * TOGETHER).collect();
    assert!(first.iter().any(|place| *place != first[0]), "side by side: {first:?}");
}

#[tokio::test]
async fn what_was_cut_off_goes_on_with_the_accounts_that_were_under_way() {
    let (office, state) = (office().await, tempfile::tempdir().expect("a directory"));
    let undisturbed = Receiver::start().await.by(Clock::at(moment(NOON)));
    let elsewhere = tempfile::tempdir().expect("a directory");
    backfill(&office, elsewhere.path()).run(to(&undisturbed), std::future::pending()).await.expect("a good end");
    office.simulator.forget_requests();
    let receiver = Receiver::start().await.by(Clock::at(moment(NOON)));
    let in_the_midst = async {
        let third = async || asked(&office).iter().any(|place| *place >= 2 * TOGETHER).then_some(());
        eventually("the last accounts begin", third).await;
    };
    let cut_off = backfill(&office, state.path()).run(to(&receiver), in_the_midst).await.expect_err("it was stopped");
    assert!(cut_off.is::<Interrupted>(), "{cut_off:#}");
    office.simulator.forget_requests();
    backfill(&office, state.path()).run(to(&receiver), std::future::pending()).await.expect("a good end");
    assert!(asked(&office).iter().all(|place| *place >= 2 * TOGETHER), "those before are not asked again");
    assert_eq!(arrived(&receiver), arrived(&undisturbed));
}

#[tokio::test]
async fn accounts_whose_sign_in_has_ended_are_left_out_and_named_and_the_others_brought_in() {
    let (mut office, state) = (office().await, tempfile::tempdir().expect("a directory"));
    for place in [0, 9, 19] {
        office.accounts[place].1 = format!("ended{place}");
    }
    let receiver = Receiver::start().await.by(Clock::at(moment(NOON)));
    let ended = backfill(&office, state.path()).run(to(&receiver), std::future::pending()).await;
    assert_eq!(ended.expect_err("three are left out").to_string(), "3 accounts were left out, see above");
    assert_eq!(arrived(&receiver).len(), 17);
    // Each was asked once, and not again for each month.
    let refused = office.simulator.requests().iter().filter(|request| request.status == 401).count();
    assert!(refused <= 3 * 4, "{refused}");
    // Of one alone, there is nothing to go on with.
    office.accounts.truncate(1);
    let alone = backfill(&office, state.path()).run(to(&receiver), std::future::pending()).await;
    let alone = format!("{:#}", alone.expect_err("nobody is left"));
    assert!(alone.contains("account alice0000: "), "{alone}");
}
