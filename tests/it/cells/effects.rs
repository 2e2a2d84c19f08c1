//! What habits do to the days after them, computed from the documents' values and not in PromQL.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{NaiveDate, TimeDelta};
use oura_dashboards::meaning::EffectColumn;

use super::truth::{Results, Truth};
use crate::common::stores::Labels;

/// So many days before today are looked at.
const DAYS: i64 = 365;
/// With fewer days on either side nothing is said of a difference.
const AT_LEAST: usize = 5;
/// With fewer days that have both nothing is said of two values.
const AT_LEAST_BOTH: usize = 10;

/// An account and a habit.
type Habit = (String, String);

/// What was done on a day: going to bed late in its evening is told by the night that the next day has.
fn habits(truth: &Truth, day: NaiveDate) -> BTreeSet<Habit> {
    let next = day + TimeDelta::days(1);
    let done = |metric: &str, day, name: &dyn Fn(&Labels) -> String| {
        let done = truth.series(metric, day).iter().filter(|(_, value)| *value > 0.0);
        done.map(|(labels, _)| (labels["account"].clone(), name(labels))).collect::<Vec<_>>()
    };
    let named = |name: &'static str| move |_: &Labels| name.to_owned();
    let all = [
        done("day_tags", day, &|labels| labels["tag"].clone()),
        done("day_workouts", day, &named("workout")),
        done("day_naps", day, &named("nap")),
        done("night_bedtime_start_offset_seconds", next, &named("to bed late")),
    ];
    all.into_iter().flatten().collect()
}

/// The outcomes of the days with a habit, and of those without.
#[derive(Default)]
struct Sides {
    with: Vec<f64>,
    without: Vec<f64>,
}

/// A value of each wearer on a day.
fn outcome(truth: &Truth, metric: &str, day: NaiveDate) -> BTreeMap<String, f64> {
    truth.series(metric, day).iter().map(|(labels, value)| (labels["account"].clone(), *value)).collect()
}

fn days_before(today: NaiveDate) -> impl Iterator<Item = NaiveDate> {
    (1..=DAYS).rev().map(move |back| today - TimeDelta::days(back))
}

/// The outcomes of the next days by habit.
fn sides(truth: &Truth, metric: &str, today: NaiveDate) -> BTreeMap<Habit, Sides> {
    let done: Vec<_> = days_before(today).map(|day| (day, habits(truth, day))).collect();
    let known: BTreeSet<_> = done.iter().flat_map(|(_, habits)| habits.clone()).collect();
    let mut sides = BTreeMap::<Habit, Sides>::new();
    for (day, habits) in &done {
        let outcomes = outcome(truth, metric, *day + TimeDelta::days(1));
        for habit in &known {
            let Some(value) = outcomes.get(&habit.0) else { continue };
            let sides = sides.entry(habit.clone()).or_default();
            if habits.contains(habit) { sides.with.push(*value) } else { sides.without.push(*value) }
        }
    }
    sides
}

/// The mean and the variance of the mean.
fn mean(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, squares / (count - 1.0) / count)
}

impl Sides {
    fn told(&self, column: EffectColumn) -> Option<f64> {
        let ((mean_with, variance_with), (mean_without, variance_without)) = (mean(&self.with), mean(&self.without));
        let (with, without) = (self.with.len(), self.without.len());
        let some = |count: usize| Some(count as f64).filter(|_| count > 0);
        let fewest = with.min(without) as f64;
        let error = (variance_with + variance_without).sqrt();
        let difference = mean_with - mean_without;
        let has_enough = with.min(without) >= AT_LEAST;
        match column {
            EffectColumn::DaysWith => some(with),
            EffectColumn::DaysWithout => some(without),
            EffectColumn::MeanWith => some(with).map(|_| mean_with),
            EffectColumn::MeanWithout => some(without).map(|_| mean_without),
            EffectColumn::Difference => some(with.min(without)).map(|_| difference),
            EffectColumn::Interval => has_enough.then(|| 1.959964 * (1.0 + 1.2223 / (fewest - 2.0654)) * error),
            EffectColumn::T => has_enough.then(|| difference / error),
            EffectColumn::Judgement => {
                let critical = 2.575829 * (1.0 + 1.9541 / (fewest - 2.5182)) * error;
                Some(if has_enough { 1.0 + f64::from(u8::from(difference.abs() > critical)) } else { 0.0 })
            }
        }
    }
}

/// One column of the table of effects; what is in the outcome's unit is multiplied by the factor.
pub(crate) fn effect(truth: &Truth, metric: &str, column: EffectColumn, factor: f64, today: NaiveDate) -> Results {
    use EffectColumn::{Difference, Interval, MeanWith, MeanWithout};
    let is_outcome = matches!(column, MeanWith | MeanWithout | Difference | Interval);
    let factor = if is_outcome { factor } else { 1.0 };
    let told = sides(truth, metric, today).into_iter().filter_map(|((account, habit), sides)| {
        let labels = [("account".to_owned(), account), ("tag".to_owned(), habit)].into();
        Some((labels, sides.told(column)? * factor))
    });
    told.collect()
}

/// Pearson's r of a value of a day and one of the next.
pub(crate) fn correlation(truth: &Truth, first: &str, second: &str, today: NaiveDate) -> Results {
    let mut pairs = BTreeMap::<String, Vec<(f64, f64)>>::new();
    for day in days_before(today) {
        let next = outcome(truth, second, day + TimeDelta::days(1));
        for (account, x) in outcome(truth, first, day) {
            if let Some(y) = next.get(&account) {
                pairs.entry(account).or_default().push((x, *y));
            }
        }
    }
    pairs.retain(|_, pairs| pairs.len() >= AT_LEAST_BOTH);
    let r = |pairs: Vec<(f64, f64)>| {
        let count = pairs.len() as f64;
        let (x, y) =
            (pairs.iter().map(|(x, _)| x).sum::<f64>() / count, pairs.iter().map(|(_, y)| y).sum::<f64>() / count);
        let sum = |of: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>();
        sum(&|(a, b)| (a - x) * (b - y)) / (sum(&|(a, _)| (a - x).powi(2)) * sum(&|(_, b)| (b - y).powi(2))).sqrt()
    };
    pairs.into_iter().map(|(account, pairs)| ([("account".to_owned(), account)].into(), r(pairs))).collect()
}
