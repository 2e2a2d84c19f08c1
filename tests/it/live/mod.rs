//! The record as it is told live: scraped, sent, over restarts, and what it costs.

mod book;
mod by_hand;
mod cost;
mod dense;
mod events;
mod first_hours;
mod half_synced;
mod journal;
mod late_sync;
mod made_up_for;
mod scene;
mod sending;
mod unreadable;

use std::io::Write as _;

use book::Told;

/// Prints a figure, past the test runner.
fn tell(text: &str) {
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// The samples of a page of Prometheus' text format.
fn parse(page: &str) -> Told {
    let mut told = Told::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<_> = line.rsplitn(3, ' ').collect();
        let (time, value) = (words[0].parse().expect("milliseconds"), words[1].parse().expect("a number"));
        assert_eq!(told.entry(words[2].to_owned()).or_default().insert(time, value), None, "twice: {line}");
    }
    told
}

/// How many samples there are.
fn count(told: &Told) -> usize {
    told.values().map(|points| points.len()).sum()
}

/// Whether two values are the same but for the last digits.
fn is_same(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * other.abs()
}

/// What the ledger says nothing of: rest mode has tests of its own, and two metrics tell of the record itself.
fn is_apart(series: &str) -> bool {
    let others = ["oura_sample_rest_mode", "oura_sample_lag_seconds", "oura_sample_revisions_total"];
    others.iter().any(|other| series.starts_with(other))
}

/// The very same samples; those of rest mode have tests of their own.
fn assert_same(found: &Told, expected: &Told, what: &str) {
    let mut wrong = vec![];
    let is_meant = |series: &&String| !is_apart(series);
    let series: std::collections::BTreeSet<_> = found.keys().chain(expected.keys()).filter(is_meant).collect();
    for series in series {
        let none = Default::default();
        let (found, expected) = (found.get(series).unwrap_or(&none), expected.get(series).unwrap_or(&none));
        for (time, value) in
            expected.iter().filter(|(time, value)| !found.get(time).is_some_and(|own| is_same(*own, **value)))
        {
            wrong.push(format!("{series} at {time}: {value} is missing, there is {:?}", found.get(time)));
        }
        for (time, value) in found.iter().filter(|(time, _)| !expected.contains_key(time)) {
            wrong.push(format!("{series} at {time}: {value} is too much"));
        }
    }
    tell(&format!("{what}: {} wrong of {}", wrong.len(), count(expected)));
    let first: Vec<_> = wrong.iter().take(20).collect();
    assert!(wrong.is_empty(), "{what}: {} wrong of {}: {first:#?}", wrong.len(), count(expected));
    assert!(count(expected) > 10_000, "{what}: only {}", count(expected));
}
