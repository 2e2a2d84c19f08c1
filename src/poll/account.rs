//! Following one account: whose turn it is, and when the collection's next one comes.

use std::{future::pending, sync::Arc, time::Duration};

use chrono::{DateTime, NaiveDate, Offset as _, TimeDelta, Utc};
use futures_util::{StreamExt, stream::FuturesUnordered};
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep_until};

use super::{
    Poller,
    fetch::Fetch,
    schedule::{Next, Schedule, after_failures, every},
    series::Series,
};
use crate::{
    documents::{Days, Kind},
    latest::AccountState,
    observation::{Moment, Sighting},
    oura::Client,
    problem::{Problem, Reason},
};

/// How long after a refusal for want of scope or permission it is asked again.
const SCOPE_REFUSED: Duration = Duration::from_secs(6 * 3600);
/// How long after a lapsed membership it is asked again.
const MEMBERSHIP_LAPSED: Duration = Duration::from_secs(3600);

/// An account to follow.
#[derive(Clone)]
pub struct Account {
    /// The name given by the user.
    pub name: String,
    /// Its way to Oura.
    pub client: Arc<Client>,
}

impl Account {
    /// Asks a collection once, apart from all polling; the day of its newest view, if it is dated.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn ask_once(&self, kind: &'static Kind, now: DateTime<Utc>) -> Result<Option<NaiveDate>, Problem> {
        let fetch = Fetch { client: Arc::clone(&self.client), kind, now, is_doubtful: false, samples: None };
        let documents = fetch.run(&mut None).await?;
        let moment = Moment { now, zone: Utc.fix() };
        let reading = kind.read(&documents, &moment);
        if reading.unreadable.is_empty() {
            return Ok(reading.shown.and_then(|shown| shown.date.day(moment.zone)));
        }
        Err(Problem::of_documents(&reading.unreadable))
    }

    /// Asks a collection for what there is of `days`, with all samples, and of a little more on both sides.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn ask_past(
        &self,
        kind: &'static Kind,
        days: Days,
        now: DateTime<Utc>,
    ) -> Result<Vec<Box<RawValue>>, Problem> {
        let samples = Some(TimeDelta::zero());
        Fetch { client: Arc::clone(&self.client), kind, now, is_doubtful: false, samples }.past(days).await
    }
}

/// An account as it is followed.
pub(super) struct Follower {
    pub(super) poller: Poller,
    /// Its place on the board.
    slot: usize,
    client: Arc<Client>,
    pub(super) state: AccountState,
    /// Where the wearer's zone was last seen.
    pub(super) sighting: Option<Sighting>,
    /// The rows kept between polls, by the collection's place.
    series: Vec<Option<Series>>,
}

/// How a collection's turn ended.
struct Ended {
    place: usize,
    started: Instant,
    series: Option<Series>,
    result: Result<Vec<Box<RawValue>>, Problem>,
    needs_sign_in: bool,
    token_expires_at: Option<DateTime<Utc>>,
}

impl Poller {
    pub(super) async fn follow(self, slot: usize, account: Account) {
        let mut state = AccountState::new(&account.name, &self.kinds);
        state.is_signed_in = account.client.source().is_kept();
        let series = self.kinds.iter().map(|_| None).collect();
        let mut schedule = Schedule::new(self.kinds.len(), Instant::now(), self.patience.stagger);
        let mut follower = Follower { poller: self, slot, client: account.client, state, sighting: None, series };
        let mut running = FuturesUnordered::new();
        loop {
            let wait = match schedule.next(Instant::now()) {
                Next::Start(place) => {
                    schedule.started(place, Instant::now());
                    running.push(follower.turn(place));
                    continue;
                }
                Next::At(instant) => Some(instant),
                Next::AllRunning => None,
            };
            tokio::select! {
                Some(ended) = running.next() => schedule.ended(ended.place, follower.take(ended)),
                () = at(wait) => {}
            }
        }
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}

impl Follower {
    /// Asks the collection in `place`.
    fn turn(&mut self, place: usize) -> impl Future<Output = Ended> + use<> {
        let fetch = Fetch {
            client: Arc::clone(&self.client),
            kind: self.poller.kinds[place],
            now: self.poller.clock.now(),
            is_doubtful: self.state.needs_sign_in(),
            samples: self.poller.samples.as_ref().map(|samples| samples.keep),
        };
        let mut series = self.series[place].take();
        let started = Instant::now();
        async move {
            let client = Arc::clone(&fetch.client);
            let result = fetch.run(&mut series).await;
            let source = client.source();
            let (needs_sign_in, token_expires_at) = (source.needs_sign_in().await, source.expires_at().await);
            Ended { place, started, series, result, needs_sign_in, token_expires_at }
        }
    }

    /// Takes note of how a turn ended, and says when the collection's next one is.
    fn take(&mut self, ended: Ended) -> Instant {
        let place = ended.place;
        self.series[place] = ended.series;
        self.state.rate_limited_until = self.client.rate_limited_until();
        match ended.result.and_then(|documents| self.read(place, &documents)) {
            Ok(reading) => self.succeeded(place, reading),
            Err(problem) => self.failed(place, problem),
        }
        if ended.needs_sign_in {
            self.state.authorized = Some(false);
        }
        self.state.token_expires_at = ended.token_expires_at;
        self.poller.board.post(self.slot, self.state.clone());
        self.due_again(place, ended.started)
    }

    fn due_again(&self, place: usize, started: Instant) -> Instant {
        let collection = &self.state.collections[place];
        let interval = self.poller.interval;
        let usual = started + every(collection.kind.pace, interval);
        let refused = collection.permitted == Some(false);
        match collection.problem.as_ref().map(|problem| problem.reason) {
            None | Some(Reason::Request | Reason::Document) => usual,
            Some(Reason::Scope) if refused => started + SCOPE_REFUSED,
            Some(Reason::Membership) if refused => started + MEMBERSHIP_LAPSED,
            Some(Reason::Token) => started + interval,
            Some(Reason::RateLimit) => (started + interval).max(self.client.passes_at().unwrap_or(started) + jitter()),
            Some(_) => started + after_failures(collection.failures, interval),
        }
    }
}

/// Not all at the very moment at which a wait ends.
fn jitter() -> Duration {
    Duration::from_millis(fastrand::u64(0..1000))
}
