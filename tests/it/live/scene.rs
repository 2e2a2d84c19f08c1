//! A service whose time is moved by hand, and what an exporter of one person there must have told.

use std::sync::OnceLock;

use chrono::{DateTime, TimeDelta, Utc};
use oura_exporter::{
    clock::{Clock, ManualClock},
    simulator::{Settings, Simulator},
    tls,
};

use super::{
    book::Book,
    by_hand::{Variables, variables},
};

/// How long the longest of these lives is, in days.
pub(crate) const DAYS: i64 = 7;
/// All follow from it.
pub(crate) const SEED: u64 = 5;

/// When all of these lives begin, so that the longest ends three hours ago: stores take nothing from the future.
fn start() -> DateTime<Utc> {
    static START: OnceLock<DateTime<Utc>> = OnceLock::new();
    *START.get_or_init(|| {
        let end = Utc::now().timestamp() - 3 * 3600;
        DateTime::from_timestamp(end - end.rem_euclid(60), 0).expect("a time") - TimeDelta::days(DAYS)
    })
}

/// A service, a directory for what is kept, and what must be told.
pub(crate) struct Scene {
    pub(crate) simulator: Simulator,
    pub(crate) clock: Clock,
    hand: ManualClock,
    state: tempfile::TempDir,
    start: DateTime<Utc>,
    pub(crate) book: Book,
}

impl Scene {
    pub(crate) async fn new(person: &'static str) -> Self {
        Self::from(person, start()).await
    }

    /// One that begins at a moment of its own, for what no store takes: each run is like the last.
    pub(crate) async fn from(person: &'static str, start: DateTime<Utc>) -> Self {
        tls::choose_provider();
        let (clock, hand) = Clock::driven_from(start);
        let settings = Settings { clock: clock.clone().into(), seed: SEED, full_days: Some(0), ..Settings::default() };
        let simulator = Simulator::start(settings).await.expect("a free port");
        let state = tempfile::tempdir().expect("a directory");
        Self { simulator, clock, hand, state, start, book: Book::new(person, start) }
    }

    /// What an exporter of the person sets.
    pub(crate) fn variables(&self) -> Variables {
        let mut variables = variables(&self.simulator, self.book.person);
        variables.push(("OURA_STATE_DIR", self.state.path().display().to_string()));
        variables
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// How much of the days that are to be lived has gone by.
    pub(crate) fn lived(&self) -> TimeDelta {
        self.now() - self.start
    }

    pub(crate) fn advance(&self, by: TimeDelta) {
        self.hand.advance(by);
    }

    /// Writes down what an exporter tells that asks now.
    pub(crate) fn looked(&mut self) {
        let now = self.now();
        self.book.look(&self.simulator, now);
    }
}
