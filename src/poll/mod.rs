//! Who is asked for what and when: each account on its own, each collection at its own pace.

mod account;
mod fetch;
mod schedule;
mod series;

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;

pub use account::Account;

use crate::{clock::Clock, documents::Kind, latest::Board, status::ApiStats};

/// What all accounts share.
#[derive(Clone)]
pub struct Poller {
    /// Where the answers go.
    pub board: Arc<Board>,
    /// What is asked for.
    pub kinds: Arc<[&'static Kind]>,
    /// How often it is asked for, where a collection has no slower pace of its own.
    pub interval: Duration,
    /// What time it is.
    pub clock: Clock,
    /// Where failures are counted.
    pub stats: ApiStats,
}

impl Poller {
    /// Polls all accounts, each in a task of its own, for ever.
    ///
    /// # Errors
    /// Where a task ends, which only a defect can bring about.
    pub async fn run(self, accounts: Vec<Account>) -> Result<(), tokio::task::JoinError> {
        let mut tasks = JoinSet::new();
        for (place, account) in accounts.into_iter().enumerate() {
            let poller = self.clone();
            tasks.spawn(async move { poller.follow(place, account).await });
        }
        while let Some(ended) = tasks.join_next().await {
            ended?;
        }
        Ok(())
    }
}
