//! What is told of a token store that is a database: whether it answers.

use prometheus::{
    IntGauge, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::Store;
use crate::metric::SelfMetric;

const UP: SelfMetric = SelfMetric {
    name: "oura_token_store_up",
    help: "Whether the database of OURA_TOKEN_STORE answers, 0 or 1; 0: the sign-ins that are known are used, and none is renewed.",
    labels: &[],
};
/// The metrics of a token store; they are there only where it is a database.
pub const TOKEN_STORE: &[SelfMetric] = &[UP];

/// What is told of a store, at the moment at which it is asked for.
#[derive(Clone)]
pub struct StoreStats {
    store: Store,
    up: IntGauge,
}

impl StoreStats {
    /// What is told of `store`.
    ///
    /// # Errors
    /// None in practice: the names are constants.
    pub fn of(store: Store) -> Result<Self, prometheus::Error> {
        Ok(Self { store, up: IntGauge::with_opts(Opts::new(UP.name, UP.help))? })
    }
}

impl Collector for StoreStats {
    fn desc(&self) -> Vec<&Desc> {
        self.up.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.up.set(self.store.still_there().is_ok().into());
        self.up.collect()
    }
}
