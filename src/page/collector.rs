//! The snapshot as a Prometheus collector: each collection of metrics is built anew, so nothing stale can hide.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use prometheus::{
    core::{Collector, Desc},
    proto::{Gauge, LabelPair, Metric, MetricFamily, MetricType},
};

use super::{ACCOUNT_METRICS, EXPORTER_METRICS};
use crate::{
    documents::Entry,
    observation::{ACCOUNT_LABEL, Observation},
    state::{AccountState, Snapshot},
};

/// The snapshot as a collector.
pub struct Latest {
    snapshot: Arc<Snapshot>,
    descriptions: Vec<Desc>,
    help: HashMap<&'static str, &'static str>,
}

impl Latest {
    /// A collector over `snapshot`.
    ///
    /// # Errors
    /// Where a definition is no legal metric, which the tests over the catalogue rule out.
    pub fn new(snapshot: Arc<Snapshot>) -> Result<Self, prometheus::Error> {
        let definitions = super::of_the_page();
        let describe = |entry: &Entry| {
            let labels = entry.labels().into_iter().map(str::to_owned).collect();
            Desc::new(entry.definition.name.to_owned(), entry.definition.help.to_owned(), labels, HashMap::new())
        };
        let descriptions = definitions.iter().map(describe).collect::<Result<_, _>>()?;
        let help = definitions.iter().map(|entry| (entry.definition.name, entry.definition.help)).collect();
        Ok(Self { snapshot, descriptions, help })
    }

    fn family(&self, name: &'static str, metrics: Vec<Metric>) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(self.help.get(name).copied().unwrap_or_default().to_owned());
        family.set_field_type(MetricType::GAUGE);
        family.set_metric(metrics);
        family
    }
}

impl Collector for Latest {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let accounts = self.snapshot.accounts();
        let mut families = BTreeMap::<&'static str, Vec<Metric>>::new();
        let mut add = |account: Option<&str>, observation: Observation| {
            families.entry(observation.name).or_default().push(series(account, observation));
        };
        for account in &accounts {
            observations(account).for_each(|observation| add(Some(&account.name), observation));
        }
        for observation in EXPORTER_METRICS.iter().flat_map(|metric| metric.observe(&accounts)) {
            add(None, observation);
        }
        families.into_iter().map(|(name, metrics)| self.family(name, metrics)).collect()
    }
}

fn observations(account: &AccountState) -> impl Iterator<Item = Observation> {
    let own = ACCOUNT_METRICS.iter().flat_map(move |metric| metric.observe(account));
    let shown = account.collections.iter().filter_map(|collection| collection.shown.as_ref());
    own.chain(shown.flat_map(|shown| shown.observations.iter().cloned()))
}

fn series(account: Option<&str>, observation: Observation) -> Metric {
    let own = account.map(|account| (ACCOUNT_LABEL, account.to_owned()));
    let others = observation.labels.into_iter().map(|(name, value)| (name, value.into_owned()));
    let pair = |(name, value): (&str, String)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value);
        pair
    };
    let mut gauge = Gauge::default();
    gauge.set_value(observation.value);
    let mut metric = Metric::from_label(own.into_iter().chain(others).map(pair).collect());
    metric.set_gauge(gauge);
    metric
}
