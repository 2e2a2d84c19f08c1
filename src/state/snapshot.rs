//! The snapshot: the newest state of every account, each swapped whole so that readers never see half of one.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use chrono::{DateTime, TimeDelta, Utc};

use super::{AccountState, keeper::Keeper};
use crate::clock::Clock;

/// So many accounts that are waited for are named; of ten thousand nobody would read on.
const MOST_NAMED: usize = 10;

/// A place for each account, by its name. The map changes when somebody comes or goes, by one place: ten thousand come at a
/// start. A new state changes its place alone.
type Places = BTreeMap<Arc<str>, Arc<ArcSwap<Posted>>>;

/// A state of an account as it was put up.
pub struct Posted {
    /// Which of all states that were ever put up it is: two with one number show the same.
    pub number: u64,
    /// The state itself, with values that may be too old to be shown by now.
    pub state: Arc<AccountState>,
}

/// The newest state of every account; none of one that is signed out.
pub struct Snapshot {
    places: RwLock<Places>,
    /// How many states were put up.
    posted: AtomicU64,
    version: AtomicU64,
    clock: Clock,
    stale_after: TimeDelta,
    /// None where the system has no room for its thread: states stay where they were made then.
    keeper: Option<Keeper>,
}

impl Snapshot {
    /// A snapshot of `accounts` whose values stay for `stale_after` once their collection fails.
    pub fn new(accounts: impl IntoIterator<Item = AccountState>, clock: Clock, stale_after: TimeDelta) -> Self {
        let (posted, version, keeper) = (AtomicU64::new(0), AtomicU64::new(0), Keeper::start().ok());
        let snapshot = Self { places: RwLock::default(), posted, version, clock, stale_after, keeper };
        for state in accounts {
            snapshot.post(state);
        }
        snapshot
    }

    /// Puts up a copy of the new state of an account, which may be new itself; the copy, which is to be gone on with: whoever
    /// keeps the state keeps two.
    pub fn post(&self, state: impl Into<Arc<AccountState>>) -> Arc<AccountState> {
        let state = state.into();
        let place = self.place(&state.name);
        let before = place.as_ref().map(|place| Arc::clone(&place.load().state));
        let state = self.kept(state, before);
        let posted = numbered(&self.posted, Arc::clone(&state));
        match place {
            Some(place) => place.store(posted),
            None => self.change(|places| places.insert(state.name.as_str().into(), Arc::new(ArcSwap::new(posted)))),
        }
        self.version.fetch_add(1, Ordering::Release);
        state
    }

    /// Has a copy of `state`, which shows the same for now, take the place of `before`, where that is up; the copy, as above.
    pub fn replace(&self, before: &Arc<AccountState>, state: Arc<AccountState>) -> Arc<AccountState> {
        let state = self.kept(state, Some(Arc::clone(before)));
        let place = self.place(&state.name).map(|place| (place.load_full(), place));
        if let Some((posted, place)) = place.filter(|(posted, _)| Arc::ptr_eq(&posted.state, before)) {
            place.store(Arc::new(Posted { number: posted.number, state: Arc::clone(&state) }));
        }
        state
    }

    fn kept(&self, state: Arc<AccountState>, before: Option<Arc<AccountState>>) -> Arc<AccountState> {
        match &self.keeper {
            Some(keeper) => keeper.copy(state, before),
            None => state,
        }
    }

    /// Takes an account down, until there is a state of it again.
    pub fn take_down(&self, account: &str) {
        self.change(|places| places.remove(account));
        self.version.fetch_add(1, Ordering::Release);
    }

    fn change<T>(&self, change: impl FnOnce(&mut Places) -> T) {
        change(&mut self.places.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn places(&self) -> RwLockReadGuard<'_, Places> {
        self.places.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is nobody on it.
    pub fn is_empty(&self) -> bool {
        self.places().is_empty()
    }

    /// How many accounts there are.
    pub fn len(&self) -> usize {
        self.places().len()
    }

    /// A number that changes with every post.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Now, by the snapshot's clock.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// How long values stay once their collection fails.
    pub const fn stale_after(&self) -> TimeDelta {
        self.stale_after
    }

    /// The names of the accounts, in order.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.places().keys().cloned().collect()
    }

    /// The newest state of every account as it was put up, by name.
    pub fn posted(&self) -> Vec<Arc<Posted>> {
        self.places().values().map(|place| place.load_full()).collect()
    }

    /// The newest state of that account as it was put up.
    pub fn posted_of(&self, account: &str) -> Option<Arc<Posted>> {
        self.place(account).map(|place| place.load_full())
    }

    fn place(&self, account: &str) -> Option<Arc<ArcSwap<Posted>>> {
        self.places().get(account).cloned()
    }

    /// Whether that account is there.
    pub fn has(&self, account: &str) -> bool {
        self.places().contains_key(account)
    }

    /// The accounts, without the values that are too old to be shown now.
    pub fn accounts(&self) -> Vec<AccountState> {
        let now = self.now();
        self.posted().iter().map(|posted| posted.state.visible(now, self.stale_after)).collect()
    }

    /// That account, without the values that are too old to be shown now.
    pub fn account(&self, account: &str) -> Option<AccountState> {
        Some(self.posted_of(account)?.state.visible(self.now(), self.stale_after))
    }

    /// Whether every account's first poll has ended.
    ///
    /// # Errors
    /// What is still waited for, in words.
    pub fn ready(&self) -> Result<(), String> {
        let posted = self.posted();
        let waiting: Vec<_> = posted.iter().filter(|posted| posted.state.waiting().next().is_some()).collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let named = waiting.iter().take(MOST_NAMED).map(|posted| {
            let names: Vec<_> = posted.state.waiting().collect();
            format!("account {}: {}", posted.state.name, names.join(", "))
        });
        let named = named.collect::<Vec<_>>().join("; ");
        let more = match waiting.len().saturating_sub(MOST_NAMED) {
            0 => String::new(),
            more => format!("; and {more} more accounts"),
        };
        Err(format!("the first poll has not ended; waiting for {named}{more}"))
    }
}

fn numbered(posted: &AtomicU64, state: Arc<AccountState>) -> Arc<Posted> {
    Arc::new(Posted { number: posted.fetch_add(1, Ordering::Relaxed), state })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        documents::{KINDS, Shown},
        observation::{Date, Observation},
    };

    fn of(name: &str) -> Arc<AccountState> {
        AccountState::new(name, &[]).into()
    }

    #[test]
    fn what_is_up_says_what_was_put_up_and_shares_nothing_with_it() {
        let snapshot = Snapshot::new(vec![], Clock::system(), TimeDelta::hours(36));
        let kinds: Vec<_> = KINDS.iter().collect();
        let mut state = AccountState::new("anna", &kinds);
        let labels = Box::new([("level", "deep".into())]);
        let observations = vec![Observation { name: "oura_sleep_stage_seconds", labels, value: 5_400.0 }];
        state.collections[2].shown = Some(Arc::new(Shown { date: Date::Standing, observations }));
        let (made, up) = (Arc::new(state.clone()), snapshot.post(state));
        let posted = snapshot.posted_of("anna").unwrap();
        assert!(Arc::ptr_eq(&posted.state, &up), "who has put it up goes on with it");
        let [before, now] = [&made, &up].map(|state| state.collections[2].shown.as_ref().unwrap());
        assert_eq!(now, before);
        assert!(!Arc::ptr_eq(now, before));
        let of_all = |state: &AccountState| state.collections.iter().map(|one| one.kind.name).collect::<Vec<_>>();
        assert_eq!((of_all(&up), &up.name), (of_all(&made), &made.name));
        let (mut next, shown) = ((*up).clone(), Arc::new(Shown { date: Date::Standing, observations: vec![] }));
        next.collections[5].shown = Some(Arc::clone(&shown));
        let again = snapshot.post(next);
        let of = |state: &AccountState, place: usize| state.collections[place].shown.clone().unwrap();
        assert!(Arc::ptr_eq(&of(&again, 2), &of(&up, 2)), "what did not change stays where it is");
        assert!(of(&again, 5) == shown && !Arc::ptr_eq(&of(&again, 5), &shown));
        let mut gone = (*again).clone();
        gone.collections[2].shown = None;
        assert!(snapshot.post(gone).collections[2].shown.is_none());
    }

    #[test]
    fn a_state_takes_the_place_of_the_one_that_it_was_made_of_and_of_no_other() {
        let snapshot = Snapshot::new(vec![], Clock::system(), TimeDelta::hours(36));
        let first = snapshot.post(of("anna"));
        let (number, version) = (snapshot.posted_of("anna").unwrap().number, snapshot.version());
        let second = snapshot.replace(&first, of("anna"));
        let posted = snapshot.posted_of("anna").unwrap();
        assert!(Arc::ptr_eq(&posted.state, &second));
        assert_eq!((posted.number, snapshot.version()), (number, version), "no page is made for that");
        let third = snapshot.replace(&first, of("anna"));
        assert!(Arc::ptr_eq(&snapshot.posted_of("anna").unwrap().state, &second), "somebody has put up another one");
        snapshot.take_down("anna");
        snapshot.replace(&second, third);
        snapshot.replace(&of("ben"), of("ben"));
        assert!(snapshot.is_empty(), "nobody comes back by it");
    }
}
