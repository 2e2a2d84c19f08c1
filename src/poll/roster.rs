//! Who is followed: accounts that are there for ever, and those who sign in and out while the exporter runs.

use std::{
    collections::{BTreeMap, HashSet},
    future::pending,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::{sync::Notify, task, time::sleep};
use tracing::warn;

use super::Account;
use crate::{
    auth::{Glance, Listing, OAuthClient, SignedIn, Store, StoreError, TokenManager, TokenSource, Version},
    clock::Clock,
    oura::{Client, Transport},
    shard::Shard,
};

/// How often the directory of the token files is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Who is followed.
#[derive(Default)]
pub struct Roster {
    /// Who is there from the start.
    pub(super) accounts: Vec<Account>,
    /// Where those come from who sign in.
    directory: Option<Directory>,
    /// Whether anything of it can change.
    is_changing: bool,
    look: Arc<Notify>,
}

/// The token files, and what an account of one needs.
pub struct Directory {
    /// Where they are.
    pub store: Store,
    /// Who renews the tokens.
    pub oauth_client: Arc<OAuthClient>,
    /// The way to Oura.
    pub transport: Arc<Transport>,
    /// What time it is.
    pub clock: Clock,
    /// The accounts that the environment names: no token file takes their place.
    pub taken: Vec<String>,
    /// Which of them all are followed here.
    pub shard: Shard,
    /// What a person was told of already.
    pub told: HashSet<String>,
    /// Whose sign-ins those are that are followed.
    pub signed_in: Arc<BTreeMap<String, SignedIn>>,
    /// What was last seen there.
    pub seen: Option<Glance>,
    /// The files that were no accounts when they were last written. A copy of a token file stays one when the tokens that it
    /// is a copy of are renewed: to use what it holds would spend a refresh token twice.
    pub refused: BTreeMap<PathBuf, Option<Version>>,
}

impl From<Vec<Account>> for Roster {
    fn from(accounts: Vec<Account>) -> Self {
        Self::new(accounts, None)
    }
}

impl Roster {
    /// `accounts`, and whoever signs in so that there is a file in `directory`.
    pub fn new(accounts: Vec<Account>, directory: Option<Directory>) -> Self {
        let is_changing = directory.is_some() || accounts.iter().any(|account| account.client.source().can_change());
        Self { accounts, directory, is_changing, look: Arc::default() }
    }

    /// What has it look at once.
    pub fn look(&self) -> Arc<Notify> {
        Arc::clone(&self.look)
    }

    /// The names of those who are there before anybody is followed.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.accounts.iter().map(|account| account.name.as_str())
    }

    /// Waits until it is time to look again.
    pub(super) async fn next_look(&self) {
        if !self.is_changing {
            return pending().await;
        }
        tokio::select! {
            () = sleep(LOOK) => {}
            () = self.look.notified() => {}
        }
    }

    /// Has the next look take nothing for known.
    pub(super) fn look_anew(&mut self) {
        if let Some(directory) = &mut self.directory {
            directory.seen = None;
        }
    }

    /// Whether the last look found a sign-in of that name.
    pub(super) fn has_sign_in(&self, name: &str) -> bool {
        self.directory.as_ref().is_some_and(|directory| directory.signed_in.contains_key(name))
    }

    /// The account of that name, which has signed in.
    pub(super) fn admit(&self, name: &str) -> Option<Account> {
        Some(self.directory.as_ref()?.account(name))
    }

    /// Who is there now, given who is followed; none where nothing has changed or nobody can tell.
    pub(super) async fn present(&mut self, followed: Vec<String>) -> Option<Vec<String>> {
        let directory = self.directory.as_mut()?;
        let (store, seen) = (directory.store.clone(), directory.seen.take());
        let (known, shard) = (Arc::clone(&directory.signed_in), directory.shard);
        let looked = task::spawn_blocking(move || look(&store, seen, &followed, &known, shard)).await.ok()?;
        match looked {
            Ok(Looked { glance, changed }) => {
                let present = changed.map(|Present { listing, remaining, replaced, signed_in }| {
                    directory.signed_in = signed_in.into();
                    let mut present = directory.judge(&glance, listing, remaining);
                    present.retain(|name| directory.taken.contains(name) || !replaced.contains(name));
                    present
                });
                directory.seen = Some(glance);
                present
            }
            // A table tells that itself, each time that it goes away.
            Err(StoreError::Table(_)) => None,
            Err(error) => {
                directory.tell([error.to_string()]);
                None
            }
        }
    }
}

/// What a look at the directory found.
struct Looked {
    glance: Glance,
    /// None where it is as it was.
    changed: Option<Present>,
}

struct Present {
    listing: Listing,
    /// Of those who are followed, who still has a file, whatever it holds by now: only its end is an end.
    remaining: Vec<String>,
    /// Of those who are followed, whose name is another person's by now: they leave, and what was told of them is forgotten,
    /// before that person comes.
    replaced: Vec<String>,
    signed_in: BTreeMap<String, SignedIn>,
}

fn look(
    store: &Store,
    seen: Option<Glance>,
    followed: &[String],
    known: &BTreeMap<String, SignedIn>,
    shard: Shard,
) -> Result<Looked, StoreError> {
    if !known.is_empty() {
        store.still_there()?;
    }
    let glance = store.glance()?;
    if seen.as_ref() == Some(&glance) {
        return Ok(Looked { glance, changed: None });
    }
    let mut listing = store.list()?;
    listing.accounts.retain(|name| shard.has(name));
    let (mut signed_in, mut replaced) = (BTreeMap::new(), vec![]);
    let remaining: Vec<_> = followed.iter().filter(|name| store.has(name)).cloned().collect();
    let followed: HashSet<_> = followed.iter().collect();
    for name in listing.accounts.iter().chain(&remaining) {
        // What cannot be read says nothing of a change.
        let Ok(Some(found)) = store.signed_in(name) else {
            signed_in.extend(known.get(name).map(|before| (name.clone(), before.clone())));
            continue;
        };
        let before = known.get(name).filter(|_| followed.contains(name));
        if before.is_some_and(|before| found.may_be_anothers(before)) {
            replaced.push(name.clone());
        }
        signed_in.insert(name.clone(), found);
    }
    store.note_place(signed_in.keys().cloned());
    Ok(Looked { glance, changed: Some(Present { listing, remaining, replaced, signed_in }) })
}

impl Directory {
    fn account(&self, name: &str) -> Account {
        // Whose it was at the look that found it: whoever signs in from now on is found by the next one.
        let (signed_in, oauth_client) = (self.signed_in.get(name).cloned(), Arc::clone(&self.oauth_client));
        let token_manager = TokenManager::new(name, self.store.clone(), oauth_client, self.clock.clone());
        let client = Client::new(Arc::clone(&self.transport), TokenSource::Kept(token_manager.of(signed_in)));
        Account { name: name.to_owned(), client: Arc::new(client) }
    }

    /// Who is there: whoever the environment names, those with a good file, and those whose file was good when they came.
    fn judge(&mut self, glance: &Glance, listing: Listing, remaining: Vec<String>) -> Vec<String> {
        let Listing { accounts, mut warnings, refused } = listing;
        let is_as_refused =
            |path: &PathBuf| self.refused.get(path).is_some_and(|version| glance.version(path) == *version);
        warnings.retain(|warning| !refused.iter().any(|(path, said)| said == warning && is_as_refused(path)));
        let accounts = accounts.into_iter().filter(|name| !is_as_refused(&self.store.path(name)));
        let (taken, mut present): (Vec<_>, Vec<_>) = accounts.partition(|name| self.taken.contains(name));
        self.refused.retain(|path, version| glance.version(path) == *version);
        self.refused.extend(refused.into_keys().map(|path| (path.clone(), glance.version(&path))));
        warnings.extend(taken.iter().map(|name| {
            format!(
                "the token file of account {name} is ignored, because OURA_ACCESS_TOKEN provides an account of that \
                 name; unset it or choose another OURA_ACCOUNT"
            )
        }));
        self.tell(warnings);
        present.extend(remaining);
        present.extend(self.taken.iter().filter(|name| self.shard.has(name)).cloned());
        present
    }

    /// Logs what was not there at the look before.
    fn tell(&mut self, warnings: impl IntoIterator<Item = String>) {
        let warnings: HashSet<_> = warnings.into_iter().collect();
        for warning in warnings.difference(&self.told) {
            warn!("{warning}");
        }
        self.told = warnings;
    }
}
