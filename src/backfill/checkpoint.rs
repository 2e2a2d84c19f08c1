//! How far a remote-write backfill of one account has come, so that one that was cut off goes on there.

use std::path::Path;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{identity::Identity, place::Place};
use crate::state_file::{StateFile, digest};

/// What the files' names begin with.
const KIND: &str = "backfill";

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
    /// A digest of what the backfills of all its accounts have in common.
    #[serde(default)]
    backfill: String,
    #[serde(default)]
    whose: Identity,
    place: Option<Place>,
}

impl Checkpoint {
    /// The place of `account` in the backfill that `parts` identify. If it is to `restart`, or is another person's now, it has none
    /// from now on. Where there is no `state` directory, it is forgotten at the end.
    ///
    /// # Errors
    /// Where its file cannot be read or removed.
    pub(super) fn open(
        state: Option<&Path>,
        parts: &[String],
        account: &str,
        whose: Identity,
        restart: bool,
    ) -> anyhow::Result<Self> {
        let own = [parts, &[account.to_owned()]].concat();
        let file = state.map(|state| StateFile::new(state, KIND, &own));
        let before: Noted = file.as_ref().filter(|_| !restart).map_or_else(|| Ok(Noted::default()), StateFile::read)?;
        let is_theirs = !restart && !whose.is_anothers_than(&before.whose);
        let (place, whose) = (before.place.filter(|_| is_theirs), whose.or(before.whose));
        let noted = Noted { accounts: vec![account.to_owned()], backfill: digest(parts), whose, place };
        if let Some(file) = file.as_ref().filter(|_| !is_theirs) {
            file.remove()?;
        }
        Ok(Self { file, noted })
    }

    /// Where to go on; none: at the first day.
    pub(super) const fn place(&self) -> Option<Place> {
        self.noted.place
    }

    /// Takes note that the account belongs to the backfill, which is not over without it.
    ///
    /// # Errors
    /// Where its file cannot be written.
    pub(super) fn begin(&mut self, first: NaiveDate) -> anyhow::Result<()> {
        if self.noted.place.is_none() { self.advance(Place::at(first)) } else { Ok(()) }
    }

    /// Takes note of the place.
    ///
    /// # Errors
    /// Where its file cannot be written.
    pub(super) fn advance(&mut self, place: Place) -> anyhow::Result<()> {
        self.noted.place = Some(place);
        self.file.as_ref().map_or(Ok(()), |file| file.write(&self.noted))
    }

    /// The same again begins at its first day: it was another person's.
    ///
    /// # Errors
    /// Where its file cannot be removed.
    pub(super) fn clear(&mut self) -> anyhow::Result<()> {
        (self.noted.place, self.noted.whose) = (None, Identity::default());
        self.file.as_ref().map_or(Ok(()), StateFile::remove)
    }
}

/// The same again begins at the first day, as it may be run to correct what is there: if all accounts that have a place in the
/// backfill that `parts` identify are at their end, also those that this run did not bring in.
///
/// # Errors
/// Where a file cannot be removed.
pub(super) fn clear_at_end(state: &Path, parts: &[String]) -> anyhow::Result<()> {
    let backfill = digest(parts);
    let all = StateFile::all::<Noted>(state, KIND)?.into_iter();
    let kin: Vec<_> = all.filter(|(_, noted)| noted.backfill == backfill).collect();
    let is_at_end = |noted: &Noted| noted.place.is_some_and(|place| place.is_at_end());
    if kin.iter().all(|(_, noted)| is_at_end(noted)) {
        kin.iter().try_for_each(|(file, _)| file.remove())
    } else {
        Ok(())
    }
}
