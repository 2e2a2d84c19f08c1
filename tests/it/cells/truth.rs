//! What a cell must show, computed from the documents by what its expression is said to mean.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use chrono::{Datelike as _, NaiveDate, TimeDelta};
use oura_dashboards::{
    Meaning,
    meaning::{Operator, Statistic},
};

use super::effects::{correlation, effect};
use crate::{common::stores::Labels, record::history::Days};

/// Values by the labels of the results.
pub(crate) type Results = BTreeMap<Labels, f64>;

/// What all series of a metric say of a day.
type Series = Vec<(Labels, f64)>;

/// The documents' values by metric and day.
#[derive(Default)]
pub(crate) struct Truth(HashMap<String, BTreeMap<NaiveDate, Series>>);

/// The labels of a series as OpenMetrics writes them, and its metric.
pub(crate) fn parsed(series: &str) -> (&str, Labels) {
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.strip_suffix('}').expect("an end").split(',').filter(|label| !label.is_empty());
    let labels = labels.map(|label| {
        let (name, value) = label.split_once('=').expect("a label");
        (name.to_owned(), value.trim_matches('"').to_owned())
    });
    (name, labels.collect())
}

impl Truth {
    /// Of these people.
    pub(crate) fn of<'a>(people: impl IntoIterator<Item = (&'a str, &'a Days)>) -> Self {
        let mut all = HashMap::<String, BTreeMap<NaiveDate, Series>>::new();
        for (person, days) in people {
            for (day, values) in days {
                for (series, value) in values {
                    let (name, mut labels) = parsed(series);
                    labels.insert("account".to_owned(), person.to_owned());
                    let days = all.entry(name.to_owned()).or_default();
                    days.entry(*day).or_default().push((labels, *value));
                }
            }
        }
        Self(all)
    }

    /// As if each day's documents were told of the day after.
    pub(crate) fn a_day_later(&self) -> Self {
        self.changed(|days| days.iter().map(|(day, series)| (*day + TimeDelta::days(1), series.clone())).collect())
    }

    /// As if what a day's documents do not say were as the day before.
    pub(crate) fn filled(&self) -> Self {
        self.changed(|days| {
            let mut filled = days.clone();
            for (day, series) in days {
                let next = filled.entry(*day + TimeDelta::days(1)).or_default();
                let lacks = |(labels, _): &&(Labels, f64)| next.iter().all(|(other, _)| other != labels);
                let lacking: Vec<_> = series.iter().filter(lacks).cloned().collect();
                next.extend(lacking);
            }
            filled
        })
    }

    /// As if every value were so many times as high.
    pub(crate) fn times(&self, factor: f64) -> Self {
        let times = |(labels, value): &(Labels, f64)| (labels.clone(), value * factor);
        self.changed(|days| days.iter().map(|(day, series)| (*day, series.iter().map(times).collect())).collect())
    }

    fn changed(&self, change: impl Fn(&BTreeMap<NaiveDate, Series>) -> BTreeMap<NaiveDate, Series>) -> Self {
        Self(self.0.iter().map(|(metric, days)| (metric.clone(), change(days))).collect())
    }

    /// What the series of a metric say of a day.
    pub(crate) fn series(&self, metric: &str, day: NaiveDate) -> &[(Labels, f64)] {
        let days = self.0.get(&format!("oura_sample_{metric}"));
        days.and_then(|days| days.get(&day)).map_or(&[], Vec::as_slice)
    }
}

/// Whether two numbers are the same, but for what is lost of sixteen digits in a year's squares.
pub(crate) fn is_same(one: f64, other: f64) -> bool {
    one == other || (one - other).abs() <= 1e-9 * one.abs().max(other.abs()).max(1.0)
}

/// Whether all results are the same.
pub(crate) fn are_alike(one: &Results, other: &Results) -> bool {
    let pairs = || one.iter().zip(other);
    one.len() == other.len() && pairs().all(|((a, x), (b, y))| a == b && (is_same(*x, *y) || x.is_nan() && y.is_nan()))
}

/// Computes one expression, and remembers what it computed.
pub(crate) struct Expected<'a> {
    truth: &'a Truth,
    known: RefCell<HashMap<(usize, NaiveDate), Rc<Results>>>,
}

/// The labels by which results are told apart.
fn key(labels: &Labels, by: &[&str]) -> Labels {
    let is_kept = |name: &str| name == "account" || by.contains(&name);
    labels.iter().filter(|(name, _)| is_kept(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

impl<'a> Expected<'a> {
    pub(crate) fn new(truth: &'a Truth) -> Self {
        Self { truth, known: RefCell::default() }
    }

    /// What is said of a day; none if it is not about days.
    pub(crate) fn at(&self, meaning: &Meaning, day: NaiveDate) -> Option<Rc<Results>> {
        // A meaning outlives this and stays where it is.
        let place = (std::ptr::from_ref(meaning) as usize, day);
        if let Some(known) = self.known.borrow().get(&place) {
            return Some(Rc::clone(known));
        }
        let results = Rc::new(self.computed(meaning, day)?);
        self.known.borrow_mut().insert(place, Rc::clone(&results));
        Some(results)
    }

    fn computed(&self, meaning: &Meaning, day: NaiveDate) -> Option<Results> {
        let of = |of, day| self.at(of, day);
        Some(match meaning {
            Meaning::Day { metric, matching, by } => self.day(metric, matching, by, day),
            Meaning::SumOfParts { metric } => self.sum_of_parts(metric, day),
            Meaning::State { metric, label, states } => self.state(metric, label, states, day),
            Meaning::Later { of: inner, days } => (*of(inner, day + TimeDelta::days(*days))?).clone(),
            Meaning::Over { of: inner, days, statistic, at_least } => {
                self.over(inner, (*days, *at_least), *statistic, day)?
            }
            Meaning::Two { first, operator, second } => two(&*of(first, day)?, *operator, &*of(second, day)?),
            Meaning::Linear { of: inner, factor, plus } => {
                of(inner, day)?.iter().map(|(labels, value)| (labels.clone(), value * factor + plus)).collect()
            }
            Meaning::On { of: inner, weekdays } => {
                let weekday = u8::try_from(day.weekday().num_days_from_sunday()).expect("a day of the week");
                if weekdays.contains(&weekday) { (*of(inner, day)?).clone() } else { Results::new() }
            }
            Meaning::Rows { label, rows } => {
                let mut all = Results::new();
                for (name, meaning) in rows {
                    for (labels, value) in of(meaning, day)?.iter() {
                        let mut labels = labels.clone();
                        labels.insert((*label).to_owned(), (*name).to_owned());
                        all.insert(labels, *value);
                    }
                }
                all
            }
            Meaning::ThroughTheDay(inner) => (*of(inner, day)?).clone(),
            Meaning::Effect { metric, column, factor } => effect(self.truth, metric, *column, *factor, day),
            Meaning::Correlation { first, second } => correlation(self.truth, first, second, day),
            // Not of a day, but of a moment.
            Meaning::Newest { .. } | Meaning::DayOfNewest { .. } => return None,
            Meaning::InTheNight { .. } | Meaning::MeanOfStep { .. } | Meaning::Other(_) => return None,
        })
    }

    fn day(&self, metric: &str, matching: &[(&str, &str)], by: &[&str], day: NaiveDate) -> Results {
        let mut results = Results::new();
        for (labels, value) in self.truth.series(metric, day) {
            let fits = |(name, value): &(&str, &str)| labels.get(*name).is_some_and(|own| own == value);
            if matching.iter().all(fits) {
                let highest = results.entry(key(labels, by)).or_insert(*value);
                *highest = highest.max(*value);
            }
        }
        results
    }

    fn sum_of_parts(&self, metric: &str, day: NaiveDate) -> Results {
        let mut results = Results::new();
        for (labels, value) in self.truth.series(metric, day) {
            *results.entry(key(labels, &[])).or_default() += value;
        }
        results
    }

    fn state(&self, metric: &str, label: &str, states: &[&str], day: NaiveDate) -> Results {
        let holding = self.truth.series(metric, day).iter().filter(|(_, value)| *value == 1.0);
        let number = |labels: &Labels| states.iter().position(|state| labels[label] == *state);
        holding.filter_map(|(labels, _)| Some((key(labels, &[]), number(labels)? as f64 + 1.0))).collect()
    }

    fn over(
        &self,
        of: &Meaning,
        (days, at_least): (u32, u32),
        statistic: Statistic,
        day: NaiveDate,
    ) -> Option<Results> {
        let mut values = BTreeMap::<Labels, Vec<f64>>::new();
        for back in (0..i64::from(days)).rev() {
            for (labels, value) in self.at(of, day - TimeDelta::days(back))?.iter() {
                values.entry(labels.clone()).or_default().push(*value);
            }
        }
        values.retain(|_, values| values.len() >= at_least as usize);
        Some(values.into_iter().map(|(labels, values)| (labels, made_of(statistic, values))).collect())
    }
}

fn two(first: &Results, operator: Operator, second: &Results) -> Results {
    let both = first.iter().filter_map(|(labels, value)| Some((labels, *value, *second.get(labels)?)));
    let done = |first: f64, second: f64| match operator {
        Operator::Plus => first + second,
        Operator::Minus => first - second,
        Operator::By => first / second,
    };
    both.map(|(labels, first, second)| (labels.clone(), done(first, second))).collect()
}

/// A statistic of at least one value.
fn made_of(statistic: Statistic, mut values: Vec<f64>) -> f64 {
    let count = values.len() as f64;
    let sum: f64 = values.iter().sum();
    match statistic {
        Statistic::Mean => sum / count,
        Statistic::Sum => sum,
        Statistic::Count => count,
        Statistic::Lowest => values.iter().copied().fold(f64::INFINITY, f64::min),
        Statistic::Highest => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        Statistic::Deviation => (values.iter().map(|value| (value - sum / count).powi(2)).sum::<f64>() / count).sqrt(),
        Statistic::Quantile(quantile) => {
            values.sort_by(f64::total_cmp);
            let rank = quantile * (count - 1.0);
            let (lower, upper) = (values[rank.floor() as usize], values[rank.ceil() as usize]);
            lower + (upper - lower) * (rank - rank.floor())
        }
    }
}
