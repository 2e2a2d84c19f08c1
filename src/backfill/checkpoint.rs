//! How far a remote-write backfill has come, so that one that was cut off goes on there.

use std::path::Path;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::state_file::StateFile;

/// The place of one backfill.
pub(super) struct Checkpoint {
    file: Option<StateFile>,
    noted: Noted,
}

/// What the file says.
#[derive(Default, Deserialize, Serialize)]
struct Noted {
    /// The names of the accounts: whoever is forgotten has it removed.
    accounts: Vec<String>,
    place: Option<MonthUnderWay>,
}

/// A month of some accounts that is under way; all before it was sent, and all of the accounts before them.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct MonthUnderWay {
    /// Which accounts, of those that are brought in one after the other.
    pub(super) accounts: usize,
    /// The month's first day.
    pub(super) first: NaiveDate,
    /// Of the month, everything before this was sent, in milliseconds since 1970; none: nothing.
    pub(super) before: Option<i64>,
}

impl Checkpoint {
    /// The place of the backfill of `accounts` that `parts` identify, or none if it is to `restart`; where there is no `state`
    /// directory, it is forgotten at the end.
    ///
    /// # Errors
    /// Where its file cannot be read.
    pub(super) fn open(
        state: Option<&Path>,
        parts: &[String],
        accounts: Vec<String>,
        restart: bool,
    ) -> anyhow::Result<Self> {
        let file = state.map(|state| StateFile::new(state, "backfill", parts));
        let noted: Noted = file.as_ref().filter(|_| !restart).map_or_else(|| Ok(Noted::default()), StateFile::read)?;
        Ok(Self { file, noted: Noted { accounts, ..noted } })
    }

    /// Where to go on; none: at the first day.
    pub(super) const fn place(&self) -> Option<MonthUnderWay> {
        self.noted.place
    }

    /// Takes note of the place.
    ///
    /// # Errors
    /// Where its file cannot be written.
    pub(super) fn advance(&mut self, place: MonthUnderWay) -> anyhow::Result<()> {
        self.noted.place = Some(place);
        self.file.as_ref().map_or(Ok(()), |file| file.write(&self.noted))
    }

    /// It came to its end: the same again begins at its first day, since it may be run to correct what stands there.
    ///
    /// # Errors
    /// Where its file cannot be removed.
    pub(super) fn clear(&mut self) -> anyhow::Result<()> {
        self.noted.place = None;
        self.file.as_ref().map_or(Ok(()), StateFile::remove)
    }
}
