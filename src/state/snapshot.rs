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

use super::AccountState;
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
}

impl Snapshot {
    /// A snapshot of `accounts` whose values stay for `stale_after` once their collection fails.
    pub fn new(accounts: Vec<AccountState>, clock: Clock, stale_after: TimeDelta) -> Self {
        let posted = AtomicU64::new(0);
        let place =
            |state: AccountState| (state.name.as_str().into(), Arc::new(ArcSwap::new(numbered(&posted, state.into()))));
        let places: Places = accounts.into_iter().map(place).collect();
        Self { places: RwLock::new(places), posted, version: AtomicU64::new(0), clock, stale_after }
    }

    /// Puts up the new state of an account, which may be new itself.
    pub fn post(&self, state: impl Into<Arc<AccountState>>) {
        let posted = numbered(&self.posted, state.into());
        let name = posted.state.name.as_str();
        match self.place(name) {
            Some(place) => place.store(posted),
            None => self.change(|places| places.insert(name.into(), Arc::new(ArcSwap::new(Arc::clone(&posted))))),
        }
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Has `state`, which shows the same for now, take the place of `before`, where that is up: whoever goes on with the one
    /// does not keep the other as well.
    pub fn replace(&self, before: &Arc<AccountState>, state: Arc<AccountState>) {
        let place = self.place(&state.name).map(|place| (place.load_full(), place));
        if let Some((posted, place)) = place.filter(|(posted, _)| Arc::ptr_eq(&posted.state, before)) {
            place.store(Arc::new(Posted { number: posted.number, state }));
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

    fn of(name: &str) -> Arc<AccountState> {
        AccountState::new(name, &[]).into()
    }

    #[test]
    fn a_state_takes_the_place_of_the_one_that_it_was_made_of_and_of_no_other() {
        let snapshot = Snapshot::new(vec![], Clock::system(), TimeDelta::hours(36));
        let [first, second, third] = ["anna", "anna", "anna"].map(of);
        snapshot.post(Arc::clone(&first));
        let (number, version) = (snapshot.posted_of("anna").unwrap().number, snapshot.version());
        snapshot.replace(&first, Arc::clone(&second));
        let posted = snapshot.posted_of("anna").unwrap();
        assert!(Arc::ptr_eq(&posted.state, &second));
        assert_eq!((posted.number, snapshot.version()), (number, version), "no page is made for that");
        snapshot.replace(&first, Arc::clone(&third));
        assert!(Arc::ptr_eq(&snapshot.posted_of("anna").unwrap().state, &second), "somebody has put up another one");
        snapshot.take_down("anna");
        snapshot.replace(&second, third);
        snapshot.replace(&of("ben"), of("ben"));
        assert!(snapshot.is_empty(), "nobody comes back by it");
    }
}
