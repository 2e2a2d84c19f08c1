//! What Oura asks for with 429: a pause of one account, or of all.

use chrono::TimeDelta;
use oura_exporter::simulator::{Fault, Recorded, Scope, Settings};

use super::{Office, tell};
use crate::common::{NOON, moment};

const SECOND: TimeDelta = TimeDelta::seconds(1);

fn refused(requests: &[Recorded]) -> Vec<&Recorded> {
    requests.iter().filter(|request| request.status == 429).collect()
}

#[tokio::test]
async fn a_pause_of_the_application_is_asked_for_once_and_all_wait_for_its_end_and_go_on() {
    let mut office = Office::new(NOON, &[("alice", 5), ("bob", 5)], Settings::default()).await;
    office.open(&[("OURA_COLLECTIONS", "daily_sleep,daily_activity,heartrate")]);
    office.until_ready(SECOND, TimeDelta::minutes(1)).await;
    office.simulator.forget_requests();
    let limited = Fault::Times(1, Box::new(Fault::ApplicationLimited { retry_after_seconds: 900 }));
    office.simulator.faults().set(Scope::person("bob").and_collection("daily_activity"), limited);
    office.live(TimeDelta::minutes(30), TimeDelta::seconds(15)).await;
    let requests = office.simulator.requests();
    let refused = refused(&requests);
    assert_eq!(refused.len(), 1, "asked once");
    let said = refused[0].at;
    let during = requests.iter().filter(|request| request.at > said && request.at < said + TimeDelta::seconds(900));
    assert_eq!(during.count(), 0, "nobody asks while it lasts");
    let until = (said + TimeDelta::seconds(900)).timestamp() as f64;
    let page = office.page(0).await;
    let shown = page.get("oura_api_rate_limited_until_timestamp_seconds").expect("a time");
    assert!((shown - until).abs() <= 1.0, "{shown}, not {until}");
    for (account, _) in &office.accounts {
        let after = office.asked(account, "daily_sleep").iter().filter(|at| **at > said).count();
        assert!(after >= 2, "{account} went on: {after}");
        assert_eq!(page.get(&format!("oura_up{{account=\"{account}\"}}")), Some(1.0), "{account}");
    }
    let failed = page.starting_with("oura_api_errors_total");
    assert_eq!(failed.len(), 1, "whoever waits does not fail: {failed:?}");
}

#[tokio::test]
async fn a_pause_of_one_account_leaves_the_others_alone() {
    let mut office = Office::new(NOON, &[("alice", 1), ("bob", 3)], Settings::default()).await;
    office.open(&[("OURA_COLLECTIONS", "daily_sleep,daily_activity")]);
    office.until_ready(SECOND, TimeDelta::minutes(1)).await;
    office.simulator.forget_requests();
    office.simulator.faults().set(Scope::person("alice"), Fault::RateLimited { retry_after_seconds: 3600 });
    office.live(TimeDelta::minutes(30), TimeDelta::seconds(20)).await;
    let requests = office.simulator.requests();
    let refused = refused(&requests);
    assert_eq!((refused.len(), refused[0].person), (1, Some("alice")));
    for number in 0..3 {
        let asked = office.asked(&format!("bob{number:04}"), "daily_sleep").len();
        assert!((5..=7).contains(&asked), "as often as ever: {asked}");
    }
}

#[tokio::test]
async fn two_exporters_that_ask_for_more_than_the_application_may_wait_and_lose_nothing() {
    let settings = Settings { application_limit: Some(120), ..Settings::default() };
    let mut office = Office::new(NOON, &[("alice", 10), ("bob", 10)], settings).await;
    for accounts in [0..10, 10..20] {
        // Each by itself would do.
        office.open_for(&accounts.collect::<Vec<_>>(), &[("OURA_REQUEST_BUDGET", "110")]);
    }
    office.until_ready(TimeDelta::seconds(2), TimeDelta::minutes(60)).await;
    let took = (office.clock.now() - moment(NOON)).num_minutes();
    let requests = office.simulator.requests();
    let refused = refused(&requests);
    tell(&format!(
        "two exporters, half of the budget each: {} requests in {took} min, {} of them refused",
        requests.len(),
        refused.len()
    ));
    assert!(!refused.is_empty(), "the trap is there");
    // Each pause costs what is under way, and no more.
    assert!(refused.len() <= 4 * usize::try_from(took / 5 + 1).expect("minutes"), "{}", refused.len());
    for account in [0, 1] {
        let page = office.page(account).await;
        let names: Vec<_> = page.starting_with("oura_account_authorized");
        assert_eq!(names.len(), 10, "all are read");
    }
}
