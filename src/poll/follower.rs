//! Following one account: whose turn it is, and when the collection's next one comes.

use std::{future::pending, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{sync::watch, time::Instant};
use tracing::warn;

use super::{
    Account, Poller,
    fetch::{Fetch, Fetched, Kept, Wanted},
    notes,
    schedule::{Next, Schedule, after_failures, after_first_failures, every},
    told::Told,
};
use crate::{
    documents::Kind,
    oura::{self, Client, Need, Room, Turn},
    problem::{Problem, Reason},
    samples::RecordKey,
    state::{AccountState, Outcome, TokenNow},
    webhooks::Mailbox,
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
    pub(super) client: Arc<Client>,
    /// The one that is up in the snapshot, until a turn changes it: thousands are kept once each.
    pub(super) state: Arc<AccountState>,
    /// Where its samples are told; none: nobody wants them.
    pub(super) record: Option<RecordKey>,
    /// What is kept between turns, by the collection's place.
    pub(super) kept: Vec<KeptTurn>,
    /// What the account needs of the request budget.
    pub(super) need: Need,
    pub(super) schedule: Schedule,
    /// Where Oura's events of the account are, if there are any.
    pub(super) mailbox: Option<Mailbox>,
    /// What Oura has told of, by the collection's place; of none where there are no events.
    pub(super) told: Vec<Told>,
    /// When it was last asked whose sign-in it is.
    asked_who: Option<Instant>,
    /// How often the account has become another person's: what was asked before is not theirs.
    life: u32,
}

/// What is kept of a collection between its turns.
#[derive(Debug)]
pub(super) struct KeptTurn {
    /// None where nothing is: of most collections.
    fetch: Option<Box<Kept>>,
    /// When it was last looked back at all days that may still change.
    looked_back: Option<DateTime<Utc>>,
    /// How many requests a turn takes, on average.
    pub(super) cost: f64,
    /// Whether there is said to be something new, until it was asked for.
    pub(super) is_awaited: bool,
}

impl KeptTurn {
    /// Of what a turn will keep there is a place from the start: made in the midst of one, it would lie in the midst of an answer.
    fn of(kind: &Kind) -> Self {
        let fetch = kind.is_series().then(Box::default);
        Self { fetch, looked_back: None, cost: 1.0, is_awaited: false }
    }
}

/// How a collection's turn ended.
struct Ended {
    place: usize,
    /// In which life of the account it was asked.
    life: u32,
    started: Instant,
    fetch: Box<Kept>,
    looks_back: bool,
    result: Result<Fetched, Problem>,
    /// By which sign-in it was asked; none where that changed meanwhile.
    asked_by: Option<DateTime<Utc>>,
    token: TokenNow,
    /// The room of its documents, until they are read.
    _room: Room,
    /// Its part of the budget, until it is known what it has cost.
    _turn: Turn,
}

/// The state of an account of which nothing was asked yet.
fn begun(poller: &Poller, name: &str, client: &Client) -> AccountState {
    let state = AccountState::new(name, &poller.kinds).with_token_by(client.source().access(name));
    state.polled(poller.clock.now(), |kind| every(kind.pace, poller.interval))
}

impl Follower {
    pub(super) fn new(poller: Poller, account: Account) -> Self {
        let since = poller.clock.now();
        // From now on whoever looks can tell that nothing comes, even if the first turn never ends.
        let state = poller.snapshot.post(begun(&poller, &account.name, &account.client));
        let record = poller.samples.as_ref().map(|samples| samples.keep(&account.name, account.access(), since));
        let kept = poller.kinds.iter().map(|kind| KeptTurn::of(kind)).collect();
        let schedule = Schedule::new(poller.kinds.len(), poller.clock.instant(), poller.client_options.stagger);
        let (client, need) = (Arc::clone(&account.client), account.client.need());
        let mailbox = poller.inbox.as_ref().map(|inbox| inbox.open(&account.name));
        let told = mailbox.iter().flat_map(|_| poller.kinds.iter().map(|_| Told::default())).collect();
        let (asked_who, life) = (None, 0);
        let mut follower = Self { poller, client, state, record, kept, need, schedule, mailbox, told, asked_who, life };
        follower.ask_first_who_it_is();
        follower.note_need();
        follower
    }

    /// Asks whatever is due, as time goes by, until the account is somebody else's; with each of `looks` it is seen whether
    /// somebody has signed in anew.
    pub(super) async fn run(&mut self, mut looks: watch::Receiver<()>) {
        // In boxes: what runs is large, and an account that waits is to be small, as there are thousands of them.
        let mut running = FuturesUnordered::new();
        while !self.client.source().is_anothers() {
            self.hasten_by_the_clock();
            let clock = &self.poller.clock;
            let look = clock.instant() + LOOK_AT_THE_CLOCK;
            let (wait, starts) = match self.next() {
                Next::Start(place) => (look, Some(place)),
                Next::At(instant) => (instant.min(look), None),
                Next::AllRunning => (look, None),
            };
            // What waits for the budget begins again with each thing that happens, and keeps its place by when it was due.
            tokio::select! {
                biased;
                Some(ended) = running.next() => Box::pin(self.end(ended)).await,
                Ok(()) = looks.changed() => self.look_for_news(),
                () = news(self.mailbox.as_ref()) => self.heed_events(),
                (place, turn) = self.turn_of(starts) => running.push(Box::pin(self.start(place, turn))),
                () = clock.sleep_until(wait) => {}
            }
        }
    }

    /// What is to be done now.
    fn next(&self) -> Next {
        if self.client.source().is_anothers() {
            return Next::AllRunning;
        }
        // Where the budget suffices, collections are read in their order: what one says may settle what another one means.
        let is_scarce = self.need.stretch().usual > 1.0;
        let patience = |place| if is_scarce { self.patience(place) } else { Duration::ZERO };
        self.schedule.next(self.poller.clock.instant(), patience)
    }

    /// Waits until the budget has room for a turn of the collection in that place; for ever where there is none to begin.
    async fn turn_of(&self, place: Option<usize>) -> (usize, Turn) {
        let Some(place) = place else { return pending().await };
        // In a box, as hardly any account waits for that at a time.
        Box::pin(self.begin_turn(place)).await
    }

    async fn begin_turn(&self, place: usize) -> (usize, Turn) {
        let due = self.schedule.due(place).unwrap_or_else(|| self.poller.clock.instant());
        (place, self.client.begin(due + self.patience(place)).await)
    }

    /// There is said to be something new in the collection in `place`: it is due now, and before what merely repeats.
    fn await_news(&mut self, place: usize) {
        self.kept[place].is_awaited = true;
        self.schedule.ask_afresh(place, self.poller.clock.instant());
    }

    /// After a new sign-in everything is due.
    fn look_for_news(&mut self) {
        if self.client.source().has_news() {
            (0..self.kept.len()).for_each(|place| self.await_news(place));
            self.ask_first_who_it_is();
        }
    }

    /// Has a token by hand say whose it is before anything is told under the account's name.
    fn ask_first_who_it_is(&mut self) {
        let place = self.poller.kinds.iter().position(|kind| kind.name == oura::WHO_IT_IS);
        let now = self.poller.clock.instant();
        let before = now.checked_sub(Duration::from_millis(1)).unwrap_or(now);
        if let Some(place) = place.filter(|_| !self.client.source().is_kept()) {
            self.schedule.ask_afresh(place, before);
        }
    }

    /// Asks whatever is due now, one after the other.
    pub(super) async fn catch_up(&mut self) {
        self.heed_events();
        self.hasten_by_the_clock();
        while let Next::Start(place) = self.next() {
            let (place, turn) = self.turn_of(Some(place)).await;
            let ended = self.start(place, turn).await;
            self.end(ended).await;
        }
    }

    fn start(&mut self, place: usize, turn: Turn) -> impl Future<Output = Ended> + use<> {
        self.schedule.started(place, self.poller.clock.instant());
        self.turn(place, turn)
    }

    /// Puts down when the collection is due again whose turn has ended, and which others are due at once.
    async fn end(&mut self, ended: Ended) {
        let (place, started) = (ended.place, ended.started);
        self.note_cost(place);
        self.kept[place].is_awaited = false;
        if ended.life != self.life || self.client.source().is_anothers() {
            // It was asked for somebody else.
            self.schedule.ended(place, self.poller.clock.instant());
            return;
        }
        let heard = self.heard(place, &ended.result);
        let due_at_once = self.take(ended).await;
        self.note_need();
        let due = self.due_again(place, started);
        self.schedule.ended(place, heard.map_or(due, |heard| heard.min(due)));
        for other in due_at_once {
            self.schedule.hasten(other, self.poller.clock.instant());
        }
    }

    /// Asks the collection in `place`.
    fn turn(&mut self, place: usize, turn: Turn) -> impl Future<Output = Ended> + use<> {
        let wanted = self.wanted(place);
        let looks_back = wanted.as_ref().is_some_and(|wanted| wanted.looks_back);
        let fetch = Fetch {
            is_doubtful: self.state.needs_sign_in(),
            wanted,
            ..Fetch::new(Arc::clone(&self.client), self.poller.kinds[place], self.poller.clock.now())
        };
        let mut kept = self.kept[place].fetch.take().unwrap_or_default();
        let (started, life) = (self.poller.clock.instant(), self.life);
        async move {
            let source = fetch.client.source();
            let before = source.grant().await.map(|grant| grant.signed_in_at);
            let result = fetch.run(&mut kept).await;
            let token = TokenNow {
                needs_sign_in: source.needs_sign_in().await,
                expires_at: source.expires_at().await,
                grant: source.grant().await,
                rate_limited_until: None,
            };
            let signed_in_at = token.grant.as_ref().map(|grant| grant.signed_in_at);
            let asked_by = before.filter(|before| signed_in_at == Some(*before));
            Ended {
                place,
                life,
                started,
                fetch: kept,
                looks_back,
                result,
                asked_by,
                token,
                _room: fetch.room,
                _turn: turn,
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
            // Of what lasts, whatever an answer lacks would count as gone; of a clock that was ahead, the last time lies in
            // the future.
            looks_back: kind.reach_days > 0
                || self.told.get(place).is_some_and(Told::looks_back)
                || self.kept[place].looked_back.is_none_or(|before| (now - before).abs() >= LOOK_BACK_EVERY),
            dense_from: samples.dense_from(account, now),
            newest: kind.sample_definitions().first().and_then(|metric| samples.newest(account, metric.name)),
        })
    }

    /// Hands over how a turn ended to the account's state; the places of the others that are due at once.
    async fn take(&mut self, ended: Ended) -> Vec<usize> {
        let Ended { place, fetch, looks_back, result, asked_by, token, .. } = ended;
        if self.poller.kinds[place].name == oura::WHO_IT_IS {
            self.notice_person(&result, asked_by);
        }
        self.kept[place].fetch = fetch.unless_empty();
        let documents = result.as_ref().map_or(0, |answer| answer.documents.len());
        let answer = match result {
            Ok(answer) => self.read(place, answer, looks_back).await,
            Err(problem) => Err(problem),
        };
        let token = TokenNow { rate_limited_until: self.client.rate_limited_until(), ..token };
        let change =
            Arc::make_mut(&mut self.state).apply(Outcome { place, at: self.poller.clock.now(), answer, token });
        // Before it is shown: what was told, or is told no more, may have changed how often it is asked.
        let interval = self.interval(place);
        Arc::make_mut(&mut self.state).collections[place].is_asked_every(interval, self.poller.clock.now());
        if let Some(kept) = &mut self.kept[place].fetch {
            kept.is_asked_every(interval);
        }
        if self.state.collections[place].up == Some(true) {
            self.ask_who_it_is();
            if looks_back {
                self.kept[place].looked_back = Some(self.poller.clock.now());
            }
        }
        let (account, collection) = (&self.state.name, self.poller.kinds[place].name);
        for (reason, count) in change.failures {
            self.poller.stats.errors(account, collection, reason, count);
        }
        for news in &change.news {
            notes::log(&self.state, place, news);
        }
        notes::log_turn(&self.state, place, documents, self.poller.clock.now());
        self.state = self.poller.snapshot.post(Arc::clone(&self.state));
        change.due_at_once
    }

    /// Takes note of whom Oura names to whoever asked by the sign-in of then, or by a token by hand.
    fn notice_person(&mut self, result: &Result<Fetched, Problem>, asked_by: Option<DateTime<Utc>>) {
        let document = result.as_ref().ok().and_then(|answer| answer.documents.first());
        let Some(id) = document.and_then(|document| oura::person_in(document)) else { return };
        if let Some(mailbox) = self.mailbox.as_ref().filter(|_| asked_by.is_some() || !self.client.source().is_kept()) {
            mailbox.is_of(&id);
        }
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
        if samples.is_anothers(&account, id) {
            warn!(
                account,
                "its token belongs to a different person than before: the record under this name is forgotten; what a \
                 database has under the name stays there, so choose another OURA_ACCOUNT"
            );
            self.record = Some(samples.begin_again(&account, id, self.poller.clock.now()));
            self.life += 1;
            self.state = begun(&self.poller, &account, &self.client).into();
            self.kept = self.poller.kinds.iter().map(|kind| KeptTurn::of(kind)).collect();
            self.told.fill_with(Told::default);
            let now = self.poller.clock.instant();
            (0..self.kept.len()).for_each(|place| self.schedule.ask_afresh(place, now));
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

    /// Lets the collections be due whose interval is over by the clock on the wall.
    fn hasten_by_the_clock(&mut self) {
        self.note_need();
        let (now, instant) = (self.poller.clock.now(), self.poller.clock.instant());
        for (place, _) in self.state.collections.iter().enumerate().filter(|(_, one)| one.is_due_at(now)) {
            self.schedule.hasten(place, instant);
        }
    }

    fn due_again(&self, place: usize, started: Instant) -> Instant {
        let collection = &self.state.collections[place];
        let interval = self.stretched(place, self.poller.interval);
        let usual = started + self.interval(place);
        let is_settled = collection.permitted == Some(false);
        match collection.problem.as_ref().map(|problem| problem.reason) {
            None | Some(Reason::Document) => usual,
            Some(Reason::Scope) if self.state.is_certainly_missing(place) => {
                started + if collection.worked { NO_LONGER_GRANTED } else { NEVER_GRANTED }
            }
            Some(Reason::Membership) if is_settled => started + MEMBERSHIP_LAPSED,
            Some(Reason::Token) => started + interval,
            Some(Reason::RateLimit) => {
                let closed =
                    self.client.passes_at().map(|opens| opens.saturating_duration_since(self.poller.clock.instant()));
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

/// Waits for an event; for ever where there are none.
async fn news(mailbox: Option<&Mailbox>) {
    match mailbox {
        Some(mailbox) => mailbox.news().await,
        None => pending().await,
    }
}

/// Not all at the very moment at which a wait ends.
fn jitter() -> Duration {
    Duration::from_millis(fastrand::u64(0..1000))
}
