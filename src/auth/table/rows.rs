//! The rows of the table as one process has them: seen every second, locked one by one, written under the lock.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex as BlockingMutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Mutex, MutexGuard as Turn},
    time::{Instant, sleep},
};
use tokio_postgres::Client;
use tracing::{info, warn};

use super::{
    database::{Database, Row, Sum},
    known::{Kept, Known, Looked},
};
use crate::auth::table_error::{TableError, TableTrouble};

/// How often the table is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long another one of this process may have an account locked, and how long it is between two looks for that.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
const BETWEEN: Duration = Duration::from_millis(20);
/// For how long it is tried to store what Oura has given, where the server goes away under way, and how long it is between
/// two tries.
const PERSISTENCE: Duration = Duration::from_secs(12);
const AGAIN: Duration = Duration::from_millis(100);
/// How many connections are kept for the next one who locks.
const IDLE: usize = 2;

/// The rows.
pub(super) struct Rows {
    pub(super) database: Database,
    known: BlockingMutex<Known>,
    /// The connection that looks. Whoever changes what is known has it, so that a look that began before a writing does not
    /// put what it saw over what was written.
    looking: Mutex<Option<Client>>,
    /// Who of this process has an account locked, each with the connection that has the row until it is written.
    held: BlockingMutex<HashMap<String, Option<Locked>>>,
    idle: BlockingMutex<Vec<Client>>,
}

/// A row that is locked, and the version that it had then.
struct Locked {
    client: Client,
    version: i64,
}

/// The right to change an account's row, until it is dropped.
pub(super) struct Held {
    rows: Arc<Rows>,
    account: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        // The server takes back what was not committed when the connection ends.
        drop(self.rows.held().remove(&self.account));
    }
}

impl Held {
    /// Waits for the account's row, for about five seconds at most.
    pub(super) async fn of(rows: Arc<Rows>, account: String) -> Result<Self, TableError> {
        let deadline = Instant::now() + LONGEST_WAIT;
        while !rows.claim(&account) {
            if Instant::now() >= deadline {
                return Err(rows.database.locked(&account));
            }
            sleep(BETWEEN).await;
        }
        let held = Self { rows, account };
        let (locked, row) = held.rows.lock(&held.account).await?;
        let turn = held.rows.looking.lock().await;
        held.rows.learn(&turn, &held.account, &row);
        held.rows.held().insert(held.account.clone(), Some(locked));
        drop(turn);
        Ok(held)
    }
}

fn unpoisoned<T>(mutex: &BlockingMutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Rows {
    pub(super) fn of(database: Database) -> Self {
        let (known, looking) = (BlockingMutex::default(), Mutex::default());
        Self { database, known, looking, held: BlockingMutex::default(), idle: BlockingMutex::default() }
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        unpoisoned(&self.known)
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, Option<Locked>>> {
        unpoisoned(&self.held)
    }

    /// Looks at the table again and again.
    pub(super) async fn follow(self: Arc<Self>) {
        loop {
            sleep(LOOK).await;
            let _told = self.look().await;
        }
    }

    /// Looks at the table once, and says when it comes and goes.
    pub(super) async fn look(&self) -> Result<(), TableError> {
        let mut turn = self.looking.lock().await;
        let looked = self.seen(&mut turn).await;
        if looked.is_err() {
            *turn = None;
        }
        let mut known = self.known();
        match &looked {
            Ok(()) => self.answers(&mut known),
            Err(error) => {
                if known.is_news(error) {
                    warn!("{error}; until then the known sign-ins are used, and none is renewed");
                }
                known.looked = Looked::Trouble(error.clone());
            }
        }
        looked
    }

    /// The table has answered.
    fn answers(&self, known: &mut Known) {
        if matches!(known.looked, Looked::Trouble(_)) {
            info!("the token store answers again: PostgreSQL at {}", self.database.place());
        }
        known.looked = Looked::Well;
    }

    async fn seen(&self, turn: &mut Turn<'_, Option<Client>>) -> Result<(), TableError> {
        let client = match turn.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => {
                let mut client = self.database.connect().await?;
                self.database.migrate(&mut client).await?;
                // Another database may be there by now.
                self.known().sum = None;
                client
            }
        };
        let sum = self.database.sum(&client).await?;
        if self.known().sum.as_ref() != Some(&sum) {
            self.read(&client, sum).await?;
        }
        **turn = Some(client);
        Ok(())
    }

    /// Reads what has changed. An account that is locked here is as whoever has it knows it.
    async fn read(&self, client: &Client, sum: Sum) -> Result<(), TableError> {
        let versions = self.database.versions(client).await?;
        let changed: Vec<_> = {
            let (known, held) = (self.known(), self.held());
            let is_known =
                |name: &String, version: i64| known.accounts.get(name).map(|kept| kept.version) == Some(version);
            let new = versions.iter().filter(|(name, version)| !held.contains_key(*name) && !is_known(name, **version));
            new.map(|(name, _)| name.clone()).collect()
        };
        let rows = if changed.is_empty() { vec![] } else { self.database.rows(client, &changed).await? };
        let (mut known, held) = (self.known(), self.held());
        known.accounts.retain(|name, _| versions.contains_key(name) || held.contains_key(name));
        for (name, row) in rows.into_iter().filter(|(name, _)| !held.contains_key(name)) {
            let kept = Kept::of(&name, &row);
            known.accounts.insert(name, kept);
        }
        known.sum = held.is_empty().then_some(sum);
        Ok(())
    }

    /// Takes over what the row says.
    fn learn(&self, _turn: &Turn<'_, Option<Client>>, account: &str, row: &Row) {
        let mut known = self.known();
        self.answers(&mut known);
        known.sum = None;
        if row.tokens.is_none() && row.person.is_none() {
            known.accounts.remove(account);
        } else {
            known.accounts.insert(account.to_owned(), Kept::of(account, row));
        }
    }

    /// Whether nobody else of this process has the account now.
    fn claim(&self, account: &str) -> bool {
        let mut held = self.held();
        let is_free = !held.contains_key(account);
        if is_free {
            held.insert(account.to_owned(), None);
        }
        is_free
    }

    /// The account's row, locked, on a connection that is there already or a new one.
    async fn lock(&self, account: &str) -> Result<(Locked, Row), TableError> {
        let idle = unpoisoned(&self.idle).pop().filter(|client| !client.is_closed());
        if let Some(client) = idle {
            match self.database.lock(&client, account).await {
                Ok(row) => return Ok((Locked { client, version: row.version }, row)),
                // It may have been cut off long ago, and nobody has noticed.
                Err(error) if matches!(error.trouble, TableTrouble::Unreachable(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let client = self.database.connect().await?;
        let row = self.database.lock(&client, account).await?;
        Ok((Locked { client, version: row.version }, row))
    }

    /// Tries whether the account's row, which is locked, can be written.
    pub(super) async fn try_out(&self, account: &str) -> Result<(), TableError> {
        let locked = self.held().get_mut(account).and_then(Option::take);
        let Some(locked) = locked else { return Err(self.database.error(TableTrouble::Changed(account.to_owned()))) };
        self.database.try_out(&locked.client, account).await?;
        self.held().insert(account.to_owned(), Some(locked));
        Ok(())
    }

    /// Writes the account's row, and lets go of it. Where the server goes away under way, it is waited for: what is to be
    /// written may be a token that is nowhere else.
    pub(super) async fn write(self: &Arc<Self>, account: &str, row: Row) -> Result<(), TableError> {
        let locked = self.held().get_mut(account).and_then(Option::take);
        let (locked, _own) = match locked {
            Some(locked) => (locked, None),
            None => {
                let held = Held::of(Arc::clone(self), account.to_owned()).await?;
                let locked = self.held().get_mut(account).and_then(Option::take);
                let locked = locked.ok_or_else(|| self.database.locked(account))?;
                (locked, Some(held))
            }
        };
        let version = locked.version;
        let (client, version) = match self.database.write(&locked.client, account, &row).await {
            Ok(written) => (locked.client, written),
            Err(error) if matches!(error.trouble, TableTrouble::Unreachable(_)) => {
                drop(locked);
                self.write_again(account, &row, version, error).await?
            }
            Err(error) => return Err(error),
        };
        let turn = self.looking.lock().await;
        self.learn(&turn, account, &Row { version, ..row });
        let mut idle = unpoisoned(&self.idle);
        if idle.len() < IDLE {
            idle.push(client);
        }
        Ok(())
    }

    /// Tries again to write the row that had this `version`, until the server has been away for too long.
    async fn write_again(
        &self,
        account: &str,
        row: &Row,
        version: i64,
        mut error: TableError,
    ) -> Result<(Client, i64), TableError> {
        let deadline = Instant::now() + PERSISTENCE;
        while matches!(error.trouble, TableTrouble::Unreachable(_)) && Instant::now() < deadline {
            sleep(AGAIN).await;
            error = match self.lock(account).await {
                // The same text says that it was written, and only the answer was lost.
                Ok((_, found)) if found.version != version && found.tokens != row.tokens => {
                    return Err(self.database.error(TableTrouble::Changed(account.to_owned())));
                }
                Ok((locked, _)) => match self.database.write(&locked.client, account, row).await {
                    Ok(written) => return Ok((locked.client, written)),
                    Err(error) => error,
                },
                Err(error) => error,
            };
        }
        Err(error)
    }
}
