//! The board: the newest state of every account, swapped whole so that readers never see half of it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwap;
use chrono::{DateTime, TimeDelta, Utc};

use super::AccountState;
use crate::clock::Clock;

/// The newest state of every account.
pub struct Board {
    accounts: Vec<ArcSwap<AccountState>>,
    version: AtomicU64,
    clock: Clock,
    stale_after: TimeDelta,
}

impl Board {
    /// A board of `accounts` whose values stay for `stale_after` once their collection fails.
    pub fn new(accounts: Vec<AccountState>, clock: Clock, stale_after: TimeDelta) -> Self {
        let accounts = accounts.into_iter().map(ArcSwap::from_pointee).collect();
        Self { accounts, version: AtomicU64::new(0), clock, stale_after }
    }

    /// Puts up the new state of the account in that place.
    pub fn post(&self, place: usize, state: AccountState) {
        if let Some(slot) = self.accounts.get(place) {
            slot.store(Arc::new(state));
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
        self.accounts.iter().map(|account| account.load().visible(now, self.stale_after)).collect()
    }

    /// Whether every account's first poll has ended.
    ///
    /// # Errors
    /// What is still waited for, in words.
    pub fn ready(&self) -> Result<(), String> {
        let waiting = |account: &ArcSwap<AccountState>| {
            let account = account.load();
            let names: Vec<_> = account.waiting().collect();
            (!names.is_empty()).then(|| format!("account {}: {}", account.name, names.join(", ")))
        };
        let waiting: Vec<_> = self.accounts.iter().filter_map(waiting).collect();
        if waiting.is_empty() {
            return Ok(());
        }
        Err(format!("the first poll has not ended; waiting for {}", waiting.join("; ")))
    }
}
