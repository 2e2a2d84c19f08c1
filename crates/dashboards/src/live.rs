//! What a person's day shows now: from the record for the day in UTC, from the page where the record cannot have it yet.

use crate::expression::{Expression, day, day_by, day_with, other};

const LIVE: &str = "the newest document at the end of the range, whose day stands beside it";

/// The newest document's value. The record has a day from 00:01 UTC on; before that, and where there is no document of that day,
/// the page has the newest. Where the page's document is of a day that has not begun in UTC, as on mornings in Asia, the page wins.
pub fn live(metric: &'static str, collection: &str) -> Expression {
    live_of(metric, collection, "", &day(metric), "")
}

/// The same for each series, told apart by this label.
pub fn live_by(metric: &'static str, collection: &str, by: &'static str) -> Expression {
    live_of(metric, collection, &format!(", {by}"), &day_by(metric, &[by]), "")
}

/// The same for the series with this label.
pub fn live_with(metric: &'static str, collection: &str, label: &'static str, value: &'static str) -> Expression {
    live_of(metric, collection, "", &day_with(metric, label, value), &format!(r#", {label}="{value}""#))
}

fn live_of(metric: &str, collection: &str, labels: &str, day: &Expression, matching: &str) -> Expression {
    let page = format!(r#"max by (account{labels}) (oura_{metric}{{account=~"$account"{matching}}})"#);
    let record = day.promql_now();
    let ahead = format!("{} > time()", of_day(collection));
    other(format!("((({record}) unless on (account) ({ahead})) or on (account) {page})"), LIVE)
}

/// 00:00 UTC of the day whose document the page shows.
fn of_day(collection: &str) -> String {
    format!(
        r#"max by (account) (oura_document_day_timestamp_seconds{{account=~"$account", collection="{collection}"}})"#
    )
}

/// The difference of the newest value to what was usual in the 30 days before today.
pub fn live_against_usual(metric: &'static str, collection: &str) -> Expression {
    let usual = day(metric).usual().promql_now();
    other(format!("({} - on (account) {usual})", live(metric, collection).promql()), LIVE)
}

/// How far a value of the history is from now, for which no age is known.
const OF_HISTORY: i64 = 100;

/// The day of the newest document, as ten times its age in days plus its day of the week.
pub fn live_day(metric: &'static str, collection: &str) -> Expression {
    let age = format!(r#"max by (account) (oura_document_age_days{{account=~"$account", collection="{collection}"}})"#);
    let record = day(metric).promql_now();
    let weekday = "scalar(day_of_week(vector(time())))";
    let page = format!("({age} * 10 + on (account) day_of_week({}))", of_day(collection));
    other(format!("({page} or on (account) ({record} * 0 + {OF_HISTORY} + {weekday}))"), LIVE)
}

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The day in words for each number of [`live_day`]: by the wearer's own clock, so that it is right wherever it is read.
pub fn day_in_words() -> Vec<(i64, String)> {
    let ages = [(-1, "tomorrow, "), (0, "today, "), (1, "yesterday, "), (2, "two days ago, "), (OF_HISTORY / 10, "")];
    let word = |age: i64, word: &'static str| {
        (0..).zip(WEEKDAYS).map(move |(place, weekday)| (age * 10 + place, format!("{word}{weekday}")))
    };
    ages.into_iter().flat_map(|(age, text)| word(age, text)).collect()
}

/// Samples of the night that ends the range: from its going to bed on, so that a night before it does not show.
pub fn of_the_night(samples: &str) -> Expression {
    let start = r#"oura_sample_night_bedtime_start_timestamp_seconds{account=~"$account"}"#;
    let start = format!("max by (account) (last_over_time({start}[2d] @ end()))");
    other(format!("{samples} and on (account) ({start} <= time())"), "samples at their own time")
}
