//! The record of an account once it is as long as it gets: what it takes of memory and of the disk.

use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use oura_exporter::{
    auth::{Store, TokenSource},
    clock::Clock,
    documents::KINDS,
    oura::{Client, ClientOptions, Transport},
    poll::{Account, Poller},
    samples::{JournalIn, SampleStats, Samples},
    simulator::{Settings, Simulator},
    state::Snapshot,
    status::ApiStats,
    tls,
};
use tokio::runtime::Runtime;

use super::{of_a_child, program::size, resident};

/// How many days are lived through: more than the record remembers.
const DAYS: i64 = 21;
/// How far apart everything is asked for.
const STEP: TimeDelta = TimeDelta::hours(4);
/// How many accounts are compared with one.
const MANY: usize = 11;

/// Measures one account and several, each in a process of its own, and prints what one more takes.
pub(super) fn print() {
    let [one, many] = [1, MANY].map(|count| of_a_child(&["record", &count.to_string()]));
    let each = |what: usize| (many[what] - one[what]) / (MANY - 1) as f64 / 1e6;
    println!(
        "an account after {DAYS} days, with the record and without its part of the page: {:.2} MB of memory, {:.2} MB of \
         files",
        each(0),
        each(1)
    );
}

/// Has so many accounts live through these days; the bytes that they take of memory and of the disk.
pub(super) fn measure(count: usize) -> String {
    tls::choose_provider();
    Runtime::new().expect("a runtime").block_on(async {
        let start = Utc::now() - TimeDelta::days(DAYS);
        let (clock, hand) = Clock::driven_from(start);
        let settings = Settings { clock: clock.clone().into(), application_limit: None, ..Settings::default() };
        let simulator = Simulator::start(settings).await.expect("a free port");
        let stats = ApiStats::new().expect("good names");
        let options = ClientOptions { stagger: Duration::ZERO, ..ClientOptions::default() };
        let transport = Transport::new(&simulator.url(), false, options, clock.clone(), stats.clone());
        let transport = Arc::new(transport.expect("a transport"));
        let accounts = accounts(count, &transport, &simulator.people()[0].token);
        let state = tempfile::tempdir().expect("a directory");
        let journals = JournalIn::State(Some(Store::new(state.path())));
        let samples = Samples::new(journals, SampleStats::new().expect("good names"));
        let poller = Poller {
            snapshot: Arc::new(Snapshot::new(vec![], clock.clone(), TimeDelta::hours(36))),
            kinds: KINDS.iter().collect(),
            interval: Duration::from_secs(300),
            client_options: options,
            clock: clock.clone(),
            stats,
            samples: Some(Arc::new(samples)),
            inbox: None,
        };
        let mut followers = poller.by_hand(accounts);
        while clock.now() < start + TimeDelta::days(DAYS) {
            followers.catch_up().await;
            simulator.forget_requests();
            hand.advance(STEP);
        }
        format!("{} {}", resident("self"), size(state.path()))
    })
}

/// So many accounts that one token opens.
fn accounts(count: usize, transport: &Arc<Transport>, token: &str) -> Vec<Account> {
    let account = |number: usize| {
        let client = Client::new(Arc::clone(transport), TokenSource::Fixed(token.to_owned().into()));
        Account { name: format!("subject-{number:05}"), client: Arc::new(client) }
    };
    (0..count).map(account).collect()
}
