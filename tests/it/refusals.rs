//! A collection that is refused although the token is good: what is concluded of it, and what the page says meanwhile.

use std::time::Duration;

use crate::common::{
    Exporter, NOON, Page, Plan, moment,
    scene::{Scene, consent_to_all_but},
    simulator_with, usual_collections,
};
use chrono::{TimeDelta, Utc};
use oura_exporter::{
    clock::{Clock, ManualClock},
    simulator::{Fault, Portal, Scope, Simulator},
};

/// What is asked for at each poll, however often that is.
const FAST: &str = "daily_readiness,daily_sleep,sleep,daily_activity,heartrate";

/// An exporter that has read these collections and polls again at once, by a clock that the hand drives.
async fn well(collections: &str) -> (Simulator, Exporter, ManualClock) {
    let (clock, hand) = Clock::driven_from(moment(NOON));
    let simulator = simulator_with(clock.clone()).await;
    let plan = Plan::default().often().by(clock).set("OURA_COLLECTIONS", collections);
    let exporter = plan.ready(&simulator).await;
    assert_eq!(exporter.page().await.get("oura_up"), Some(1.0));
    (simulator, exporter, hand)
}

fn permitted(page: &Page, collection: &str) -> Option<f64> {
    page.collection("oura_collection_permitted", collection)
}

/// The landing page, which has the collection's row in red and does not say that all is well.
async fn assert_red(exporter: &Exporter, collection: &str, words: &str) {
    let (_, landing) = exporter.get("/").await;
    assert!(landing.contains("Some collections cannot be read.") && !landing.contains("All is well"), "{landing}");
    let row = landing.split("<tr><td>").find(|row| row.starts_with(collection)).unwrap_or_default();
    assert!(row.contains("<td class=\"bad\">") && row.contains(words), "{row}");
}

#[tokio::test]
async fn a_few_refusals_of_what_worked_are_a_failure_and_no_missing_scope() {
    // Others of the same scope work; it is alone with its scope; 403 instead of 401.
    for (collection, fault) in
        [("sleep", Fault::Status(401)), ("heartrate", Fault::ScopeMissing), ("daily_activity", Fault::Status(403))]
    {
        let (simulator, exporter, _) = well(FAST).await;
        simulator.faults().set(Scope::collection(collection), fault);
        let refused = |page: &Page| page.errors(collection, "refused") >= 2.0;
        let page = exporter.page_where("it is refused twice in a row", refused).await;
        assert_eq!((page.is_up(collection), page.get("oura_up")), (Some(0.0), Some(0.0)), "{collection}");
        assert_eq!(permitted(&page, collection), Some(1.0), "{collection}: so that the alert fires");
        assert_eq!((page.errors(collection, "scope"), page.get("oura_account_authorized")), (0.0, Some(1.0)));
        assert_red(&exporter, collection, "Oura refuses it, although the token is good; it is tried again").await;
        simulator.faults().clear();
        exporter.page_where("it works again at once", |page| page.get("oura_up") == Some(1.0)).await;
        exporter.stop().await;
    }
}

#[tokio::test]
async fn refusals_over_an_hour_are_a_missing_scope_unless_another_collection_of_it_works() {
    for (asked, collections, reason, still_permitted) in [
        (FAST, &["heartrate"][..], "scope", 0.0),
        ("daily_sleep,sleep,heartrate", &["daily_sleep", "sleep"], "scope", 0.0),
        (FAST, &["daily_activity"], "refused", 1.0),
    ] {
        let (simulator, exporter, hand) = well(asked).await;
        collections.iter().for_each(|name| simulator.faults().set(Scope::collection(*name), Fault::Status(401)));
        let errors =
            |page: &Page, reason| collections.iter().map(|name| page.errors(name, reason)).fold(f64::MAX, f64::min);
        exporter.page_where("all are refused", |page| errors(page, "refused") >= 1.0).await;
        let before = exporter.page().await;
        hand.advance(TimeDelta::minutes(61));
        let more = errors(&before, reason) + 1.0;
        let page = exporter.page_where("and again after an hour", |page| errors(page, reason) >= more).await;
        for name in collections {
            assert_eq!((page.is_up(name), permitted(&page, name)), (Some(0.0), Some(still_permitted)), "{name}");
            assert_red(&exporter, name, if reason == "scope" { "the token lacks the scope" } else { "refuses it" })
                .await;
        }
        assert_eq!(page.get("oura_up"), Some(0.0), "{collections:?}: it worked once, so it is not well");
        let last_success = "oura_collection_last_success_timestamp_seconds";
        assert!(page.collection(last_success, collections[0]).is_some(), "by which the alert knows that it worked");
        exporter.stop().await;
    }
}

#[tokio::test]
async fn a_refusal_at_the_start_is_put_right_by_another_collection_or_by_asking_again() {
    // The first of all that is asked, one alone with its scope, and one whose sibling is asked later.
    for collection in ["daily_readiness", "workout", "ring_battery_level"] {
        let (clock, _hand) = Clock::driven_from(moment(NOON));
        let simulator = simulator_with(clock.clone()).await;
        simulator.faults().set(Scope::collection(collection), Fault::Times(1, Box::new(Fault::Status(401))));
        let exporter = Plan::default().often().by(clock).ready(&simulator).await;
        let page = exporter.page_where("it is read", |page| page.is_up(collection) == Some(1.0)).await;
        assert_eq!((permitted(&page, collection), page.get("oura_up")), (Some(1.0), Some(1.0)), "{collection}");
        exporter.stop().await;
    }
}

#[tokio::test]
async fn what_was_never_granted_is_no_failure() {
    let (clock, _hand) = Clock::driven_from(moment(NOON));
    let simulator = simulator_with(clock.clone()).await;
    for name in ["daily_stress", "daily_resilience", "daily_spo2"] {
        simulator.faults().set(Scope::collection(name), Fault::ScopeMissing);
    }
    let exporter = Plan::default().by(clock).ready(&simulator).await;
    let page = exporter.page().await;
    assert_eq!((page.get("oura_up"), permitted(&page, "daily_resilience")), (Some(1.0), Some(0.0)));
    let (_, landing) = exporter.get("/").await;
    let summary = "All that may be read is well. Not granted: daily_stress, daily_resilience, daily_spo2.";
    assert!(landing.contains(summary) && !landing.contains("All is well"), "{landing}");
    let (well, all) = (usual_collections() - 3, usual_collections());
    assert!(landing.contains(&format!("Collections: {well} of {all} as they should be, 3 not granted")), "{landing}");
    assert!(!landing.contains("class=\"bad\""), "nothing is red: {landing}");
    exporter.stop().await;
}

async fn sign_in(scene: &Scene, unticked: &[&str]) {
    let (code, said) = scene.log_in("anna", async |url| consent_to_all_but(url, unticked).await).await;
    assert_eq!(code, Some(0), "{said}");
}

fn of_anna(page: &Page, metric: &str, collection: &str) -> Option<f64> {
    page.get(&format!("{metric}{{account=\"anna\",collection=\"{collection}\"}}"))
}

#[tokio::test]
async fn what_was_granted_and_is_refused_from_the_start_is_a_failure() {
    let (clock, hand) = Clock::driven_from(Utc::now());
    let scene = Scene::at(Portal::New, clock.clone()).await;
    sign_in(&scene, &[]).await;
    scene.simulator.faults().set(Scope::collection("workout"), Fault::Status(401));
    let exporter = scene.exporter(clock).await;
    let errors = "oura_api_errors_total{account=\"anna\",collection=\"workout\",reason=\"refused\"}";
    let page = exporter.page_where("it is tried again", |page| page.get(errors) >= Some(3.0)).await;
    assert_eq!(page.get("oura_up{account=\"anna\"}"), Some(0.0));
    hand.advance(TimeDelta::minutes(61));
    let page = exporter.page_where("and again after an hour", |page| page.get(errors) >= Some(5.0)).await;
    assert_eq!(of_anna(&page, "oura_collection_permitted", "workout"), None, "nothing is known");
    exporter.stop().await;
}

#[tokio::test]
async fn a_new_sign_in_with_other_scopes_counts_at_once() {
    let (clock, _hand) = Clock::driven_from(Utc::now());
    let scene = Scene::at(Portal::Legacy, clock.clone()).await;
    sign_in(&scene, &["spo2"]).await;
    let exporter = scene.exporter(clock).await;
    let page = exporter.page().await;
    assert_eq!(of_anna(&page, "oura_collection_permitted", "daily_spo2"), Some(0.0));
    assert_eq!(page.get("oura_up{account=\"anna\"}"), Some(1.0));
    assert!(page.get("oura_readiness_score{account=\"anna\"}").is_some());
    sign_in(&scene, &["workout"]).await;
    let spo2 = |page: &Page| of_anna(page, "oura_collection_up", "daily_spo2") == Some(1.0);
    exporter.page_where("it is not waited six hours for", spo2).await;
    let gone = |page: &Page| of_anna(page, "oura_collection_permitted", "workout") == Some(0.0);
    let page = exporter.page_where("what is not granted any more shows", gone).await;
    let last_success = of_anna(&page, "oura_collection_last_success_timestamp_seconds", "workout");
    assert_eq!((last_success, page.get("oura_up{account=\"anna\"}")), (None, Some(1.0)), "the wearer's choice");
    let values = page.starting_with("oura_workout_last_");
    assert!(values.is_empty(), "and leaves the page: {values:?}");
    exporter.stop().await;
}

/// The clock goes on and no request is answered: what a task that hangs looks like from outside.
#[tokio::test]
async fn what_is_not_read_for_three_of_its_intervals_is_not_up() {
    let (clock, hand) = Clock::driven_from(moment(NOON));
    let simulator = simulator_with(clock.clone()).await;
    let mut plan = Plan::default().by(clock);
    // Longer than the test takes.
    plan.client_options.timeout = Duration::from_secs(600);
    let exporter = plan.ready(&simulator).await;
    simulator.faults().set(Scope::all(), Fault::Hang);
    // Asked at each poll, every quarter of an hour, every six hours.
    let all = ["daily_readiness", "workout", "personal_info"];
    for (minutes, up) in [(14, [1.0, 1.0, 1.0]), (2, [0.0, 1.0, 1.0]), (1_066, [0.0, 0.0, 0.0])] {
        hand.advance(TimeDelta::minutes(minutes));
        let shows = |page: &Page| all.map(|name| page.is_up(name)) == up.map(Some);
        let page = exporter.page_where(&format!("{up:?} after {minutes} more"), shows).await;
        assert_eq!(page.get("oura_up"), Some(up[0]));
        assert!(page.get("oura_personal_age_years").is_some(), "values stay as long as OURA_STALE_AFTER says");
    }
    assert_red(
        &exporter,
        "daily_readiness",
        "overdue: it is asked for every 5m and was not read for more than three times as long",
    )
    .await;
    hand.advance(TimeDelta::hours(36));
    exporter.page_where("and not longer", |page| page.get("oura_personal_age_years").is_none()).await;
    exporter.stop().await;
}

/// A machine that slept: the clock on the wall goes on, the waits do not.
#[tokio::test]
async fn after_a_sleep_of_the_machine_everything_is_asked_for_at_once() {
    for hours in [1, 9, 100] {
        let (simulator, exporter, hand) = well("daily_sleep,workout,personal_info").await;
        hand.advance(TimeDelta::hours(hours));
        let now = (moment(NOON) + TimeDelta::hours(hours)).timestamp() as f64;
        let slow = if hours == 1 { "workout" } else { "personal_info" };
        let last_success = "oura_collection_last_success_timestamp_seconds";
        let read = |page: &Page| page.collection(last_success, slow) == Some(now);
        let page = exporter.page_where("what is due by the clock is read", read).await;
        assert_eq!(page.get("oura_up"), Some(1.0), "{hours} h");
        drop(simulator);
        exporter.stop().await;
    }
}
