//! The snapshot: the newest state of every account, swapped whole so that readers never see half of it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use chrono::{DateTime, TimeDelta, Utc};

use super::AccountState;
use crate::clock::Clock;

/// The newest state of every account, by its name.
type Accounts = BTreeMap<String, Arc<AccountState>>;

/// The newest state of every account; none of one that is signed out.
pub struct Snapshot {
    accounts: ArcSwap<Accounts>,
    version: AtomicU64,
    clock: Clock,
    stale_after: TimeDelta,
}

impl Snapshot {
    /// A snapshot of `accounts` whose values stay for `stale_after` once their collection fails.
    pub fn new(accounts: Vec<AccountState>, clock: Clock, stale_after: TimeDelta) -> Self {
        let accounts: Accounts =
            accounts.into_iter().map(|account| (account.name.clone(), Arc::new(account))).collect();
        Self { accounts: ArcSwap::from_pointee(accounts), version: AtomicU64::new(0), clock, stale_after }
    }

    /// Puts up the new state of an account, which may be new itself.
    pub fn post(&self, state: AccountState) {
        let state = Arc::new(state);
        self.change(|accounts| {
            accounts.insert(state.name.clone(), Arc::clone(&state));
        });
    }

    /// Takes an account down, until there is a state of it again.
    pub fn take_down(&self, account: &str) {
        self.change(|accounts| {
            accounts.remove(account);
        });
    }

    fn change(&self, change: impl Fn(&mut Accounts)) {
        self.accounts.rcu(|accounts| {
            let mut accounts = Accounts::clone(accounts);
            change(&mut accounts);
            accounts
        });
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Whether there is nobody on it.
    pub fn is_empty(&self) -> bool {
        self.accounts.load().is_empty()
    }

    /// A number that changes with every post.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Now, by the snapshot's clock.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The accounts, without the values that are too old to be shown now.
    pub fn accounts(&self) -> Vec<AccountState> {
        let now = self.now();
        self.accounts.load().values().map(|account| account.visible(now, self.stale_after)).collect()
    }

    /// Whether every account's first poll has ended.
    ///
    /// # Errors
    /// What is still waited for, in words.
    pub fn ready(&self) -> Result<(), String> {
        let waiting = |account: &Arc<AccountState>| {
            let names: Vec<_> = account.waiting().collect();
            (!names.is_empty()).then(|| format!("account {}: {}", account.name, names.join(", ")))
        };
        let waiting: Vec<_> = self.accounts.load().values().filter_map(waiting).collect();
        if waiting.is_empty() {
            return Ok(());
        }
        Err(format!("the first poll has not ended; waiting for {}", waiting.join("; ")))
    }
}
