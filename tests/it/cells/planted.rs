//! Errors that are planted into the boards' queries are found: whatever would show a wrong cell is told.

use chrono::NaiveDate;
use oura_dashboards::all;

use super::{
    OF_HABITS,
    asking::{Asked, Compared, Reading, compare, days_shown, targets},
    tell,
    truth::{Expected, Truth, are_alike},
};
use crate::common::stores::Store;

/// Each error must have a place in so many queries.
const LEAST: usize = 20;

/// A way to get a query wrong.
struct Error {
    name: &'static str,
    /// The query with the error; the same where it cannot have it.
    planted: fn(&str) -> String,
    /// What the documents would have to say for the wrong query to be right.
    as_if: fn(&Truth) -> Truth,
}

const ERRORS: [Error; 5] = [
    Error { name: "a day off", planted: a_day_off, as_if: |truth| truth.a_day_later() },
    Error { name: "null filled with yesterday's", planted: filled, as_if: Truth::filled },
    Error { name: "revisions counted twice", planted: counted_twice, as_if: |truth| truth.times(2.0) },
    Error { name: "a wrong unit", planted: wrong_unit, as_if: |truth| truth.times(60.0) },
    Error { name: "a wrong series", planted: wrong_series, as_if: |_| Truth::default() },
];

fn a_day_off(expr: &str) -> String {
    let later = expr.replace("[1d] offset -1d)", "[1d])");
    if later == expr { expr.replace("[1d])", "[1d] offset 1d)") } else { later }
}

fn filled(expr: &str) -> String {
    expr.replace("[1d] offset -1d)", "[2d] offset -1d)").replace("[1d])", "[2d])")
}

fn counted_twice(expr: &str) -> String {
    expr.replace("last_over_time(oura_sample", "sum_over_time(oura_sample")
}

/// Minutes for hours; what is not converted at all is taken for minutes that should be seconds.
fn wrong_unit(expr: &str) -> String {
    let hours = expr.replace(" / 3600)", " / 60)");
    if hours == expr { expr.replace("last_over_time(oura_sample", "60 * last_over_time(oura_sample") } else { hours }
}

fn wrong_series(expr: &str) -> String {
    expr.replace("oura_sample_", "oura_sample_other_")
}

/// What came of an error that was planted into all queries.
#[derive(Default)]
struct Found {
    planted: usize,
    found: usize,
    missed: Vec<String>,
}

impl Found {
    fn note(&mut self, asked: &Asked<'_>, expr: &str, compared: &Compared) {
        self.planted += 1;
        match compared.wrong_cells() {
            0 => self.missed.push(format!("{}: {expr}", asked.name())),
            _ => self.found += 1,
        }
    }

    fn assert_all(&self, name: &str) {
        tell(&format!("{name}: planted into {} queries, found in {}", self.planted, self.found));
        assert!(self.missed.is_empty(), "{name}: not found in\n{}", self.missed.join("\n"));
        assert!(self.found >= LEAST, "{name}: planted into {} queries only", self.planted);
    }
}

/// Whether some cell would be another one.
fn would_show(asked: &Asked<'_>, truth: &Truth, wrong: &Truth, readings: &[Reading]) -> bool {
    let (right, wrong) = (Expected::new(truth), Expected::new(wrong));
    let of = |expected: &Expected<'_>, day| expected.at(&asked.target.meaning, day);
    let days = readings.iter().flat_map(|reading| days_shown(asked, reading));
    days.into_iter().any(|day: NaiveDate| match (of(&right, day), of(&wrong, day)) {
        (Some(right), Some(wrong)) => !are_alike(&right, &wrong),
        _ => false,
    })
}

/// Boards of days in the zone of a reader in the west: each point would show the day after the one under which it stands.
/// Windows that find the midnights of UTC themselves do not care.
pub(super) async fn assert_a_wrong_zone_is_found(store: &Store, truth: &Truth, readings: &[Reading]) {
    let (mut boards, mut all) = (all(), Found::default());
    boards.retain(|board| board.timezone == "utc");
    boards.iter_mut().for_each(|board| board.timezone = "browser");
    let cares = |asked: &Asked<'_>| !asked.target.instant && !asked.target.expr.contains(":1d]");
    for asked in targets(&boards).into_iter().filter(cares) {
        if would_show(&asked, truth, &truth.a_day_later(), readings) {
            let mut compared = Compared::default();
            compare(store, truth, &asked, &asked.target.expr, readings, &mut compared).await;
            all.note(&asked, &asked.target.expr, &compared);
        }
    }
    all.assert_all("days in the reader's zone");
}

/// Plants each error into each query and asks a month; all that would show must be found.
pub(super) async fn assert_found(store: &Store, truth: &Truth, readings: &[Reading]) {
    let mut boards = all();
    // Its queries hold several metrics each: an error in one of them need not show.
    boards.retain(|board| board.uid != OF_HABITS);
    for Error { name, planted, as_if } in ERRORS {
        let (wrong, mut all) = (as_if(truth), Found::default());
        for asked in targets(&boards) {
            let expr = planted(&asked.target.expr);
            if expr == asked.target.expr || !would_show(&asked, truth, &wrong, readings) {
                continue;
            }
            let mut compared = Compared::default();
            compare(store, truth, &asked, &expr, readings, &mut compared).await;
            all.note(&asked, &expr, &compared);
        }
        all.assert_all(name);
    }
}
