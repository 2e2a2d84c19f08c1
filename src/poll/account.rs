//! Following one account: whose turn it is, and when the collection's next one comes.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Offset as _, TimeDelta, Utc};
use futures_util::{StreamExt, stream::FuturesUnordered};
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep_until};

use super::{
    Poller,
    fetch::Fetch,
    schedule::{Next, Schedule, after_failures, after_first_failures, every},
    series::Series,
    troubles::Troubles,
};
use crate::{
    auth::Grant,
    defect::caught_in,
    documents::{Days, Kind, Reading},
    latest::{AccountState, CollectionState, Watch},
    observation::{Moment, Sighting},
    oura::{Client, Room, apart},
    problem::{Access, Problem, Reason},
};

/// How long after a refusal for want of a scope that was never granted it is asked again.
const NEVER_GRANTED: Duration = Duration::from_secs(6 * 3600);
/// How long after a refusal of what once worked: nobody may want it to stay so.
const NO_LONGER_GRANTED: Duration = Duration::from_secs(3600);
/// How long after a lapsed membership it is asked again.
const MEMBERSHIP_LAPSED: Duration = Duration::from_secs(3600);

/// How often the clock on the wall is looked at: waits go by another one, which stands still while the machine sleeps.
const LOOK_AT_THE_CLOCK: Duration = Duration::from_secs(60);

/// An account to follow.
#[derive(Clone)]
pub struct Account {
    /// The name given by the user.
    pub name: String,
    /// Its way to Oura.
    pub client: Arc<Client>,
}

impl Account {
    /// Asks a collection once, apart from all polling.
    ///
    /// # Errors
    /// What is wrong with it, none of its documents being readable included.
    pub async fn ask_once(&self, kind: &'static Kind, now: DateTime<Utc>) -> Result<Reading, Problem> {
        let fetch = Fetch::new(Arc::clone(&self.client), kind, now);
        let documents = fetch.run(&mut None).await?;
        let (count, moment) = (documents.len(), Moment { now, zone: Utc.fix() });
        let reading = apart(size(&documents), move || kind.read(&documents, &moment));
        readable(caught_in(reading).await.map_err(|defect| Problem::of_defect(&defect))?, count)
    }

    /// What a person can do about a problem of that kind.
    pub fn advice(&self, reason: Reason) -> String {
        let access = if self.client.source().is_kept() { Access::SignIn(&self.name) } else { Access::ByHand };
        reason.advice(access)
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
        Fetch { samples, ..Fetch::new(Arc::clone(&self.client), kind, now) }.past(days).await
    }
}

/// How many bytes documents have.
pub(super) fn size(documents: &[Box<RawValue>]) -> usize {
    documents.iter().map(|document| document.get().len()).sum()
}

/// A reading of so many documents, unless none of them can be read.
///
/// # Errors
/// What is wrong with the first of them.
pub(super) fn readable(reading: Reading, documents: usize) -> Result<Reading, Problem> {
    let unreadable = reading.unreadable.count;
    if unreadable > 0 && unreadable == documents {
        Err(Problem::of_documents(&reading.unreadable))
    } else {
        Ok(reading)
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
    /// Which troubles were told.
    pub(super) troubles: Troubles,
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
    grant: Option<Grant>,
    /// The room of its documents, until they are read.
    _room: Room,
}

/// What follows from how a turn ended.
struct Taken {
    /// When the collection is due again.
    due: Instant,
    /// The places of others that are due at once: all after a new sign-in, and those whose refusal means something else now.
    hastened: Vec<usize>,
}

impl Poller {
    pub(super) async fn follow(self, slot: usize, account: Account) {
        let mut schedule = Schedule::new(self.kinds.len(), Instant::now(), self.patience.stagger);
        let mut follower = Follower::new(self, slot, account);
        let mut running = FuturesUnordered::new();
        loop {
            follower.due_by_the_clock().for_each(|place| schedule.hasten(place, Instant::now()));
            let wait = match schedule.next(Instant::now()) {
                Next::Start(place) => {
                    schedule.started(place, Instant::now());
                    running.push(follower.turn(place));
                    continue;
                }
                Next::At(instant) => instant.min(Instant::now() + LOOK_AT_THE_CLOCK),
                Next::AllRunning => Instant::now() + LOOK_AT_THE_CLOCK,
            };
            tokio::select! {
                Some(ended) = running.next() => {
                    let place = ended.place;
                    let Taken { due, hastened } = follower.take(ended).await;
                    schedule.ended(place, due);
                    hastened.into_iter().for_each(|other| schedule.hasten(other, Instant::now()));
                }
                () = sleep_until(wait) => {}
            }
        }
    }
}

impl Follower {
    fn new(poller: Poller, slot: usize, account: Account) -> Self {
        let mut state = AccountState::new(&account.name, &poller.kinds);
        state.is_signed_in = account.client.source().is_kept();
        let since = poller.clock.now();
        for collection in &mut state.collections {
            collection.watch = Some(Watch { since, interval: every(collection.kind.pace, poller.interval) });
        }
        // From now on whoever looks can tell that nothing comes, even if the first turn never ends.
        poller.board.post(slot, state.clone());
        let series = poller.kinds.iter().map(|_| None).collect();
        let troubles = Troubles::default();
        Self { poller, slot, client: account.client, state, sighting: None, troubles, series }
    }

    /// Asks the collection in `place`.
    fn turn(&mut self, place: usize) -> impl Future<Output = Ended> + use<> {
        let fetch = Fetch {
            is_doubtful: self.state.needs_sign_in(),
            samples: self.poller.samples.as_ref().map(|samples| samples.keep),
            ..Fetch::new(Arc::clone(&self.client), self.poller.kinds[place], self.poller.clock.now())
        };
        let mut series = self.series[place].take();
        let started = Instant::now();
        async move {
            let client = Arc::clone(&fetch.client);
            let result = fetch.run(&mut series).await;
            let source = client.source();
            let (needs_sign_in, token_expires_at) = (source.needs_sign_in().await, source.expires_at().await);
            let grant = source.grant().await;
            Ended { place, started, series, result, needs_sign_in, token_expires_at, grant, _room: fetch.room }
        }
    }

    /// Takes note of how a turn ended, and says what follows for the schedule.
    async fn take(&mut self, ended: Ended) -> Taken {
        let place = ended.place;
        self.series[place] = ended.series;
        self.state.rate_limited_until = self.client.rate_limited_until();
        let before = self.reasons();
        let is_new_sign_in = self.state.granted(ended.grant);
        let documents = ended.result.as_ref().map_or(0, Vec::len);
        let reading = match ended.result {
            Ok(documents) => {
                let reading = caught_in(self.read(place, documents)).await;
                reading.unwrap_or_else(|defect| Err(Problem::of_defect(&defect)))
            }
            Err(problem) => Err(problem),
        };
        match reading {
            Ok(reading) => self.succeeded(place, reading),
            Err(problem) => self.failed(place, problem),
        }
        self.log_turn(place, documents);
        if ended.needs_sign_in {
            self.state.authorized = Some(false);
        }
        self.state.token_expires_at = ended.token_expires_at;
        self.poller.board.post(self.slot, self.state.clone());
        let now = self.reasons();
        let is_overturned =
            |other: &usize| before[*other] == Some(Reason::Scope) && now[*other] == Some(Reason::Refused);
        let others = (0..before.len()).filter(|other| *other != place);
        let hastened = others.filter(|other| is_new_sign_in || is_overturned(other)).collect();
        Taken { due: self.due_again(place, ended.started), hastened }
    }

    /// The collections whose interval is over by the clock on the wall.
    fn due_by_the_clock(&self) -> impl Iterator<Item = usize> {
        let now = self.poller.clock.now();
        let collections = self.state.collections.iter().enumerate();
        collections.filter(move |(_, collection)| collection.is_due_at(now)).map(|(place, _)| place)
    }

    /// Why each collection fails, if it does.
    pub(super) fn reasons(&self) -> Vec<Option<Reason>> {
        let reason = |collection: &CollectionState| collection.problem.as_ref().map(|problem| problem.reason);
        self.state.collections.iter().map(reason).collect()
    }

    fn due_again(&self, place: usize, started: Instant) -> Instant {
        let collection = &self.state.collections[place];
        let interval = self.poller.interval;
        let usual = started + every(collection.kind.pace, interval);
        let is_settled = collection.permitted == Some(false);
        match collection.problem.as_ref().map(|problem| problem.reason) {
            None | Some(Reason::Document) => usual,
            Some(Reason::Scope) if self.state.is_certainly_missing(place) => {
                started + if collection.worked { NO_LONGER_GRANTED } else { NEVER_GRANTED }
            }
            Some(Reason::Membership) if is_settled => started + MEMBERSHIP_LAPSED,
            Some(Reason::Token) => started + interval,
            Some(Reason::RateLimit) => {
                let opens = self.client.passes_at().filter(|opens| *opens > Instant::now());
                opens.map_or(started + interval, |opens| opens + jitter())
            }
            Some(Reason::Network | Reason::Server | Reason::Timeout) if collection.last_success.is_none() => {
                started + after_first_failures(collection.failures, interval)
            }
            Some(_) => started + after_failures(collection.failures, interval),
        }
    }
}

/// Not all at the very moment at which a wait ends.
fn jitter() -> Duration {
    Duration::from_millis(fastrand::u64(0..1000))
}
