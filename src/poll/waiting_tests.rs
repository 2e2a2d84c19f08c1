//! An account that waits is small: there are thousands of them, and each waits almost all of its time.

use std::{mem::size_of_val, sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use tokio::sync::{oneshot, watch};

use super::{Account, Poller, follower::Follower};
use crate::{
    auth::TokenSource,
    clock::Clock,
    documents::KINDS,
    observation::Known,
    oura::{Client, ClientOptions, Transport},
    state::Snapshot,
    status::ApiStats,
    tls,
};

/// The most that the future of an account takes, in bytes, whatever runs in it.
const MOST: usize = 4000;

fn poller_of_anna() -> (Poller, Account) {
    tls::choose_provider();
    let (clock, stats) = (Clock::system(), ApiStats::new().unwrap());
    let options = ClientOptions::default();
    let transport = Transport::new("http://127.0.0.1:1", false, options, clock.clone(), stats.clone()).unwrap();
    let client = Arc::new(Client::new(Arc::new(transport), TokenSource::Fixed("a".into())));
    let poller = Poller {
        snapshot: Arc::new(Snapshot::new(vec![], clock.clone(), TimeDelta::hours(36))),
        kinds: KINDS.iter().collect(),
        interval: Duration::from_secs(300),
        client_options: options,
        clock,
        stats,
        samples: None,
        inbox: None,
    };
    (poller, Account { name: "anna".to_owned(), client })
}

#[test]
fn an_account_holds_little_but_its_state_while_nothing_of_it_runs() {
    let (poller, anna) = poller_of_anna();
    let (_looks, looks) = watch::channel(());
    let (_stop, stop) = oneshot::channel();
    let waiting = poller.attend(anna, looks, stop);
    assert!(size_of_val(&waiting) < MOST, "{} bytes", size_of_val(&waiting));
}

#[test]
fn the_state_of_an_account_is_in_memory_once_whatever_its_intervals_become() {
    let (poller, anna) = poller_of_anna();
    let mut follower = Follower::new(poller.clone(), anna);
    let is_up = |follower: &Follower| Arc::ptr_eq(&follower.state, &poller.snapshot.posted_of("anna").unwrap().state);
    assert!(is_up(&follower));
    for minutes in [5, 7, 7, 90] {
        follower.note_intervals(&vec![Duration::from_secs(minutes * 60); KINDS.len()]);
        assert!(is_up(&follower), "{minutes} min");
        let watches = follower.state.collections.iter().map(|collection| collection.watch.unwrap().interval.as_secs());
        assert!(watches.into_iter().all(|interval| interval == minutes * 60), "{minutes} min");
    }
}

#[test]
fn what_repeats_lets_others_go_first_for_another_interval_and_a_quarter_of_an_hour_at_least() {
    const MINUTE: Duration = Duration::from_secs(60);
    let (poller, anna) = poller_of_anna();
    let mut follower = Follower::new(poller, anna);
    let place = KINDS.iter().position(|kind| kind.name == "workout").unwrap();
    assert_eq!(follower.patience(place), Duration::ZERO, "it was never read");
    for (minutes, patience) in [(5, 15), (15, 15), (100, 100), (720, 720)] {
        Arc::make_mut(&mut follower.state).collections[place].up = Some(true);
        follower.note_intervals(&vec![MINUTE * minutes; KINDS.len()]);
        assert_eq!(follower.patience(place), MINUTE * patience, "every {minutes} min");
        follower.kept[place].is_awaited = true;
        assert_eq!(follower.patience(place), Duration::ZERO, "somebody waits for it");
        follower.kept[place].is_awaited = false;
    }
}

#[test]
fn values_that_are_kept_take_no_more_than_they_need() {
    let documents = [
        (
            "daily_readiness",
            r#"{"id":"a","day":"2026-01-02","score":80,"temperature_deviation":0.1,
            "timestamp":"2026-01-02T00:00:00+00:00","contributors":{"hrv_balance":70,"sleep_balance":60}}"#,
        ),
        (
            "daily_stress",
            r#"{"id":"a","day":"2026-01-02","stress_high":1800,"recovery_high":900,"day_summary":"normal"}"#,
        ),
        ("heartrate", r#"{"timestamp":"2026-01-02T03:04:05Z","bpm":61,"source":"rest"}"#),
    ];
    for (name, document) in documents {
        let kind = KINDS.iter().find(|kind| kind.name == name).unwrap();
        let document = serde_json::from_str(document).unwrap();
        let shown = kind.read(&[document], &Known::default(), Utc::now(), None).shown.unwrap();
        assert!(shown.observations.len() > 3, "{name}: {:?}", shown.observations);
        assert_eq!(shown.observations.capacity(), shown.observations.len(), "{name}");
    }
}
