//! Whose a record is: a salted hash beside its journal, wherever the account's token comes from.

use std::{fs, path::Path};

use chrono::{DateTime, Utc};
use tracing::debug;

use super::{
    buffer::{RecordKey, Samples},
    journal::{DIRECTORY, OF_ITS_OWNER, beside},
};
use crate::{auth::Person, durable, problem::TokenOrigin};

/// A hash is shorter, in bytes.
const LARGEST: u64 = 4096;

impl Samples {
    /// Whether the record of `account` is another person's than the one with that id of Oura's; if it was nobody's, it is
    /// theirs from now on.
    pub fn is_anothers(&self, account: &str, id: &str) -> bool {
        let known = self
            .owners()
            .get(account)
            .cloned()
            .or_else(|| self.state().and_then(|state| written_owner(state, account)));
        match known {
            Some(known) => !known.is(id),
            None => {
                self.note_owner(account, id, true);
                false
            }
        }
    }

    /// Begins the record of `account` again, whose token by hand is now of the person with that id. One that cannot be removed
    /// stays as it is, and whose it is stays known.
    pub fn begin_again(&self, account: &str, id: &str, now: DateTime<Utc>) -> RecordKey {
        let is_forgotten = self.forget(account);
        let key =
            if is_forgotten { self.keep(account, TokenOrigin::ByHand, now) } else { self.keep_in_memory(account, now) };
        self.note_owner(account, id, is_forgotten);
        key
    }

    fn note_owner(&self, account: &str, id: &str, is_written: bool) {
        // Without randomness nobody can be told from others.
        let Ok(owner) = Person::new(id, &[]) else { return };
        if is_written
            && let Some(state) = self.state()
            && let Err(error) = write(&state.join(DIRECTORY), account, &owner)
        {
            debug!(account, %error, "the owner of the record cannot be stored across a restart");
        }
        self.owners().insert(account.to_owned(), owner);
    }
}

/// Whose the record of `account` below the `state` directory is, as far as Oura has said it to whoever has a token by hand.
pub(crate) fn written_owner(state: &Path, account: &str) -> Option<Person> {
    let path = state.join(DIRECTORY).join(format!("{account}.{OF_ITS_OWNER}"));
    let is_small = fs::metadata(&path).is_ok_and(|metadata| metadata.is_file() && metadata.len() <= LARGEST);
    fs::read_to_string(path).ok().filter(|_| is_small)?.trim().parse().ok()
}

fn write(directory: &Path, account: &str, owner: &Person) -> std::io::Result<()> {
    durable::create(directory)?;
    let name = format!("{account}.{OF_ITS_OWNER}");
    durable::replace(directory, &name, &beside(&name), format!("{owner}\n").as_bytes())
}
