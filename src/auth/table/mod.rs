//! Tokens in a table of PostgreSQL, for many machines: one row an account, which whoever renews it has locked.
//!
//! What the table holds is looked at every second and kept in memory, so that nobody who reads waits for the network, and
//! an exporter goes on with what it knows while the database is away. Whoever takes an account's lock reads its row again.

mod database;
mod known;
mod rows;
mod tls;
mod url;

use std::{
    fmt,
    future::Future,
    path::PathBuf,
    sync::{Arc, OnceLock, mpsc},
};

use secrecy::SecretString;
use tokio::runtime::{Builder, Runtime};

use self::{
    database::{ALL, Database, Row},
    known::Looked,
    rows::{Held, Rows},
    url::Address,
};
use super::{
    listing::Listing,
    person::Person,
    store::{Backend, Glance, Lock, Store, Version},
    store_error::StoreError,
    table_error::{TableError, TableTrouble},
    tokens::Tokens,
};

/// A table of tokens. What is asked of it runs on a thread of its own, as many who ask must not wait for the network
/// otherwise than in place.
pub struct Table {
    rows: Arc<Rows>,
    is_open: bool,
    runtime: OnceLock<Result<Runtime, String>>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Table").field(&self.rows.database.place()).finish()
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if let Some(Ok(runtime)) = self.runtime.take() {
            // Whoever drops it may be asynchronous and must not wait.
            runtime.shutdown_background();
        }
    }
}

impl Store {
    /// The store in `table`, beside a state directory for all that concerns this machine alone.
    pub fn in_table(directory: PathBuf, table: Table) -> Self {
        Self::over(directory, Arc::new(table))
    }
}

impl Table {
    /// The table in the database that `url` names; nothing is asked of it yet.
    ///
    /// # Errors
    /// What is wrong with the URL, without a word of it that may be secret.
    pub fn of(url: &SecretString) -> Result<Self, String> {
        let address = Address::of(url)?;
        let is_open = address.is_open;
        Ok(Self { rows: Arc::new(Rows::of(Database::at(address))), is_open, runtime: OnceLock::new() })
    }

    /// Whether tokens cross a network in the open on the way there.
    pub const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Does `work` on the thread of the table, and waits for it.
    fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, TableError>> + Send + 'static,
    ) -> Result<T, TableError> {
        let runtime = self.runtime.get_or_init(|| {
            let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("token-store").enable_all().build();
            let runtime = runtime.map_err(|error| error.to_string())?;
            runtime.spawn(Arc::clone(&self.rows).follow());
            Ok(runtime)
        });
        let failed = |cause: &str| self.rows.database.error(TableTrouble::Server(cause.to_owned()));
        let runtime = runtime.as_ref().map_err(|cause| failed(cause))?;
        let (told, answer) = mpsc::channel();
        runtime.spawn(async move {
            let _nobody_waits = told.send(work.await);
        });
        answer.recv().unwrap_or_else(|_| Err(failed("a defect of the exporter, report it")))
    }

    /// That it was looked at, and how that ended the last time.
    fn looked(&self) -> Result<(), TableError> {
        let is_first = matches!(self.rows.known().looked, Looked::NotYet);
        if is_first {
            let rows = Arc::clone(&self.rows);
            // How it ended is known below.
            let _told = self.wait(async move { rows.look().await });
        }
        match &self.rows.known().looked {
            Looked::Trouble(error) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn lock_row(&self, account: &str) -> Result<Lock, StoreError> {
        self.looked()?;
        let (rows, account) = (Arc::clone(&self.rows), account.to_owned());
        let held = self.wait(async move { Held::of(rows, account).await })?;
        Ok(Lock::held_by(held))
    }

    fn put(&self, account: &str, tokens: Option<String>, person: Option<&Person>) -> Result<(), StoreError> {
        let (rows, account) = (Arc::clone(&self.rows), account.to_owned());
        // The first look makes the tables. Where it fails, the writing fails as well, and says why.
        let _known_or_not = self.looked();
        let row = Row { version: 0, tokens, person: person.map(Person::to_string) };
        Ok(self.wait(async move { rows.write(&account, row).await })?)
    }
}

impl Backend for Table {
    fn read(&self, account: &str) -> Result<Option<Tokens>, StoreError> {
        let looked = self.looked();
        let known = self.rows.known();
        match known.accounts.get(account) {
            Some(kept) => Ok(kept.tokens.clone().map_err(|trouble| self.rows.database.error(trouble))?),
            // While it cannot be looked at, it is unknown who has come.
            None => Ok(looked.map(|()| None)?),
        }
    }

    fn has(&self, account: &str) -> bool {
        let looked = self.looked();
        match self.rows.known().accounts.get(account) {
            Some(kept) => kept.is_signed_in(),
            None => looked.is_err(),
        }
    }

    fn remembered(&self, account: &str) -> Option<Person> {
        let _known_or_not = self.looked();
        self.rows.known().accounts.get(account)?.person.clone()
    }

    fn version(&self, account: &str) -> Option<Version> {
        let _known_or_not = self.looked();
        let known = self.rows.known();
        known.accounts.get(account).filter(|kept| kept.is_signed_in()).map(|kept| Version::Row(kept.version))
    }

    fn list(&self) -> Result<Listing, StoreError> {
        self.looked()?;
        Ok(self.rows.known().listing(|account| self.path(account)))
    }

    fn glance(&self) -> Result<Glance, StoreError> {
        self.looked()?;
        let known = self.rows.known();
        let signed_in = known.accounts.iter().filter(|(_, kept)| kept.is_signed_in());
        Ok(Glance(signed_in.map(|(name, kept)| (self.path(name), Some(Version::Row(kept.version)))).collect()))
    }

    fn still_there(&self) -> Result<(), StoreError> {
        Ok(self.looked()?)
    }

    fn note_place(&self, _accounts: Vec<String>) {
        // A database has a name of its own: another one in its place lacks the tables, which is made good or told.
    }

    fn lock(&self, account: &str) -> Result<Lock, StoreError> {
        self.lock_row(account)
    }

    fn lock_all(&self) -> Result<Lock, StoreError> {
        let lock = self.lock_row(ALL)?;
        // Somebody on another machine may have added an account a moment ago.
        let rows = Arc::clone(&self.rows);
        self.wait(async move { rows.look().await })?;
        Ok(lock)
    }

    fn write(&self, account: &str, tokens: &Tokens) -> Result<(), StoreError> {
        let unwritable = |error: serde_json::Error| self.rows.database.error(TableTrouble::Server(error.to_string()));
        let text = tokens.to_json(account).map_err(unwritable)?;
        self.put(account, Some(text), tokens.person.as_ref())
    }

    fn remove(&self, account: &str) -> Result<(), StoreError> {
        self.put(account, None, None)
    }

    fn check(&self) -> Result<(), StoreError> {
        Ok(self.looked()?)
    }

    fn check_replacing(&self, account: &str) -> Result<(), StoreError> {
        let (rows, account) = (Arc::clone(&self.rows), account.to_owned());
        Ok(self.wait(async move { rows.try_out(&account).await })?)
    }

    fn path(&self, account: &str) -> PathBuf {
        PathBuf::from(self.place()).join(account)
    }

    fn place(&self) -> String {
        format!("PostgreSQL at {}", self.rows.database.place())
    }

    fn is_shared(&self) -> bool {
        true
    }
}
