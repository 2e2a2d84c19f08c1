//! Following one account: its collections' turns, what their answers change, and what is logged of it.

use std::{future::pending, sync::Arc, time::Duration};

use chrono::Utc;
use futures_util::{StreamExt, stream::FuturesUnordered};
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::{
    Poller,
    fetch::Fetch,
    schedule::{Next, Schedule, every},
    series::Series,
};
use crate::{
    documents::Reading,
    latest::AccountState,
    observation::Sighting,
    oura::Client,
    problem::{Problem, Reason},
};

/// How long after a refusal for want of scope or permission it is asked again.
const SCOPE_REFUSED: Duration = Duration::from_secs(6 * 3600);
/// How long after a lapsed membership it is asked again.
const MEMBERSHIP_LAPSED: Duration = Duration::from_secs(3600);

/// An account to follow.
pub struct Account {
    /// The name given by the user.
    pub name: String,
    /// Its way to Oura.
    pub client: Arc<Client>,
}

/// An account as it is followed.
struct Follower {
    poller: Poller,
    place: usize,
    client: Arc<Client>,
    state: AccountState,
    sighting: Option<Sighting>,
    series: Vec<Option<Series>>,
}

/// How a turn ended.
struct Ended {
    place: usize,
    started: Instant,
    series: Option<Series>,
    result: Result<Vec<Box<RawValue>>, Problem>,
}

impl Poller {
    pub(super) async fn follow(self, place: usize, account: Account) {
        let state = AccountState::new(&account.name, &self.kinds);
        let series = self.kinds.iter().map(|_| None).collect();
        let mut schedule = Schedule::new(self.kinds.len(), Instant::now());
        let mut follower = Follower { place, client: account.client, state, sighting: None, series, poller: self };
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
        };
        let mut series = self.series[place].take();
        let started = Instant::now();
        async move {
            let result = fetch.run(&mut series).await;
            Ended { place, started, series, result }
        }
    }

    /// Takes note of how a turn ended, and says when the collection is due again.
    fn take(&mut self, ended: Ended) -> Instant {
        let place = ended.place;
        self.series[place] = ended.series;
        self.state.rate_limited_until = self.client.rate_limited_until();
        let read = ended.result.and_then(|documents| self.read(place, &documents));
        let reason = read.as_ref().err().map(|problem| problem.reason);
        match read {
            Ok(reading) => self.succeeded(place, reading),
            Err(problem) => self.failed(place, problem),
        }
        self.poller.board.post(self.place, self.state.clone());
        self.due_again(place, ended.started, reason)
    }

    fn read(&mut self, place: usize, documents: &[Box<RawValue>]) -> Result<Reading, Problem> {
        let kind = self.poller.kinds[place];
        let moment = self.state.moment(self.poller.clock.now());
        let reading = kind.read(documents, &moment);
        let count = reading.unreadable.len();
        if count > 0 {
            self.poller.stats.errors(&self.state.name, kind.name, Reason::Document, count as u64);
        }
        if count > 0 && count == documents.len() {
            return Err(Problem::of_documents(&reading.unreadable));
        }
        Ok(reading)
    }

    fn succeeded(&mut self, place: usize, reading: Reading) {
        if let Some(sighting) = reading.sighting
            && self.sighting.is_none_or(|known| known.at <= sighting.at)
        {
            self.sighting = Some(sighting);
            self.state.zone = sighting.zone;
        }
        if self.state.needs_sign_in() {
            info!(account = self.state.name, "Oura accepts the token again");
        }
        self.state.authorized = Some(true);
        let account = self.state.name.clone();
        let collection = &mut self.state.collections[place];
        let name = collection.kind.name;
        if collection.problem.is_some() {
            info!(account, collection = name, "works again");
        }
        if let Some(document) = reading.unreadable.first().filter(|_| collection.unreadable.is_empty()) {
            let (count, advice) = (reading.unreadable.len(), Reason::Document.advice());
            warn!(account, collection = name, count, field = document.field, "documents cannot be read; {advice}");
        }
        collection.succeeded(self.poller.clock.now(), reading.shown, reading.unreadable);
    }

    fn failed(&mut self, place: usize, problem: Problem) {
        let name = self.poller.kinds[place].name;
        if problem.reason != Reason::Document {
            self.poller.stats.errors(&self.state.name, name, problem.reason, 1);
        }
        self.log(place, &problem);
        match problem.reason {
            Reason::Token => self.state.authorized = Some(false),
            Reason::Scope | Reason::Membership => self.state.authorized = Some(true),
            _ => {}
        }
        self.state.collections[place].failed(problem);
    }

    /// A failure is logged when it begins; one of the whole account only for the first of its collections.
    fn log(&self, place: usize, problem: &Problem) {
        let same = |other: &Option<Problem>| other.as_ref().is_some_and(|other| other.reason == problem.reason);
        let collections = &self.state.collections;
        let (account, collection) = (&self.state.name, collections[place].kind.name);
        let (reason, advice) = (problem.reason.label(), problem.reason.advice());
        if problem.reason.is_of_the_account() {
            if !collections.iter().any(|collection| same(&collection.problem)) {
                warn!(account, reason, "{}; {advice}", problem.what);
            }
        } else if !same(&collections[place].problem) {
            warn!(account, collection, reason, "{}; {advice}", problem.what);
        }
    }

    fn due_again(&self, place: usize, started: Instant, reason: Option<Reason>) -> Instant {
        let usual = started + every(self.poller.kinds[place].pace, self.poller.interval);
        match reason {
            Some(Reason::Scope) => started + SCOPE_REFUSED,
            Some(Reason::Membership) => started + MEMBERSHIP_LAPSED,
            Some(Reason::RateLimit) => usual.max(Instant::now() + self.rate_limit_left()),
            Some(_) => (started + self.poller.interval).max(Instant::now()),
            None => usual,
        }
    }

    fn rate_limit_left(&self) -> Duration {
        let until = self.state.rate_limited_until.unwrap_or(chrono::DateTime::<Utc>::MIN_UTC);
        let left = (until - self.poller.clock.now()).to_std().unwrap_or_default();
        left + Duration::from_millis(fastrand::u64(0..1000))
    }
}
