//! What a store says of somebody's days by the contract's idiom, and of single seconds.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use tokio::time::sleep;

use super::documents::{Points, is_dense, is_event};
use crate::{
    common::stores::{Labels, Store},
    record::expected::Values,
};

/// Seconds in a day.
const DAY: i64 = 86_400;

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

/// A series without what a scrape adds to it.
fn plain(name: &str, labels: &Labels) -> String {
    let own = labels.iter().filter(|(name, _)| !["__name__", "account", "job", "instance"].contains(&name.as_str()));
    let own: Vec<_> = own.map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    if own.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", own.join(",")) }
}

/// What a store answers once it `is_expected`, or after ten seconds: VictoriaMetrics finds new series only after a while.
pub(crate) async fn in_the_end<T>(ask: impl AsyncFn() -> T, is_expected: impl Fn(&T) -> bool) -> T {
    for _ in 0..50 {
        let told = ask().await;
        if is_expected(&told) {
            return told;
        }
        sleep(Duration::from_millis(200)).await;
    }
    ask().await
}

async fn names(store: &Store, first: NaiveDate, fits: impl Fn(&str) -> bool) -> Vec<String> {
    let mut names = store.values("__name__", midnight(first) - TimeDelta::days(1)).await;
    names.retain(|name| {
        name.starts_with("oura_sample_") && !name.ends_with("_total") && !name.ends_with("_lag_seconds")
    });
    names.retain(|name| fits(name));
    names
}

/// What it says of each day of alice's or whoever's: the idiom of dashboards, at UTC midnights.
pub(crate) async fn days(
    store: &Store,
    person: &str,
    (first, last): (NaiveDate, NaiveDate),
) -> BTreeMap<NaiveDate, Values> {
    let mut days = BTreeMap::<NaiveDate, Values>::new();
    for name in names(store, first, |name| !is_dense(name) && !is_event(name)).await {
        let query = format!("last_over_time({name}{{account=\"{person}\"}}[1d] offset -1d)");
        for (labels, points) in store.range(&query, midnight(first), midnight(last), DAY).await {
            for (time, value) in points {
                let day = DateTime::from_timestamp_millis(time).expect("a time").date_naive();
                let known = days.entry(day).or_default().insert(plain(&name, &labels), value);
                assert_eq!(known, None, "{name} of {day} is two series, such as {labels:?}");
            }
        }
    }
    days
}

/// What it says of each second of these days: of one that was told several times, the last.
pub(crate) async fn dense(store: &Store, person: &str, (first, last): (NaiveDate, NaiveDate)) -> Points {
    let (begin, end) = (midnight(first), midnight(last + TimeDelta::days(1)));
    let is_within = |time: i64| (begin.timestamp_millis()..end.timestamp_millis()).contains(&time);
    // Stores differ in whether a window has its beginning.
    let window = format!("{}d", (last - first).num_days() + 2);
    let mut all = Points::new();
    for name in names(store, first, is_dense).await {
        let selector = format!("{name}{{account=\"{person}\"}}");
        for (labels, points) in store.samples(&selector, &window, end).await {
            let seconds = all.entry(plain(&name, &labels)).or_default();
            for (time, value) in points.into_iter().filter(|(time, _)| is_within(*time)) {
                seconds.insert(time.div_euclid(1_000) * 1_000, value);
            }
        }
    }
    all
}
