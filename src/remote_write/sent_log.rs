//! How far live remote write has come with each account's record, over restarts too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::state_file::StateFile;

/// What a receiver has, by account.
pub(super) struct SentLog {
    file: Option<StateFile>,
    places: BTreeMap<String, Place>,
    /// What was sent beyond that, and may have to be sent again.
    ahead: BTreeMap<String, Place>,
    /// Whether the file does not say all of it.
    is_behind: bool,
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
        Ok(Self { file, places, ahead: BTreeMap::new(), is_behind: false })
    }

    /// The first telling of `account` that was not sent, as this journal counts them: of another one, nothing was.
    pub(super) fn next(&self, account: &str, journal: &str) -> u64 {
        let ahead = self.ahead.get(account).filter(|place| place.journal == journal);
        ahead.map_or_else(|| self.kept(account, journal), |place| place.next)
    }

    /// The first telling of `account` that the receiver may still have to be sent, as this journal counts them.
    pub(super) fn kept(&self, account: &str, journal: &str) -> u64 {
        self.places.get(account).filter(|place| place.journal == journal).map_or(0, |place| place.next)
    }

    /// Everything below `next` was sent, but may have to be sent again.
    pub(super) fn advance(&mut self, account: &str, journal: &str, next: u64) {
        self.ahead.insert(account.to_owned(), Place { journal: journal.to_owned(), next });
    }

    /// All that was sent since it was kept last is to be sent again.
    pub(super) fn go_back(&mut self) {
        self.ahead.clear();
    }

    /// Takes note that what was sent need not be sent again.
    ///
    /// # Errors
    /// Where the file cannot be written; the note holds as long as the process.
    pub(super) fn keep(&mut self) -> anyhow::Result<()> {
        self.is_behind |= !self.ahead.is_empty();
        self.places.append(&mut self.ahead);
        if let Some(file) = self.file.as_ref().filter(|_| self.is_behind) {
            file.write(&self.places)?;
        }
        self.is_behind = false;
        Ok(())
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
        log.advance("anna", "one", 17);
        log.keep().unwrap();
        let again = SentLog::open(Some(file)).unwrap();
        assert_eq!((again.next("anna", "one"), again.next("anna", "two"), again.next("ben", "one")), (17, 0, 0));
    }
    #[test]
    fn what_is_not_kept_is_sent_again() {
        let mut log = SentLog::open(None).unwrap();
        log.advance("anna", "one", 5);
        log.keep().unwrap();
        for next in [6, 9, 17] {
            log.advance("anna", "one", next);
            log.advance("ben", "two", next);
            assert_eq!((log.next("anna", "one"), log.kept("anna", "one"), log.next("ben", "two")), (next, 5, next));
        }
        log.go_back();
        assert_eq!((log.next("anna", "one"), log.next("ben", "two")), (5, 0));
    }
    #[test]
    fn what_cannot_be_written_down_holds_and_is_written_as_soon_as_it_can_be() {
        let directory = tempfile::tempdir().unwrap();
        let file = StateFile::new(directory.path(), "live", &["http://localhost/".to_owned()]);
        let mut log = SentLog::open(Some(file.clone())).unwrap();
        let in_the_way = directory.path().join("progress");
        std::fs::write(&in_the_way, "no directory").unwrap();
        for next in [3, 9, 17] {
            log.advance("anna", "one", next);
            assert!(log.keep().unwrap_err().to_string().contains("progress/live-"), "{next}");
            assert_eq!(log.kept("anna", "one"), next, "it holds");
        }
        std::fs::remove_file(in_the_way).unwrap();
        log.keep().unwrap();
        assert_eq!(SentLog::open(Some(file)).unwrap().next("anna", "one"), 17, "without anything new");
    }
}
