//! Metrics of the exporter's own that are kept account by account, so that an account's part of the page can be made alone.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus::{
    core::Desc,
    proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType},
};

use crate::{metric::SelfMetric, observation::ACCOUNT_LABEL};

/// The values of the labels after the account's, and the value.
type Series = BTreeMap<Vec<&'static str>, f64>;

/// One metric of every account; its first label is the account's.
#[derive(Clone)]
pub struct ByAccount {
    metric: SelfMetric,
    kind: MetricType,
    description: Desc,
    kept: Arc<Mutex<BTreeMap<String, Kept>>>,
}

/// What is kept of one account.
#[derive(Default)]
struct Kept {
    /// A number that grows with every change.
    changes: u64,
    series: Series,
}

impl ByAccount {
    /// A counter that counts for each account.
    ///
    /// # Errors
    /// None in practice: the names are constants.
    pub fn counter(metric: SelfMetric) -> Result<Self, prometheus::Error> {
        Self::new(metric, MetricType::COUNTER)
    }

    /// A gauge of each account.
    ///
    /// # Errors
    /// None in practice: the names are constants.
    pub fn gauge(metric: SelfMetric) -> Result<Self, prometheus::Error> {
        Self::new(metric, MetricType::GAUGE)
    }

    fn new(metric: SelfMetric, kind: MetricType) -> Result<Self, prometheus::Error> {
        let labels = metric.labels.iter().map(|label| (*label).to_owned()).collect();
        let description = Desc::new(metric.name.to_owned(), metric.help.to_owned(), labels, Default::default())?;
        Ok(Self { metric, kind, description, kept: Arc::default() })
    }

    /// Adds to a series of `account`, which begins at zero.
    pub fn add(&self, account: &str, labels: &[&'static str], more: f64) {
        self.change(account, labels, |value| *value += more);
    }

    /// Sets a series of `account`.
    pub fn set(&self, account: &str, labels: &[&'static str], to: f64) {
        self.change(account, labels, |value| *value = to);
    }

    /// Raises a series of `account` to a count that it may have reached before.
    pub fn raise(&self, account: &str, labels: &[&'static str], to: f64) {
        self.change(account, labels, |value| *value = value.max(to));
    }

    fn change(&self, account: &str, labels: &[&'static str], change: impl FnOnce(&mut f64)) {
        let mut all = self.lock();
        let kept = all.entry(account.to_owned()).or_default();
        change(kept.series.entry(labels.to_vec()).or_default());
        kept.changes += 1;
    }

    /// Leaves out an account that is gone.
    pub fn forget(&self, account: &str) {
        self.lock().remove(account);
    }

    /// A number that grows with every change of the account's series; 0 where it has none.
    pub fn changes(&self, account: &str) -> u64 {
        self.lock().get(account).map_or(0, |kept| kept.changes)
    }

    /// What it is called and means.
    pub const fn description(&self) -> &Desc {
        &self.description
    }

    /// The series of `account`.
    pub fn collect(&self, account: &str) -> MetricFamily {
        let all = self.lock();
        let series = all.get(account).map(|kept| &kept.series).into_iter().flatten();
        let metrics = series.map(|(labels, value)| self.one(account, labels, *value)).collect();
        let mut family = MetricFamily::default();
        family.set_name(self.metric.name.to_owned());
        family.set_help(self.metric.help.to_owned());
        family.set_field_type(self.kind);
        family.set_metric(metrics);
        family
    }

    fn one(&self, account: &str, labels: &[&'static str], value: f64) -> Metric {
        let others = self.metric.labels.iter().filter(|name| **name != ACCOUNT_LABEL).zip(labels.iter().copied());
        let pair = |(name, value): (&&str, &str)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value(value.to_owned());
            pair
        };
        let pairs = std::iter::once((&ACCOUNT_LABEL, account)).chain(others).map(pair);
        let mut metric = Metric::from_label(pairs.collect());
        if self.kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        metric
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRIC: SelfMetric =
        SelfMetric { name: "oura_things_total", help: "Things.", labels: &["account", "collection", "reason"] };

    #[test]
    fn each_account_has_its_own_series_and_number_of_changes() {
        let things = ByAccount::counter(METRIC).unwrap();
        things.add("anna", &["sleep", "server"], 2.0);
        things.add("anna", &["sleep", "server"], 1.0);
        things.raise("anna", &["heartrate", "token"], 4.0);
        things.raise("anna", &["heartrate", "token"], 3.0);
        things.add("anna-2", &["sleep", "server"], 7.0);
        let seen = |account: &str| {
            let family = things.collect(account);
            let one = |metric: &Metric| {
                let labels: Vec<_> = metric.get_label().iter().map(|pair| pair.value().to_owned()).collect();
                (labels.join(" "), metric.get_counter().get_value())
            };
            (family.get_metric().iter().map(one).collect::<Vec<_>>(), things.changes(account))
        };
        let of_anna = vec![("anna heartrate token".to_owned(), 4.0), ("anna sleep server".to_owned(), 3.0)];
        assert_eq!(seen("anna"), (of_anna, 4));
        assert_eq!(seen("anna-2"), (vec![("anna-2 sleep server".to_owned(), 7.0)], 1));
        things.forget("anna");
        assert_eq!(seen("anna"), (vec![], 0));
        assert_eq!(seen("anna-2").0.len(), 1, "whoever else begins like that stays");
    }
}
