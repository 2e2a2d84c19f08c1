//! What Oura has told of and nobody has asked for yet: by account and collection, merged, so that no flood fills it.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    hash::RandomState,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use tokio::{sync::Notify, task};

use super::{
    event::{Change, Event, data_type},
    flow::Flow,
    owners::{Owner, Owners},
};
use crate::{auth::Store, clock::Clock, documents::Kind};

/// So many documents of one collection are looked out for one by one; beyond that the collection is read all the same.
const MOST_DOCUMENTS: usize = 32;
/// So many events are remembered, so that one that is told again costs no request.
const MOST_REMEMBERED: usize = 8_192;

/// What Oura has told of, by account.
pub struct Inbox {
    clock: Clock,
    /// The collections that are asked for, by what their events are called.
    collections: BTreeMap<&'static str, &'static str>,
    /// The sign-ins, which know whose they are before anything is read.
    store: Option<Store>,
    hasher: RandomState,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    accounts: BTreeMap<String, Waiting>,
    owners: Owners,
    /// The collections of which events surely come.
    subscribed: Arc<BTreeSet<&'static str>>,
    remembered: Remembered,
}

/// What waits for one account.
struct Waiting {
    told: BTreeMap<&'static str, Documents>,
    news: Arc<Notify>,
    flow: Flow,
}

/// The events of late.
#[derive(Default)]
struct Remembered {
    order: VecDeque<u64>,
    digests: HashSet<u64>,
}

impl Remembered {
    fn add(&mut self, digest: u64) {
        if self.digests.insert(digest) {
            self.order.push_back(digest);
        }
        if self.order.len() > MOST_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.digests.remove(&oldest);
        }
    }
}

/// Documents of which Oura has told, each with what happened to it last. They are ids, so they show themselves to nobody.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Documents(BTreeMap<String, Change>);

impl Documents {
    /// Adds a document, as long as there is room.
    pub fn add(&mut self, id: &str, change: Change) {
        if self.0.len() < MOST_DOCUMENTS || self.0.contains_key(id) {
            self.0.insert(id.to_owned(), change);
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Change)> {
        self.0.iter().map(|(id, change)| (id.as_str(), *change))
    }
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Its collection is about to be asked for.
    Accepted,
    /// It was told before.
    Duplicate,
    /// It is of something that is not asked for.
    Ignored,
    /// Nobody knows whose it is, and somebody may be signing in.
    NotYet,
    /// It is nobody's here.
    Nobody,
    /// It is no event.
    Unreadable,
}

/// How an account's events stand, for the metrics.
pub(super) struct Standing {
    pub(super) account: String,
    pub(super) last: Option<DateTime<Utc>>,
    pub(super) is_silent: bool,
    /// How many collections are polled less often because events tell of them.
    pub(super) hourly: usize,
    pub(super) waiting: usize,
}

impl Inbox {
    /// An empty one for the collections of `kinds`; `store` has the sign-ins.
    pub fn new(kinds: &[&'static Kind], store: Option<Store>, clock: Clock) -> Self {
        let collections = kinds.iter().filter_map(|kind| Some((data_type(kind)?, kind.name))).collect();
        Self { clock, collections, store, hasher: RandomState::new(), state: Mutex::default() }
    }

    /// What its events are called.
    pub(super) fn data_types(&self) -> impl Iterator<Item = &'static str> {
        self.collections.keys().copied()
    }

    /// Has only the collections of these data types count as told of.
    pub(super) fn subscribed(&self, data_types: &BTreeSet<&str>) {
        let is_told = |(data_type, _): &(&&str, &&str)| data_types.contains(**data_type);
        let subscribed: BTreeSet<_> = self.collections.iter().filter(is_told).map(|(_, name)| *name).collect();
        self.state().subscribed = subscribed.into();
    }

    /// The mailbox of an account that is followed from now on, until it is dropped.
    pub fn open(self: &Arc<Self>, account: &str) -> Mailbox {
        let news = Arc::new(Notify::new());
        let waiting = Waiting { told: BTreeMap::new(), news: Arc::clone(&news), flow: Flow::new(self.clock.now()) };
        self.state().accounts.insert(account.to_owned(), waiting);
        Mailbox { inbox: Arc::clone(self), account: account.to_owned(), news }
    }

    /// Takes an event whose signature is good.
    pub(super) async fn take(&self, body: &[u8]) -> Taken {
        let Some(event) = Event::read(body, &self.hasher) else { return Taken::Unreadable };
        let known = self.collections.get(event.data_type.as_str()).copied().zip(event.change);
        let Some((collection, change)) = known else { return Taken::Ignored };
        self.look_for(&event.user_id).await;
        let now = self.clock.now();
        let mut state = self.state();
        if state.remembered.digests.contains(&event.digest) {
            return Taken::Duplicate;
        }
        let accounts = match state.owners.of(&event.user_id, now) {
            Owner::Of(accounts) => accounts,
            Owner::NotYet => return Taken::NotYet,
            Owner::Nobody => return Taken::Nobody,
        };
        let mut is_taken = false;
        for account in accounts {
            // One that is signed in and not followed yet is about to be.
            let Some(waiting) = state.accounts.get_mut(&account) else { continue };
            waiting.told.entry(collection).or_default().add(&event.object_id, change);
            waiting.flow.event(now);
            waiting.news.notify_one();
            is_taken = true;
        }
        if !is_taken {
            return Taken::NotYet;
        }
        state.remembered.add(event.digest);
        Taken::Accepted
    }

    /// Looks at the stored sign-ins where that may tell who the person is.
    async fn look_for(&self, id: &str) {
        let Some(store) = self.store.clone() else { return };
        if !self.state().owners.is_to_look(id) {
            return;
        }
        if let Ok(persons) = task::spawn_blocking(move || store.persons()).await {
            self.state().owners.stored(persons);
        }
    }

    pub(super) fn standings(&self) -> Vec<Standing> {
        let now = self.clock.now();
        let state = self.state();
        let standing = |(account, waiting): (&String, &Waiting)| Standing {
            account: account.clone(),
            last: waiting.flow.last(),
            is_silent: waiting.flow.is_silent(now),
            hourly: if waiting.flow.is_on(now) { state.subscribed.len() } else { 0 },
            waiting: waiting.told.len(),
        };
        state.accounts.iter().map(standing).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The mailbox of one account.
pub struct Mailbox {
    inbox: Arc<Inbox>,
    account: String,
    news: Arc<Notify>,
}

impl Mailbox {
    /// Waits for an event.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// Takes out what Oura has told of, by collection.
    pub fn take(&self) -> BTreeMap<&'static str, Documents> {
        let mut state = self.inbox.state();
        state.accounts.get_mut(&self.account).map(|waiting| std::mem::take(&mut waiting.told)).unwrap_or_default()
    }

    /// Oura has said, with this id, whose the account is.
    pub fn is_of(&self, id: &str) {
        self.inbox.state().owners.is_of(&self.account, id);
    }

    /// The collections of which events tell every change, so that polls may be few; none where no events come.
    pub fn told(&self) -> Option<Arc<BTreeSet<&'static str>>> {
        let now = self.inbox.clock.now();
        let state = self.inbox.state();
        let flows = state.accounts.get(&self.account).is_some_and(|waiting| waiting.flow.is_on(now));
        flows.then(|| Arc::clone(&state.subscribed))
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        let mut state = self.inbox.state();
        // Who has signed in by the same name meanwhile has another one.
        if state.accounts.get(&self.account).is_some_and(|waiting| Arc::ptr_eq(&waiting.news, &self.news)) {
            state.accounts.remove(&self.account);
            state.owners.forget(&self.account);
        }
    }
}
