//! The snapshot as Prometheus collectors: what they give is made of the newest states each time, so nothing stale can hide.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus::{
    core::{Collector, Desc},
    proto::{Gauge, LabelPair, Metric, MetricFamily, MetricType},
};

use super::{ACCOUNT_METRICS, EXPORTER_METRICS, entries};
use crate::{
    by_account::ByAccount,
    documents::Entry,
    observation::{ACCOUNT_LABEL, Observation},
    state::{AccountState, Snapshot},
};

/// One account of the snapshot as a collector: the one that it is handed. A page is as many of them as there are accounts,
/// and only those are collected again that changed.
#[derive(Clone)]
pub(super) struct Latest {
    account: Arc<Mutex<Option<AccountState>>>,
    described: Arc<Described>,
    /// What the exporter keeps for each account besides.
    others: Arc<[ByAccount]>,
}

/// What all accounts together come to, as a collector over the snapshot.
pub(super) struct Together {
    snapshot: Arc<Snapshot>,
    described: Described,
}

/// What metrics are called and mean.
struct Described {
    descriptions: Vec<Desc>,
    help: HashMap<&'static str, &'static str>,
}

impl Described {
    fn new(definitions: &[Entry]) -> Result<Self, prometheus::Error> {
        let describe = |entry: &Entry| {
            let labels = entry.labels().into_iter().map(str::to_owned).collect();
            Desc::new(entry.definition.name.to_owned(), entry.definition.help.to_owned(), labels, HashMap::new())
        };
        let descriptions = definitions.iter().map(describe).collect::<Result<_, _>>()?;
        let help = definitions.iter().map(|entry| (entry.definition.name, entry.definition.help)).collect();
        Ok(Self { descriptions, help })
    }

    fn families<'a>(
        &self,
        account: Option<&str>,
        all: impl Iterator<Item = Cow<'a, Observation>>,
    ) -> Vec<MetricFamily> {
        let all: Vec<_> = all.collect();
        // A name that comes again later makes a second family, which the registry joins to the first.
        let families = all.chunk_by(|one, next| one.name == next.name);
        families.map(|all| self.family(all[0].name, all.iter().map(|one| series(account, one)).collect())).collect()
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

impl Latest {
    /// A collector that shows nobody yet.
    ///
    /// # Errors
    /// Where a definition is no legal metric, which the tests over the catalogue rule out.
    pub(super) fn new(others: Vec<ByAccount>) -> Result<Self, prometheus::Error> {
        let described = Arc::new(Described::new(&entries::of_an_account())?);
        Ok(Self { account: Arc::default(), described, others: others.into() })
    }

    /// Hands it the account that is collected from now on.
    pub(super) fn show(&self, account: AccountState) {
        *self.account.lock().unwrap_or_else(PoisonError::into_inner) = Some(account);
    }

    /// A number that changes with what the exporter keeps of that account besides its state.
    pub(super) fn changes(&self, account: &str) -> u64 {
        self.others.iter().map(|other| other.changes(account)).sum()
    }
}

impl Collector for Latest {
    fn desc(&self) -> Vec<&Desc> {
        self.described.descriptions.iter().chain(self.others.iter().map(ByAccount::description)).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(account) = &*account else { return vec![] };
        let mut families = self.described.families(Some(&account.name), observations(account));
        families.extend(self.others.iter().map(|other| other.collect(&account.name)));
        families
    }
}

impl Together {
    /// A collector over `snapshot`.
    ///
    /// # Errors
    /// Where a definition is no legal metric, which the tests over the catalogue rule out.
    pub(super) fn new(snapshot: Arc<Snapshot>) -> Result<Self, prometheus::Error> {
        Ok(Self { snapshot, described: Described::new(&entries::of_all_accounts())? })
    }
}

impl Collector for Together {
    fn desc(&self) -> Vec<&Desc> {
        self.described.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let accounts = self.snapshot.posted().iter().map(|posted| Arc::clone(&posted.state)).collect();
        let all = EXPORTER_METRICS.iter().flat_map(|metric| metric.observe(&accounts));
        self.described.families(None, all.map(Cow::Owned))
    }
}

fn observations(account: &AccountState) -> impl Iterator<Item = Cow<'_, Observation>> {
    let own = ACCOUNT_METRICS.iter().flat_map(move |metric| metric.observe(account));
    let shown = account.collections.iter().filter_map(|collection| collection.shown.as_ref());
    own.map(Cow::Owned).chain(shown.flat_map(|shown| shown.observations.iter().map(Cow::Borrowed)))
}

fn series(account: Option<&str>, observation: &Observation) -> Metric {
    let own = account.map(|account| (ACCOUNT_LABEL, account));
    let others = observation.labels.iter().map(|(name, value)| (*name, value.as_ref()));
    let pair = |(name, value): (&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    let mut gauge = Gauge::default();
    gauge.set_value(observation.value);
    let mut metric = Metric::from_label(own.into_iter().chain(others).map(pair).collect());
    metric.set_gauge(gauge);
    metric
}
