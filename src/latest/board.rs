//! The board: the newest state of every account, swapped whole so that readers never see half of it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwapOption;
use chrono::{DateTime, TimeDelta, Utc};

use super::AccountState;
use crate::clock::Clock;

/// The newest state of every account; none of one that is signed out.
pub struct Board {
    accounts: Vec<ArcSwapOption<AccountState>>,
    version: AtomicU64,
    clock: Clock,
    stale_after: TimeDelta,
}

impl Board {
    /// A board of `accounts` whose values stay for `stale_after` once their collection fails.
    pub fn new(accounts: Vec<AccountState>, clock: Clock, stale_after: TimeDelta) -> Self {
        let accounts = accounts.into_iter().map(|account| ArcSwapOption::from_pointee(Some(account))).collect();
        Self { accounts, version: AtomicU64::new(0), clock, stale_after }
    }

    /// Puts up the new state of the account in that place.
    pub fn post(&self, place: usize, state: AccountState) {
        self.put(place, Some(Arc::new(state)));
    }

    /// Takes the account in that place down, until there is a state of it again.
    pub fn take_down(&self, place: usize) {
        self.put(place, None);
    }

    fn put(&self, place: usize, state: Option<Arc<AccountState>>) {
        if let Some(slot) = self.accounts.get(place) {
            slot.store(state);
            self.version.fetch_add(1, Ordering::Release);
        }
    }

    /// A number that changes with every post.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Now, by the board's clock.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The accounts, without the values that are too old to be shown now.
    pub fn accounts(&self) -> Vec<AccountState> {
        let now = self.now();
        let accounts = self.accounts.iter().filter_map(ArcSwapOption::load_full);
        accounts.map(|account| account.visible(now, self.stale_after)).collect()
    }

    /// Whether every account's first poll has ended.
    ///
    /// # Errors
    /// What is still waited for, in words.
    pub fn ready(&self) -> Result<(), String> {
        let waiting = |account: Arc<AccountState>| {
            let names: Vec<_> = account.waiting().collect();
            (!names.is_empty()).then(|| format!("account {}: {}", account.name, names.join(", ")))
        };
        let waiting: Vec<_> = self.accounts.iter().filter_map(ArcSwapOption::load_full).filter_map(waiting).collect();
        if waiting.is_empty() {
            return Ok(());
        }
        Err(format!("the first poll has not ended; waiting for {}", waiting.join("; ")))
    }
}
