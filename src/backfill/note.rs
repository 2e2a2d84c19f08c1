//! The note in a directory of files: how far each account has come in them, for the same command to go on there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use chrono::{Datelike as _, NaiveDate};
use serde::{Deserialize, Serialize};

use super::{identity::Identity, place::Place};
use crate::durable;

/// The note's name.
const NAME: &str = ".oura-exporter-backfill-from-here";
/// What a file begins with that is being written in its place.
const BESIDE: &str = ".oura-exporter-backfill-note-";

/// What it says.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Note {
    /// What the runs have in common that write these files, one after the other.
    command: String,
    /// The first day of the first of them.
    pub(super) from: NaiveDate,
    /// A run from that day on is one of them as well.
    pub(super) next: NaiveDate,
    accounts: BTreeMap<String, Written>,
    /// The files that are there, or were there until they were brought in.
    pub(super) files: BTreeSet<String>,
    /// Accounts of which the files may have what does not count any more.
    pub(super) outdated: BTreeSet<String>,
}

/// What is in the files of an account.
#[derive(Clone, Deserialize, Serialize)]
struct Written {
    whose: Identity,
    place: Place,
}

impl Note {
    pub(super) const fn new(command: String, from: NaiveDate) -> Self {
        let accounts = BTreeMap::new();
        Self { command, from, next: from, accounts, files: BTreeSet::new(), outdated: BTreeSet::new() }
    }

    /// The note in `directory`, if it is of the runs of that command and a run from `first` on is one of them. One that cannot be
    /// read is none: the run begins at its first day.
    ///
    /// # Errors
    /// Where the system refuses.
    pub(super) fn read(directory: &Path, command: &str, first: NaiveDate) -> io::Result<Option<Self>> {
        durable::sweep(directory, BESIDE);
        let text = match fs::read(directory.join(NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        let note = serde_json::from_slice(&text).ok();
        Ok(note.filter(|note: &Self| note.command == command && [note.from, note.next].contains(&first)))
    }

    /// # Errors
    /// Where it cannot be written; the note before is whole then.
    pub(super) fn write(&self, directory: &Path) -> io::Result<()> {
        durable::replace(directory, NAME, BESIDE, &serde_json::to_vec(self)?)
    }

    /// # Errors
    /// Where it is there and cannot be removed.
    pub(super) fn remove(directory: &Path) -> io::Result<()> {
        match fs::remove_file(directory.join(NAME)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) fn place(&self, account: &str) -> Option<Place> {
        self.accounts.get(account).map(|written| written.place)
    }

    pub(super) fn advance(&mut self, account: &str, whose: &Identity, place: Place) {
        let before = self.accounts.remove(account).map(|written| written.whose).unwrap_or_default();
        self.accounts.insert(account.to_owned(), Written { whose: whose.or(before), place });
    }

    /// These are brought in: whoever is not yet noted begins at the first day, and so does who is another person now, or of whom
    /// a collection was left out.
    pub(super) fn begin(&mut self, whose: &BTreeMap<String, Identity>) {
        for (account, now) in whose {
            match self.accounts.get(account) {
                Some(written) if now.is_anothers_than(&written.whose) || written.place.is_again() => {
                    self.forget(account)
                }
                Some(_) => {}
                None => self.advance(account, now, Place::at(self.from)),
            }
        }
    }

    /// The account begins at the first day, and what the files have of it is to go.
    pub(super) fn forget(&mut self, account: &str) {
        let (whose, place) = (Identity::default(), Place::at(self.from));
        self.accounts.insert(account.to_owned(), Written { whose, place });
        self.outdated.insert(account.to_owned());
    }

    /// Whether nobody has come any further than the first day.
    pub(super) fn is_at_beginning(&self) -> bool {
        self.accounts.values().all(|written| written.place == Place::at(self.from))
    }

    /// Whether everybody has come to the end, those included whom this run does not bring in.
    pub(super) fn is_at_end(&self) -> bool {
        self.accounts.values().all(|written| written.place.is_at_end())
    }

    /// The first name that is free for a file of the month that begins with `first`, or of its part from then on.
    pub(super) fn free_name(&self, first: NaiveDate) -> String {
        let mut number = 1;
        while self.files.contains(&file_name(first, number)) {
            number += 1;
        }
        file_name(first, number)
    }
}

/// The name of a month's file; others of the same month follow by their number.
fn file_name(first: NaiveDate, number: usize) -> String {
    let month = first.format(if first.day() == 1 { "oura-%Y-%m" } else { "oura-%Y-%m-%d" });
    if number == 1 { format!("{month}.om") } else { format!("{month}.{number}.om") }
}

/// Whether a file of that name is one of a backfill.
pub(super) fn is_of_a_month(name: &str) -> bool {
    let own = || {
        let stem = name.strip_prefix("oura-")?.strip_suffix(".om")?;
        let (month, number) = stem.split_once('.').unwrap_or((stem, "1"));
        let first = month.parse().or_else(|_| format!("{month}-01").parse()).ok()?;
        Some(file_name(first, number.parse().ok()?) == name)
    };
    own() == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_a_backfill_gives_are_its_own() {
        for name in ["oura-2026-03.om", "oura-2026-03-15.om", "oura-2026-03.2.om", "oura-2026-03-15.12.om"] {
            assert!(is_of_a_month(name), "{name}");
        }
        for name in ["oura-2026.om", "oura-notes.om", "oura-2026-03.1.om", "oura-2026-03.02.om", "oura-2026-03-01.om"] {
            assert!(!is_of_a_month(name), "{name}");
        }
    }
}
