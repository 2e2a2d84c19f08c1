//! How far a remote-write backfill of one account has come, so that one that was cut off goes on there.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::place::Place;
use crate::state_file::StateFile;

/// The place of one account in one backfill.
pub(super) struct Checkpoint {
    file: Option<StateFile>,
    noted: Noted,
}

/// What the file says.
#[derive(Default, Deserialize, Serialize)]
struct Noted {
    /// The account's name: if it is forgotten, so is this.
    accounts: Vec<String>,
    place: Option<Place>,
}

impl Checkpoint {
    /// The place of `account` in the backfill that `parts` identify, or none if it is to `restart`; where there is no `state`
    /// directory, it is forgotten at the end.
    ///
    /// # Errors
    /// Where its file cannot be read.
    pub(super) fn open(state: Option<&Path>, parts: &[String], account: &str, restart: bool) -> anyhow::Result<Self> {
        let file = state.map(|state| StateFile::new(state, "backfill", parts));
        let noted: Noted = file.as_ref().filter(|_| !restart).map_or_else(|| Ok(Noted::default()), StateFile::read)?;
        Ok(Self { file, noted: Noted { accounts: vec![account.to_owned()], ..noted } })
    }

    /// Where to go on; none: at the first day.
    pub(super) const fn place(&self) -> Option<Place> {
        self.noted.place
    }

    /// Takes note of the place.
    ///
    /// # Errors
    /// Where its file cannot be written.
    pub(super) fn advance(&mut self, place: Place) -> anyhow::Result<()> {
        self.noted.place = Some(place);
        self.file.as_ref().map_or(Ok(()), |file| file.write(&self.noted))
    }

    /// The same again begins at its first day: all is there, and it may be run to correct that, or it was another person's.
    ///
    /// # Errors
    /// Where its file cannot be removed.
    pub(super) fn clear(&mut self) -> anyhow::Result<()> {
        self.noted.place = None;
        self.file.as_ref().map_or(Ok(()), StateFile::remove)
    }
}
