//! The token store: where the tokens of all accounts are kept, whichever way, and what is promised of each way.

use std::{
    any::Any,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    files::{FileVersion, Files},
    listing::Listing,
    person::Person,
    persons::Persons,
    store_error::StoreError,
    tokens::{SignedIn, Tokens},
};

/// Where tokens are kept, and the state directory of this machine beside it.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
    backend: Arc<dyn Backend>,
    persons: Arc<Persons>,
}

/// Which writing of an account's tokens this is: it changes whenever they are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// That of a file.
    File(FileVersion),
    /// That of a row of a table.
    Row(i64),
}

/// What looks like accounts', and which writing of each is there: it changes whenever one comes, goes or is replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glance(pub(super) Vec<(PathBuf, Option<Version>)>);

impl Glance {
    /// Which writing of what is kept at `path` it saw; none if there was none.
    pub fn version(&self, path: &Path) -> Option<Version> {
        self.0.iter().find(|(seen, _)| seen == path).and_then(|(_, version)| *version)
    }
}

/// The right to change an account's tokens, until it is dropped; without anything to hold where a file system has no locks.
#[derive(Debug)]
pub struct Lock(
    #[expect(dead_code, reason = "dropping it is what releases the lock")] Option<Box<dyn Any + Send + Sync>>,
);

impl Lock {
    pub(super) fn held_by(held: impl Any + Send + Sync) -> Self {
        Self(Some(Box::new(held)))
    }

    pub(super) const fn of_nothing() -> Self {
        Self(None)
    }
}

/// A way of keeping tokens. What is written is safe before the call returns, and is as it was where the call fails; a lock
/// holds against all other processes.
pub(super) trait Backend: fmt::Debug + Send + Sync {
    /// See [`Store::read`].
    fn read(&self, account: &str) -> Result<Option<Tokens>, StoreError>;
    /// See [`Store::signed_in`].
    fn signed_in(&self, account: &str) -> Result<Option<SignedIn>, StoreError> {
        Ok(self.read(account)?.map(|tokens| tokens.signed_in()))
    }
    /// See [`Store::has`].
    fn has(&self, account: &str) -> bool;
    /// See [`Store::remembered`].
    fn remembered(&self, account: &str) -> Option<Person>;
    /// See [`Store::version`].
    fn version(&self, account: &str) -> Option<Version>;
    /// See [`Store::list`].
    fn list(&self) -> Result<Listing, StoreError>;
    /// See [`Store::glance`].
    fn glance(&self) -> Result<Glance, StoreError>;
    /// See [`Store::still_there`].
    fn still_there(&self) -> Result<(), StoreError>;
    /// See [`Store::note_place`].
    fn note_place(&self, accounts: Vec<String>);
    /// See [`Store::lock`].
    fn lock(&self, account: &str) -> Result<Lock, StoreError>;
    /// See [`Store::lock_all`].
    fn lock_all(&self) -> Result<Lock, StoreError>;
    /// See [`Store::write`].
    fn write(&self, account: &str, tokens: &Tokens) -> Result<(), StoreError>;
    /// See [`Store::remove`].
    fn remove(&self, account: &str) -> Result<(), StoreError>;
    /// See [`Store::check`].
    fn check(&self) -> Result<(), StoreError>;
    /// See [`Store::check_replacing`].
    fn check_replacing(&self, account: &str) -> Result<(), StoreError>;
    /// See [`Store::path`].
    fn path(&self, account: &str) -> PathBuf;
    /// See [`Store::place`].
    fn place(&self) -> String;
    /// See [`Store::is_shared`].
    fn is_shared(&self) -> bool;
}

impl Store {
    /// The store in `directory`, a file an account; it need not exist yet.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        Self::over(directory.clone(), Arc::new(Files::new(directory)))
    }

    pub(super) fn over(directory: PathBuf, backend: Arc<dyn Backend>) -> Self {
        Self { directory, backend, persons: Arc::default() }
    }

    pub(super) fn persons_seen(&self) -> &Persons {
        &self.persons
    }

    /// The tokens of an account; none if it has none.
    ///
    /// # Errors
    /// Where they cannot be read or used, or say that they are another account's; they stay as they are.
    pub fn read(&self, account: &str) -> Result<Option<Tokens>, StoreError> {
        self.backend.read(account)
    }

    /// Whose sign-in the account's tokens are, which of a file that nobody has written since is known; none if it has none.
    ///
    /// # Errors
    /// Those of [`Self::read`].
    pub fn signed_in(&self, account: &str) -> Result<Option<SignedIn>, StoreError> {
        self.backend.signed_in(account)
    }

    /// Whether the account has tokens. Those that cannot be looked at count as there: only their end is an end.
    pub fn has(&self, account: &str) -> bool {
        self.backend.has(account)
    }

    /// Whose account of that name was last, as far as Oura said it: known also where the tokens are lost or damaged.
    pub(super) fn remembered(&self, account: &str) -> Option<Person> {
        self.backend.remembered(account)
    }

    /// Which writing of the account's tokens is there; none if it has none.
    pub fn version(&self, account: &str) -> Option<Version> {
        self.backend.version(account)
    }

    /// The names of the accounts that have tokens, in order.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn accounts(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.list()?.accounts)
    }

    /// The accounts that have tokens, and what else is to be said of the store.
    ///
    /// # Errors
    /// Where it cannot be read; a directory that is not there has no accounts.
    pub fn list(&self) -> Result<Listing, StoreError> {
        self.backend.list()
    }

    /// What looks like accounts', without a look into it.
    ///
    /// # Errors
    /// Those of [`Self::list`].
    pub fn glance(&self) -> Result<Glance, StoreError> {
        self.backend.glance()
    }

    /// Whether both accounts hold one and the same pair, as a rename that was interrupted leaves it.
    pub fn is_copy(&self, one: &str, other: &str) -> bool {
        let fingerprint = |account: &str| self.read(account).ok().flatten().and_then(|tokens| tokens.fingerprint());
        fingerprint(one).is_some_and(|one| fingerprint(other) == Some(one))
    }

    /// That the store is where it was while accounts of it are followed.
    ///
    /// # Errors
    /// Where it is not: who has moved it, or stopped it, has signed nobody out.
    pub fn still_there(&self) -> Result<(), StoreError> {
        self.backend.still_there()
    }

    /// Takes note of the place in which there are these accounts.
    pub fn note_place(&self, accounts: impl IntoIterator<Item = String>) {
        self.backend.note_place(accounts.into_iter().collect());
    }

    /// Waits for the right to change the account's tokens, for five seconds at most.
    ///
    /// # Errors
    /// Where there is no such lock to be had, or another process does not let go of it.
    pub fn lock(&self, account: &str) -> Result<Lock, StoreError> {
        self.backend.lock(account)
    }

    /// Waits for the right to add an account, for five seconds at most: of two who are judged at once, the second one is judged
    /// with the first one in the store.
    ///
    /// # Errors
    /// Those of [`Self::lock`].
    pub(super) fn lock_all(&self) -> Result<Lock, StoreError> {
        self.backend.lock_all()
    }

    /// Replaces the account's tokens. When this returns they are safe; if it fails, those before are whole.
    ///
    /// # Errors
    /// Where they cannot be stored; the error names the place.
    pub fn write(&self, account: &str, tokens: &Tokens) -> Result<(), StoreError> {
        self.backend.write(account, tokens)
    }

    /// Forgets the account.
    ///
    /// # Errors
    /// Where its tokens cannot be removed.
    pub fn remove(&self, account: &str) -> Result<(), StoreError> {
        self.backend.remove(account)
    }

    /// Whether tokens can be kept here, found out before Oura is asked for any.
    ///
    /// # Errors
    /// Where nothing can be written.
    pub fn check(&self) -> Result<(), StoreError> {
        self.backend.check()
    }

    /// The same for the account's own tokens: tried by putting a copy in their place. Whoever asks holds the lock.
    ///
    /// # Errors
    /// Those of [`Store::check`], and where they cannot be replaced; they are as they were.
    pub(super) fn check_replacing(&self, account: &str) -> Result<(), StoreError> {
        self.backend.check_replacing(account)
    }

    /// The state directory of this machine: the record's journals are in it, and the tokens where no database keeps them.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The account's file, or what tells its row from others, whether it is there or not.
    pub fn path(&self, account: &str) -> PathBuf {
        self.backend.path(account)
    }

    /// Whether it is a database, which many machines share.
    pub fn is_shared(&self) -> bool {
        self.backend.is_shared()
    }

    /// Where tokens are kept, as a person is told.
    pub fn place(&self) -> String {
        self.backend.place()
    }
}
