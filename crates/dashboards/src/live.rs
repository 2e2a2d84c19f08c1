//! What a person's day shows now: from the record for the day in UTC, from the page where the record cannot have it yet.

use crate::{
    exporters::on_the_page,
    expression::{Expression, day, day_learnt_last, with_meaning},
    meaning::{Meaning, Operator},
};

/// The newest document's value. The record has a day from 00:01 UTC on; before that, and where there is no document of that day,
/// the page has the newest. Where the page's document is of a day that has not begun in UTC, as on mornings in Asia, the page wins.
pub fn live(metric: &'static str, collection: &'static str) -> Expression {
    live_of(metric, collection, "", &day_learnt_last(metric, &[], &[]), "")
}

/// The same for each series, told apart by this label.
pub fn live_by(metric: &'static str, collection: &'static str, by: &'static str) -> Expression {
    live_of(metric, collection, &format!(", {by}"), &day_learnt_last(metric, &[], &[by]), "")
}

/// The same for the series with this label.
pub fn live_with(
    metric: &'static str,
    collection: &'static str,
    label: &'static str,
    value: &'static str,
) -> Expression {
    live_of(
        metric,
        collection,
        "",
        &day_learnt_last(metric, &[(label, value)], &[]),
        &format!(r#", {label}="{value}""#),
    )
}

fn live_of(metric: &str, collection: &'static str, labels: &str, day: &Expression, matching: &str) -> Expression {
    let page = on_the_page(metric, collection, labels, matching);
    let record = day.promql_now();
    let ahead = format!("{} > time()", of_day(collection));
    let promql = format!("((({record}) unless on (account) ({ahead})) or on (account) {page})");
    with_meaning(promql, Meaning::Newest { of: Box::new(day.meaning.clone()), collection })
}

/// 00:00 UTC of the day whose document the page shows.
fn of_day(collection: &str) -> String {
    on_the_page("document_day_timestamp_seconds", collection, "", &format!(r#", collection="{collection}""#))
}

/// The difference of the newest value to what was usual in the 30 days before today.
pub fn live_against_usual(metric: &'static str, collection: &'static str) -> Expression {
    let (live, usual) = (live(metric, collection), day(metric).usual());
    let promql = format!("({} - on (account) {})", live.promql(), usual.promql_now());
    let (first, second) = (Box::new(live.meaning), Box::new(usual.meaning));
    with_meaning(promql, Meaning::Two { first, operator: Operator::Minus, second })
}

/// How far a value of the history is from now, for which no age is known.
const OF_HISTORY: i64 = 100;

/// The day of the newest document, as ten times its age in days plus its day of the week.
pub fn live_day(metric: &'static str, collection: &'static str) -> Expression {
    let age = on_the_page("document_age_days", collection, "", &format!(r#", collection="{collection}""#));
    let record = day(metric).promql_now();
    let weekday = "scalar(day_of_week(vector(time())))";
    let page = format!("({age} * 10 + on (account) day_of_week({}))", of_day(collection));
    let promql = format!("({page} or on (account) ({record} * 0 + {OF_HISTORY} + {weekday}))");
    with_meaning(promql, Meaning::DayOfNewest { collection })
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

/// Where windows of samples end: half a second after their points, as samples stand on whole seconds. So none lies on the border of
/// two windows, where Prometheus 2 would count it in both.
const BORDER: &str = "offset -500ms";

/// A border of the newest night at the end of the range: the record's, or the page's, which has a morning in Asia at once.
fn of_the_night(border: &str) -> String {
    let metric = format!(r#"night_bedtime_{border}_timestamp_seconds{{account=~"$account"}}"#);
    let page = format!(r#"label_replace(oura_{metric} @ end(), "of", "page", "", "")"#);
    format!("max by (account) (last_over_time(oura_sample_{metric}[2d] @ end()) or {page})")
}

/// The value at each moment of the night that ends the range, times a factor. No sample speaks for more than five minutes. Before the
/// night's going to bed and after its getting up there is nothing: no other night and no nap.
pub fn in_the_night(metric: &'static str, factor: f64) -> Expression {
    let times = if factor == 1.0 { String::new() } else { format!(" * {factor}") };
    let samples = format!(
        r#"max by (account) (last_over_time(oura_sample_{metric}{{account=~"$account"}}[5m] {BORDER})){times}"#
    );
    let (start, end) = (of_the_night("start"), of_the_night("end"));
    let promql = format!("{samples} and on (account) ({start} <= time()) and on (account) ({end} > time())");
    with_meaning(promql, Meaning::InTheNight { metric, factor })
}

/// The mean of all samples of each step, each of which counts once whatever its source.
pub fn mean_of_step(metric: &'static str, by: &str) -> Expression {
    let of = |function: &str| {
        let samples = format!(r#"oura_sample_{metric}{{account=~"$account"}}[$__interval] {BORDER}"#);
        format!("sum by (account) (max by (account{by}) ({function}({samples})))")
    };
    let promql = format!("{} / {}", of("sum_over_time"), of("count_over_time"));
    with_meaning(promql, Meaning::MeanOfStep { metric })
}
