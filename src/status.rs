//! The exporter's own metrics: its requests to Oura, its errors, its build and its process.

use std::time::Duration;

use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use crate::{by_account::ByAccount, documents::Kind, metric::SelfMetric, problem::Reason, shard::Shard, version};

/// Request durations are sorted into these, in seconds: a fast answer, a usual one, a slow one, the timeout.
const BUCKETS: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

const REQUESTS: SelfMetric = SelfMetric {
    name: "oura_api_requests_total",
    help: "Requests to Oura by HTTP status; code none: no answer came.",
    labels: &["collection", "code"],
};
const ERRORS: SelfMetric = SelfMetric {
    name: "oura_api_errors_total",
    help: "Failures of a collection by reason, from the first one on.",
    labels: &["account", "collection", "reason"],
};
const DURATION: SelfMetric = SelfMetric {
    name: "oura_api_request_duration_seconds",
    help: "Time from a request to Oura to the last byte of its answer, as a histogram.",
    labels: &[],
};
const BUDGET: SelfMetric = SelfMetric {
    name: "oura_api_budget_ratio",
    help: "Requests in five minutes that all accounts need, divided by the sustained budget (oura_api_request_budget less a \
           fortieth for bursts); above 1, intervals are stretched by this factor, those of mornings less.",
    labels: &[],
};
const REQUEST_BUDGET: SelfMetric = SelfMetric {
    name: "oura_api_request_budget",
    help: "How many requests to Oura this exporter may make in five minutes (OURA_REQUEST_BUDGET).",
    labels: &[],
};
const BUILD: SelfMetric = SelfMetric {
    name: "oura_exporter_build_info",
    help: "The exporter that made this page, always 1.",
    labels: &["version", "revision"],
};
const SHARDS: SelfMetric = SelfMetric {
    name: "oura_exporter_shards",
    help: "How many exporters share the accounts; the label shard says which of them this is, from 0. Only with OURA_SHARD.",
    labels: &["shard"],
};
const ACCOUNTS: SelfMetric = SelfMetric {
    name: "oura_exporter_accounts",
    help: "How many accounts this exporter reads: with OURA_SHARD those of its shard.",
    labels: &[],
};
/// All of them.
pub const OWN: &[SelfMetric] = &[REQUESTS, ERRORS, DURATION, BUDGET, REQUEST_BUDGET, BUILD, SHARDS, ACCOUNTS];

/// The exporter's own metrics.
#[derive(Clone)]
pub struct ApiStats {
    requests: IntCounterVec,
    errors: ByAccount,
    duration: Histogram,
    budget: Gauge,
    request_budget: IntGauge,
    build: IntGaugeVec,
    shards: IntGaugeVec,
    accounts: IntGauge,
}

impl ApiStats {
    /// Counters at zero.
    ///
    /// # Errors
    /// None in practice: the names are constants.
    pub fn new() -> Result<Self, prometheus::Error> {
        let options = |metric: &SelfMetric| Opts::new(metric.name, metric.help);
        let build = IntGaugeVec::new(options(&BUILD), BUILD.labels)?;
        build.with_label_values(&[version::VERSION, version::REVISION]).set(1);
        Ok(Self {
            requests: IntCounterVec::new(options(&REQUESTS), REQUESTS.labels)?,
            errors: ByAccount::counter(ERRORS)?,
            duration: Histogram::with_opts(HistogramOpts::from(options(&DURATION)).buckets(BUCKETS.to_vec()))?,
            budget: Gauge::with_opts(options(&BUDGET))?,
            request_budget: IntGauge::with_opts(options(&REQUEST_BUDGET))?,
            build,
            shards: IntGaugeVec::new(options(&SHARDS), SHARDS.labels)?,
            accounts: IntGauge::with_opts(options(&ACCOUNTS))?,
        })
    }

    /// Says which of several exporters this is.
    pub fn is_shard(&self, shard: Shard) {
        self.shards.with_label_values(&[shard.index().to_string()]).set(shard.count().into());
    }

    /// Shows the requests of these collections from the start, at zero.
    pub fn expect(&self, kinds: &[&'static Kind]) {
        for kind in kinds {
            self.requests.with_label_values(&[kind.name, "200"]);
        }
    }

    /// Counts a request and how long it took; `code` is none where no answer came.
    pub fn request(&self, collection: &str, code: Option<u16>, took: Duration) {
        let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        self.requests.with_label_values(&[collection, code.as_str()]).inc();
        self.duration.observe(took.as_secs_f64());
    }

    /// How much of the request budget is needed.
    pub fn budget_ratio(&self, ratio: f64) {
        self.budget.set(ratio);
    }

    /// How many requests may be made in five minutes.
    pub fn request_budget(&self, most: u32) {
        self.request_budget.set(most.into());
    }

    /// So many accounts more, or fewer, are read.
    pub fn accounts(&self, more: i64) {
        self.accounts.add(more);
    }

    /// Counts failures of a collection.
    pub fn errors(&self, account: &str, collection: &'static str, reason: Reason, count: u64) {
        self.errors.add(account, &[collection, reason.label()], count as f64);
    }

    /// Leaves out what was counted for an account that is gone.
    pub fn forget(&self, account: &str) {
        self.errors.forget(account);
    }

    /// What is counted account by account; the rest is collected.
    pub fn by_account(&self) -> Vec<ByAccount> {
        vec![self.errors.clone()]
    }

    fn parts(&self) -> [&dyn Collector; 7] {
        [&self.requests, &self.duration, &self.budget, &self.request_budget, &self.build, &self.shards, &self.accounts]
    }
}

impl Collector for ApiStats {
    fn desc(&self) -> Vec<&Desc> {
        self.parts().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.parts().into_iter().flat_map(Collector::collect).collect()
    }
}

/// A registry of the process's own metrics (`process_*`), which change with every look; empty but on Linux.
///
/// # Errors
/// None in practice: the names are constants.
pub fn process_registry() -> Result<Registry, prometheus::Error> {
    let registry = Registry::new();
    #[cfg(target_os = "linux")]
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
    Ok(registry)
}
