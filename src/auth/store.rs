//! The token store: one file an account, never half written, never open to others, one writer at a time.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::tokens::{Tokens, Unfit};
use crate::durable;

const EXTENSION: &str = "json";
/// Only the owner reads the lock files.
const FILE_MODE: u32 = 0o600;
/// More than a file takes, in bytes.
const ROOM: usize = 8192;

/// A directory of token files.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

/// What went wrong with which file, and what to do; the file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error("cannot {what} {}: {source}; {advice}", path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// The file is there and says nothing that can be used.
    #[error("cannot use {}: {cause}", path.display())]
    Unfit {
        /// Which file.
        path: PathBuf,
        /// Why, and what to do.
        cause: String,
    },
}

/// Which writing of a file this is: it changes whenever the file is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edition {
    inode: u64,
    changed: (i64, i64),
}

/// The right to change an account's file, held against all other processes until it is dropped.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "closing the file is what releases the lock")] File);

impl Store {
    /// The store in `directory`, which need not exist yet.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// The names of the accounts that have a file, in order.
    ///
    /// # Errors
    /// Where the directory cannot be read; one that is not there has no accounts.
    pub fn accounts(&self) -> Result<Vec<String>, StoreError> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
            Err(error) => return Err(failed("read", &self.directory, error)),
        };
        let name = |entry: io::Result<fs::DirEntry>| {
            let path = entry.ok()?.path();
            let is_tokens = path.extension()? == EXTENSION;
            path.file_stem()?.to_str().filter(|name| is_tokens && !name.starts_with('.')).map(str::to_owned)
        };
        let mut names: Vec<_> = entries.filter_map(name).collect();
        names.sort();
        Ok(names)
    }

    /// The tokens of an account; none if it has no file.
    ///
    /// # Errors
    /// Where the file cannot be read or used; it stays as it is.
    pub fn read(&self, account: &str) -> Result<Option<Tokens>, StoreError> {
        let path = self.path(account);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path, error)),
        };
        let unfit = |unfit: Unfit| StoreError::Unfit { path, cause: unfit.to_string() };
        Tokens::from_json(&text).map(Some).map_err(unfit)
    }

    /// Which writing of the account's file is there; none if it has none.
    pub fn edition(&self, account: &str) -> Option<Edition> {
        let metadata = fs::metadata(self.path(account)).ok()?;
        Some(Edition { inode: metadata.ino(), changed: (metadata.ctime(), metadata.ctime_nsec()) })
    }

    /// Replaces the account's tokens: written beside, synced, renamed, and the directory synced. When this returns they
    /// are safe; if it fails, the file before is whole.
    ///
    /// # Errors
    /// Where one of the steps fails; the error names the path.
    pub fn write(&self, account: &str, tokens: &Tokens) -> Result<(), StoreError> {
        self.create()?;
        self.sweep(account);
        let path = self.path(account);
        let text = tokens.to_json().map_err(|error| failed("write", &path, error.into()))?;
        let name = format!("{account}.{EXTENSION}");
        let written = durable::replace(&self.directory, &name, &beside(account), text.as_bytes());
        written.map_err(|error| failed("write", &path, error))
    }

    /// Forgets the account.
    ///
    /// # Errors
    /// Where the file cannot be removed.
    pub fn remove(&self, account: &str) -> Result<(), StoreError> {
        self.sweep(account);
        let path = self.path(account);
        fs::remove_file(&path).map_err(|error| failed("remove", &path, error))
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

    /// Waits for the right to change the account's file.
    ///
    /// # Errors
    /// Where the lock file cannot be made.
    pub fn lock(&self, account: &str) -> Result<Lock, StoreError> {
        self.create()?;
        let path = self.directory.join(format!(".{account}.lock"));
        let locked = || -> io::Result<File> {
            let file = OpenOptions::new().create(true).append(true).mode(FILE_MODE).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        locked().map(Lock).map_err(|error| failed("lock", &path, error))
    }

    /// Whether tokens can be kept here, found out before Oura is asked for any.
    ///
    /// # Errors
    /// Where a file cannot be made, or there is no room for it.
    pub fn check(&self) -> Result<(), StoreError> {
        self.create()?;
        // A full disk still makes empty files, so as much is written as tokens may take.
        let written = || -> io::Result<()> {
            let mut beside = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.directory)?;
            beside.write_all(&[b' '; ROOM])?;
            beside.as_file().sync_all()
        };
        written().map_err(|error| failed("write to", &self.directory, error))
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn create(&self) -> Result<(), StoreError> {
        durable::create(&self.directory).map_err(|error| failed("create", &self.directory, error))
    }

    fn path(&self, account: &str) -> PathBuf {
        self.directory.join(format!("{account}.{EXTENSION}"))
    }
}

/// What the files beside an account's begin with; the tilde is in no account's name.
fn beside(account: &str) -> String {
    format!(".{account}~new-")
}

fn failed(what: &'static str, path: &Path, source: io::Error) -> StoreError {
    let advice = match source.kind() {
        io::ErrorKind::StorageFull => "make room; what was stored is whole",
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            "give this user the right to it, or set OURA_STATE_DIR to a directory it may write"
        }
        _ => "check OURA_STATE_DIR",
    };
    StoreError::System { what, path: path.to_owned(), source, advice }
}
