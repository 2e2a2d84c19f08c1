//! Whose a record is: a salted hash beside its journal, wherever the account's token comes from.

use std::{fs, path::Path};

use tracing::debug;

use super::{
    buffer::{JournalIn, Samples},
    journal::{DIRECTORY, OF_ITS_OWNER, beside},
};
use crate::{auth::Person, durable};

/// A hash is shorter, in bytes.
const LARGEST: u64 = 4096;

impl Samples {
    /// Whether the record of `account` is another person's than the one with that id of Oura's; from now on it is theirs.
    pub fn changes_hands(&self, account: &str, id: &str) -> bool {
        let mut owners = self.owners();
        let known = owners.get(account).cloned().or_else(|| self.written_owner(account));
        if known.as_ref().is_some_and(|known| known.is(id)) {
            return false;
        }
        // Without randomness nobody can be told from others.
        let Ok(owner) = Person::new(id, &[]) else { return false };
        if let JournalIn::State(Some(state)) = self.journals()
            && let Err(error) = write(&state.join(DIRECTORY), account, &owner)
        {
            debug!(account, %error, "the owner of the record cannot be stored across a restart");
        }
        owners.insert(account.to_owned(), owner);
        known.is_some()
    }

    fn written_owner(&self, account: &str) -> Option<Person> {
        let JournalIn::State(Some(state)) = self.journals() else { return None };
        let path = state.join(DIRECTORY).join(format!("{account}.{OF_ITS_OWNER}"));
        let is_small = fs::metadata(&path).is_ok_and(|metadata| metadata.is_file() && metadata.len() <= LARGEST);
        fs::read_to_string(path).ok().filter(|_| is_small)?.trim().parse().ok()
    }
}

fn write(directory: &Path, account: &str, owner: &Person) -> std::io::Result<()> {
    durable::create(directory)?;
    let name = format!("{account}.{OF_ITS_OWNER}");
    durable::replace(directory, &name, &beside(&name), format!("{owner}\n").as_bytes())
}
