//! What goes wrong with token files, as data that can be kept and compared, with what to do about it.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    table_error::{TableError, TableTrouble},
    tokens::Unfit,
};

/// What is tried where a file is replaced by its own copy.
pub(super) const REPLACE: &str = "replace";

/// What went wrong with which file, and what to do; the file is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error("cannot {what} {}: {cause}; {}", path.display(), advice(what, *.kind))]
    System {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Of which kind the refusal is.
        kind: io::ErrorKind,
        /// The system's words.
        cause: String,
    },
    /// The directory was there and is not any more.
    #[error(
        "{} is no longer the directory that held the accounts: their sign-ins cannot be renewed; put it back where it \
         was (or mount it), or set OURA_STATE_DIR to where it is and restart the exporter", path.display()
    )]
    Gone {
        /// The directory.
        path: PathBuf,
    },
    /// Another process does not let go of the lock.
    #[error(
        "cannot lock {}: another process has held it for {} s; let it finish, or stop it (fuser -v {} shows which)",
        path.display(), waited.as_secs(), path.display()
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The file is there and says nothing that can be used.
    #[error("cannot use {}: {cause}", path.display())]
    Unfit {
        /// Which file.
        path: PathBuf,
        /// Why, and what to do.
        cause: Unfit,
    },
    /// The database refuses, or is not there.
    #[error(transparent)]
    Table(#[from] TableError),
}

impl StoreError {
    /// Whether no waiting mends it: a file is where a directory belongs, or a database is not the one that is meant.
    pub fn is_a_mistake(&self) -> bool {
        match self {
            Self::System { kind, .. } => {
                matches!(kind, io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists)
            }
            Self::Table(error) => error.is_a_mistake(),
            _ => false,
        }
    }

    /// Whether it is about the whole store, and not about one account.
    pub(super) fn is_of_the_whole(&self) -> bool {
        match self {
            Self::Gone { .. } => true,
            Self::Table(error) => !matches!(error.trouble, TableTrouble::Unfit { .. }),
            _ => false,
        }
    }

    /// Whether what is stored may be whole all the same.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::System { .. } => true,
            Self::Table(error) => !matches!(error.trouble, TableTrouble::Unfit { .. }),
            _ => false,
        }
    }

    pub(super) fn of_system(what: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::System { what, path: path.to_owned(), kind: error.kind(), cause: error.to_string() }
    }
}

fn advice(what: &str, kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::ResourceBusy if what == REPLACE => {
            "it is mounted by itself, and each renewal replaces it: mount the directory that it is in instead"
        }
        io::ErrorKind::PermissionDenied if what == REPLACE => {
            "each renewal replaces it: make this user the owner of the file and of its directory, and make sure that \
             neither is write-protected (lsattr -d shows it, chattr -i or -a ends it)"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space; what was stored before is \
                                                                      intact"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "mount a file system there that this user can write to, or set OURA_STATE_DIR to a directory that it can \
             write to"
        }
        io::ErrorKind::PermissionDenied => {
            "make this user its owner (a login as another user leaves that user's files behind), or set OURA_STATE_DIR \
             to a directory that it can write to"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "it, or a directory above it, is a file; move that file away, or set OURA_STATE_DIR to a directory"
        }
        _ => "check OURA_STATE_DIR and its disk",
    }
}
