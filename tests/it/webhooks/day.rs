//! A whole day with webhooks beside the same day without: the same values, and what each asks of Oura.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use oura_exporter::{
    catalogue,
    documents::KINDS,
    simulator::{Event, Simulator},
    webhooks,
};
use serde_json::Value;

use super::by_hand::ByHand;
use crate::common::{NOON, Page, moment};

/// What Oura tells of a person in that time, each at the moment at which their documents change.
pub(crate) fn told(
    simulator: &Simulator,
    person: &str,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<(DateTime<Utc>, Event)> {
    let last = (until + TimeDelta::days(2)).date_naive();
    let by_id = |documents: &[Value]| -> BTreeMap<String, Value> {
        documents.iter().filter_map(|one| Some((one["id"].as_str()?.to_owned(), one.clone()))).collect()
    };
    let mut events = vec![];
    for (data_type, collection) in KINDS.iter().filter_map(|kind| Some((webhooks::data_type(kind)?, kind.name))) {
        for day in (from - TimeDelta::days(8)).date_naive().iter_days().take_while(|day| *day < last) {
            let mut before = BTreeMap::<String, Value>::new();
            for version in simulator.versions(person, collection, day) {
                let now = by_id(&version.documents);
                let at = version.readable_from;
                let event = |kind: &str, id: &str| {
                    let event = simulator.event(person, kind, data_type, id);
                    (at, Event { event_time: at.to_rfc3339(), ..event })
                };
                if at > from && at <= until {
                    let changed = now.iter().filter(|(id, one)| before.get(*id) != Some(*one));
                    let kind = |id: &String| if before.contains_key(id) { "update" } else { "create" };
                    events.extend(changed.map(|(id, _)| event(kind(id), id)));
                    events.extend(before.keys().filter(|id| !now.contains_key(*id)).map(|id| event("delete", id)));
                }
                before = now;
            }
        }
    }
    events.sort_by_key(|(at, _)| *at);
    events
}

/// The wearer's values on a page.
fn values(page: &Page) -> Vec<String> {
    let names: Vec<_> = catalogue::of_the_wearer().iter().map(|entry| entry.definition.name).collect();
    let is_wearers = |line: &&str| names.iter().any(|name| line.starts_with(&format!("{name}{{")));
    page.text.lines().filter(is_wearers).map(str::to_owned).collect()
}

/// How often Oura was asked in a day of alice's, how many events there were, and the page at its end beside the one of an
/// exporter that begins then.
async fn day(has_webhooks: bool) -> (usize, usize, [Vec<String>; 2]) {
    let mut by_hand = ByHand::with(NOON, &[], has_webhooks).await;
    by_hand.look().await;
    let (from, until) = (moment(NOON), moment(NOON) + TimeDelta::days(1));
    let mut events = if has_webhooks { told(&by_hand.scene.simulator, "alice", from, until) } else { vec![] };
    let (count, mut asked) = (events.len(), 0);
    by_hand.scene.simulator.forget_requests();
    for _ in 0..24 * 60 {
        by_hand.after(TimeDelta::minutes(1)).await;
        let now = by_hand.scene.clock.now();
        let due = events.partition_point(|(at, _)| *at <= now);
        for (_, event) in events.drain(..due) {
            // Of what nobody reads there is no subscription.
            let status = by_hand.scene.simulator.webhooks().send(&event).await.expect("an answer");
            assert!(status.is_none_or(|status| status == 200), "{status:?}");
        }
        by_hand.look().await;
        asked += by_hand.scene.simulator.requests().len();
        by_hand.scene.simulator.forget_requests();
    }
    let pages = [by_hand.page().await, by_hand.page_of_another().await];
    (asked, count, pages.map(|page| values(&page)))
}

#[tokio::test]
#[ignore = "two simulated days: cargo test --workspace --test it webhooks::day -- --ignored --nocapture"]
async fn a_day_with_webhooks_ends_with_what_oura_has_and_costs_less_than_one_of_polls() {
    let ((asked, events, [shown, true_ones]), (polls, ..)) = (day(true).await, day(false).await);
    println!("a day of one account: {polls} requests by polls alone, {asked} with {events} events");
    assert!(true_ones.len() > 100, "{true_ones:?}");
    let wrong: Vec<_> = shown.iter().filter(|line| !true_ones.contains(line)).collect();
    assert_eq!((wrong, shown.len()), (vec![], true_ones.len()));
    assert!(asked < polls, "{asked} instead of {polls}");
}
