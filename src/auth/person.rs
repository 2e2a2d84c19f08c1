//! Whose ring an account is of: a salted hash of Oura's own id of the person, so that no sign-in takes another one's place.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Store, StoreError, challenge};

/// Between the salt and the hash.
const BETWEEN: char = '.';

/// A person, told from others without their id. All accounts of a store have one salt, so that they can be compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Person {
    salt: String,
    hash: String,
}

/// Whom a sign-in may put in the place of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaces {
    /// Whoever is not known to be somebody else.
    SamePerson,
    /// Nobody but the very same person.
    ProvenSamePerson,
    /// Whoever it is: somebody has said that it is meant.
    Anybody,
}

/// The sign-in is not of the person that it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongPerson {
    /// The person has another account.
    #[error(
        "this person already has account {other}, so nothing was stored as {account}; sign out at Oura or use a \
         private window, and sign in as the right person; or, if one person is to have two accounts, {MEANT} --account \
         {account}"
    )]
    OfOtherAccount {
        /// Which one.
        other: String,
        /// The one that they were to have.
        account: String,
    },
    /// The account is another person's.
    #[error(
        "you signed in as a different person from the one of account {account}, so nothing was stored; sign in as the \
         right person or under another name; or, if the account is to change hands, {MEANT} --account {account}"
    )]
    OtherPerson {
        /// The account.
        account: String,
    },
    /// Oura does not say who has signed in, and the account is somebody's.
    #[error(
        "Oura does not currently say who has signed in, and account {account} already belongs to somebody, so nothing \
         was stored; try again in a few minutes, or, if you are sure, {MEANT} --account {account}"
    )]
    Unsaid {
        /// The account.
        account: String,
    },
    /// Nobody can tell.
    #[error(
        "account {account} is signed in, and it is unknown whether this is the same person, so nothing was stored; \
         choose another name, or run: oura-exporter login --no-browser --account {account}"
    )]
    Unproven {
        /// The account.
        account: String,
    },
}

/// What could not be told of the person at a sign-in that is stored all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// Oura did not say who it is.
    #[error(
        "Oura did not say who this is: compare what the page shows with the Oura app of the person you mean; as soon \
         as Oura does say it, the exporter compares it with the other accounts"
    )]
    Unsaid,
    /// Another account cannot be read.
    #[error(
        "the sign-in of account {0} cannot be read, so it is unknown whether this is the same person: compare what the \
         page shows with the Oura app of the person you mean, and run: oura-exporter accounts"
    )]
    Unread(String),
    /// The account was another person's before, or may have been.
    #[error(
        "the previous sign-in under this name was, or may have been, another person's: the exporter forgets its \
         record; what a database has under the name stays there"
    )]
    Replaced,
}

/// What is said of accounts that are one person's.
pub fn one_person(names: &[String]) -> String {
    let (last, first) =
        names.split_last().map_or_else(Default::default, |(last, first)| (last.clone(), first.join(", ")));
    format!(
        "Accounts {first} and {last} are the same person: if that is not intended, sign out at Oura or use a private \
         window, and run: oura-exporter login --replace-person --account NAME"
    )
}

const MEANT: &str = "run: oura-exporter login --replace-person";

impl WrongPerson {
    /// The same words on a page that has a button for what is meant.
    pub fn beside_a_button(&self) -> String {
        let (Self::OfOtherAccount { account, .. }
        | Self::OtherPerson { account }
        | Self::Unsaid { account }
        | Self::Unproven { account }) = self;
        self.to_string().replace(&format!("{MEANT} --account {account}"), "press the button below")
    }

    /// What the button says that does it all the same.
    pub fn button(&self) -> String {
        match self {
            Self::OfOtherAccount { account, .. } => format!("Use this person for {account} as well: sign in again"),
            Self::OtherPerson { account } | Self::Unsaid { account } | Self::Unproven { account } => {
                format!("Replace the person of {account}: sign in again")
            }
        }
    }
}

impl Person {
    /// The person with that id, whom `others` are told from.
    ///
    /// # Errors
    /// Where the system provides no random numbers.
    pub(crate) fn new(id: &str, others: &[(String, Self)]) -> Result<Self, getrandom::Error> {
        let salt = match others.first() {
            Some((_, other)) => other.salt.clone(),
            None => challenge::random()?,
        };
        Ok(Self { hash: hash(&salt, id), salt })
    }

    /// Whether both are told from others in the same way.
    pub(super) fn is_comparable_with(&self, other: &Self) -> bool {
        self.salt == other.salt
    }

    /// Whether that id is theirs.
    pub(crate) fn is(&self, id: &str) -> bool {
        self.hash == hash(&self.salt, id)
    }
}

fn hash(salt: &str, id: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{salt}{BETWEEN}{id}")))
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{BETWEEN}{}", self.salt, self.hash)
    }
}

impl From<Person> for String {
    fn from(person: Person) -> Self {
        person.to_string()
    }
}

impl TryFrom<String> for Person {
    type Error = NoPerson;

    fn try_from(text: String) -> Result<Self, NoPerson> {
        text.parse()
    }
}

/// A text that tells of nobody.
#[derive(Debug, thiserror::Error)]
#[error("no salted hash of a person")]
pub struct NoPerson;

impl FromStr for Person {
    type Err = NoPerson;

    fn from_str(text: &str) -> Result<Self, NoPerson> {
        let (salt, hash) = text.split_once(BETWEEN).ok_or(NoPerson)?;
        Ok(Self { salt: salt.to_owned(), hash: hash.to_owned() })
    }
}

impl Store {
    /// The accounts whose person is known, each with theirs, in the order of their names; a file that cannot be read has none.
    pub fn persons(&self) -> Vec<(String, Person)> {
        let names = self.accounts().unwrap_or_default();
        let person = |name: String| {
            let person = self.signed_in(&name).ok()??.person?;
            Some((name, person))
        };
        let mut persons: Vec<_> = names.into_iter().filter_map(person).collect();
        // Those of files come in the order of the files' names.
        persons.sort_by(|(one, _), (other, _)| one.cmp(other));
        persons
    }

    /// The accounts of which Oura never said whose they are.
    pub fn unsaid(&self) -> Vec<String> {
        let names = self.accounts().unwrap_or_default().into_iter();
        names.filter(|name| matches!(self.read(name), Ok(Some(tokens)) if tokens.person.is_none())).collect()
    }

    /// Whether the person with that id surely has no account here.
    pub(super) fn is_stranger(&self, id: &str) -> bool {
        let Ok(names) = self.accounts() else { return false };
        let persons = self.persons();
        persons.len() == names.len() && !persons.iter().any(|(_, person)| person.is(id))
    }

    /// What could not be told of the person who has signed in as `account`, as whom Oura told `person`.
    pub(super) fn doubts(&self, account: &str, person: Option<&Person>) -> Vec<Doubt> {
        let unsaid = person.is_none().then_some(Doubt::Unsaid);
        let others = self.accounts().unwrap_or_default().into_iter().filter(|name| name != account);
        unsaid.into_iter().chain(others.filter(|name| self.read(name).is_err()).map(Doubt::Unread)).collect()
    }

    /// The accounts that are one person's, as lists of two names and more.
    pub fn namesakes(&self) -> Vec<Vec<String>> {
        let mut groups = Vec::<(Person, Vec<String>)>::new();
        for (name, person) in self.persons() {
            match groups.iter_mut().find(|(known, _)| *known == person) {
                Some((_, names)) => names.push(name),
                None => groups.push((person, vec![name])),
            }
        }
        groups.into_iter().map(|(_, names)| names).filter(|names| names.len() > 1).collect()
    }

    /// Judges whether the person with that id may sign in as `account`, and gives what is to be kept of them; none where
    /// Oura does not say who it is.
    ///
    /// # Errors
    /// Where they may not, by name.
    pub fn judge(&self, account: &str, id: Option<&str>, replaces: Replaces) -> anyhow::Result<Option<Person>> {
        if let Some(error) = self.read(account).err().filter(StoreError::may_pass) {
            // It may be whole: whoever signs in now must not write over it.
            return Err(error.into());
        }
        let mut persons = self.persons();
        if !persons.iter().any(|(name, _)| name == account) {
            persons.extend(self.remembered(account).map(|person| (account.to_owned(), person)));
        }
        let own = persons.iter().find(|(name, _)| name == account).map(|(_, person)| person);
        let is_own = id.zip(own).map(|(id, own)| own.is(id));
        let name = || account.to_owned();
        if replaces == Replaces::ProvenSamePerson && self.has(account) && is_own != Some(true) {
            return Err(WrongPerson::Unproven { account: name() }.into());
        }
        let Some(id) = id else {
            let is_somebodys = own.is_some() && replaces != Replaces::Anybody;
            return if is_somebodys { Err(WrongPerson::Unsaid { account: name() }.into()) } else { Ok(None) };
        };
        if replaces != Replaces::Anybody {
            if is_own == Some(false) {
                return Err(WrongPerson::OtherPerson { account: name() }.into());
            }
            if let Some((other, _)) = persons.iter().find(|(name, person)| name != account && person.is(id)) {
                return Err(WrongPerson::OfOtherAccount { other: other.clone(), account: name() }.into());
            }
        }
        let person = Person::new(id, &persons);
        Ok(Some(person.map_err(|error| anyhow::anyhow!("the system provides no random numbers: {error}"))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_told_by_their_id_alone_and_the_id_is_nowhere() {
        let anna = Person::new("id-of-anna", &[]).unwrap();
        assert!(anna.is("id-of-anna") && !anna.is("id-of-ben") && !anna.is(""));
        let read: Person = anna.to_string().parse().unwrap();
        assert_eq!(read, anna);
        assert!(!format!("{anna} {anna:?}").contains("id-of-anna"));
        let others = [("anna".to_owned(), anna.clone())];
        assert_eq!(Person::new("id-of-anna", &others).unwrap(), anna, "in one store they can be compared");
        assert_ne!(Person::new("id-of-anna", &[]).unwrap(), anna, "and in two they cannot");
    }
}
