//! Queries name metrics that there are, keep wearers and instances apart, and count each day once.

use std::collections::BTreeSet;

use oura_exporter::{catalogue, remote_write::LIVE, samples::RECORD, status::OWN, webhooks::WEBHOOKS};
use serde_json::Value;

use super::board::{Dashboard, assert_none, expressions, readers};

/// What begins the names of samples with their own time, of which there is never more than one for a moment.
const SAMPLE: &str = "oura_sample_";

/// What keeps the chosen wearers in a query.
const CHOSEN: &str = r#"{account=~"$account""#;

/// What Prometheus makes of the exporter's own metrics, and whether they have an account: a histogram is several.
fn own_names() -> impl Iterator<Item = (String, bool)> {
    let parts = ["", "_bucket", "_count", "_sum"];
    let by_account = |labels: &[&str]| labels.contains(&catalogue::ACCOUNT_LABEL);
    OWN.iter()
        .chain(LIVE)
        .chain(RECORD)
        .chain(WEBHOOKS)
        .flat_map(move |own| parts.map(|part| (format!("{}{part}", own.name), by_account(own.labels))))
}

/// Every name that a query may have.
fn known() -> BTreeSet<String> {
    let all = catalogue::of_the_page().into_iter().chain(catalogue::of_the_samples());
    all.map(|entry| entry.definition.name.to_owned()).chain(own_names().map(|(name, _)| name)).collect()
}

/// The names of what is told apart by account.
fn by_account() -> BTreeSet<String> {
    let all = catalogue::of_the_page().into_iter().chain(catalogue::of_the_samples());
    let all = all.filter(|entry| entry.by_account).map(|entry| entry.definition.name.to_owned());
    all.chain(own_names().filter_map(|(name, by)| by.then_some(name))).collect()
}

/// All queries, each with what asks it.
fn queries(dashboard: &Dashboard) -> Vec<(String, &str)> {
    let found = |(who, reader): (String, _)| {
        let places = ["/expr", "/query", "/query/query", "/definition"];
        places.into_iter().filter_map(move |at| Some((who.clone(), Value::pointer(reader, at)?.as_str()?)))
    };
    readers(dashboard).into_iter().flat_map(found).collect()
}

/// The names in a query that begin as ours do, outside of quotes.
fn metrics(query: &str) -> BTreeSet<String> {
    let unquoted: String = query.replace("\\\"", "").split('"').step_by(2).collect::<Vec<_>>().join(" ");
    let words = unquoted.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    words.filter(|word| word.starts_with("oura_")).map(str::to_owned).collect()
}

/// Each place in a query where this metric is asked for: what comes before, and what after.
fn places<'a>(query: &'a str, metric: &str) -> Vec<(&'a str, &'a str)> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let found = query.match_indices(metric).map(|(at, _)| (&query[..at], &query[at + metric.len()..]));
    found.filter(|(before, after)| !before.ends_with(part) && !after.starts_with(part)).collect()
}

#[test]
fn every_metric_is_in_the_catalogue() {
    let known = known();
    assert_none(|dashboard| {
        let queries = queries(dashboard);
        let named = queries.iter().flat_map(|(who, query)| metrics(query).into_iter().map(move |m| (who, m)));
        let unknown = named.filter(|(_, metric)| !known.contains(metric));
        unknown.map(|(who, metric)| format!("{who}: the exporter has no {metric}")).collect()
    });
}

#[test]
fn wearers_are_those_that_the_reader_chose() {
    let by_account = by_account();
    assert_none(|dashboard| {
        let strays = |query| {
            let strays =
                move |metric: &String| places(query, metric).iter().any(|(_, after)| !after.starts_with(CHOSEN));
            metrics(query).into_iter().filter(|metric| by_account.contains(metric)).filter(strays).collect::<Vec<_>>()
        };
        let told = |(who, query)| strays(query).into_iter().map(move |m| format!("{who}: {m} without {CHOSEN}"));
        expressions(dashboard).into_iter().flat_map(told).collect()
    });
}

#[test]
fn wearers_stay_apart_and_instances_come_together() {
    let by_account = by_account();
    assert_none(|dashboard| {
        let of_wearers = |query| metrics(query).iter().any(|metric| by_account.contains(metric));
        let merged = |query: &str| query.contains(" by (account");
        let unfit = expressions(dashboard).into_iter().filter(|(_, query)| of_wearers(query) && !merged(query));
        unfit.map(|(who, _)| format!("{who}: no max, min or sum by (account …)")).collect()
    });
}

/// A page that is scraped each minute and history with a value a day must not weigh differently in a mean.
#[test]
fn means_count_each_day_once() {
    assert_none(|dashboard| {
        let weighed = |(who, query): (String, &str)| {
            let raw = |mean: &str| places(query, mean).iter().any(|(_, after)| is_of_raw_values(after));
            let mean = ["avg_over_time", "stddev_over_time", "sum_over_time"].into_iter().find(|mean| raw(mean))?;
            Some(format!("{who}: {mean} of scrapes, not of days: put last_over_time(…[1d]) and [30d:1d] into it"))
        };
        expressions(dashboard).into_iter().filter_map(weighed).collect()
    });
}

fn is_of_raw_values(after: &str) -> bool {
    let argument = after.trim_start_matches('(');
    argument.starts_with("oura_") && !argument.starts_with(SAMPLE)
}

/// Prometheus 2 counts both ends of a window: at midnight `[7d:1d]` would have eight days. A single value is asked at any moment,
/// also in the last millisecond of a day, when Prometheus 3 would count six in a window that is a millisecond short.
#[test]
fn windows_hold_as_many_days_on_every_server() {
    let ends_early = |after: &str| {
        let offset = after.strip_prefix(" offset ").and_then(|after| after.split(')').next());
        offset.is_some_and(|offset| offset.ends_with("1ms") || offset.ends_with("59s999ms"))
    };
    assert_none(|dashboard| {
        let wrong = |query: &str| {
            query.match_indices(":1d]").any(|(at, window)| {
                let (before, after) = (&query[..at], &query[at + window.len()..]);
                !(before.ends_with("23h59m59s999ms") || before.ends_with("24h") && ends_early(after))
            })
        };
        let unfit = expressions(dashboard).into_iter().filter(|(_, query)| wrong(query));
        unfit.map(|(who, _)| format!("{who}: a window of days that does not end a millisecond early")).collect()
    });
}
