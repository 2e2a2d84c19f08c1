//! Following one account: whose turn it is, and when the collection's next one comes.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tracing::warn;

use super::{
    Account, Poller,
    fetch::{Fetch, Fetched, Kept, Wanted},
    schedule::{Next, Schedule, after_failures, after_first_failures, every},
    troubles::Troubles,
};
use crate::{
    auth::Grant,
    defect::caught_in,
    oura::{self, Client, Room},
    problem::{Problem, Reason, TokenOrigin},
    state::{self, AccountState, CollectionState},
};

/// How long after a refusal for want of a scope that was never granted it is tried again.
const NEVER_GRANTED: Duration = Duration::from_secs(6 * 3600);
/// How long after a refusal of what once worked: nobody may want it to stay so.
const NO_LONGER_GRANTED: Duration = Duration::from_secs(3600);
/// How long after a lapsed membership it is tried again.
const MEMBERSHIP_LAPSED: Duration = Duration::from_secs(3600);

/// How often the clock on the wall is looked at: waits go by another one, which stands still while the machine sleeps.
const LOOK_AT_THE_CLOCK: Duration = Duration::from_secs(60);
/// How often a collection is looked back at all days that may still change.
const LOOK_BACK_EVERY: TimeDelta = TimeDelta::hours(1);

/// How often it is asked whose sign-in it is, where Oura has not said it.
const ASK_WHO_EVERY: Duration = Duration::from_secs(3600);

/// An account as it is followed.
pub(super) struct Follower {
    pub(super) poller: Poller,
    client: Arc<Client>,
    pub(super) state: AccountState,
    /// Which troubles were told.
    pub(super) troubles: Troubles,
    /// What is kept between turns, by the collection's place.
    pub(super) kept: Vec<KeptTurn>,
    schedule: Schedule,
    /// When it was last asked whose sign-in it is.
    asked_who: Option<Instant>,
    /// How often the account has become another person's: what was asked before is not theirs.
    life: u32,
}

/// What is kept of a collection between its turns.
#[derive(Debug, Default)]
pub(super) struct KeptTurn {
    fetch: Kept,
    /// When it was last looked back at all days that may still change.
    looked_back: Option<DateTime<Utc>>,
    /// Whether documents could not be read whole the last time.
    pub(super) lacks_whole: bool,
    /// Whether it was told that there are documents that cannot be read at all.
    pub(super) told_unreadable: bool,
}

/// How a collection's turn ended.
struct Ended {
    place: usize,
    /// In which life of the account it was asked.
    life: u32,
    started: Instant,
    fetch: Kept,
    looks_back: bool,
    result: Result<Fetched, Problem>,
    needs_sign_in: bool,
    token_expires_at: Option<DateTime<Utc>>,
    /// By which sign-in it was asked; none where that changed meanwhile.
    asked_by: Option<DateTime<Utc>>,
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

/// The state of an account of which nothing was asked yet.
fn begun(poller: &Poller, name: &str, client: &Client) -> AccountState {
    let mut state = AccountState::new(name, &poller.kinds);
    state.is_signed_in = client.source().is_kept();
    state.has_token_file = client.source().access(name) == TokenOrigin::ByFile;
    let since = poller.clock.now();
    for collection in &mut state.collections {
        collection.watch = Some(state::Watch { since, interval: every(collection.kind.pace, poller.interval) });
    }
    state
}

impl Follower {
    pub(super) fn new(poller: Poller, account: Account) -> Self {
        let (state, since) = (begun(&poller, &account.name, &account.client), poller.clock.now());
        // From now on whoever looks can tell that nothing comes, even if the first turn never ends.
        poller.snapshot.post(state.clone());
        if let Some(samples) = &poller.samples {
            samples.keep(&account.name, since);
        }
        let kept = poller.kinds.iter().map(|_| KeptTurn::default()).collect();
        let schedule = Schedule::new(poller.kinds.len(), poller.clock.instant(), poller.client_options.stagger);
        let (client, troubles, asked_who) = (account.client, Troubles::default(), None);
        let mut follower = Self { poller, client, state, troubles, kept, schedule, asked_who, life: 0 };
        follower.ask_first_who_it_is();
        follower
    }

    /// Asks whatever is due, as time goes by, for ever; with each of `looks` it is seen whether somebody has signed in anew.
    pub(super) async fn run(mut self, mut looks: watch::Receiver<()>) {
        let mut running = FuturesUnordered::new();
        loop {
            self.hasten_by_the_clock();
            let now = self.poller.clock.instant();
            let wait = match self.schedule.next(now) {
                Next::Start(place) => {
                    running.push(self.start(place));
                    continue;
                }
                Next::At(instant) => instant.saturating_duration_since(now).min(LOOK_AT_THE_CLOCK),
                Next::AllRunning => LOOK_AT_THE_CLOCK,
            };
            tokio::select! {
                Some(ended) = running.next() => self.end(ended).await,
                Ok(()) = looks.changed() => self.look_for_news(),
                () = sleep(wait) => {}
            }
        }
    }

    /// After a new sign-in everything is due.
    fn look_for_news(&mut self) {
        if self.client.source().has_news() {
            let now = self.poller.clock.instant();
            (0..self.kept.len()).for_each(|place| self.schedule.hasten(place, now));
            self.ask_first_who_it_is();
        }
    }

    /// Has a token by hand say whose it is before anything is told under the account's name.
    fn ask_first_who_it_is(&mut self) {
        let place = self.poller.kinds.iter().position(|kind| kind.name == oura::WHO_IT_IS);
        let now = self.poller.clock.instant();
        let before = now.checked_sub(Duration::from_millis(1)).unwrap_or(now);
        if let Some(place) = place.filter(|_| !self.client.source().is_kept()) {
            self.schedule.hasten(place, before);
        }
    }

    /// Asks whatever is due now, one after the other.
    pub(super) async fn catch_up(&mut self) {
        self.hasten_by_the_clock();
        while let Next::Start(place) = self.schedule.next(self.poller.clock.instant()) {
            let ended = self.start(place).await;
            self.end(ended).await;
        }
    }

    fn start(&mut self, place: usize) -> impl Future<Output = Ended> + use<> {
        self.schedule.started(place, self.poller.clock.instant());
        self.turn(place)
    }

    async fn end(&mut self, ended: Ended) {
        let place = ended.place;
        let Taken { due, hastened } = self.take(ended).await;
        self.schedule.ended(place, due);
        hastened.into_iter().for_each(|other| self.schedule.hasten(other, self.poller.clock.instant()));
    }

    /// Asks the collection in `place`.
    fn turn(&mut self, place: usize) -> impl Future<Output = Ended> + use<> {
        let wanted = self.wanted(place);
        let looks_back = wanted.as_ref().is_some_and(|wanted| wanted.looks_back);
        let fetch = Fetch {
            is_doubtful: self.state.needs_sign_in(),
            wanted,
            ..Fetch::new(Arc::clone(&self.client), self.poller.kinds[place], self.poller.clock.now())
        };
        let mut kept = std::mem::take(&mut self.kept[place].fetch);
        let (started, life) = (self.poller.clock.instant(), self.life);
        async move {
            let source = fetch.client.source();
            let before = source.grant().await.map(|grant| grant.signed_in_at);
            let result = fetch.run(&mut kept).await;
            let (needs_sign_in, token_expires_at) = (source.needs_sign_in().await, source.expires_at().await);
            let (fetched, grant) = (kept, source.grant().await);
            let asked_by = before.filter(|before| grant.as_ref().is_some_and(|grant| grant.signed_in_at == *before));
            let _room = fetch.room;
            Ended {
                place,
                life,
                started,
                fetch: fetched,
                looks_back,
                result,
                needs_sign_in,
                token_expires_at,
                asked_by,
                grant,
                _room,
            }
        }
    }

    /// What the record wants of the collection in `place` now; none: there is no record.
    fn wanted(&self, place: usize) -> Option<Wanted> {
        let samples = self.poller.samples.as_ref()?;
        let (kind, now) = (self.poller.kinds[place], self.poller.clock.now());
        let account = &self.state.name;
        Some(Wanted {
            moment: self.state.moment(now),
            // Of what lasts, whatever an answer lacks would count as gone.
            looks_back: kind.reach_days > 0
                || self.kept[place].looked_back.is_none_or(|before| now - before >= LOOK_BACK_EVERY),
            dense_from: samples.dense_from(account, now),
            newest: kind.sample_definitions().first().and_then(|metric| samples.newest(account, metric.name)),
        })
    }

    /// Takes note of how a turn ended, and says what follows for the schedule.
    async fn take(&mut self, ended: Ended) -> Taken {
        let place = ended.place;
        if ended.life != self.life {
            // It was asked for somebody else.
            return Taken { due: self.poller.clock.instant(), hastened: vec![] };
        }
        if self.poller.kinds[place].name == oura::WHO_IT_IS {
            self.notice_person(&ended.result, ended.asked_by);
        }
        self.kept[place].fetch = ended.fetch;
        self.state.rate_limited_until = self.client.rate_limited_until();
        let before = self.reasons();
        let is_new_sign_in = self.state.granted(ended.grant);
        let documents = ended.result.as_ref().map_or(0, |answer| answer.documents.len());
        let reading = match ended.result {
            Ok(answer) => {
                let reading = caught_in(self.read(place, answer)).await;
                reading.unwrap_or_else(|defect| Err(Problem::of_defect(&defect)))
            }
            Err(problem) => Err(problem),
        };
        match reading {
            Ok(reading) => {
                self.ask_who_it_is();
                if ended.looks_back {
                    self.kept[place].looked_back = Some(self.poller.clock.now());
                }
                self.succeeded(place, reading, ended.looks_back || self.poller.samples.is_none());
            }
            Err(problem) => self.failed(place, problem),
        }
        self.log_turn(place, documents);
        if ended.needs_sign_in {
            self.state.authorized = Some(false);
        }
        self.state.token_expires_at = ended.token_expires_at;
        self.poller.snapshot.post(self.state.clone());
        Taken { due: self.due_again(place, ended.started), hastened: self.hastened(place, &before, is_new_sign_in) }
    }

    /// Takes note of whom Oura names to whoever asked by the sign-in of then, or by a token by hand.
    fn notice_person(&mut self, result: &Result<Fetched, Problem>, asked_by: Option<DateTime<Utc>>) {
        let document = result.as_ref().ok().and_then(|answer| answer.documents.first());
        let Some(id) = document.and_then(|document| oura::person_in(document)) else { return };
        match asked_by {
            Some(signed_in_at) => self.client.source().is_of(&id, signed_in_at),
            None if !self.client.source().is_kept() => self.notice_owner(&id),
            None => {}
        }
    }

    /// Begins again where a token by hand is another person's than the one before: nothing of what was told, or is known, is
    /// theirs. Whoever signs in is judged before.
    fn notice_owner(&mut self, id: &str) {
        let Some(samples) = self.poller.samples.clone() else { return };
        let account = self.state.name.clone();
        if samples.changes_hands(&account, id) {
            warn!(
                account,
                "its token belongs to a different person than before: the record under this name is forgotten; what a \
                 database has under the name stays there, so choose another OURA_ACCOUNT"
            );
            samples.forget(&account);
            samples.keep(&account, self.poller.clock.now());
            samples.changes_hands(&account, id);
            self.life += 1;
            self.state = begun(&self.poller, &account, &self.client);
            self.kept = self.poller.kinds.iter().map(|_| KeptTurn::default()).collect();
            let now = self.poller.clock.instant();
            (0..self.kept.len()).for_each(|place| self.schedule.hasten(place, now));
        }
    }

    /// Has Oura say whose sign-in it is where it never did, and none of the collections tells it.
    fn ask_who_it_is(&mut self) {
        let Some(grant) = &self.state.grant else { return };
        let now = self.poller.clock.instant();
        let is_told = self.poller.kinds.iter().any(|kind| kind.name == oura::WHO_IT_IS);
        let is_due = self.asked_who.is_none_or(|asked| now >= asked + ASK_WHO_EVERY);
        let may_be_said = grant.has(oura::WHO_SCOPE) != Some(false);
        if is_due && may_be_said && !is_told && self.client.source().lacks_person() {
            self.asked_who = Some(now);
            let (client, signed_in_at) = (Arc::clone(&self.client), grant.signed_in_at);
            tokio::spawn(async move { client.ask_who_it_is(signed_in_at).await });
        }
    }

    /// The places of others than `place` that are due at once.
    fn hastened(&self, place: usize, before: &[Option<Reason>], is_new_sign_in: bool) -> Vec<usize> {
        let now = self.reasons();
        let is_overturned =
            |other: &usize| before[*other] == Some(Reason::Scope) && now[*other] == Some(Reason::Refused);
        let others = (0..before.len()).filter(|other| *other != place);
        others.filter(|other| is_new_sign_in || is_overturned(other)).collect()
    }

    /// Lets the collections be due whose interval is over by the clock on the wall.
    fn hasten_by_the_clock(&mut self) {
        let (now, instant) = (self.poller.clock.now(), self.poller.clock.instant());
        for (place, _) in self.state.collections.iter().enumerate().filter(|(_, one)| one.is_due_at(now)) {
            self.schedule.hasten(place, instant);
        }
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
                let closed = self.client.passes_at().map(|opens| opens.saturating_duration_since(Instant::now()));
                let closed = closed.filter(|wait| !wait.is_zero());
                closed.map_or(started + interval, |wait| self.poller.clock.instant() + wait + jitter())
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
