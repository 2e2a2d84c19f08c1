//! Following one account: whose turn it is, and when the collection's next one comes.

use std::{future::pending, sync::Arc, time::Duration};

use chrono::{DateTime, NaiveDate, Offset as _, TimeDelta, Utc};
use futures_util::{StreamExt, stream::FuturesUnordered};
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep_until};

use super::{
    Poller,
    fetch::{Answer, Fetch, Kept, Wanted},
    schedule::{Next, Schedule, after_failures, every},
};
use crate::{
    documents::Kind,
    latest::AccountState,
    observation::{DateRange, Known},
    oura::Client,
    problem::{Problem, Reason},
};

/// How long after a refusal for want of scope or permission it is asked again.
const SCOPE_REFUSED: Duration = Duration::from_secs(6 * 3600);
/// How long after a lapsed membership it is asked again.
const MEMBERSHIP_LAPSED: Duration = Duration::from_secs(3600);

/// How often a collection is looked back at all days that may still change.
const LOOK_BACK_EVERY: TimeDelta = TimeDelta::hours(1);

/// An account to follow.
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
        let fetch = Fetch { client: Arc::clone(&self.client), kind, now, is_doubtful: false, wanted: None };
        let documents = fetch.run(&mut Kept::default()).await?.documents;
        let reading = kind.read(&documents, &Known::default(), now, None);
        if reading.unreadable.is_empty() {
            return Ok(reading.shown.and_then(|shown| shown.date.day(Utc.fix())));
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
        days: DateRange,
        now: DateTime<Utc>,
    ) -> Result<Vec<Box<RawValue>>, Problem> {
        Fetch { client: Arc::clone(&self.client), kind, now, is_doubtful: false, wanted: None }.past(days).await
    }
}

/// An account as it is followed.
pub(super) struct Follower {
    pub(super) poller: Poller,
    /// Its place on the board.
    slot: usize,
    client: Arc<Client>,
    pub(super) state: AccountState,
    /// What is kept between turns, by the collection's place.
    pub(super) kept: Vec<KeptTurn>,
    schedule: Schedule,
}

/// What is kept of a collection between its turns.
#[derive(Debug, Default)]
pub(super) struct KeptTurn {
    fetch: Kept,
    /// When it was last looked back at all days that may still change.
    looked_back: Option<DateTime<Utc>>,
    /// Whether documents could not be read whole the last time.
    pub(super) lacks_whole: bool,
}

/// How a collection's turn ended.
struct Ended {
    place: usize,
    started: Instant,
    fetch: Kept,
    looks_back: bool,
    result: Result<Answer, Problem>,
    needs_sign_in: bool,
    token_expires_at: Option<DateTime<Utc>>,
}

impl Poller {
    /// Follows one account for ever.
    pub(super) async fn follow(self, slot: usize, account: Account) {
        Follower::new(self, slot, account).run().await;
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}

impl Follower {
    pub(super) fn new(poller: Poller, slot: usize, account: Account) -> Self {
        let mut state = AccountState::new(&account.name, &poller.kinds);
        state.is_signed_in = account.client.source().is_kept();
        let kept = poller.kinds.iter().map(|_| KeptTurn::default()).collect();
        let schedule = Schedule::new(poller.kinds.len(), poller.clock.instant(), poller.patience.stagger);
        Self { poller, slot, client: account.client, state, kept, schedule }
    }

    /// Asks whatever is due, as time goes by, for ever.
    async fn run(mut self) {
        let mut running = FuturesUnordered::new();
        loop {
            let wait = match self.schedule.next(self.poller.clock.instant()) {
                Next::Start(place) => {
                    running.push(self.start(place));
                    continue;
                }
                Next::At(instant) => Some(instant),
                Next::AllRunning => None,
            };
            tokio::select! {
                Some(ended) = running.next() => self.end(ended),
                () = at(wait) => {}
            }
        }
    }

    /// Asks whatever is due now, one after the other.
    pub(super) async fn catch_up(&mut self) {
        while let Next::Start(place) = self.schedule.next(self.poller.clock.instant()) {
            let ended = self.start(place).await;
            self.end(ended);
        }
    }

    fn start(&mut self, place: usize) -> impl Future<Output = Ended> + use<> {
        self.schedule.started(place, self.poller.clock.instant());
        self.turn(place)
    }

    fn end(&mut self, ended: Ended) {
        let place = ended.place;
        let due = self.take(ended);
        self.schedule.ended(place, due);
    }

    /// Asks the collection in `place`.
    fn turn(&mut self, place: usize) -> impl Future<Output = Ended> + use<> {
        let wanted = self.wanted(place);
        let looks_back = wanted.as_ref().is_some_and(|wanted| wanted.looks_back);
        let fetch = Fetch {
            client: Arc::clone(&self.client),
            kind: self.poller.kinds[place],
            now: self.poller.clock.now(),
            is_doubtful: self.state.needs_sign_in(),
            wanted,
        };
        let mut kept = std::mem::take(&mut self.kept[place].fetch);
        let started = self.poller.clock.instant();
        async move {
            let client = Arc::clone(&fetch.client);
            let result = fetch.run(&mut kept).await;
            let source = client.source();
            let (needs_sign_in, token_expires_at) = (source.needs_sign_in().await, source.expires_at().await);
            Ended { place, started, fetch: kept, looks_back, result, needs_sign_in, token_expires_at }
        }
    }

    /// What the record wants of the collection in `place` now; none: there is no record.
    fn wanted(&self, place: usize) -> Option<Wanted> {
        let samples = self.poller.samples.as_ref()?;
        let (kind, now) = (self.poller.kinds[place], self.poller.clock.now());
        let account = &self.state.name;
        Some(Wanted {
            moment: self.state.moment(now),
            looks_back: self.kept[place].looked_back.is_none_or(|before| now - before >= LOOK_BACK_EVERY),
            dense_from: samples.dense_from(account, now),
            newest: kind.sample_definitions().first().and_then(|metric| samples.newest(account, metric.name)),
        })
    }

    /// Takes note of how a turn ended, and says when the collection's next one is.
    fn take(&mut self, ended: Ended) -> Instant {
        let place = ended.place;
        self.kept[place].fetch = ended.fetch;
        self.state.rate_limited_until = self.client.rate_limited_until();
        match ended.result.and_then(|answer| self.read(place, answer)) {
            Ok(reading) => {
                if ended.looks_back {
                    self.kept[place].looked_back = Some(self.poller.clock.now());
                }
                self.succeeded(place, reading);
            }
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
