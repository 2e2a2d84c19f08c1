//! What was missed for a moment is made up for: a clock that was ahead, and documents that Oura listed and then did not have.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use oura_exporter::{
    clock::{Clock, ManualClock},
    simulator::{Fault, Scope, Simulator},
};

use super::{
    by_hand::{ByHand, variables},
    parse,
};
use crate::{
    backfill::documents::is_dense,
    common::{NOON, moment, simulator_with},
};

/// What the record finally says: of each second, or of each day.
type Final = BTreeMap<(String, i64), f64>;

/// What is asked for: much of what there is, or nights alone.
const MUCH: &str = "daily_readiness,daily_activity,heartrate,sleep";
const NIGHTS: &str = "sleep";

/// An exporter of alice's whose clock is not the simulator's.
fn exporter(simulator: &Simulator, collections: &str, at: DateTime<Utc>) -> (ByHand, ManualClock) {
    let (clock, hand) = Clock::driven_from(at);
    let variables = [variables(simulator, "alice"), vec![("OURA_COLLECTIONS", collections.to_owned())]];
    (ByHand::start(variables.concat(), "127.0.0.1:1", clock), hand)
}

async fn final_values(exporter: &ByHand) -> Final {
    let mut values = Final::new();
    for (series, points) in parse(&exporter.get("/metrics/samples?learnt=14d").await) {
        if series.starts_with("oura_sample_lag_seconds") || series.starts_with("oura_sample_revisions_total") {
            continue;
        }
        let length = if is_dense(&series) { 1_000 } else { 86_400_000 };
        values.extend(points.into_iter().map(|(time, value)| ((series.clone(), time.div_euclid(length)), value)));
    }
    values
}

/// What an exporter says that begins then.
async fn alone(simulator: &Simulator, collections: &str, now: DateTime<Utc>) -> Final {
    let (mut exporter, _) = exporter(simulator, collections, now);
    exporter.look().await;
    final_values(&exporter).await
}

fn assert_nothing_is_missing(found: &Final, expected: &Final, what: &str) {
    let wrong: Vec<_> = expected.iter().filter(|(place, value)| found.get(place) != Some(value)).collect();
    assert!(
        wrong.is_empty(),
        "{what}: {} wrong of {}: {:?}",
        wrong.len(),
        expected.len(),
        &wrong[..wrong.len().min(5)]
    );
    assert!(expected.keys().any(|(series, _)| series.starts_with("oura_sample_night_heart_rate")), "nights are told");
}

/// Looks every ten minutes for so long.
async fn live(exporter: &mut ByHand, hands: &[&ManualClock], minutes: i64) {
    for _ in 0..minutes / 10 {
        exporter.look().await;
        hands.iter().for_each(|hand| hand.advance(TimeDelta::minutes(10)));
    }
    exporter.look().await;
}

#[tokio::test]
async fn a_clock_that_was_ahead_and_is_put_right_costs_nothing_of_the_record() {
    for (ahead, first) in
        [(TimeDelta::days(2), 0), (TimeDelta::days(3), 60), (TimeDelta::hours(5), 60), (TimeDelta::days(400), 0)]
    {
        let start = moment(NOON);
        let (time, hand) = Clock::driven_from(start);
        let simulator = simulator_with(time.clone()).await;
        let (mut odd, own) = exporter(&simulator, MUCH, start);
        if first > 0 {
            live(&mut odd, &[&hand, &own], first).await;
        }
        own.advance(ahead);
        live(&mut odd, &[&hand, &own], 10).await;
        own.set_back(ahead);
        hand.advance(TimeDelta::hours(20));
        own.advance(TimeDelta::hours(20));
        live(&mut odd, &[&hand, &own], 20).await;
        let what = format!("ahead by {} hours after {first} minutes", ahead.num_hours());
        assert_nothing_is_missing(&final_values(&odd).await, &alone(&simulator, MUCH, time.now()).await, &what);
    }
}

#[tokio::test]
async fn what_oura_listed_and_then_did_not_have_is_asked_for_again() {
    let sleep = || Scope::collection("sleep");
    let times = |count, fault| Fault::Times(count, Box::new(fault));
    // Of the days of the start a list is asked for, of the night after them the document alone.
    for (days, fault, count) in
        [(0, Fault::EmptyList, 1), (1, Fault::Status(404), 1), (1, Fault::Status(404), 2), (3, Fault::EmptyList, 1)]
    {
        let what = format!("{fault:?} {count} times after {days} days");
        let start = moment(NOON);
        let (time, hand) = Clock::driven_from(start);
        let simulator = simulator_with(time.clone()).await;
        let (mut odd, own) = exporter(&simulator, NIGHTS, start);
        if days > 0 {
            odd.look().await;
            [&hand, &own].into_iter().for_each(|hand| hand.advance(TimeDelta::days(days)));
        }
        // The first request lists: it is answered at once, as if there was no fault.
        simulator.faults().set(sleep(), times(count, fault));
        simulator.faults().set(sleep(), times(1, Fault::Delay(Duration::ZERO)));
        odd.look().await;
        let missed = final_values(&odd).await;
        let expected = alone(&simulator, NIGHTS, time.now()).await;
        assert!(expected.keys().any(|place| !missed.contains_key(place)), "{what}: something was missed at first");
        live(&mut odd, &[&hand, &own], 40).await;
        assert_nothing_is_missing(&final_values(&odd).await, &alone(&simulator, NIGHTS, time.now()).await, &what);
    }
}
