//! Who is asked for what and when: each account on its own, each collection at its own pace.

mod account;
mod fetch;
mod follower;
mod notes;
mod schedule;
mod series;
mod troubles;
mod whole;

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;
use tracing::warn;

pub use account::Account;
use follower::Follower;

use crate::{clock::Clock, documents::Kind, latest::Board, oura::Patience, samples::Samples, status::ApiStats};

/// What all accounts share.
#[derive(Clone)]
pub struct Poller {
    /// Where the answers go.
    pub board: Arc<Board>,
    /// What is asked for.
    pub kinds: Arc<[&'static Kind]>,
    /// How often it is asked for, where a collection has no slower pace of its own.
    pub interval: Duration,
    /// How long is waited between collections.
    pub patience: Patience,
    /// What time it is.
    pub clock: Clock,
    /// Where failures are counted.
    pub stats: ApiStats,
    /// The record; none if nobody wants it.
    pub samples: Option<Arc<Samples>>,
}

/// Accounts that are followed by hand.
pub struct Followers(Vec<Follower>);

impl Followers {
    /// Asks whatever is due by the poller's clock.
    pub async fn catch_up(&mut self) {
        for follower in &mut self.0 {
            follower.catch_up().await;
        }
    }
}

impl Poller {
    /// The accounts as they are followed, for a caller who goes from one moment to the next.
    pub fn by_hand(&self, accounts: Vec<Account>) -> Followers {
        let followed = accounts.into_iter().enumerate();
        Followers(followed.map(|(slot, account)| Follower::new(self.clone(), slot, account)).collect())
    }

    /// Polls all accounts, each in a task of its own, for ever.
    ///
    /// # Errors
    /// Where a task ends, which only a defect can bring about.
    pub async fn run(self, accounts: Vec<Account>) -> Result<(), tokio::task::JoinError> {
        let mut tasks = JoinSet::new();
        for (slot, account) in accounts.into_iter().enumerate() {
            tasks.spawn(self.clone().attend(slot, account));
        }
        while let Some(ended) = tasks.join_next().await {
            ended?;
        }
        Ok(())
    }

    /// Follows an account as long as it is signed in: after a logout it leaves the page, after a login it is back.
    async fn attend(self, slot: usize, account: Account) {
        let name = &account.name;
        loop {
            account.client.source().signed_in().await;
            tokio::select! {
                () = Follower::new(self.clone(), slot, account.clone()).run() => {}
                () = account.client.source().signed_out() => {
                    warn!(account = name, "its token file is gone, as after a logout: it leaves the page until somebody signs in again");
                    self.forget(slot, name);
                }
            }
        }
    }

    fn forget(&self, slot: usize, account: &str) {
        self.board.take_down(slot);
        self.stats.forget(account, &self.kinds);
        if let Some(samples) = &self.samples {
            samples.forget(account);
        }
    }
}
