//! What token files held when they were last read: of a file that nobody has written since, that is known.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    files::FileVersion,
    store_error::StoreError,
    tokens::{Fingerprint, SignedIn, Tokens},
};

/// Two writings of one file within so many seconds may look the same to whoever asks the file system.
const ALIKE: i64 = 2;

/// What a token file holds, without the tokens.
#[derive(Clone, Debug)]
pub(super) struct Head {
    /// Whose tokens it says they are.
    pub(super) account: String,
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) signed_in: SignedIn,
}

/// What files held: with thousands of them, all would be read again for each one that is renewed.
#[derive(Debug, Default)]
pub(super) struct Heads(Mutex<HashMap<PathBuf, (FileVersion, Head)>>);

impl Head {
    pub(super) fn of((account, tokens): (String, Tokens)) -> Self {
        Self { account, fingerprint: tokens.fingerprint(), signed_in: tokens.signed_in() }
    }
}

impl Heads {
    /// What is at `path`, of which there is this version at `now` (in Unix seconds): known, or read.
    ///
    /// # Errors
    /// That of reading.
    pub(super) fn of(
        &self,
        path: &Path,
        version: Option<FileVersion>,
        now: i64,
        read: impl FnOnce() -> Result<Option<Head>, StoreError>,
    ) -> Result<Option<Head>, StoreError> {
        let known = self.known().get(path).filter(|(known, _)| version.as_ref() == Some(known)).cloned();
        if let Some((_, head)) = known {
            return Ok(Some(head));
        }
        let head = read()?;
        if let Some((version, head)) = version.filter(|version| version.is_older_than(now - ALIKE)).zip(head.as_ref()) {
            self.known().insert(path.to_owned(), (version, head.clone()));
        }
        Ok(head)
    }

    /// Forgets all files but these.
    pub(super) fn keep(&self, paths: &[PathBuf]) {
        self.known().retain(|path, _| paths.binary_search(path).is_ok());
    }

    fn known(&self) -> MutexGuard<'_, HashMap<PathBuf, (FileVersion, Head)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, fs, os::unix::fs::PermissionsExt as _};

    use chrono::Utc;

    use super::*;

    #[test]
    fn a_file_is_read_again_when_it_was_written_and_not_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("anna.json");
        let (heads, reads) = (Heads::default(), Cell::new(0));
        let ask = |later: i64| {
            let head = heads.of(&path, FileVersion::of(&path), Utc::now().timestamp() + later, || {
                reads.set(reads.get() + 1);
                let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
                let signed_in = SignedIn { at: chrono::DateTime::UNIX_EPOCH, person: None };
                Ok(Some(Head { account: text, fingerprint: None, signed_in }))
            });
            (head.unwrap().map_or_else(String::new, |head| head.account), reads.get())
        };
        assert_eq!(ask(9), (String::new(), 1));
        assert_eq!(ask(9), (String::new(), 2), "what is not there may come");
        fs::write(&path, "anna").unwrap();
        assert_eq!(ask(0), ("anna".to_owned(), 3));
        assert_eq!(
            ask(-3600),
            ("anna".to_owned(), 4),
            "it was just written: it may be written again, and look the same"
        );
        assert_eq!(ask(9), ("anna".to_owned(), 5));
        assert_eq!(ask(9), ("anna".to_owned(), 5), "known");
        let beside = directory.path().join("new");
        fs::write(&beside, "ben").unwrap();
        fs::rename(&beside, &path).unwrap();
        assert_eq!(ask(9), ("ben".to_owned(), 6), "another file is in its place");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(ask(9), ("ben".to_owned(), 7), "whoever may read it has changed");
        fs::remove_file(&path).unwrap();
        assert_eq!(ask(9).0, "", "it is gone");
        heads.keep(&[]);
        assert!(heads.known().is_empty());
    }
}
