//! Who is asked for what and when: each account on its own, each collection at its own pace.

mod account;
mod fetch;
mod follower;
mod notes;
mod reading;
mod roster;
mod schedule;
mod series;
mod told;
mod urgency;
#[cfg(test)]
mod waiting_tests;
mod whole;

use std::{
    collections::{BTreeMap, HashSet},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{oneshot, watch},
    task::{JoinError, JoinSet},
    time::sleep,
};
use tracing::info;

pub use account::Account;
use follower::Follower;
pub use roster::{Directory, Roster};

use crate::{
    clock::Clock, documents::Kind, oura::ClientOptions, samples::Samples, state::Snapshot, status::ApiStats,
    webhooks::Inbox,
};

/// How often a journal is looked for that another process had.
const HELD_LOOK: Duration = Duration::from_secs(2);

/// What all accounts share.
#[derive(Clone)]
pub struct Poller {
    /// Where the answers go.
    pub snapshot: Arc<Snapshot>,
    /// What is asked for.
    pub kinds: Arc<[&'static Kind]>,
    /// How often it is asked for, where a collection has no slower pace of its own.
    pub interval: Duration,
    /// How long is waited between collections.
    pub client_options: ClientOptions,
    /// What time it is.
    pub clock: Clock,
    /// Where failures are counted.
    pub stats: ApiStats,
    /// The record; none if nobody wants it.
    pub samples: Option<Arc<Samples>>,
    /// What Oura tells by itself; none if it is not to.
    pub inbox: Option<Arc<Inbox>>,
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
    pub fn by_hand(&self, accounts: impl Into<Roster>) -> Followers {
        let accounts = accounts.into().accounts.into_iter();
        Followers(accounts.map(|account| Follower::new(self.clone(), account)).collect())
    }

    /// Polls all accounts, each in a task of its own, for ever; those who sign in and out meanwhile come and go.
    ///
    /// # Errors
    /// Where a task ends, which only a defect can bring about.
    pub async fn run(self, accounts: impl Into<Roster>) -> Result<(), JoinError> {
        let mut roster = accounts.into();
        let mut followed =
            Followed { poller: self, tasks: JoinSet::new(), stops: BTreeMap::new(), looks: watch::Sender::default() };
        // Before anybody's tokens are renewed: until then a copy of a token file can be told by what it holds.
        let names = roster.names().map(str::to_owned).collect();
        let mut present = roster.present(names).await;
        for account in std::mem::take(&mut roster.accounts) {
            followed.begin(account);
        }
        loop {
            if let Some(names) = present {
                followed.follow(&names, &roster);
            }
            tokio::select! {
                () = roster.next_look() => followed.looks.send_replace(()),
                never = followed.poller.take_up_journals() => match never {},
                Some(ended) = followed.tasks.join_next() => {
                    followed.stops.remove(&ended?);
                    // Somebody may have signed in by that name while it was about to end.
                    roster.look_anew();
                }
            }
            present = roster.present(followed.names()).await;
        }
    }

    /// Takes up the journals that other processes let go of, now and at every look.
    async fn take_up_journals(&self) -> Infallible {
        loop {
            if let Some(samples) = &self.samples {
                samples.take_up(self.clock.now());
            }
            sleep(HELD_LOOK).await;
        }
    }

    /// Follows an account until it is told to stop, and whether its name has another sign-in; then leaves nothing of it.
    async fn attend(self, account: Account, looks: watch::Receiver<()>, stop: oneshot::Receiver<bool>) -> String {
        let name = account.name.clone();
        let mut follower = Follower::new(self.clone(), account);
        let is_anothers = tokio::select! {
            () = follower.run(looks) => true,
            // An error says that the exporter ends, and with it this task: what is known of the account stays.
            Ok(is_anothers) = stop => is_anothers,
        };
        if is_anothers {
            info!(
                account = name,
                "account begun anew: somebody else may have signed in as it, so the metrics of before leave the page"
            );
        } else {
            info!(account = name, "account removed: its sign-in is gone, and its metrics leave the page");
        }
        self.forget(&name);
        name
    }

    fn forget(&self, account: &str) {
        self.stats.forget(account);
        if let Some(samples) = &self.samples {
            samples.forget(account);
        }
        // Last: whoever waits for the account to be gone looks here.
        self.snapshot.take_down(account);
    }
}

/// The accounts that are followed now.
struct Followed {
    poller: Poller,
    /// Each ends with the name of its account.
    tasks: JoinSet<String>,
    /// What ends each of them; none of one that is about to end.
    stops: BTreeMap<String, Option<oneshot::Sender<bool>>>,
    looks: watch::Sender<()>,
}

impl Followed {
    fn begin(&mut self, account: Account) {
        let (stop, stopped) = oneshot::channel();
        self.stops.insert(account.name.clone(), Some(stop));
        self.tasks.spawn(self.poller.clone().attend(account, self.looks.subscribe(), stopped));
    }

    fn names(&self) -> Vec<String> {
        self.stops.keys().cloned().collect()
    }

    /// Follows those of these names, and nobody else.
    fn follow(&mut self, names: &[String], roster: &Roster) {
        for name in names {
            if self.stops.contains_key(name) {
                continue;
            }
            if let Some(account) = roster.admit(name) {
                info!(account = name, "account added");
                self.begin(account);
            }
        }
        let names: HashSet<_> = names.iter().collect();
        let gone = self.stops.iter_mut().filter(|(name, _)| !names.contains(name));
        for (name, stop) in gone.filter_map(|(name, stop)| Some((name, stop.take()?))) {
            // Where nobody listens, the task has ended already.
            let _ended = stop.send(roster.has_sign_in(name));
        }
    }
}
