//! Tokens in a directory: one file an account, never half written, never open to others, one writer at a time.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::Utc;

use super::{
    heads::{Head, Heads},
    listing::Listing,
    person::Person,
    store::{Backend, Glance, Lock, Version},
    store_error::{REPLACE, StoreError},
    tokens::{SignedIn, Tokens, Unfit},
};
use crate::durable;

pub(super) const EXTENSION: &str = "json";
/// More than a file takes, in bytes.
const ROOM: usize = 8192;
/// A longer file is none of ours, in bytes.
const LONGEST: u64 = 1_048_576;

/// A directory of token files.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    /// Which directory it was when accounts of it were seen there: another one in its place, as an unmounted volume leaves it,
    /// has signed nobody out.
    seen: Mutex<Option<Seen>>,
    pub(super) heads: Heads,
}

/// A directory in which there were accounts.
#[derive(Debug)]
struct Seen {
    /// Its device and inode.
    place: (u64, u64),
    accounts: Vec<String>,
}

/// Which writing of a file this is: it changes whenever the file is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileVersion {
    inode: u64,
    changed: (i64, i64),
}

impl FileVersion {
    /// That of the file at `path`; none if there is no such file.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self { inode: metadata.ino(), changed: (metadata.ctime(), metadata.ctime_nsec()) })
    }

    /// Whether it was written before that second, by the file system's clock.
    pub(super) const fn is_older_than(&self, second: i64) -> bool {
        self.changed.0 < second
    }
}

impl Backend for Files {
    fn signed_in(&self, account: &str) -> Result<Option<SignedIn>, StoreError> {
        let path = self.path(account);
        match self.head(&path)? {
            Some(head) if head.account == account => Ok(Some(head.signed_in)),
            Some(head) => Err(StoreError::Unfit { path, cause: Unfit::of_other_account(head.account) }),
            None => Ok(None),
        }
    }

    fn read(&self, account: &str) -> Result<Option<Tokens>, StoreError> {
        let path = self.path(account);
        let Some((name, tokens)) = self.read_any(&path)? else { return Ok(None) };
        if name == account {
            Ok(Some(tokens))
        } else {
            Err(StoreError::Unfit { path, cause: Unfit::of_other_account(name) })
        }
    }

    fn has(&self, account: &str) -> bool {
        let looked = fs::symlink_metadata(self.path(account));
        !looked.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    fn remembered(&self, account: &str) -> Option<Person> {
        let path = self.directory.join(memory(account));
        let is_small = fs::metadata(&path).is_ok_and(|metadata| metadata.is_file() && metadata.len() < LONGEST);
        fs::read_to_string(path).ok().filter(|_| is_small)?.trim().parse().ok()
    }

    fn version(&self, account: &str) -> Option<Version> {
        FileVersion::of(&self.path(account)).map(Version::File)
    }

    fn list(&self) -> Result<Listing, StoreError> {
        self.listing()
    }

    fn glance(&self) -> Result<Glance, StoreError> {
        self.look()
    }

    fn still_there(&self) -> Result<(), StoreError> {
        let mut known = self.seen();
        let Some(seen) = &mut *known else { return Ok(()) };
        let is_there = match self.identity() {
            Ok(place) if place == seen.place => true,
            Ok(place) => {
                let is_copy = seen.accounts.iter().all(|account| self.path(account).is_file());
                if is_copy {
                    seen.place = place;
                }
                is_copy
            }
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        };
        if is_there { Ok(()) } else { Err(StoreError::Gone { path: self.directory.clone() }) }
    }

    fn note_place(&self, accounts: Vec<String>) {
        let place = self.identity().ok().filter(|_| !accounts.is_empty());
        *self.seen() = place.map(|place| Seen { place, accounts });
    }

    fn lock(&self, account: &str) -> Result<Lock, StoreError> {
        self.lock_file(account)
    }

    fn lock_all(&self) -> Result<Lock, StoreError> {
        self.lock_directory()
    }

    fn write(&self, account: &str, tokens: &Tokens) -> Result<(), StoreError> {
        self.create()?;
        self.sweep(account);
        let path = self.path(account);
        let text = tokens.to_json(account).map_err(|error| StoreError::of_system("write", &path, &error.into()))?;
        let name = format!("{account}.{EXTENSION}");
        let written = durable::replace(&self.directory, &name, &beside(account), text.as_bytes());
        written.map_err(|error| StoreError::of_system("write", &path, &error))?;
        self.remember(account, tokens.person.as_ref());
        Ok(())
    }

    fn remove(&self, account: &str) -> Result<(), StoreError> {
        self.sweep(account);
        self.remember(account, None);
        let path = self.path(account);
        fs::remove_file(&path).map_err(|error| StoreError::of_system("remove", &path, &error))
    }

    fn check(&self) -> Result<(), StoreError> {
        self.create()?;
        let tried = durable::try_out(&self.directory, ".new-", ROOM);
        tried.map_err(|error| StoreError::of_system("write to", &self.directory, &error))
    }

    fn check_replacing(&self, account: &str) -> Result<(), StoreError> {
        self.check()?;
        let path = self.path(account);
        let failed = |error| StoreError::of_system(REPLACE, &path, &error);
        match fs::read(&path) {
            Ok(text) => {
                let name = format!("{account}.{EXTENSION}");
                durable::replace(&self.directory, &name, &beside(account), &text).map_err(failed)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(StoreError::of_system("read", &path, &error)),
        }
    }

    fn path(&self, account: &str) -> PathBuf {
        self.directory.join(format!("{account}.{EXTENSION}"))
    }

    fn place(&self) -> String {
        self.directory.display().to_string()
    }

    fn is_shared(&self) -> bool {
        false
    }
}

impl Files {
    /// The store in `directory`, which need not exist yet.
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, seen: Mutex::new(None), heads: Heads::default() }
    }

    /// What the file says it holds, without the tokens; none if there is no such file.
    pub(super) fn head(&self, path: &Path) -> Result<Option<Head>, StoreError> {
        let read = || Ok(self.read_any(path)?.map(Head::of));
        self.heads.of(path, FileVersion::of(path), Utc::now().timestamp(), read)
    }

    /// Whose tokens the file says it holds, and the tokens; none if there is no such file.
    pub(super) fn read_any(&self, path: &Path) -> Result<Option<(String, Tokens)>, StoreError> {
        let unfit = |cause| StoreError::Unfit { path: path.to_owned(), cause };
        let text = fs::metadata(path).and_then(|metadata| match metadata.len() {
            0..=LONGEST if metadata.is_file() => fs::read(path).map(Some),
            _ => Ok(None),
        });
        let text = match text {
            Ok(text) => text.ok_or_else(|| unfit(Unfit::NoTokens))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::of_system("read", path, &error)),
        };
        let text = String::from_utf8(text).map_err(|_| unfit(Unfit::Damaged))?;
        Tokens::from_json(&text).map(Some).map_err(unfit)
    }

    fn seen(&self) -> MutexGuard<'_, Option<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn identity(&self) -> io::Result<(u64, u64)> {
        fs::metadata(&self.directory).map(|metadata| (metadata.dev(), metadata.ino()))
    }

    /// Keeps beside the tokens whose they are. Where that cannot be written the tokens themselves still say it.
    fn remember(&self, account: &str, person: Option<&Person>) {
        let name = memory(account);
        let _told_by_the_tokens = match person {
            Some(person) if self.remembered(account).as_ref() == Some(person) => Ok(()),
            Some(person) => {
                durable::replace(&self.directory, &name, &beside(account), format!("{person}\n").as_bytes())
            }
            None => fs::remove_file(self.directory.join(name)),
        };
    }

    /// Removes what a process that was killed in the midst of writing has left: it may hold tokens that still work.
    /// Whoever writes holds the lock, so nobody else is at it.
    fn sweep(&self, account: &str) {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let left = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&beside(account)));
        for entry in left {
            // One that cannot be removed is readable by its owner only, like the tokens themselves.
            let _kept = fs::remove_file(entry.path());
        }
    }

    /// The directory.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn create(&self) -> Result<(), StoreError> {
        self.still_there()?;
        durable::create(&self.directory).map_err(|error| StoreError::of_system("create", &self.directory, &error))
    }
}

/// The file that remembers whose an account is.
fn memory(account: &str) -> String {
    format!(".{account}~person")
}

/// What the files beside an account's begin with; the tilde is in no account's name.
fn beside(account: &str) -> String {
    format!(".{account}~new-")
}
