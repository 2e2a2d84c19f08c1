//! How far live remote write has come with each account's record, over restarts too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::state_file::StateFile;

/// What a receiver has, by account.
pub(super) struct SentLog {
    file: Option<StateFile>,
    places: BTreeMap<String, Place>,
}

/// Everything below this number of this journal was sent.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
struct Place {
    journal: String,
    next: u64,
}

impl SentLog {
    /// The log in `file`; without one it is forgotten at the end.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub(super) fn open(file: Option<StateFile>) -> anyhow::Result<Self> {
        let places = file.as_ref().map_or(Ok(BTreeMap::new()), StateFile::read)?;
        Ok(Self { file, places })
    }

    /// The first telling of `account` that was not sent, as this journal counts them: of another one, nothing was.
    pub(super) fn next(&self, account: &str, journal: &str) -> u64 {
        self.places.get(account).filter(|place| place.journal == journal).map_or(0, |place| place.next)
    }

    /// Takes note that everything below `next` was sent.
    ///
    /// # Errors
    /// Where the file cannot be written; the note holds as long as the process.
    pub(super) fn advance(&mut self, account: &str, journal: &str, next: u64) -> anyhow::Result<()> {
        self.places.insert(account.to_owned(), Place { journal: journal.to_owned(), next });
        self.file.as_ref().map_or(Ok(()), |file| file.write(&self.places))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_of_a_journal_stays_sent_over_a_restart_and_another_journal_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let file = StateFile::new(directory.path(), "live", &["http://localhost/".to_owned()]);
        let mut log = SentLog::open(Some(file.clone())).unwrap();
        assert_eq!(log.next("anna", "one"), 0);
        log.advance("anna", "one", 17).unwrap();
        let again = SentLog::open(Some(file)).unwrap();
        assert_eq!((again.next("anna", "one"), again.next("anna", "two"), again.next("ben", "one")), (17, 0, 0));
    }
}
