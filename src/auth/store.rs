//! The token store: one file an account, never half written, never open to others, one writer at a time.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{
    store_error::StoreError,
    tokens::{Tokens, Unfit},
};
use crate::durable;

pub(super) const EXTENSION: &str = "json";
/// More than a file takes, in bytes.
const ROOM: usize = 8192;
/// A longer file is none of ours, in bytes.
const LONGEST: u64 = 1_048_576;

/// A directory of token files.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
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
}

/// Which files look like accounts', and which writing of each is there: it changes whenever one comes, goes or is replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glance(pub(super) Vec<(PathBuf, Option<FileVersion>)>);

impl Glance {
    /// Which writing of the file at `path` it saw; none if there was none.
    pub fn file_version(&self, path: &Path) -> Option<FileVersion> {
        self.0.iter().find(|(seen, _)| seen == path).and_then(|(_, file_version)| *file_version)
    }
}

impl Store {
    /// The store in `directory`, which need not exist yet.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// The tokens of an account; none if it has no file.
    ///
    /// # Errors
    /// Where the file cannot be read or used, or says that it is another account's; it stays as it is.
    pub fn read(&self, account: &str) -> Result<Option<Tokens>, StoreError> {
        let path = self.path(account);
        let Some((name, tokens)) = self.read_any(&path)? else { return Ok(None) };
        if name == account {
            Ok(Some(tokens))
        } else {
            Err(StoreError::Unfit { path, cause: Unfit::of_other_account(name) })
        }
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

    /// Whether the account has a file. One that cannot be looked at counts as there: only its end is an end.
    pub fn has(&self, account: &str) -> bool {
        let looked = fs::symlink_metadata(self.path(account));
        !looked.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// That the directory is where it was while accounts of it are followed.
    ///
    /// # Errors
    /// Where it is not: who has moved it has signed nobody out.
    pub fn still_there(&self) -> Result<(), StoreError> {
        let looked = fs::symlink_metadata(&self.directory);
        let is_gone = looked.is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        if is_gone { Err(StoreError::Gone { path: self.directory.clone() }) } else { Ok(()) }
    }

    /// Which writing of the account's file is there; none if it has none.
    pub fn file_version(&self, account: &str) -> Option<FileVersion> {
        FileVersion::of(&self.path(account))
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
        let text = tokens.to_json(account).map_err(|error| StoreError::of_system("write", &path, &error.into()))?;
        let name = format!("{account}.{EXTENSION}");
        let written = durable::replace(&self.directory, &name, &beside(account), text.as_bytes());
        written.map_err(|error| StoreError::of_system("write", &path, &error))
    }

    /// Forgets the account.
    ///
    /// # Errors
    /// Where the file cannot be removed.
    pub fn remove(&self, account: &str) -> Result<(), StoreError> {
        self.sweep(account);
        let path = self.path(account);
        fs::remove_file(&path).map_err(|error| StoreError::of_system("remove", &path, &error))
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

    /// Whether tokens can be kept here, found out before Oura is asked for any.
    ///
    /// # Errors
    /// Where a file cannot be made, or there is no room for it.
    pub fn check(&self) -> Result<(), StoreError> {
        self.create()?;
        let tried = durable::try_out(&self.directory, ".new-", ROOM);
        tried.map_err(|error| StoreError::of_system("write to", &self.directory, &error))
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn create(&self) -> Result<(), StoreError> {
        durable::create(&self.directory).map_err(|error| StoreError::of_system("create", &self.directory, &error))
    }

    /// The account's file, whether it is there or not.
    pub fn path(&self, account: &str) -> PathBuf {
        self.directory.join(format!("{account}.{EXTENSION}"))
    }
}

/// What the files beside an account's begin with; the tilde is in no account's name.
fn beside(account: &str) -> String {
    format!(".{account}~new-")
}
